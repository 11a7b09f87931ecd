/**
 * Makes NASes follow the database. Enters: the change feed, the clock, the NASes of the configuration. Leaves: commands, and what is known by them.
 * Invariants: a NAS is commanded by its owner alone; one run of an enforcement is under way at a time, so that no older command follows a newer
 * one; nothing is queued but ids, so that ten changes while a NAS is away are one command; a crash between any two steps loses nothing, for
 * whoever takes a NAS over compares all of it.
 */
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { RateClock } from '../domain/effective-rate.js';
import type { FuseThresholds } from '../domain/fuse.js';
import type { FeedChanges } from '../store/change-feed.js';
import { type Enforcement, EnforcementReader } from '../store/enforcement-rows.js';
import { dueEnforcements, makeMissing, provisionSubscribers, scanPage } from '../store/enforcement-work.js';
import type { FoundSession } from '../store/sweeps.js';
import type { CommandedNas } from './commanded-nas.js';
import { DispatcherMeasures } from './dispatcher-measures.js';
import { EnforcementQueue } from './enforcement-queue.js';
import { type RoundResult, runRound } from './enforcement-round.js';
import { Loop } from './loop.js';
import { LaneKeeper } from './lane-keeper.js';
import type { NasLane } from './nas-lane.js';
import { rehearse } from './rehearsal.js';
import { type EndedRun, ResultWriter } from './result-writer.js';
import { type BegunRun, outcomeOfRun, type RunResults } from './run-outcome.js';

/** Rows of one kind in one round: some 10 ms of PostgreSQL and of our own. */
const SLICE = 300;
/** How often rounds are made without anybody asking, ms. */
const ROUND_INTERVAL_MS = 250;
/** How often the clock is asked what is due, and NASes without an owner are asked for, ms. */
const DUE_INTERVAL_MS = 250;
const OWNER_INTERVAL_MS = 500;
/** Due enforcements that are fetched for one NAS at once. */
const DUE_LIMIT = 300;
/** Rows made in one statement when a NAS is taken over. */
const MISSING_SLICE = 2_000;
/** A NAS that was silent for longer may have been restarted without telling, and lost its entries, ms. */
const RESTART_POSSIBLE_MS = 20_000;

export interface DispatcherDeps {
  readonly pool: Pool;
  readonly databaseUrl: string;
  readonly instance: string;
  readonly log: Logger;
  readonly rates: () => RateClock;
  readonly isOwnPool: (name: string) => boolean;
  readonly fuse: () => FuseThresholds;
  readonly totalSubscribers: () => number;
  /** Closes sessions that their NASes do not know, unless they were heard of since. */
  readonly closeGone: (sessions: readonly FoundSession[]) => Promise<void>;
  /** Nothing of these subscribers is left on a NAS: if they are deleted, their addresses may be free now. */
  readonly onLeft: (subscriberIds: readonly number[]) => void;
  /** A NAS may have lost its entries. */
  readonly spoil: (nasNames: readonly string[]) => Promise<void>;
  /** Monotonic, ms. */
  readonly nowMs?: () => number;
  /** From 0 up to 1. */
  readonly random?: () => number;
  /** Tests shorten it. */
  readonly abandonedGraceMs?: number;
}

interface InFlight {
  /** It was named again while it was under way. */
  again: boolean;
}

export class Dispatcher {
  readonly measures = new DispatcherMeasures();
  readonly #deps: DispatcherDeps;
  readonly #nowMs: () => number;
  readonly #random: () => number;
  readonly #keeper: LaneKeeper;
  readonly #reader: EnforcementReader;
  readonly #results: ResultWriter;
  readonly #queue = new EnforcementQueue();
  readonly #inFlight = new Map<number, InFlight>();
  /** Enforcements whose results were written since the round in hand began to read. */
  readonly #endedInRound = new Set<number>();
  /** When what waits in a lane was named (monotonic, ms). */
  readonly #namedAtMs = new Map<number, number>();
  readonly #rounds: Loop;
  readonly #loops: readonly Loop[];
  #databaseAheadMs = 0;
  #isRehearsed = false;
  #isInRound = false;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    this.#nowMs = deps.nowMs ?? (() => performance.now());
    this.#random = deps.random ?? Math.random;
    this.#reader = new EnforcementReader(deps.pool);
    const { pool, instance, log, databaseUrl } = deps;
    this.#keeper = new LaneKeeper({
      databaseUrl,
      instance,
      log,
      nowMs: this.#nowMs,
      random: this.#random,
      abandonedGraceMs: deps.abandonedGraceMs,
      onOpen: (nas) => this.#opened(nas),
      onClose: (nasName) => this.#queue.forgetNas(nasName),
      onResult: (lane, { begun, plannedAtMs }, results) => this.#ended(lane, begun, results, plannedAtMs),
      onRoom: () => this.#rounds.wake(),
      onReturn: (nas, silentMs) => void this.#returned(nas, silentMs),
    });
    this.#results = new ResultWriter({ pool, instance, log, onWritten: (ended, stale) => this.#written(ended, stale) });
    const loop = (name: string, intervalMs: number, run: () => Promise<boolean>): Loop =>
      new Loop({ name, intervalMs, run, log });
    this.#rounds = loop('enforcement-rounds', ROUND_INTERVAL_MS, () => this.round());
    this.#loops = [
      loop('nas-owner', OWNER_INTERVAL_MS, () => this.own()),
      loop('enforcement-due', DUE_INTERVAL_MS, () => this.fetchDue()),
      this.#rounds,
    ];
  }

  /** The lanes of the NASes that this instance owns. */
  get lanes(): ReadonlyMap<string, NasLane> {
    return this.#keeper.lanes;
  }

  /** Whether a NAS is this instance's beyond doubt, and commanded. */
  isOwner(nasName: string): boolean {
    return this.lanes.has(nasName) && this.#keeper.owner.isOwner(nasName);
  }

  /** Enforcements that are named, wait or are under way. */
  get backlog(): number {
    let waiting = 0;
    for (const lane of this.lanes.values()) waiting += lane.waiting;
    return this.#queue.size + waiting + this.#inFlight.size;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Whether everything that was named is done, and no scan or round is under way. */
  get isIdle(): boolean {
    return !this.#isInRound && this.#queue.isEmpty && this.backlog === 0 && this.#results.backlog === 0;
  }

  /** Takes another configuration: NASes that changed are commanded in the new way from the next command on. */
  configure(nases: readonly CommandedNas[]): void {
    this.#keeper.configure(nases);
  }

  start(): void {
    this.#results.start();
    for (const loop of this.#loops) loop.start();
  }

  /** Begins nothing more, waits for what is under way, and lets go of the NASes in order. */
  async stop(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.#keeper.stopLanes();
    await this.#results.stop();
    await this.#keeper.owner.stop();
  }

  /** Ends without letting go of anything in order and without writing what is in hand, as a crash does: others find it. For tests. */
  async abandon(): Promise<void> {
    this.#keeper.owner.drop();
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    this.#keeper.owner.drop();
    await this.#keeper.settled();
    await this.#results.stop(false);
  }

  /** What the change feed tells. */
  note(changes: FeedChanges): void {
    const { subscribers, accounts, plans, enforcements, fuseReleased } = changes;
    this.#queue.noteSubscribers(subscribers, this.#nowMs());
    this.#queue.noteIds(enforcements, true);
    if (accounts.length > 0) this.#queue.noteScan({ of: 'accounts', ids: accounts }, false);
    if (plans.length > 0) this.#queue.noteScan({ of: 'plans', ids: plans }, false);
    if (fuseReleased) this.#queue.noteScan({ of: 'held' }, false);
    if (!this.#queue.isEmpty) this.#rounds.wake();
  }

  /** Anything may have changed. */
  noteEverything(): void {
    for (const nasName of this.lanes.keys()) this.#queue.noteScan({ of: 'nas', nasName }, false);
    this.#rounds.wake();
  }

  /** Takes NASes that nobody owns. @returns false */
  async own(): Promise<boolean> {
    await this.#keeper.take();
    if (!this.#isRehearsed && this.lanes.size > 0) {
      this.#isRehearsed = true;
      const { fuse, totalSubscribers, log } = this.#deps;
      const shared = { reader: this.#reader, owner: this.#keeper.owner, nasNames: [...this.lanes.keys()] };
      await rehearse({ ...shared, fuse: fuse(), totalSubscribers: totalSubscribers() }).catch((error: unknown) =>
        log.debug({ err: error }, 'what a change takes could not be rehearsed'),
      );
    }
    return false;
  }

  /** Fetches what is due. @returns false */
  async fetchDue(): Promise<boolean> {
    const open = [...this.lanes.values()].filter((lane) => lane.isOpen && lane.waiting < DUE_LIMIT);
    const ids = await dueEnforcements(
      this.#deps.pool,
      open.map(({ nas }) => nas.name),
      DUE_LIMIT,
    );
    this.#queue.noteIds(
      ids.filter((id) => !this.#inFlight.has(id) && !open.some((lane) => lane.has(id))),
      false,
    );
    if (!this.#queue.isEmpty) this.#rounds.wake();
    return false;
  }

  /** One round. @returns whether there is more to do at once */
  async round(): Promise<boolean> {
    if (this.lanes.size === 0) return false;
    this.#isInRound = true;
    try {
      return await this.#round();
    } finally {
      this.#isInRound = false;
    }
  }

  async #round(): Promise<boolean> {
    if (this.#queue.takeOverflow()) this.noteEverything();
    for (const lane of this.lanes.values())
      if (lane.waiting === 0 && lane.takeOverflow()) this.#queue.noteScan({ of: 'nas', nasName: lane.nas.name }, false);
    const roomy = this.#takeRoomy();
    const ids = this.#queue.takeIds(SLICE);
    const subscribers = this.#queue.takeSubscribers(SLICE);
    try {
      await this.#look([...roomy, ...ids.keys()], subscribers, ids);
    } catch (error) {
      this.#queue.noteIds(roomy, false);
      for (const [id, isForced] of ids) this.#queue.noteIds([id], isForced);
      this.#queue.noteSubscribers(subscribers.keys(), this.#nowMs());
      throw error;
    }
    if (this.#queue.size < SLICE) await this.#advanceScans();
    return !this.#queue.isEmpty;
  }

  /** Ids that waited in lanes which have room now. */
  #takeRoomy(): number[] {
    const lanes = [...this.lanes.values()].filter((lane) => lane.waiting > 0);
    const share = Math.max(16, Math.floor(SLICE / Math.max(1, lanes.length)));
    return lanes.flatMap((lane) => lane.takeWaiting(share));
  }

  async #look(
    ids: readonly number[],
    subscribers: ReadonlyMap<number, number>,
    forced: ReadonlyMap<number, boolean>,
  ): Promise<void> {
    const owned = [...this.lanes.keys()];
    const found = new Map<number, Enforcement>();
    const askedAtMs = Date.now();
    this.#endedInRound.clear();
    const read = async (by: 'id' | 'subscriber', which: readonly number[]): Promise<void> => {
      if (which.length === 0) return;
      const { rows, databaseTimeMs } = await this.#reader.read({ by, ids: which }, owned);
      for (const row of rows) found.set(row.id, row);
      if (databaseTimeMs !== undefined) this.#databaseAheadMs = databaseTimeMs - askedAtMs;
    };
    await read('id', ids);
    if (subscribers.size > 0) {
      const provisioning = [...this.lanes.values()].filter(({ nas }) => nas.place === 'provisioned');
      await provisionSubscribers(
        this.#deps.pool,
        [...subscribers.keys()],
        provisioning.map(({ nas }) => nas.name),
      );
      await read('subscriber', [...subscribers.keys()]);
    }
    const rows: Enforcement[] = [];
    for (const row of found.values()) {
      const underWay = this.#inFlight.get(row.id);
      if (underWay !== undefined) underWay.again = true;
      // What was read may be from before its result: by that it would be sent once more.
      else if (this.#endedInRound.has(row.id)) this.#queue.noteIds([row.id], forced.get(row.id) === true);
      else rows.push(row);
      const namedAtMs = subscribers.get(row.run.subscriberId);
      if (namedAtMs !== undefined && !this.#namedAtMs.has(row.id)) this.#namedAtMs.set(row.id, namedAtMs);
    }
    await this.#decide(rows, forced);
  }

  async #decide(rows: readonly Enforcement[], forced: ReadonlyMap<number, boolean>): Promise<void> {
    const { rates, isOwnPool, fuse, totalSubscribers } = this.#deps;
    const shared = { rates: rates(), isOwnPool, nowMs: this.#databaseNowMs() };
    const result = await runRound(rows, {
      instance: this.#deps.instance,
      owner: this.#keeper.owner,
      laneOf: (nasName) => this.#keeper.laneOf(nasName),
      fuse: fuse(),
      totalSubscribers: totalSubscribers(),
      contextOf: (row) => ({ ...shared, isForced: forced.get(row.id) === true }),
    });
    await this.#follow(result);
    const isUnderWay = new Set([...result.begun, ...result.waiting].map(({ row }) => row.id));
    for (const { id } of rows) if (!isUnderWay.has(id)) this.#namedAtMs.delete(id);
  }

  async #follow(result: RoundResult): Promise<void> {
    const { log, onLeft, closeGone } = this.#deps;
    if (result.tripped !== undefined)
      log.error(
        { ...result.tripped },
        'alarm of the fuse: too many subscribers are blocked, redirected or slowed at once; it waits for "sluice hold release"',
      );
    this.#queue.noteIds(result.missed, false);
    for (const { nasName, run, session, disproved } of result.disproved) {
      this.measures.noteDisproof(nasName, 'still-there');
      log.warn(
        { nas: nasName, subscriber: run.subscriberId, session: session?.acctSessionId, times: disproved + 1 },
        'a NAS acknowledged the end of a session that is still there: it is told again',
      );
    }
    for (const { row, urgency } of result.waiting) this.lanes.get(row.nasName)?.wait(row.id, urgency);
    this.#begin(result.begun);
    const left = result.ended.filter((row) => row.kind === 'provisioned');
    if (left.length > 0) onLeft(left.map(({ run }) => run.subscriberId));
    const gone = result.gone.flatMap(({ session }) => (session === null ? [] : [foundSession(session)]));
    if (gone.length > 0) await closeGone(gone);
  }

  #begin(begun: readonly BegunRun[]): void {
    const byLane = new Map<NasLane, BegunRun[]>();
    for (const one of begun) {
      this.#inFlight.set(one.row.id, { again: false });
      const namedAtMs = this.#namedAtMs.get(one.row.id);
      this.#namedAtMs.delete(one.row.id);
      if (namedAtMs !== undefined) this.measures.noteDelay(this.#nowMs() - namedAtMs);
      const lane = this.lanes.get(one.row.nasName);
      // It is no longer ours: nothing was sent, and it is found as attempted.
      if (lane === undefined) this.#ended(undefined, one, [], Date.now());
      else byLane.set(lane, [...(byLane.get(lane) ?? []), one]);
    }
    const plannedAtMs = Date.now();
    for (const [lane, runs] of byLane)
      lane.begin(
        runs.map((one) => ({
          begun: one,
          plannedAtMs,
          run: {
            enforcementId: one.row.id,
            subject: one.row.run,
            session: one.row.session,
            commands: one.plan.commands,
            desired: one.plan.aim,
            // Of a rate that was refused nobody knows what the NAS shows instead.
            generation: one.intent.parked === null ? one.generation : undefined,
            isSuspect: one.row.disproved > 0,
          },
        })),
      );
  }

  #ended(lane: NasLane | undefined, begun: BegunRun, results: RunResults, plannedAtMs: number): void {
    const outcome = outcomeOfRun(begun, results, this.#databaseNowMs(), this.#random());
    if (results !== 'unknown') for (const one of results) this.measures.noteOutcome(one.driver, one.outcome.outcome);
    const last = results === 'unknown' ? undefined : results.at(-1);
    if (last?.outcome.outcome === 'disproved') {
      const { row } = begun;
      this.measures.noteDisproof(row.nasName, 'read-back');
      this.#deps.log.error(
        { nas: row.nasName, subscriber: row.run.subscriberId, command: last.command.name, found: last.outcome.text },
        'a NAS did not do what it had acknowledged: it is told again',
      );
    }
    this.#results.add({ begun, results, outcome, plannedAtMs });
    lane?.learn(outcome.lesson, begun.row.subject.subscriber.login, last);
  }

  #written({ begun, outcome }: EndedRun, isStale: boolean): void {
    const { row } = begun;
    const again = this.#inFlight.get(row.id)?.again === true;
    this.#inFlight.delete(row.id);
    if (this.#isInRound) this.#endedInRound.add(row.id);
    if (again || isStale || outcome.lookAgain) this.#queue.noteIds([row.id], false);
    if (outcome.write === undefined && !isStale) this.#deps.onLeft([row.run.subscriberId]);
    if (outcome.isGone && row.session !== null)
      // What is not closed now is closed when it is due.
      void this.#deps.closeGone([foundSession(row.session)]).catch(() => undefined);
    if (!this.#queue.isEmpty) this.#rounds.wake();
  }

  async #advanceScans(): Promise<void> {
    const { pool } = this.#deps;
    const missing = this.#queue.takeMissing();
    if (missing !== undefined) {
      const afterId = await makeMissing(pool, missing, MISSING_SLICE).catch((error: unknown) => {
        this.#queue.noteMissing(missing);
        throw error;
      });
      if (afterId !== null) this.#queue.noteMissing({ ...missing, afterId });
    }
    const scan = this.#queue.nextScan();
    if (scan === undefined) return;
    const ids = await scanPage(pool, scan.scan, scan.afterId, SLICE);
    this.#queue.noteIds(ids, scan.isForced);
    if (ids.length < SLICE) this.#queue.endScan(scan);
    else scan.afterId = ids.at(-1)!;
  }

  /** All of a NAS is compared, and what nobody has made a row for gets one. */
  #opened(nas: CommandedNas): void {
    if (nas.place === 'session') this.#queue.noteMissing({ nasName: nas.name, place: 'session', afterId: 0 });
    else
      for (const place of ['provisioned', 'visited'] as const)
        this.#queue.noteMissing({ nasName: nas.name, place, afterId: 0 });
    // Rows that are made now are due, so that it does not matter when this scan passes.
    this.#queue.noteScan({ of: 'nas', nasName: nas.name }, true);
    this.#rounds.wake();
  }

  /** It was away, and is compared again. */
  async #returned(nas: CommandedNas, silentMs: number): Promise<void> {
    try {
      if (nas.place === 'provisioned' && silentMs >= RESTART_POSSIBLE_MS) await this.#deps.spoil([nas.name]);
    } catch (error) {
      this.#deps.log.error({ err: error, nas: nas.name }, 'the entries of a NAS that was away could not be marked');
    }
    this.#queue.noteScan({ of: 'unsettled', nasName: nas.name }, true);
    this.#rounds.wake();
  }

  /** The clock of the database, as far as it was read: due times are its own. */
  #databaseNowMs(): number {
    return Date.now() + this.#databaseAheadMs;
  }
}

function foundSession(session: NonNullable<Enforcement['session']>): FoundSession {
  const { sessionId, lastEventAtMs, lastReceivedAtMs } = session;
  return { id: sessionId, lastEventAtMs, lastReceivedAtMs };
}
