/** The applier over a database that breaks, records that cannot be applied, and files that are damaged. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pool, PoolClient } from 'pg';
import t from 'tap';
import type { SessionFact } from '../../src/domain/accounting-fact.js';
import { RecordKind } from '../../src/handlers/accounting-record.js';
import { createPool } from '../../src/store/database.js';
import { Flight } from '../../src/store/flight.js';
import { readPosition, writePosition } from '../../src/store/spool-position.js';
import { freshDatabase, startPrivatePostgres } from '../support/database.js';
import { fact } from '../support/facts.js';
import { asClient } from '../support/postgres-server.js';
import { type RunningApplier, runApplier, temporaryFolder } from '../support/running-applier.js';
import { Random } from '../support/session-lives.js';
import { invariantProblems } from '../support/stored-world.js';
import { until } from '../support/until.js';

const NOBODY = (): null => null;

async function subscribers(pool: Pool, count: number): Promise<Map<string, number>> {
  await pool.query(`INSERT INTO plan (name) VALUES ('home')`);
  await pool.query(`INSERT INTO account (contract, plan_id) VALUES ('1', 1)`);
  const { rows } = await pool.query<{ id: number; login: string }>(
    `INSERT INTO subscriber (account_id, login) SELECT 1, 'user' || i FROM generate_series(1, $1) i RETURNING id, login`,
    [count],
  );
  return new Map(rows.map((row) => [row.login, row.id]));
}

/** Lives of `count` sessions in rounds: Starts, some Interims, Stops for every second one. */
function rounds(count: number, interims: number): SessionFact[][] {
  const of = (i: number): { acctSessionId: string; login: string; address: string } => ({
    acctSessionId: `s${i}`,
    login: `user${(i % 20) + 1}`,
    address: `10.0.${i >> 8}.${i & 255}`,
  });
  const list = Array.from({ length: count }, (_, i) => i);
  const out = [list.map((i) => fact('start', { at: i / 1000, ...of(i) }))];
  for (let n = 1; n <= interims; n++) {
    const at = n * 300;
    out.push(list.map((i) => fact('interim', { at, sessionSeconds: at, octets: n * 1000 + i, ...of(i) })));
  }
  const at = (interims + 1) * 300;
  out.push(
    list
      .filter((i) => i % 2 === 0)
      .map((i) => fact('stop', { at, sessionSeconds: at, octets: 1_000_000 + i, ...of(i) })),
  );
  return out;
}

async function octets(pool: Pool): Promise<{ sessions: number; live: number; octets: number; billed: number }> {
  const { rows } = await pool.query<{ sessions: number; live: number; octets: number; billed: number }>(
    `SELECT count(*) AS sessions, count(*) FILTER (WHERE live) AS live, sum(input_octets)::bigint AS octets,
       (SELECT sum(input_octets)::bigint FROM period) AS billed
     FROM (SELECT input_octets, true AS live FROM session UNION ALL SELECT input_octets, false FROM session_history) AS s`,
  );
  return rows[0]!;
}

/** What `rounds` adds up to. */
function truth(count: number, interims: number): { sessions: number; live: number; octets: number; billed: number } {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += i % 2 === 0 ? 1_000_000 + i : interims * 1000 + i;
  return { sessions: count, live: count >> 1, octets: sum, billed: sum };
}

t.test('PostgreSQL stopped and started again under a running applier', async (t) => {
  const postgres = await startPrivatePostgres(t);
  const pool = createPool(postgres.url, { instance: 'sluice-1', maxConnections: 5 });
  t.teardown(() => pool.end());
  const ids = await subscribers(pool, 20);
  const { append, applier } = await runApplier(t, pool, (f) => ids.get(f.login) ?? null, { batchRecords: 50 });
  const [first, ...later] = rounds(200, 3);
  await append(first!);
  await applier.caughtUp();
  t.equal(applier.status.databaseAvailable, true);
  await postgres.stop();
  for (const round of later) await append(round);
  await until(() => !applier.status.databaseAvailable);
  t.pass('facts are acknowledged meanwhile');
  await postgres.start();
  await applier.caughtUp();
  t.same(await octets(pool), truth(200, 3));
  t.equal(applier.status.databaseAvailable, true);
  t.equal(applier.status.setAside, 0);
  t.same(await invariantProblems(pool), []);
});

t.test('its backend is killed fifty times: nothing is lost, nothing is counted twice', async (t) => {
  const { pool, adminUrl, name } = await freshDatabase(t);
  const ids = await subscribers(pool, 20);
  const random = new Random(7);
  const { append, applier, spool } = await runApplier(t, pool, (f) => ids.get(f.login) ?? null, {
    batchRecords: 25,
    retryMaxMs: 100,
  });
  const all = rounds(120, 30);
  let position = { segment: 0, offset: 0 };
  let wentBack = 0;
  let killed = 0;
  await asClient(adminUrl, async (admin) => {
    for (const round of all) {
      await append(round);
      for (let n = random.whole(1, 3); n > 0 && killed < 50; n--) {
        await new Promise((resolve) => setImmediate(resolve));
        const { rowCount } = await admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = $1 AND application_name = 'sluice/test' AND state <> 'idle' LIMIT 1`,
          [name],
        );
        killed += rowCount ?? 0;
        const { rows } = await admin.query<{ segment: string; byte_offset: string }>(
          'SELECT segment, byte_offset FROM spool_position WHERE spool_uuid = $1',
          [spool.uuid],
        );
        const now = { segment: Number(rows[0]?.segment ?? 0), offset: Number(rows[0]?.byte_offset ?? 0) };
        if (now.segment < position.segment || (now.segment === position.segment && now.offset < position.offset))
          wentBack += 1;
        position = now;
      }
    }
    while (killed < 50) {
      const { rowCount } = await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = $1 AND application_name = 'sluice/test' AND pid <> pg_backend_pid() LIMIT 1`,
        [name],
      );
      killed += rowCount ?? 0;
      await append([
        fact('interim', {
          at: 60_000 + killed,
          sessionSeconds: 60_000 + killed,
          acctSessionId: 's1',
          login: 'user2',
          octets: 30_001,
        }),
      ]);
    }
  });
  await applier.caughtUp();
  t.ok(killed >= 50, `${killed} backends were killed`);
  t.equal(wentBack, 0, 'the position never goes back');
  t.same(await octets(pool), truth(120, 30));
  t.equal(applier.status.setAside, 0);
  t.same(await invariantProblems(pool), []);
});

t.test('a record that the database refuses is set aside, its neighbours are applied', async (t) => {
  const { pool } = await freshDatabase(t);
  await pool.query(`ALTER TABLE session ADD CONSTRAINT refuses_poison CHECK (login <> 'poison')`);
  const { append, applier } = await runApplier(t, pool, NOBODY);
  const list = Array.from({ length: 300 }, (_, i) =>
    fact('start', { at: i, acctSessionId: `s${i}`, login: i === 123 || i === 200 ? 'poison' : 'good' }),
  );
  await append(list);
  await applier.caughtUp();
  const { rows } = await pool.query<{ live: number }>('SELECT count(*) AS live FROM session');
  t.equal(rows[0]!.live, 298);
  const aside = await pool.query<{ reason: string; nas_name: string; payload: Buffer }>(
    'SELECT * FROM set_aside ORDER BY id',
  );
  t.match(aside.rows, [
    { reason: 'database-23514', nas_name: 'bras1' },
    { reason: 'database-23514', nas_name: 'bras1' },
  ]);
  t.ok(aside.rows[0]!.payload.includes('poison'), 'with every octet of it');
  t.equal(applier.status.setAside, 2);
});

t.test('what is wrong for every record sets none aside: it is waited for', async (t) => {
  const { pool } = await freshDatabase(t);
  await pool.query('ALTER TABLE session RENAME TO session_elsewhere');
  const { append, applier } = await runApplier(t, pool, NOBODY, { retryMaxMs: 50 });
  await append([fact('start', { at: 0 })]);
  await until(() => !applier.status.databaseAvailable);
  await pool.query('ALTER TABLE session_elsewhere RENAME TO session');
  await applier.caughtUp();
  t.equal(applier.status.setAside, 0);
  t.equal((await pool.query('SELECT FROM session')).rowCount, 1);
});

t.test('a table that somebody keeps locked is waited for', async (t) => {
  const { pool, url } = await freshDatabase(t);
  const impatient = createPool(url, { instance: 'sluice-1', statementTimeoutMs: 40 });
  t.teardown(() => impatient.end());
  const { append, applier } = await runApplier(t, impatient, NOBODY);
  await asClient(url, async (other) => {
    await other.query('BEGIN; LOCK TABLE session_key');
    await append([fact('start', { at: 0 })]);
    await until(() => applier.status.conflicts >= 25);
    await other.query('COMMIT');
  });
  await applier.caughtUp();
  t.equal(applier.status.setAside, 0, 'however long it takes');
  t.equal((await pool.query('SELECT FROM session')).rowCount, 1);
});

t.test('a record that cannot be read is set aside', async (t) => {
  const { pool } = await freshDatabase(t);
  const { append, appendRaw, applier } = await runApplier(t, pool, NOBODY);
  await append([fact('start', { at: 0 })]);
  await appendRaw(RecordKind.accounting, Buffer.from('nonsense'));
  await appendRaw(RecordKind.grant, Buffer.from('{"offerId":'));
  await appendRaw(99, Buffer.from([0, 1, 2]));
  await append([fact('stop', { at: 60, sessionSeconds: 60 })]);
  await applier.caughtUp();
  const { rows } = await pool.query<{ reason: string; payload: Buffer }>(
    'SELECT reason, payload FROM set_aside ORDER BY id',
  );
  t.same(
    rows.map((row) => row.reason),
    ['record-version', 'grant-unreadable', 'record-kind'],
  );
  t.same(rows[2]!.payload, Buffer.from([0, 1, 2]));
  t.equal((await pool.query('SELECT FROM session_history')).rowCount, 1);
});

/** Ten sessions, then a flipped octet in the record `index`, from the end when negative. */
async function damagedSpool(t: Tap, pool: Pool, index: number): Promise<{ directory: string }> {
  const directory = await temporaryFolder(t);
  const before = await runApplier(t, pool, NOBODY, { directory, start: false });
  for (let i = 0; i < 10; i++) await before.append([fact('start', { at: i, acctSessionId: `s${i}` })]);
  const reader = before.spool.reader('start');
  const records = await reader.readBatch({ maxRecords: 100, maxBytes: 1 << 20 });
  const { position } = records.at(index)!;
  await reader.close();
  await before.stop();
  // A second start seals the segment, so that the damage lies in the middle of the spool.
  await (await runApplier(t, pool, NOBODY, { directory, start: false })).stop();
  const segments = (await readdir(directory)).filter((file) => /\d/.test(file)).sort();
  const file = await open(join(directory, segments[0]!), 'r+');
  const octet = Buffer.alloc(1);
  await file.read(octet, 0, 1, position.offset + 30);
  await file.write(Buffer.from([octet[0]! ^ 0xff]), 0, 1, position.offset + 30);
  await file.close();
  return { directory };
}
type Tap = Parameters<typeof runApplier>[0];

for (const [where, index] of [
  ['in the middle', 4],
  ['at the very end', -1],
] as const) {
  t.test(`damage ${where} of a spool ends in set_aside, and the rest is applied`, async (t) => {
    const { pool } = await freshDatabase(t);
    const { directory } = await damagedSpool(t, pool, index);
    const { applier, append } = await runApplier(t, pool, NOBODY, { directory });
    await applier.caughtUp();
    await until(async () => (await pool.query('SELECT FROM set_aside')).rowCount === 1);
    t.equal((await pool.query('SELECT FROM session')).rowCount, 9);
    const { rows } = await pool.query<{ reason: string; detail: string; payload: Buffer }>('SELECT * FROM set_aside');
    t.match(rows, [{ reason: 'spool-damage' }]);
    t.ok(rows[0]!.payload.length > 30);
    await append([fact('start', { at: 100, acctSessionId: 'next' })]);
    await applier.caughtUp();
    t.equal((await pool.query('SELECT FROM session')).rowCount, 10);
  });
}

t.test('a start after a stop goes on behind the position and applies nothing twice', async (t) => {
  const { pool } = await freshDatabase(t);
  const directory = await temporaryFolder(t);
  const before = await runApplier(t, pool, NOBODY, { directory });
  await before.append([fact('start', { at: 0 }), fact('interim', { at: 300, sessionSeconds: 300, octets: 5 })]);
  await before.applier.caughtUp();
  await before.stop();
  const after = await runApplier(t, pool, NOBODY, { directory });
  await after.append([fact('stop', { at: 400, sessionSeconds: 400, octets: 9 })]);
  await after.applier.caughtUp();
  t.equal(after.applier.status.appliedRecords, 1);
  t.match((await pool.query('SELECT * FROM session_history')).rows, [{ input_octets: 9 }]);
});

t.test('a COMMIT whose answer was lost is not applied again', async (t) => {
  const { pool } = await freshDatabase(t);
  const ids = await subscribers(pool, 1);
  let lose = 0;
  const connect = pool.connect.bind(pool) as () => Promise<PoolClient>;
  const losing = Object.create(pool, {
    query: { value: pool.query.bind(pool) },
    connect: { value: async () => loseCommits(await connect(), () => lose-- > 0) },
  }) as Pool;
  const { append, applier } = await runApplier(t, losing, (f) => ids.get(f.login) ?? null);
  await append([fact('start', { at: 0, login: 'user1' })]);
  await applier.caughtUp();
  lose = 1;
  await append([fact('interim', { at: 300, sessionSeconds: 300, octets: 1000, login: 'user1' })]);
  await applier.caughtUp();
  t.ok(lose < 0, 'an answer was lost');
  t.equal(applier.status.setAside, 0);
  t.same(await octets(pool), { sessions: 1, live: 1, octets: 1000, billed: 1000 });
});

/** The COMMIT arrives, its answer does not. */
function loseCommits(client: PoolClient, lose: () => boolean): PoolClient {
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
  const losing = async (...args: unknown[]): Promise<unknown> => {
    const result = await query(...args);
    if (args[0] === 'COMMIT' && lose()) throw new Error('the connection was lost');
    return result;
  };
  return Object.create(client, {
    query: { value: losing },
    release: { value: client.release.bind(client) },
  }) as PoolClient;
}

t.test(
  'a position that lies past the end of an older copy is forgotten, and nothing is taken for applied',
  async (t) => {
    const { pool } = await freshDatabase(t);
    const one: RunningApplier = await runApplier(t, pool, NOBODY, { start: false });
    const client = await pool.connect();
    await writePosition(new Flight(client), one.spool.uuid, 'sluice-1', { segment: 77, offset: 4096 }, 1000);
    client.release();
    await one.append([fact('start', { at: 0 })]);
    await one.applier.start();
    await one.applier.caughtUp();
    t.equal((await pool.query('SELECT FROM session')).rowCount, 1);
    t.ok((await readPosition(pool, one.spool.uuid))!.segment < 77);
  },
);
