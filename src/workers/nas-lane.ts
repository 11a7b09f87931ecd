/**
 * The way to one NAS: what waits for it, what may go, what is under way. Enters: ids that wait, runs whose attempt is committed. Leaves: results, in
 * whatever order they come. Invariants: no more calls at once and places per second than the NAS takes; loosenings go first; a dead NAS gets one
 * probe at a time; nothing of a lane ever waits for another one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Tendency } from '../domain/tightening.js';
import type { CommandResult, EnforcementRun, RunResult } from '../nas/driver.js';
import { CircuitBreaker } from './circuit-breaker.js';
import type { CommandedNas } from './commanded-nas.js';
import { RefusalWatch } from './refusal-watch.js';
import type { BegunRun, LaneLesson, RunResults } from './run-outcome.js';
import { TokenBucket } from './token-bucket.js';
import { TroubleLog } from './trouble-log.js';

/** Ids that may wait in one lane. Of a NAS with more, all are looked at again when there is room. */
const MAX_WAITING = 200_000;
/** How long what is under way may take to end by itself when a driver is stopped, ms. */
const DRAIN_MS = 3_000;
/** Calls whose runs may be ready beside those under way, so that the NAS never waits for the database. */
const AHEAD = 1;

export interface LaneEvents {
  /** A run has ended. */
  readonly onResult: (ready: ReadyRun, results: RunResults) => void;
  /** There is room for runs, and some wait. */
  readonly onRoom: () => void;
  /** It answers again. @param silentMs for how long it had counted as dead */
  readonly onReturn: (silentMs: number) => void;
}

export interface LaneDeps extends LaneEvents {
  readonly nas: CommandedNas;
  readonly isOwner: () => boolean;
  readonly log: Logger;
  /** Monotonic, ms. */
  readonly nowMs: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
}

/** The order in which what waits is taken. */
const ORDER: readonly Tendency[] = ['loosening', 'neither', 'tightening'];

/** A run whose attempt is committed. */
export interface ReadyRun {
  /** When its attempt was committed, ms since 1970. */
  readonly plannedAtMs: number;
  readonly begun: BegunRun;
  readonly run: EnforcementRun;
}

/** What people see of a lane. */
export interface LaneView {
  readonly breaker: 'closed' | 'open' | 'half-open' | 'refusing';
  readonly reason: string | null;
  readonly waiting: number;
  readonly inFlight: number;
}

export class NasLane {
  readonly nas: CommandedNas;
  readonly #deps: LaneDeps;
  readonly #waiting: Readonly<Record<Tendency, Set<number>>> = {
    loosening: new Set(),
    neither: new Set(),
    tightening: new Set(),
  };
  readonly #breaker: CircuitBreaker;
  readonly #refusals = new RefusalWatch();
  readonly #tokens: TokenBucket;
  readonly #troubles: TroubleLog;
  #ready: ReadyRun[] = [];
  #calls = 0;
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #retired = false;
  #overflowed = false;
  #idle: (() => void)[] = [];
  #reason: string | null = null;

  constructor(deps: LaneDeps) {
    this.#deps = deps;
    this.nas = deps.nas;
    this.#breaker = new CircuitBreaker(deps.random);
    this.#tokens = new TokenBucket(deps.nas.commandsPerSecond, deps.nowMs());
    this.#troubles = new TroubleLog(deps.log, deps.nas.name, deps.nowMs);
  }

  get view(): LaneView {
    const nowMs = this.#deps.nowMs();
    const breaker = this.#breaker.state(nowMs);
    return {
      breaker: breaker === 'closed' && this.#refusals.isPaused(nowMs) ? 'refusing' : breaker,
      reason: breaker === 'closed' && !this.#refusals.isPaused(nowMs) ? null : this.#reason,
      waiting: this.waiting + this.#ready.length,
      inFlight: this.#underWay,
    };
  }

  /** Ids that wait for room. */
  get waiting(): number {
    return this.#waiting.loosening.size + this.#waiting.neither.size + this.#waiting.tightening.size;
  }

  /** Whether the NAS may be sent anything at this moment. */
  get isOpen(): boolean {
    return !this.#retired && this.#breaker.mayBegin(this.#deps.nowMs());
  }

  /** Whether more waited than is remembered. Asking forgets it. */
  takeOverflow(): boolean {
    const overflowed = this.#overflowed;
    this.#overflowed = false;
    return overflowed;
  }

  /** Remembers that an enforcement waits; one that waits for the same keeps its place. */
  wait(id: number, urgency: Tendency): void {
    for (const other of ORDER) if (other !== urgency) this.#waiting[other].delete(id);
    if (this.waiting >= MAX_WAITING) this.#overflowed = true;
    else this.#waiting[urgency].add(id);
    this.#wakeLater();
  }

  has(id: number): boolean {
    return ORDER.some((tendency) => this.#waiting[tendency].has(id));
  }

  /** How many runs of a kind may be begun now. */
  roomFor(tendency: Tendency): number {
    const { nas, nowMs, isOwner } = this.#deps;
    if (this.#retired || nas.driver === undefined || !isOwner()) return 0;
    const now = nowMs();
    if (!this.#breaker.mayBegin(now)) return 0;
    if (this.#breaker.state(now) === 'half-open') return this.#ready.length + this.#underWay === 0 ? 1 : 0;
    if (tendency === 'tightening' && this.#refusals.isPaused(now)) return 0;
    if (!this.#tokens.has(now)) return 0;
    const most = nas.parallelCalls * (1 + AHEAD) * nas.driver.maxBatchRuns;
    return Math.max(0, most - this.#ready.length - this.#underWay);
  }

  /** Takes ids that wait, as many as there is room for. */
  takeWaiting(limit: number): number[] {
    const taken: number[] = [];
    for (const tendency of ORDER) {
      const room = Math.min(limit, this.roomFor(tendency)) - taken.length;
      let left = room;
      for (const id of this.#waiting[tendency]) {
        if (left-- <= 0) break;
        taken.push(id);
        this.#waiting[tendency].delete(id);
      }
    }
    if (this.waiting > 0) this.#wakeLater();
    return taken;
  }

  /** Sends runs whose attempts are committed, as soon as the NAS takes them. */
  begin(runs: readonly ReadyRun[]): void {
    this.#ready.push(...runs);
    this.#pump();
  }

  /**
   * What is learnt from a run: whether the NAS is there, and agrees.
   *
   * @param last its last result; undefined: nothing was said
   */
  learn(lesson: LaneLesson, login: string, last: CommandResult | undefined): void {
    const { nowMs, log, nas, onReturn } = this.#deps;
    const now = nowMs();
    const text = last?.outcome.text ?? '';
    if (last !== undefined) this.#troubles.note(login, last);
    if (lesson === 'none') this.#breaker.abandoned();
    else if (lesson === 'silent') {
      if (this.#breaker.silent(now)) {
        this.#reason = text;
        log.error(
          { nas: nas.name, reason: text },
          'the NAS does not answer: its commands wait, others are not delayed',
        );
        this.#giveBack();
      }
    } else {
      const silentMs = this.#breaker.answered(now);
      if (silentMs !== undefined) {
        log.info({ nas: nas.name, silentSeconds: Math.round(silentMs / 1000) }, 'the NAS answers again');
        clearTimeout(this.#timer);
        this.#timer = undefined;
        onReturn(silentMs);
      }
      if (this.#refusals.note(lesson === 'refused', now)) {
        this.#reason = text;
        log.error(
          { nas: nas.name, reason: text },
          'the NAS refuses most commands: blocking and redirecting on it is paused',
        );
      }
    }
    this.#wakeLater();
  }

  /**
   * Begins nothing more, and returns when nothing is under way.
   *
   * @param stopsDriver whether its connections end, too: what is under way then ends soon
   */
  async retire(stopsDriver: boolean): Promise<void> {
    this.#retired = true;
    clearTimeout(this.#timer);
    this.#giveBack();
    const idle = this.#calls > 0 ? new Promise<void>((resolve) => this.#idle.push(resolve)) : Promise.resolve();
    if (stopsDriver) {
      await Promise.race([idle, delay(DRAIN_MS, undefined, { ref: false })]);
      await this.nas.driver?.stop();
    }
    await idle;
  }

  /** Runs that were not sent come back as such: they will be looked at again before they are. */
  #giveBack(): void {
    const ready = this.#ready;
    this.#ready = [];
    for (const one of ready) this.#deps.onResult(one, []);
  }

  #pump(): void {
    const { nas, nowMs, isOwner } = this.#deps;
    const { driver } = nas;
    if (driver === undefined) return;
    while (this.#ready.length > 0 && this.#calls < nas.parallelCalls) {
      const now = nowMs();
      if (this.#retired || !isOwner() || !this.#breaker.mayBegin(now)) {
        this.#giveBack();
        return;
      }
      if (!this.#tokens.has(now)) break;
      const batch = this.#ready.splice(0, driver.maxBatchRuns);
      // A wiped router is told five commands of every place, in one exchange: counted one by one they would take it half a minute.
      this.#tokens.take(batch.length, now);
      this.#breaker.began(now);
      void this.#call(batch);
    }
    this.#wakeLater();
  }

  async #call(batch: readonly ReadyRun[]): Promise<void> {
    const { nas, isOwner, log, onResult } = this.#deps;
    this.#calls += 1;
    this.#underWay += batch.length;
    let byId: ReadonlyMap<number, RunResults> | undefined;
    try {
      const results = await nas.driver!.run(
        batch.map(({ run }) => run),
        isOwner,
      );
      byId = new Map(results.map((one) => [one.enforcementId, withoutUnowned(one.results, isOwner())]));
    } catch (error) {
      // A driver never throws for what a NAS did: this is a mistake of ours, and the run may have been sent.
      log.error({ err: error, nas: nas.name }, 'a driver failed');
    }
    this.#calls -= 1;
    this.#underWay -= batch.length;
    for (const one of batch) onResult(one, byId === undefined ? 'unknown' : (byId.get(one.run.enforcementId) ?? []));
    this.#pump();
    if (this.#calls === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Asks for runs when there is room for what waits. */
  #wakeLater(): void {
    if (this.#retired || this.#timer !== undefined) return;
    if (this.waiting === 0 && this.#ready.length === 0) return;
    const now = this.#deps.nowMs();
    const waitMs = Math.max(this.#breaker.waitMs(now), this.#tokens.waitMs(now));
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (this.#ready.length > 0) this.#pump();
        if (
          this.waiting > 0 &&
          ORDER.some((tendency) => this.#waiting[tendency].size > 0 && this.roomFor(tendency) > 0)
        )
          this.#deps.onRoom();
        else if (this.waiting > 0) this.#wakeAfterPause();
      },
      Math.max(1, waitMs),
    );
  }

  #wakeAfterPause(): void {
    const pausedMs = this.#refusals.waitMs(this.#deps.nowMs());
    if (pausedMs <= 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#wakeLater();
    }, pausedMs);
  }
}

/** What was not sent because the NAS is no longer certainly ours says nothing about the NAS. */
function withoutUnowned(results: RunResult['results'], isOwner: boolean): RunResult['results'] {
  if (isOwner) return results;
  return results.filter(({ outcome }) => outcome.outcome !== 'unreachable' || outcome.reached !== 'never');
}
