// Enters: a decision that a subscriber gets an address of a pool, and prefixes of others. Leaves: one offer of all of them. Invariants: what is
// taken from the reserve is offered once; what belongs to somebody else by now is never offered; nothing here waits for the database while
// there are addresses at hand, and nobody waits longer than two seconds.

import { randomBytes } from 'node:crypto';
import type { Pool } from 'pg';
import type { PrefixSource } from '../domain/access.js';
import { addressKey } from '../domain/assignment.js';
import { formatPoolAddress, type PoolAddress, type PrefixKind } from '../domain/pool-address.js';
import type { Directory } from './directory.js';
import { NO_PREFIXES, type Offer, type OfferedPrefix } from './offer-book.js';
import { PoolReserves, type ReserveStatus } from './pool-reserves.js';
import type { ReservedAddress } from './prefix-carving.js';
import type { StickyAddress } from './subscriber-rows.js';

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

/** Addresses that this instance may offer without asking. */
export class AddressReserve {
  private readonly reserves: PoolReserves;

  constructor(private readonly options: AddressReserveOptions) {
    const { directory, ...rest } = options;
    this.reserves = new PoolReserves({ ...rest, poolById: (poolId) => directory.pool(poolId) });
  }

  /**
   * Takes up what this instance held before and fills up every pool of the directory.
   *
   * @param granted by `addressKey`: grants that are in the spool and not in the database yet: no longer ours to give, and kept for
   * whom they were promised to
   * @throws the database's error
   */
  async start(granted: ReadonlyMap<string, StickyAddress> = new Map()): Promise<void> {
    const { directory } = this.options;
    for (const address of await this.reserves.readHeld()) {
      const promised = granted.get(addressKey(address.routingDomain, formatPoolAddress(address.address)));
      if (promised === undefined) this.reserves.put(address);
      else directory.keepSticky(promised);
    }
    for (const one of directory.allPools()) this.reserves.watch(one.id);
    await this.reserves.refill();
  }

  /** Gives back what was never offered. A database that is away keeps it for this instance. */
  stop(): Promise<void> {
    return this.reserves.stop();
  }

  get status(): readonly ReserveStatus[] {
    return this.reserves.status;
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
    prefixes = NO_PREFIXES,
  ): Offer | undefined {
    const kept = this.kept(subscriberId, slot, poolId, nowMs);
    return kept && this.offer(kept, 'sticky', subscriberId, slot, requesterKey, nowMs, prefixes);
  }

  /**
   * Offers an address from the reserve. The caller appends the grant to the spool and answers when it is on disk.
   *
   * @returns the offer, or undefined when nothing is at hand: `waitForAddress`
   */
  grant(
    subscriberId: number,
    slot: number,
    poolId: number,
    requesterKey: string,
    nowMs: number,
    prefixes = NO_PREFIXES,
  ): Offer | undefined {
    const taken = this.takeFromReserve(subscriberId, poolId, nowMs);
    return taken && this.offer(taken, 'grant', subscriberId, slot, requesterKey, nowMs, prefixes);
  }

  /**
   * Finds the prefixes of an Accept: the subscriber's own, those kept for him, or new ones. They become part of an offer, or are given back
   * (`returnPrefixes`).
   *
   * @returns all of them, or the pool that has none at hand, and then nothing has been taken: `waitForAddress`
   */
  takePrefixes(
    subscriberId: number,
    slot: number,
    sources: readonly PrefixSource[],
    nowMs: number,
  ): { readonly prefixes: readonly OfferedPrefix[] } | { readonly missing: number } {
    const prefixes: OfferedPrefix[] = [];
    for (const source of sources) {
      const { kind } = source;
      if (source.from === 'static') {
        prefixes.push({ kind, prefix: source.prefix, poolId: undefined, poolName: undefined, source: 'static' });
        continue;
      }
      const prefix = this.takePrefix(subscriberId, slot, source.poolId, kind, nowMs);
      if (prefix === undefined) {
        this.returnPrefixes(prefixes);
        return { missing: source.poolId };
      }
      prefixes.push(prefix);
    }
    return { prefixes };
  }

  /** Takes back prefixes of which no offer was made. */
  returnPrefixes(prefixes: readonly OfferedPrefix[]): void {
    for (const { source, poolId, prefix } of prefixes) {
      const pool = poolId === undefined ? undefined : this.options.directory.pool(poolId);
      if (source !== 'grant' || pool === undefined) continue;
      const { id, routingDomain } = pool;
      this.reserves.put({ poolId: id, routingDomain, address: prefix });
    }
  }

  private takePrefix(
    subscriberId: number,
    slot: number,
    poolId: number,
    kind: PrefixKind,
    nowMs: number,
  ): OfferedPrefix | undefined {
    const kept = this.kept(subscriberId, slot, poolId, nowMs);
    const found = kept ?? this.takeFromReserve(subscriberId, poolId, nowMs);
    if (typeof found?.address !== 'string') return undefined;
    const poolName = this.options.directory.pool(poolId)?.name;
    return { kind, prefix: found.address, poolId, poolName, source: kept === undefined ? 'grant' : 'sticky' };
  }

  /** What is kept for a slot of a subscriber, while it is certainly his. */
  private kept(subscriberId: number, slot: number, poolId: number, nowMs: number): ReservedAddress | undefined {
    const { directory } = this.options;
    const address = directory.stickyAddress(subscriberId, slot, poolId);
    const pool = directory.pool(poolId);
    if (address === undefined || !pool) return undefined;
    if (directory.feedAgeMs(nowMs) > this.options.outageHorizonMs) return undefined;
    const { routingDomain } = pool;
    return this.isFit(routingDomain, address, subscriberId) ? { poolId, routingDomain, address } : undefined;
  }

  private takeFromReserve(subscriberId: number, poolId: number, nowMs: number): ReservedAddress | undefined {
    return this.reserves.take(poolId, (one) => this.isFit(one.routingDomain, one.address, subscriberId), nowMs);
  }

  /**
   * Waits for one refill that is shared by all who wait.
   *
   * @returns true: `grant` again, now; false: the pool has no address, or the database did not answer in time
   */
  waitForAddress(poolId: number): Promise<boolean> {
    return this.reserves.wait(poolId);
  }

  /**
   * Offers again what was offered before, for as long as a new offer, if it is still this subscriber's to have.
   *
   * @returns false when it is not, or the feed is too old to know
   */
  repeat(offer: Offer, nowMs: number): boolean {
    const { directory, outageHorizonMs, offerGraceMs } = this.options;
    const { subscriberId, routingDomain } = offer;
    const parts = partsOf(offer);
    if (parts.length === 0 || !parts.every(({ address }) => this.isFit(routingDomain, address, subscriberId)))
      return false;
    // A grant on its way to the disk is in nobody's hands yet: it is recorded once more, as it is.
    if (!offer.durable) return true;
    if (directory.feedAgeMs(nowMs) > outageHorizonMs) return false;
    for (const { poolId, address } of parts)
      if (poolId !== undefined && directory.stickyAddress(subscriberId, offer.slot, poolId) !== address) return false;
    directory.offers.prolong(offer, nowMs + offerGraceMs);
    return true;
  }

  /** The grant is on disk: from now on what it names is kept for this subscriber. */
  granted(offer: Offer): void {
    const { subscriberId, slot } = offer;
    offer.durable = true;
    for (const { poolId, address } of partsOf(offer))
      if (poolId !== undefined) this.options.directory.keepSticky({ subscriberId, slot, poolId, address });
  }

  /** Forgets a grant of which nobody knows whether it is on the disk. Its address stays out of use until a restart. */
  abandon(offer: Offer): void {
    this.options.directory.offers.remove(offer);
  }

  /** Takes back what was taken for a grant that was certainly neither recorded nor answered. */
  giveBack(offer: Offer): void {
    this.options.directory.offers.remove(offer);
    this.returnPrefixes(offer.prefixes);
    if (offer.source !== 'grant' || offer.address === undefined || offer.poolId === undefined) return;
    const { poolId, routingDomain, address } = offer;
    this.reserves.put({ poolId, routingDomain, address });
  }

  private offer(
    from: ReservedAddress,
    source: 'grant' | 'sticky',
    subscriberId: number,
    slot: number,
    requesterKey: string,
    nowMs: number,
    prefixes: readonly OfferedPrefix[],
  ): Offer | undefined {
    if (typeof from.address === 'string') return undefined;
    const offer: Offer = {
      offerId: randomOfferId(),
      subscriberId,
      slot,
      requesterKey,
      address: from.address,
      poolId: from.poolId,
      prefixes,
      routingDomain: from.routingDomain,
      source,
      offeredAtMs: nowMs,
      expiresAtMs: nowMs + this.options.offerGraceMs,
      durable: source === 'sticky' && areDurable(prefixes),
    };
    this.options.directory.offers.add(offer);
    return offer;
  }

  /** It may have become a static address, or a NAS may have given it to somebody by itself. */
  private isFit(routingDomain: string, address: PoolAddress, subscriberId: number): boolean {
    const { directory } = this.options;
    if (typeof address === 'string')
      return (
        !directory.isStaticPrefixTaken(address, subscriberId) &&
        directory.sessions.prefixHolders(routingDomain, address).every((one) => one.subscriberId === subscriberId)
      );
    return (
      directory.subscribersByStaticAddress(address).every((owner) => owner.id === subscriberId) &&
      directory.sessions.holders(routingDomain, address).every((session) => session.subscriberId === subscriberId)
    );
  }
}

interface OfferPart {
  /** Undefined: it is the subscriber's own. */
  readonly poolId: number | undefined;
  readonly address: PoolAddress;
}

/** Every address and prefix of an offer. */
function partsOf({ address, poolId, prefixes }: Offer): readonly OfferPart[] {
  const parts: OfferPart[] = prefixes.map((one) => ({ poolId: one.poolId, address: one.prefix }));
  if (address !== undefined) parts.push({ poolId, address });
  return parts;
}

/** Whether every one of them was its owner's before: then nothing has to be on disk before the answer. */
export function areDurable(prefixes: readonly OfferedPrefix[]): boolean {
  return prefixes.every(({ source }) => source !== 'grant');
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
