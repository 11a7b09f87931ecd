// The reserve on a real PostgreSQL: addresses that an instance may offer without asking, and never one twice.

import t from 'tap';
import { formatIpv4Address } from '../../src/domain/ipv4-address.js';
import { AddressReserve, randomOfferId, type AddressReserveOptions } from '../../src/store/address-reserve.js';
import { Directory } from '../../src/store/directory.js';
import { DirectoryLoader } from '../../src/store/directory-loader.js';
import { forgetInstance } from '../../src/store/reserve-rows.js';
import { freshDatabase, startPrivatePostgres, type FreshDatabase } from '../support/database.js';
import { createPool } from '../../src/store/database.js';
import { addAccount, addPool, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const GRACE_MS = 300_000;
const HORIZON_MS = 4 * 3_600_000;

interface Bench {
  readonly reserve: AddressReserve;
  readonly directory: Directory;
  readonly clock: { nowMs: number };
  readonly errors: unknown[];
}

async function open(
  database: Pick<FreshDatabase, 'pool'>,
  options: Partial<AddressReserveOptions> = {},
): Promise<Bench> {
  const directory = new Directory();
  const clock = { nowMs: 1_000_000 };
  const errors: unknown[] = [];
  await new DirectoryLoader(database.pool, directory).loadAll();
  directory.markCaughtUp(clock.nowMs, clock.nowMs);
  const reserve = new AddressReserve({
    pool: database.pool,
    directory,
    instance: 'one',
    reserveSize: 64,
    offerGraceMs: GRACE_MS,
    outageHorizonMs: HORIZON_MS,
    nowMs: () => clock.nowMs,
    onError: (error) => errors.push(error),
    ...options,
  });
  await reserve.start();
  return { reserve, directory, clock, errors };
}

function addresses(network: string, count: number): string[] {
  const prefix = network.split('.').slice(0, 3).join('.');
  return Array.from({ length: count }, (_, i) => `${prefix}.${String(i + 1)}`);
}

async function states(database: Pick<FreshDatabase, 'pool'>): Promise<Record<string, number>> {
  const { rows } = await database.pool.query<{ state: string; count: number }>(
    "SELECT state || coalesce(' ' || instance, '') AS state, count(*)::int AS count FROM pool_address GROUP BY 1",
  );
  return Object.fromEntries(rows.map((row) => [row.state, row.count]));
}

t.test('holds two hundredths of a pool, at least one, at most the size', async (test) => {
  const database = await freshDatabase(test);
  await addPool(database.pool, '100.64.0.0/24', addresses('100.64.0.0', 254));
  await addPool(database.pool, '100.64.1.0/29', addresses('100.64.1.0', 6));
  await addPool(database.pool, '100.64.2.0/24', addresses('100.64.2.0', 254));
  const { reserve } = await open(database, { reserveSize: 4 });
  test.same(
    reserve.status.map((one) => one.held),
    [4, 1, 4],
  );
  const wide = await open(database, { instance: 'two' });
  test.same(
    wide.reserve.status.map((one) => one.held),
    [5, 1, 5],
  );
  test.same(await states(database), { free: 514 - 9 - 11, 'reserved one': 9, 'reserved two': 11 });
});

t.test('a grant is one address, once, with an offer that others can see', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '100.64.0.0/24', addresses('100.64.0.0', 254), {
    routing_domain: 'vrf1',
  });
  const { reserve, directory, clock } = await open(database);
  const offer = reserve.grant(7, 1, poolId, 'mac', clock.nowMs)!;
  test.match(offer, {
    subscriberId: 7,
    slot: 1,
    poolId,
    requesterKey: 'mac',
    routingDomain: 'vrf1',
    source: 'grant',
    durable: false,
  });
  test.equal(offer.expiresAtMs, clock.nowMs + GRACE_MS);
  test.same(directory.offers.ofSubscriber(7), [offer]);
  test.not(reserve.grant(8, 0, poolId, 'other', clock.nowMs)?.address, offer.address);
  directory.offers.expire(offer.expiresAtMs + 2_000);
  test.same(directory.offers.ofSubscriber(7), []);
});

t.test('never the same address twice, over two instances that fight for a small pool', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '100.64.0.0/26', addresses('100.64.0.0', 62));
  const benches = [await open(database, { instance: 'one' }), await open(database, { instance: 'two' })];
  let subscriberId = 0;
  const granted: number[] = [];
  let empty = 0;
  const ask = async ({ reserve, clock }: Bench) => {
    const mine = ++subscriberId;
    for (let i = 0; i < 3; i++) {
      const offer = reserve.grant(mine, 0, poolId, 'x', clock.nowMs);
      if (offer) return void granted.push(offer.address!);
      if (!(await reserve.waitForAddress(poolId))) break;
    }
    empty++;
  };
  await Promise.all(Array.from({ length: 100 }, (_, i) => ask(benches[i % 2]!)));
  test.equal(new Set(granted).size, granted.length, 'each once');
  test.equal(granted.length + empty, 100, 'everybody was answered');
  for (const { reserve, clock } of benches) {
    clock.nowMs += 10_000;
    for (let i = 0; i < 62; i++) await ask({ reserve, clock } as Bench);
  }
  test.equal(new Set(granted).size, 62, 'and in the end all of them');
  test.equal(granted.length, 62);
});

t.test('newcomers who take what is at hand cost nobody who waits his address', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '100.64.0.0/24', addresses('100.64.0.0', 254));
  const { reserve, clock } = await open(database, { reserveSize: 3 });
  // They come while the database is being asked, when it has been decided how many to ask for.
  const { query } = database.pool;
  let newcomers = 0;
  database.pool.query = ((...args: unknown[]) => {
    const isTaking = JSON.stringify(args[0]).includes('UPDATE pool_address');
    while (isTaking && newcomers < 3 && reserve.grant(++newcomers, 0, poolId, 'comes', clock.nowMs));
    return (query as (...args: unknown[]) => unknown).apply(database.pool, args);
  }) as typeof query;
  const waiting = Array.from({ length: 10 }, async (_, i) => {
    const found = await reserve.waitForAddress(poolId);
    return found && reserve.grant(100 + i, 0, poolId, 'waits', clock.nowMs) !== undefined;
  });
  test.same(
    await Promise.all(waiting),
    Array.from({ length: 10 }, () => true),
  );
  test.equal(newcomers, 3);
});

t.test('waiting requests share one refill; whoever finds the pool empty is told at once', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '100.64.0.0/28', addresses('100.64.0.0', 14));
  const { reserve, clock } = await open(database, { reserveSize: 0 });
  let statements = 0;
  const { query } = database.pool;
  database.pool.query = ((...args: unknown[]) => {
    statements++;
    return (query as (...args: unknown[]) => unknown).apply(database.pool, args);
  }) as typeof query;
  const found = await Promise.all(Array.from({ length: 20 }, () => reserve.waitForAddress(poolId)));
  test.equal(found.filter(Boolean).length, 14);
  test.ok(statements <= 6, `${String(statements)} statements for twenty`);
  for (let i = 0; i < 14; i++) test.ok(reserve.grant(i, 0, poolId, 'x', clock.nowMs));
  statements = 0;
  test.equal(await reserve.waitForAddress(poolId), false);
  test.equal(statements, 0, 'known to be empty: no SQL');
  clock.nowMs += 1_000;
  test.equal(await reserve.waitForAddress(poolId), false);
  test.ok(statements > 0, 'asked again after a while');
});

t.test('what belongs to somebody is not taken', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '100.64.0.0/29', addresses('100.64.0.0', 6));
  const accountId = await addAccount(database.pool);
  const alice = await addSubscriber(database.pool, { accountId, static_address: '100.64.0.1' });
  await database.pool.query("UPDATE pool_address SET subscriber_id = $1 WHERE address = '100.64.0.2'", [alice]);
  await database.pool.query("UPDATE pool_address SET state = 'quarantined' WHERE address = '100.64.0.3'");
  await database.pool.query(
    "UPDATE pool_address SET state = 'assigned', subscriber_id = $1 WHERE address = '100.64.0.4'",
    [alice],
  );
  const { reserve, clock } = await open(database, { reserveSize: 0 });
  const found = await Promise.all([1, 2, 3].map(() => reserve.waitForAddress(poolId)));
  test.same(found, [true, true, false]);
  const granted = [1, 2].map((id) => formatIpv4Address(reserve.grant(id, 0, poolId, 'x', clock.nowMs)!.address!));
  test.same(granted.sort(), ['100.64.0.5', '100.64.0.6'], 'static, sticky, resting and assigned ones were left');
});

t.test('an address of the reserve that became somebody else’s in the meantime is passed over', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '100.64.0.0/22', addresses('100.64.0.0', 200));
  const { reserve, directory, clock } = await open(database, { reserveSize: 4 });
  const accountId = await addAccount(database.pool);
  const { rows } = await database.pool.query<{ address: string }>(
    "SELECT host(address) AS address FROM pool_address WHERE state = 'reserved'",
  );
  const [fixed, used] = rows.map((row) => row.address);
  const bob = await addSubscriber(database.pool, { accountId, static_address: fixed });
  await new DirectoryLoader(database.pool, directory).loadAll();
  directory.sessionStarted({
    nasName: 'n',
    nasBox: 'b',
    acctSessionId: 'from-its-own-pool',
    subscriberId: bob,
    mac: undefined,
    nasPortId: undefined,
    address: reserveAddress(used!),
    routingDomain: 'default',
    startedAtMs: 1,
  });
  const granted = new Set<string>();
  for (;;) {
    const offer = reserve.grant(99, 0, poolId, 'x', clock.nowMs);
    if (!offer) break;
    granted.add(formatIpv4Address(offer.address!));
  }
  test.equal(granted.size, 2);
  test.notOk(granted.has(fixed!) || granted.has(used!));
  await reserve.waitForAddress(poolId);
  await until(
    async () =>
      (
        await database.pool.query("SELECT FROM pool_address WHERE state = 'free' AND host(address) = ANY($1)", [
          [fixed, used],
        ])
      ).rowCount! >= 1,
  );
  test.pass('and goes back where the rule for static addresses is kept');
});

function reserveAddress(text: string): number {
  return text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

t.test('a kept address is offered again and again, without the database', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '100.64.0.0/29', addresses('100.64.0.0', 6));
  const accountId = await addAccount(database.pool);
  const alice = await addSubscriber(database.pool, { accountId });
  await database.pool.query("UPDATE pool_address SET subscriber_id = $1, slot = 0 WHERE address = '100.64.0.2'", [
    alice,
  ]);
  const { reserve, directory, clock } = await open(database);
  const offer = reserve.takeSticky(alice, 0, poolId, 'mac', clock.nowMs)!;
  test.equal(formatIpv4Address(offer.address!), '100.64.0.2');
  test.equal(offer.durable, true);
  test.equal(reserve.takeSticky(alice, 1, poolId, 'mac', clock.nowMs), undefined, 'another slot');
  test.equal(reserve.takeSticky(alice, 0, poolId + 1, 'mac', clock.nowMs), undefined, 'another pool');
  clock.nowMs += 60_000;
  test.equal(reserve.repeat(offer, clock.nowMs), true);
  test.equal(offer.expiresAtMs, clock.nowMs + GRACE_MS, 'repeated for a full time');
  directory.setSticky(alice, []);
  test.equal(reserve.repeat(offer, clock.nowMs), false, 'not when it has been taken away');
  directory.keepSticky({ subscriberId: alice, slot: 0, poolId, address: offer.address! });
  test.equal(reserve.repeat(offer, clock.nowMs + HORIZON_MS), false, 'not when nobody knows whether it has');
  test.equal(reserve.takeSticky(alice, 0, poolId, 'mac', clock.nowMs + HORIZON_MS), undefined);
});

t.test(
  'a grant is kept for its subscriber once it is on disk, and comes back when it was never written',
  async (test) => {
    const database = await freshDatabase(test);
    const poolId = await addPool(database.pool, '100.64.0.0/29', addresses('100.64.0.0', 6));
    const { reserve, directory, clock } = await open(database, { reserveSize: 1 });
    const first = reserve.grant(1, 0, poolId, 'x', clock.nowMs)!;
    test.equal(reserve.repeat(first, clock.nowMs), true, 'while it is on its way it is the same offer');
    test.equal(directory.stickyAddress(1, 0, poolId), undefined);
    reserve.granted(first);
    test.equal(directory.stickyAddress(1, 0, poolId), first.address);
    test.equal(reserve.repeat(first, clock.nowMs + 1), true);
    await until(() => reserve.status[0]!.held === 1);
    const second = reserve.grant(2, 0, poolId, 'x', clock.nowMs)!;
    reserve.giveBack(second);
    test.same(directory.offers.ofSubscriber(2), []);
    test.equal(reserve.grant(3, 0, poolId, 'x', clock.nowMs)?.address, second.address);
  },
);

t.test('taken up at start, given back at stop, freed when an instance is forgotten', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '100.64.0.0/24', addresses('100.64.0.0', 254));
  const first = await open(database);
  const granted = first.reserve.grant(1, 0, poolId, 'x', first.clock.nowMs)!;
  const second = await open(database);
  test.equal(second.reserve.status[0]?.held, 5, 'its own, not more');
  await first.reserve.stop();
  const { rows } = await database.pool.query('SELECT FROM pool_address WHERE host(address) = $1 AND state = $2', [
    formatIpv4Address(granted.address!),
    'reserved',
  ]);
  test.equal(rows.length, 1, 'what was granted is the business of the spool, not given back');
  test.equal(await forgetInstance(database.pool, 'one'), (await states(database))['reserved one'] ?? 1);
  test.same(await states(database), { free: 254 });
});

t.test('with PostgreSQL away the reserve goes on, then rejects in time, then recovers', async (test) => {
  const postgres = await startPrivatePostgres(test);
  const pool = createPool(postgres.url, { instance: 'one', maxConnections: 2, connectTimeoutMs: 1_000 });
  test.teardown(() => pool.end());
  const poolId = await addPool(pool, '100.64.0.0/24', addresses('100.64.0.0', 254));
  const { reserve, clock, errors } = await open({ pool });
  await postgres.stop();
  for (let i = 0; i < 5; i++) test.ok(reserve.grant(i, 0, poolId, 'x', clock.nowMs), 'from the reserve');
  test.equal(reserve.grant(9, 0, poolId, 'x', clock.nowMs), undefined);
  clock.nowMs += 10_000;
  const beganAt = performance.now();
  test.equal(await reserve.waitForAddress(poolId), false);
  test.ok(performance.now() - beganAt < 5_000);
  test.ok(errors.length > 0);
  await postgres.start();
  clock.nowMs += 10_000;
  await until(async () => {
    clock.nowMs += 1_000;
    return reserve.waitForAddress(poolId);
  });
  test.ok(reserve.grant(9, 0, poolId, 'x', clock.nowMs));
});

t.test('offer ids fit six octets and do not repeat', async (test) => {
  const ids = new Set(Array.from({ length: 20_000 }, randomOfferId));
  test.equal(ids.size, 20_000);
  for (const id of ids) if (!(id > 0 && id < 2 ** 48)) test.fail(String(id));
});

t.test('a clock that is set back by hours leaves no pool waiting for its old time', async (test) => {
  const database = await freshDatabase(test);
  const poolId = await addPool(database.pool, '10.9.0.0/24', addresses('10.9.0.0/24', 1));
  const { reserve, clock } = await open(database);
  test.ok(reserve.grant(1, 0, poolId, 'a', clock.nowMs));
  test.equal(await reserve.waitForAddress(poolId), false, 'the pool is empty, which is remembered for a moment');
  await database.pool.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id) VALUES ('default', '10.9.0.2', $1)`,
    [poolId],
  );
  clock.nowMs -= 2 * 3_600_000;
  test.equal(await reserve.waitForAddress(poolId), true);
  test.ok(reserve.grant(2, 0, poolId, 'b', clock.nowMs));
});
