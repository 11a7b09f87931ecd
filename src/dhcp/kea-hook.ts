/**
 * What Kea's run_script says. Enters: the name of a hook point and variables, as the hook wrote them. Leaves: one lease event for each lease.
 * Invariants: one lease that cannot be read makes the whole call unreadable; the state of a lease counts, not the hook point alone, since a
 * declined lease is committed too.
 *
 * Kea runs scripts beside each other, so the time of the file says when the script ran, at the earliest when it happened. A commit carries the
 * second of its own (CLTT, client last transaction time), which bounds it; an expiry or release carries that of the commit before.
 */
import type { LeaseEvent, LineEvidence } from '../domain/lease-event.js';
import { decodeOption82, isCut, lineEvidence } from './option82.js';
import { readLeaseSeconds, readToldLease } from './told-lease.js';
import type { Heard, LeaseFault } from './told-lease.js';

export type KeaFault =
  | LeaseFault
  /** A hook point that this server does not know. */
  | 'unknown-hook-point'
  | 'unknown-lease-state'
  /** Option 82 is not hexadecimal, or a sub-option of it is longer than what is left. */
  | 'bad-option-82';

export type KeaReading =
  { readonly ok: true; readonly events: readonly LeaseEvent[] } | { readonly ok: false; readonly fault: KeaFault };

type Command = 'commit' | 'expiry' | 'release' | 'decline';

/** What hook points about one lease say of it. */
const commandOfPoint: ReadonlyMap<string, Command> = new Map([
  ['lease4_renew', 'commit'],
  ['lease4_release', 'release'],
  ['lease4_decline', 'decline'],
  ['lease4_expire', 'expiry'],
]);

/** What a committed lease is, by its state; a lease that is kept for its last owner after a release is "released" or "expired-reclaimed". */
const commandOfState: ReadonlyMap<string, Command> = new Map([
  ['default', 'commit'],
  ['declined', 'decline'],
  ['released', 'release'],
  ['expired-reclaimed', 'release'],
]);

/** Leases of one call that are looked at; the hook writes no more. */
const maxLeases = 99;

/** Reads the variables of one call. */
export function readKeaLeases(values: ReadonlyMap<string, string>, heard: Heard): KeaReading {
  const point = values.get('1') ?? '';
  const line = readOption82(values.get('QUERY4_OPTION_82') ?? '');
  if (line === 'bad-option-82') return { ok: false, fault: line };
  const events: LeaseEvent[] = [];
  for (const { prefix, command } of leasesOf(values, point)) {
    const said = command ?? commandOfState.get(values.get(`${prefix}_STATE`) ?? '');
    if (said === undefined) return { ok: false, fault: 'unknown-lease-state' };
    const reading = readLease(values, prefix, said, heard);
    if (!reading.ok) return reading;
    events.push({ ...reading.event, line });
  }
  return events.length === 0 ? { ok: false, fault: 'unknown-hook-point' } : { ok: true, events };
}

/** Deleted leases first: a client that got another address has let go of the one before. */
function* leasesOf(
  values: ReadonlyMap<string, string>,
  point: string,
): Generator<{ readonly prefix: string; readonly command: Command | undefined }> {
  const command = commandOfPoint.get(point);
  if (command !== undefined) yield { prefix: 'LEASE4', command };
  if (point !== 'leases4_committed') return;
  for (const [list, said] of [
    ['DELETED_LEASES4', 'release'],
    ['LEASES4', undefined],
  ] as const) {
    for (let index = 0; index < maxLeases; index++) {
      const prefix = `${list}_AT${String(index)}`;
      if (!values.has(`${prefix}_ADDRESS`)) break;
      yield { prefix, command: said };
    }
  }
}

function readLease(values: ReadonlyMap<string, string>, prefix: string, command: Command, heard: Heard) {
  const value = (name: string): string => values.get(`${prefix}_${name}`) ?? '';
  const committedAtMs = /^\d{9,11}$/u.test(value('CLTT')) ? Number(value('CLTT')) * 1_000 : undefined;
  const reading = readToldLease(
    { command, clientIp: value('ADDRESS'), clientMac: value('HWADDR') },
    command === 'commit' && committedAtMs !== undefined
      ? { ...heard, happenedAtMs: Math.min(heard.happenedAtMs ?? Infinity, committedAtMs + 999) }
      : heard,
  );
  if (!reading.ok || command !== 'commit' || value('VALID_LIFETIME') === '') return reading;
  const leaseSeconds = readLeaseSeconds(value('VALID_LIFETIME'));
  if (leaseSeconds === undefined) return { ok: false, fault: 'bad-lease-seconds' } as const;
  const leaseEndsAtMs = (committedAtMs ?? reading.event.eventAtMs) + leaseSeconds * 1_000;
  return { ok: true, event: { ...reading.event, leaseEndsAtMs } } as const;
}

/** `0x` and hexadecimal digits; empty: the packet had none. */
function readOption82(text: string): LineEvidence | null | 'bad-option-82' {
  if (text === '') return null;
  const digits = /^0x((?:[0-9a-f]{2})*)$/iu.exec(text)?.[1];
  if (digits === undefined) return 'bad-option-82';
  const information = decodeOption82(Buffer.from(digits, 'hex'));
  return isCut(information) ? 'bad-option-82' : lineEvidence(information);
}
