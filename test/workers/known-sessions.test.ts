/**
 * Interim-Updates that are applied without reading what they count on: how often that happens, and what becomes of it when somebody else has written
 * the session meanwhile.
 */
import type { Pool } from 'pg';
import t from 'tap';
import type { Test } from 'tap';
import type { SessionFact } from '../../src/domain/accounting-fact.js';
import { lineKey } from '../../src/domain/accounting-fact.js';
import { newSession } from '../../src/domain/session.js';
import { createPool } from '../../src/store/database.js';
import { KnownSessions } from '../../src/store/known-sessions.js';
import { freshDatabase } from '../support/database.js';
import { applyFacts, fact, restart } from '../support/facts.js';
import { runApplier } from '../support/running-applier.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';

const start = (at = 0): SessionFact => fact('start', { at });
const interim = (at: number, octets: number): SessionFact => fact('interim', { at, sessionSeconds: at, octets });

/** A pool that pipelines, as the server gives to the applier, and how often it was asked for sessions by their lines. */
function watchedPool(t: Parameters<typeof freshDatabase>[0], url: string): { pool: Pool; reads: () => number } {
  const pool = createPool(url, { instance: 'sluice-1', maxConnections: 2, isPipelined: true });
  t.teardown(() => pool.end());
  let reads = 0;
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      if ((args[0] as { name?: string }).name === 'live-by-line') reads += 1;
      return query(...args);
    }) as typeof client.query;
  });
  return { pool, reads: () => reads };
}

type Fact = SessionFact | ReturnType<typeof restart>;

/** The same world twice: one server that remembers, and one that reads everything before each batch. */
async function scene(t: Test) {
  const database = await freshDatabase(t);
  const reference = await freshDatabase(t);
  const resolve = () => 1;
  for (const { pool } of [database, reference])
    await addSubscriber(pool, { accountId: await addAccount(pool), login: 'alice' });
  const { pool, reads } = watchedPool(t, database.url);
  const one = await runApplier(t, pool, resolve);
  const apply = async (...facts: Fact[]): Promise<void> => {
    await one.append(facts);
    await one.applier.caughtUp();
    await applyFacts(reference.pool, facts, resolve);
  };
  const elsewhere = async (change: (pool: Pool) => Promise<unknown>): Promise<void> => {
    for (const { pool } of [database, reference]) await change(pool);
  };
  const stored = async (pool: Pool) =>
    (
      await pool.query<{ live: boolean; input_octets: number; interim_count: number; nas_port_id: string | null }>(
        `SELECT s.*, (SELECT sum(input_octets)::bigint FROM period) AS billed, (SELECT count(*) FROM assignment WHERE ended_at IS NULL) AS held
         FROM (SELECT true AS live, acct_session_id, epoch, interim_count, input_octets, last_event_at, suspect, nas_port_id FROM session
           UNION ALL SELECT false, acct_session_id, epoch, interim_count, input_octets, last_event_at, suspect, nas_port_id FROM session_history) AS s
         ORDER BY acct_session_id, epoch`,
      )
    ).rows;
  const agreed = async () => {
    const rows = await stored(database.pool);
    t.same(rows, await stored(reference.pool), 'as if everything had been read');
    return rows;
  };
  return { apply, elsewhere, reads, agreed, one, resolve };
}

t.test('what this server has stored itself is counted on without being read', async (t) => {
  const { apply, reads, agreed } = await scene(t);
  await apply(start());
  t.equal(reads(), 1);
  for (let n = 1; n <= 5; n++) await apply(interim(n * 300, n * 1000));
  t.match(await agreed(), [{ interim_count: 5, input_octets: 5000, live: true }]);
  t.equal(reads(), 1, 'read when it began, and not since');
  await apply(fact('stop', { at: 1600, sessionSeconds: 1600, octets: 6000 }));
  t.match(await agreed(), [{ interim_count: 5, input_octets: 6000, live: false }]);
});

const changes: readonly (readonly [name: string, change: (pool: Pool) => Promise<unknown>])[] = [
  ['another server counted on it', (pool) => applyFacts(pool, [interim(450, 1500)], () => 1)],
  [
    'another server ended it',
    (pool) => applyFacts(pool, [fact('stop', { at: 450, sessionSeconds: 450, octets: 1500 })], () => 1),
  ],
  ['somebody wrote on it', (pool) => pool.query('UPDATE session SET suspect = true')],
];
for (const [name, change] of changes) {
  t.test(`${name}: the batch is folded again over what is there`, async (t) => {
    const { apply, elsewhere, agreed, one } = await scene(t);
    await apply(start(), interim(300, 1000));
    await elsewhere(change);
    await apply(interim(600, 2000));
    t.equal(one.applier.status.conflicts, 1);
    t.equal(one.applier.status.setAside, 0);
    await agreed();
    for (let n = 3; n <= 6; n++) await apply(interim(n * 300, n * 1000));
    t.equal(one.applier.status.conflicts, 1, 'nothing is believed for a while');
    await agreed();
  });
}

t.test('a restart of its box, in the same batch or told by another server: it is read again', async (t) => {
  const { apply, elsewhere, agreed, one, resolve } = await scene(t);
  await apply(start(), interim(300, 1000));
  await apply(restart('on', 400), interim(300, 1000));
  await agreed();
  await apply(start(500), interim(700, 1100));
  await agreed();
  await elsewhere((pool) => applyFacts(pool, [restart('on', 800)], resolve));
  await apply(interim(900, 2000));
  await agreed();
  t.equal(one.applier.status.setAside, 0);
});

t.test('an update that tells more than counters is written over what was not read, too', async (t) => {
  const { apply, reads, agreed, one } = await scene(t);
  await apply(start(), interim(300, 1000));
  const before = reads();
  await apply({ ...interim(600, 2000), nasPortId: 'ge-1/0/7' });
  t.match(await agreed(), [{ nas_port_id: 'ge-1/0/7', input_octets: 2000 }]);
  t.equal(one.applier.status.conflicts, 0);
  t.equal(reads(), before);
});

t.test('another session that wants the same address: the known one is locked, and is what it was', async (t) => {
  const { apply, agreed, one } = await scene(t);
  const address = '10.0.0.9';
  await apply(fact('start', { at: 0, address }));
  await apply(
    fact('interim', { at: 300, sessionSeconds: 300, octets: 1000, address }),
    fact('start', { at: 400, acctSessionId: 'other', address }),
  );
  t.equal(one.applier.status.conflicts, 0);
  t.equal((await agreed()).length, 2);
});

const record = (n: number) => ({
  ...newSession(fact('start', { at: 0, acctSessionId: `s${n}` }), 1, null),
  id: n,
});

t.test('as many are kept as there is room for, the longest silent go first', (t) => {
  const known = new KnownSessions(3);
  const keep = (...numbers: number[]): void => {
    const sessions = numbers.map(record);
    known.keep({
      sessions,
      lines: new Set(sessions.map(lineKey)),
      believed: new Map(),
      touched: sessions.map((session) => ({ session, storedAs: 'live', countersOnly: true })),
      version: 7,
    });
  };
  keep(1, 2, 3);
  keep(1);
  keep(4);
  t.equal(known.size, 3);
  t.same(
    [1, 2, 3, 4].map((n) => known.take(lineKey(record(n)))?.version),
    [7, undefined, 7, 7],
  );
  t.equal(known.size, 0, 'what is taken is gone until it is kept again');
  t.end();
});

t.test('two live sessions of one line are not known: which of them a packet means has to be read', (t) => {
  const known = new KnownSessions();
  const sessions = [record(1), { ...record(1), id: 2, epoch: 2 }];
  known.keep({
    sessions,
    lines: new Set(sessions.map(lineKey)),
    believed: new Map(),
    touched: sessions.map((session) => ({ session, storedAs: 'live', countersOnly: true })),
    version: 7,
  });
  t.equal(known.take(lineKey(record(1))), undefined);
  t.end();
});

t.test('a session that ended while nothing was believed is forgotten with the rest', (t) => {
  const known = new KnownSessions();
  const session = record(1);
  const lines = new Set([lineKey(session)]);
  const committed = { lines, believed: new Map(), version: 7 };
  known.distrust();
  known.keep({ ...committed, sessions: [session], touched: [{ session, storedAs: 'live', countersOnly: true }] });
  t.equal(known.size, 1);
  const end = { endedAtMs: 1, cause: 'stop', terminateCause: 1, synthetic: false, amended: false } as const;
  const over = { ...session, end };
  known.keep({ ...committed, sessions: [], touched: [{ session: over, storedAs: 'live', countersOnly: false }] });
  t.equal(known.size, 0);
  t.end();
});

t.test('whoever was wrong rests twice as long each time, and no less than was said', (t) => {
  const known = new KnownSessions();
  const session = record(1);
  const batch = (believed: boolean): void =>
    known.keep({
      sessions: [session],
      lines: new Set([lineKey(session)]),
      believed: believed ? new Map([[session, 7]]) : new Map(),
      touched: [{ session, storedAs: 'live', countersOnly: true }],
      version: 7,
    });
  const batchesUntilBelieved = (): number => {
    for (let batches = 1; ; batches++) {
      batch(false);
      if (known.take(lineKey(session)) !== undefined) return batches;
    }
  };
  known.distrust();
  const first = batchesUntilBelieved();
  known.distrust();
  const second = batchesUntilBelieved();
  t.equal(second, first * 2);
  batch(true);
  known.distrust();
  t.equal(batchesUntilBelieved(), first, 'a batch that was right forgives');
  t.end();
});
