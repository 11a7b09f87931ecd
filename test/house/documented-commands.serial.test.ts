/**
 * Every command that README and docs show is run, in the order of the document, against a throw-away server in a folder of its own; outputs
 * that are shown are compared in shape. Paths of an installation stand for folders of the test, ports for free ones.
 *
 * What cannot be run here stands in a table below with its reason: a command that is in no table is run, and a row that no document
 * needs any more fails.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { freshDatabase } from '../support/database.js';
import { blocksOf, commandsOf, hasShape } from '../support/documented-blocks.js';
import { freeTcpPort, freeUdpPort } from '../support/free-port.js';
import { createFreeradiusTables, insertFreeradiusRows } from '../support/freeradius-tables.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A documented command is done in seconds; a first start makes a database cluster, ms. */
const COMMAND_MS = 120_000;

/** Not run, and why. The text is the beginning of the command, as the document has it. */
const notRun: Record<string, Record<string, string>> = {
  'README.md': {
    'npm test': 'this is a part of it',
    'npm run demo': 'runs until Ctrl-C; test/demo runs its parts',
  },
  'docs/cli.md': {
    'sluice decode capture.pcap': 'there is no capture; test/cli/decode.test.ts reads some',
    'tshark ': 'the same, by another program',
    'sluice trace alice': 'runs until Ctrl-C; test/flows/trace.test.ts watches it',
    'source <(sluice completion bash)': 'is for bash, and changes the shell that it is typed into',
    'sluice nas test bras1': 'would send packets to a NAS that is not there; test/cli/nas.test.ts has one',
    'sluice nas trust bras1': 'the same',
    'sluice nas adopt bras1': 'needs a NAS that lists what it has; test/cli/reconcile.test.ts has one',
    'sluice nas forget bras9': 'needs a NAS that was taken away; test/cli/nas-forget.test.ts has one',
    'sluice reconcile': 'needs a NAS that lists what it has',
    'sluice lease show 100.65.0.10': 'no DHCP server has told of it; test/cli/lease.test.ts has leases',
  },
  'docs/access-lines.md': {},
  'docs/benchmarks.md': {
    'apt-get install': 'installs packages',
    'npm run bench': 'a quarter of an hour; test/interop/bench.serial.test.ts runs a quick one',
  },
  'docs/dhcp-over-radius.md': {
    'sluice explain ivanov': 'test/cli/access-line.test.ts explains somebody by his line',
    'sluice radtest 02:00:00:00:00:07': 'test/flows/dhcp-over-radius.test.ts asks the whole server',
  },
  'docs/migration.md': {},
  'docs/monitoring.md': {},
  'docs/operations.md': {
    'git clone URL /opt/sluice': 'test/interop/fresh-clone.serial.test.ts clones and starts',
    'cd /opt/sluice && node bin/launch.mjs --setup-only': 'test/house/launch.test.ts sets up a checkout',
    'cd /opt/sluice && git pull && node bin/launch.mjs --setup-only': 'the same',
    'sluice restore /var/backups/sluice-2026-11-21':
      'is for an empty database; the move further down restores into one',
    "psql 'postgres://sluice@db.example":
      'names a host that is not there; step 5 reaches the database that stands for it',
  },
};

/** Run in another form, and why. */
const insteadOf: Record<string, readonly [command: string, reason: string]> = {
  "sluice subscriber add alice --plan home --contract C-1 --name 'Alice Liddell'       # asks for the password": [
    "echo wonderland | sluice subscriber add alice --plan home --contract C-1 --name 'Alice Liddell' --password-stdin",
    'there is no terminal; test/cli/subscriber.test.ts types on one',
  ],
  'echo wonderland | sluice radtest alice --password-stdin --method mschapv2 --calling-station 02:00:00:00:00:01': [
    'echo wonderland | sluice radtest alice --password-stdin --method mschapv2 || [ $? -eq 1 ]',
    'alice is voluntarily blocked by a command above: a Reject is right, and its exit code is 1',
  ],
  'sluice backup /var/backups/sluice-2026-11-21; sluice restore /var/backups/sluice-2026-11-21': [
    'sluice backup /var/backups/sluice-2026-11-21',
    'a restore is for an empty database; docs/operations.md restores into one',
  ],
};

/**
 * Programs of an installed system that a test must not touch, and what stands for them. `systemctl` starts and stops the server of the
 * test; units are examined by test/house/systemd.test.ts, and the service under a supervisor by test/flows/supervision.serial.test.ts.
 */
const standIns: Record<string, string> = {
  systemctl: `case "$1 $*" in
    start*sluice.service*|restart*sluice|enable*) [ "$1" = restart ] && "$0" stop sluice.service
      [ -e "$WORLD/pid" ] && exit 0
      # The shell that starts it ends at once, so that nobody waits for the server's output.
      (cd "$WORLD" && exec setsid "$NODE" "$MAIN" --conf "$WORLD/conf" --data "$WORLD/data" serve >>"$WORLD/log" 2>&1 </dev/null & echo $! >"$WORLD/pid")
      count=0
      until [ "$(grep -c '"msg":"ready"' "$WORLD/log" 2>/dev/null)" -gt "$(cat "$WORLD/readies" 2>/dev/null || echo 0)" ]; do
        count=$((count + 1)); [ $count -gt 600 ] && { tail -5 "$WORLD/log" >&2; exit 1; }; sleep 0.1
      done
      grep -c '"msg":"ready"' "$WORLD/log" >"$WORLD/readies" ;;
    stop*sluice.service*)
      [ -e "$WORLD/pid" ] || exit 0
      kill -TERM "$(cat "$WORLD/pid")"; count=0
      while kill -0 "$(cat "$WORLD/pid")" 2>/dev/null; do count=$((count + 1)); [ $count -gt 600 ] && exit 1; sleep 0.1; done
      rm "$WORLD/pid" ;;
  esac`,
  npm: 'exec systemctl start sluice.service',
  chown: 'exit 0 # there is no user sluice here',
  'systemd-sysusers': 'exit 0 # makes users; test/house/systemd.test.ts tries it dry',
  'systemd-tmpfiles': 'exit 0 # makes folders below /',
};

/** Tools that a machine may lack. */
const lacks = (command: string) =>
  ['radclient', 'openssl', 'curl', 'psql'].find(
    (tool) => new RegExp(`\\b${tool} `, 'u').test(command) && spawnSync('which', [tool]).status !== 0,
  );

interface World {
  readonly directory: string;
  /** A documented command as it is run here. */
  readonly placed: (command: string) => string;
  readonly run: (command: string) => Promise<{ code: number | null; output: string }>;
}

/** Folders, a configuration and programs; the database is given, or else the embedded one. */
async function makeWorld(t: Pick<Test, 'teardown'>, databaseUrl?: string, moveTo?: string): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-documents-'));
  t.teardown(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const at = (...names: string[]) => join(directory, ...names);
  const ports: Record<string, number> = {
    1812: await freeUdpPort(),
    1813: await freeUdpPort(),
    8080: await freeTcpPort(),
    8067: await freeTcpPort(),
    54329: await freeTcpPort(),
  };
  const here = (text: string) => text.replaceAll(/\b(?:1812|1813|8080|8067|54329)\b/gu, (port) => String(ports[port]));
  for (const folder of ['bin', 'opt/bin', 'backups', 'etc/systemd/system/sluice.service.d', 'usr/local/bin'])
    await mkdir(at(folder), { recursive: true });
  for (const folder of ['usr/lib/sysusers.d', 'usr/lib/tmpfiles.d']) await mkdir(at(folder), { recursive: true });
  await cp(join(root, 'systemd'), at('opt/systemd'), { recursive: true });
  const settings = here(await readFile(join(root, 'conf', 'sluice.toml'), 'utf8'));
  for (const conf of ['conf', 'opt/conf']) {
    await cp(join(root, 'conf'), at(conf), { recursive: true });
    const url = databaseUrl === undefined ? '' : `url = "${databaseUrl}"\n`;
    await writeFile(at(conf, 'sluice.toml'), settings.replace('[database]\n', `[database]\n${url}`), { mode: 0o640 });
    await writeFile(
      at(conf, 'nas.d', 'bras1.toml'),
      'name = "bras1"\naddress = "10.0.0.2"\nsecret = "a-secret-of-some-length"\nprofile = "mikrotik-ppp"\n',
      { mode: 0o600 },
    );
  }
  const program = `#!/bin/sh\nexec "$NODE" "$MAIN" "$@"\n`;
  for (const path of ['bin/sluice', 'opt/bin/sluice', 'usr/local/bin/sluice'])
    await writeFile(at(path), program, { mode: 0o755 });
  await mkdir(at('stand-ins'));
  for (const [name, body] of Object.entries(standIns))
    await writeFile(at('stand-ins', name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  await writeFile(at('people.csv'), 'login,password,plan,ip\nivanov,wonderland,home,100.64.9.9\n');
  await writeFile(at('devices.csv'), 'kind,name,mac,place\ncisco,sw-mira-3,001e.58aa.bb03,"Mira 3, cellar"\n');

  const environment = {
    PATH: [at('stand-ins'), at('usr/local/bin'), process.env['PATH']].join(':'),
    HOME: directory,
    LANG: 'C.UTF-8',
    NODE: process.execPath,
    MAIN: join(root, 'build', 'main.js'),
    WORLD: directory,
    SLUICE_CONF: at('conf'),
    SLUICE_DATA: at('data'),
  };
  const paths: [string, string][] = [
    ['/opt/sluice', at('opt')],
    ['/etc/sluice', at('conf')],
    ['/var/lib/sluice', at('data')],
    ['/var/backups', at('backups')],
    ['/etc/systemd', at('etc/systemd')],
    ['/usr/local/bin', at('usr/local/bin')],
    ['/usr/lib/', `${at('usr/lib')}/`],
    ['postgres://sluice:PASSWORD@db.example/sluice', moveTo ?? 'postgres://nowhere.invalid/'],
  ];
  const placed = (command: string) => paths.reduce((text, [from, to]) => text.replaceAll(from, to), here(command));
  const run = async (command: string) => {
    const child = spawn('/bin/sh', ['-ec', command], {
      cwd: directory,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer) => (output += chunk.toString('utf8'));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(timer);
    return { code, output };
  };
  t.teardown(async () => void (await run('systemctl stop sluice.service')));
  return { directory, placed, run };
}

/** What `check-config` says against a piece of configuration; secrets are those that the document has made so far. */
async function checked(world: World, toml: string): Promise<string> {
  const [, path = ''] = /^# \/etc\/sluice\/(\S+)/u.exec(toml) ?? [];
  const folder = join(world.directory, 'scratch');
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'nas.d'), { recursive: true });
  await writeFile(join(folder, path), world.placed(toml), { mode: 0o600 });
  const { code, output } = await world.run(`sluice --conf ${folder} check-config`);
  return code === 0 ? '' : output;
}

const used = new Set<string>();

/**
 * Runs the shell blocks of a document, has its configuration files checked, compares its outputs.
 *
 * @param apply what becomes of a piece of configuration beyond the check
 */
async function follow(
  t: Test,
  world: World,
  document: string,
  apply: (toml: string) => Promise<void> = async () => undefined,
): Promise<void> {
  const exceptions = notRun[document] ?? {};
  let output = '';
  let shown = 0;
  for (const { language, name, text, line } of blocksOf(await readFile(join(root, document), 'utf8'))) {
    const place = `${document}:${String(line)}`;
    if (language === 'text')
      t.ok(hasShape(output, world.placed(text)), `${place}: the output has the shown shape\n${output}`);
    if (language === 'toml' && text.startsWith('# /etc/sluice/')) {
      t.equal(await checked(world, text), '', `${place}: the configuration is right`);
      await apply(world.placed(text));
    }
    if (language !== 'sh' || name !== undefined) continue;
    // What a block defines is for its later lines.
    let before = '';
    output = '';
    for (const command of commandsOf(text)) {
      shown += 1;
      const exception = Object.keys(exceptions).find((beginning) => command.startsWith(beginning));
      if (exception !== undefined) {
        used.add(`${document} ${exception}`);
        continue;
      }
      const missing = lacks(command);
      if (missing !== undefined) {
        t.comment(`${place}: not run, ${missing} is not installed: ${command}`);
        continue;
      }
      if (command.startsWith('export ')) {
        before = `${world.placed(command)}\n`;
        continue;
      }
      const [instead] = insteadOf[command] ?? [command];
      if (instead !== command) used.add(command);
      const result = await world.run(before + world.placed(instead));
      t.equal(result.code, 0, `${place}: ${command}\n${result.output.slice(-2000)}`);
      output += result.output;
    }
  }
  t.ok(shown > 0, `${document} shows commands`);
}

t.test('every document with commands is followed here', async (t) => {
  const documents = [
    'README.md',
    ...(await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
  ];
  const withCommands = [];
  for (const document of documents) {
    const blocks = blocksOf(await readFile(join(root, document), 'utf8'));
    // A block with a name is tried by another test, which asks for it.
    if (blocks.some(({ language, name }) => language === 'sh' && name === undefined)) withCommands.push(document);
    t.same(
      blocks.filter(({ language }) => ['bash', 'shell', 'console'].includes(language)),
      [],
      `${document}: shell is "sh"`,
    );
  }
  t.same(withCommands.sort(), Object.keys(notRun).sort());
});

t.test('README.md', async (t) => {
  await follow(t, await makeWorld(t), 'README.md');
});

t.test('docs/access-lines.md', async (t) => {
  await follow(t, await makeWorld(t), 'docs/access-lines.md');
});

t.test('docs/dhcp-over-radius.md', async (t) => {
  await follow(t, await makeWorld(t), 'docs/dhcp-over-radius.md');
});

t.test('docs/benchmarks.md', async (t) => {
  await follow(t, await makeWorld(t), 'docs/benchmarks.md');
});

t.test('docs/cli.md', async (t) => {
  const { url } = await freshDatabase(t);
  const world = await makeWorld(t, url);
  await world.run('sluice plan add fast --down 1G --up 1G; systemctl start sluice.service');
  await follow(t, world, 'docs/cli.md');
});

t.test('docs/migration.md', async (t) => {
  const [{ url }, foreign] = [await freshDatabase(t), await freshDatabase(t, { migrated: false })];
  await createFreeradiusTables(foreign.pool);
  await insertFreeradiusRows(foreign.pool, { check: [['alice', 'Cleartext-Password', ':=', 'wonderland']] });
  const world = await makeWorld(t, url);
  await writeFile(join(world.directory, 'conf', 'freeradius.url'), `${foreign.url}\n`);
  await follow(t, world, 'docs/migration.md');
});

t.test('docs/monitoring.md', async (t) => {
  const { url } = await freshDatabase(t);
  await follow(t, await makeWorld(t, url), 'docs/monitoring.md');
});

t.test('docs/operations.md: installed, moved to a PostgreSQL server, and everybody is still there', async (t) => {
  const { url, pool } = await freshDatabase(t, { migrated: false });
  const world = await makeWorld(t, undefined, url);
  await world.run(
    'sluice plan add home --down 50M --up 10M; echo s3cret | sluice subscriber add alice --plan home --password-stdin',
  );
  const configuration = join(world.directory, 'conf', 'sluice.toml');
  await follow(t, world, 'docs/operations.md', async (toml) => {
    const [, database] = /^\[database\]\n(url = .*)$/mu.exec(toml) ?? [];
    if (database === undefined || toml.includes('[server]')) return;
    const before = await readFile(configuration, 'utf8');
    await writeFile(configuration, before.replace('[database]\n', `[database]\n${database}\n`));
  });
  const { rows } = await pool.query('SELECT login FROM subscriber');
  t.same(rows, [{ login: 'alice' }], 'alice is in the new database');
  const { output } = await world.run('sluice explain alice --json');
  t.match(JSON.parse(output), { answer: 'accept' }, 'and her sealed password is as good as before');
});

t.test('no row of the tables is left over', async (t) => {
  const rows = Object.entries(notRun).flatMap(([document, commands]) =>
    Object.keys(commands).map((command) => `${document} ${command}`),
  );
  t.same(
    [...rows, ...Object.keys(insteadOf)].filter((row) => !used.has(row)),
    [],
  );
});
