// The RADIUS service: sockets, admission, duplicates, handler, held Rejects.
// In: datagrams. Out: AdmittedRequests for the handler, replies from the socket that was asked, counts.
// Invariant: every datagram ends as an admitted request, a repeated reply or a counted drop; nothing a sender does stops the
// service or grows it without bound; after `stop` no handler is called.

import { admit, type RadiusPort, type SourceTable } from './admission.js';
import { AdmittedRequest, type RequestOwner } from './admitted-request.js';
import { Code } from './code.js';
import { DelayedReplies, systemTimers, type Timers } from './delayed-reply.js';
import { DropLedger, type DropCount, type DropListener } from './drop-ledger.js';
import { DuplicateTable } from './duplicate-table.js';
import { ReceiveTurns } from './receive-turns.js';
import { UdpListener, type ListenOptions } from './listener.js';
import type { RadiusWatch } from './radius-observer.js';

/** Requests in hand at once; more means that answers would come after the NAS gave up. */
export const defaultMaxInHand = 20_000;

/** Options of a RadiusServer. */
export interface RadiusServerOptions {
  readonly auth: readonly ListenOptions[];
  readonly accounting: readonly ListenOptions[];
  /**
   * Inherited sockets for authentication stay unread until `openHeldBack`: what waits in them would be discarded while nothing can be
   * decided yet. Default false.
   */
  readonly holdBackInheritedAuth?: boolean;
  readonly sources: SourceTable;
  /** Answers or discards each request, now or later. What it throws is counted, and told to `onError`. */
  readonly handler: (request: AdmittedRequest) => void;
  readonly onDrop: DropListener;
  readonly onError: (error: unknown, request: AdmittedRequest) => void;
  /** Monotonic clock, ms; default performance.now. */
  readonly nowMs?: () => number;
  /** Wall clock, ms since 1970; default Date.now. */
  readonly epochMs?: () => number;
  readonly timers?: Timers;
  readonly duplicateLifetimeMs?: number;
  readonly maxDuplicateEntries?: number;
  readonly rejectDelayMs?: number;
  readonly rejectJitterMs?: number;
  readonly maxHeldRejects?: number;
  readonly maxInHand?: number;
  /** Where to look for somebody who watches; default nobody. */
  readonly watch?: RadiusWatch;
}

/** Counters of a running server. */
export interface RadiusServerCounters {
  readonly admitted: number;
  /** Retransmissions that got the remembered reply. */
  readonly repeated: number;
  /** Replies sent, by packet code, repeated ones not included. */
  readonly sentByCode: ReadonlyMap<number, number>;
  readonly inHand: number;
  readonly heldRejects: number;
  readonly duplicateEntries: number;
  readonly duplicateEvictions: number;
  readonly sendErrors: number;
}

interface HeldReject {
  readonly request: AdmittedRequest;
  readonly bytes: Buffer;
}

/** Answers RADIUS. Start it once, stop it once. */
export class RadiusServer implements RequestOwner {
  /** Whether datagrams wait to be read. */
  readonly turns = new ReceiveTurns();
  readonly #options: RadiusServerOptions;
  readonly #timers: Timers;
  readonly #duplicates: DuplicateTable;
  readonly #rejects: DelayedReplies<HeldReject>;
  readonly #drops: DropLedger;
  readonly #maxInHand: number;
  readonly #watch: RadiusWatch;
  readonly #epochMs: () => number;
  readonly #listeners: UdpListener[] = [];
  readonly #sentByCode = new Map<number, number>();
  #admitted = 0;
  #repeated = 0;
  #draining = false;
  #heldBack: readonly ListenOptions[] = [];
  #onIdle: (() => void) | undefined;

  constructor(options: RadiusServerOptions) {
    this.#options = options;
    const nowMs = options.nowMs ?? ((): number => performance.now());
    this.#epochMs = options.epochMs ?? Date.now;
    this.#watch = options.watch ?? {};
    this.#timers = options.timers ?? systemTimers;
    this.#maxInHand = options.maxInHand ?? defaultMaxInHand;
    this.#drops = new DropLedger({ nowMs, onDrop: options.onDrop });
    this.#duplicates = new DuplicateTable({
      nowMs,
      ...(options.duplicateLifetimeMs === undefined ? {} : { lifetimeMs: options.duplicateLifetimeMs }),
      ...(options.maxDuplicateEntries === undefined ? {} : { maxEntries: options.maxDuplicateEntries }),
    });
    this.#rejects = new DelayedReplies<HeldReject>({
      nowMs,
      timers: this.#timers,
      deliver: ({ request, bytes }) => this.#send(request, bytes),
      ...(options.rejectDelayMs === undefined ? {} : { minDelayMs: options.rejectDelayMs }),
      ...(options.rejectJitterMs === undefined ? {} : { jitterMs: options.rejectJitterMs }),
      ...(options.maxHeldRejects === undefined ? {} : { maxHeld: options.maxHeldRejects }),
    });
  }

  /**
   * Opens all sockets, but for those that are held back.
   * @throws ListenError for the first that cannot be had; the others are closed again
   */
  async start(): Promise<void> {
    const isHeldBack = (listen: ListenOptions): boolean =>
      this.#options.holdBackInheritedAuth === true && listen.descriptor !== undefined;
    this.#heldBack = this.#options.auth.filter(isHeldBack);
    try {
      for (const listen of this.#options.auth) if (!isHeldBack(listen)) await this.#open(listen, 'auth');
      for (const listen of this.#options.accounting) await this.#open(listen, 'accounting');
    } catch (error) {
      await this.#closeAll();
      throw error;
    }
  }

  /**
   * Opens what was held back. A second call does nothing.
   * @throws ListenError
   */
  async openHeldBack(): Promise<void> {
    const heldBack = this.#draining ? [] : this.#heldBack;
    this.#heldBack = [];
    for (const listen of heldBack) await this.#open(listen, 'auth');
  }

  /**
   * Stops: new requests are dropped at once (the NAS asks another server), or wait in an inherited socket for the next process; those in
   * hand may finish, held Rejects get their time, then the sockets close.
   * @param drainMs how long to wait for that at most
   */
  async stop(drainMs: number): Promise<void> {
    this.#draining = true;
    for (const listener of this.#listeners) if (listener.isInherited) listener.stopReading();
    if (!this.#isIdle())
      await new Promise<void>((resolve) => {
        const timer = this.#timers.setTimeout(resolve, drainMs);
        this.#onIdle = () => {
          this.#timers.clearTimeout(timer);
          resolve();
        };
      });
    this.#onIdle = undefined;
    this.#rejects.clear();
    await this.#closeAll();
  }

  /** Open sockets of a port, with the ports that the system chose. */
  get listeners(): readonly UdpListener[] {
    return this.#listeners;
  }

  /** Counters at this moment. */
  counters(): RadiusServerCounters {
    return {
      admitted: this.#admitted,
      repeated: this.#repeated,
      sentByCode: new Map(this.#sentByCode),
      inHand: this.#duplicates.inHand,
      heldRejects: this.#rejects.held,
      duplicateEntries: this.#duplicates.size,
      duplicateEvictions: this.#duplicates.evicted,
      sendErrors: this.#listeners.reduce((sum, listener) => sum + listener.sendErrors, 0),
    };
  }

  /** Drops by group and reason. */
  drops(): Iterable<DropCount> {
    return this.#drops.counts();
  }

  /** For AdmittedRequest only. */
  replied(request: AdmittedRequest, bytes: Buffer): void {
    if (bytes[0] !== Code.accessReject) this.#send(request, bytes);
    else if (!this.#rejects.hold({ request, bytes })) this.discarded(request, 'too-many-rejects');
  }

  /** For AdmittedRequest only. */
  discarded(request: AdmittedRequest, reason: string): void {
    this.#duplicates.forget(request.duplicateEntry);
    this.#drops.drop(reason, request.group.name, request.sourceAddress);
    this.#watch.current?.discarded(request, reason);
    this.#checkIdle();
  }

  async #open(listen: ListenOptions, port: RadiusPort): Promise<void> {
    const socket = this.#listeners.length;
    const listener = await UdpListener.open(listen, (datagram, address, sourcePort, from) => {
      this.turns.note();
      this.#receive(socket, port, datagram, address, sourcePort, from);
    });
    this.#listeners.push(listener);
  }

  #receive(
    socket: number,
    port: RadiusPort,
    datagram: Buffer,
    address: string,
    sourcePort: number,
    listener: UdpListener,
  ): void {
    const admission = admit(this.#options.sources, port, datagram, address);
    if (!admission.ok) {
      this.#drops.drop(admission.reason, admission.group?.name, address);
      this.#watch.current?.refused(datagram, admission.reason, admission.group, address, sourcePort);
      return;
    }
    const { packet, group } = admission;
    const known = this.#duplicates.find(socket, address, sourcePort, packet);
    if (known !== undefined) {
      const reply = this.#duplicates.replyOf(known);
      this.#watch.current?.repeated(packet, group, address, sourcePort, reply);
      if (reply === undefined) {
        this.#drops.drop('duplicate-in-hand', group.name, address);
      } else {
        this.#repeated++;
        listener.send(reply, address, sourcePort);
      }
      return;
    }
    if (this.#draining || this.#duplicates.inHand >= this.#maxInHand) {
      const reason = this.#draining ? 'draining' : 'overloaded';
      this.#drops.drop(reason, group.name, address);
      this.#watch.current?.refused(datagram, reason, group, address, sourcePort);
      return;
    }
    this.#admitted++;
    const request = new AdmittedRequest(
      this,
      packet,
      port,
      address,
      sourcePort,
      group,
      admission.secret,
      admission.secretIsProven,
      this.#epochMs(),
      listener,
      this.#duplicates.add(socket, address, sourcePort, packet),
    );
    this.#watch.current?.arrived(request);
    try {
      this.#options.handler(request);
    } catch (error) {
      this.#options.onError(error, request);
      request.discard('handler-error');
    }
  }

  #send(request: AdmittedRequest, bytes: Buffer): void {
    this.#duplicates.answer(request.duplicateEntry, bytes);
    request.listener.send(bytes, request.sourceAddress, request.sourcePort);
    const code = bytes[0]!;
    this.#sentByCode.set(code, (this.#sentByCode.get(code) ?? 0) + 1);
    this.#watch.current?.sent(request, bytes);
    this.#checkIdle();
  }

  // A held Reject is in hand too, until it is sent.
  #isIdle(): boolean {
    return this.#duplicates.inHand === 0 && this.#rejects.held === 0;
  }

  #checkIdle(): void {
    if (this.#onIdle !== undefined && this.#isIdle()) this.#onIdle();
  }

  async #closeAll(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }
}
