/**
 * A NAS with hundreds of subscribers, as servers meet one: it logs in, starts, updates, stops, repeats what is not answered, and notes what was
 * acknowledged. Enters: households, servers, a rate, a seed. Leaves: traffic, and the notes. Invariants: a line has one request under
 * way; no accounting is given up before it is acknowledged, so at the end the notes are exactly what a server has to have.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import type { Packet } from '../../src/radius/packet.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { waitFor } from './deadline.js';
import { NasExchange } from './nas-exchange.js';
import type { Household } from './population.js';
import { accessRequest, accountingRequest, type BuiltRequest } from './radius-client.js';
import { seededRandom } from './seeded-random.js';

/** Where a server listens; `TestServer` is one. */
export interface RadiusPorts {
  readonly authPort: number;
  readonly accountingPort: number;
}

export interface BusyNasOptions {
  readonly households: readonly Household[];
  /** The first is asked first; after silence the next. A line may prefer another one: `preferred`. */
  readonly servers: readonly RadiusPorts[];
  readonly secret: string;
  readonly packetsPerSecond: number;
  readonly seed: number;
  /** NAS-IP-Address; default 127.0.0.1. */
  readonly nasIpAddress?: string;
  /** Index of the server that a line asks first; default 0. */
  readonly preferred?: (lineIndex: number) => number;
  /** How long an answer is waited for before the request is repeated, ms. */
  readonly retryMs?: number;
  /** Share of acknowledged accounting packets that is sent once more, to any of the servers. */
  readonly repeatShare?: number;
  /** Share of accounting packets that go to two servers at one instant. */
  readonly bothShare?: number;
  /** Share of steps of a live line that end its session. */
  readonly stopShare?: number;
  /** Hears of every answer. */
  readonly onAnswer?: (request: BuiltRequest, reply: Packet) => void;
}

/** What the NAS knows of one session of its own. */
export interface NotedSession {
  readonly acctSessionId: string;
  readonly login: string;
  readonly address: string;
  readonly startedAtMs: number;
  inputOctets: number;
  outputOctets: number;
  sessionSeconds: number;
  /** Its Stop was acknowledged. */
  stopped: boolean;
  /** A Start or an update was acknowledged: only then has the server to know it. */
  acknowledged: boolean;
}

/** Counted since the last `takeStats`. */
export interface TrafficStats {
  /** Requests, repetitions not counted. */
  requests: number;
  /** Requests of these that were answered at the first attempt. */
  answeredAtOnce: number;
  /** Times that something was sent again for want of an answer. */
  repetitions: number;
  accepts: number;
  rejects: number;
  acknowledged: number;
  /** Access-Requests given up without an answer. */
  abandoned: number;
  /** From the first attempt to the answer, ms. */
  readonly latenciesMs: number[];
}

interface Line {
  readonly index: number;
  readonly household: Household;
  readonly declaresDelay: boolean;
  readonly echoesClass: boolean;
  session: NotedSession | undefined;
  sessionClass: Buffer | undefined;
  lastAddress: string | undefined;
}

/** How often new requests are made, ms. */
const TICK_MS = 10;
/** An Access-Request is repeated this often, with the same octets, before the client is turned away. */
const ACCESS_ATTEMPTS = 3;

export class BusyNas {
  readonly notes: NotedSession[] = [];
  /** An address that the server gave while another line was using it. */
  readonly doubleAddresses: string[] = [];
  /** Lines that got another address than in their last session. */
  movedAddresses = 0;
  /** Reply-Messages of Rejects. */
  readonly rejectMessages: string[] = [];
  readonly #options: BusyNasOptions;
  readonly #exchange: NasExchange;
  readonly #secret: SharedSecret;
  readonly #random: () => number;
  readonly #idle: Line[];
  readonly #inUse = new Map<string, Line>();
  readonly #faults: unknown[] = [];
  #stats = freshStats();
  #running: Promise<void> | undefined;
  #stopping = false;
  #underWay = 0;
  #copies = 0;
  #sessionNumber = 0;

  private constructor(options: BusyNasOptions, exchange: NasExchange) {
    this.#options = options;
    this.#exchange = exchange;
    this.#secret = new SharedSecret(options.secret);
    this.#random = seededRandom(options.seed);
    this.#idle = options.households.map((household, index) => ({
      index,
      household,
      declaresDelay: index % 2 === 0,
      echoesClass: index % 4 !== 3,
      session: undefined,
      sessionClass: undefined,
      lastAddress: undefined,
    }));
  }

  static async open(options: BusyNasOptions): Promise<BusyNas> {
    const { onAnswer } = options;
    return new BusyNas(options, await NasExchange.open(onAnswer && { onAnswer }));
  }

  /** What was counted until now; from here it is counted anew. */
  takeStats(): TrafficStats {
    const stats = this.#stats;
    this.#stats = freshStats();
    return stats;
  }

  /** Replies that a strict client throws away. */
  get refusedReplies(): readonly string[] {
    return this.#exchange.refused;
  }

  /** Lines that are on the network now. */
  get liveLines(): number {
    return this.#idle.filter((line) => line.session !== undefined).length;
  }

  /** More lines, that never had an address. */
  connect(households: readonly Household[]): void {
    const first = this.#idle.length + this.#underWay;
    households.forEach((household, at) =>
      this.#idle.push({
        index: first + at,
        household,
        declaresDelay: at % 2 === 0,
        echoesClass: true,
        session: undefined,
        sessionClass: undefined,
        lastAddress: undefined,
      }),
    );
  }

  /** Begins to send. */
  start(): void {
    this.#stopping = false;
    this.#running = this.#run();
  }

  /**
   * Makes nothing new, and returns when everything that was made is acknowledged.
   *
   * @throws Error when that takes longer, or when something else than traffic went wrong
   */
  async finish(timeoutMs = 60_000): Promise<void> {
    this.#stopping = true;
    await this.#running;
    await waitFor('the NAS to get every accounting packet acknowledged', timeoutMs, () => this.#underWay === 0);
    await waitFor('the last copies', timeoutMs, () => this.#copies === 0);
    if (this.#faults.length > 0) throw this.#faults[0];
  }

  close(): void {
    this.#exchange.close();
  }

  async #run(): Promise<void> {
    let madeAtMs = performance.now();
    let tokens = 0;
    while (!this.#stopping) {
      await pause(TICK_MS);
      const nowMs = performance.now();
      // A machine that stood still for long does not make up for it in one burst.
      tokens = Math.min(
        tokens + ((nowMs - madeAtMs) / 1000) * this.#options.packetsPerSecond,
        this.#options.packetsPerSecond / 4,
      );
      madeAtMs = nowMs;
      while (tokens >= 1 && this.#idle.length > 0) {
        const at = Math.floor(this.#random() * this.#idle.length);
        const line = this.#idle[at]!;
        this.#idle[at] = this.#idle.at(-1)!;
        this.#idle.pop();
        tokens -= line.session === undefined ? 2 : 1;
        this.#underWay += 1;
        this.#step(line)
          .catch((error: unknown) => this.#faults.push(error))
          .finally(() => {
            this.#underWay -= 1;
            this.#idle.push(line);
          });
      }
    }
  }

  async #step(line: Line): Promise<void> {
    const { session } = line;
    if (session === undefined) {
      if (await this.#logIn(line)) await this.#account(line, line.session!, 'start');
      return;
    }
    session.inputOctets += Math.floor(this.#random() * 300_000_000);
    session.outputOctets += Math.floor(this.#random() * 1_500_000_000);
    session.sessionSeconds = Math.floor((Date.now() - session.startedAtMs) / 1000);
    if (this.#random() >= (this.#options.stopShare ?? 0.15)) return await this.#account(line, session, 'interimUpdate');
    this.#inUse.delete(session.address);
    await this.#account(line, session, 'stop');
    session.stopped = true;
    line.session = undefined;
  }

  /** @returns whether the client is let in */
  async #logIn(line: Line): Promise<boolean> {
    const { household } = line;
    const beganAt = performance.now();
    this.#stats.requests += 1;
    for (let round = 0; round < this.#options.servers.length; round++) {
      if (round > 0) this.#stats.repetitions += 1;
      const reply = await this.#exchange.ask(
        this.#serverOf(line, round).authPort,
        (identifier) =>
          accessRequest({
            secret: this.#secret,
            identifier,
            userName: household.login,
            password: household.password,
            callingStationId: household.mac,
            nasIpAddress: this.#options.nasIpAddress ?? '127.0.0.1',
          }),
        { timeoutMs: this.#retryMs, attempts: ACCESS_ATTEMPTS },
      );
      if (reply === undefined) continue;
      this.#answered(beganAt);
      if (reply.code !== Code.accessAccept) {
        this.#stats.rejects += 1;
        this.rejectMessages.push(`${household.login}: ${reply.text(Attribute.replyMessage) ?? ''}`);
        return false;
      }
      this.#stats.accepts += 1;
      this.#begin(line, reply.address(Attribute.framedIpAddress) ?? 'none', reply.first(Attribute.class));
      return true;
    }
    this.#stats.abandoned += 1;
    return false;
  }

  #begin(line: Line, address: string, sessionClass: Buffer | undefined): void {
    const { login, staticAddress } = line.household;
    const user = this.#inUse.get(address);
    if (user !== undefined && user !== line) this.doubleAddresses.push(`${address}: ${user.household.login}, ${login}`);
    if (staticAddress !== undefined && staticAddress !== address)
      this.doubleAddresses.push(`${login}: ${address} in place of ${staticAddress}`);
    if (line.lastAddress !== undefined && line.lastAddress !== address) this.movedAddresses += 1;
    this.#inUse.set(address, line);
    line.lastAddress = address;
    line.sessionClass = line.echoesClass ? sessionClass && Buffer.from(sessionClass) : undefined;
    this.#sessionNumber += 1;
    line.session = {
      acctSessionId: `${this.#options.seed.toString(16)}-${String(this.#sessionNumber)}`,
      login,
      address,
      startedAtMs: Date.now(),
      inputOctets: 0,
      outputOctets: 0,
      sessionSeconds: 0,
      stopped: false,
      acknowledged: false,
    };
    this.notes.push(line.session);
  }

  /** Sends until somebody acknowledges: a new Identifier each time, and a new Acct-Delay-Time from NASes that know it. */
  async #account(line: Line, session: NotedSession, status: 'start' | 'interimUpdate' | 'stop'): Promise<void> {
    const beganAt = performance.now();
    this.#stats.requests += 1;
    if (this.#random() < (this.#options.bothShare ?? 0)) this.#sendCopy(line, session, status, 1, beganAt);
    for (let attempt = 0; ; attempt++) {
      if (attempt > 0) this.#stats.repetitions += 1;
      if (await this.#send(line, session, status, attempt, beganAt)) break;
    }
    this.#answered(beganAt);
    this.#stats.acknowledged += 1;
    session.acknowledged = true;
    if (this.#random() < (this.#options.repeatShare ?? 0.05)) {
      const any = Math.floor(this.#random() * this.#options.servers.length);
      this.#sendCopy(line, session, status, any, beganAt);
    }
  }

  /** Once, whether it is answered or not. */
  #sendCopy(
    line: Line,
    session: NotedSession,
    status: 'start' | 'interimUpdate' | 'stop',
    attempt: number,
    beganAt: number,
  ): void {
    this.#copies += 1;
    // With the octets of now: by the time it arrives the session may have gone on.
    void this.#send(line, { ...session }, status, attempt, beganAt).finally(() => (this.#copies -= 1));
  }

  async #send(
    line: Line,
    session: NotedSession,
    status: 'start' | 'interimUpdate' | 'stop',
    attempt: number,
    beganAt: number,
  ): Promise<boolean> {
    const counters = {
      inputOctets: session.inputOctets,
      outputOctets: session.outputOctets,
      sessionSeconds: session.sessionSeconds,
    };
    const reply = await this.#exchange.ask(
      this.#serverOf(line, attempt).accountingPort,
      (identifier) =>
        accountingRequest({
          secret: this.#secret,
          identifier,
          status,
          userName: session.login,
          callingStationId: line.household.mac,
          nasIpAddress: this.#options.nasIpAddress ?? '127.0.0.1',
          acctSessionId: session.acctSessionId,
          framedIpAddress: session.address,
          ...(line.declaresDelay ? { delaySeconds: Math.floor((performance.now() - beganAt) / 1000) } : {}),
          ...(status === 'start' ? {} : counters),
          ...(status === 'stop' ? { terminateCause: 1 } : {}),
          ...(line.sessionClass === undefined ? {} : { class: line.sessionClass }),
        }),
      { timeoutMs: this.#retryMs },
    );
    return reply !== undefined;
  }

  #answered(beganAt: number): void {
    const tookMs = performance.now() - beganAt;
    this.#stats.latenciesMs.push(tookMs);
    if (tookMs < this.#retryMs) this.#stats.answeredAtOnce += 1;
  }

  #serverOf(line: Line, attempt: number): RadiusPorts {
    const { servers, preferred } = this.#options;
    return servers[((preferred?.(line.index) ?? 0) + attempt) % servers.length]!;
  }

  get #retryMs(): number {
    return this.#options.retryMs ?? 3000;
  }
}

/** The smallest value that a share of the numbers does not exceed (nearest rank). */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** One line for `t.comment`. */
export function describeStats(stats: TrafficStats, seconds: number): string {
  const { requests, answeredAtOnce, repetitions, accepts, rejects, acknowledged, abandoned, latenciesMs } = stats;
  const ms = (share: number): string => quantile(latenciesMs, share).toFixed(1);
  return (
    `${String(requests)} requests in ${seconds.toFixed(1)} s (${(requests / seconds).toFixed(0)}/s), ${String(answeredAtOnce)} answered at once, ` +
    `${String(accepts)} Accepts, ${String(rejects)} Rejects, ${String(acknowledged)} accounting acknowledged, ` +
    `${String(repetitions)} repetitions, ${String(abandoned)} given up; p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms, longest ${ms(1)} ms`
  );
}

function freshStats(): TrafficStats {
  return {
    requests: 0,
    answeredAtOnce: 0,
    repetitions: 0,
    accepts: 0,
    rejects: 0,
    acknowledged: 0,
    abandoned: 0,
    latenciesMs: [],
  };
}
