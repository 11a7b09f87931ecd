/** Periods, `logged` and the end of the deleted: what follows from sessions and from changed subscribers. */
import type { Pool } from 'pg';
import { pino } from 'pino';
import t from 'tap';
import type { Resolve } from '../../src/domain/session-batch.js';
import { findOnlineWithoutSession, settleSubscribers } from '../../src/store/settle.js';
import { Settler } from '../../src/workers/settler.js';
import { freshDatabase } from '../support/database.js';
import { applyFacts, fact, T0 } from '../support/facts.js';
import { asClient } from '../support/postgres-server.js';
import { invariantProblems } from '../support/stored-world.js';
import { until } from '../support/until.js';

const log = pino({ level: 'silent' });

/** Subscribers user1 … userN of one account each, with a plan. */
async function people(pool: Pool, count: number): Promise<{ ids: number[]; resolve: Resolve }> {
  await pool.query(`INSERT INTO plan (name) VALUES ('home'), ('fast')`);
  await pool.query(`INSERT INTO account (contract, plan_id) SELECT i::text, 1 FROM generate_series(1, $1) i`, [count]);
  const { rows } = await pool.query<{ id: number; login: string }>(
    `INSERT INTO subscriber (account_id, login, created_at) SELECT i, 'user' || i, $2 FROM generate_series(1, $1) i RETURNING id, login`,
    [count, new Date(T0 - 86_400_000)],
  );
  const idOf = new Map(rows.map((row) => [row.login, row.id]));
  return { ids: rows.map((row) => row.id), resolve: (f) => idOf.get(f.login) ?? null };
}

interface Period {
  readonly plan_id: number;
  readonly close_reason: string | null;
  readonly input_octets: number;
  readonly late_input_octets: number;
  readonly opened_at: Date;
  readonly closed_at: Date | null;
}

async function periodsOf(pool: Pool, id: number): Promise<Period[]> {
  return (await pool.query<Period>('SELECT * FROM period WHERE subscriber_id = $1 ORDER BY opened_at, id', [id])).rows;
}

const user1 = { login: 'user1', acctSessionId: 'a' };

t.test('a period opens with its subscriber, however he is created', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids } = await people(pool, 300);
  const { rows } = await pool.query<{ open: number }>('SELECT count(*) AS open FROM period WHERE closed_at IS NULL');
  t.equal(rows[0]!.open, 300, 'in one INSERT');
  await pool.query(`INSERT INTO subscriber (account_id, login) VALUES (1, 'one-more')`);
  t.equal((await pool.query(`SELECT FROM period WHERE closed_at IS NULL`)).rowCount, 301);
  t.match(await periodsOf(pool, ids[0]!), [{ plan_id: 1, opened_at: new Date(T0 - 86_400_000), closed_at: null }]);
});

t.test('another plan closes the period and opens the next one without a gap', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids } = await people(pool, 2);
  const [id, other] = ids as [number, number];
  await pool.query(`UPDATE account SET plan_id = 2 WHERE id = 1`);
  await settleSubscribers(pool, ids);
  const [first, second] = await periodsOf(pool, id);
  t.match(first, { plan_id: 1, close_reason: 'plan changed' });
  t.match(second, { plan_id: 2, closed_at: null });
  t.same(first!.closed_at, second!.opened_at);
  t.equal((await periodsOf(pool, other)).length, 1);
  await settleSubscribers(pool, ids);
  t.equal((await periodsOf(pool, id)).length, 2, 'and once only');
});

t.test('what was used before the period opened is marked late', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 1);
  await applyFacts(
    pool,
    [fact('start', { at: 0, ...user1 }), fact('interim', { at: 300, sessionSeconds: 300, octets: 10, ...user1 })],
    resolve,
  );
  await pool.query(`UPDATE account SET plan_id = 2`);
  await settleSubscribers(pool, ids);
  await applyFacts(pool, [fact('stop', { at: 400, sessionSeconds: 400, octets: 25, ...user1 })], resolve);
  t.match(await periodsOf(pool, ids[0]!), [
    { input_octets: 10, late_input_octets: 0 },
    { input_octets: 15, late_input_octets: 15 },
  ]);
  t.same(await invariantProblems(pool), []);
});

t.test('deleted without a session: the period closes at once, with the reason', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids } = await people(pool, 1);
  await pool.query(`UPDATE subscriber SET deleted = true, deleted_reason = 'moved'`);
  await settleSubscribers(pool, ids);
  t.match(await periodsOf(pool, ids[0]!), [{ close_reason: 'deleted: moved' }]);
  await settleSubscribers(pool, ids);
  t.equal((await periodsOf(pool, ids[0]!)).length, 1);
});

t.test('deleted with a session: at its end, which may be synthetic; what comes later is late', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 1);
  const id = ids[0]!;
  await pool.query(`UPDATE subscriber SET static_address = '192.0.2.7'`);
  const address = '192.0.2.7';
  await applyFacts(
    pool,
    [fact('start', { at: 0, address, ...user1 }), fact('start', { at: 5, login: 'user1', acctSessionId: 'b' })],
    resolve,
  );
  await pool.query('UPDATE subscriber SET deleted = true');
  await settleSubscribers(pool, ids);
  await applyFacts(
    pool,
    [fact('stop', { at: 60, sessionSeconds: 55, octets: 7, login: 'user1', acctSessionId: 'b' })],
    resolve,
  );
  await settleSubscribers(pool, ids);
  t.match(await periodsOf(pool, id), [{ closed_at: null }], 'one session is left');
  const newcomer = `INSERT INTO subscriber (account_id, login, static_address) VALUES (1, 'next', '192.0.2.7')`;
  await t.rejects(pool.query(newcomer), { code: '23505' }, 'the static address is still his');
  await applyFacts(pool, [fact('stop', { at: 90, sessionSeconds: 90, octets: 3, ...user1 })], resolve);
  await settleSubscribers(pool, ids);
  t.match(await periodsOf(pool, id), [{ close_reason: 'deleted', input_octets: 10 }]);
  await pool.query(newcomer);
  await applyFacts(pool, [fact('interim', { at: 80, late: 4000, sessionSeconds: 80, octets: 5, ...user1 })], resolve);
  await applyFacts(
    pool,
    [fact('stop', { at: 200, late: 4000, sessionSeconds: 50, octets: 4, login: 'user1', acctSessionId: 'late' })],
    resolve,
  );
  t.match(await periodsOf(pool, id), [{ input_octets: 16, late_input_octets: 6 }], 'used after the close');
  t.same(await invariantProblems(pool), []);
});

t.test('restored: a new period, and logged follows the sessions', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 1);
  await pool.query('UPDATE subscriber SET deleted = true');
  await settleSubscribers(pool, ids);
  await pool.query('UPDATE subscriber SET deleted = false');
  await settleSubscribers(pool, ids);
  t.match(await periodsOf(pool, ids[0]!), [{ close_reason: 'deleted' }, { closed_at: null, plan_id: 1 }]);
  await applyFacts(pool, [fact('start', { at: 0, ...user1 })], resolve);
  await settleSubscribers(pool, ids);
  t.match((await pool.query('SELECT * FROM subscriber')).rows, [{ logged: true, deleted_at: null, released_at: null }]);
});

t.test('restored before the session ended: the period goes on', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 1);
  await applyFacts(pool, [fact('start', { at: 0, ...user1 })], resolve);
  for (const deleted of [true, false]) {
    await pool.query('UPDATE subscriber SET deleted = $1', [deleted]);
    await settleSubscribers(pool, ids);
  }
  t.match(await periodsOf(pool, ids[0]!), [{ closed_at: null }]);
});

t.test('octets of a session that belonged to nobody count when it is known whose they are', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 1);
  const address = '10.0.0.1';
  await applyFacts(
    pool,
    [
      fact('start', { at: 0, address, ...user1 }),
      fact('interim', { at: 300, sessionSeconds: 300, octets: 10, ...user1 }),
    ],
    () => 'ambiguous',
  );
  t.match((await pool.query('SELECT * FROM session')).rows, [{ conflict: 'ambiguous-identity', subscriber_id: null }]);
  await applyFacts(pool, [fact('interim', { at: 600, sessionSeconds: 600, octets: 30, ...user1 })], resolve);
  t.match(await periodsOf(pool, ids[0]!), [{ input_octets: 30 }]);
  t.match((await pool.query('SELECT * FROM session')).rows, [{ conflict: null, subscriber_id: ids[0] }]);
  t.match((await pool.query('SELECT * FROM assignment WHERE ended_at IS NULL')).rows, [{ subscriber_id: ids[0] }]);
  t.same(await invariantProblems(pool), []);
});

t.test('what a crash between the commit and the settling forgot is found', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 4);
  const [comes, goes, deleted, changed] = ids as [number, number, number, number];
  const session = (n: number): { login: string; acctSessionId: string } => ({
    login: `user${n}`,
    acctSessionId: `s${n}`,
  });
  await applyFacts(pool, [fact('start', { at: 0, ...session(2) }), fact('start', { at: 0, ...session(3) })], resolve);
  await settleSubscribers(pool, ids);
  await pool.query('UPDATE subscriber SET deleted = true WHERE id = $1', [deleted]);
  await applyFacts(
    pool,
    [
      fact('start', { at: 10, ...session(1) }),
      fact('stop', { at: 10, sessionSeconds: 10, ...session(2) }),
      fact('stop', { at: 10, sessionSeconds: 10, ...session(3) }),
    ],
    resolve,
  );
  await pool.query('UPDATE account SET plan_id = 2 WHERE id = 4');
  const settler = new Settler(pool, log);
  await settler.sweep();
  await settler.sweepPeriods();
  while (await settler.run());
  const { rows } = await pool.query<{ id: number; logged: boolean }>('SELECT id, logged FROM subscriber ORDER BY id');
  t.same(rows, [
    { id: comes, logged: true },
    { id: goes, logged: false },
    { id: deleted, logged: false },
    { id: changed, logged: false },
  ]);
  t.match(await periodsOf(pool, deleted), [{ close_reason: 'deleted' }]);
  t.match(await periodsOf(pool, changed), [{ close_reason: 'plan changed' }, { plan_id: 2 }]);
  await settler.sweep();
  await settler.sweepPeriods();
  t.equal(settler.backlog, 0, 'nothing is left to find');
});

t.test('those left online by a crash are found part by part, from the first to the last', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 5);
  const online = (n: number) => ({ login: `user${n}`, acctSessionId: `s${n}` });
  await applyFacts(pool, [fact('start', { at: 0, ...online(2) }), fact('start', { at: 0, ...online(5) })], resolve);
  await settleSubscribers(pool, ids);
  await applyFacts(pool, [fact('stop', { at: 9, ...online(2) }), fact('stop', { at: 9, ...online(5) })], resolve);
  const parts = [];
  let afterId: number | null = 0;
  while (afterId !== null) {
    const part: Awaited<ReturnType<typeof findOnlineWithoutSession>> = await findOnlineWithoutSession(pool, afterId, 2);
    parts.push(part.ids);
    afterId = part.nextAfterId;
  }
  t.same(parts, [[ids[1]], [], [ids[4]]]);
});

t.test('going online and offline writes no index, and nothing for triggers to compare', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 20);
  await pool.query('DELETE FROM change_feed');
  const sessions = ids.map((_, i) => ({ login: `user${i + 1}`, acctSessionId: `s${i}` }));
  await applyFacts(
    pool,
    sessions.map((one) => fact('start', { at: 0, ...one })),
    resolve,
  );
  await pool.query(`DELETE FROM change_feed`);
  await settleSubscribers(pool, ids);
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM subscriber WHERE logged)::int AS online, (SELECT count(*) FROM change_feed)::int AS told,
       (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'subscriber'::regclass AND tgname IN ('subscriber_updated', 'subscriber_level_updated', 'subscriber_logged')
          AND pg_get_triggerdef(oid) LIKE '%sluice.settling%')::int AS spared,
       (SELECT count(*) FROM pg_index WHERE indrelid = 'subscriber'::regclass
          AND (pg_get_indexdef(indexrelid) LIKE '%logged%'))::int AS "indexesOfLogged"`,
  );
  t.same(rows, [{ online: 20, told: 0, spared: 3, indexesOfLogged: 0 }]);
});

t.test('whoever needs nothing is neither locked nor written: a million imported are only looked at', async (t) => {
  const { pool, url } = await freshDatabase(t);
  const { ids } = await people(pool, 200);
  await pool.query(`UPDATE account SET plan_id = 2 WHERE id <= 3`);
  const before = await pool.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  await asClient(url, async (billing) => {
    await billing.query('BEGIN');
    await billing.query(`UPDATE subscriber SET redirect = true WHERE id = $1`, [ids[10]]);
    t.same(await settleSubscribers(pool, ids), [], 'a locked row that needs nothing is not asked for again');
    await billing.query('ROLLBACK');
  });
  // What has a lock of a transaction of the settling, ended or not, is a written row.
  const written = `SELECT id FROM subscriber WHERE xmax::text::bigint >= $1::bigint AND id <> $2 ORDER BY id`;
  t.same(
    (await pool.query<{ id: number }>(written, [before.rows[0]!.xid, ids[10]])).rows.map((row) => row.id),
    ids.slice(0, 3),
    'only those whose period changed',
  );
});

t.test('a billing transaction that keeps 10,000 rows locked delays nobody else', async (t) => {
  const { pool, url } = await freshDatabase(t);
  const { ids, resolve } = await people(pool, 10_100);
  const settler = new Settler(pool, log);
  await asClient(url, async (billing) => {
    await billing.query('BEGIN');
    await billing.query('UPDATE subscriber SET redirect = true WHERE id = ANY ($1)', [ids.slice(0, 10_000)]);
    // All of them come online at once, the locked ones first.
    const facts = ids.map((_, i) => fact('start', { at: 0, acctSessionId: `s${i}`, login: `user${i + 1}` }));
    for (let at = 0; at < facts.length; at += 500)
      settler.note(await applyFacts(pool, facts.slice(at, at + 500), resolve));
    settler.start();
    t.teardown(() => settler.stop());
    const online = async (from: number, to: number): Promise<number> =>
      (await pool.query('SELECT FROM subscriber WHERE logged AND id BETWEEN $1 AND $2', [ids[from], ids[to]]))
        .rowCount!;
    const beganAt = performance.now();
    await until(async () => (await online(10_000, 10_099)) === 100);
    const tookMs = performance.now() - beganAt;
    // Somebody who comes later is not behind 10,000 locked ones either.
    await applyFacts(
      pool,
      [fact('stop', { at: 60, sessionSeconds: 60, acctSessionId: 's10000', login: 'user10001' })],
      resolve,
    );
    settler.note([ids[10_000]!]);
    const againAt = performance.now();
    await until(async () => (await online(10_000, 10_000)) === 0);
    t.comment(
      `others online after ${Math.round(tookMs)} ms, a later one after ${Math.round(performance.now() - againAt)} ms`,
    );
    t.equal(await online(0, 9999), 0, 'nobody waits for the locked ones');
    await billing.query('COMMIT');
    await until(async () => (await online(0, 9999)) === 10_000);
    t.pass('they are settled when their rows are free');
  });
});

t.test('a clock set back between two changes of plan overlaps no period, and holds up nobody', async (t) => {
  const { pool } = await freshDatabase(t);
  const { ids } = await people(pool, 2);
  const [id, other] = ids as [number, number];
  // Closed while the clock of the database was two hours ahead.
  await pool.query(
    `UPDATE period SET closed_at = now() + interval '2 hours', close_reason = 'plan changed' WHERE subscriber_id = $1`,
    [id],
  );
  await settleSubscribers(pool, [id]);
  await pool.query('UPDATE account SET plan_id = 2');
  t.same(await settleSubscribers(pool, [id, other]), [], 'both in one transaction');
  t.match(await periodsOf(pool, other), [{ plan_id: 1 }, { plan_id: 2, closed_at: null }]);
  const own = await periodsOf(pool, id);
  t.match(own.at(-1), { plan_id: 2, closed_at: null });
  for (const [i, period] of own.slice(1).entries())
    t.ok(period.opened_at >= own[i]!.closed_at!, 'each period begins where the one before ended');
});

t.test('whoever cannot be settled holds up nobody else', async (t) => {
  const { pool, adminUrl } = await freshDatabase(t);
  const { ids } = await people(pool, 40);
  await asClient(adminUrl, async (client) => {
    await client.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'not this one'; END $$`);
    await client.query(`CREATE TRIGGER refuse BEFORE UPDATE ON period FOR EACH ROW
      WHEN (old.subscriber_id = ${ids[7]!}) EXECUTE FUNCTION refuse()`);
  });
  await pool.query('UPDATE account SET plan_id = 2');
  const settler = new Settler(pool, log);
  t.teardown(() => settler.stop());
  settler.start();
  settler.note(ids);
  const settled = async (): Promise<number> =>
    (await pool.query(`SELECT FROM period WHERE closed_at IS NULL AND plan_id = 2`)).rowCount ?? 0;
  await until(async () => (await settled()) === ids.length - 1);
  await t.rejects(settleSubscribers(pool, ids), { name: 'SettleRefusedError', subscriberIds: [ids[7]] });
});
