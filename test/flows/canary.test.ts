/**
 * Secrets that are known, through everything that the server does. Holds: at the most talkative log level none of them is in a log line, in the metrics,
 * on a command line, or in the database.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { createPool } from '../../src/store/database.js';
import { runIn } from '../cli/command-line.js';
import { waitFor } from '../support/deadline.js';
import { applied, knowsSubscribers, scrape } from '../support/scrape.js';
import { nasFile } from '../support/server-pair.js';
import { embeddedDatabaseUrl, embeddedPostgresPid } from '../support/server-series.js';
import { TestServer } from '../support/server.js';
import { describe, TestNas } from '../support/test-nas.js';

const NAS_SECRET = 'canary-nas-secret-7f1d';
const OLD_SECRET = 'canary-old-secret-93be';
const WRONG_SECRET = 'canary-wrong-secret-55aa';
const PASSWORD = 'canary-password-c0ffee';
const WRONG_PASSWORD = 'canary-wrong-password-f00d';
const NEW_PASSWORD = 'canary-new-password-d1ce';

/** A secret as itself, as hex, and as base64: how a careless log line shows octets. */
function formsOf(secret: string): string[] {
  const octets = Buffer.from(secret);
  // Without the ends, which depend on what stands around it.
  return [secret, octets.toString('hex'), octets.toString('base64').slice(0, -4)];
}

function leaks(text: string, secrets: readonly string[]): string[] {
  const lower = text.toLowerCase();
  return secrets.filter((secret) => formsOf(secret).some((form) => lower.includes(form.toLowerCase())));
}

/** Command lines of a process and all that it started. */
async function commandLines(pids: readonly number[]): Promise<string> {
  const found = new Set(pids);
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  for (let grew = true; grew;) {
    grew = false;
    for (const pid of processes) {
      const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (found.has(pid) || !found.has(parent)) continue;
      found.add(pid);
      grew = true;
    }
  }
  const texts = [...found].map((pid) => readFile(`/proc/${String(pid)}/cmdline`, 'utf8').catch(() => ''));
  return (await Promise.all(texts)).join('\n');
}

t.test('no secret leaves by any way out', { timeout: 120_000 }, async (t) => {
  const server = await TestServer.start(t, {
    settings: { log: { level: 'trace' } },
    files: {
      'nas.d/localhost.toml': nasFile(NAS_SECRET).replace(
        /^secret = .*$/m,
        `secret = ["${NAS_SECRET}", "${OLD_SECRET}"]`,
      ),
    },
  });
  const argvAtStart = await commandLines([server.pid]);
  const url = await embeddedDatabaseUrl(server.dataDir);
  const pool = createPool(url, { instance: 'test', maxConnections: 2 });
  t.teardown(() => pool.end());
  const folders = ['--conf', server.confDir, '--data', server.dataDir];
  const told: string[] = [];
  const command = async (argv: readonly string[], stdin = '') => {
    const result = await runIn([...argv, ...folders], { stdin });
    told.push(result.stdout, result.stderr);
    t.equal(result.code, 0, `sluice ${argv.join(' ')}: ${result.stderr}`);
  };
  await command(['plan', 'add', 'home', '--down', '50M', '--up', '10M']);
  await command(['pool', 'add', 'main', '100.64.0.0/24']);
  await command(
    ['subscriber', 'add', 'alice', '--plan', 'home', '--pool', 'main', '--password-stdin'],
    `${PASSWORD}\n`,
  );
  await command(['subscriber', 'set', 'alice', '--password-stdin'], `${NEW_PASSWORD}\n`);
  await command(['subscriber', 'show', 'alice', '--json']);
  await command(['explain', 'alice']);
  await knowsSubscribers(server.statusUrl, 1);

  const nas = await TestNas.open(t, server, { secret: NAS_SECRET });
  const stranger = await TestNas.open(t, server, {
    secret: WRONG_SECRET,
    accessTimeoutMs: 200,
    accountingTimeoutMs: 200,
  });
  const session = { userName: 'alice', acctSessionId: 'c', framedIpAddress: '100.64.0.1', sessionSeconds: 1 };
  for (const method of ['pap', 'chap', 'mschap1', 'mschap2'] as const) {
    t.match(describe(await nas.logIn({ userName: 'alice', password: NEW_PASSWORD, method })), /^Accept/, method);
    t.match(describe(await nas.logIn({ userName: 'alice', password: WRONG_PASSWORD, method })), /^Reject/);
  }
  await nas.logIn({ userName: 'nobody', password: WRONG_PASSWORD });
  await stranger.logIn({ userName: 'alice', password: PASSWORD });
  await stranger.account({ ...session, status: 'start' });
  for (const status of ['start', 'interimUpdate', 'stop'] as const) await nas.account({ ...session, status });
  server.signal('SIGHUP');
  await server.waitForLog((line) => line.msg === 'configuration reloaded', 20_000);
  await applied(server.statusUrl);
  await waitFor('the attempts in the table', 10_000, async () => {
    return ((await pool.query(`SELECT FROM access_attempt WHERE login = 'nobody'`)).rowCount ?? 0) > 0;
  });

  const secretFiles = await readdir(join(server.dataDir, 'secrets'));
  const made = await Promise.all(
    secretFiles.map(async (name) => (await readFile(join(server.dataDir, 'secrets', name), 'utf8')).trim()),
  );
  const nasSecrets = [NAS_SECRET, OLD_SECRET, WRONG_SECRET, ...made];
  const passwords = [PASSWORD, WRONG_PASSWORD, NEW_PASSWORD];
  const all = [...nasSecrets, ...passwords];
  t.ok(made.length >= 3 && made.every((text) => text.length >= 16), 'keys and the password of PostgreSQL were made');

  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  );
  let dump = '';
  for (const { name } of tables) {
    const { rows } = await pool.query<{ row: string }>(`SELECT row_to_json(t)::text AS row FROM ${name} t LIMIT 1000`);
    dump += rows.map((one) => one.row).join('\n');
  }
  const metrics = (await scrape(server.statusUrl)).text;
  const postgres = await embeddedPostgresPid(server.dataDir);
  const argv = argvAtStart + (await commandLines([server.pid, postgres!]));
  const postgresLog = await readFile(join(server.dataDir, 'postgres.log'), 'utf8');
  await server.stop();
  const log = [...server.text, ...server.logs.map((line) => JSON.stringify(line))].join('\n');

  t.ok(
    server.logs.some((line) => Number(line.level) <= 20),
    'the log was at its most talkative',
  );
  t.same(leaks(log, all), [], 'log');
  t.same(leaks(metrics, all), [], 'metrics');
  t.same(leaks(argv, all), [], 'command lines');
  t.same(leaks(told.join('\n'), all), [], 'what commands print');
  t.same(leaks(postgresLog, all), [], 'log of PostgreSQL');
  t.same(leaks(dump, all), [], 'database');
  t.match(dump, /\{SEALED\}|SEALED/, 'which has the password, sealed');
  t.same(leaks(`x ${PASSWORD} y`, all), [PASSWORD], 'the search finds what is there');
});
