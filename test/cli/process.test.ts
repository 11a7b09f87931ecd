/**
 * The program as a process: exit codes, streams, folders, and what it says when something around it is missing.
 *
 * Enters: command lines, pipes that close. Leaves: exit codes and output. Invariant: no stack trace for what was to be expected.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { freshDatabase } from '../support/database.js';
import { freeTcpPort } from '../support/free-port.js';
import { commandHouse, runIn } from './command-line.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function sluice(
  argv: readonly string[],
  options: { stdin?: string; closeStdout?: boolean; cwd?: string; environment?: Record<string, string> } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src', 'main.ts'), ...argv], {
    cwd: options.cwd ?? root,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  if (options.closeStdout === true) child.stdout.destroy();
  else child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  return await new Promise((resolve) => {
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr });
    });
  });
}

t.test('the process ends in 0, 1 or 2, with results on standard output alone', async (t) => {
  const house = await commandHouse(t);
  const folders = ['--conf', house.confDir, '--data', house.dataDir];
  const added = await sluice(['plan', 'add', 'home', '--json', ...folders]);
  t.equal(added.code, 0, added.stderr);
  t.match(JSON.parse(added.stdout), { name: 'home' });
  t.equal(added.stderr, '');
  const refused = await sluice([...folders, 'plan', 'add', 'home']);
  t.match(refused, { code: 1, stdout: '', stderr: /^sluice: there is a plan of this name; change it with/u });
  const wrong = await sluice(['plan', 'ad']);
  t.match(wrong, { code: 2, stdout: '', stderr: /unknown command 'ad'/u });
  const help = await sluice(['--help']);
  t.match(help, { code: 0, stderr: '', stdout: /subscriber/u });
});

t.test('folders come from options or the environment, options first', async (t) => {
  const house = await commandHouse(t);
  await house.done(['plan', 'add', 'here']);
  const environment = { SLUICE_CONF: house.confDir, SLUICE_DATA: house.dataDir };
  const listed = await runIn(['plan', 'list', '--json'], { environment });
  t.match(listed.json(), [{ name: 'here' }]);
  const overridden = await runIn(['plan', 'list', '--conf', '/nonexistent'], { environment });
  t.equal(overridden.code, 1);
  t.match(overridden.stderr, /there is no conf folder \/nonexistent; correct --conf/u);
});

t.test('a reader that goes away is no error', async (t) => {
  const house = await commandHouse(t);
  await house.database.pool.query(`INSERT INTO plan (name) SELECT 'plan ' || n FROM generate_series(1, 5000) n`);
  const ended = await sluice(['plan', 'list', '--json', '--conf', house.confDir], { closeStdout: true });
  t.same(ended, { code: 0, signal: null, stdout: '', stderr: '' });
});

t.test('everything that is wrong with a configuration is said at once, with file, line, key and remedy', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-conf-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'nas.d'));
  await writeFile(join(folder, 'sluice.toml'), '[server]\ninstnace = "a"\n\n[radius]\nduplicate_seconds = 99\n');
  await writeFile(
    join(folder, 'nas.d', 'bras1.toml'),
    'name = "bras1"\naddress = "10.0.0.2"\nsecret = "short"\nprofile = "mikrotik-ppp"\n',
  );
  const checked = await runIn(['check-config', '--conf', folder]);
  t.equal(checked.code, 1);
  t.match(checked.stdout, /sluice\.toml:2: server\.instnace: .*instance/u);
  t.match(checked.stdout, /sluice\.toml:5: radius\.duplicate_seconds: /u);
  t.match(checked.stdout, /nas\.d\/bras1\.toml:3: secret: /u);
  t.notMatch(checked.stdout, /short"/u, 'the secret itself is not repeated');
  t.match(checked.stderr, /has \d+ problems/u);
  const json = await runIn(['check-config', '--conf', folder, '--json']);
  t.equal(json.code, 1);
  t.match(json.json(), {
    ok: false,
    problems: [{ line: 3, key: 'secret' }, { line: 2, key: 'server.instnace' }, { line: 5 }],
  });
  const other = await runIn(['plan', 'list', '--conf', folder]);
  t.equal(other.code, 1, 'a command that needs the file says the same');
  t.match(other.stderr, /sluice\.toml:2: server\.instnace: /u);
});

t.test('an attribute that no dictionary knows is found by check-config, on its line', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-conf-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'profiles'));
  await writeFile(
    join(folder, 'profiles', 'own.toml'),
    'description = "own"\nchannel = "vpn"\n[state.active]\nanswer = "accept"\nattributes = [{ name = "Mikrotik-Rate-Limt", value = "1k/1k" }]\n',
  );
  const checked = await runIn(['check-config', '--conf', folder]);
  t.equal(checked.code, 1);
  t.match(checked.stdout, /profiles\/own\.toml:5: .*Mikrotik-Rate-Limit/u);
});

t.test(
  'a NAS file that is broken, or whose secret is not for us, keeps nobody from asking who had an address',
  async (t) => {
    const house = await commandHouse(t);
    await mkdir(join(house.confDir, 'nas.d'));
    await house.file(
      'nas.d/bras1.toml',
      'name = "bras1"\naddress = "10.0.0.2"\nsecret_file = "${CREDENTIALS_DIRECTORY}/bras1"\nprofile = "mikrotik-ppp"\n',
    );
    t.equal((await house.run(['ip', 'who', '100.64.0.1'])).code, 0);
    t.equal((await house.run(['subscriber', 'add', 'tv', '--no-password'])).code, 0);
    t.equal((await house.run(['check-config'])).code, 1);
  },
);

t.test('a database that is away, empty, or refuses us is told in one line', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-conf-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const empty = await freshDatabase(t, { migrated: false });
  const unknownUser = new URL(empty.url);
  unknownUser.pathname = '/no_such_database';
  const away = `postgres://sluice:topsecret@127.0.0.1:${String(await freeTcpPort())}/sluice`;
  const table: [url: string, message: RegExp][] = [
    [
      away,
      /^sluice: the database does not answer \(ECONNREFUSED\); start PostgreSQL, or correct database\.url in sluice\.toml\n$/u,
    ],
    [empty.url, /^sluice: the database has no tables of Sluice; make them with: sluice migrate\n$/u],
    [unknownUser.href, /^sluice: the database does not exist; create it, or correct database\.url in sluice\.toml\n$/u],
  ];
  for (const [url, message] of table) {
    await writeFile(join(folder, 'sluice.toml'), `[database]\nurl = "${url}"\n`);
    const result = await runIn(['subscriber', 'list', '--conf', folder]);
    t.equal(result.code, 1);
    t.match(result.stderr, message);
    t.notMatch(result.stderr, /topsecret/u);
  }
  await writeFile(join(folder, 'sluice.toml'), `[database]\nurl = "${empty.url}"\n`);
  const migrated = await runIn(['migrate', '--conf', folder]);
  t.match(migrated, { code: 0, stdout: /^applied: 001_base\.js/u });
  t.match(await runIn(['migrate', '--conf', folder]), { code: 0, stdout: 'the database is up to date\n' });
  t.equal((await runIn(['subscriber', 'list', '--conf', folder])).code, 0);
});

t.test('instance: who works on the database, and forgetting one that never comes back', async (t) => {
  const house = await commandHouse(t);
  const { pool } = house.database;
  await house.done(['pool', 'add', 'main', '100.64.0.0/28']);
  await pool.query(
    `INSERT INTO instance (name, started_at, heartbeat_at, caught_up_at, stopped_at) VALUES
       ('running', now(), now(), now(), NULL),
       ('silent', now() - interval '1 day', now() - interval '1 hour', now() - interval '1 hour', NULL),
       ('stopped', now() - interval '1 day', now() - interval '1 hour', now() - interval '1 hour', now() - interval '1 hour')`,
  );
  await pool.query(`UPDATE pool_address SET state = 'reserved', instance = 'stopped' WHERE address <= '100.64.0.3'`);
  await pool.query(
    `UPDATE pool_address SET state = 'reserved', instance = 'silent' WHERE address BETWEEN '100.64.0.4' AND '100.64.0.5'`,
  );
  const listed = await house.done(['instance', 'list']);
  t.match(listed.stdout, /running +running/u);
  t.match(listed.stdout, /silent +silent.* 2\n/u);
  t.match(listed.stdout, /stopped +stopped.* 3\n/u);
  const table: [args: string[], code: number, message: RegExp][] = [
    [['running'], 1, /running is running \(last heartbeat .* ago\); stop it first/u],
    [['running', '--force'], 1, /running is running/u],
    [['silent'], 1, /has not ended in order, so its spool may hold facts.*--force if its disk is lost/u],
    [['stoped'], 1, /no instance 'stoped'; did you mean stopped\?/u],
  ];
  for (const [args, code, message] of table) {
    const result = await house.run(['instance', 'forget', ...args]);
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, message);
  }
  // A living server holds its name in the database, however long its heartbeat is delayed.
  const living = await pool.connect();
  const { lockInstanceName } = await import('../../src/store/instances.js');
  t.equal(await lockInstanceName(living, 'silent'), true);
  const alive = await house.run(['instance', 'forget', 'silent', '--force']);
  t.match(alive, { code: 1, stderr: /silent is running: it holds its name in the database; stop it first/u });
  living.release(true);

  t.match((await house.done(['instance', 'forget', 'stopped', '--json'])).json(), { freed_addresses: 3 });
  await house.done(['instance', 'forget', 'silent', '--force']);
  const { rows } = await pool.query(`SELECT state, count(*)::int FROM pool_address GROUP BY state`);
  t.same(rows, [{ state: 'free', count: 14 }]);
});

t.test('set-aside: what could not be applied, with its octets as hexadecimal', async (t) => {
  const house = await commandHouse(t);
  await house.database.pool.query(
    `INSERT INTO set_aside (instance, spool_uuid, segment, byte_offset, nas_name, reason, detail, payload)
     VALUES ('a', gen_random_uuid(), 1, 20, 'bras1', 'no-session-id', E'evil\\x1b[2J', '\\x04010014${'00'.repeat(40)}'),
            ('a', gen_random_uuid(), 1, 90, 'bras1', 'old', NULL, '\\x01')`,
  );
  await house.database.pool.query(`UPDATE set_aside SET resolved_at = now() WHERE reason = 'old'`);
  const listed = await house.done(['set-aside', 'list'], { columns: 120 });
  t.match(listed.stdout, /no-session-id +evil\\x1b\[2J +44/u);
  t.notMatch(listed.stdout, /old/u);
  t.match((await house.done(['set-aside', 'list', '--resolved'])).stdout, /old/u);
  const shown = await house.done(['set-aside', 'show', '1']);
  t.match(shown.stdout, `  0000  04010014${'00'.repeat(28)}\n  0020  ${'00'.repeat(12)}\n`);
  t.match((await house.done(['set-aside', 'show', '1', '--json'])).json(), { payload: `04010014${'00'.repeat(40)}` });
  t.match(await house.run(['set-aside', 'show', '9']), { code: 1, stderr: /nothing with the id 9 is set aside/u });
  t.match(await house.run(['set-aside', 'show', 'x']), { code: 2, stderr: /whole number/u });
});
