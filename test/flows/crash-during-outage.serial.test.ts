/**
 * PostgreSQL is away, the server answers, the server is killed: everything that it promised lies in the spool alone. Holds: when both are back, the
 * server knows from its first answer on whom it let in and which address it promised to whom.
 */
import t from 'tap';
import { createPool } from '../../src/store/database.js';
import { startPrivatePostgres } from '../support/database.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { applied, scrape } from '../support/scrape.js';
import { ServerSeries } from '../support/server-series.js';
import { describe, TestNas } from '../support/test-nas.js';
import { waitFor } from '../support/deadline.js';

t.test('promises made during an outage hold after a crash', { timeout: 120_000 }, async (t) => {
  const postgres = await startPrivatePostgres(t);
  const pool = createPool(postgres.url, { instance: 'test', maxConnections: 2 });
  t.teardown(() => pool.end());
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.64.0.0/22');
  const [waiting, online] = await insertPopulation(pool, {
    prefix: 'u',
    staticCount: 0,
    dynamicCount: 2,
    planId,
    poolId,
  });
  const server = await ServerSeries.start(t, { databaseUrl: postgres.url });
  const nas = await TestNas.open(t, server);
  const request = (who: typeof waiting) => ({
    userName: who!.login,
    password: who!.password,
    callingStationId: who!.mac,
  });

  await postgres.stop();
  const promised = await nas.address(request(waiting));
  const used = await nas.address(request(online));
  const start = { status: 'start', acctSessionId: 'one', framedIpAddress: used } as const;
  t.ok(
    await nas.account({ ...start, userName: online!.login, callingStationId: online!.mac }),
    'the Start is acknowledged',
  );
  await server.kill();
  await postgres.start();
  await server.restart();

  t.equal(
    await nas.address(request(waiting)),
    promised,
    'an Accept that was not used yet is repeated with its address',
  );
  const intruder = { ...request(online), callingStationId: '02:ff:ff:ff:ff:ff' };
  t.match(
    describe(await nas.logIn(intruder)),
    /^Reject/,
    'the session limit counts a session that was only in the spool',
  );
  t.equal(await nas.address(request(online)), used, 'its own line takes it over, with its address');
  await applied(server.statusUrl);
  const { rows } = await pool.query('SELECT login, host(address) AS address, conflict FROM session');
  t.same(rows, [{ login: online!.login, address: used, conflict: null }], 'and it is in the tables');
});

t.test('a reserve that is used up during an outage rejects, and says why', { timeout: 120_000 }, async (t) => {
  const postgres = await startPrivatePostgres(t);
  const pool = createPool(postgres.url, { instance: 'test', maxConnections: 2 });
  t.teardown(() => pool.end());
  const planId = await insertPlan(pool);
  // Two in a hundred addresses of a pool are held in reserve: two of these.
  const poolId = await insertPool(pool, '100.64.0.0/25');
  const people = await insertPopulation(pool, { prefix: 'u', staticCount: 0, dynamicCount: 4, planId, poolId });
  const server = await ServerSeries.start(t, { databaseUrl: postgres.url });
  const nas = await TestNas.open(t, server);
  const before = (await scrape(server.statusUrl)).sum('reserve_addresses');
  await postgres.stop();
  const answers: string[] = [];
  for (const who of people)
    answers.push(describe(await nas.logIn({ userName: who.login, password: who.password, callingStationId: who.mac })));
  t.equal(before, 2);
  t.same(
    answers.map((answer) => answer.split(' ')[0]),
    ['Accept', 'Accept', 'Reject:', 'Reject:'],
    'as long as the reserve lasts, and never silence',
  );
  t.equal((await scrape(server.statusUrl)).sum('access_total', { outcome: 'reject', reason: 'pool-empty' }), 2);
  await postgres.start();
  await waitFor('an address for who was turned away', 20_000, async () => {
    const who = people[2]!;
    const reply = await nas.logIn({ userName: who.login, password: who.password, callingStationId: who.mac });
    return describe(reply).startsWith('Accept');
  });
});
