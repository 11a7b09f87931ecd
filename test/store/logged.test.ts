/**
 * What others mean by writing `logged`, and what waits for NASes when a subscriber is deleted.
 */
import type { Pool } from 'pg';
import t from 'tap';
import { findUnsettled, settleSubscribers } from '../../src/store/settle.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { applyFacts, fact } from '../support/facts.js';
import { asClient } from '../support/postgres-server.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';

async function scene(t: Parameters<typeof freshDatabase>[0]) {
  const database = await freshDatabase(t);
  const alice = await addSubscriber(database.pool, { accountId: await addAccount(database.pool), login: 'alice' });
  return { database, pool: database.pool, alice };
}

/** As a portal or a billing program writes. */
const others = (database: FreshDatabase, sql: string) => asClient(database.url, (client) => client.query(sql));

async function flags(pool: Pool): Promise<object> {
  const { rows } = await pool.query<object>(
    `SELECT logged, disconnect_before IS NOT NULL AS disconnect, web_logged_at IS NOT NULL AS web, released_at IS NOT NULL AS released
     FROM subscriber`,
  );
  return rows[0]!;
}

const feedOf = async (pool: Pool) => (await pool.query('DELETE FROM change_feed RETURNING kind, ref')).rows;

t.test('sessions make a subscriber online and offline, and that asks for nothing', async (t) => {
  const { pool, alice } = await scene(t);
  await applyFacts(pool, [fact('start', { at: 0 })], () => alice);
  await settleSubscribers(pool, [alice]);
  t.same(await flags(pool), { logged: true, disconnect: false, web: false, released: false });
  await applyFacts(pool, [fact('stop', { at: 60 })], () => alice);
  await settleSubscribers(pool, [alice]);
  t.same(await flags(pool), { logged: false, disconnect: false, web: false, released: false });
});

t.test(
  'logged = false by somebody else asks for a disconnect, is told to the servers, and the session is what counts',
  async (t) => {
    const { database, pool, alice } = await scene(t);
    await applyFacts(pool, [fact('start', { at: 0 })], () => alice);
    await settleSubscribers(pool, [alice]);
    await feedOf(pool);
    await others(database, `UPDATE subscriber SET logged = false WHERE login = 'alice'`);
    t.same(await flags(pool), { logged: false, disconnect: true, web: false, released: false });
    t.same(await feedOf(pool), [{ kind: 'subscriber', ref: alice }]);
    const { rows } = await pool.query(
      `SELECT field, changed_by FROM subscriber_event WHERE field = 'disconnect_before'`,
    );
    t.match(rows, [{ changed_by: 'sluice' }], 'and it is known who asked');
    await settleSubscribers(pool, [alice]);
    t.match(await flags(pool), { logged: true, disconnect: true }, 'online until the session has ended');
  },
);

t.test('logged = true by a portal lets in without a session, until somebody takes it back', async (t) => {
  const { database, pool, alice } = await scene(t);
  await feedOf(pool);
  await others(database, `UPDATE subscriber SET logged = true`);
  t.same(await feedOf(pool), [{ kind: 'subscriber', ref: alice }]);
  await settleSubscribers(pool, [alice]);
  t.same(await flags(pool), { logged: true, disconnect: false, web: true, released: false }, 'it is not reset');
  t.same(await findUnsettled(pool, 10), []);
  await applyFacts(pool, [fact('start', { at: 0 }), fact('stop', { at: 9 })], () => alice);
  await settleSubscribers(pool, [alice]);
  t.match(await flags(pool), { logged: true, web: true }, 'nor by a session that comes and goes');
  await others(database, `UPDATE subscriber SET logged = false`);
  await settleSubscribers(pool, [alice]);
  t.same(await flags(pool), { logged: false, disconnect: true, web: false, released: false });
});

t.test(
  'a server of the release before, known by its name, says only what is; a command says who acts and asks',
  async (t) => {
    const { pool } = await scene(t);
    await pool.query('UPDATE subscriber SET logged = true');
    t.same(await flags(pool), { logged: true, disconnect: false, web: false, released: false });
    await pool.query(`BEGIN; SET LOCAL sluice.actor = 'cli/root'; UPDATE subscriber SET logged = false; COMMIT`);
    t.match(await flags(pool), { logged: false, disconnect: true });
  },
);

t.test('rows of programs that write what is there already ask for nothing', async (t) => {
  const { database, pool } = await scene(t);
  await others(database, `UPDATE subscriber SET logged = false, login = login`);
  t.match(await flags(pool), { disconnect: false });
});

t.test('a deleted subscriber keeps its address and period until no NAS may have anything of it', async (t) => {
  const { database, pool, alice } = await scene(t);
  const entry = `INSERT INTO enforcement (kind, nas_name, subscriber_id, may_be_present) VALUES ('provisioned', $1, $2, $3)`;
  await pool.query(entry, ['linux1', alice, true]);
  await pool.query(entry, ['linux2', alice, false]);
  await others(database, 'UPDATE subscriber SET deleted = true');
  t.match(await flags(pool), { released: false }, 'not at deletion');
  await settleSubscribers(pool, [alice]);
  t.match(await flags(pool), { released: false }, 'nor when it is settled');
  t.same(
    (await pool.query('SELECT nas_name FROM enforcement')).rows,
    [{ nas_name: 'linux1' }],
    'what never came to be is forgotten',
  );
  t.same(await findUnsettled(pool, 10), []);
  const open = async () => (await pool.query('SELECT FROM period WHERE closed_at IS NULL')).rowCount;
  t.equal(await open(), 1);
  await pool.query('DELETE FROM enforcement');
  t.same(await findUnsettled(pool, 10), [alice], 'what a crash forgot is found');
  await settleSubscribers(pool, [alice]);
  t.match(await flags(pool), { released: true });
  t.equal(await open(), 0);
});

t.test('an entry that somebody has in hand delays its own subscriber and nobody else', async (t) => {
  const { database, pool, alice } = await scene(t);
  await pool.query(`INSERT INTO enforcement (kind, nas_name, subscriber_id) VALUES ('provisioned', 'linux1', $1)`, [
    alice,
  ]);
  await others(database, 'UPDATE subscriber SET deleted = true');
  await asClient(database.url, async (client) => {
    await client.query('BEGIN');
    await client.query('SELECT FROM enforcement FOR UPDATE');
    await settleSubscribers(pool, [alice]);
    t.match(await flags(pool), { released: false });
    await client.query('COMMIT');
  });
  await settleSubscribers(pool, [alice]);
  t.match(await flags(pool), { released: true });
});

t.test('turbo, services and rates by hour of day are told to the servers', async (t) => {
  const { database, pool, alice } = await scene(t);
  const planId = (await pool.query<{ id: number }>(`INSERT INTO plan (name) VALUES ('p') RETURNING id`)).rows[0]!.id;
  await others(database, `INSERT INTO service (name) VALUES ('iptv')`);
  await feedOf(pool);
  const told: [sql: string, kind: string, ref: number][] = [
    [`UPDATE subscriber SET turbo_rate_down_bps = 1000, turbo_until = now() + interval '1 hour'`, 'subscriber', alice],
    [
      `INSERT INTO subscriber_service (subscriber_id, service_id) SELECT ${String(alice)}, id FROM service`,
      'subscriber',
      alice,
    ],
    [`UPDATE subscriber_service SET ends_at = now()`, 'subscriber', alice],
    [`UPDATE service SET name = 'tv'`, 'subscriber', alice],
    [`DELETE FROM subscriber_service`, 'subscriber', alice],
    [
      `INSERT INTO plan_rate (plan_id, from_minute, until_minute, rate_down_bps) VALUES (${String(planId)}, 0, 480, 5)`,
      'plan',
      planId,
    ],
    [`UPDATE plan_rate SET rate_up_bps = 7`, 'plan', planId],
    [`DELETE FROM plan_rate`, 'plan', planId],
  ];
  for (const [sql, kind, ref] of told) {
    await others(database, sql);
    t.match(await feedOf(pool), [{ kind, ref }], sql);
  }
});
