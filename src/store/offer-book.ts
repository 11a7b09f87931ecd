// Enters: offers as Accepts make them, Starts that end them, time. Leaves: the outstanding offers of a subscriber.
// Invariants: bounded; nothing here is the truth about an address: forgetting an offer costs a subscriber a repeat of it, and
// the database frees the address when the grant expires.

import type { OutstandingOffer } from '../domain/access.js';
import type { PrefixKind } from '../domain/pool-address.js';
import { ShardedMap, ShardedMultiMap } from './sharded-index.js';

/** A prefix that an Accept promises beside the address. */
export interface OfferedPrefix {
  readonly kind: PrefixKind;
  /** Canonical. */
  readonly prefix: string;
  /** Undefined: it is the subscriber's own. */
  readonly poolId: number | undefined;
  readonly poolName: string | undefined;
  readonly source: 'grant' | 'sticky' | 'static';
}

/** Of an offer without prefixes, as nearly all are. */
export const NO_PREFIXES: readonly OfferedPrefix[] = [];

/** What an Accept promised. */
export interface Offer extends OutstandingOffer {
  readonly offerId: number;
  readonly subscriberId: number;
  readonly slot: number;
  readonly requesterKey: string;
  /** Unsigned 32-bit; undefined when the NAS gives one of its own. */
  readonly address: number | undefined;
  readonly poolId: number | undefined;
  /** They are durable, prolonged and given back together with the address. */
  readonly prefixes: readonly OfferedPrefix[];
  readonly routingDomain: string;
  /** `grant`: from the reserve, so it is a spool record too. */
  readonly source: 'grant' | 'sticky' | 'static' | 'none';
  readonly offeredAtMs: number;
  expiresAtMs: number;
  /** What holds a grant is answered only when its record is on disk. */
  durable: boolean;
}

/** Half a million subscribers coming back at once; some 100 MB. */
const MAX_OFFERS = 500_000;
const BUCKET_MS = 1_000;

/** The outstanding offers of this instance. */
export class OfferBook {
  private readonly byId = new ShardedMap<number, Offer>();
  private readonly bySubscriber = new ShardedMultiMap<number, Offer>();
  /** Offers by the second in which they expire; an offer that was prolonged stands in its old bucket as well. */
  private readonly buckets = new Map<number, Offer[]>();

  private expiredThrough = -Infinity;

  constructor(private readonly maxOffers = MAX_OFFERS) {}

  get size(): number {
    return this.byId.size;
  }

  get(offerId: number): Offer | undefined {
    return this.byId.get(offerId);
  }

  /** May still hold expired ones: compare `expiresAtMs`. */
  ofSubscriber(subscriberId: number): readonly Offer[] {
    return this.bySubscriber.get(subscriberId);
  }

  /** Also drops what has expired, so that nobody has to remember to: once a second at most. */
  add(offer: Offer): void {
    const second = Math.floor(offer.offeredAtMs / BUCKET_MS);
    if (second !== this.expiredThrough) this.expire(offer.offeredAtMs);
    this.expiredThrough = second;
    if (this.byId.size >= this.maxOffers) this.forgetEarliest();
    this.byId.set(offer.offerId, offer);
    this.bySubscriber.add(offer.subscriberId, offer);
    this.schedule(offer);
  }

  prolong(offer: Offer, expiresAtMs: number): void {
    const sameBucket = Math.floor(offer.expiresAtMs / BUCKET_MS) === Math.floor(expiresAtMs / BUCKET_MS);
    offer.expiresAtMs = expiresAtMs;
    if (!sameBucket && this.byId.has(offer.offerId)) this.schedule(offer);
  }

  remove(offer: Offer): void {
    if (!this.byId.delete(offer.offerId)) return;
    this.bySubscriber.remove(offer.subscriberId, offer);
  }

  /** Drops what has expired. */
  expire(nowMs: number): void {
    const last = Math.floor(nowMs / BUCKET_MS);
    for (const [second, offers] of this.buckets) {
      if (second >= last) continue;
      this.buckets.delete(second);
      for (const offer of offers) if (offer.expiresAtMs <= nowMs) this.remove(offer);
    }
  }

  private schedule(offer: Offer): void {
    const second = Math.floor(offer.expiresAtMs / BUCKET_MS);
    const bucket = this.buckets.get(second);
    if (bucket) bucket.push(offer);
    else this.buckets.set(second, [offer]);
  }

  private forgetEarliest(): void {
    let earliest = Infinity;
    for (const second of this.buckets.keys()) earliest = Math.min(earliest, second);
    const bucket = this.buckets.get(earliest);
    if (!bucket) return;
    this.buckets.delete(earliest);
    for (const offer of bucket) if (Math.floor(offer.expiresAtMs / BUCKET_MS) <= earliest) this.remove(offer);
  }
}
