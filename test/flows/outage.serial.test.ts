/**
 * PostgreSQL stops for a while under mixed traffic. Holds: every packet is answered, as fast as before; when it is back, everything acknowledged is in
 * the tables, once. A minute and more with SLUICE_LONG=1.
 */
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { createPool } from '../../src/store/database.js';
import { BusyNas, describeStats, quantile } from '../support/busy-nas.js';
import { startPrivatePostgres } from '../support/database.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { differences } from '../support/recorded-truth.js';
import { applied, health, scrape } from '../support/scrape.js';
import { chooseSeed } from '../support/seeded-random.js';
import { TestServer } from '../support/server.js';

const LONG = process.env['SLUICE_LONG'] === '1';
const OUTAGE_SECONDS = LONG ? 75 : 15;
const WARM_UP_SECONDS = 4;
const PACKETS_PER_SECOND = 500;
/** Subscribers who log in for the first time in their lives during the outage: fewer than the reserve has addresses. */
const NEWCOMERS = 250;
/** An answer this late still reaches a NAS; measured on a machine that also runs the senders and other tests, ms. */
const ACCEPTABLE_P99_MS = 1000;

const title = `PostgreSQL away for ${String(OUTAGE_SECONDS)} s under ${String(PACKETS_PER_SECOND)} packets/s`;
t.test(title, { timeout: 280_000 }, async (t) => {
  const seed = chooseSeed();
  t.comment(`seed ${String(seed)}`);
  const postgres = await startPrivatePostgres(t);
  const pool = createPool(postgres.url, { instance: 'test', maxConnections: 3 });
  t.teardown(() => pool.end());
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.64.0.0/17');
  const known = { planId, poolId };
  const people = await insertPopulation(pool, { prefix: 'known', staticCount: 150, dynamicCount: 250, ...known });
  const newcomers = await insertPopulation(pool, {
    prefix: 'new',
    staticCount: 0,
    dynamicCount: NEWCOMERS,
    macByte: 1,
    ...known,
  });
  const server = await TestServer.start(t, {
    databaseUrl: postgres.url,
    settings: { addresses: { reserve_size: NEWCOMERS * 2 } },
  });
  const nas = await BusyNas.open({
    households: people,
    servers: [server],
    secret: server.secret,
    packetsPerSecond: PACKETS_PER_SECOND,
    seed,
  });
  t.teardown(() => nas.close());

  nas.start();
  await pause(WARM_UP_SECONDS * 1000);
  t.comment(`before: ${describeStats(nas.takeStats(), WARM_UP_SECONDS)}`);

  await postgres.stop();
  nas.connect(newcomers);
  nas.takeStats();
  const stoppedAt = performance.now();
  await pause(OUTAGE_SECONDS * 1000);
  const outage = nas.takeStats();
  const outageSeconds = (performance.now() - stoppedAt) / 1000;
  const { problems } = await health(server.statusUrl);
  const waiting = (await scrape(server.statusUrl)).sum('spool_lag_records');
  await postgres.start();
  await nas.finish();
  const after = nas.takeStats();
  const drainMs = await applied(server.statusUrl);

  t.comment(`during: ${describeStats(outage, outageSeconds)}`);
  t.comment(
    `${String(waiting)} facts waited in the spool; applied ${(drainMs / 1000).toFixed(1)} s after the traffic ended`,
  );
  t.match(problems.join(), /database/, 'health names the outage while it lasts');
  t.ok(waiting > outage.acknowledged * 0.9, 'what was acknowledged waited in the spool');
  t.equal(outage.repetitions + after.repetitions, 0, 'every packet was answered at the first attempt');
  t.equal(outage.abandoned + after.abandoned, 0, 'nobody was left without an answer');
  t.ok(quantile(outage.latenciesMs, 0.99) < ACCEPTABLE_P99_MS, 'and soon');
  t.ok(outage.requests > OUTAGE_SECONDS * PACKETS_PER_SECOND * 0.5, 'there was traffic all the while');
  const loggedIn = new Set(nas.notes.map((note) => note.login));
  t.ok(
    newcomers.every((newcomer) => loggedIn.has(newcomer.login)),
    'every newcomer got an address',
  );
  t.same(nas.rejectMessages, [], 'nobody was turned away');
  t.same(nas.doubleAddresses, [], 'no address was offered to two');
  t.equal(nas.movedAddresses, 0, 'whoever came again got the same address again');
  t.same(await differences(pool, nas.notes), [], 'acknowledged minus recorded is 0, nothing is counted twice');
  t.same(nas.refusedReplies, [], 'every answer was one that a strict client takes');
});
