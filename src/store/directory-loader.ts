// Enters: a database and which entries changed. Leaves: a directory that says what the database says. Invariants: read and
// applied in slices, so the event loop is never held for more than some milliseconds; a reload replaces entries one by one,
// so there is never a moment without them; reading newer rows than asked for is harmless, since their change comes again.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Directory } from './directory.js';
import {
  PAGE_ROWS,
  readAccounts,
  readAccountsAfter,
  readEndedLines,
  readPlans,
  readPools,
  readSessions,
  readSessionsAfter,
  readSticky,
  readStickyAfter,
  readSubscribers,
  readSubscribersAfter,
  type Queryable,
  type StickyAddress,
} from './subscriber-rows.js';

/** Which entries of the directory are stale; ids are unique in each list. */
export interface Changes {
  readonly subscribers: readonly number[];
  readonly accounts: readonly number[];
  readonly plans: readonly number[];
  readonly pools: readonly number[];
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
  constructor(
    private readonly queryable: Queryable,
    private readonly directory: Directory,
  ) {}

  /**
   * Reads everything, and removes what is gone. The first time fills the directory; later it replaces what is held.
   *
   * @param onProgress called after each page of subscribers
   * @throws the database's error; what was read until then is kept, and nothing is marked loaded
   */
  async loadAll(onProgress?: (progress: LoadProgress) => void): Promise<void> {
    const { directory, queryable } = this;
    directory.replacePools(await readPools(queryable));
    directory.replacePlans(await readPlans(queryable));

    const accountIds = new SeenIds();
    await this.eachPage(
      (after) => readAccountsAfter(queryable, after),
      (account) => account.id,
      (account) => {
        directory.putAccount(account);
        accountIds.add(account.id);
      },
    );
    const subscriberIds = new SeenIds();
    await this.eachPage(
      (after) => readSubscribersAfter(queryable, after),
      (subscriber) => subscriber.id,
      (subscriber) => {
        directory.putSubscriber(subscriber);
        subscriberIds.add(subscriber.id);
      },
      () => onProgress?.({ accounts: directory.accountCount, subscribers: directory.subscriberCount }),
    );
    await this.removeUnseen(directory.subscriberIdSlices(), subscriberIds, (id) => directory.removeSubscriber(id));
    await this.removeUnseen(directory.accountIdSlices(), accountIds, (id) => directory.removeAccount(id));
    await this.loadSticky();
    await this.loadSessions();
    directory.markLoaded();
  }

  /**
   * Reads the entries that changed, in the order in which they name each other.
   *
   * @throws the database's error; the same changes may be applied again
   */
  async apply(changes: Changes): Promise<void> {
    const { directory, queryable } = this;
    if (changes.pools.length > 0) directory.replacePools(await readPools(queryable));
    if (changes.plans.length > 0) directory.replacePlans(await readPlans(queryable));
    for (const ids of slices(changes.accounts))
      for (const account of await readAccounts(queryable, ids)) directory.putAccount(account);
    for (const ids of slices(changes.subscribers)) await this.applySubscribers(ids);
    for (const ids of slices(changes.addresses)) await this.applySticky(ids);
    for (const some of slices(changes.sessions)) await this.applySessions(some);
  }

  private async applySubscribers(ids: readonly number[]): Promise<void> {
    const { directory, queryable } = this;
    const subscribers = await readSubscribers(queryable, ids);
    // A new account makes no row in the feed of its own: its first subscriber does.
    const unknown = new Set<number>();
    for (const subscriber of subscribers)
      if (!directory.account(subscriber.accountId)) unknown.add(subscriber.accountId);
    if (unknown.size > 0)
      for (const account of await readAccounts(queryable, [...unknown])) directory.putAccount(account);
    const gone = new Set(ids);
    for (const subscriber of subscribers) {
      directory.putSubscriber(subscriber);
      gone.delete(subscriber.id);
    }
    for (const id of gone) directory.removeSubscriber(id);
  }

  private async applySticky(subscriberIds: readonly number[]): Promise<void> {
    const addresses = await readSticky(this.queryable, subscriberIds);
    const gone = new Set(subscriberIds);
    for (const group of bySubscriber(addresses)) {
      this.directory.setSticky(group[0]!.subscriberId, group);
      gone.delete(group[0]!.subscriberId);
    }
    for (const id of gone) this.directory.setSticky(id, []);
  }

  private async applySessions(changes: readonly SessionChange[]): Promise<void> {
    const own = new Set(changes.filter((change) => change.own).map((change) => change.sessionId));
    const rows = await readSessions(
      this.queryable,
      changes.map((change) => change.sessionId),
    );
    for (const row of rows.live) if (!own.has(row.sessionId)) this.directory.sessions.applyRow(row);
    for (const row of rows.ended) this.directory.sessions.applyEnd(row);
  }

  private async loadSticky(): Promise<void> {
    const { directory, queryable } = this;
    const seen = new SeenIds();
    let after = 0;
    for (;;) {
      const addresses = await readStickyAfter(queryable, after);
      if (addresses.length === 0) break;
      for (const group of bySubscriber(addresses)) {
        directory.setSticky(group[0]!.subscriberId, group);
        seen.add(group[0]!.subscriberId);
      }
      after = addresses.at(-1)!.subscriberId;
    }
    await this.removeUnseen(directory.stickySubscriberIdSlices(), seen, (id) => directory.setSticky(id, []));
  }

  /** Sessions known from rows go when their row has gone; our own only when the database says that they ended. */
  private async loadSessions(): Promise<void> {
    const { sessions } = this.directory;
    const seen = new SeenIds();
    await this.eachPage(
      (after) => readSessionsAfter(this.queryable, after),
      (row) => row.sessionId,
      (row) => {
        seen.add(row.sessionId);
        sessions.applyRow(row);
      },
    );
    for (const slice of sessions.slices()) {
      for (const session of slice)
        if (session.sessionId !== undefined && !seen.has(session.sessionId)) sessions.forget(session);
      const own = slice.filter((session) => session.sessionId === undefined);
      if (own.length > 0) for (const row of await readEndedLines(this.queryable, own)) sessions.applyEnd(row);
      await nextTurn();
    }
  }

  private async eachPage<Row>(
    read: (after: number) => Promise<Row[]>,
    idOf: (row: Row) => number,
    take: (row: Row) => void,
    onPage?: () => void,
  ): Promise<void> {
    let page = await read(0);
    while (page.length > 0) {
      // The next page is on its way while this one is taken in.
      const next = page.length === PAGE_ROWS ? read(idOf(page.at(-1)!)) : undefined;
      // Heard here, so that it is never an unhandled rejection; it is thrown where it is awaited.
      next?.catch(() => undefined);
      for (const row of page) take(row);
      onPage?.();
      page = next ? await next : [];
    }
  }

  private async removeUnseen(
    held: Generator<readonly number[]>,
    seen: SeenIds,
    remove: (id: number) => void,
  ): Promise<void> {
    for (const ids of held) {
      for (const id of ids) if (!seen.has(id)) remove(id);
      await nextTurn();
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
