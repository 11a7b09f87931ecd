/** Sessions, assignments and periods as PostgreSQL has them after accounting facts. */
import type { Pool } from 'pg';
import t from 'tap';
import { settleSubscribers } from '../../src/store/settle.js';
import { closeSessions } from '../../src/store/sweeps.js';
import { freshDatabase } from '../support/database.js';
import { applyFacts, fact, restart, T0 } from '../support/facts.js';

interface People {
  readonly alice: number;
  readonly bob: number;
}

async function people(pool: Pool): Promise<People> {
  await pool.query(`INSERT INTO pool (name) VALUES ('main')`);
  await pool.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id) SELECT 'default', host('100.64.0.0'::inet + i)::inet, 1 FROM generate_series(1, 8) i`,
  );
  await pool.query(`INSERT INTO plan (name, pool_id) VALUES ('home', 1)`);
  await pool.query(`INSERT INTO account (contract, plan_id) VALUES ('1', 1)`);
  const { rows } = await pool.query<{ id: number }>(
    `INSERT INTO subscriber (account_id, login, created_at) VALUES (1, 'alice', $1), (1, 'bob', $1) RETURNING id`,
    [new Date(T0 - 86_400_000)],
  );
  return { alice: rows[0]!.id, bob: rows[1]!.id };
}

const byLogin = (who: People) => (f: { login: string }) =>
  f.login === 'alice' ? who.alice : f.login === 'bob' ? who.bob : null;

async function one<T extends object>(pool: Pool, sql: string, values: unknown[] = []): Promise<T | undefined> {
  return (await pool.query<T>(sql, values)).rows[0];
}

t.test('Start, Interim, Stop: history has the octets, the address is quarantined, logged follows', async (t) => {
  const { pool } = await freshDatabase(t);
  const who = await people(pool);
  const resolve = byLogin(who);
  const touched = await applyFacts(pool, [fact('start', { at: 0, address: '100.64.0.1' })], resolve);
  t.same(touched, [who.alice]);
  await settleSubscribers(pool, touched);
  t.match(await one(pool, 'SELECT * FROM subscriber WHERE login = $1', ['alice']), { logged: true });
  t.match(await one(pool, 'SELECT * FROM session'), {
    login: 'alice',
    acct_session_id: 's1',
    subscriber_id: who.alice,
  });
  t.match(await one(pool, 'SELECT * FROM pool_address WHERE address = $1', ['100.64.0.1']), { state: 'assigned' });

  await applyFacts(pool, [fact('interim', { at: 300, sessionSeconds: 300, octets: 1000 })], resolve);
  await applyFacts(pool, [fact('stop', { at: 400, sessionSeconds: 400, octets: 5_000_000_000 })], resolve);
  await settleSubscribers(pool, [who.alice]);
  t.equal(await one(pool, 'SELECT * FROM session'), undefined);
  t.match(await one(pool, 'SELECT * FROM session_history'), {
    input_octets: 5_000_000_000,
    output_octets: 10_000_000_000,
    session_seconds: 400,
    end_cause: 'stop',
    terminate_cause: 1,
    synthetic: false,
    interim_seconds: 300,
  });
  t.match(await one(pool, 'SELECT * FROM subscriber WHERE login = $1', ['alice']), { logged: false });
  t.match(await one(pool, 'SELECT * FROM pool_address WHERE address = $1', ['100.64.0.1']), {
    state: 'quarantined',
    subscriber_id: who.alice,
  });
  t.match(await one(pool, 'SELECT *, host(address) AS address FROM assignment'), {
    address: '100.64.0.1',
    subscriber_id: who.alice,
    pool_id: 1,
    started_at: new Date(T0),
    ended_at: new Date(T0 + 400_000),
  });
  t.match(await one(pool, 'SELECT * FROM period WHERE subscriber_id = $1', [who.alice]), {
    input_octets: 5_000_000_000,
    output_octets: 10_000_000_000,
    session_seconds: 400,
    late_input_octets: 0,
    closed_at: null,
  });
});

t.test('the same facts again change nothing', async (t) => {
  const { pool } = await freshDatabase(t);
  const who = await people(pool);
  const facts = [
    fact('start', { at: 0, address: '100.64.0.1', offer: 11 }),
    fact('interim', { at: 300, sessionSeconds: 300, octets: 1000, offer: 11 }),
    fact('stop', { at: 400, sessionSeconds: 400, octets: 2000, offer: 11 }),
    fact('start', { at: 500, address: '100.64.0.2', acctSessionId: 's2', login: 'bob' }),
  ];
  const tables = ['session', 'session_key', 'session_history', 'assignment', 'assignment_holder', 'period'];
  const picture = async (): Promise<unknown[]> =>
    Promise.all(tables.map(async (table) => (await pool.query(`SELECT * FROM ${table} ORDER BY 1`)).rows));
  await applyFacts(pool, facts, byLogin(who));
  const before = await picture();
  await applyFacts(pool, facts, byLogin(who));
  for (const one of facts) await applyFacts(pool, [one], byLogin(who));
  t.same(await picture(), before);
});

t.test('a late Stop of an older session frees nothing of the newer one', async (t) => {
  const { pool } = await freshDatabase(t);
  const who = await people(pool);
  const resolve = byLogin(who);
  const mac = '02:00:00:00:00:01';
  await applyFacts(pool, [fact('start', { at: 0, address: '100.64.0.1', mac, offer: 1 })], resolve);
  await applyFacts(
    pool,
    [fact('start', { at: 100, address: '100.64.0.1', mac, offer: 2, acctSessionId: 's2' })],
    resolve,
  );
  t.match(await one(pool, 'SELECT * FROM session_history'), { acct_session_id: 's1', synthetic: true });
  await applyFacts(pool, [fact('stop', { at: 150, late: 3600, sessionSeconds: 150, octets: 9, offer: 1 })], resolve);
  t.match(await one(pool, 'SELECT * FROM session_history'), {
    end_cause: 'stop',
    synthetic: false,
    amended: true,
    input_octets: 9,
  });
  t.match(await one(pool, 'SELECT * FROM session'), { acct_session_id: 's2' });
  t.match(await one(pool, 'SELECT * FROM pool_address WHERE address = $1', ['100.64.0.1']), { state: 'assigned' });
  t.equal((await pool.query('SELECT * FROM assignment WHERE ended_at IS NULL')).rowCount, 1);
});

t.test('deleted before the Stop: the period closes with the reason at the session end, not before', async (t) => {
  const { pool } = await freshDatabase(t);
  const who = await people(pool);
  await applyFacts(pool, [fact('start', { at: 0, address: '100.64.0.1' })], byLogin(who));
  await pool.query(`UPDATE subscriber SET deleted = true, deleted_reason = 'moved away' WHERE id = $1`, [who.alice]);
  await settleSubscribers(pool, [who.alice]);
  t.match(await one(pool, 'SELECT * FROM period WHERE subscriber_id = $1', [who.alice]), { closed_at: null });
  await applyFacts(pool, [fact('stop', { at: 60, sessionSeconds: 60, octets: 5 })], byLogin(who));
  await settleSubscribers(pool, [who.alice]);
  t.match(await one(pool, 'SELECT * FROM period WHERE subscriber_id = $1', [who.alice]), {
    close_reason: 'deleted: moved away',
    input_octets: 5,
  });
  t.not(
    (await one<{ released_at: Date | null }>(pool, 'SELECT * FROM subscriber WHERE id = $1', [who.alice]))!.released_at,
    null,
  );
});

t.test('Accounting-On closes the earlier sessions of its own box only', async (t) => {
  const { pool } = await freshDatabase(t);
  const who = await people(pool);
  const resolve = byLogin(who);
  await applyFacts(
    pool,
    [
      fact('start', { at: 0, acctSessionId: 'a' }),
      fact('start', { at: 0, acctSessionId: 'b', nasBox: 'other', login: 'bob' }),
      fact('start', { at: 90, acctSessionId: 'c', login: 'bob' }),
      restart('on', 60),
    ],
    resolve,
  );
  const live = (await pool.query('SELECT acct_session_id FROM session ORDER BY 1')).rows;
  t.same(live, [{ acct_session_id: 'b' }, { acct_session_id: 'c' }]);
  t.match(await one(pool, 'SELECT * FROM session_history'), {
    end_cause: 'nas-restart',
    ended_at: new Date(T0 + 60_000),
  });
});

t.test('silence closes synthetically, a newer interim undoes it, with the hold', async (t) => {
  const { pool } = await freshDatabase(t);
  const who = await people(pool);
  const resolve = byLogin(who);
  await applyFacts(
    pool,
    [fact('start', { at: 0, address: '100.64.0.1' }), fact('interim', { at: 300, sessionSeconds: 300, octets: 1 })],
    resolve,
  );
  const { id } = (await one<{ id: number }>(pool, 'SELECT id FROM session'))!;
  const found = { id, lastEventAtMs: T0 + 300_000, lastReceivedAtMs: T0 + 300_000 };
  const { closed } = await closeSessions(pool, [found], 'silence', 'last-event');
  t.equal(closed, 1);
  t.match(await one(pool, 'SELECT * FROM pool_address WHERE address = $1', ['100.64.0.1']), { state: 'quarantined' });
  await applyFacts(pool, [fact('interim', { at: 1500, sessionSeconds: 1500, octets: 7 })], resolve);
  t.match(await one(pool, 'SELECT * FROM session'), { id, input_octets: 7 });
  t.equal(await one(pool, 'SELECT * FROM session_history'), undefined);
  t.match(await one(pool, 'SELECT * FROM pool_address WHERE address = $1', ['100.64.0.1']), { state: 'assigned' });
});
