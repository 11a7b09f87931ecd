/**
 * Asks DHCP servers for leases. Enters: a server and a question; packets that may be answers. Leaves: what the server knows, or silence and its
 * reason. Invariants: only what carries the number of an open question, comes from the address and port that were asked, and speaks of what was
 * asked is an answer; a question is repeated with the same octets; questions, waits and memory are bounded; nothing is ever sent but questions
 * to the servers that a caller names.
 */
import { randomInt } from 'node:crypto';
import {
  answersQuestion,
  encodeLeaseQuery,
  readLeaseAnswer,
  type LeaseAnswer,
  type LeaseQuestion,
} from './lease-query.js';
import type { DhcpPacket } from './packet.js';

/** Time and timers; a test decides when something is due. */
export interface DhcpClock {
  /** ms since 1970 */
  nowMs(): number;
  /** Runs `run` once after `delayMs`; the returned function calls it off. */
  startTimer(delayMs: number, run: () => void): () => void;
}

/** A DHCP server that answers leasequeries. */
export interface LeaseServer {
  /** IPv4, dotted. */
  readonly address: string;
  readonly port: number;
}

/** How a server is reached. */
export interface LeaseRoute {
  /** Address of this host that the server answers to, unsigned 32-bit number; something listens there on port 67. */
  readonly giaddr: number;
  readonly send: (octets: Buffer) => void;
}

/** Waits for an answer, ms, one after each sending: a server on the same site answers in a few, and three losses in a row are an outage. */
const waitsMs = [500, 1_000, 2_000] as const;
/** Waits differ by up to this part, so that repetitions after an outage do not come as one wave (RFC 2131 §4.1). */
const jitter = 0.1;
/** Numbers that are tried for a new question; among 2^32 a second one is never needed but by a broken source of chance. */
const maxXidAttempts = 16;

/** Why there is no answer. */
export type QuerySilence =
  | 'timeout'
  | 'stopped'
  /** As many questions to this server are open as are allowed. */
  | 'busy'
  /** No address of this host reaches the server. */
  | 'no-route';

export type QueryOutcome = LeaseAnswer | { readonly answer: 'silence'; readonly reason: QuerySilence };

/** Why a packet was no answer. */
export type StrayAnswer = 'answer-unexpected' | 'answer-wrong-source' | 'answer-malformed';

export interface LeaseQueryClientOptions {
  readonly clock: DhcpClock;
  /** Asked before each question. */
  readonly routeTo: (server: LeaseServer) => Promise<LeaseRoute | undefined>;
  /** Open questions to one server at most, so that a dead one does not take the places of the others. */
  readonly maxInFlight: number;
  /** 0 up to 1; chance for jitter. */
  readonly random?: () => number;
  /** Numbers of questions; they are hard to guess, for a forged answer has to carry one. */
  readonly nextXid?: () => number;
}

interface OpenQuestion {
  readonly server: LeaseServer;
  readonly question: LeaseQuestion;
  readonly settle: (outcome: QueryOutcome) => void;
}

/** Asks any number of servers. */
export class LeaseQueryClient {
  readonly #clock: DhcpClock;
  readonly #routeTo: LeaseQueryClientOptions['routeTo'];
  readonly #maxInFlight: number;
  readonly #random: () => number;
  readonly #nextXid: () => number;
  readonly #open = new Map<number, OpenQuestion>();
  /** By server; those at zero are forgotten. */
  readonly #inFlight = new Map<string, number>();
  #stopped = false;

  constructor(options: LeaseQueryClientOptions) {
    this.#clock = options.clock;
    this.#routeTo = options.routeTo;
    this.#maxInFlight = options.maxInFlight;
    this.#random = options.random ?? Math.random;
    this.#nextXid = options.nextXid ?? (() => randomInt(1, 2 ** 32));
  }

  /** Questions that wait for an answer. */
  get inFlight(): number {
    let sum = 0;
    for (const count of this.#inFlight.values()) sum += count;
    return sum;
  }

  /** Asks one server. Never throws for what the network or the server does. */
  async ask(server: LeaseServer, question: LeaseQuestion): Promise<QueryOutcome> {
    const name = `${server.address} ${String(server.port)}`;
    const before = this.#inFlight.get(name) ?? 0;
    if (this.#stopped) return silence('stopped');
    if (before >= this.#maxInFlight) return silence('busy');
    this.#inFlight.set(name, before + 1);
    try {
      const route = await this.#routeTo(server);
      // While the route was looked for, the client may have been stopped.
      if (this.#stopped) return silence('stopped');
      return route === undefined ? silence('no-route') : await this.#converse(server, question, route);
    } finally {
      const now = this.#inFlight.get(name)! - 1;
      if (now > 0) this.#inFlight.set(name, now);
      else this.#inFlight.delete(name);
    }
  }

  /**
   * Takes a packet of one of the three types of answers.
   * @returns undefined when it answered a question, else why it did not
   */
  hear(packet: DhcpPacket, sourceAddress: string, sourcePort: number): StrayAnswer | undefined {
    const open = this.#open.get(packet.xid);
    if (open === undefined) return 'answer-unexpected';
    const { server, question } = open;
    if (server.address !== sourceAddress || server.port !== sourcePort) return 'answer-wrong-source';
    const answer = readLeaseAnswer(packet);
    if (answer === 'malformed' || !answersQuestion(packet, question)) return 'answer-malformed';
    open.settle(answer);
    return undefined;
  }

  /** Ends all questions as silence; later ones are not asked. */
  stop(): void {
    this.#stopped = true;
    for (const { settle } of [...this.#open.values()]) settle(silence('stopped'));
  }

  async #converse(server: LeaseServer, question: LeaseQuestion, route: LeaseRoute): Promise<QueryOutcome> {
    const xid = this.#freeXid();
    if (xid === undefined) return silence('busy');
    const octets = encodeLeaseQuery(question, xid, route.giaddr);
    return await new Promise<QueryOutcome>((resolve) => {
      let cancelTimer = (): void => undefined;
      const settle = (outcome: QueryOutcome): void => {
        if (!this.#open.delete(xid)) return;
        cancelTimer();
        resolve(outcome);
      };
      const send = (attempt: number): void => {
        const waitMs = waitsMs[attempt];
        if (waitMs === undefined) return settle(silence('timeout'));
        const jitteredMs = waitMs * (1 + jitter * (2 * this.#random() - 1));
        cancelTimer = this.#clock.startTimer(jitteredMs, () => send(attempt + 1));
        route.send(octets);
      };
      this.#open.set(xid, { server, question, settle });
      send(0);
    });
  }

  #freeXid(): number | undefined {
    for (let attempt = 0; attempt < maxXidAttempts; attempt++) {
      const xid = this.#nextXid();
      if (!this.#open.has(xid)) return xid;
    }
    return undefined;
  }
}

function silence(reason: QuerySilence): QueryOutcome {
  return { answer: 'silence', reason };
}
