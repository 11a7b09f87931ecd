// Statistics of tables that have just begun to grow, on a real PostgreSQL.

import t from 'tap';
import { analyzeGrown } from '../../src/store/table-statistics.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { waitFor } from '../support/deadline.js';

async function addKeys(database: FreshDatabase, from: number, count: number): Promise<void> {
  await database.pool.query(
    `INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch) SELECT 'n', 'b', i::text, 0
     FROM generate_series($1::int, $1::int + $2::int - 1) AS i`,
    [from, count],
  );
}

/** Autovacuum may come by at any moment, and would be first. @param pattern of the names of tables */
async function withoutAutovacuum(database: FreshDatabase, pattern: string): Promise<void> {
  const { rows } = await database.pool.query<{ name: string }>(
    `SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relname ~ ('^' || $1::text || '$')`,
    [pattern],
  );
  for (const { name } of rows) await database.pool.query(`ALTER TABLE ${name} SET (autovacuum_enabled = false)`);
}

/** What PostgreSQL counts, it tells a moment later. */
async function counted(database: FreshDatabase, rows: number): Promise<void> {
  await waitFor(`${String(rows)} rows counted`, 30_000, async () => {
    const { rows: found } = await database.pool.query<{ n: number }>(
      `SELECT n_live_tup::int AS n FROM pg_stat_user_tables WHERE relname = 'session_key'`,
    );
    return found[0]?.n === rows;
  });
}

t.test('a table that more than doubled is analysed, once', async (test) => {
  const database = await freshDatabase(test);
  await withoutAutovacuum(database, 'session_key');
  await addKeys(database, 0, 400);
  await counted(database, 400);
  test.same(await analyzeGrown(database.pool), [], 'a small one is read whole in no time');
  await addKeys(database, 400, 200);
  await counted(database, 600);
  test.same(await analyzeGrown(database.pool), ['session_key']);
  test.same(await analyzeGrown(database.pool), []);
  await addKeys(database, 600, 600);
  await counted(database, 1200);
  test.same(await analyzeGrown(database.pool), [], 'twice as much is not more than twice as much');
  await addKeys(database, 1200, 1);
  await counted(database, 1201);
  test.same(await analyzeGrown(database.pool), ['session_key']);
});

t.test('partitions are tables like others', async (test) => {
  const database = await freshDatabase(test);
  await withoutAutovacuum(database, 'session_history_[0-9]{6}');
  await database.pool.query(
    `INSERT INTO session_history (id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, started_at, started_exactly,
       last_event_at, last_received_at, ended_at, end_cause)
     SELECT i, 'u', 'n', 'b', 'default', i::text, 0, now(), true, now(), now(), now(), 'stop' FROM generate_series(1, 600) AS i`,
  );
  await waitFor('the month of now to be analysed', 30_000, async () =>
    (await analyzeGrown(database.pool)).some((name) => /^session_history_\d{6}$/.test(name)),
  );
  test.pass('it was');
});
