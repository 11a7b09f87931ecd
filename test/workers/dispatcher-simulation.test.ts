/**
 * Two servers, NASes that lose and refuse, servers that die between any two steps: in the end every NAS has what PostgreSQL says.
 *
 * `SLUICE_SEED` repeats a run, `SLUICE_TOGGLES` makes it longer.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from 'pg';
import t from 'tap';
import { withTransaction } from '../../src/store/database.js';
import { spoilEntries } from '../../src/store/enforcement-births.js';
import { findUnsettled, settleSubscribers } from '../../src/store/settle.js';
import { freshDatabase } from '../support/database.js';
import { commandedNas, population, type Server, startServer } from '../support/enforced-network.js';
import { acceptedEntry, FakeNas, type Fault } from '../support/fake-nas.js';
import { chooseSeed, seededRandom } from '../support/seeded-random.js';
import { addPlan } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const toggles = Number(process.env['SLUICE_TOGGLES'] ?? 1_500);

interface Truth {
  readonly id: number;
  readonly session_id: number | null;
  readonly login: string;
  readonly address: string | null;
  readonly deleted: boolean;
  readonly blocked: boolean;
  readonly redirect: boolean;
  readonly own_disabled: boolean;
  readonly nas_name: string | null;
  readonly down: number;
  readonly up: number;
}

/** What PostgreSQL says, by the simplest query there is. */
async function truth(pool: Pool): Promise<Truth[]> {
  const { rows } = await pool.query<Truth>(
    `SELECT s.id, x.id AS session_id, s.login, host(s.static_address) AS address, s.deleted, s.admin_blocked AS blocked, s.redirect, s.own_disabled,
       s.nas_name, coalesce(s.turbo_rate_down_bps, p.rate_down_bps) AS down, p.rate_up_bps AS up
     FROM subscriber s JOIN account a ON a.id = s.account_id JOIN plan p ON p.id = a.plan_id LEFT JOIN session x ON x.subscriber_id = s.id`,
  );
  return rows;
}

/** Changes enforcements as the program does: locked in the order of their ids. */
async function touch(pool: Pool, set: string, where: string): Promise<void> {
  await pool.query(
    `WITH l AS (SELECT id FROM enforcement WHERE ${where} ORDER BY id FOR UPDATE) UPDATE enforcement e SET ${set} FROM l WHERE e.id = l.id`,
  );
}

t.test('random changes, random failures, crashes, two servers: every NAS equals PostgreSQL in the end', async (t) => {
  const seed = chooseSeed();
  t.comment(`SLUICE_SEED=${String(seed)}`);
  const random = seededRandom(seed);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
  const database = await freshDatabase(t);
  const { pool } = database;
  const planId = await addPlan(pool);
  const otherPlan = await addPlan(pool, { rate_down_bps: 1_000_000 });

  let isFaulty = true;
  const faultOf = (): Fault => {
    if (!isFaulty || random() > 0.15) return 'none';
    return pick<Fault>(['lost', 'answer-lost', 'refused', 'later']);
  };
  const networks = {
    brases: ['bras1', 'bras2'].map((name) => ({ name, nas: new FakeNas({ kind: 'session', faultOf }) })),
    linuxes: ['linux1', 'linux2'].map((name) => ({
      name,
      nas: new FakeNas({ kind: 'provisioned', maxBatchRuns: 20, faultOf }),
    })),
  };
  const all = [...networks.brases, ...networks.linuxes];
  const online = await population(pool, { count: 60, planId, sessionsOn: networks.brases.map(({ name }) => name) });
  await pool.query(
    `INSERT INTO subscriber (account_id, login, static_address, nas_name)
     SELECT a.id, 'fixed' || a.id, inet '100.65.0.0' + a.id, CASE WHEN a.id % 2 = 0 THEN 'linux1' ELSE 'linux2' END FROM account a WHERE a.id <= 40`,
  );
  const { rows: people } = await pool.query<{ id: number; nas_name: string | null }>(
    'SELECT id, nas_name FROM subscriber',
  );
  const home = { downBps: 50_000_000, upBps: 10_000_000 };
  const sessions = await pool.query<{ id: number; nas_name: string }>('SELECT id, nas_name FROM session');
  for (const { id, nas_name } of sessions.rows)
    all.find(({ name }) => name === nas_name)!.nas.entries.set(String(id), acceptedEntry(home));
  t.equal(online.sessionIds.length, 60);

  const begin = (instance: string): Promise<Server> =>
    startServer(
      t,
      database,
      all.map(({ name, nas }) => commandedNas(name, nas)),
      { instance, abandonedGraceMs: 50, random: () => 0 },
    );
  const servers: (Server | undefined)[] = [await begin('one'), await begin('two')];

  const changes: ((id: number) => [sql: string, values: unknown[]])[] = [
    (id) => ['UPDATE subscriber SET redirect = NOT redirect WHERE id = $1', [id]],
    (id) => ['UPDATE subscriber SET own_disabled = NOT own_disabled WHERE id = $1', [id]],
    (id) => ['UPDATE subscriber SET admin_blocked = NOT admin_blocked WHERE id = $1', [id]],
    (id) => [
      `UPDATE subscriber SET turbo_rate_down_bps = CASE WHEN turbo_rate_down_bps IS NULL THEN 99000000 END WHERE id = $1`,
      [id],
    ],
    (id) => [
      'UPDATE account SET plan_id = CASE plan_id WHEN $2::bigint THEN $3::bigint ELSE $2 END WHERE id = (SELECT account_id FROM subscriber WHERE id = $1)',
      [id, planId, otherPlan],
    ],
  ];
  const changesOfEntries: typeof changes = [
    ...changes,
    (id) => ['UPDATE subscriber SET deleted = NOT deleted WHERE id = $1', [id]],
    (id) => [
      `UPDATE subscriber SET static_address = inet '100.66.0.0' + (random() * 60000)::int WHERE id = $1 AND NOT deleted`,
      [id],
    ],
    (id) => [
      `UPDATE subscriber SET nas_name = CASE nas_name WHEN 'linux1' THEN 'linux2' ELSE 'linux1' END WHERE id = $1`,
      [id],
    ],
  ];
  for (let i = 0; i < toggles; i++) {
    const one = pick(people);
    const [sql, values] = pick(one.nas_name === null ? changes : changesOfEntries)(one.id);
    await pool.query(sql, values).catch((error: unknown) => {
      // Two may come to the same random address, or a login be taken again: PostgreSQL refuses, and nothing has changed.
      if (!(error instanceof Error && 'code' in error && error.code === '23505')) throw error;
    });
    const chance = random();
    const which = random() < 0.5 ? 0 : 1;
    if (chance < 0.01) await servers[which]?.kill();
    else if (chance < 0.014) await servers[which]?.stop();
    else if (chance < 0.02) {
      const { nas } = pick(networks.linuxes);
      nas.wipe();
      const { name } = all.find((other) => other.nas === nas)!;
      await withTransaction(pool, (client) => spoilEntries(client, [name]));
    } else if (chance < 0.028) pick(all).nas.dead = true;
    else if (chance < 0.05) pick(all).nas.dead = false;
    else if (chance < 0.06)
      await database.pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sluice/%/nas-owner' AND random() < 0.5 AND datname = current_database()`,
      );
    else if (chance < 0.2) await pause(random() * 20);
    if (chance < 0.014) {
      await pause(random() * 30);
      servers[which] = await begin(which === 0 ? 'one' : 'two');
    }
  }
  isFaulty = false;
  for (const { nas } of all) nas.dead = false;
  // Pauses after failures may be long by now; a person would say resync, and the rest is what counts.
  await touch(pool, 'due_at = now()', `due_at > now()`);

  const problems = async (): Promise<string[]> => {
    const found: string[] = [];
    const expected = new Map(all.map(({ nas }) => [nas, new Set<string>()]));
    for (const one of await truth(pool)) {
      const home = all.find(({ name }) => name === one.nas_name)?.nas;
      const session = networks.brases.find(({ nas }) => nas.entries.has(String(one.session_id)))?.nas;
      const key = one.session_id === null ? `${String(one.id)} ${String(one.address)}` : String(one.session_id);
      const nas = one.session_id === null ? home : session;
      if (nas === undefined || (one.session_id === null && one.deleted)) continue;
      expected.get(nas)!.add(key);
      const entry = nas.entries.get(key);
      const wanted = { blocked: one.blocked, redirect: one.redirect, ownDisabled: one.own_disabled };
      const rate = { downBps: one.down, upBps: one.up };
      for (const [flag, value] of Object.entries(wanted))
        if (entry?.[flag as keyof typeof wanted] !== value)
          found.push(`${one.login} ${flag} should be ${String(value)}`);
      if (JSON.stringify(entry?.rate) !== JSON.stringify(rate))
        found.push(`${one.login} has ${JSON.stringify(entry?.rate)}, not ${JSON.stringify(rate)}`);
    }
    for (const [nas, keys] of expected)
      for (const key of nas.entries.keys()) if (!keys.has(key)) found.push(`left over: ${key}`);
    return found;
  };
  const unsettled = async (): Promise<number> =>
    (await pool.query(`SELECT FROM enforcement WHERE state <> 'converged'`)).rowCount ?? 0;
  let left: string[] = [];
  let rest = -1;
  await until(async () => {
    // Whatever waits for its pause is asked for now.
    await touch(pool, 'due_at = now()', `due_at > now() AND state = 'pending'`);
    await touch(pool, 'parked = NULL, due_at = now(), generation = e.generation + 1', `state = 'parked'`);
    left = await problems();
    rest = await unsettled();
    return left.length === 0 && rest === 0;
  }).catch(() => undefined);
  t.same(left.slice(0, 5), [], 'every NAS has what PostgreSQL says, and nothing else');
  t.equal(rest, 0, 'and every enforcement is converged');
  const { rows: bad } = await pool.query(
    `SELECT id, state, desired, applied, attempted, last_error, attempts, due_at FROM enforcement WHERE state <> 'converged' LIMIT 3`,
  );
  t.same(bad, []);

  const generations = await pool.query<{ enforcement_id: number; generation: number; sent_at: Date }>(
    'SELECT enforcement_id, generation, sent_at FROM nas_command ORDER BY enforcement_id, sent_at, id',
  );
  let older = 0;
  generations.rows.forEach((row, i) => {
    const before = generations.rows[i - 1];
    if (before?.enforcement_id === row.enforcement_id && before.generation > row.generation) older += 1;
  });
  t.equal(older, 0, 'no older command followed a newer one');
  for (const { name, nas } of all) t.equal(nas.overlaps, 0, `${name} never had two runs of one enforcement at once`);
  const deadlocks = await pool.query<{ deadlocks: number }>(
    'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
  );
  t.equal(deadlocks.rows[0]!.deadlocks, 0, 'no deadlock');
  // What a crash forgot is found by the sweep, as ever; whom somebody else settles at that moment it takes the next time.
  let held = -1;
  await until(async () => {
    await settleSubscribers(pool, await findUnsettled(pool, 1_000));
    const { rowCount } = await pool.query(
      'SELECT FROM subscriber WHERE deleted AND released_at IS NULL AND nas_name IS NOT NULL',
    );
    held = rowCount ?? 0;
    return held === 0;
  }).catch(() => undefined);
  t.equal(held, 0, 'the addresses of the deleted are free');
});
