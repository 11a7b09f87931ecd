/**
 * The server is killed under load, again and again, and started on what it left. Holds: what was acknowledged is recorded, once; no address is
 * given twice; the PostgreSQL that a killed server leaves running is adopted. Twenty times with SLUICE_LONG=1.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import t from 'tap';
import type { Test } from 'tap';
import { createPool } from '../../src/store/database.js';
import { BusyNas, describeStats } from '../support/busy-nas.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { Answered, cutPower, type AppliedPosition } from '../support/power-loss.js';
import { differences } from '../support/recorded-truth.js';
import { applied, knowsSubscribers } from '../support/scrape.js';
import { chooseSeed, seededRandom } from '../support/seeded-random.js';
import { embeddedDatabaseUrl, embeddedPostgresPid, ServerSeries } from '../support/server-series.js';

const LONG = process.env['SLUICE_LONG'] === '1';

interface Street {
  readonly server: ServerSeries;
  readonly pool: pg.Pool;
  readonly nas: BusyNas;
  readonly answered: Answered;
  readonly random: () => number;
}

/** A server with its own PostgreSQL, and a NAS with 500 subscribers at the given rate. */
async function street(t: Test, packetsPerSecond: number): Promise<Street> {
  const seed = chooseSeed();
  t.comment(`seed ${String(seed)}`);
  const server = await ServerSeries.start(t, { settings: { addresses: { reserve_size: 2000 } } });
  const pool = createPool(await embeddedDatabaseUrl(server.dataDir), { instance: 'test', maxConnections: 3 });
  t.teardown(() => pool.end());
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.64.0.0/17');
  const households = await insertPopulation(pool, { prefix: 'u', staticCount: 150, dynamicCount: 350, planId, poolId });
  await knowsSubscribers(server.statusUrl, households.length);
  const answered = new Answered();
  const nas = await BusyNas.open({
    households,
    servers: [server],
    secret: server.secret,
    packetsPerSecond,
    seed,
    retryMs: 1000,
    onAnswer: answered.note,
  });
  t.teardown(() => nas.close());
  return { server, pool, nas, answered, random: seededRandom(seed) };
}

/** What has to hold when everything has been answered. */
async function settle(t: Test, { server, pool, nas }: Street, beganAt: number): Promise<void> {
  await nas.finish();
  const seconds = (performance.now() - beganAt) / 1000;
  const applyMs = await applied(server.statusUrl);
  t.comment(describeStats(nas.takeStats(), seconds));
  t.comment(`everything applied ${(applyMs / 1000).toFixed(1)} s after the last answer`);
  t.comment(
    `${String(nas.notes.length)} sessions, ${String(nas.movedAddresses)} logins with another address than before`,
  );
  t.same(await differences(pool, nas.notes), [], 'acknowledged minus recorded is 0, nothing is counted twice');
  t.same(nas.doubleAddresses, [], 'no address was offered to two');
  t.equal(nas.movedAddresses, 0, 'whoever came again got the same address again');
  t.same(nas.rejectMessages, [], 'nobody was turned away');
  t.same(nas.refusedReplies, [], 'every answer was one that a strict client takes');
}

const KILLS = LONG ? 20 : 5;
t.test(`killed ${String(KILLS)} times under 500 packets/s`, { timeout: 280_000 }, async (t) => {
  const one = await street(t, 500);
  const { server, nas, random } = one;
  const postgresPid = await embeddedPostgresPid(server.dataDir);
  const readyMs: number[] = [];
  const beganAt = performance.now();
  nas.start();
  for (let kill = 0; kill < KILLS; kill++) {
    // The instant is the experiment: anywhere in a group, a batch or a refill.
    await pause(1000 + random() * 1500);
    await server.kill();
    readyMs.push(await server.restart());
  }
  t.comment(`ready again after ${readyMs.map((ms) => (ms / 1000).toFixed(1)).join(', ')} s`);
  await settle(t, one, beganAt);
  t.equal(await embeddedPostgresPid(server.dataDir), postgresPid, 'one PostgreSQL served all lives');
});

const POWER_CUTS = LONG ? 20 : 3;
/** So many that there is always a group on its way to the disk; more only makes the rest wait to be applied. */
const POWER_CUT_RATE = LONG ? 3000 : 1500;
t.test(
  `${String(POWER_CUTS)} power cuts under ${String(POWER_CUT_RATE)} packets/s`,
  { timeout: 280_000 },
  async (t) => {
    const one = await street(t, POWER_CUT_RATE);
    const { server, pool, nas, answered, random } = one;
    const cuts: string[] = [];
    const beganAt = performance.now();
    nas.start();
    for (let cut = 0; cut < POWER_CUTS; cut++) {
      await pause(500 + random() * 1000);
      await server.kill();
      // What left the server before it died may still lie in our socket.
      await pause(100);
      const { rows } = await pool.query<AppliedPosition>('SELECT segment, byte_offset AS offset FROM spool_position');
      const { unsyncedOctets, keptOctets } = await cutPower(join(server.dataDir, 'spool'), answered, rows[0], random);
      cuts.push(`${String(unsyncedOctets - keptOctets)} of ${String(unsyncedOctets)}`);
      await server.restart();
    }
    t.comment(`octets cut of those that no answer depended on: ${cuts.join(', ')}`);
    await settle(t, one, beganAt);
  },
);
