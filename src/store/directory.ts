// Enters: rows, by the loader, and what accounting says, at acknowledgement. Leaves: everything that an Access-Request is
// decided from. Invariants: memory only, no SQL and no waiting; an entry is replaced whole, so whoever holds one sees it
// unchanged; no operation takes longer than the entries it names.

import type { AccessLine } from '../domain/access-line.js';
import type { Turbo } from '../domain/effective-rate.js';
import { OverlappingPrefixes } from '../domain/overlapping-prefixes.js';
import type { PoolAddress } from '../domain/pool-address.js';
import type { Account, Plan, Pool, StaticPrefixes, Subscriber } from '../domain/subscriber.js';
import { LiveSessions } from './live-sessions.js';
import type { HeldSession, SessionStart } from './live-sessions.js';
import { OfferBook } from './offer-book.js';
import type { Offer } from './offer-book.js';
import { PluggedSubscribers } from './plugged-subscribers.js';
import { DenseMap, ShardedMultiMap } from './sharded-index.js';
import type { StickyAddress } from './subscriber-rows.js';
import { TextTable } from './text-table.js';

/** What the accounting handler tells at acknowledgement. */
export interface SessionStarted extends SessionStart {
  /** From a valid Class: which Accept this session came from. */
  readonly offerId?: number | undefined;
}

/** All subscribers, accounts, plans, pools, devices, turbo rates, sticky addresses, live sessions and outstanding offers. */
export class Directory {
  readonly sessions = new LiveSessions();
  readonly offers: OfferBook;
  readonly plugged = new PluggedSubscribers();
  private readonly subscribers = new DenseMap<Subscriber>();
  private readonly byLogin = subscribersBy(({ login }) => login);
  private readonly byMac = subscribersBy(({ mac }) => mac);
  private readonly byStaticAddress = new ShardedMultiMap<number, Subscriber>(new DenseMap());
  private readonly accounts = new DenseMap<Account>();
  /** Counts changes of accounts. */
  private accountsChanged = 0;
  private readonly sticky = new ShardedMultiMap<number, StickyAddress>(new DenseMap());
  /** By subscriber: only those who have one, so that a million who have none cost nothing. */
  private readonly turbos = new DenseMap<Turbo>();
  /** The same: by subscriber, only those who have any. */
  private readonly prefixes = new DenseMap<StaticPrefixes>();
  private readonly prefixOwners = new OverlappingPrefixes();
  private plans = new Map<number, Plan>();
  private pools = new Map<number, Pool>();
  private poolsByName = new Map<string, Pool>();
  private complete = false;
  private caughtUpAtMs: number | undefined;
  private polledAtMs = -Infinity;

  constructor(options: { readonly maxOffers?: number } = {}) {
    this.offers = new OfferBook(options.maxOffers);
  }

  /** Whether everything has been loaded once. Before that nobody can be told from nobody. */
  get loaded(): boolean {
    return this.complete;
  }

  /** Database time, ms since 1970, before which every committed change is in here; undefined before the first. */
  get caughtUpTo(): number | undefined {
    return this.caughtUpAtMs;
  }

  get subscriberCount(): number {
    return this.subscribers.size;
  }

  get accountCount(): number {
    return this.accounts.size;
  }

  /** How long ago, ms of the local clock, the last change was certainly seen. */
  feedAgeMs(nowMs: number): number {
    return nowMs - this.polledAtMs;
  }

  subscriber(id: number): Subscriber | undefined {
    return this.subscribers.get(id);
  }

  subscribersByLogin(login: string): readonly Subscriber[] {
    return this.byLogin.get(login);
  }

  /** @param mac canonical */
  subscribersByMac(mac: string): readonly Subscriber[] {
    return this.byMac.get(mac);
  }

  subscribersByStaticAddress(address: number): readonly Subscriber[] {
    return this.byStaticAddress.get(address);
  }

  /** Everybody who is plugged in at an access line. */
  subscribersAtLine(line: AccessLine): readonly Subscriber[] {
    return this.plugged
      .at(line)
      .map((id) => this.subscribers.get(id))
      .filter((one) => one !== undefined);
  }

  account(id: number): Account | undefined {
    return this.accounts.get(id);
  }

  /** The account of a subscriber. Where it was found before and none has changed since, no table is looked through. */
  accountOf(subscriber: Subscriber): Account | undefined {
    if (subscriber.accountSeenAt !== this.accountsChanged) {
      subscriber.accountSeen = this.accounts.get(subscriber.accountId);
      subscriber.accountSeenAt = this.accountsChanged;
    }
    return subscriber.accountSeen;
  }

  plan(id: number | undefined): Plan | undefined {
    return id === undefined ? undefined : this.plans.get(id);
  }

  /** The turbo rate of a subscriber, which may be over. */
  turbo(subscriberId: number): Turbo | undefined {
    return this.turbos.size === 0 ? undefined : this.turbos.get(subscriberId);
  }

  /** The prefixes that a subscriber has by contract; undefined for nearly everybody. */
  staticPrefixes(subscriberId: number): StaticPrefixes | undefined {
    return this.prefixes.size === 0 ? undefined : this.prefixes.get(subscriberId);
  }

  /** Whether a prefix, or a part of it, or more than it, is somebody else's by contract. */
  isStaticPrefixTaken(prefix: string, subscriberId: number): boolean {
    return this.prefixOwners.isTaken(prefix, subscriberId);
  }

  pool(id: number): Pool | undefined {
    return this.pools.get(id);
  }

  poolByName(name: string): Pool | undefined {
    return this.poolsByName.get(name);
  }

  allPools(): Iterable<Pool> {
    return this.pools.values();
  }

  /** The address or prefix that is kept for a slot of a subscriber in a pool. */
  stickyAddress(subscriberId: number, slot: number, poolId: number): PoolAddress | undefined {
    return this.sticky.get(subscriberId).find((one) => one.slot === slot && one.poolId === poolId)?.address;
  }

  /**
   * A Start, or an Interim-Update of a session not known here; the offer that it came from is used up.
   *
   * @returns the session as held, or undefined when it is a late packet of one that is over
   */
  sessionStarted(start: SessionStarted): HeldSession | undefined {
    const offer = this.offerOf(start);
    const session = this.sessions.started(offer && start.slot === undefined ? { ...start, slot: offer.slot } : start);
    if (offer && session) this.offers.remove(offer);
    return session;
  }

  /** See `LiveSessions.ended`. */
  sessionEnded(nasName: string, nasBox: string, acctSessionId: string, endedAtMs: number, receivedAtMs: number): void {
    this.sessions.ended(nasName, nasBox, acctSessionId, endedAtMs, receivedAtMs);
  }

  /** See `LiveSessions.restarted`. */
  nasRestarted(nasName: string, nasBox: string, beforeMs: number): void {
    this.sessions.restarted(nasName, nasBox, beforeMs);
  }

  /** One that says nothing new is not taken: a reload would otherwise make a million objects old at once. */
  putSubscriber(subscriber: Subscriber): void {
    const old = this.subscribers.get(subscriber.id);
    if (old?.equals(subscriber)) return;
    this.subscribers.set(subscriber.id, subscriber);
    move(this.byLogin, old, old?.login, subscriber, subscriber.login);
    move(this.byMac, old, old?.mac, subscriber, subscriber.mac);
    move(this.byStaticAddress, old, old?.staticAddress, subscriber, subscriber.staticAddress);
  }

  removeSubscriber(id: number): void {
    const old = this.subscribers.get(id);
    if (!old) return;
    this.subscribers.delete(id);
    this.turbos.delete(id);
    this.setStaticPrefixes(id, undefined);
    this.plugged.plugIn(id, undefined);
    move(this.byLogin, old, old.login, undefined, undefined);
    move(this.byMac, old, old.mac, undefined, undefined);
    move(this.byStaticAddress, old, old.staticAddress, undefined, undefined);
  }

  /** @param turbo undefined: there is none any more */
  setTurbo(subscriberId: number, turbo: Turbo | undefined): void {
    if (turbo === undefined) this.turbos.delete(subscriberId);
    else this.turbos.set(subscriberId, turbo);
  }

  /** @param prefixes undefined: there are none any more */
  setStaticPrefixes(subscriberId: number, prefixes: StaticPrefixes | undefined): void {
    const held = this.prefixes.get(subscriberId);
    if (held?.framed === prefixes?.framed && held?.delegated === prefixes?.delegated) return;
    if (prefixes === undefined) this.prefixes.delete(subscriberId);
    else this.prefixes.set(subscriberId, prefixes);
    this.prefixOwners.set(
      subscriberId,
      [prefixes?.framed, prefixes?.delegated].filter((prefix) => prefix !== undefined),
    );
  }

  putAccount(account: Account): void {
    const old = this.accounts.get(account.id);
    if (
      old?.contract === account.contract &&
      old.planId === account.planId &&
      old.adminBlocked === account.adminBlocked
    )
      return;
    this.accounts.set(account.id, account);
    this.accountsChanged += 1;
  }

  removeAccount(id: number): void {
    this.accounts.delete(id);
    this.accountsChanged += 1;
  }

  replacePlans(plans: readonly Plan[]): void {
    this.plans = new Map(plans.map((plan) => [plan.id, plan]));
  }

  replacePools(pools: readonly Pool[]): void {
    this.pools = new Map(pools.map((pool) => [pool.id, pool]));
    this.poolsByName = new Map(pools.map((pool) => [pool.name, pool]));
  }

  /** Replaces what is kept for a subscriber; the best address comes first. */
  setSticky(subscriberId: number, addresses: readonly StickyAddress[]): void {
    this.sticky.setAll(subscriberId, addresses);
  }

  /** What this instance has just granted, before the database says so. */
  keepSticky(kept: StickyAddress): void {
    const rest = this.sticky
      .get(kept.subscriberId)
      .filter((one) => one.slot !== kept.slot || one.poolId !== kept.poolId);
    this.sticky.setAll(kept.subscriberId, [kept, ...rest]);
  }

  subscriberIdSlices(): Generator<readonly number[]> {
    return this.subscribers.keySlices();
  }

  accountIdSlices(): Generator<readonly number[]> {
    return this.accounts.keySlices();
  }

  turboSubscriberIdSlices(): Generator<readonly number[]> {
    return this.turbos.keySlices();
  }

  staticPrefixSubscriberIdSlices(): Generator<readonly number[]> {
    return this.prefixes.keySlices();
  }

  stickySubscriberIdSlices(): Generator<readonly number[]> {
    return this.sticky.keySlices();
  }

  /** Every row has been read once. */
  markLoaded(): void {
    this.complete = true;
  }

  /**
   * Every change committed before this database time has been applied.
   *
   * @param databaseTimeMs of the poll, ms since 1970
   * @param polledAtMs our clock when the poll was sent, ms since 1970
   */
  markCaughtUp(databaseTimeMs: number, polledAtMs: number): void {
    this.caughtUpAtMs = databaseTimeMs;
    this.polledAtMs = polledAtMs;
  }

  private offerOf(start: SessionStarted): Offer | undefined {
    if (start.offerId !== undefined) {
      const offer = this.offers.get(start.offerId);
      // The Class of another subscriber, replayed, must not end his offer.
      return offer && offer.subscriberId === start.subscriberId ? offer : undefined;
    }
    if (start.subscriberId === undefined || start.address === undefined) return undefined;
    // Without a Class the address tells which offer was taken.
    return this.offers
      .ofSubscriber(start.subscriberId)
      .find((offer) => offer.address === start.address && offer.routingDomain === start.routingDomain);
  }
}

function subscribersBy(keyOf: (one: Subscriber) => string | undefined): ShardedMultiMap<string, Subscriber> {
  return new ShardedMultiMap(new TextTable((entry) => keyOf(Array.isArray(entry) ? entry[0]! : entry)));
}

/** Brings one index up to date: `old` stood under `oldKey`, `next` is to stand under `nextKey`. */
function move<Key extends number | string>(
  index: ShardedMultiMap<Key, Subscriber>,
  old: Subscriber | undefined,
  oldKey: Key | undefined,
  next: Subscriber | undefined,
  nextKey: Key | undefined,
): void {
  if (old && next && oldKey !== undefined && oldKey === nextKey) {
    index.replace(oldKey, old, next);
    return;
  }
  if (old && oldKey !== undefined) index.remove(oldKey, old);
  if (next && nextKey !== undefined) index.add(nextKey, next);
}
