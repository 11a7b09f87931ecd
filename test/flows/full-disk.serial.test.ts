/**
 * The disk under the spool fills up under traffic and gets room again. Holds: nothing is acknowledged that is not recorded, an alarm and health say so,
 * subscribers go on logging in, and the server recovers by itself.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { BusyNas, describeStats } from '../support/busy-nas.js';
import { waitFor } from '../support/deadline.js';
import { freshDatabase } from '../support/database.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { differences } from '../support/recorded-truth.js';
import { applied, health, knowsSubscribers, scrape } from '../support/scrape.js';
import { chooseSeed } from '../support/seeded-random.js';
import { TestServer } from '../support/server.js';
import { describe, TestNas } from '../support/test-nas.js';

const run = promisify(execFile);
/** A segment and a little. */
const DISK_OCTETS = 4 * 1024 * 1024;

const disk = await mkdtemp(join(tmpdir(), 'sluice-test-disk-'));
t.teardown(() => rm(disk, { recursive: true, force: true }));
const mounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${String(DISK_OCTETS)},mode=0700`, 'sluice', disk]).then(
  () => true,
  () => false,
);
if (mounted) t.teardown(() => run('umount', ['-l', disk]));
const skip = mounted ? false : 'needs the right to mount a small disk';

/** Writes until nothing fits any more. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let size = 65_536; size >= 512;) {
      try {
        await file.write(Buffer.alloc(size));
      } catch {
        size /= 2;
      }
    }
  } finally {
    await file.close();
  }
}

t.test('a full disk under the spool', { skip, timeout: 120_000 }, async (t) => {
  const seed = chooseSeed();
  t.comment(`seed ${String(seed)}`);
  const database = await freshDatabase(t);
  const planId = await insertPlan(database.pool);
  const poolId = await insertPool(database.pool, '100.64.0.0/20');
  const households = await insertPopulation(database.pool, {
    prefix: 'u',
    staticCount: 100,
    dynamicCount: 100,
    planId,
    poolId,
  });
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    settings: { spool: { directory: join(disk, 'spool'), segment_bytes: 1024 * 1024 } },
  });
  await knowsSubscribers(server.statusUrl, households.length);
  const nas = await BusyNas.open({
    households: households.slice(1),
    servers: [server],
    secret: server.secret,
    packetsPerSecond: 200,
    seed,
    retryMs: 1000,
  });
  t.teardown(() => nas.close());
  const visitor = await TestNas.open(t, server, { accountingTimeoutMs: 500 });
  nas.start();
  await waitFor('traffic', 20_000, async () => (await scrape(server.statusUrl)).sum('accounting_total') > 200);

  const filler = join(disk, 'filler');
  await fill(filler);
  const alarm = await server.waitForLog((line) => line['spool'] === 'append-failed', 20_000);
  t.equal(alarm['code'], 'ENOSPC', 'an alarm names the reason');
  const ill = await waitFor('health to say so', 10_000, async () => {
    const now = await health(server.statusUrl);
    return now.status === 503 && now;
  });
  t.match(ill.problems.join(), /spool cannot be written/);
  const me = households[0]!;
  const login = { userName: me.login, password: me.password, callingStationId: me.mac };
  for (let i = 0; i < 5; i++) t.equal(describe(await visitor.logIn(login)), `Accept ${me.staticAddress!}`);
  const start = {
    status: 'start',
    userName: me.login,
    acctSessionId: 'while full',
    framedIpAddress: me.staticAddress!,
  } as const;
  t.equal(await visitor.account(start), false, 'no acknowledgement');
  t.ok((await scrape(server.statusUrl)).sum('radius_dropped_total', { reason: 'spool-unavailable' }) > 0, 'counted');
  const stored = await database.pool.query(`SELECT FROM session_key WHERE acct_session_id = 'while full'`);
  t.equal(stored.rowCount, 0, 'and not recorded');

  await rm(filler);
  await server.waitForLog((line) => line['spool'] === 'append-recovered', 40_000);
  t.equal((await health(server.statusUrl)).status, 200, 'well again, by itself');
  t.equal(await visitor.account(start), true);
  t.equal(await visitor.account({ ...start, status: 'stop' }), true);
  await nas.finish();
  await applied(server.statusUrl);
  t.comment(describeStats(nas.takeStats(), 1));
  const notes = nas.notes.map((note) => note.acctSessionId.split('-')[0]);
  t.same(await differences(database.pool, nas.notes, notes[0] ?? ''), [], 'acknowledged minus recorded is 0');
  t.same(nas.refusedReplies, []);
});
