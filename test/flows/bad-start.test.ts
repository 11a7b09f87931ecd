/**
 * Starts and reloads that cannot go well. Holds for each: one clear message with its remedy, exit code 1, and whoever runs already goes on.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import type { Test } from 'tap';
import { asClient } from '../support/postgres-server.js';
import { within } from '../support/deadline.js';
import { freshDatabase } from '../support/database.js';
import { freeTcpPort, freeUdpPort } from '../support/free-port.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { health } from '../support/scrape.js';
import { nasFile } from '../support/server-pair.js';
import { TestServer, type TestServerOptions } from '../support/server.js';
import { describe, TestNas } from '../support/test-nas.js';

const run = promisify(execFile);

/** A refusal is a matter of seconds, on a machine that does other things as well, ms. */
const REFUSAL_MS = 60_000;

/** Starts a server that has to refuse. @returns what it said */
async function refused(t: Test, options: TestServerOptions): Promise<string> {
  const server = await TestServer.start(t, { ...options, waitUntilReady: false });
  const exit = await within('the refusal', REFUSAL_MS, server.exited);
  t.equal(exit.code, 1, 'exit code 1');
  const said = server.text.filter((line) => line.startsWith('sluice:') || line.includes(': '));
  t.comment(said.join(' | '));
  t.notMatch(server.text.join('\n'), /^\s+at .*\.ts:/m, 'no stack trace');
  return server.text.join('\n');
}

t.test('a broken configuration: file, line, key, remedy', async (t) => {
  const { url } = await freshDatabase(t);
  const said = await refused(t, {
    databaseUrl: url,
    settings: { radius: { interim_seconds: 5, acounting: ['127.0.0.1:1'] } },
  });
  t.match(said, /sluice\.toml:\d+: radius\.interim_seconds: .+; .+/);
  t.match(
    said,
    /sluice\.toml:\d+: radius\.acounting: .+; .*accounting/,
    'all problems at once, a typing error with what was meant',
  );
});

t.test('a reload of a broken configuration, then a start with it', async (t) => {
  const database = await freshDatabase(t);
  const planId = await insertPlan(database.pool);
  const poolId = await insertPool(database.pool, '100.64.0.0/28');
  await insertPopulation(database.pool, { prefix: 'u', staticCount: 1, dynamicCount: 0, planId, poolId });
  const server = await TestServer.start(t, { databaseUrl: database.url });
  const login = { userName: 'u0', password: 'password-of-u0' };
  const file = join(server.confDir, 'nas.d', 'localhost.toml');
  await writeFile(file, nasFile(server.secret, 'profil = "linux"\n'));
  server.signal('SIGHUP');
  const line = await server.waitForLog((one) => String(one.msg).includes('the old one stays'), 20_000);
  t.match(String(line['problem']), /nas\.d\/localhost\.toml:5: .*profil.*; .+/);
  const nas = await TestNas.open(t, server);
  t.equal(describe(await nas.logIn(login)), 'Accept 10.20.0.1', 'the old one stays');
  t.equal((await health(server.statusUrl)).status, 200);

  t.same(await server.stop(), { code: 0, signal: null });
  const again = await TestServer.start(t, { databaseUrl: database.url, again: server });
  t.ok(
    again.logs.some((one) => String(one['problem']).includes('localhost.toml:5:')),
    'the log names what is wrong',
  );
  t.match((await health(again.statusUrl)).problems.join(), /last good/, 'and health says that an old copy serves');
  t.equal(describe(await nas.logIn(login)), 'Accept 10.20.0.1', 'which it does');
  await writeFile(file, nasFile(server.secret));
  again.signal('SIGHUP');
  await again.waitForLog((one) => one.msg === 'configuration reloaded', 20_000);
  t.same((await health(again.statusUrl)).problems, [], 'until the files are right again');
});

t.test('a database of a later release', async (t) => {
  const { url, adminUrl } = await freshDatabase(t);
  await asClient(adminUrl, (client) =>
    client.query(`INSERT INTO sluice_migration (name, batch, migration_time) VALUES ('999_future.js', 9, now())`),
  );
  const said = await refused(t, { databaseUrl: url });
  t.match(said, /later release of Sluice \(999_future\.js\): start that release, or restore a dump/);
});

t.test("a database with somebody else's tables", async (t) => {
  const { url, adminUrl } = await freshDatabase(t, { migrated: false });
  await asClient(adminUrl, (client) => client.query('CREATE TABLE plan (tariff text)'));
  const said = await refused(t, { databaseUrl: url });
  t.match(said, /objects of another program under our names \(.*"plan" already exists\): .*database\.url/);
  t.notMatch(said, /CREATE TABLE/, 'without the statement');
  const left = await asClient(adminUrl, (client) => client.query('SELECT * FROM plan'));
  t.same(left.rows, [], 'which are left alone');
});

t.test('a database that refuses the password', async (t) => {
  const { url } = await freshDatabase(t);
  const wrong = new URL(url);
  wrong.password = 'guessed-password';
  const said = await refused(t, { databaseUrl: wrong.href });
  t.match(said, /password.*database\.url/);
  t.notMatch(said, /guessed-password/, 'and the message does not repeat it');
});

t.test('a busy RADIUS port', async (t) => {
  const { url } = await freshDatabase(t);
  const port = await freeUdpPort();
  const other = createSocket('udp4').bind(port, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const said = await refused(t, { databaseUrl: url, settings: { radius: { auth: [`127.0.0.1:${String(port)}`] } } });
  t.match(said, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${String(port)}/udp: .+; .+`));
});

t.test('a busy status port', async (t) => {
  const { url } = await freshDatabase(t);
  const port = await freeTcpPort();
  const other = createServer().listen(port, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const said = await refused(t, { databaseUrl: url, settings: { status: { listen: `127.0.0.1:${String(port)}` } } });
  t.match(said, new RegExp(`127\\.0\\.0\\.1:${String(port)} .*status\\.listen`));
});

t.test('a busy port of the embedded PostgreSQL', async (t) => {
  const port = await freeTcpPort();
  const other = createServer().listen(port, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const said = await refused(t, { settings: { database: { port } } });
  t.match(said, new RegExp(`127\\.0\\.0\\.1:${String(port)}.*database\\.port`, 's'));
});

t.test('a second server on the same data folder', async (t) => {
  const { url } = await freshDatabase(t);
  const server = await TestServer.start(t, { databaseUrl: url });
  const said = await refused(t, { databaseUrl: url, dataDir: server.dataDir });
  t.match(said, /spool folder .* is in use by another running server; stop that one/);
  t.equal((await health(server.statusUrl, '/readyz')).status, 200, 'the first one goes on');
});

/** A container often runs as a bare number. */
const NAMELESS_ID = '54321';

t.test('the embedded PostgreSQL for a user id without a name', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-nameless-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const as = ['--reuid', NAMELESS_ID, '--regid', NAMELESS_ID, '--clear-groups'];
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
  const may = await run('setpriv', [...as, 'test', '-r', main, '-a', '-x', tmpdir()]).then(
    () => true,
    () => false,
  );
  if (!may) {
    t.pass('refused', { skip: 'needs root, setpriv, and a checkout that others may read' });
    return;
  }
  await run('chown', [`${NAMELESS_ID}:${NAMELESS_ID}`, folder]);
  const [auth, accounting, status] = [await freeUdpPort(), await freeUdpPort(), await freeTcpPort()];
  await writeFile(
    join(folder, 'sluice.toml'),
    `[database]\nport = ${String(await freeTcpPort())}\n[radius]\nauth = ["127.0.0.1:${String(auth)}"]\n` +
      `accounting = ["127.0.0.1:${String(accounting)}"]\n[status]\nlisten = "127.0.0.1:${String(status)}"\n`,
  );
  const argv = [process.execPath, '--import', 'tsx', main, '--conf', folder, '--data', join(folder, 'data'), 'serve'];
  const env = { ...process.env, HOME: folder, TMPDIR: folder };
  const failure = await run('setpriv', [...as, ...argv], { env, timeout: REFUSAL_MS }).then(
    () => undefined,
    (error: { code?: number; stderr?: string }) => error,
  );
  t.equal(failure?.code, 1);
  t.match(failure?.stderr, /user id 54321, which has no name.*database\.url/);
});
