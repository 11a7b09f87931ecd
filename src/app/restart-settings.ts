/**
 * What of a new configuration a reload cannot put to use. Enters: the policy before and after. Leaves: names of sections. Invariant: a section
 * is named when anything in it differs, a secret included, and no secret is shown.
 */
import type { Policy } from './policy.js';
import { isSame } from './same-settings.js';

/** Settings that only a start reads. */
export function needRestart(before: Policy, after: Policy): string[] {
  const sections = [
    'server',
    'database',
    'radius',
    'spool',
    'status',
    'addresses',
    'sessions',
    'applier',
    'changeFeed',
    'history',
    'accessAttempts',
    'intake',
    'dhcp',
  ] as const;
  return sections.filter((section) => !isSame(before.config[section], after.config[section]));
}
