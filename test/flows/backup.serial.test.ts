/**
 * The database is lost. A server with subscribers on line, a backup while it works, more accounting acknowledged after it; then the
 * process dies and the cluster is gone. Holds: restored into a new cluster, in a new data folder with the kept spool, nothing that
 * was acknowledged is missing, nobody's address is somebody else's, and changes are followed as before.
 */
import { mkdtemp, mkdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { createPool } from '../../src/store/database.js';
import { runIn } from '../cli/command-line.js';
import { BusyNas } from '../support/busy-nas.js';
import { waitFor } from '../support/deadline.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { differences } from '../support/recorded-truth.js';
import { applied, scrape } from '../support/scrape.js';
import { embeddedDatabaseUrl, embeddedPostgresPid, ServerSeries } from '../support/server-series.js';
import { until } from '../support/until.js';

/** Ids of transactions of a cluster that has seen years; a new one begins below a thousand. */
const OLD_CLUSTER_XID = '4000000000';
const SEED = 20_261_121;

t.test('a backup and the spool are everything that was acknowledged', { timeout: 300_000 }, async (t) => {
  const away = await mkdtemp(join(tmpdir(), 'sluice-test-backup-'));
  t.teardown(() => rm(away, { recursive: true, force: true }));
  const server = await ServerSeries.start(t, {});
  const run = (...argv: string[]) => runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv]);
  const before = createPool(await embeddedDatabaseUrl(server.dataDir), { instance: 'test', maxConnections: 2 });
  t.teardown(() => (before.ended ? undefined : before.end()));
  const planId = await insertPlan(before);
  const poolId = await insertPool(before, '100.64.0.0/23');
  const people = { staticCount: 30, dynamicCount: 60, planId, poolId };
  const households = await insertPopulation(before, { prefix: 'u', ...people });
  await before.query(`INSERT INTO change_feed (kind, ref, xid) VALUES ('subscriber', 1, '${OLD_CLUSTER_XID}')`);
  const nas = await BusyNas.open({
    households,
    servers: [server],
    secret: server.secret,
    packetsPerSecond: 150,
    seed: SEED,
    repeatShare: 0.05,
  });
  t.teardown(() => nas.close());

  nas.start();
  await until(() => nas.liveLines > 60);
  const target = join(away, 'backup');
  const backup = await run('backup', target, '--json');
  t.equal(backup.code, 0, backup.stderr);
  const atBackup = nas.notes.length;
  // Somebody who was added after the backup: the spool knows what he did, and no table knows him any more.
  const late = await insertPopulation(before, {
    prefix: 'late',
    staticCount: 0,
    dynamicCount: 10,
    macByte: 1,
    planId,
    poolId,
  });
  const lateIds = await before.query<{ id: number }>(`SELECT id FROM subscriber WHERE starts_with(login, 'late')`);
  nas.connect(late);
  await waitFor('sessions that began after the backup', 60_000, () => nas.notes.length > atBackup + 40);
  await nas.finish();
  await server.kill();

  // The folder is new but for the spool; conf and keys come from the backup, as RESTORE.txt says.
  const lost = `${server.dataDir}.lost`;
  const pid = await embeddedPostgresPid(server.dataDir);
  await before.end();
  process.kill(pid!, 'SIGQUIT');
  await waitFor(
    'the end of the old cluster',
    30_000,
    async () => (await embeddedPostgresPid(server.dataDir)) === undefined,
  );
  await rename(server.dataDir, lost);
  await rm(join(lost, 'postgres'), { recursive: true });
  await mkdir(server.dataDir);
  await rename(join(lost, 'spool'), join(server.dataDir, 'spool'));
  await rename(join(target, 'secrets'), join(server.dataDir, 'secrets'));
  const restored = await run('restore', target);
  t.equal(restored.code, 0, restored.stderr);
  await server.restart();
  await applied(server.statusUrl);

  const after = createPool(await embeddedDatabaseUrl(server.dataDir), { instance: 'test', maxConnections: 2 });
  t.teardown(() => after.end());
  const ofLate = (line: string): boolean => /^period of late\d+: noted .*, recorded none$/u.test(line);
  const found = await differences(after, nas.notes);
  t.same(
    found.filter((line) => !ofLate(line)),
    [],
    'every acknowledged session, octet and address is there, once',
  );
  t.ok(
    found.some(ofLate),
    'who was added after the backup has his sessions and addresses, and no period, for he is no subscriber',
  );
  const acknowledged = nas.notes.filter((note) => note.acknowledged).length;
  t.ok(acknowledged > atBackup, `${String(acknowledged)} sessions, ${String(atBackup)} of them before the backup`);

  await t.test('changes are followed by the transaction ids of the new cluster', async (t) => {
    const rowsRead = async (): Promise<number> => (await scrape(server.statusUrl)).sum('feed_rows_total');
    const offline = households.find((one) => !nas.notes.some((note) => note.login === one.login && !note.stopped));
    const explained = async (): Promise<unknown> =>
      (await run('explain', offline?.login ?? households[0]!.login, '--json')).json<{ reason: unknown }>().reason;
    t.equal(await explained(), null);
    const quiet = await rowsRead();
    await after.query('UPDATE subscriber SET own_disabled = true WHERE login = $1', [
      offline?.login ?? households[0]!.login,
    ]);
    await until(async () => (await rowsRead()) > quiet);
    t.equal(await explained(), 'own-disabled');
    const once = await rowsRead();
    const polls = async (): Promise<number> => (await scrape(server.statusUrl)).sum('feed_polls_total');
    const polled = await polls();
    while ((await polls()) < polled + 10) await pause(20);
    t.equal(await rowsRead(), once, 'a row is news once: none of the old cluster comes back at every poll');
    t.equal((await scrape(server.statusUrl)).sum('feed_reloads_total'), 1, 'the start, and none since');
  });

  await t.test('nobody gets the id of somebody who was lost, for NASes still send his Class', async (t) => {
    const [made] = await insertPopulation(after, {
      prefix: 'new',
      staticCount: 0,
      dynamicCount: 1,
      macByte: 2,
      planId,
      poolId,
    });
    const { rows } = await after.query<{ id: number }>('SELECT id FROM subscriber WHERE login = $1', [made?.login]);
    t.ok(rows[0]!.id > Math.max(...lateIds.rows.map(({ id }) => id)));
  });

  await t.test('life goes on: those on line update, those who left come back', async (t) => {
    nas.takeStats();
    nas.start();
    let acknowledgedNow = 0;
    await waitFor('traffic', 60_000, () => (acknowledgedNow += nas.takeStats().acknowledged) > 300);
    await nas.finish();
    await applied(server.statusUrl);
    t.same(
      (await differences(after, nas.notes)).filter((line) => !ofLate(line)),
      [],
    );
    t.same(nas.doubleAddresses, [], 'nobody got an address that another line was using');
  });
  t.same(await server.current.stop(), { code: 0, signal: null });
});
