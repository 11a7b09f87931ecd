// The change feed on a real PostgreSQL: each committed change arrives once, whatever order transactions commit in.

import t, { type Test } from 'tap';
import pg from 'pg';
import { ChangeFeed, type ChangeFeedOptions, type ReloadReason } from '../../src/store/change-feed.js';
import type { Changes } from '../../src/store/directory-loader.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

interface Heard {
  readonly feed: ChangeFeed;
  readonly reloads: ReloadReason[];
  readonly changes: Changes[];
  readonly caughtUpToMs: number[];
  readonly errors: unknown[];
  /** Every subscriber id that arrived, repeats included. */
  subscribers(): number[];
}

async function follow(
  test: Test,
  database: { readonly url: string },
  options: Partial<ChangeFeedOptions> = {},
): Promise<Heard> {
  const reloads: ReloadReason[] = [];
  const changes: Changes[] = [];
  const caughtUpToMs: number[] = [];
  const errors: unknown[] = [];
  const feed = new ChangeFeed({
    databaseUrl: database.url,
    instance: 'one',
    nowMs: Date.now,
    onError: (error) => errors.push(error),
    pollIntervalMs: 20,
    sink: {
      reload: async (reason) => void reloads.push(reason),
      apply: async (some) => void changes.push(some),
      caughtUp: (databaseTimeMs) => caughtUpToMs.push(databaseTimeMs),
    },
    ...options,
  });
  await feed.start();
  test.teardown(() => feed.stop());
  return {
    feed,
    reloads,
    changes,
    caughtUpToMs,
    errors,
    subscribers: () => changes.flatMap((one) => [...one.subscribers]),
  };
}

/** Waits until the feed has polled twice more, so that whatever was committed before has arrived. */
async function settled(heard: Heard): Promise<void> {
  const { polls } = heard.feed.status;
  await until(() => heard.feed.status.polls >= polls + 2);
}

async function connection(test: Test, database: FreshDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  test.teardown(() => client.end());
  return client;
}

async function threeSubscribers(database: FreshDatabase): Promise<[number, number, number]> {
  const accountId = await addAccount(database.pool, { planId: await addPlan(database.pool) });
  const ids: number[] = [];
  for (const login of ['alice', 'bob', 'carol']) ids.push(await addSubscriber(database.pool, { accountId, login }));
  return ids as [number, number, number];
}

const block = 'UPDATE subscriber SET own_disabled = NOT own_disabled WHERE id = $1';

t.test('a reader begins with everything and hears nothing that was there before', async (test) => {
  const database = await freshDatabase(test);
  await threeSubscribers(database);
  const heard = await follow(test, database);
  await settled(heard);
  test.same(heard.reloads, ['start']);
  test.same(heard.subscribers(), []);
});

t.test('transactions that commit in another order than they began', async (test) => {
  const database = await freshDatabase(test);
  const [alice, bob, carol] = await threeSubscribers(database);
  const heard = await follow(test, database);
  const first = await connection(test, database);
  const second = await connection(test, database);
  await first.query('BEGIN');
  await first.query(block, [alice]);
  await second.query('BEGIN');
  await second.query(block, [bob]);
  await second.query('COMMIT');
  await until(() => heard.subscribers().includes(bob));
  await database.pool.query(block, [carol]);
  await until(() => heard.subscribers().includes(carol));
  await settled(heard);
  test.notOk(heard.subscribers().includes(alice), 'what is not committed is not seen');
  await first.query('COMMIT');
  await until(() => heard.subscribers().includes(alice));
  await settled(heard);
  test.same(heard.subscribers().sort(), [alice, bob, carol].sort(), 'each exactly once');
});

t.test('a transaction left open hides nothing and is heard once when it ends', async (test) => {
  const database = await freshDatabase(test);
  const [alice, bob] = await threeSubscribers(database);
  const open = await connection(test, database);
  await open.query('BEGIN');
  await open.query(block, [alice]);
  // It was open before the reader began, so its rows belong to no load and to no later transaction id.
  const heard = await follow(test, database);
  for (let i = 0; i < 5; i++) await database.pool.query(block, [bob]);
  await settled(heard);
  test.notOk(heard.subscribers().includes(alice));
  const bobs = heard.subscribers().length;
  await open.query('COMMIT');
  await until(() => heard.subscribers().includes(alice));
  await settled(heard);
  test.equal(heard.subscribers().filter((id) => id === alice).length, 1);
  test.equal(heard.subscribers().length, bobs + 1, 'what was heard before is not heard again');
});

t.test('rows that a dump brought from a cluster whose ids went further are no news', async (test) => {
  const database = await freshDatabase(test);
  const [alice, bob] = await threeSubscribers(database);
  await database.pool.query(`INSERT INTO change_feed (kind, ref, xid) VALUES ('subscriber', $1, '4000000000')`, [
    alice,
  ]);
  const heard = await follow(test, database);
  await settled(heard);
  test.same(heard.subscribers(), [], 'otherwise they would be heard at every poll, until the ids got there');
  await database.pool.query(block, [bob]);
  await until(() => heard.subscribers().includes(bob));
  await settled(heard);
  test.same(heard.subscribers(), [bob], 'and hide nothing');
});

t.test('a rollback is never heard', async (test) => {
  const database = await freshDatabase(test);
  const [alice, bob] = await threeSubscribers(database);
  const heard = await follow(test, database);
  const client = await connection(test, database);
  await client.query('BEGIN');
  await client.query(block, [alice]);
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  await client.query('SAVEPOINT here');
  await client.query(block, [alice]);
  await client.query('ROLLBACK TO here');
  await client.query(block, [bob]);
  await client.query('COMMIT');
  await until(() => heard.subscribers().includes(bob));
  await settled(heard);
  test.same(heard.subscribers(), [bob]);
});

t.test('seeded histories of concurrent transactions: exactly the committed changes, once each', async (test) => {
  const database = await freshDatabase(test);
  const [alice] = await threeSubscribers(database);
  const heard = await follow(test, database, { pollIntervalMs: 5 });
  const clients = await Promise.all([0, 1, 2, 3].map(() => connection(test, database)));
  const open = new Map<pg.Client, number[]>();
  const committed: number[] = [];
  let seed = 20_261_121;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((seed / 0x8000_0000) * below);
  };
  test.comment(`seed ${String(seed)}`);
  for (let step = 0; step < 400; step++) {
    const client = clients[random(clients.length)]!;
    const rows = open.get(client);
    if (!rows) {
      await client.query('BEGIN');
      open.set(client, []);
    } else if (random(4) > 0) {
      // Straight into the feed: every row has a number of its own, so that a lost or repeated one shows.
      await client.query("INSERT INTO change_feed (kind, ref) VALUES ('subscriber', $1)", [alice + 1_000 + step]);
      rows.push(alice + 1_000 + step);
    } else {
      const commits = random(3) > 0;
      await client.query(commits ? 'COMMIT' : 'ROLLBACK');
      if (commits) committed.push(...rows);
      open.delete(client);
    }
  }
  for (const client of open.keys()) await client.query('ROLLBACK');
  await settled(heard);
  const ascending = (a: number, b: number) => a - b;
  test.same(heard.subscribers().sort(ascending), committed.sort(ascending));
  test.ok(committed.length > 50, 'the history is worth its name');
});

t.test('NOTIFY makes it fast, polling makes it certain', async (test) => {
  const database = await freshDatabase(test);
  const [alice] = await threeSubscribers(database);
  const hurried = await follow(test, database, { pollIntervalMs: 60_000 });
  const deaf = await follow(test, database, { pollIntervalMs: 20, listen: false });
  await database.pool.query(block, [alice]);
  await until(() => hurried.subscribers().includes(alice));
  test.pass('long before the interval of a minute');
  await until(() => deaf.subscribers().includes(alice));
  test.pass('and without any notification');
});

t.test('one UPDATE of 10,000 rows is one poll; more than fit are a reload', async (test) => {
  const database = await freshDatabase(test);
  const accountId = await addAccount(database.pool, { planId: await addPlan(database.pool) });
  await database.pool.query(
    "INSERT INTO subscriber (account_id, login) SELECT $1, 'user' || n FROM generate_series(1, 10000) n",
    [accountId],
  );
  const heard = await follow(test, database);
  const narrow = await follow(test, database, { maxRows: 5_000 });
  await database.pool.query('UPDATE subscriber SET redirect = true');
  await until(() => heard.subscribers().length > 0);
  await settled(heard);
  test.equal(heard.changes.length, 1);
  test.equal(new Set(heard.subscribers()).size, 10_000);
  await until(() => narrow.reloads.includes('many-changes'));
  await settled(narrow);
  test.same(narrow.reloads, ['start', 'many-changes']);
  test.same(narrow.subscribers(), []);
});

t.test('a change that could not be applied is read again', async (test) => {
  const database = await freshDatabase(test);
  const [alice] = await threeSubscribers(database);
  let failures = 2;
  const applied: number[] = [];
  const heard = await follow(test, database, {
    sink: {
      reload: async () => undefined,
      apply: async (changes) => {
        if (failures-- > 0) throw new Error('the read failed');
        applied.push(...changes.subscribers);
      },
      caughtUp: () => undefined,
    },
  });
  await database.pool.query(block, [alice]);
  await until(() => applied.length > 0);
  test.same(applied, [alice]);
  test.equal(heard.errors.length, 2);
});

t.test('kinds, and who made a change of a session', async (test) => {
  const database = await freshDatabase(test);
  const heard = await follow(test, database);
  await database.pool.query(`INSERT INTO change_feed (kind, ref, instance) VALUES
    ('account', 1, NULL), ('plan', 2, NULL), ('pool', 3, NULL), ('device', 10, NULL), ('device', 10, NULL), ('address', 4, NULL), ('address', 4, NULL),
    ('enforcement', 9, NULL), ('fuse', 1, NULL),
    ('session', 5, 'one'), ('session', 6, 'two'), ('session', 7, 'one'), ('session', 7, 'two'), ('of-the-future', 8, NULL)`);
  await until(() => heard.changes.length > 0);
  test.same(heard.changes, [
    {
      subscribers: [],
      accounts: [1],
      plans: [2],
      pools: [3],
      devices: [10],
      addresses: [4],
      sessions: [
        { sessionId: 5, own: true },
        { sessionId: 6, own: false },
        { sessionId: 7, own: false },
      ],
      enforcements: [9],
      fuseReleased: true,
    },
  ]);
});

t.test('caught up is the time of the database, and only ever later', async (test) => {
  const database = await freshDatabase(test);
  const heard = await follow(test, database);
  await settled(heard);
  const sorted = [...heard.caughtUpToMs].sort((a, b) => a - b);
  test.same(heard.caughtUpToMs, sorted);
  test.ok(Math.abs(sorted[0]! - Date.now()) < 60_000);
});

t.test('a connection that is cut costs nothing: the cursor still holds', async (test) => {
  const database = await freshDatabase(test);
  const [alice, bob] = await threeSubscribers(database);
  const heard = await follow(test, database);
  await database.pool.query(block, [alice]);
  await until(() => heard.subscribers().includes(alice));
  await database.pool.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%change-feed' AND datname = current_database()",
  );
  await database.pool.query(block, [bob]);
  await until(() => heard.subscribers().includes(bob));
  await settled(heard);
  test.same(heard.reloads, ['start'], 'nothing is loaded again');
  test.same(heard.subscribers(), [alice, bob]);
  test.ok(heard.errors.length > 0, 'the cut was reported');
});

t.test('a reader that slept longer than rows are kept loads everything', async (test) => {
  const database = await freshDatabase(test);
  const heard = await follow(test, database, { retentionMs: 1, pollIntervalMs: 30 });
  await until(() => heard.reloads.length > 1);
  test.equal(heard.reloads[1], 'fell-off');
});

t.test('a hard DELETE is refused, with a hint', async (test) => {
  const database = await freshDatabase(test);
  const [alice] = await threeSubscribers(database);
  const refusal = await database.pool
    .query('DELETE FROM subscriber WHERE id = $1', [alice])
    .catch((error: unknown) => error);
  test.ok(refusal instanceof pg.DatabaseError);
  test.equal((refusal as pg.DatabaseError).code, '23001');
  test.match((refusal as pg.DatabaseError).hint, /deleted = true/);
  test.equal((await database.pool.query('SELECT 1 FROM subscriber')).rowCount, 3);
});
