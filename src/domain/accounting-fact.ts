/**
 * What one Accounting-Request says, after decoding and before any decision.
 * Enters: nothing. Leaves: the types that handlers produce and `session-batch.ts` folds. Invariant: times are epoch
 * milliseconds of our own clock; octets are whole non-negative numbers below 2^53.
 */
import type { ReadLine } from './lease-holder.js';

/** Which session a packet talks about, as far as the NAS can say it: the Acct-Session-Id of one box. */
export interface SessionLine {
  readonly nasName: string;
  readonly nasBox: string;
  readonly acctSessionId: string;
}

export interface SessionFact extends SessionLine {
  readonly status: 'start' | 'interim' | 'stop';
  readonly receivedAtMs: number;
  /** Receive time minus Acct-Delay-Time (RFC 2866 §5.2): the only device clock that is trusted. */
  readonly eventAtMs: number;
  /** Whether Acct-Delay-Time was there: without it the event may lie any time before `eventAtMs`. */
  readonly delayDeclared: boolean;
  /** Where the packet came from: commands about the session go there. null: not an address that can be stored. */
  readonly nasAddress: string | null;
  readonly routingDomain: string;
  readonly login: string;
  readonly mac: string | null;
  readonly callingStation: string | null;
  readonly calledStation: string | null;
  readonly nasPortId: string | null;
  readonly address: string | null;
  /** IPv6 prefixes, canonical. */
  readonly framedPrefix: string | null;
  readonly delegatedPrefix: string | null;
  /** Framed-Interface-Id, four groups of hexadecimal digits. */
  readonly interfaceId: string | null;
  /** From a valid Class: what the Accept said. */
  readonly class: ClassEvidence | null;
  /** The access line of the client; absent: nobody looked. It is looked for where no Class tells whose session this is. */
  readonly line?: ReadLine;
  /** The subscriber, where he is known before the fact is: that of a lease. Absent: the names of the packet tell. */
  readonly whose?: number;
  readonly sessionSeconds: number | null;
  readonly input: OctetCount | null;
  readonly output: OctetCount | null;
  /** Acct-Terminate-Cause (RFC 2866 §5.10). */
  readonly terminateCause: number | null;
}

export interface OctetCount {
  /** Gigawords × 2^32 + Octets (RFC 2869 §5.1, §5.2). */
  readonly octets: number;
  /** Whether the Gigawords attribute was there: without it a fall may be a wrap of 32 bits. */
  readonly gigawords: boolean;
}

export interface ClassEvidence {
  readonly subscriberId: number;
  readonly policyHash: number;
  /** Unique per Accept, so it also tells two sessions with one Acct-Session-Id apart. */
  readonly offerId: number;
}

export interface RestartFact {
  readonly status: 'on' | 'off';
  readonly receivedAtMs: number;
  readonly eventAtMs: number;
  readonly nasName: string;
  readonly nasBox: string;
}

export type AccountingFact = SessionFact | RestartFact;

export function isRestart(fact: AccountingFact): fact is RestartFact {
  return fact.status === 'on' || fact.status === 'off';
}

/** The text under which the packets of one line meet. */
export function lineKey(line: SessionLine): string {
  return `${line.nasName}\u0000${line.nasBox}\u0000${line.acctSessionId}`;
}

/** The text that names one physical NAS. */
export function boxKey(box: { readonly nasName: string; readonly nasBox: string }): string {
  return `${box.nasName}\u0000${box.nasBox}`;
}
