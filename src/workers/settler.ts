/**
 * Brings subscribers in line after their sessions came or went or their rows changed. Enters: subscriber ids, from the applier, the
 * sweeper and the change feed. Leaves: `logged`, released addresses, closed and opened periods. Invariants: a row that billing
 * has locked is tried again and delays no other; what a crash forgot, the sweep finds.
 */
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import {
  findOnlineWithoutSession,
  findUnsettled,
  findUnsettledPeriods,
  SettleRefusedError,
  settleSubscribers,
  subscribersOfAccounts,
} from '../store/settle.js';
import { Loop } from './loop.js';

/** Rows locked by one transaction: short enough for billing to wait unnoticed. */
const SLICE = 1000;
/** Ids that may wait. More than this many at once is a bulk change, and the sweep finds the rest. */
const MAX_WAITING = 1_000_000;
/** Subscribers that one sweep looks at: some milliseconds, and ten minutes for a million. */
const SWEPT_SUBSCRIBERS = 50_000;
/** How soon a waiting id is looked at, ms. */
const INTERVAL_MS = 50;
/** How soon a locked row is tried again, ms. */
const LOCKED_PAUSE_MS = 500;
/** How long whoever cannot be settled is left alone, ms: only a person can mend the row. */
const REFUSED_PAUSE_MS = 300_000;

export class Settler {
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #loop: Loop;
  readonly #waiting = new Set<number>();
  readonly #accounts = new Set<number>();
  /** Rows that somebody had locked, and when to try them again (performance.now). */
  readonly #locked = new Map<number, number>();
  /** The last subscriber that the sweep has looked at. */
  #sweptTo = 0;
  #sweptAll = false;

  constructor(pool: Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
    this.#loop = new Loop({ name: 'settler', intervalMs: INTERVAL_MS, run: () => this.run(), log });
  }

  get backlog(): number {
    return this.#waiting.size + this.#locked.size;
  }

  /** Monotonic ms: see `Loop`. */
  get turnedAtMs(): number {
    return this.#loop.turnedAtMs;
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  note(subscriberIds: readonly number[]): void {
    for (const id of subscriberIds) if (this.#waiting.size < MAX_WAITING) this.#waiting.add(id);
    if (subscriberIds.length > 0) this.#loop.wake();
  }

  noteAccounts(accountIds: readonly number[]): void {
    for (const id of accountIds) if (this.#accounts.size < MAX_WAITING) this.#accounts.add(id);
    if (accountIds.length > 0) this.#loop.wake();
  }

  /**
   * Whoever a crash left unsettled, as sessions show it. All subscribers are looked at once, part after part, when this server begins to
   * sweep; then a part each time.
   * @returns whether the first round is not over
   */
  async sweep(): Promise<boolean> {
    this.note(await findUnsettled(this.#pool, SLICE));
    const { ids, nextAfterId } = await findOnlineWithoutSession(this.#pool, this.#sweptTo, SWEPT_SUBSCRIBERS);
    this.note(ids);
    this.#sweptTo = nextAfterId ?? 0;
    if (nextAfterId === null) this.#sweptAll = true;
    return !this.#sweptAll;
  }

  /** The same for periods: slower, so less often. */
  async sweepPeriods(): Promise<boolean> {
    this.note(await findUnsettledPeriods(this.#pool, SLICE));
    return false;
  }

  /** One slice. @returns whether there is more to do at once */
  async run(): Promise<boolean> {
    const nowMs = performance.now();
    for (const [id, dueMs] of this.#locked) {
      if (dueMs > nowMs) continue;
      this.#locked.delete(id);
      this.#waiting.add(id);
    }
    if (this.#accounts.size > 0) {
      const accounts = take(this.#accounts, SLICE);
      await this.#keep(accounts, this.#accounts, async () => {
        for (const id of await subscribersOfAccounts(this.#pool, accounts)) this.#waiting.add(id);
      });
    }
    if (this.#waiting.size === 0) return this.#accounts.size > 0;
    const slice = take(this.#waiting, SLICE);
    await this.#keep(slice, this.#waiting, async () => {
      for (const id of await this.#settle(slice)) this.#locked.set(id, nowMs + LOCKED_PAUSE_MS);
    });
    return this.#waiting.size + this.#accounts.size > 0;
  }

  /** @returns whom to try again soon; whoever cannot be settled is told about and left alone for a while */
  async #settle(ids: readonly number[]): Promise<readonly number[]> {
    try {
      return await settleSubscribers(this.#pool, ids);
    } catch (error) {
      if (!(error instanceof SettleRefusedError)) throw error;
      this.#log.error(
        { err: error, subscribers: error.subscriberIds.slice(0, 10) },
        'subscribers could not be brought in line',
      );
      const refused = new Set(error.subscriberIds);
      for (const id of refused) this.#locked.set(id, performance.now() + REFUSED_PAUSE_MS);
      return ids.filter((id) => !refused.has(id));
    }
  }

  /** Puts back what was taken when the work fails, so that an outage forgets nobody. */
  async #keep(taken: readonly number[], from: Set<number>, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      for (const id of taken) from.add(id);
      throw error;
    }
  }
}

function take(set: Set<number>, limit: number): number[] {
  const taken: number[] = [];
  for (const id of set) {
    if (taken.length >= limit) break;
    taken.push(id);
    set.delete(id);
  }
  return taken;
}
