/**
 * docs/dhcp.md says what works: its configuration is taken, its requests are believed, its AppArmor rules compile. What needs a DHCP server is tried by
 * test/interop/dhcp-hook.test.ts.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { readJsonLeases } from '../../src/dhcp/json-lease.js';
import { checkout, confFolder } from '../config/conf-folder.js';
import { documented } from '../support/dhcp-network.js';
import { blocksOf } from '../support/documented-blocks.js';
import { jsonSecret, startIntake } from '../support/intake.js';

const page = await readFile(join(checkout, 'docs/dhcp.md'), 'utf8');
const blocks = blocksOf(page);

async function folderOf(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-document-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Not run anywhere, and why. */
const notRun: Record<string, string> = {
  'apparmor-dhcpd-load': 'loads rules into the kernel; here they are compiled',
  'apparmor-kea-load': 'the same',
  'deliver-unit': 'installs a unit; test/house/systemd.test.ts examines it, test/cli/deliver.test.ts runs its command',
};

t.test('every block has a name, and a test that asks for it', async (t) => {
  const asked = await Promise.all(
    [
      'test/dhcp/dhcp-document.test.ts',
      'test/interop/dhcp-hook.test.ts',
      'test/support/dhcp-daemons.ts',
      'test/cli/import-leases.test.ts',
    ].map((file) => readFile(join(checkout, file), 'utf8')),
  );
  const names = blocks.map(({ name }) => name);
  t.equal(new Set(names).size, blocks.length, 'each its own');
  t.same(
    names.filter((name) => name === undefined || !asked.some((text) => text.includes(`'${name}'`))),
    [],
  );
  t.same(
    Object.keys(notRun).filter((name) => !names.includes(name)),
    [],
  );
});

t.test('the configuration is right, and says what the text says', async (t) => {
  for (const name of ['sluice.toml', 'sluice.toml-deliver', 'sluice.toml-lever']) {
    const folder = await confFolder(t, {
      'conf/sluice.toml': await documented(name),
      'conf/secrets/dhcp2': 'pk3Lx9Qv7Tz1Wd5Rb8Ym',
      'conf/secrets/lever': 'pk3Lx9Qv7Tz1Wd5Rb8Ym',
    });
    const { intake, warnings } = await folder.load();
    t.same(warnings, [], name);
    if (name === 'sluice.toml') t.match(intake.inboxes, [{ name: 'dhcp1', folder: '/var/lib/sluice-inbox' }]);
    if (name === 'sluice.toml-deliver') t.match(intake.jsonSources, [{ name: 'dhcp2' }]);
    if (name === 'sluice.toml-lever') t.equal(intake.lever?.secrets.length, 1);
  }
});

t.test('the secret of a deliverer is made so that it can be used', async (t) => {
  const folder = await folderOf(t);
  const script = (await documented('deliver-secret')).replaceAll('/etc/sluice', join(folder, 'sluice'));
  const { status, stderr } = spawnSync('sh', ['-ec', script], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
  const secret = join(folder, 'sluice/secrets/deliver');
  t.equal((await stat(secret)).mode & 0o777, 0o600);
  t.match(await readFile(secret, 'utf8'), /^\S{32}\n$/);
  t.equal(
    await readFile(join(folder, 'sluice/deliver.conf'), 'utf8'),
    'SLUICE_TO=http://sluice.example:8067/events/lease\nSLUICE_SOURCE=dhcp2\n',
  );
});

t.test('the event is one, and posted as shown it is believed', async (t) => {
  const event = await documented('event');
  const heard = { receivedAtMs: Date.now(), via: 'json', source: 'dhcp2', happenedAtMs: Date.now() } as const;
  t.match(readJsonLeases(Buffer.from(event), heard), {
    ok: true,
    events: [{ kind: 'commit', line: { circuitId: '61636331' } }],
  });
  for (const tool of ['curl', 'openssl'])
    if (spawnSync(tool, ['version']).error !== undefined)
      return void t.pass(`${tool} is not installed`, { skip: true });
  const { port, leases } = await startIntake(t);
  const folder = await folderOf(t);
  await writeFile(join(folder, 'event.json'), event);
  await writeFile(join(folder, 'secret'), `${jsonSecret.toString()}\n`);
  const script = (await documented('post')).replace('10.0.0.1:8067', `127.0.0.1:${String(port)}`);
  const child = spawn('sh', ['-ec', script], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  t.equal(await new Promise((resolve) => child.once('close', resolve)), 0, output);
  t.equal(output, '{"status":"ok","events":1}');
  t.match(leases.events, [{ source: 'dhcp2', address: '100.65.1.10', eventAtMs: 1_795_288_861_864 }]);
});

t.test('the AppArmor rules compile in the profiles that Debian has', async (t) => {
  const parser = '/usr/sbin/apparmor_parser';
  for (const [profile, rules] of [
    ['usr.sbin.dhcpd', 'apparmor-dhcpd'],
    ['usr.sbin.kea-dhcp4', 'apparmor-kea'],
  ] as const) {
    if (!existsSync(parser) || !existsSync(join('/etc/apparmor.d', profile))) {
      t.pass(`${profile} is not installed`, { skip: true });
      continue;
    }
    const base = join(await folderOf(t), 'apparmor.d');
    await cp('/etc/apparmor.d', base, { recursive: true });
    await mkdir(join(base, 'local'), { recursive: true });
    if (profile === 'usr.sbin.kea-dhcp4') {
      const script = (await documented('apparmor-kea-include')).replaceAll('/etc/apparmor.d', base);
      for (const time of ['first', 'second']) t.equal(spawnSync('sh', ['-ec', script]).status, 0, `the ${time} time`);
      const text = await readFile(join(base, profile), 'utf8');
      t.equal(text.match(/include if exists <local\/usr\.sbin\.kea-dhcp4>/gu)?.length, 1);
    }
    const compile = () =>
      spawnSync(parser, ['-Q', '-K', '-S', '--base', base, join(base, profile)], { maxBuffer: 1 << 26 });
    const before = compile();
    await writeFile(join(base, 'local', profile), await documented(rules));
    const after = compile();
    t.equal(after.status, 0, after.stderr.toString());
    t.notOk(after.stdout.equals(before.stdout), 'and they count');
    await writeFile(join(base, 'local', profile), '  /nonsense xyz,\n');
    t.not(compile().status, 0, 'what is wrong would be seen');
  }
});

t.test('the hook that the files name is the one that there is, and reasons are those of the program', async (t) => {
  t.ok(existsSync(join(checkout, 'bin/sluice-lever')));
  for (const name of ['dhcpd.conf', 'apparmor-dhcpd', 'check-isc', 'kea-script'])
    t.match(await documented(name), '/opt/sluice/bin/sluice-lever', name);
  for (const name of ['kea-dhcp4.conf', 'apparmor-kea', 'kea-script', 'check-kea'])
    t.match(await documented(name), '/usr/share/kea/scripts/sluice-lever', name);
  const program = (
    await Promise.all(
      ['intake-ledger', 'hook-file'].map((name) => readFile(join(checkout, `src/dhcp/${name}.ts`), 'utf8')),
    )
  ).join('');
  const table = page.slice(page.indexOf('| what is seen | cause | do |'));
  const reasons = [...table.matchAll(/`(?:rejected\/…\.)?(open-folder|unreadable|foreign-file|torn)`/gu)].map(
    (match) => match[1]!,
  );
  t.same(new Set(reasons).size, 4);
  for (const reason of reasons) t.match(program, `'${reason}'`);
});
