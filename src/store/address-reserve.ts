// Enters: a decision that a subscriber gets an address of a pool. Leaves: an offer of one. Invariants: an address taken from the
// reserve is offered once; what belongs to somebody else by now is never offered; nothing here waits for the database while
// there are addresses at hand, and nobody waits longer than two seconds.

import { randomBytes } from 'node:crypto';
import type { Pool } from 'pg';
import { addressKey } from '../domain/assignment.js';
import { formatIpv4Address } from '../domain/ipv4-address.js';
import type { Directory } from './directory.js';
import type { Offer } from './offer-book.js';
import {
  readPoolSizes,
  readReserve,
  returnFromReserve,
  takeForReserve,
  type ReservedAddress,
  type ReserveWant,
} from './reserve-rows.js';
import type { StickyAddress } from './subscriber-rows.js';

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

export interface AddressReserveOptions {
  readonly pool: Pool;
  readonly directory: Directory;
  readonly instance: string;
  /** Addresses of each pool held at most: `addresses.reserve_size`. */
  readonly reserveSize: number;
  /** How long an offer is good for, ms: `addresses.offer_grace_seconds`. */
  readonly offerGraceMs: number;
  /** Beyond this age of the feed nobody knows whose a kept address is, ms: `addresses.outage_horizon_hours`. */
  readonly outageHorizonMs: number;
  /** Our clock, ms since 1970. */
  readonly nowMs: () => number;
  /** A refill failed; it is tried again by itself. */
  readonly onError: (error: unknown) => void;
  readonly longestWaitMs?: number;
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

/** Addresses that this instance may offer without asking. */
export class AddressReserve {
  private readonly reserves = new Map<number, PoolReserve>();
  private readonly unfit: ReservedAddress[] = [];
  private refilling: Promise<void> | undefined;
  private waiting = 0;
  private stopped = false;

  constructor(private readonly options: AddressReserveOptions) {}

  /**
   * Takes up what this instance held before and fills up every pool of the directory.
   *
   * @param granted by `addressKey`: grants that are in the spool and not in the database yet: no longer ours to give, and kept for
   * whom they were promised to
   * @throws the database's error
   */
  async start(granted: ReadonlyMap<string, StickyAddress> = new Map()): Promise<void> {
    const { pool, instance, directory } = this.options;
    for (const address of await readReserve(pool, instance)) {
      const key = addressKey(address.routingDomain, formatIpv4Address(address.address));
      const promised = granted.get(key);
      if (promised === undefined) this.reserveOf(address.poolId).addresses.push(address);
      else directory.keepSticky(promised);
    }
    for (const one of directory.allPools()) this.reserveOf(one.id);
    await this.refill();
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

  /**
   * Offers the address that is kept for a slot of a subscriber. It is no spool record: an address is taken from its owner in
   * two steps, and becomes another's only when every instance has heard of the first.
   *
   * @returns the offer, or undefined when there is none, or it has become somebody else's, or the feed is too old to know
   */
  takeSticky(
    subscriberId: number,
    slot: number,
    poolId: number,
    requesterKey: string,
    nowMs: number,
  ): Offer | undefined {
    const { directory } = this.options;
    const address = directory.stickyAddress(subscriberId, slot, poolId);
    const pool = directory.pool(poolId);
    if (address === undefined || !pool) return undefined;
    if (directory.feedAgeMs(nowMs) > this.options.outageHorizonMs) return undefined;
    if (!this.isFit(pool.routingDomain, address, subscriberId)) return undefined;
    return this.offer(
      { poolId, routingDomain: pool.routingDomain, address },
      'sticky',
      subscriberId,
      slot,
      requesterKey,
      nowMs,
    );
  }

  /**
   * Offers an address from the reserve. The caller appends the grant to the spool and answers when it is on disk.
   *
   * @returns the offer, or undefined when nothing is at hand: `waitForAddress`
   */
  grant(subscriberId: number, slot: number, poolId: number, requesterKey: string, nowMs: number): Offer | undefined {
    const reserve = this.reserveOf(poolId);
    const index = reserve.addresses.findIndex((one) => this.isFit(one.routingDomain, one.address, subscriberId));
    const unfit = reserve.addresses.splice(0, index < 0 ? reserve.addresses.length : index);
    this.unfit.push(...unfit);
    const taken = reserve.addresses.shift();
    if (reserve.addresses.length < reserve.target * LOW_WATER && mayAsk(reserve, nowMs)) this.refillSoon();
    return taken && this.offer(taken, 'grant', subscriberId, slot, requesterKey, nowMs);
  }

  /**
   * Waits for one refill that is shared by all who wait.
   *
   * @returns true: `grant` again, now; false: the pool has no address, or the database did not answer in time
   */
  waitForAddress(poolId: number): Promise<boolean> {
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

  /**
   * Offers again what was offered before, for as long as a new offer, if it is still this subscriber's to have.
   *
   * @returns false when it is not, or the feed is too old to know
   */
  repeat(offer: Offer, nowMs: number): boolean {
    const { directory, outageHorizonMs, offerGraceMs } = this.options;
    const { subscriberId, slot, poolId, routingDomain, address } = offer;
    if (address === undefined || poolId === undefined || !this.isFit(routingDomain, address, subscriberId))
      return false;
    // A grant on its way to the disk is in nobody's hands yet: it is recorded once more, as it is.
    if (!offer.durable) return true;
    if (directory.feedAgeMs(nowMs) > outageHorizonMs) return false;
    if (directory.stickyAddress(subscriberId, slot, poolId) !== address) return false;
    directory.offers.prolong(offer, nowMs + offerGraceMs);
    return true;
  }

  /** The grant is on disk: from now on the address is kept for this subscriber. */
  granted(offer: Offer): void {
    const { subscriberId, slot, poolId, address } = offer;
    offer.durable = true;
    if (poolId === undefined || address === undefined) return;
    this.options.directory.keepSticky({ subscriberId, slot, poolId, address });
  }

  /** Forgets a grant of which nobody knows whether it is on the disk. Its address stays out of use until a restart. */
  abandon(offer: Offer): void {
    this.options.directory.offers.remove(offer);
  }

  /** Takes back the address of a grant that was certainly neither recorded nor answered. */
  giveBack(offer: Offer): void {
    this.options.directory.offers.remove(offer);
    if (offer.source !== 'grant' || offer.address === undefined || offer.poolId === undefined) return;
    const { poolId, routingDomain, address } = offer;
    this.reserveOf(poolId).addresses.push({ poolId, routingDomain, address });
  }

  private offer(
    from: ReservedAddress,
    source: 'grant' | 'sticky',
    subscriberId: number,
    slot: number,
    requesterKey: string,
    nowMs: number,
  ): Offer {
    const offer: Offer = {
      offerId: randomOfferId(),
      subscriberId,
      slot,
      requesterKey,
      address: from.address,
      poolId: from.poolId,
      routingDomain: from.routingDomain,
      source,
      offeredAtMs: nowMs,
      expiresAtMs: nowMs + this.options.offerGraceMs,
      durable: source === 'sticky',
    };
    this.options.directory.offers.add(offer);
    return offer;
  }

  /** It may have become a static address, or a NAS may have given it to somebody by itself. */
  private isFit(routingDomain: string, address: number, subscriberId: number): boolean {
    const { directory } = this.options;
    return (
      directory.subscribersByStaticAddress(address).every((owner) => owner.id === subscriberId) &&
      directory.sessions.holders(routingDomain, address).every((session) => session.subscriberId === subscriberId)
    );
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

  private async refill(): Promise<void> {
    const { pool, instance, reserveSize, nowMs } = this.options;
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
    const taken = await takeForReserve(
      pool,
      instance,
      asked.map((one) => one.want),
    );
    for (const address of taken) this.reserveOf(address.poolId).addresses.push(address);
    for (const { reserve, waiters, want } of asked) {
      const found = taken.filter((address) => address.poolId === reserve.poolId).length;
      if (found < want.count) reserve.retryAtMs = nowMs() + RETRY_MS;
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

/** Random numbers are drawn for this many offers at a time: drawing costs more than the numbers. */
const DRAWN_OFFERS = 512;
const OFFER_ID_OCTETS = 6;

let drawn = Buffer.alloc(0);
let drawnAt = 0;

/** 48 random bits, so that two instances practically never choose one number; 0 says "no offer" in Class. */
export function randomOfferId(): number {
  if (drawnAt + OFFER_ID_OCTETS > drawn.length) {
    drawn = randomBytes(DRAWN_OFFERS * OFFER_ID_OCTETS);
    drawnAt = 0;
  }
  const offerId = drawn.readUIntBE(drawnAt, OFFER_ID_OCTETS);
  drawnAt += OFFER_ID_OCTETS;
  return offerId || 1;
}
