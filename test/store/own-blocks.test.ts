/**
 * Limits of voluntary blocks in the database: who ends them, whom they refuse, and whom they do not bind.
 */
import type { Pool } from 'pg';
import t from 'tap';
import { ownBlockAllowedFromMs } from '../../src/domain/own-block.js';
import { withActor } from '../../src/store/actor.js';
import { endOwnBlocks, OWN_BLOCK_ACTOR } from '../../src/store/own-blocks.js';
import { freshDatabase } from '../support/database.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';

interface Row {
  readonly own_disabled: boolean;
  readonly since: boolean;
  readonly ended: boolean;
  readonly own_disabled_reason: string | null;
}

async function scene(t: Parameters<typeof freshDatabase>[0], limits: { max: number | null; pause: number | null }) {
  const { pool } = await freshDatabase(t);
  const planId = await addPlan(pool);
  await pool.query('UPDATE plan SET own_block_max_days = $1, own_block_pause_days = $2', [limits.max, limits.pause]);
  const accountId = await addAccount(pool, { planId });
  const id = await addSubscriber(pool, { accountId, login: 'alice' });
  return { pool, id, accountId };
}

async function rowOf(pool: Pool, id: number): Promise<Row> {
  const { rows } = await pool.query<Row>(
    `SELECT own_disabled, own_disabled_since IS NOT NULL AS since, own_disabled_ended_at IS NOT NULL AS ended, own_disabled_reason
     FROM subscriber WHERE id = $1`,
    [id],
  );
  return rows[0]!;
}

const set = (pool: Pick<Pool, 'query'>, id: number, on: boolean) =>
  pool.query('UPDATE subscriber SET own_disabled = $2 WHERE id = $1', [id, on]);
const beganDaysAgo = (pool: Pool, days: number) =>
  pool.query(`UPDATE subscriber SET own_disabled_since = now() - $1 * interval '24 hours' WHERE own_disabled`, [days]);
const endedDaysAgo = (pool: Pool, days: number) =>
  pool.query(`UPDATE subscriber SET own_disabled_ended_at = now() - $1 * interval '24 hours'`, [days]);

t.test('when it began and ended is remembered, whoever writes it', async (t) => {
  const { pool, id, accountId } = await scene(t, { max: null, pause: null });
  t.match(await rowOf(pool, id), { own_disabled: false, since: false, ended: false });
  await set(pool, id, true);
  t.match(await rowOf(pool, id), { own_disabled: true, since: true, ended: false });
  await set(pool, id, false);
  t.match(await rowOf(pool, id), { own_disabled: false, since: true, ended: true });
  const born = await pool.query<{ id: number }>(
    `INSERT INTO subscriber (account_id, login, own_disabled) VALUES ($1, 'bob', true) RETURNING id`,
    [accountId],
  );
  t.match(await rowOf(pool, born.rows[0]!.id), { own_disabled: true, since: true, ended: false });
});

t.test('one that lasts too long is taken back, and the history says by whom', async (t) => {
  const { pool, id, accountId } = await scene(t, { max: 30, pause: null });
  await pool.query(`UPDATE subscriber SET own_disabled = true, own_disabled_reason = 'on holiday'`);
  await beganDaysAgo(pool, 29.9);
  t.equal(await endOwnBlocks(pool, 100), 0);
  await beganDaysAgo(pool, 30);
  await pool.query('UPDATE account SET own_block_max_days = 60 WHERE id = $1', [accountId]);
  t.equal(await endOwnBlocks(pool, 100), 0, 'the account may have more than its plan');
  await pool.query('UPDATE account SET own_block_max_days = 0 WHERE id = $1', [accountId]);
  t.equal(await endOwnBlocks(pool, 100), 0, 'or no limit');
  await pool.query('UPDATE account SET own_block_max_days = NULL WHERE id = $1', [accountId]);
  t.equal(await endOwnBlocks(pool, 100), 1);
  t.match(await rowOf(pool, id), { own_disabled: false, ended: true, own_disabled_reason: null });
  const { rows } = await pool.query(
    `SELECT old_value, new_value, changed_by FROM subscriber_event WHERE field = 'own_disabled' ORDER BY at DESC LIMIT 1`,
  );
  t.same(rows, [{ old_value: 'true', new_value: 'false', changed_by: OWN_BLOCK_ACTOR }]);
  t.equal(await endOwnBlocks(pool, 100), 0, 'once');
});

t.test('so many at a time, the longest first, and nobody waits for a row that somebody holds', async (t) => {
  const { pool, accountId } = await scene(t, { max: 1, pause: null });
  for (const login of ['b', 'c', 'd']) await addSubscriber(pool, { accountId, login });
  await pool.query('UPDATE subscriber SET own_disabled = true');
  await pool.query(`UPDATE subscriber SET own_disabled_since = now() - id * interval '24 hours'`);
  const longest = await pool.query<{ login: string }>('SELECT login FROM subscriber ORDER BY id DESC LIMIT 1');
  t.equal(await endOwnBlocks(pool, 1), 1);
  const free = await pool.query<{ login: string }>('SELECT login FROM subscriber WHERE NOT own_disabled');
  t.same(free.rows, longest.rows);
  const billing = await pool.connect();
  await billing.query('BEGIN');
  await billing.query(`SELECT FROM subscriber WHERE login = 'b' FOR UPDATE`);
  t.equal(await endOwnBlocks(pool, 100), 2);
  await billing.query('ROLLBACK');
  billing.release();
  t.equal(await endOwnBlocks(pool, 100), 1);
});

t.test(
  'one that comes too soon is refused with the name of the rule, and the same rule is told to people',
  async (t) => {
    const { pool, id } = await scene(t, { max: null, pause: 90 });
    await set(pool, id, true);
    await set(pool, id, false);
    const cases: readonly [daysAgo: number, isRefused: boolean][] = [
      [0, true],
      [89.999, true],
      [90.001, false],
    ];
    for (const [daysAgo, isRefused] of cases) {
      await endedDaysAgo(pool, daysAgo);
      const endedAtMs = Date.now() - daysAgo * 86_400_000;
      const fromMs = ownBlockAllowedFromMs({ isOn: false, sinceMs: 0, endedAtMs }, { maxDays: null, pauseDays: 90 });
      t.equal(fromMs! > Date.now(), isRefused, 'what people are told');
      const attempt = set(pool, id, true);
      if (isRefused) {
        await t.rejects(attempt, { code: '23514', constraint: 'subscriber_own_block_pause', hint: /own_block_limits/ });
        t.match(await rowOf(pool, id), { own_disabled: false });
      } else {
        await attempt;
        t.match(await rowOf(pool, id), { own_disabled: true });
      }
    }
  },
);

t.test('staff is not bound by the pause, and says so for one transaction', async (t) => {
  const { pool, id } = await scene(t, { max: null, pause: 90 });
  await set(pool, id, true);
  await set(pool, id, false);
  await withActor(pool, 'ops', (client) => set(client, id, true));
  t.match(await rowOf(pool, id), { own_disabled: true });
  await set(pool, id, false);
  await t.rejects(set(pool, id, true), { code: '23514', constraint: 'subscriber_own_block_pause' });
  await pool.query('UPDATE account SET own_block_pause_days = 0');
  await set(pool, id, true);
  t.match(await rowOf(pool, id), { own_disabled: true });
});

t.test('an UPDATE that leaves the flag as it is touches nothing of this', async (t) => {
  const { pool, id } = await scene(t, { max: 30, pause: 90 });
  await set(pool, id, true);
  await beganDaysAgo(pool, 10);
  const since = async () =>
    (await pool.query<{ at: Date }>('SELECT own_disabled_since AS at FROM subscriber WHERE id = $1', [id])).rows[0]!.at;
  const before = await since();
  await set(pool, id, true);
  await pool.query('UPDATE subscriber SET redirect = true');
  t.same(await since(), before);
});
