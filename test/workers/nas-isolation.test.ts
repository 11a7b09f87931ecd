/**
 * One NAS never delays another; a NAS has one owner; loosenings go first; limits hold.
 */
import type { Pool } from 'pg';
import t from 'tap';
import { freshDatabase } from '../support/database.js';
import { commandedNas, markAccepted, population, startServer } from '../support/enforced-network.js';
import { acceptedEntry, FakeNas, type Fault } from '../support/fake-nas.js';
import { asClient } from '../support/postgres-server.js';
import { addPlan } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const home = { downBps: 50_000_000, upBps: 10_000_000 };

/** Subscribers online on NASes, as accepted. */
async function network(
  t: Parameters<typeof freshDatabase>[0],
  names: readonly string[],
  count: number,
  options: Partial<ConstructorParameters<typeof FakeNas>[0]> = {},
) {
  const database = await freshDatabase(t);
  const { pool } = database;
  const nases = new Map(names.map((name) => [name, new FakeNas({ kind: 'session', ...options })]));
  await population(pool, { count, planId: await addPlan(pool), sessionsOn: names });
  await markAccepted(pool, home);
  const sessions = await pool.query<{ id: number; nas_name: string }>('SELECT id, nas_name FROM session');
  for (const { id, nas_name } of sessions.rows) nases.get(nas_name)!.entries.set(String(id), acceptedEntry(home));
  const redirected = (name: string) => [...nases.get(name)!.entries.values()].filter((one) => one.redirect).length;
  return { database, pool, nases, redirected };
}

const converged = async (pool: Pool) =>
  (await pool.query(`SELECT FROM enforcement WHERE state = 'converged'`)).rowCount ?? 0;

t.test('a dead NAS delays no other, is left alone, and is made whole when it is back', async (t) => {
  const { database, pool, nases, redirected } = await network(t, ['alive', 'dead'], 400);
  nases.get('dead')!.dead = true;
  const logged: { level: number; msg: string; nas?: string }[] = [];
  const server = await startServer(
    t,
    database,
    [...nases].map(([name, nas]) => commandedNas(name, nas)),
    { logged, random: () => 0 },
  );
  await until(() => server.dispatcher.lanes.size === 2 && server.dispatcher.isIdle);
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(() => redirected('alive') === 200);
  await until(() => server.dispatcher.lanes.get('dead')!.view.breaker !== 'closed');
  t.ok(
    logged.some((line) => line.level === 50 && line.nas === 'dead'),
    'an alarm names it',
  );
  await until(async () => (await converged(pool)) === 200);
  const { rows } = await pool.query<{ attempts: number }>(
    `SELECT max(attempts) AS attempts FROM enforcement WHERE nas_name = 'dead'`,
  );
  t.ok(rows[0]!.attempts >= 1 && rows[0]!.attempts < 5, 'it was not hammered');
  nases.get('dead')!.dead = false;
  await until(() => redirected('dead') === 200);
  await until(async () => (await converged(pool)) === 400);
  t.equal(server.dispatcher.lanes.get('dead')!.view.breaker, 'closed');
});

t.test('two servers: each NAS has one owner, and when one dies the other takes over within seconds', async (t) => {
  const { database, pool, nases, redirected } = await network(t, ['bras1', 'bras2', 'bras3'], 30);
  const commanded = () => [...nases].map(([name, nas]) => commandedNas(name, nas));
  const one = await startServer(t, database, commanded(), { instance: 'one', abandonedGraceMs: 100 });
  await until(() => one.dispatcher.lanes.size === 3);
  const two = await startServer(t, database, commanded(), { instance: 'two', abandonedGraceMs: 100 });
  await two.dispatcher.own();
  t.equal(two.dispatcher.lanes.size, 0);
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(() => redirected('bras1') + redirected('bras2') + redirected('bras3') === 30);
  const sent = () => [...nases.values()].reduce((sum, nas) => sum + nas.wire.length, 0);
  t.equal(sent(), 30, 'nothing was sent twice');
  await one.kill();
  const killedAtMs = performance.now();
  await until(() => two.dispatcher.lanes.size === 3);
  await pool.query('UPDATE subscriber SET redirect = false');
  await until(() => redirected('bras1') + redirected('bras2') + redirected('bras3') === 0);
  t.ok(performance.now() - killedAtMs < 15_000);
  const owners = await pool.query('SELECT DISTINCT instance FROM nas_owner');
  t.same(owners.rows, [{ instance: 'two' }]);
});

t.test('whoever loses the connection that holds its locks sends nothing, and takes its NASes again', async (t) => {
  const { database, pool, nases, redirected } = await network(t, ['bras1'], 20);
  const server = await startServer(
    t,
    database,
    [...nases].map(([name, nas]) => commandedNas(name, nas)),
  );
  await until(() => server.dispatcher.lanes.size === 1);
  await asClient(database.adminUrl, async (admin) => {
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice/one/nas-owner'`,
    );
  });
  await until(() => server.dispatcher.lanes.size === 0);
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(() => redirected('bras1') === 20);
  await until(async () => (await converged(pool)) === 20);
  t.equal(nases.get('bras1')!.wire.length, 20);
});

t.test('what gives back goes before what takes away', async (t) => {
  const { database, pool, nases, redirected } = await network(t, ['bras1'], 200);
  const server = await startServer(
    t,
    database,
    [...nases].map(([name, nas]) => commandedNas(name, nas, { parallelCalls: 2 })),
  );
  await until(() => server.dispatcher.lanes.size === 1);
  await pool.query('UPDATE subscriber SET redirect = true WHERE id % 2 = 0');
  await until(() => redirected('bras1') === 100);
  await until(() => server.dispatcher.isIdle);
  const nas = nases.get('bras1')!;
  const before = nas.wire.length;
  await pool.query('UPDATE subscriber SET redirect = NOT redirect');
  await until(() => nas.wire.length === before + 200);
  const names = nas.wire.slice(before).map((one) => one.command.name);
  const firstHalf = names.slice(0, 100).filter((name) => name === 'user_redirect_cancel').length;
  // What the first slices of the change feed named before the rest was known may be mixed.
  t.ok(firstHalf > 80, `${String(firstHalf)} of the first hundred give back`);
});

t.test('no more at once and per second than the NAS takes', async (t) => {
  const { database, pool, nases, redirected } = await network(t, ['bras1'], 120, {
    pause: () => new Promise((resolve) => setTimeout(resolve, 5)),
  });
  const nas = nases.get('bras1')!;
  const server = await startServer(t, database, [
    commandedNas('bras1', nas, { parallelCalls: 4, commandsPerSecond: 60 }),
  ]);
  await until(() => server.dispatcher.lanes.size === 1 && server.dispatcher.isIdle);
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(() => redirected('bras1') === 120);
  t.ok(nas.mostAtOnce <= 4, `${String(nas.mostAtOnce)} at once`);
  const tookMs = nas.wire.at(-1)!.atMs - nas.wire[0]!.atMs;
  t.ok(tookMs > 1_500, `120 at 60 a second took ${String(Math.round(tookMs))} ms`);
});

t.test('a NAS that refuses nearly everything: tightening pauses with an alarm, giving back goes on', async (t) => {
  let refuses = true;
  const { database, pool, nases, redirected } = await network(t, ['bras1'], 120, {
    faultOf: ({ name }): Fault => (refuses && name === 'user_redirect' ? 'refused' : 'none'),
  });
  const logged: { level: number; nas?: string }[] = [];
  const server = await startServer(
    t,
    database,
    [...nases].map(([name, nas]) => commandedNas(name, nas)),
    { logged },
  );
  await until(() => server.dispatcher.lanes.size === 1 && server.dispatcher.isIdle);
  await pool.query('UPDATE subscriber SET redirect = true WHERE id % 2 = 0');
  await until(() => server.dispatcher.lanes.get('bras1')!.view.breaker === 'refusing');
  t.equal(logged.filter((line) => line.level === 50 && line.nas === 'bras1').length, 1, 'one alarm');
  const nas = nases.get('bras1')!;
  await until(() => server.dispatcher.inFlight === 0);
  refuses = false;
  const before = nas.wire.filter((one) => one.command.name === 'user_redirect').length;
  await pool.query(`UPDATE plan SET rate_down_bps = 99000000`);
  await until(() => [...nas.entries.values()].some((one) => one.rate.downBps === 99_000_000));
  t.equal(nas.wire.filter((one) => one.command.name === 'user_redirect').length, before, 'paused');
  t.equal(redirected('bras1'), 0);
});

t.test('a transaction of billing that stays open delays nobody', async (t) => {
  const { database, pool, nases, redirected } = await network(t, ['bras1'], 1_000);
  const server = await startServer(
    t,
    database,
    [...nases].map(([name, nas]) => commandedNas(name, nas)),
  );
  await until(() => server.dispatcher.lanes.size === 1 && server.dispatcher.isIdle);
  await asClient(database.url, async (billing) => {
    await billing.query('BEGIN');
    await billing.query(
      'UPDATE subscriber SET redirect = true WHERE id <= (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM subscriber)',
    );
    await billing.query('UPDATE account SET admin_blocked = admin_blocked');
    await pool.query(
      'UPDATE subscriber SET redirect = true WHERE id > (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM subscriber)',
    );
    await until(() => redirected('bras1') === 500);
    await until(async () => (await converged(pool)) === 1_000);
    await billing.query('COMMIT');
  });
  await until(() => redirected('bras1') === 1_000);
  const deadlocks = await pool.query<{ deadlocks: number }>(
    'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
  );
  t.equal(deadlocks.rows[0]!.deadlocks, 0);
});
