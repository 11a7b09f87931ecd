// Somebody who sees packets pass, for tracing.
// In: requests, replies, drops. Out: nothing that the service could notice.
// Invariant: it is called on the way of every packet while somebody watches: it is quick, never throws and never waits.

import type { SourceGroup } from './admission.js';
import type { AdmittedRequest } from './admitted-request.js';
import type { Packet } from './packet.js';

export interface RadiusObserver {
  /** A request passed admission and is about to be handled. */
  arrived(request: AdmittedRequest): void;
  /** A reply leaves for the first time. */
  sent(request: AdmittedRequest, bytes: Buffer): void;
  /** A request gets no answer. */
  discarded(request: AdmittedRequest, reason: string): void;
  /** A retransmission; `reply` is what it got, undefined while its first try is in hand. */
  repeated(packet: Packet, group: SourceGroup, address: string, port: number, reply: Buffer | undefined): void;
  /** A datagram that was dropped before it became a request: nothing that it says is proven. */
  refused(datagram: Buffer, reason: string, group: SourceGroup | undefined, address: string, port: number): void;
}

/** The place of an observer; empty while nobody watches, which is nearly always. */
export interface RadiusWatch {
  readonly current?: RadiusObserver | undefined;
}
