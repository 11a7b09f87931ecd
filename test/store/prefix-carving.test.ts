// Prefixes on a real PostgreSQL: cut as they are wanted, by two instances at once, and never twice; what is given back goes first.

import t from 'tap';
import { Directory } from '../../src/store/directory.js';
import { DirectoryLoader } from '../../src/store/directory-loader.js';
import { AddressReserve } from '../../src/store/address-reserve.js';
import { carvePrefixes } from '../../src/store/prefix-carving.js';
import { readPoolSizes, readReserve, returnFromReserve, takeForReserve } from '../../src/store/reserve-rows.js';
import { findPool } from '../../src/store/pool-writes.js';
import { breakSticky } from '../../src/store/sweeps.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { addAccount, addLiveSession, addPrefixPool, addSubscriber } from '../support/subscriber-rows.js';

const DELEGATED_56 = { kind: 'delegated-prefix', prefix_length: 56, name: 'home6' } as const;

const rowCount = async ({ pool }: FreshDatabase): Promise<number> =>
  (await pool.query<{ count: number }>('SELECT count(*)::int AS count FROM pool_address')).rows[0]!.count;

t.test('a /32 of 16 million prefixes costs rows for those alone that are taken', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPrefixPool(database.pool, '2001:db8::/32', DELEGATED_56);
  test.equal((await readPoolSizes(database.pool)).get(poolId), 2 ** 24);
  const cut = await carvePrefixes(database.pool, 'one', poolId, 600);
  test.equal(cut.length, 600);
  test.match(cut[0], { poolId, routingDomain: 'default', address: '2001:db8::/56' });
  test.equal(cut.at(-1)!.address, '2001:db8:2:5700::/56');
  test.equal(await rowCount(database), 600);
  test.match(await findPool(database.pool, 'home6'), { addresses: 2 ** 24, free: 2 ** 24 - 600, reserved: 600 });
  test.same(await readReserve(database.pool, 'one'), cut, 'its own after a restart');
});

t.test('two instances that cut at once never get one prefix twice, and together all of them', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPrefixPool(database.pool, '2001:db8::/46', DELEGATED_56);
  await database.pool.query(`INSERT INTO pool_network (pool_id, network) VALUES ($1, '2001:db8:8000::/48')`, [poolId]);
  const all: string[] = [];
  await Promise.all(
    ['one', 'two', 'one', 'two'].map(async (instance) => {
      for (;;) {
        const cut = await carvePrefixes(database.pool, instance, poolId, 70);
        all.push(...cut.map(({ address }) => String(address)));
        if (cut.length === 0) return;
      }
    }),
  );
  test.equal(all.length, 1024 + 256);
  test.equal(new Set(all).size, all.length);
});

t.test('what was given back is taken before anything new is cut', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPrefixPool(database.pool, '2001:db8::/48', DELEGATED_56);
  const cut = await carvePrefixes(database.pool, 'one', poolId, 3);
  test.equal(await returnFromReserve(database.pool, 'one', cut.slice(1)), 2);
  const again = await takeForReserve(database.pool, 'two', 'prefixes', [{ poolId, count: 10 }]);
  test.same(again.map(({ address }) => address).sort(), ['2001:db8:0:100::/56', '2001:db8:0:200::/56']);
  test.equal(await rowCount(database), 3);
});

t.test('a static prefix, shorter or longer than those of the pool, is nobody else’s', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPrefixPool(database.pool, '2001:db8::/48', DELEGATED_56);
  const accountId = await addAccount(database.pool);
  await addSubscriber(database.pool, { accountId, static_delegated_prefix: '2001:db8::/54' });
  await addSubscriber(database.pool, { accountId, static_framed_prefix: '2001:db8:0:501::/64' });
  const cut = await carvePrefixes(database.pool, 'one', poolId, 3);
  test.same(
    cut.map(({ address }) => address),
    ['2001:db8:0:400::/56', '2001:db8:0:600::/56', '2001:db8:0:700::/56'],
  );
  test.same(
    await takeForReserve(database.pool, 'one', 'prefixes', [{ poolId, count: 10 }]),
    [],
    'those of the others are free, and not given',
  );
  await database.pool.query('UPDATE subscriber SET static_delegated_prefix = NULL');
  test.equal((await takeForReserve(database.pool, 'one', 'prefixes', [{ poolId, count: 10 }])).length, 4);
});

t.test('the schema refuses what could not be kept apart or cut', async (test) => {
  const { pool } = await freshDatabase(test);
  const poolId = await addPrefixPool(pool, '2001:db8::/48', DELEGATED_56);
  const accountId = await addAccount(pool);
  await addSubscriber(pool, { accountId, static_delegated_prefix: '2001:db8:f00::/48' });
  const table: readonly (readonly [sql: string, values: unknown[], constraint: string])[] = [
    ['INSERT INTO pool_network (pool_id, network) VALUES ($1, $2)', [poolId, '10.0.0.0/24'], 'pool_network_family'],
    [
      'INSERT INTO pool_network (pool_id, network) VALUES ($1, $2)',
      [poolId, '2001:db8::/60'],
      'pool_network_prefix_length',
    ],
    [
      'INSERT INTO pool_network (pool_id, network) VALUES ($1, $2)',
      [poolId, '2000::/12'],
      'pool_network_prefix_length',
    ],
    [
      `INSERT INTO pool (name, kind, prefix_length) VALUES ('x', 'framed-prefix', $1)`,
      [32],
      'pool_prefix_length_range',
    ],
    [`INSERT INTO plan (name, pool_id) VALUES ('x', $1)`, [poolId], 'plan_pool_kind'],
    [`INSERT INTO plan (name, framed_pool_id) VALUES ('x', $1)`, [poolId], 'plan_pool_kind'],
    [
      `INSERT INTO subscriber (account_id, login, static_delegated_prefix) VALUES ($1, 'x', '2001:db8:f00:100::/56')`,
      [accountId],
      'subscriber_static_delegated_prefix_unique',
    ],
    [
      `INSERT INTO subscriber (account_id, login, static_framed_prefix) VALUES ($1, 'x', '2001:db8:f00:1::/64')`,
      [accountId],
      'subscriber_static_prefixes_apart',
    ],
    [
      `INSERT INTO subscriber (account_id, login, static_framed_prefix) VALUES ($1, 'x', '2a00:db8::/32')`,
      [accountId],
      'subscriber_static_framed_prefix_range',
    ],
  ];
  for (const [sql, values, constraint] of table) {
    const refused = await pool.query(sql, values).catch((error: unknown) => error);
    test.match(refused, { constraint }, `${constraint}: ${sql}`);
  }
});

t.test('the reserve of a pool of prefixes: held, offered with an address, given back', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPrefixPool(database.pool, '2001:db8::/32', DELEGATED_56);
  const directory = new Directory();
  await new DirectoryLoader(database.pool, directory).loadAll();
  directory.markCaughtUp(1_000_000, 1_000_000);
  const reserve = new AddressReserve({
    pool: database.pool,
    directory,
    instance: 'one',
    reserveSize: 64,
    offerGraceMs: 300_000,
    outageHorizonMs: 3_600_000,
    nowMs: () => 1_000_000,
    onError: (error) => test.fail(String(error)),
  });
  await reserve.start();
  test.same(reserve.status, [{ poolId, held: 64, target: 64 }]);
  const sources = [{ kind: 'delegated-prefix', from: 'sticky-or-reserve', poolId }] as const;
  const taken = reserve.takePrefixes(7, 0, sources, 1_000_000);
  test.match(taken, { prefixes: [{ kind: 'delegated-prefix', poolId, poolName: 'home6', source: 'grant' }] });
  if ('prefixes' in taken) reserve.returnPrefixes(taken.prefixes);
  test.match(reserve.status, [{ held: 64 }]);
  await reserve.stop();
  const { rows } = await database.pool.query('SELECT DISTINCT state FROM pool_address');
  test.same(rows, [{ state: 'free' }]);
});

t.test('nobody loses the prefix that is kept for him while there are others to cut', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPrefixPool(database.pool, '2001:db8::/54', DELEGATED_56);
  const own = `UPDATE pool_address SET state = 'free', instance = NULL, subscriber_id = 7, slot = 0`;
  await carvePrefixes(database.pool, 'one', poolId, 3);
  await database.pool.query(own);
  test.equal(await breakSticky(database.pool, 10), 0, 'one of four is left');
  await carvePrefixes(database.pool, 'one', poolId, 1);
  await database.pool.query(own);
  await addLiveSession(database.pool, { subscriberId: 7, acctSessionId: 's1' });
  test.equal(await breakSticky(database.pool, 10), 0, 'he is online, on a NAS that may not tell what he uses');
  await database.pool.query('DELETE FROM session');
  test.equal(await breakSticky(database.pool, 10), 1, 'none is left, and he stays away');
});
