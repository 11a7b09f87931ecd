/**
 * What only time does: restarts closed in slices, silence, offers and quarantine that end, retention. Enters: the clock and conf. Leaves:
 * changed rows. Invariants: one instance sweeps at a time (a session lock), each sweep is bounded, and every job can be
 * called directly.
 */
import type { Pool, PoolClient } from 'pg';
import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import { BoxWatch, silenceLimits } from '../domain/silence.js';
import { lockSweeper } from '../store/instances.js';
import { endOwnBlocks } from '../store/own-blocks.js';
import { findSilent, markSuspects, readBoxSounds, readCaughtUpMs } from '../store/silence.js';
import {
  breakSticky,
  closeSessions,
  endQuarantine,
  expireOffers,
  findRestarted,
  findRestarts,
  finishRestart,
  type FoundSession,
  prune,
  type Retention,
  rollPartitions,
} from '../store/sweeps.js';
import { Loop } from './loop.js';
import type { Settler } from './settler.js';

/** Rows that one statement of a sweep touches at most: some ten milliseconds. */
const SLICE = 500;
const ADDRESS_INTERVAL_MS = 500;
const RESTART_INTERVAL_MS = 2000;
const SILENCE_INTERVAL_MS = 15_000;
/** Counting a pool of a million addresses takes a tenth of a second. */
const STICKY_INTERVAL_MS = 10_000;
const SETTLE_INTERVAL_MS = 30_000;
/** What the change feed and the applier tell the settler is settled at once; this only finds what a crash forgot. */
const PERIODS_INTERVAL_MS = 300_000;
/** Limits are whole days: nobody counts seconds. */
const OWN_BLOCK_INTERVAL_MS = 60_000;
const RETENTION_INTERVAL_MS = 600_000;
/** Slices of one run, so that a run ends and `stop` is heard. */
const SLICES_PER_RUN = 100;

export interface SweeperDeps {
  readonly pool: Pool;
  readonly config: Pick<Config, 'sessions' | 'addresses' | 'history' | 'changeFeed'>;
  readonly settler: Settler;
  readonly log: Logger;
  /** Our clock, ms since 1970. */
  readonly nowMs?: () => number;
  /** Whether this instance has applied what it acknowledged: silence is judged only then. */
  readonly isCaughtUp: () => boolean;
}

export class Sweeper {
  readonly #deps: SweeperDeps;
  readonly #loops: readonly Loop[];
  readonly #restarts: Loop;
  readonly #boxes = new BoxWatch();
  #leader: PoolClient | undefined;
  #electing: Promise<boolean> | undefined;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
    const loop = (name: string, intervalMs: number, run: () => Promise<boolean>): Loop =>
      new Loop({ name, intervalMs, log: deps.log, run: async () => (await this.#leads()) && run() });
    this.#restarts = loop('restarts', RESTART_INTERVAL_MS, () => this.closeRestarted());
    this.#loops = [
      this.#restarts,
      loop('addresses', ADDRESS_INTERVAL_MS, () => this.sweepAddresses()),
      loop('sticky-addresses', STICKY_INTERVAL_MS, () => this.breakSticky()),
      loop('silence', SILENCE_INTERVAL_MS, () => this.closeSilent()),
      loop('settle', SETTLE_INTERVAL_MS, () => deps.settler.sweep()),
      loop('settle-periods', PERIODS_INTERVAL_MS, () => deps.settler.sweepPeriods()),
      loop('own-blocks', OWN_BLOCK_INTERVAL_MS, () => this.endOwnBlocks()),
      loop('retention', RETENTION_INTERVAL_MS, () => this.prune()),
    ];
  }

  start(): void {
    for (const loop of this.#loops) loop.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    this.#leader?.release(true);
    this.#leader = undefined;
  }

  /** A restart was applied: its sessions need not wait for the next round. */
  noteRestart(): void {
    this.#restarts.wake();
  }

  /** Closes what restarts ended, some hundred sessions at a time and without locking others. */
  async closeRestarted(): Promise<boolean> {
    const restarts = await findRestarts(this.#deps.pool);
    for (const restart of restarts) {
      for (let slice = 0; slice < SLICES_PER_RUN; slice++) {
        const found = await findRestarted(this.#deps.pool, restart, SLICE);
        if (found.length === 0) {
          await finishRestart(this.#deps.pool, restart);
          break;
        }
        const { closed } = await this.#close(found, 'nas-restart', restart.eventAtMs);
        // All of the slice is in the hands of an applier at this moment: the next round looks again.
        if (closed === 0) return false;
      }
    }
    return restarts.length > 0;
  }

  /** Judges by their silence the sessions of boxes that speak; each call is one look at the boxes. */
  async closeSilent(): Promise<boolean> {
    const { pool, config, isCaughtUp, nowMs = Date.now } = this.#deps;
    if (!isCaughtUp()) return false;
    const { suspectIntervals, silenceIntervals, nasSilenceIntervals } = config.sessions;
    const now = nowMs();
    const knownUntilMs = Math.min(now, await readCaughtUpMs(pool, config.addresses.outageHorizonHours));
    const boxes = this.#boxes.look(await readBoxSounds(pool), now, nasSilenceIntervals);
    await markSuspects(pool, silenceLimits(boxes, suspectIntervals, knownUntilMs), SLICE * 10);
    const silent = await findSilent(pool, silenceLimits(boxes, silenceIntervals, knownUntilMs), SLICE);
    if (silent.length === 0) return false;
    const { closed } = await this.#close(silent, 'silence', 'last-event');
    return closed === SLICE;
  }

  async sweepAddresses(): Promise<boolean> {
    const { pool, config } = this.#deps;
    const hours = config.addresses.outageHorizonHours;
    const freed = (await expireOffers(pool, hours, SLICE)) + (await endQuarantine(pool, hours, SLICE));
    return freed >= SLICE;
  }

  async breakSticky(): Promise<boolean> {
    return (await breakSticky(this.#deps.pool, SLICE)) >= SLICE;
  }

  /** Ends voluntary blocks that have lasted as long as they may. */
  async endOwnBlocks(): Promise<boolean> {
    const ended = await endOwnBlocks(this.#deps.pool, SLICE);
    if (ended > 0)
      this.#deps.log.info({ subscribers: ended }, 'voluntary blocks ended that had lasted as long as they may');
    return ended >= SLICE;
  }

  async prune(): Promise<boolean> {
    const { pool, config } = this.#deps;
    const retention: Retention = {
      sessionKeyDays: config.sessions.sessionKeyDays,
      changeFeedHours: config.changeFeed.retentionHours,
      historyMonths: config.history.retentionMonths,
      commandMonths: config.history.commandRetentionMonths,
      partitionsAhead: config.history.partitionsAheadMonths,
    };
    const { dropped, isDeferred } = await rollPartitions(pool, retention);
    if (dropped.length > 0) this.#deps.log.info({ partitions: dropped }, 'dropped history past its retention');
    if (isDeferred)
      this.#deps.log.warn('a transaction that is open keeps the months of the history from being rolled: tried again');
    return (await prune(pool, retention, SLICE * 10)) >= SLICE * 10;
  }

  async #close(
    found: readonly FoundSession[],
    cause: 'nas-restart' | 'silence',
    atMs: number | 'last-event',
  ): Promise<{ closed: number }> {
    const { subscriberIds, closed } = await closeSessions(this.#deps.pool, found, cause, atMs);
    this.#deps.settler.note(subscriberIds);
    return { closed };
  }

  /** Whether this instance sweeps; asks for the lock when nobody has it. */
  async #leads(): Promise<boolean> {
    if (this.#leader !== undefined) return true;
    this.#electing ??= this.#elect().finally(() => (this.#electing = undefined));
    return this.#electing;
  }

  async #elect(): Promise<boolean> {
    const client = await this.#deps.pool.connect();
    const lost = (): void => {
      if (this.#leader !== client) return;
      this.#leader = undefined;
      // A broken connection that nobody gives back keeps its place in the pool, and the pool from ending.
      client.release(true);
    };
    client.once('error', lost);
    client.once('end', lost);
    if (await lockSweeper(client).catch(() => false)) {
      this.#leader = client;
      return true;
    }
    client.off('error', lost);
    client.off('end', lost);
    client.release();
    return false;
  }
}
