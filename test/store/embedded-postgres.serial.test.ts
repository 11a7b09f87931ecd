/**
 * The embedded PostgreSQL as an operator meets it: first start, second start, a killed parent, a port that is taken, a
 * cluster that is not ours, a server that dies. Every server here is real.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { startEmbeddedPostgres, type EmbeddedPostgresOptions } from '../../src/store/embedded-postgres.js';
import { completeSymlinks, findPostgresBinaries, parsePostgresVersion } from '../../src/store/postgres-binaries.js';
import { isAlive, rotateLog, waitFor } from '../../src/store/postgres-process.js';
import { commandAs } from '../../src/store/postgres-run-as.js';
import { freeTcpPort } from '../support/free-port.js';
import { asClient } from '../support/postgres-server.js';

/** A machine under load takes its time; a test that waits longer has found a fault, ms. */
const PATIENCE_MS = 60_000;
const NOBODY = 65534;
const weAreRoot = process.geteuid?.() === 0;
const childScript = fileURLToPath(new URL('../support/embedded-child.ts', import.meta.url));

type Tap = typeof t;

/** A data folder below one of mode 0700, as `mktemp -d` makes it. */
async function dataFolder(t: Pick<Tap, 'teardown'>): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'sluice-embedded-'));
  t.teardown(() => rm(parent, { recursive: true, force: true }));
  return join(parent, 'data');
}

/** A log that remembers. */
function memoryLog() {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { lines, log: { info: at('info'), warn: at('warn'), error: at('error') } };
}

async function start(t: Pick<Tap, 'teardown'>, options: EmbeddedPostgresOptions) {
  const postgres = await startEmbeddedPostgres(options);
  t.teardown(() => postgres.stop());
  return postgres;
}

/** What a start that must fail failed with. */
const failureOf = (starting: Promise<unknown>) =>
  starting.then(
    () => undefined,
    (error: unknown) => error,
  );

const one = (url: string, sql: string) =>
  asClient(url, async (client) => (await client.query<Record<string, unknown>>(sql)).rows[0]);

/** The argument lists of all processes that we may read. */
async function argumentLists(): Promise<string> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lists = await Promise.all(processes.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lists.join('\n');
}

interface ChildLine {
  adopted?: boolean;
  pid?: number;
  owner?: number;
  url?: string;
  stopped?: string;
  kind?: string;
}

/** The same start in a process of its own. */
function startInChild(t: Pick<Tap, 'teardown'>, dataDir: string, port: number, step: string[] = [], home = tmpdir()) {
  // The test's own loaders, in NODE_OPTIONS, write where another user may not.
  const plain = ['/bin/sh', '-c', 'unset NODE_OPTIONS; exec "$@"', 'sh'];
  const command = [...plain, ...step, process.execPath, '--import', 'tsx', childScript, dataDir, String(port)];
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, HOME: home, TMPDIR: home },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => JSON.parse(String((await lines.next()).value)) as ChildLine;
  return { child, line };
}

t.test('life of one cluster', async (t) => {
  const dataDir = await dataFolder(t);
  const port = await freeTcpPort();

  await t.test(
    'the first start makes it, under an unprivileged user, in a folder that only we may enter',
    async (t) => {
      const said: string[] = [];
      const postgres = await start(t, { dataDir, port, onProgress: (line) => void said.push(line) });
      t.equal(postgres.adopted, false);
      const steps = said.filter((line) => !/ … \d+ s$/.test(line));
      t.match(steps, [/^making a database cluster/, /^starting PostgreSQL 18/]);
      t.match(
        await one(
          postgres.url,
          `SELECT current_setting('fsync') fsync, current_setting('synchronous_commit') synchronous_commit,
                current_setting('data_checksums') checksums, current_setting('listen_addresses') listen,
                current_setting('server_encoding') encoding, current_setting('max_connections') connections,
                (SELECT usesuper FROM pg_user WHERE usename = current_user) superuser, lower('ЖУК') lower`,
        ),
        {
          fsync: 'on',
          synchronous_commit: 'on',
          checksums: 'on',
          listen: '127.0.0.1',
          encoding: 'UTF8',
          connections: '100',
          superuser: false,
          lower: 'жук',
        },
      );
      t.not((await stat(`/proc/${String(postgres.pid())}`)).uid, 0, 'PostgreSQL is never root');
      t.equal((await stat(dataDir)).uid, process.geteuid?.(), 'the data folder stays ours');

      const secret = join(dataDir, 'secrets', 'postgres');
      t.equal((await stat(secret)).mode & 0o777, 0o600);
      const password = (await readFile(secret, 'utf8')).trim();
      t.ok(password.length >= 43);
      t.notOk((await argumentLists()).includes(password), 'no argument list holds the password');
      t.notOk((await readFile(join(dataDir, 'postgres.log'), 'utf8')).includes(password));
      t.same(
        (await readdir(dataDir)).filter((name) => name.startsWith('.initdb')),
        [],
      );

      await asClient(postgres.url, (client) => client.query('CREATE TABLE kept AS SELECT 7 AS id'));
      const pid = postgres.pid();
      t.equal(await postgres.stop(), 'stopped');
      t.equal(await postgres.stop(), 'stopped', 'stopping twice is stopping once');
      t.notOk(isAlive(pid));
    },
  );

  await t.test('a server left by a killed parent is adopted, and stopped by whoever adopted it', async (t) => {
    const { child, line } = startInChild(t, dataDir, port);
    const parent = await line();
    t.equal(parent.adopted, false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    t.ok(isAlive(parent.pid!), 'it survives its parent');

    const postgres = await start(t, { dataDir, port: await freeTcpPort() });
    t.equal(postgres.adopted, true);
    t.equal(postgres.pid(), parent.pid);
    t.equal(postgres.url, parent.url, 'it keeps its port, whatever the configuration says now');
    t.same(await one(postgres.url, 'SELECT id FROM kept'), { id: 7 });
    t.equal(await postgres.stop(), 'stopped');
    t.notOk(await stat(`/proc/${String(parent.pid)}/cwd`).catch(() => undefined));
  });

  await t.test('two processes share it, and the last one out stops it', async (t) => {
    const server = await start(t, { dataDir, port });
    const { child, line } = startInChild(t, dataDir, port);
    t.match(await line(), { adopted: true, pid: server.pid() });
    child.stdin.end();
    t.same(await line(), { stopped: 'left-running' });
    t.same(await one(server.url, 'SELECT 1 AS answer'), { answer: 1 });
    t.equal(await server.stop(), 'stopped');
  });

  await t.test('a server that dies is started again on its port, and the log says so', async (t) => {
    const { lines, log } = memoryLog();
    const postgres = await start(t, { dataDir, port, log });
    const before = postgres.pid();
    process.kill(before, 'SIGKILL');
    const answer = await waitFor(async () => {
      if (postgres.pid() === before) return undefined;
      return await one(postgres.url, 'SELECT id FROM kept').catch(() => undefined);
    }, PATIENCE_MS);
    t.same(answer, { id: 7 });
    t.match(lines, [
      { level: 'error', message: /ended by itself/ },
      { level: 'info', message: /answers again/ },
    ]);
    await postgres.stop();
  });

  await t.test('a backend that is killed does not count as the death of the server', async (t) => {
    const { lines, log } = memoryLog();
    const postgres = await start(t, { dataDir, port, log });
    const before = postgres.pid();
    await asClient(postgres.url, async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      process.kill(rows[0]!.pid, 'SIGKILL');
      await t.rejects(client.query('SELECT 1'));
    });
    await waitFor(
      async () => (lines.some((line) => /answers again/.test(line.message)) ? true : undefined),
      PATIENCE_MS,
    );
    t.equal(postgres.pid(), before);
    await postgres.stop();
  });

  const lockFile = join(dataDir, 'postgres', 'postmaster.pid');
  const obstacles: [string, () => Promise<number>][] = [
    [
      'of a dead process',
      async () => {
        const child = spawn('true');
        await once(child, 'exit');
        return child.pid!;
      },
    ],
    ['whose process id is now a stranger', () => Promise.resolve(process.pid)],
  ];
  for (const [name, pid] of obstacles) {
    await t.test(`a lock file ${name} is no obstacle`, async (t) => {
      const { uid, gid } = await stat(join(dataDir, 'postgres'));
      await writeFile(
        lockFile,
        `${String(await pid())}\n${join(dataDir, 'postgres')}\n1\n${String(port)}\n\n\n  1 1\nready   \n`,
      );
      await chmod(lockFile, 0o600);
      if (weAreRoot) await chown(lockFile, uid, gid);
      const postgres = await start(t, { dataDir, port });
      t.equal(postgres.adopted, false);
      t.same(await one(postgres.url, 'SELECT id FROM kept'), { id: 7 });
      await postgres.stop();
    });
  }

  await t.test('another program on the port is named, with the key to change', async (t) => {
    const stranger = createServer().listen(port, '127.0.0.1');
    t.teardown(() => stranger.close());
    await once(stranger, 'listening');
    t.match(await failureOf(startEmbeddedPostgres({ dataDir, port })), {
      kind: 'port-busy',
      message: new RegExp(`127\\.0\\.0\\.1:${String(port)}.*database\\.port`),
    });
  });

  await t.test('a lost password file is an error with its remedy, not a second cluster', async (t) => {
    await rm(join(dataDir, 'secrets', 'postgres'));
    t.match(await failureOf(startEmbeddedPostgres({ dataDir, port })), { kind: 'password-missing', remedy: /backup/ });
  });

  await t.test('a wrong password file too', async (t) => {
    await writeFile(join(dataDir, 'secrets', 'postgres'), 'something-else\n', { mode: 0o600 });
    t.match(await failureOf(startEmbeddedPostgres({ dataDir, port })), { kind: 'password-refused', remedy: /backup/ });
    t.equal(await readFile(lockFile, 'utf8').catch(() => 'none'), 'none', 'the server that was started for it is gone');
  });
});

t.test('a cluster of another major version is refused with the remedy', async (t) => {
  const dataDir = await dataFolder(t);
  await mkdir(join(dataDir, 'postgres'), { recursive: true });
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '15\n');
  await mkdir(join(dataDir, 'secrets'));
  await writeFile(join(dataDir, 'secrets', 'postgres'), 'secret\n');
  t.match(await failureOf(startEmbeddedPostgres({ dataDir, port: await freeTcpPort() })), {
    kind: 'cluster-version',
    message: /PostgreSQL 15.*dump/,
  });
});

t.test('a folder that is no cluster is left alone', async (t) => {
  const dataDir = await dataFolder(t);
  await mkdir(join(dataDir, 'postgres'), { recursive: true });
  await writeFile(join(dataDir, 'postgres', 'holiday.jpg'), '');
  t.match(await failureOf(startEmbeddedPostgres({ dataDir, port: await freeTcpPort() })), {
    kind: 'cluster-unrecognised',
  });
  t.same(await readdir(join(dataDir, 'postgres')), ['holiday.jpg']);
});

t.test('what an interrupted first start left is replaced', async (t) => {
  const dataDir = await dataFolder(t);
  await mkdir(join(dataDir, 'postgres.new'), { recursive: true });
  await writeFile(join(dataDir, 'postgres.new', 'PG_VERSION'), 'half');
  const postgres = await start(t, { dataDir, port: await freeTcpPort() });
  t.same(await one(postgres.url, 'SELECT 1 AS answer'), { answer: 1 });
});

t.test(
  'an ordinary user runs it as himself',
  { skip: weAreRoot ? false : 'this whole file has just done that' },
  async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'sluice-embedded-'));
    t.teardown(() => rm(parent, { recursive: true, force: true }));
    await chown(parent, NOBODY, NOBODY);
    const step = ['setpriv', `--reuid=${String(NOBODY)}`, `--regid=${String(NOBODY)}`, '--clear-groups', '--'];
    const { child, line } = startInChild(t, join(parent, 'data'), await freeTcpPort(), step, parent);
    t.match(await line(), { adopted: false, owner: NOBODY });
    child.stdin.end();
    t.same(await line(), { stopped: 'stopped' });
  },
);

t.test(
  'root in the data folder of an ordinary user runs it as that user, who can go on alone',
  { skip: weAreRoot ? false : 'only root can be somebody else' },
  async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'sluice-embedded-'));
    t.teardown(() => rm(parent, { recursive: true, force: true }));
    const dataDir = join(parent, 'data');
    await mkdir(dataDir, { mode: 0o700 });
    for (const folder of [parent, dataDir]) await chown(folder, NOBODY, NOBODY);
    const port = await freeTcpPort();
    const byRoot = await start(t, { dataDir, port });
    t.equal((await stat(`/proc/${String(byRoot.pid())}`)).uid, NOBODY);
    await byRoot.stop();
    const step = ['setpriv', `--reuid=${String(NOBODY)}`, `--regid=${String(NOBODY)}`, '--clear-groups', '--'];
    const { child, line } = startInChild(t, dataDir, port, step, parent);
    t.match(await line(), { adopted: false, owner: NOBODY });
    child.stdin.end();
    t.same(await line(), { stopped: 'stopped' });
  },
);

t.test(
  'a checkout in a folder that only root may enter: one capability, and only then',
  { skip: weAreRoot ? false : 'only root steps down' },
  async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'sluice-embedded-'));
    t.teardown(() => rm(parent, { recursive: true, force: true }));
    const user = { kind: 'user', userId: NOBODY, groupId: NOBODY, capability: 'none' } as const;
    const nearby = createRequire(import.meta.url).resolve(`@embedded-postgres/linux-${process.arch}`);
    const installed = join(dirname(nearby), '..', 'native', 'bin');
    await symlink(installed, join(parent, 'bin'));
    const work = join(parent, 'work');
    await mkdir(work, { mode: 0o700 });
    await chown(work, NOBODY, NOBODY);
    const choose = async (workDirectory: string, binDirectory: string) =>
      (await findPostgresBinaries(user, workDirectory, { copyDirectory: join(parent, 'copy'), binDirectory })).runAs;

    t.match(await choose(work, join(parent, 'bin')), { userId: NOBODY, capability: 'dac_read_search' });
    await chmod(parent, 0o755);
    t.same(
      await choose(work, join(parent, 'bin')),
      await choose(work, installed),
      'no more than the checkout itself needs',
    );
  },
);

t.test('links that npm left out are made, and only inside the package', async (t) => {
  const packageDirectory = await dataFolder(t);
  const native = join(packageDirectory, 'native');
  await mkdir(join(native, 'lib'), { recursive: true });
  await writeFile(join(native, 'lib', 'libpq.so.5.18'), 'library');
  await symlink('elsewhere', join(native, 'lib', 'present.so'));
  await writeFile(
    join(native, 'pg-symlinks.json'),
    JSON.stringify([
      { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' },
      { source: 'native/lib/libpq.so.5.18', target: 'native/lib/present.so' },
      { source: 'native/lib/libpq.so.5.18', target: '../outside.so' },
      { source: '/etc/passwd', target: 'native/lib/inside.so' },
      'nonsense',
    ]),
  );
  t.equal(await completeSymlinks(native), true);
  t.equal(await readFile(join(native, 'lib', 'libpq.so.5'), 'utf8'), 'library');
  t.equal(await readlink(join(native, 'lib', 'present.so')), 'elsewhere', 'what is there stays');
  t.same((await readdir(join(native, 'lib'))).sort(), ['libpq.so.5', 'libpq.so.5.18', 'present.so']);
  t.equal(await completeSymlinks(native), true, 'doing it again changes nothing');
});

t.test('stepping down uses no capability unless one is asked for', async (t) => {
  const user = { kind: 'user', userId: 12, groupId: 34 } as const;
  t.same(commandAs({ kind: 'self' }, 'postgres', ['-D', 'x']), { file: 'postgres', args: ['-D', 'x'], options: {} });
  t.same(commandAs({ ...user, capability: 'none' }, 'postgres', []), {
    file: 'postgres',
    args: [],
    options: { uid: 12, gid: 34 },
  });
  t.match(commandAs({ ...user, capability: 'dac_read_search' }, 'postgres', ['-D', 'x']), {
    file: 'setpriv',
    args: [
      '--reuid=12',
      '--regid=34',
      '--clear-groups',
      '--inh-caps=-all,+dac_read_search',
      '--ambient-caps=-all,+dac_read_search',
      '--securebits=+no_setuid_fixup',
      '--',
      'postgres',
      '-D',
      'x',
    ],
  });
});

t.test('versions as PostgreSQL prints them', async (t) => {
  t.same(parsePostgresVersion('postgres (PostgreSQL) 18.4\n'), { version: '18.4', majorVersion: 18 });
  t.same(parsePostgresVersion('postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)'), {
    version: '15.14',
    majorVersion: 15,
  });
  t.same(parsePostgresVersion('postgres (PostgreSQL) 19beta1'), { version: '19beta1', majorVersion: 19 });
  t.equal(parsePostgresVersion('sh: postgres: not found'), undefined);
});

t.test('the log stays bounded while the server goes on appending to it', async (t) => {
  const directory = await dataFolder(t);
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'postgres.log');
  await writeFile(path, 'a'.repeat(100));
  await rotateLog(path, 100);
  t.equal((await stat(path)).size, 100, 'not beyond the bound yet');
  await rotateLog(path, 99);
  t.equal((await stat(path)).size, 0);
  t.equal((await stat(`${path}.1`)).size, 100);
  await rotateLog(join(directory, 'absent.log'), 1);
});
