/**
 * The systemd files say what systemd understands, agree with each other and with the program, and the service is well shut in.
 */
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { serverSchema } from '../../src/config/server-schema.js';
import { formatEndpoint } from '../../src/config/endpoint.js';
import { runIn } from '../cli/command-line.js';

const folder = fileURLToPath(new URL('../../systemd/', import.meta.url));
const read = (name: string) => readFile(join(folder, name), 'utf8');
const service = await read('sluice.service');
const deliverer = await read('sluice-deliver.service');
const socket = await read('sluice.socket');

/** Highest exposure that passes, in tenths: 2.0. */
const MAX_EXPOSURE_TENTHS = 20;

const has = (tool: string) => spawnSync(tool, ['--version']).status === 0;
const needs = (tool: string) => ({ skip: has(tool) ? false : `${tool} is not installed` });

const allUnits = ['sluice.service', 'sluice.socket', 'sluice-deliver.service'];

/** Every value of a key in a unit. */
const valuesOf = (unit: string, key: string) =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map((match) => match[1]!);

/** A folder of units as an administrator has them: the units, and the examples as drop-ins. */
async function unitFolder(t: Pick<Test, 'teardown'>, dropIns: Record<string, string>): Promise<string> {
  const units = await mkdtemp(join(tmpdir(), 'sluice-units-'));
  t.teardown(() => rm(units, { recursive: true, force: true }));
  for (const unit of allUnits) await copyFile(join(folder, unit), join(units, unit));
  for (const [path, content] of Object.entries(dropIns)) {
    await mkdir(join(units, path, '..'), { recursive: true });
    await writeFile(join(units, path), content);
  }
  return units;
}

function verify(units: string) {
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...allUnits], {
    encoding: 'utf8',
    env: { ...process.env, SYSTEMD_UNIT_PATH: `${units}:` },
  });
  // Units of other packages on this machine have troubles of their own.
  const ours = stderr.split('\n').filter((line) => line.includes('sluice') && !line.includes('is not executable'));
  return { status, ours };
}

t.test('units and drop-in examples are understood wholly', needs('systemd-analyze'), async (t) => {
  const examples = (await readdir(folder)).filter((name) => name.endsWith('.conf.example'));
  t.same(examples, ['credentials.conf.example', 'network.conf.example']);
  const dropIns = await Promise.all(
    examples.map(async (name) => [`sluice.service.d/${name.replace('.example', '')}`, await read(name)] as const),
  );
  const addresses = socket
    .replaceAll(/^# {3}/gm, '')
    .match(/^\[Socket\]\nListenDatagram=\n(?:ListenDatagram=.+\n)+/m)?.[0];
  t.ok(addresses, 'the unit shows how to change its addresses');
  const units = await unitFolder(t, {
    ...Object.fromEntries(dropIns),
    'sluice.socket.d/addresses.conf': addresses ?? '',
  });
  t.same(verify(units).ours, []);
  const broken = await unitFolder(t, { 'sluice.service.d/broken.conf': '[Service]\nNoSuchThing=1\n' });
  t.match(verify(broken).ours, [/NoSuchThing/], 'and what is wrong would be seen');
});

t.test('exposure is 2.0 or lower', needs('systemd-analyze'), async (t) => {
  const threshold = `--threshold=${String(MAX_EXPOSURE_TENTHS)}`;
  for (const unit of ['sluice.service', 'sluice-deliver.service']) {
    const { status, stdout } = spawnSync(
      'systemd-analyze',
      ['security', '--offline=true', threshold, join(folder, unit)],
      { encoding: 'utf8' },
    );
    t.equal(status, 0, `${unit}: ${stdout.trim().split('\n').at(-1) ?? ''}`);
  }
});

t.test('the user can be made', needs('systemd-sysusers'), async (t) => {
  const { status, stderr } = spawnSync('systemd-sysusers', ['--dry-run', join(folder, 'sluice.sysusers.conf')], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
});

t.test(
  'the service: drains on SIGTERM, comes back, says when it is ready and that it turns, has no capability',
  async (t) => {
    for (const line of [
      /^Type=notify$/m,
      /^NotifyAccess=all$/m,
      /^WatchdogSec=\d+$/m,
      /^Wants=sluice\.socket$/m,
      /^After=sluice\.socket$/m,
      /^KillMode=mixed$/m,
      /^Restart=always$/m,
      /^#?LoadCredential=/m,
      /^LimitCORE=0$/m,
      /^CapabilityBoundingSet=$/m,
      /^NoNewPrivileges=yes$/m,
      /^ProtectSystem=strict$/m,
      /^StateDirectory=sluice$/m,
      /^ExecReload=\/bin\/kill -HUP \$MAINPID$/m,
      /^ExecStart=\S+ --max-semi-space-size=64 \/opt\/sluice\/bin\/launch\.mjs serve$/m,
    ]) {
      t.match(service, line);
    }
  },
);

t.test('the sockets: the addresses of the configuration, one family each, and nothing that ends them', async (t) => {
  const { radius, status } = serverSchema.parse({});
  t.same(valuesOf(socket, 'ListenDatagram'), [...radius.auth, ...radius.accounting].map(formatEndpoint));
  t.same(valuesOf(socket, '#ListenStream'), [formatEndpoint(status.listen)]);
  t.same(valuesOf(socket, 'BindIPv6Only'), ['ipv6-only']);
  t.same(valuesOf(socket, 'TriggerLimitIntervalSec'), ['0']);
  t.same(valuesOf(socket, 'ReusePort'), [], 'two sockets of one address would share its packets');
});

t.test(
  'the deliverer: the options of its command, its secret as a credential, and the inbox that the hook writes into',
  async (t) => {
    const [start = ''] = valuesOf(deliverer, 'ExecStart');
    t.match(start, '/usr/bin/node /opt/sluice/bin/launch.mjs deliver ');
    const { stdout: help } = await runIn(['deliver', '--help'], { columns: 10_000 });
    const options = [...help.split('Global Options')[0]!.matchAll(/^ {2}(--[a-z-]+) </gmu)].map((match) => match[1]!);
    t.same([...start.matchAll(/ (--[a-z-]+) /gu)].map((match) => match[1]!).sort(), options.sort());
    t.match(start, ' --secret-file %d/secret');
    t.match(deliverer, /^LoadCredential=secret:/m);
    const inbox = '/var/lib/sluice-inbox';
    t.match(start, ` --inbox ${inbox} `);
    for (const unit of [deliverer, service]) t.same(valuesOf(unit, 'ReadWritePaths'), [`-${inbox}`]);
    t.match(await readFile(join(folder, '..', 'bin', 'sluice-lever'), 'utf8'), `  inbox=${inbox}\n`);
    for (const name of ['SLUICE_TO', 'SLUICE_SOURCE']) t.match(start, `\${${name}}`);
    t.same(valuesOf(deliverer, 'CapabilityBoundingSet'), ['']);
  },
);

t.test('service, user and folders agree on names', async (t) => {
  const [user] = valuesOf(service, 'User');
  t.match(await read('sluice.sysusers.conf'), new RegExp(`^u ${String(user)} `, 'm'));
  t.match(await read('sluice.tmpfiles.conf'), new RegExp(`^d /var/lib/sluice +0700 +${String(user)} `, 'm'));
});

t.test('each credential of the example has the key of the configuration that reads it', async (t) => {
  const example = await read('credentials.conf.example');
  const names = valuesOf(example, 'LoadCredential').map((value) => value.split(':')[0]!);
  t.ok(names.length >= 4);
  for (const name of names) t.match(example, `"\${CREDENTIALS_DIRECTORY}/${name}"`);
  const keys = [...example.matchAll(/^# {3}(\w+) = /gm)].map((match) => match[1]!);
  const known: object = {
    ...serverSchema.shape.radius.unwrap().shape,
    ...serverSchema.shape.status.unwrap().shape,
    ...serverSchema.shape.intake.unwrap().shape.json_sources.unwrap().element.shape,
  };
  t.same(
    keys.filter((key) => !(key in known)),
    [],
  );
});
