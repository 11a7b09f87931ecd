/**
 * What the owner of a NAS writes beside others that lock the same rows.
 */
import t from 'tap';
import { type EnforcementWrite, writeAndEndEnforcements } from '../../src/store/enforcement-writes.js';
import { unchanged } from '../../src/workers/enforcement-look.js';
import { freshDatabase } from '../support/database.js';
import { enforcedRow } from '../support/enforced-row.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const written = (id: number): EnforcementWrite => ({
  ...unchanged(enforcedRow({ id, generation: 0 })),
  known: { applied: null, attempted: [] },
  state: 'pending',
  attempts: 3,
});

t.test('what is written and what is ended in one transaction is locked in the order of ids', async (t) => {
  const { pool } = await freshDatabase(t);
  const accountId = await addAccount(pool);
  const ids: number[] = [];
  for (const login of ['ends', 'is written']) {
    const subscriberId = await addSubscriber(pool, { accountId, login });
    const { rows } = await pool.query<{ id: number }>(
      `INSERT INTO enforcement (kind, nas_name, subscriber_id) VALUES ('provisioned', 'nas1', $1) RETURNING id`,
      [subscriberId],
    );
    ids.push(rows[0]!.id);
  }
  const [first, second] = ids as [number, number];
  const other = await pool.connect();
  const owner = await pool.connect();
  t.teardown(() => {
    other.release();
    owner.release();
  });

  await other.query('BEGIN');
  await other.query('SELECT FROM enforcement WHERE id = $1 FOR UPDATE', [first]);
  await owner.query('BEGIN');
  const { rows } = await owner.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const both = writeAndEndEnforcements(owner, [written(second)], [{ id: first, generation: 0 }], false);
  await until(async () => {
    const waiting = await pool.query(`SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`, [
      rows[0]!.pid,
    ]);
    return waiting.rowCount === 1;
  });
  await other.query('SELECT FROM enforcement WHERE id = $1 FOR UPDATE NOWAIT', [second]);
  await other.query('COMMIT');
  t.same(await both, { written: new Set([second]), ended: new Set([first]) });
  await owner.query('COMMIT');
  t.same((await pool.query('SELECT id, attempts FROM enforcement')).rows, [{ id: second, attempts: 3 }]);
});
