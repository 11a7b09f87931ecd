/**
 * DHCPREQUESTs that wait until a server says what came of them. Enters: the event of a DHCPREQUEST and the relay that copied it. Leaves: a
 * `commit` when a server says that this client has the address; the hint itself when no server said anything of use; nothing when all say
 * that he does not. Invariants: nothing is a commit without a server's word for the same address and MAC; the number that wait is bounded, and
 * what is beyond it is passed on as a hint, never lost.
 */
import type { LeaseEvent } from '../domain/lease-event.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { KnownLease, LeaseQuestion } from './lease-query.js';
import type { DhcpClock, LeaseServer, QueryOutcome } from './lease-query-client.js';
import { commitOf } from './packet-event.js';
import type { Relay } from './relay-table.js';

/**
 * Pause before the first question, ms: the server sees the DHCPREQUEST when we see the copy, and writes its answer to disk before it sends it;
 * the subscriber still gets on within the second.
 */
export const firstPauseMs = 300;
/** Pause before the second and last one, ms: for a server that was busy. */
export const secondPauseMs = 2_000;
/** A server counts in whole seconds, so what it did in the second of the DHCPREQUEST may seem to be this much older, ms. */
const secondsGrainMs = 1_000;

/** What became of a DHCPREQUEST, where it is not a commit. */
export type Unconfirmed = 'repeated' | 'too-many-held' | 'not-confirmed' | 'no-answer';

export interface RequestConfirmationOptions {
  readonly clock: DhcpClock;
  readonly ask: (server: LeaseServer, question: LeaseQuestion) => Promise<QueryOutcome>;
  /** A commit, or a hint that is passed on. */
  readonly deliver: (event: LeaseEvent, relay: Relay) => void;
  readonly note: (reason: Unconfirmed, relay: Relay) => void;
  /** DHCPREQUESTs that wait at most. */
  readonly maxHeld: number;
}

interface Held {
  event: LeaseEvent;
  readonly relay: Relay;
  readonly address: number;
  /** Ends the pause that it is in. */
  cancelTimer: () => void;
}

/** What the servers said in one round. */
interface Round {
  open: number;
  silent: number;
  /** The client has the address, and the server has not heard of this DHCPREQUEST yet. */
  earlier: { readonly lease: KnownLease; readonly atMs: number } | undefined;
}

export class RequestConfirmation {
  readonly #options: RequestConfirmationOptions;
  readonly #held = new Map<string, Held>();

  constructor(options: RequestConfirmationOptions) {
    this.#options = options;
  }

  /** DHCPREQUESTs that wait. */
  get held(): number {
    return this.#held.size;
  }

  /** Takes a DHCPREQUEST of a relay that has leasequery servers. */
  hold(event: LeaseEvent, relay: Relay): void {
    const { clock, maxHeld, deliver, note } = this.#options;
    const address = parseIpv4Address(event.address);
    // Without a MAC there is nothing that the answer could be compared with.
    if (event.mac === null || address === undefined) return deliver(event, relay);
    const key = `${relay.name} ${event.address} ${event.mac}`;
    const before = this.#held.get(key);
    if (before !== undefined) {
      // A client that repeats itself, or one packet that came straight and through the relay: only the latter knows the line.
      if (before.event.line === null) before.event = { ...before.event, line: event.line };
      return note('repeated', relay);
    }
    if (this.#held.size >= maxHeld) {
      note('too-many-held', relay);
      return deliver(event, relay);
    }
    const held: Held = { event, relay, address, cancelTimer: () => undefined };
    this.#held.set(key, held);
    const second = (): void => this.#ask(key, held, (round) => this.#conclude(key, held, round));
    const first = (): void =>
      this.#ask(key, held, (round) => {
        // Silence has been repeated enough; a wrong or an old answer may be one that came too early.
        if (round.silent > 0) this.#conclude(key, held, round);
        else held.cancelTimer = clock.startTimer(secondPauseMs, second);
      });
    held.cancelTimer = clock.startTimer(firstPauseMs, first);
  }

  /** Passes on everything that waits as hints. */
  stop(): void {
    for (const [key, held] of [...this.#held]) {
      this.#held.delete(key);
      held.cancelTimer();
      this.#options.deliver(held.event, held.relay);
    }
  }

  /** Asks all servers of the relay at once: one that is down must not delay the word of another. */
  #ask(key: string, held: Held, onRound: (round: Round) => void): void {
    const servers = held.relay.leasequeryServers;
    const round: Round = { open: servers.length, silent: 0, earlier: undefined };
    for (const server of servers)
      void this.#options.ask(server, { by: 'address', address: held.address }).then((outcome) => {
        if (this.#held.get(key) !== held) return;
        round.open--;
        if (outcome.answer === 'silence') round.silent++;
        if (outcome.answer === 'active' && outcome.lease.mac === held.event.mac) {
          const { lease } = outcome;
          const atMs = this.#options.clock.nowMs();
          const lastAtMs = atMs - (lease.lastTransactionSeconds ?? 0) * 1_000;
          if (lastAtMs + secondsGrainMs >= held.event.receivedAtMs) return this.#commit(key, held, lease, atMs);
          round.earlier = { lease, atMs };
        }
        if (round.open === 0) onRound(round);
      });
  }

  #conclude(key: string, held: Held, round: Round): void {
    if (round.earlier !== undefined) return this.#commit(key, held, round.earlier.lease, round.earlier.atMs);
    this.#held.delete(key);
    const { deliver, note } = this.#options;
    if (round.silent === 0) return note('not-confirmed', held.relay);
    note('no-answer', held.relay);
    deliver(held.event, held.relay);
  }

  #commit(key: string, held: Held, lease: KnownLease, atMs: number): void {
    this.#held.delete(key);
    const { relay, event } = held;
    this.#options.deliver(commitOf(lease, { source: relay.name, atMs, line: event.line }), relay);
  }
}
