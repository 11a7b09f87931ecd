// Enters: what is known about one subscriber at this moment. Leaves: why it is online or not, as one value that a sentence in any
// language is made from. Invariant: exactly one kind holds, and the nearest cause wins: what holds now before what happened last.

import type { AccessDecision, AnswerState } from './access.js';
import type { DiscardReason, RejectReason } from './access-reason.js';
import type { LeaseRefusal } from './lease.js';

/** A live session, as far as the sentence needs it. */
export interface StandingSession {
  readonly nasName: string;
  readonly address: string | null;
  readonly startedAt: Date;
  readonly suspect: boolean;
}

/** The last answer to an Access-Request. Older releases may have known other reasons. */
export interface StandingAttempt {
  readonly at: Date;
  readonly nasName: string;
  readonly outcome: 'accept' | 'reject' | 'discard';
  readonly reason: RejectReason | DiscardReason | (string & {});
}

/** The end of the last session. */
export interface StandingEnd {
  readonly endedAt: Date;
  readonly nasName: string;
  readonly cause: string;
  /** Where a lease alone had opened it: why that is over. */
  readonly lease: 'released' | 'expired' | 'replaced' | undefined;
}

/** Acct-Terminate-Cause (RFC 2866 §5.10) of the session of a lease, as the fold of leases sets it. */
const LEASE_ENDS: Readonly<Record<number, StandingEnd['lease']>> = { 1: 'released', 5: 'expired' };

/** Why a lease is over, by the Acct-Terminate-Cause of its session. */
export function leaseEndOf(terminateCause: number | null): StandingEnd['lease'] {
  return LEASE_ENDS[terminateCause ?? 0] ?? 'replaced';
}

/** A switch or ONU that monitoring says does not work. */
export interface StandingDevice {
  readonly name: string;
  readonly status: 'down' | 'unreachable';
  readonly since: Date;
}

/** The last DHCP lease of its MAC or its port that was refused. Older releases may have known other reasons. */
export interface StandingRefusal {
  readonly at: Date;
  readonly address: string;
  readonly reason: LeaseRefusal | (string & {});
}

export interface StandingInput {
  readonly deleted: boolean;
  /** Newest first. */
  readonly sessions: readonly StandingSession[];
  /** What a request would be answered now; undefined while nobody can tell. */
  readonly decision: AccessDecision | undefined;
  readonly lastAttempt: StandingAttempt | undefined;
  readonly lastEnd: StandingEnd | undefined;
  /** What it is plugged into, while that does not work. */
  readonly device?: StandingDevice | undefined;
  readonly lastRefusal?: StandingRefusal | undefined;
}

/** What a login meets that is not plain service: a refusal, or a state that is less. Some share a name. */
export type Exception = { readonly refused: RejectReason } | { readonly restricted: Exclude<AnswerState, 'active'> };

export type Standing =
  /** Online. `next` says what the next login meets, when that is not plain service. */
  | {
      readonly kind: 'online';
      readonly session: StandingSession;
      readonly sessions: number;
      readonly next: Exception | undefined;
    }
  | { readonly kind: 'deleted' }
  /** Offline; any request is refused now. */
  | { readonly kind: 'refused'; readonly reason: RejectReason; readonly lastAttempt: StandingAttempt | undefined }
  /** Offline; what it is plugged into does not work, and nothing was heard of it since. */
  | { readonly kind: 'device-down'; readonly device: StandingDevice }
  /** Offline; a DHCP server gave it an address, and that could not be followed. */
  | { readonly kind: 'lease-refused'; readonly refusal: StandingRefusal }
  /** Offline; would be let in now, and yet the last request was not. */
  | { readonly kind: 'failed-attempt'; readonly attempt: StandingAttempt }
  /** Offline; would be let in, into a state other than plain service. */
  | { readonly kind: 'restricted'; readonly state: Exclude<AnswerState, 'active'> }
  /** Offline; accepted lately, and no session followed. */
  | { readonly kind: 'accepted-without-session'; readonly attempt: StandingAttempt }
  /** Offline since its session ended; it does not ask. */
  | { readonly kind: 'ended'; readonly end: StandingEnd }
  /** Nothing was ever heard of it. */
  | { readonly kind: 'never-seen' }
  | { readonly kind: 'not-known-yet' };

/** Why a subscriber is online or not. */
export function standingOf(input: StandingInput): Standing {
  const { sessions, decision, lastAttempt, lastEnd, device, lastRefusal } = input;
  const session = sessions[0];
  if (session !== undefined) {
    const next: Exception | undefined = input.deleted ? { refused: 'deleted' } : decision && exceptionOf(decision);
    return { kind: 'online', session, sessions: sessions.length, next };
  }
  if (input.deleted) return { kind: 'deleted' };
  if (decision?.answer === 'reject') return { kind: 'refused', reason: decision.reason, lastAttempt };
  // Monitoring watches where a device is managed: whoever is heard through it has a line that works.
  const isHeardSince = (at: Date): boolean =>
    (lastAttempt !== undefined && lastAttempt.at > at) || (lastRefusal !== undefined && lastRefusal.at > at);
  if (device !== undefined && !isHeardSince(device.since)) return { kind: 'device-down', device };
  if (lastRefusal !== undefined && isNewest(lastRefusal.at, [lastAttempt?.at, lastEnd?.endedAt]))
    return { kind: 'lease-refused', refusal: lastRefusal };
  const isLater = lastAttempt !== undefined && (lastEnd === undefined || lastAttempt.at >= lastEnd.endedAt);
  if (isLater && lastAttempt.outcome !== 'accept') return { kind: 'failed-attempt', attempt: lastAttempt };
  if (decision === undefined) return { kind: 'not-known-yet' };
  if (decision.state !== 'active') return { kind: 'restricted', state: decision.state };
  if (isLater) return { kind: 'accepted-without-session', attempt: lastAttempt };
  if (lastEnd !== undefined) return { kind: 'ended', end: lastEnd };
  return { kind: 'never-seen' };
}

function isNewest(at: Date, others: readonly (Date | undefined)[]): boolean {
  return others.every((other) => other === undefined || at >= other);
}

/** What the next login meets, unless it is plain service. A full session limit is no news of somebody who is online. */
function exceptionOf(decision: AccessDecision): Exception | undefined {
  if (decision.answer === 'accept') return decision.state === 'active' ? undefined : { restricted: decision.state };
  const isOwnDoing = decision.reason === 'session-limit' || decision.reason === 'address-in-use';
  return isOwnDoing ? undefined : { refused: decision.reason };
}
