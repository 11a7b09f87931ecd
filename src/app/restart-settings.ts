/**
 * What of a new configuration a reload cannot put to use. Enters: the policy before and after. Leaves: names of sections. Invariant: a section
 * is named when anything in it differs, a secret included, and no secret is shown.
 */
import { SecretValue } from '../config/secret-value.js';
import type { Policy } from './policy.js';

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
  ] as const;
  return sections.filter((section) => !isSame(before.config[section], after.config[section]));
}

/** Of two parts of a configuration; secrets look alike in every other way of comparing. */
function isSame(one: unknown, other: unknown): boolean {
  if (one instanceof SecretValue || other instanceof SecretValue)
    return one instanceof SecretValue && other instanceof SecretValue && one.equals(other);
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other;
  const entries = Object.entries(one);
  const others = new Map(Object.entries(other));
  return entries.length === others.size && entries.every(([key, value]) => isSame(value, others.get(key)));
}
