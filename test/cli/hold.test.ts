/**
 * `hold`, `subscriber resync` and `subscriber disconnect`: what a person asks of the network.
 */
import t from 'tap';
import type { Test } from 'tap';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';
import { commandHouse } from './command-line.js';

/** Alice, redirected, on one NAS, and held. */
async function held(t: Test) {
  const house = await commandHouse(t);
  const { pool } = house.database;
  const alice = await addSubscriber(pool, {
    accountId: await addAccount(pool, { contract: 'C-1' }),
    login: 'alice',
    redirect: true,
  });
  const state = { present: true, blocked: false, ownDisabled: false };
  await pool.query(
    `INSERT INTO enforcement (kind, nas_name, subscriber_id, state, desired, applied, evidence, due_at)
     VALUES ('provisioned', 'nas1', $1, 'held', $2, $3, 'ack', NULL)`,
    [alice, JSON.stringify({ ...state, redirect: true }), JSON.stringify({ ...state, redirect: false })],
  );
  await pool.query(`UPDATE fuse SET held_at = now(), held_reason = $1`, [
    JSON.stringify({ kind: 'tripped', by: 'maxSubscribers', limit: 500, tightened: 500, waiting: 1 }),
  ]);
  await pool.query('TRUNCATE change_feed');
  const run = (...argv: string[]) => house.run(argv, { columns: 160 });
  return { pool, alice, run };
}

t.test('hold list says since when, why and whom', async (t) => {
  const { run } = await held(t);
  const text = await run('hold', 'list');
  t.match(text.stdout, /held since .* \(500 of at most 500 had passed\): 1 subscriber; .*sluice hold release/);
  t.match(text.stdout, /alice .*C-1 .*nas1 .*redirected .*served/);
  const json = JSON.parse((await run('--json', 'hold', 'list')).stdout) as object;
  t.match(json, { held_subscribers: 1, reason: { limit: 500 }, held: [{ login: 'alice', nas_name: 'nas1' }] });
});

t.test('hold release lets as many pass as are held, tells the servers, and is written down', async (t) => {
  const { run, pool } = await held(t);
  t.match((await run('hold', 'release')).stdout, 'released: 1 subscriber may pass');
  const { rows } = await pool.query('SELECT held_at, allowance, released_by FROM fuse');
  t.match(rows, [{ held_at: null, allowance: 1, released_by: /^cli\// }]);
  t.match((await pool.query('SELECT kind FROM change_feed')).rows, [{ kind: 'fuse' }]);
  t.match((await run('hold', 'list')).stdout, 'nothing is held; 1 subscriber more may pass');
});

t.test('a larger run is announced beforehand; what makes no number is refused', async (t) => {
  const { run, pool } = await held(t);
  t.match((await run('hold', 'release', '--for', '3000')).stdout, '3000 subscribers may pass');
  t.same((await pool.query('SELECT allowance FROM fuse')).rows, [{ allowance: 3000 }]);
  const refused = await run('hold', 'release', '--for', 'everybody');
  t.equal(refused.code, 2);
  t.match(refused.stderr, '--for');
});

t.test('resync forgets what is known, keeps every key, and tells the servers', async (t) => {
  const { run, pool, alice } = await held(t);
  t.match((await run('subscriber', 'resync', 'alice')).stdout, 'on 1 place');
  const { rows } = await pool.query(
    'SELECT applied, jsonb_array_length(attempted) AS keys, due_at <= now() AS due FROM enforcement',
  );
  t.same(rows, [{ applied: null, keys: 1, due: true }]);
  t.match((await pool.query('SELECT kind FROM change_feed')).rows, [{ kind: 'enforcement' }]);
  await pool.query('DELETE FROM enforcement WHERE subscriber_id = $1', [alice]);
  t.match((await run('subscriber', 'resync', 'alice')).stdout, 'is on no NAS that is commanded');
});

t.test('disconnect asks for the end of the sessions of this moment, and it is known who asked', async (t) => {
  const { run, pool } = await held(t);
  t.match((await run('subscriber', 'disconnect', 'alice')).stdout, 'will be ended');
  const { rows } = await pool.query('SELECT disconnect_before <= now() AS asked FROM subscriber');
  t.same(rows, [{ asked: true }]);
  const events = await pool.query(`SELECT changed_by FROM subscriber_event WHERE field = 'disconnect_before'`);
  t.match(events.rows, [{ changed_by: /^cli\// }]);
  t.equal((await run('subscriber', 'disconnect', 'nobody')).code, 1);
});
