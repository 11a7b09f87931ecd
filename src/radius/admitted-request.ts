// A request in the hands of a handler.
// In: what admission found. Out: exactly one reply or one discard.
// Invariant: the first reply or discard counts, later ones do nothing; a Reject is never sent before its delay.

import type { RadiusPort, SourceGroup } from './admission.js';
import type { DuplicateHandle } from './duplicate-table.js';
import type { UdpListener } from './listener.js';
import type { Packet } from './packet.js';
import type { ReplyBuilder } from './reply.js';
import type { SharedSecret } from './shared-secret.js';

/** Where a request's outcome goes: the server. */
export interface RequestOwner {
  replied(request: AdmittedRequest, bytes: Buffer): void;
  discarded(request: AdmittedRequest, reason: string): void;
}

/** A verified request, to be answered or discarded once. */
export class AdmittedRequest {
  #settled = false;

  constructor(
    private readonly owner: RequestOwner,
    readonly packet: Packet,
    readonly port: RadiusPort,
    readonly sourceAddress: string,
    readonly sourcePort: number,
    readonly group: SourceGroup,
    /** What replies are signed with and passwords revealed with. */
    readonly secret: SharedSecret,
    /** See AdmissionResult. */
    readonly secretIsProven: boolean,
    /** Wall clock at receipt, ms since 1970: what event times are counted from. */
    readonly receivedAtMs: number,
    /** The socket that was asked; the reply leaves from it. */
    readonly listener: UdpListener,
    /** Its place in the duplicate table. */
    readonly duplicateEntry: DuplicateHandle,
  ) {}

  /** The octets as they came, padding included. Kept as long as the request; copy them if kept longer and changed. */
  get datagram(): Buffer {
    return this.packet.bytes;
  }

  /** Whether it was answered or discarded already. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /**
   * Answers. An Access-Reject leaves after the reject delay, everything else at once; retransmissions get the same octets.
   * @param reply a builder, which is signed here, or signed octets
   */
  reply(reply: Buffer | ReplyBuilder): void {
    if (this.#settled) return;
    const bytes = Buffer.isBuffer(reply) ? reply : reply.finish();
    this.#settled = true;
    this.owner.replied(this, bytes);
  }

  /**
   * Gives no answer, because the server as a whole cannot decide. A retransmission is handled as new.
   * @param reason a label from a small fixed set
   */
  discard(reason: string): void {
    if (this.#settled) return;
    this.#settled = true;
    this.owner.discarded(this, reason);
  }
}
