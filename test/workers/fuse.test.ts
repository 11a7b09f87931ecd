/**
 * The fuse, whole: an UPDATE without WHERE does not put a city off, and a person lets it go on.
 */
import type { Pool } from 'pg';
import t from 'tap';
import { listHeld, readFuse, releaseHold } from '../../src/store/fuse-rows.js';
import { freshDatabase } from '../support/database.js';
import { commandedNas, markAccepted, population, startServer } from '../support/enforced-network.js';
import { acceptedEntry, FakeNas } from '../support/fake-nas.js';
import { addPlan } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const home = { downBps: 50_000_000, upBps: 10_000_000 };
const defaults = { maxSubscribers: 500, maxPercent: 5, leastSubscribers: 20 };

/** So many subscribers online on two NASes, commanded by two servers. */
async function city(t: Parameters<typeof freshDatabase>[0], count: number) {
  const database = await freshDatabase(t);
  const { pool } = database;
  const nases = [1, 2].map((n) => ({ name: `bras${String(n)}`, nas: new FakeNas({ kind: 'session' }) }));
  await population(pool, {
    count,
    planId: await addPlan(pool),
    sessionsOn: nases.map((n) => n.name),
  });
  const sessions = await pool.query<{ id: number; nas_name: string }>('SELECT id, nas_name FROM session');
  for (const { id, nas_name } of sessions.rows)
    nases.find((n) => n.name === nas_name)!.nas.entries.set(String(id), acceptedEntry(home));
  await markAccepted(pool, home);
  const redirected = () =>
    nases.reduce((sum, { nas }) => sum + [...nas.entries.values()].filter((e) => e.redirect).length, 0);
  return { database, pool, nases, redirected };
}

const held = async (pool: Pool) => (await pool.query(`SELECT FROM enforcement WHERE state = 'held'`)).rowCount ?? 0;

t.test('an UPDATE without WHERE of 10,000 stops at 500, alarms, and goes on after a release', async (t) => {
  const { database, pool, nases, redirected } = await city(t, 10_000);
  const logged: { level: number; msg: string; limit?: number }[] = [];
  const options = { fuse: defaults, totalSubscribers: () => 10_000, logged };
  const first = await startServer(t, database, [commandedNas('bras1', nases[0]!.nas)], { ...options, instance: 'one' });
  const second = await startServer(t, database, [commandedNas('bras2', nases[1]!.nas)], {
    ...options,
    instance: 'two',
  });
  await until(() => first.dispatcher.lanes.size === 1 && second.dispatcher.lanes.size === 1);
  await until(() => first.dispatcher.isIdle && second.dispatcher.isIdle);
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(async () => (await held(pool)) === 9_500);
  await until(() => first.dispatcher.isIdle && second.dispatcher.isIdle);
  t.equal(redirected(), 500, 'over both servers');
  const alarms = logged.filter((line) => line.level === 50);
  t.equal(alarms.length, 1, 'one alarm');
  t.match(alarms[0], { kind: 'tripped', limit: 500, by: 'maxSubscribers' });
  t.match(await readFuse(pool), { heldSubscribers: 9_500, reason: { limit: 500 } });
  t.equal((await listHeld(pool, 3)).length, 3);

  const paid = await pool.query<{ id: number }>(
    `UPDATE subscriber SET redirect = false WHERE id IN (SELECT id FROM subscriber ORDER BY id LIMIT 1000) RETURNING id`,
  );
  t.equal(paid.rowCount, 1_000);
  await until(async () => (await held(pool)) <= 9_500 - 500);
  await until(() => first.dispatcher.isIdle && second.dispatcher.isIdle);
  const stillHeld = await held(pool);
  t.ok(redirected() < 500, 'what gives back passes at once, while the fuse holds');

  const count = await releaseHold(pool, 'cli/test', undefined);
  t.equal(count, stillHeld);
  await until(() => redirected() === 9_000);
  await until(async () => (await held(pool)) === 0);
  t.match(await readFuse(pool), { heldAt: null, heldSubscribers: 0, releasedBy: 'cli/test' });

  await pool.query('UPDATE subscriber SET own_disabled = true');
  await until(async () => (await held(pool)) === 9_500);
  t.pass('and the next one is held again');
});

t.test('a release for a number lets that many go on', async (t) => {
  const { database, pool, nases, redirected } = await city(t, 100);
  const nas = nases.map(({ name, nas: one }) => commandedNas(name, one));
  const server = await startServer(t, database, nas, { fuse: defaults, totalSubscribers: () => 100 });
  await until(() => server.dispatcher.lanes.size === 2 && server.dispatcher.isIdle);
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(async () => (await held(pool)) === 80);
  t.equal(redirected(), 20, 'of a hundred, twenty: the least that is never held');
  await releaseHold(pool, 'cli/test', 10);
  await until(() => redirected() === 50);
  await until(() => server.dispatcher.isIdle);
  t.equal(redirected(), 50, 'ten by name, and a new count of twenty');
  t.equal(await held(pool), 50);
});

t.test('trying again what has passed is not counted again', async (t) => {
  const { database, pool, nases } = await city(t, 60);
  const nas = nases.map(({ name, nas: one }) => commandedNas(name, one));
  for (const { nas: one } of nases) one.dead = true;
  const server = await startServer(t, database, nas, { fuse: defaults, totalSubscribers: () => 60, random: () => 0 });
  await until(() => server.dispatcher.lanes.size === 2 && server.dispatcher.isIdle);
  await pool.query(
    'UPDATE subscriber SET redirect = true WHERE id IN (SELECT id FROM subscriber ORDER BY id LIMIT 20)',
  );
  await until(async () => (await pool.query('SELECT FROM enforcement WHERE fuse_passed')).rowCount === 20);
  await pool.query(`UPDATE tightening SET at = now() - interval '1 hour'`);
  for (const { nas: one } of nases) one.dead = false;
  await until(
    async () => (await pool.query(`SELECT FROM enforcement WHERE applied->>'redirect' = 'true'`)).rowCount === 20,
  );
  const counted = await pool.query(`SELECT FROM tightening WHERE at > now() - interval '10 minutes'`);
  t.equal(counted.rowCount, 0);
});
