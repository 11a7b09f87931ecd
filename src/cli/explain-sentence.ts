/**
 * The one sentence of an explanation.
 *
 * Enters: a decision and what it is about. Leaves: a sentence for people.
 * Invariant: it says what was decided, in the words of the reasons that the server itself uses.
 */
import type { NasEntry } from '../config/config.js';
import { describeReason } from '../domain/access-reason.js';
import type { RejectReason } from '../domain/access-reason.js';
import type { AccessAccept, AccessDecision } from '../domain/access.js';
import type { SubscriberRow } from '../store/subscriber-queries.js';
import type { ExplainedFlag } from '../store/subscriber-flags.js';
import { prefixText } from './explain-prefixes.js';
import type { AddressExplanation, PrefixExplanation } from './explanation.js';

/** The flag behind a reason, whose own reason is worth telling. */
const flagOfReason: Readonly<Partial<Record<RejectReason, string>>> = {
  'admin-blocked': 'admin_blocked',
  'own-disabled': 'own_disabled',
  redirect: 'redirect',
};

/** The sentence: who, where, what, why. */
export function sentenceOf(given: {
  readonly row: SubscriberRow;
  readonly nas: NasEntry;
  readonly decision: AccessDecision;
  readonly address: AddressExplanation | null;
  readonly prefixes: readonly PrefixExplanation[];
  readonly flags: readonly ExplainedFlag[];
}): string {
  const { row, nas, decision, address, prefixes, flags } = given;
  const who = `'${row.login}' on ${nas.name}`;
  if (row.deleted) return `${who} is rejected: ${describeReason('deleted')}${reasonOfFlag(flags, 'deleted')}`;
  if (decision.answer === 'reject') {
    const flag = flagOfReason[decision.reason];
    return `${who} is rejected: ${describeReason(decision.reason)}${flag === undefined ? '' : reasonOfFlag(flags, flag)}`;
  }
  const how =
    decision.state === 'active'
      ? 'is accepted'
      : `is accepted into the state ${decision.state}${reasonOfFlag(flags, decision.state)}`;
  const known = row.password_form === null ? '' : ' (with the right password)';
  const old =
    decision.takesOver !== undefined
      ? ', taking over its own session'
      : decision.replaces !== undefined
        ? ', replacing its oldest session'
        : '';
  return `${who} ${how}${known}${planText(row, decision)}${addressText(address)}${prefixText(prefixes)}${old}`;
}

function reasonOfFlag(flags: readonly ExplainedFlag[], name: string): string {
  const flag = flags.find((one) => one.flag === name || one.flag === `account.${name}`);
  return flag?.reason === null || flag?.reason === undefined || flag.reason === '' ? '' : ` (${flag.reason})`;
}

function planText(row: SubscriberRow, decision: AccessAccept): string {
  return row.plan === null || decision.state !== 'active' ? '' : ` under the plan ${row.plan}`;
}

function addressText(address: AddressExplanation | null): string {
  switch (address?.source) {
    case 'static':
      return ` with its static address ${address.address ?? ''}`;
    case 'sticky':
      return ` with ${address.address ?? ''} of the pool ${address.pool ?? ''}, which it had before`;
    case 'pool':
      return ` with an address of the pool ${address.pool ?? ''}, which has ${String(address.free ?? 0)} left`;
    case 'nas-pool':
      return ` with an address from the NAS's own pool ${address.pool ?? ''}`;
    default:
      return ' without an address of ours';
  }
}
