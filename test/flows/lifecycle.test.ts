/**
 * Start, reload, stop of the real server under traffic. Holds: what was acknowledged is recorded whenever the server is told to end, a reload loses no
 * packet, and accounting is answered before the database is there.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { BusyNas, describeStats } from '../support/busy-nas.js';
import { waitFor } from '../support/deadline.js';
import { freshDatabase, startPrivatePostgres, type FreshDatabase } from '../support/database.js';
import { freeUdpPort } from '../support/free-port.js';
import { insertPlan, insertPool, insertPopulation, type Household } from '../support/population.js';
import { accessRequest, accountingRequest, RadiusClient } from '../support/radius-client.js';
import { differences } from '../support/recorded-truth.js';
import { applied, health, knowsSubscribers, scrape } from '../support/scrape.js';
import { chooseSeed } from '../support/seeded-random.js';
import { nasFile } from '../support/server-pair.js';
import { ServerSeries } from '../support/server-series.js';
import { TestServer } from '../support/server.js';
import { describe, TestNas } from '../support/test-nas.js';

const MIKROTIK = 14988;
const RATE_LIMIT = 8;

async function townOn(pool: FreshDatabase['pool'], count: number): Promise<Household[]> {
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.64.0.0/19');
  return await insertPopulation(pool, {
    prefix: 'u',
    staticCount: Math.ceil(count / 2),
    dynamicCount: Math.floor(count / 2),
    planId,
    poolId,
  });
}

const loginOf = (who: Household) => ({ userName: who.login, password: who.password, callingStationId: who.mac });

t.test('SIGTERM: a held Reject is still answered, then exit 0', async (t) => {
  const database = await freshDatabase(t);
  const [who] = await townOn(database.pool, 1);
  const server = await TestServer.start(t, { databaseUrl: database.url });
  const nas = await TestNas.open(t, server);
  const askedAt = performance.now();
  const answer = nas.logIn({ ...loginOf(who!), password: 'wrong' });
  await waitFor('the Reject to be held', 5000, async () => {
    return (await scrape(server.statusUrl)).sum('radius_held_rejects') === 1;
  });
  const ended = server.kill('SIGTERM');
  t.match(describe(await answer), /^Reject/);
  t.ok(performance.now() - askedAt >= 1000, 'after its second');
  t.same(await ended, { code: 0, signal: null });
});

t.test('SIGTERM under load, three times: answered or not recorded, never acknowledged and lost', async (t) => {
  const seed = chooseSeed();
  t.comment(`seed ${String(seed)}`);
  const database = await freshDatabase(t);
  const households = await townOn(database.pool, 200);
  const server = await ServerSeries.start(t, { databaseUrl: database.url });
  const nas = await BusyNas.open({
    households,
    servers: [server],
    secret: server.secret,
    packetsPerSecond: 800,
    seed,
    retryMs: 500,
  });
  t.teardown(() => nas.close());
  nas.start();
  for (let round = 0; round < 3; round++) {
    const before = nas.notes.length;
    await waitFor('traffic', 20_000, () => nas.notes.length > before + 50);
    t.same(await server.current.stop(), { code: 0, signal: null });
    await server.restart();
  }
  await nas.finish();
  await applied(server.statusUrl);
  t.comment(describeStats(nas.takeStats(), 1));
  t.same(await differences(database.pool, nas.notes), []);
  t.same(nas.doubleAddresses, []);
  t.same(nas.refusedReplies, []);
});

t.test('SIGHUP under load adds a NAS and changes a profile, and loses no packet', async (t) => {
  const seed = chooseSeed();
  t.comment(`seed ${String(seed)}`);
  const database = await freshDatabase(t);
  const households = await townOn(database.pool, 101);
  const server = await TestServer.start(t, { databaseUrl: database.url });
  await knowsSubscribers(server.statusUrl, households.length);
  const nas = await BusyNas.open({
    households: households.slice(1),
    servers: [server],
    secret: server.secret,
    packetsPerSecond: 400,
    seed,
  });
  t.teardown(() => nas.close());
  const visitor = await TestNas.open(t, server);
  const newNas = await TestNas.open(t, server, { localAddress: '127.0.0.3', accessTimeoutMs: 300 });
  const rate = async () => (await visitor.logIn(loginOf(households[0]!)))?.vendorText(MIKROTIK, RATE_LIMIT);
  nas.start();
  t.equal(await rate(), '10000k/50000k');
  t.equal(describe(await newNas.logIn(loginOf(households[0]!))), 'silence', 'a NAS that is not in the files');

  const profiles = new URL('../../conf/profiles/', import.meta.url);
  const bundled = await readFile(new URL('mikrotik-ppp.toml', profiles), 'utf8');
  await mkdir(join(server.confDir, 'profiles'));
  await writeFile(
    join(server.confDir, 'profiles', 'mikrotik-ppp.toml'),
    bundled.replaceAll('"${rate_up_kbps}k/${rate_down_kbps}k"', '"${rate_up_kbps}k/${rate_down_kbps}k 0/0 0/0 8/8 5"'),
  );
  await writeFile(
    join(server.confDir, 'nas.d', 'second.toml'),
    `name = "second"\naddress = "127.0.0.3"\nsecret = "${server.secret}"\nprofile = "accel-ppp"\n`,
  );
  server.signal('SIGHUP');
  const taken = await server.waitForLog((line) => line.msg === 'configuration reloaded', 20_000);
  t.equal(taken['nas'], 2);
  t.equal(await rate(), '10000k/50000k 0/0 0/0 8/8 5', 'the profile says something else at once');
  const accept = await newNas.logIn(loginOf(households[0]!));
  t.equal(accept?.text(Attribute.filterId), '50000/10000', 'the new NAS is answered, in the words of its own profile');
  await nas.finish();
  const stats = nas.takeStats();
  t.comment(describeStats(stats, 1));
  t.equal(stats.repetitions, 0, 'no packet was lost meanwhile');
  t.same(nas.rejectMessages, []);
});

t.test('a secret is rotated: first both are taken, then the new one alone', async (t) => {
  const database = await freshDatabase(t);
  const [who] = await townOn(database.pool, 1);
  const server = await TestServer.start(t, { databaseUrl: database.url });
  const old = await TestNas.open(t, server, { accessTimeoutMs: 500, accountingTimeoutMs: 500 });
  const young = await TestNas.open(t, server, {
    secret: 'the-new-secret-of-this-nas',
    accessTimeoutMs: 500,
    accountingTimeoutMs: 500,
  });
  const reload = async (secret: string, times: number) => {
    const text = nasFile(server.secret).replace(/^secret = .*$/m, `secret = ${secret}`);
    await writeFile(join(server.confDir, 'nas.d', 'localhost.toml'), text);
    server.signal('SIGHUP');
    await waitFor('the reload', 20_000, () => {
      return server.logs.filter((line) => line.msg === 'configuration reloaded').length === times;
    });
  };
  const start = {
    status: 'start',
    userName: who!.login,
    callingStationId: who!.mac,
    acctSessionId: 'r',
  } as const;
  const answers = async () => [
    describe(await old.logIn(loginOf(who!))),
    describe(await young.logIn(loginOf(who!))),
    await old.account(start),
    await young.account(start),
  ];
  const yes = `Accept ${who!.staticAddress!}`;
  t.same(await answers(), [yes, 'silence', true, false]);
  await reload(`["the-new-secret-of-this-nas", "${server.secret}"]`, 1);
  t.same(await answers(), [yes, yes, true, true], 'each answer is signed with the secret of its request');
  await reload('"the-new-secret-of-this-nas"', 2);
  t.same(await answers(), ['silence', yes, false, true]);
});

t.test('a start while the database is down: accounting is answered, and logins when it comes', async (t) => {
  const postgres = await startPrivatePostgres(t);
  const { createPool } = await import('../../src/store/database.js');
  const pool = createPool(postgres.url, { instance: 'test', maxConnections: 2 });
  t.teardown(() => pool.end());
  const [who] = await townOn(pool, 1);
  await postgres.stop();
  const server = await TestServer.start(t, { databaseUrl: postgres.url, waitUntilReady: false });
  await server.waitForLog((line) => String(line.msg).startsWith('listening'), 30_000);
  const nas = await TestNas.open(t, server, { accessTimeoutMs: 500 });
  const session = {
    userName: who!.login,
    callingStationId: who!.mac,
    acctSessionId: 'early',
    framedIpAddress: who!.staticAddress!,
  };
  t.ok(await nas.account({ ...session, status: 'start' }), 'accounting is recorded');
  t.equal((await health(server.statusUrl, '/readyz')).status, 503);
  t.match((await health(server.statusUrl)).problems.join(), /database has not been reached/);
  t.equal(describe(await nas.logIn(loginOf(who!))), 'silence', 'a login waits: the NAS asks another server');
  t.ok((await scrape(server.statusUrl)).sum('radius_dropped_total', { reason: 'not-loaded' }) > 0, 'which is counted');
  await postgres.start();
  await server.waitForLog((line) => line.msg === 'ready', 40_000);
  t.equal(describe(await nas.logIn(loginOf(who!))), `Accept ${who!.staticAddress!}`);
  await applied(server.statusUrl);
  const { rows } = await pool.query('SELECT acct_session_id, login FROM session');
  t.same(rows, [{ acct_session_id: 'early', login: who!.login }]);
});

t.test('IPv6 sockets', async (t) => {
  const database = await freshDatabase(t);
  const [who] = await townOn(database.pool, 1);
  const [auth, accounting] = [await freeUdpPort(), await freeUdpPort()];
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    settings: { radius: { auth: [`[::1]:${String(auth)}`], accounting: [`[::1]:${String(accounting)}`] } },
    files: { 'nas.d/localhost.toml': nasFile('secret-over-ipv6').replace('127.0.0.1', '::1') },
  });
  const asking = await RadiusClient.open(auth, '::1');
  const telling = await RadiusClient.open(accounting, '::1');
  t.teardown(() => [asking, telling].forEach((client) => client.close()));
  const secret = 'secret-over-ipv6';
  t.equal(describe(await asking.ask(accessRequest({ ...loginOf(who!), secret }))), `Accept ${who!.staticAddress!}`);
  const start = accountingRequest({ secret, status: 'start', userName: who!.login, acctSessionId: 'six' });
  t.ok(await telling.ask(start));
  await applied(server.statusUrl);
  const { rows } = await database.pool.query('SELECT nas_box FROM session');
  t.same(rows, [{ nas_box: '::1' }]);
});
