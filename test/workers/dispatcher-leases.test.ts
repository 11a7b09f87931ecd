/**
 * Lines with several leases: what each of them makes of a NAS where entries are put.
 */
import t from 'tap';
import { LEASE_BOX } from '../../src/domain/lease.js';
import { freshDatabase } from '../support/database.js';
import { commandedNas, startServer } from '../support/enforced-network.js';
import { FakeNas } from '../support/fake-nas.js';
import { applyFacts, fact } from '../support/facts.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

/** Alice, who is bound to a NAS where entries are put and has no address of her own. */
async function scene(t: Parameters<typeof freshDatabase>[0]) {
  const database = await freshDatabase(t);
  const { pool } = database;
  const accountId = await addAccount(pool, { planId: await addPlan(pool) });
  const alice = await addSubscriber(pool, { accountId, login: 'alice', nas_name: 'nas1' });
  return { database, pool, alice, nas: new FakeNas({ kind: 'provisioned' }) };
}

t.test('each lease of a line has its entry, and they come and go without touching each other', async (t) => {
  const { database, pool, nas, alice } = await scene(t);
  await pool.query(`INSERT INTO nas (name, profile, place) VALUES ('nas1', 'p', 'provisioned')`);
  const beganAt = new Map<number, number>();
  const lease = (status: 'start' | 'stop', at: number, last: number) => {
    if (status === 'start') beganAt.set(last, at);
    return fact(status, {
      at,
      nasName: 'nas1',
      nasBox: LEASE_BOX,
      acctSessionId: `lease of ${String(last)} at ${String(beganAt.get(last))}`,
      address: `100.65.0.${String(last)}`,
    });
  };
  const play = (...facts: ReturnType<typeof lease>[]) => applyFacts(pool, facts, () => alice);
  const has = (...lasts: number[]) => [...lasts.map((last) => `${String(alice)} 100.65.0.${String(last)}`)];
  const becomes = async (what: string, ...lasts: number[]): Promise<void> => {
    const isThere = () =>
      [...nas.entries.keys()].sort().join() ===
      has(...lasts)
        .sort()
        .join();
    await until(async () => {
      const { rows } = await pool.query<{ state: string }>('SELECT state FROM enforcement');
      return isThere() && rows.every(({ state }) => state === 'converged');
    }).catch(async (error: unknown) => {
      const { rows } = await pool.query('SELECT * FROM enforcement');
      t.fail(what, { rows, entries: [...nas.entries.keys()] });
      throw error;
    });
  };
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await play(lease('start', 0, 1));
  await becomes('one', 1);
  await play(lease('start', 10, 2), lease('start', 11, 3));
  await becomes('three', 1, 2, 3);
  t.equal(nas.wire.filter(({ command }) => command.name === 'user_add').length, 3, 'and each was added once');
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(() => [...nas.entries.values()].every(({ redirect }) => redirect));
  await play(lease('stop', 20, 1));
  await becomes('the first has gone', 2, 3);
  const before = nas.wire.length;
  await play(lease('start', 30, 1));
  await becomes('and is back', 1, 2, 3);
  t.ok(
    nas.wire.slice(before).every(({ command }) => command.name !== 'user_del'),
    'which takes nothing from the others',
  );
  await play(lease('stop', 40, 3), lease('start', 41, 3));
  await becomes('one that ends and begins at once', 1, 2, 3);
  await play(lease('stop', 50, 1), lease('start', 51, 4), lease('start', 52, 1));
  await becomes('another one took the place of the first', 1, 2, 3, 4);
  // Whoever applies accounting settles by himself; here that follows from the last entry that goes.
  await play(lease('stop', 60, 1), lease('stop', 60, 2), lease('stop', 60, 3), lease('stop', 60, 4));
  await pool.query('UPDATE subscriber SET deleted = true');
  await until(async () => (await pool.query('SELECT FROM subscriber WHERE released_at IS NOT NULL')).rowCount === 1);
  t.equal(nas.entries.size, 0, 'nothing is left of the deleted');
  t.equal((await pool.query('SELECT FROM enforcement')).rowCount, 0);
});

t.test('leases that were there before the NAS was commanded have their entries', async (t) => {
  const { database, pool, nas, alice } = await scene(t);
  await pool.query('UPDATE subscriber SET nas_name = NULL');
  const shape = { nasName: 'nas1', nasBox: LEASE_BOX };
  await applyFacts(
    pool,
    [1, 2, 3].map((n) =>
      fact('start', { ...shape, at: n, acctSessionId: `lease ${String(n)}`, address: `100.65.0.${String(n)}` }),
    ),
    () => alice,
  );
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(() => nas.entries.size === 3);
  t.equal((await pool.query(`SELECT FROM enforcement WHERE kind = 'further'`)).rowCount, 2);
});
