// Enters: how many addresses and prefixes an instance may hold. Leaves: addresses and prefixes that it may offer without asking. Invariants: what
// is taken out is taken once; nothing here waits for the database while there are addresses at hand, and nobody waits
// longer than two seconds.

import type { Pool } from 'pg';
import { kindOfPool, type Pool as AddressPool } from '../domain/subscriber.js';
import { carvePrefixes, type ReservedAddress } from './prefix-carving.js';
import { readPoolSizes, readReserve, returnFromReserve, takeForReserve, type ReserveWant } from './reserve-rows.js';

/** Of a small pool no instance may hold more than this share, or the others would starve. */
const LARGEST_SHARE = 0.02;
/** Refilled when this share of the target is left. */
const LOW_WATER = 0.5;
/** A NAS repeats a request after some 3 s; an answer after 2 s still reaches it, ms. */
const LONGEST_WAIT_MS = 2_000;
/** Requests that may wait at once: their packets are kept, some 10 MB. */
const MAX_WAITING = 10_000;
/** An empty pool or a database that is away is asked again after this, ms, so that a storm of requests is no storm of SQL. */
const RETRY_MS = 500;

export interface PoolReservesOptions {
  readonly pool: Pool;
  readonly instance: string;
  /** Addresses of each pool held at most: `addresses.reserve_size`. */
  readonly reserveSize: number;
  /** The pool with this id, if there is one. */
  readonly poolById: (poolId: number) => AddressPool | undefined;
  /** Our clock, ms since 1970. */
  readonly nowMs: () => number;
  /** A refill failed; it is tried again by itself. */
  readonly onError: (error: unknown) => void;
  readonly longestWaitMs?: number | undefined;
}

/** How a pool's reserve stands. */
export interface ReserveStatus {
  readonly poolId: number;
  readonly held: number;
  readonly target: number;
}

interface Waiter {
  readonly settle: (found: boolean) => void;
}

interface PoolReserve {
  readonly poolId: number;
  readonly addresses: ReservedAddress[];
  readonly waiters: Set<Waiter>;
  target: number;
  /** Not asked for again before this. */
  retryAtMs: number;
}

/** The reserves of an instance, one for each pool. */
export class PoolReserves {
  private readonly reserves = new Map<number, PoolReserve>();
  private readonly unfit: ReservedAddress[] = [];
  private refilling: Promise<void> | undefined;
  private waiting = 0;
  private stopped = false;

  constructor(private readonly options: PoolReservesOptions) {}

  /** What the database says that this instance holds. @throws the database's error */
  async readHeld(): Promise<readonly ReservedAddress[]> {
    return readReserve(this.options.pool, this.options.instance);
  }

  /** Gives back what was never offered. A database that is away keeps it for this instance. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.refilling;
    const held: ReservedAddress[] = this.unfit.splice(0);
    for (const reserve of this.reserves.values()) {
      held.push(...reserve.addresses.splice(0));
      settle(reserve, 0);
    }
    await returnFromReserve(this.options.pool, this.options.instance, held);
  }

  get status(): readonly ReserveStatus[] {
    return [...this.reserves.values()].map(({ poolId, addresses, target }) => ({
      poolId,
      held: addresses.length,
      target,
    }));
  }

  /** Holds a reserve of this pool from now on. */
  watch(poolId: number): void {
    this.reserveOf(poolId);
  }

  /** What was taken out, or held before, may be offered again. */
  put(address: ReservedAddress): void {
    this.reserveOf(address.poolId).addresses.push(address);
  }

  /**
   * Takes out the first that is fit; what is not, goes back to the database.
   *
   * @returns undefined when nothing is at hand: `wait`
   */
  take(poolId: number, isFit: (one: ReservedAddress) => boolean, nowMs: number): ReservedAddress | undefined {
    const reserve = this.reserveOf(poolId);
    const index = reserve.addresses.findIndex(isFit);
    const unfit = reserve.addresses.splice(0, index < 0 ? reserve.addresses.length : index);
    this.unfit.push(...unfit);
    const taken = reserve.addresses.shift();
    if (reserve.addresses.length < reserve.target * LOW_WATER && mayAsk(reserve, nowMs)) this.refillSoon();
    return taken;
  }

  /**
   * Waits for one refill that is shared by all who wait.
   *
   * @returns true: `take` again, now; false: the pool has no address, or the database did not answer in time
   */
  wait(poolId: number): Promise<boolean> {
    const reserve = this.reserveOf(poolId);
    const isEmpty = reserve.addresses.length === 0 && !mayAsk(reserve, this.options.nowMs());
    if (this.stopped || this.waiting >= MAX_WAITING || isEmpty) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.waiting++;
      const waiter: Waiter = {
        settle: (found) => {
          clearTimeout(timer);
          if (!reserve.waiters.delete(waiter)) return;
          this.waiting--;
          resolve(found);
        },
      };
      const timer = setTimeout(() => waiter.settle(false), this.options.longestWaitMs ?? LONGEST_WAIT_MS);
      reserve.waiters.add(waiter);
      this.refillSoon();
    });
  }

  private reserveOf(poolId: number): PoolReserve {
    let reserve = this.reserves.get(poolId);
    if (!reserve) {
      reserve = { poolId, addresses: [], waiters: new Set(), target: 1, retryAtMs: 0 };
      this.reserves.set(poolId, reserve);
    }
    return reserve;
  }

  private refillSoon(): void {
    if (this.stopped || this.refilling) return;
    this.refilling = this.refill()
      .catch((error: unknown) => {
        const retryAtMs = this.options.nowMs() + RETRY_MS;
        for (const reserve of this.reserves.values()) {
          reserve.retryAtMs = retryAtMs;
          settle(reserve, reserve.addresses.length);
        }
        this.options.onError(error);
      })
      .finally(() => {
        this.refilling = undefined;
        // Whoever came while this one was on its way was not counted in it.
        if ([...this.reserves.values()].some((reserve) => reserve.waiters.size > 0)) this.refillSoon();
      });
  }

  /** Fills up every reserve. @throws the database's error */
  async refill(): Promise<void> {
    const { pool, instance, reserveSize, nowMs, poolById } = this.options;
    const unfit = [...this.unfit];
    await returnFromReserve(pool, instance, unfit);
    this.unfit.splice(0, unfit.length);
    const sizes = await readPoolSizes(pool);
    const asked: { readonly reserve: PoolReserve; readonly waiters: number; readonly want: ReserveWant }[] = [];
    for (const reserve of this.reserves.values()) {
      const share = Math.max(1, Math.floor((sizes.get(reserve.poolId) ?? 0) * LARGEST_SHARE));
      reserve.target = Math.min(reserveSize, share);
      const waiters = reserve.waiters.size;
      // What is at hand may go to newcomers before the answer is here, so nobody who waits is counted on it.
      const count = Math.max(reserve.target - reserve.addresses.length, waiters);
      if (count > 0 && (waiters > 0 || mayAsk(reserve, nowMs())))
        asked.push({ reserve, waiters, want: { poolId: reserve.poolId, count } });
    }
    if (asked.length === 0) {
      for (const reserve of this.reserves.values()) settle(reserve, reserve.addresses.length, reserve.waiters.size);
      return;
    }
    const isOfPrefixes = ({ poolId }: ReserveWant): boolean => {
      const source = poolById(poolId);
      return source !== undefined && kindOfPool(source) !== 'ipv4';
    };
    const wants = asked.map((one) => one.want);
    const found = new Map<number, number>();
    // What one statement has taken is ours, whatever becomes of the next.
    const keep = (taken: readonly ReservedAddress[]): void => {
      for (const address of taken) {
        this.reserveOf(address.poolId).addresses.push(address);
        found.set(address.poolId, (found.get(address.poolId) ?? 0) + 1);
      }
    };
    const prefixWants = wants.filter(isOfPrefixes);
    keep(
      await takeForReserve(
        pool,
        instance,
        'addresses',
        wants.filter((want) => !isOfPrefixes(want)),
      ),
    );
    keep(await takeForReserve(pool, instance, 'prefixes', prefixWants));
    for (const { poolId, count } of prefixWants) {
      const missing = count - (found.get(poolId) ?? 0);
      if (missing > 0) keep(await carvePrefixes(pool, instance, poolId, missing));
    }
    for (const { reserve, waiters, want } of asked) {
      if ((found.get(reserve.poolId) ?? 0) < want.count) reserve.retryAtMs = nowMs() + RETRY_MS;
      settle(reserve, reserve.addresses.length, waiters);
    }
  }
}

/** Whether the pause after a failure is over; a pause that seems longer than it is was set by a clock that has been set back. */
function mayAsk({ retryAtMs }: PoolReserve, nowMs: number): boolean {
  return nowMs >= retryAtMs || retryAtMs - nowMs > RETRY_MS;
}

/** Wakes the first waiters, as many as were counted: those with an address for them, and the others without. */
function settle(reserve: PoolReserve, addresses: number, counted = Infinity): void {
  let index = 0;
  for (const waiter of [...reserve.waiters]) {
    if (index >= counted) break;
    waiter.settle(index < addresses);
    index++;
  }
}
