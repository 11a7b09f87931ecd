/**
 * The server is killed under load, again and again, and started on what it left. Holds: what was acknowledged is recorded, once; no address is
 * given twice; the PostgreSQL that a killed server leaves running is adopted. Twenty times with SLUICE_LONG=1.
 */
import t from 'tap';
import { setTimeout as pause } from 'node:timers/promises';
import { createPool } from '../../src/store/database.js';
import { BusyNas, describeStats } from '../support/busy-nas.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { differences } from '../support/recorded-truth.js';
import { applied } from '../support/scrape.js';
import { chooseSeed, seededRandom } from '../support/seeded-random.js';
import { embeddedDatabaseUrl, embeddedPostgresPid, ServerSeries } from '../support/server-series.js';

const KILLS = process.env['SLUICE_LONG'] === '1' ? 20 : 5;
const PACKETS_PER_SECOND = 500;

t.test(
  `killed ${String(KILLS)} times under ${String(PACKETS_PER_SECOND)} packets/s`,
  { timeout: 900_000 },
  async (t) => {
    const seed = chooseSeed();
    t.comment(`seed ${String(seed)}`);
    const random = seededRandom(seed);
    const server = await ServerSeries.start(t, { settings: { addresses: { reserve_size: 2000 } } });
    const pool = createPool(await embeddedDatabaseUrl(server.dataDir), { instance: 'test', maxConnections: 3 });
    t.teardown(() => pool.end());
    const planId = await insertPlan(pool);
    const poolId = await insertPool(pool, '100.64.0.0/17');
    const households = await insertPopulation(pool, {
      prefix: 'kill',
      staticCount: 150,
      dynamicCount: 350,
      planId,
      poolId,
    });
    const nas = await BusyNas.open({
      households,
      servers: [server],
      secret: server.secret,
      packetsPerSecond: PACKETS_PER_SECOND,
      seed,
      retryMs: 1000,
    });
    t.teardown(() => nas.close());
    const postgresPid = await embeddedPostgresPid(server.dataDir);

    const beganAt = performance.now();
    nas.start();
    for (let kill = 0; kill < KILLS; kill++) {
      // The instant is the experiment: anywhere in a group, a batch or a refill.
      await pause(1500 + random() * 1500);
      await server.kill();
      await server.restart();
    }
    await nas.finish();
    const seconds = (performance.now() - beganAt) / 1000;
    await applied(server.statusUrl);

    const stats = nas.takeStats();
    t.comment(describeStats(stats, seconds));
    t.comment(
      `${String(nas.notes.length)} sessions, ${String(nas.movedAddresses)} logins got another address than before`,
    );
    t.ok(stats.acknowledged > KILLS * PACKETS_PER_SECOND * 0.5, 'there was traffic');
    t.same(await differences(pool, nas.notes), [], 'acknowledged minus recorded is 0, nothing is counted twice');
    t.same(nas.doubleAddresses, [], 'no address was offered to two');
    t.same(nas.rejectMessages, [], 'nobody was turned away');
    t.same(nas.refusedReplies, [], 'every answer was one that a strict client takes');
    t.equal(await embeddedPostgresPid(server.dataDir), postgresPid, 'one PostgreSQL served all lives');
  },
);
