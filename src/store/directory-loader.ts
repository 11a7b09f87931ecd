// Enters: a database and which entries changed. Leaves: a directory that says what the database says. Invariants: read and
// applied in slices, so the event loop is never held for more than some milliseconds; a reload replaces entries one by one,
// so there is never a moment without them; reading newer rows than asked for is harmless, since their change comes again.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { withTransaction } from './database.js';
import type { Directory } from './directory.js';
import {
  allAccounts,
  allDevices,
  allPlugs,
  allSessions,
  allStaticPrefixes,
  allSticky,
  allSubscribers,
  allTurbos,
  PAGE_ROWS,
  readAccounts,
  readDevices,
  readEndedLines,
  readPlans,
  readPlugs,
  readPools,
  readEndedSessions,
  readSessions,
  readStaticPrefixes,
  readSticky,
  readSubscribers,
  readTurbos,
  type StickyAddress,
} from './subscriber-rows.js';

/** Which entries of the directory are stale; ids are unique in each list. */
export interface Changes {
  readonly subscribers: readonly number[];
  readonly accounts: readonly number[];
  readonly plans: readonly number[];
  readonly pools: readonly number[];
  readonly devices: readonly number[];
  readonly sessions: readonly SessionChange[];
  /** Subscribers whose sticky addresses changed. */
  readonly addresses: readonly number[];
}

export interface SessionChange {
  readonly sessionId: number;
  /** Whether this instance made the change, and so knew at acknowledgement. */
  readonly own: boolean;
}

export interface LoadProgress {
  readonly accounts: number;
  readonly subscribers: number;
}

/** Brings a directory up to date. One call at a time. */
export class DirectoryLoader {
  /** @param giveWay what comes between two slices: it lets requests be answered */
  constructor(
    private readonly pool: Pool,
    private readonly directory: Directory,
    private readonly giveWay: () => Promise<unknown> = nextTurn,
  ) {}

  /**
   * Reads everything, all as of one instant, and removes what is gone. The first time fills the directory; later it
   * replaces what is held.
   *
   * @param onProgress called after each page of subscribers
   * @throws the database's error; what was read until then is kept, and nothing is marked loaded
   */
  async loadAll(onProgress?: (progress: LoadProgress) => void): Promise<void> {
    await withTransaction(this.pool, async (client) => {
      await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      this.directory.replacePools(await readPools(client));
      this.directory.replacePlans(await readPlans(client));
      await this.loadAccountsAndSubscribers(client, onProgress);
      await this.loadTurbos(client);
      await this.loadStaticPrefixes(client);
      await this.loadPlugged(client);
      await this.loadSticky(client);
      await this.loadSessions(client);
    });
    this.directory.markLoaded();
  }

  /**
   * Reads the entries that changed, in the order in which they name each other.
   *
   * @throws the database's error; the same changes may be applied again
   */
  async apply(changes: Changes): Promise<void> {
    const { directory, pool } = this;
    if (changes.pools.length > 0) directory.replacePools(await readPools(pool));
    if (changes.plans.length > 0) directory.replacePlans(await readPlans(pool));
    for (const ids of slices(changes.accounts))
      for (const account of await readAccounts(pool, ids)) directory.putAccount(account);
    await this.inSlices(changes.devices, (ids) => this.applyDevices(ids));
    await this.inSlices(changes.subscribers, (ids) => this.applySubscribers(ids));
    await this.inSlices(changes.addresses, (ids) => this.applySticky(ids));
    await this.inSlices(changes.sessions, (some) => this.applySessions(some));
  }

  private async inSlices<T>(list: readonly T[], apply: (slice: readonly T[]) => Promise<void>): Promise<void> {
    for (const slice of slices(list)) {
      await apply(slice);
      await this.giveWay();
    }
  }

  /** Pages that are read whole, each after whoever waits has been heard. */
  private async *pages<Row>(rows: AsyncIterable<readonly Row[]>): AsyncGenerator<readonly Row[]> {
    for await (const page of rows) {
      yield page;
      await this.giveWay();
    }
  }

  private async applySubscribers(ids: readonly number[]): Promise<void> {
    const { directory, pool } = this;
    const subscribers = await readSubscribers(pool, ids);
    // A new account makes no row in the feed of its own: its first subscriber does.
    const unknown = new Set<number>();
    for (const subscriber of subscribers)
      if (!directory.account(subscriber.accountId)) unknown.add(subscriber.accountId);
    if (unknown.size > 0) for (const account of await readAccounts(pool, [...unknown])) directory.putAccount(account);
    const gone = new Set(ids);
    for (const subscriber of subscribers) {
      directory.putSubscriber(subscriber);
      gone.delete(subscriber.id);
    }
    for (const id of gone) directory.removeSubscriber(id);
    const slow = new Set(ids);
    for (const { subscriberId, turbo } of await readTurbos(pool, ids)) {
      directory.setTurbo(subscriberId, turbo);
      slow.delete(subscriberId);
    }
    for (const id of slow) directory.setTurbo(id, undefined);
    const without = new Set(ids);
    for (const { subscriberId, prefixes } of await readStaticPrefixes(pool, ids)) {
      directory.setStaticPrefixes(subscriberId, prefixes);
      without.delete(subscriberId);
    }
    for (const id of without) directory.setStaticPrefixes(id, undefined);
    await this.applyPlugs(
      ids,
      subscribers.filter((one) => one.hasDevice).map(({ id }) => id),
    );
  }

  /** @param plugged those of `ids` who have a device: few changes are of them, and the others need no query */
  private async applyPlugs(ids: readonly number[], plugged: readonly number[]): Promise<void> {
    const nowhere = new Set(ids);
    for (const { subscriberId, plug } of plugged.length === 0 ? [] : await readPlugs(this.pool, plugged)) {
      this.directory.plugged.plugIn(subscriberId, plug);
      nowhere.delete(subscriberId);
    }
    for (const id of nowhere) this.directory.plugged.plugIn(id, undefined);
  }

  private async applyDevices(ids: readonly number[]): Promise<void> {
    const { plugged } = this.directory;
    const gone = new Set(ids);
    for (const device of await readDevices(this.pool, ids)) {
      plugged.putDevice(device);
      gone.delete(device.id);
    }
    for (const id of gone) plugged.removeDevice(id);
  }

  private async applySticky(subscriberIds: readonly number[]): Promise<void> {
    const addresses = await readSticky(this.pool, subscriberIds);
    const gone = new Set(subscriberIds);
    for (const group of bySubscriber(addresses)) {
      this.directory.setSticky(group[0]!.subscriberId, group);
      gone.delete(group[0]!.subscriberId);
    }
    for (const id of gone) this.directory.setSticky(id, []);
  }

  private async applySessions(changes: readonly SessionChange[]): Promise<void> {
    const { sessions } = this.directory;
    const idsOf = (own: boolean): number[] =>
      changes.filter((change) => change.own === own).map((change) => change.sessionId);
    // Our own were known at acknowledgement; only an end that no Stop told is news.
    const own = idsOf(true);
    if (own.length > 0) for (const row of await readEndedSessions(this.pool, own)) sessions.applyEnd(row);
    const others = idsOf(false);
    if (others.length === 0) return;
    const rows = await readSessions(this.pool, others);
    for (const row of rows.live) sessions.applyRow(row);
    for (const row of rows.ended) sessions.applyEnd(row);
  }

  private async loadAccountsAndSubscribers(
    client: PoolClient,
    onProgress: ((progress: LoadProgress) => void) | undefined,
  ): Promise<void> {
    const { directory } = this;
    const accountIds = new SeenIds();
    for await (const accounts of this.pages(allAccounts(client)))
      for (const account of accounts) {
        directory.putAccount(account);
        accountIds.add(account.id);
      }
    const subscriberIds = new SeenIds();
    for await (const subscribers of this.pages(allSubscribers(client))) {
      for (const subscriber of subscribers) {
        directory.putSubscriber(subscriber);
        subscriberIds.add(subscriber.id);
      }
      onProgress?.({ accounts: directory.accountCount, subscribers: directory.subscriberCount });
    }
    await this.removeUnseen(directory.subscriberIdSlices(), subscriberIds, (id) => directory.removeSubscriber(id));
    await this.removeUnseen(directory.accountIdSlices(), accountIds, (id) => directory.removeAccount(id));
  }

  private async loadTurbos(client: PoolClient): Promise<void> {
    const { directory } = this;
    const seen = new SeenIds();
    for await (const rows of this.pages(allTurbos(client)))
      for (const { subscriberId, turbo } of rows) {
        directory.setTurbo(subscriberId, turbo);
        seen.add(subscriberId);
      }
    await this.removeUnseen(directory.turboSubscriberIdSlices(), seen, (id) => directory.setTurbo(id, undefined));
  }

  private async loadStaticPrefixes(client: PoolClient): Promise<void> {
    const { directory } = this;
    const seen = new SeenIds();
    for await (const rows of this.pages(allStaticPrefixes(client)))
      for (const { subscriberId, prefixes } of rows) {
        directory.setStaticPrefixes(subscriberId, prefixes);
        seen.add(subscriberId);
      }
    await this.removeUnseen(directory.staticPrefixSubscriberIdSlices(), seen, (id) =>
      directory.setStaticPrefixes(id, undefined),
    );
  }

  /** Devices first: they say whether somebody is found by his port. */
  private async loadPlugged(client: PoolClient): Promise<void> {
    const { plugged } = this.directory;
    const deviceIds = new SeenIds();
    for await (const devices of this.pages(allDevices(client)))
      for (const device of devices) {
        plugged.putDevice(device);
        deviceIds.add(device.id);
      }
    await this.removeUnseen(plugged.deviceIdSlices(), deviceIds, (id) => plugged.removeDevice(id));
    const subscriberIds = new SeenIds();
    for await (const rows of this.pages(allPlugs(client)))
      for (const { subscriberId, plug } of rows) {
        plugged.plugIn(subscriberId, plug);
        subscriberIds.add(subscriberId);
      }
    await this.removeUnseen(plugged.subscriberIdSlices(), subscriberIds, (id) => plugged.plugIn(id, undefined));
  }

  private async loadSticky(client: PoolClient): Promise<void> {
    const { directory } = this;
    const seen = new SeenIds();
    // The addresses of the last subscriber of a page may go on in the next.
    let rest: readonly StickyAddress[] = [];
    const take = (group: readonly StickyAddress[]) => {
      directory.setSticky(group[0]!.subscriberId, group);
      seen.add(group[0]!.subscriberId);
    };
    for await (const page of this.pages(allSticky(client))) {
      const groups = [...bySubscriber([...rest, ...page])];
      rest = groups.pop() ?? [];
      groups.forEach(take);
    }
    if (rest.length > 0) take(rest);
    await this.removeUnseen(directory.stickySubscriberIdSlices(), seen, (id) => directory.setSticky(id, []));
  }

  /** Sessions known from rows go when their row has gone; our own only when the database says that they ended. */
  private async loadSessions(client: PoolClient): Promise<void> {
    const { sessions } = this.directory;
    const seen = new SeenIds();
    for await (const rows of this.pages(allSessions(client)))
      for (const row of rows) {
        seen.add(row.sessionId);
        sessions.applyRow(row);
      }
    for (const slice of sessions.slices()) {
      for (const session of slice)
        if (session.sessionId !== undefined && !seen.has(session.sessionId)) sessions.forget(session);
      const own = slice.filter((session) => session.sessionId === undefined);
      if (own.length > 0) for (const row of await readEndedLines(client, own)) sessions.applyEnd(row);
      await this.giveWay();
    }
  }

  private async removeUnseen(
    held: Generator<readonly number[]>,
    seen: SeenIds,
    remove: (id: number) => void,
  ): Promise<void> {
    for (const ids of held) {
      for (const id of ids) if (!seen.has(id)) remove(id);
      await this.giveWay();
    }
  }
}

/** Ids of one reload, a bit each in blocks: a Set of a million would hold the event loop whenever it grows. */
class SeenIds {
  private readonly blocks = new Map<number, Uint8Array>();

  add(id: number): void {
    const block = Math.floor(id / 65_536);
    let bits = this.blocks.get(block);
    if (!bits) this.blocks.set(block, (bits = new Uint8Array(8_192)));
    const bit = id % 65_536;
    bits[bit >> 3]! |= 1 << (bit & 7);
  }

  has(id: number): boolean {
    const bit = id % 65_536;
    const bits = this.blocks.get(Math.floor(id / 65_536));
    return bits !== undefined && (bits[bit >> 3]! & (1 << (bit & 7))) !== 0;
  }
}

function* slices<Value>(values: readonly Value[]): Generator<readonly Value[]> {
  for (let i = 0; i < values.length; i += PAGE_ROWS) yield values.slice(i, i + PAGE_ROWS);
}

/** Runs of one subscriber in a list that is ordered by subscriber. */
function* bySubscriber(addresses: readonly StickyAddress[]): Generator<readonly StickyAddress[]> {
  let from = 0;
  for (let i = 1; i <= addresses.length; i++) {
    if (i < addresses.length && addresses[i]!.subscriberId === addresses[from]!.subscriberId) continue;
    yield addresses.slice(from, i);
    from = i;
  }
}
