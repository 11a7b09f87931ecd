// A Linux router for real: OpenSSH, nftables and tc in a namespace, a subscriber behind it, the world before it. What the profile linux-nft-ssh says over
// SSH is what the subscriber sees.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { CommandName, PresentService } from '../../src/domain/service-state.js';
import type { EnforcementRun, RunResult } from '../../src/nas/driver.js';
import { HostKeyStore } from '../../src/nas/host-keys.js';
import { systemNasClock } from '../../src/nas/nas-clock.js';
import { sshTransportOf } from '../../src/nas/nas-transports.js';
import { compileProfile } from '../../src/nas/profile.js';
import { ProfileDriver } from '../../src/nas/profile-driver.js';
import { checkout, confFolder } from '../config/conf-folder.js';
import { present } from '../nas/command-context.js';
import { smallEncoder } from '../nas/small-dictionary.js';
import { canMakeNamespaces, makeNamespace, run } from '../support/namespaces.js';
import type { Namespace } from '../support/namespaces.js';
import { until } from '../support/until.js';

const subscriber = '100.64.3.7';
const world = '203.0.113.2';
const portal = '203.0.113.80';
const management = { host: '169.254.77.1', nas: '169.254.77.2' };

const missing = ['/usr/sbin/sshd', '/usr/sbin/nft', '/usr/sbin/ip', '/usr/sbin/tc'].filter((file) => !existsSync(file));
const skip =
  process.getuid?.() !== 0
    ? 'needs root'
    : missing.length > 0
      ? `not installed: ${missing.join(', ')}`
      : (await canMakeNamespaces())
        ? false
        : 'network namespaces cannot be made here';

/** Code blocks of the document page, so that what it tells people to do is what is tried here. */
async function blocks(): Promise<{ readonly setup: string; readonly rules: string }> {
  const page = await readFile(join(checkout, 'docs/profiles/linux-nft-ssh.md'), 'utf8');
  const block = (language: string): string =>
    new RegExp(`\`\`\`${language} router\\n([^]*?)\`\`\``, 'u').exec(page)?.[1] ?? '';
  return { setup: block('sh'), rules: block('nft') };
}

interface LinuxNas {
  readonly router: Namespace;
  readonly home: Namespace;
  readonly outside: Namespace;
  readonly driver: ProfileDriver;
  /** Empties the router and sets it up as after a start. */
  wipe(): Promise<void>;
  /** Everything that commands can have changed. */
  state(): Promise<string>;
}

async function linuxNas(t: Test, connections: number): Promise<LinuxNas> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-linux-nas-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const [router, home, outside] = [
    await makeNamespace(t, 'nas'),
    await makeNamespace(t, 'home'),
    await makeNamespace(t, 'world'),
  ];
  const link = async (
    left: Namespace | undefined,
    leftName: string,
    leftAddress: string,
    right: Namespace,
    rightName: string,
    rightAddress: string,
  ) => {
    await run(
      'ip',
      'link',
      'add',
      leftName,
      ...(left === undefined ? [] : ['netns', left.name]),
      'type',
      'veth',
      'peer',
      'name',
      rightName,
      'netns',
      right.name,
    );
    const there = left === undefined ? run : left.run.bind(left);
    await there('ip', 'address', 'add', leftAddress, 'dev', leftName);
    await there('ip', 'link', 'set', leftName, 'up');
    await right.run('ip', 'address', 'add', rightAddress, 'dev', rightName);
    await right.run('ip', 'link', 'set', rightName, 'up');
  };
  await link(undefined, `slc${process.pid}`, `${management.host}/30`, router, 'eth9', `${management.nas}/30`);
  await link(home, 'eth0', `${subscriber}/16`, router, 'eth1', '100.64.0.1/16');
  await link(outside, 'eth0', `${world}/24`, router, 'eth0', '203.0.113.1/24');
  await outside.run('ip', 'address', 'add', `${portal}/24`, 'dev', 'eth0');
  await home.run('ip', 'route', 'add', 'default', 'via', '100.64.0.1');
  await outside.run('ip', 'route', 'add', 'default', 'via', '203.0.113.1');
  const { setup, rules } = await blocks();
  await writeFile(join(folder, 'rules.nft'), rules);
  await router.sh(setup);
  await router.run('nft', '-f', join(folder, 'rules.nft'));
  for (const [address, port, text] of [
    [world, 80, 'the world'],
    [portal, 80, 'the portal'],
    [world, 8080, 'another port'],
  ] as const) {
    const server = `const { createServer } = require('node:http');
      const block = Buffer.alloc(2_000_000, 'x');
      createServer((request, reply) => reply.end(request.url === '/block' ? block : '${text}')).listen(${port}, '${address}', () => console.log('ready'));`;
    await new Promise((resolve) => outside.start(process.execPath, '-e', server).stdout?.once('data', resolve));
  }
  await startSshd(router, folder);
  return { router, home, outside, ...(await driverFor(t, folder, connections, router)) };

  async function driverFor(t: Test, folder: string, connections: number, router: Namespace) {
    const conf = await confFolder(t, {});
    await conf.write('conf/key', await readFile(join(folder, 'client'), 'utf8'));
    const fingerprint = (await run('ssh-keygen', '-l', '-f', join(folder, 'host.pub'))).split(' ')[1] ?? '';
    await conf.write(
      'conf/nas.d/linux.toml',
      `name = "linux"\naddress = "${management.nas}"\nprofile = "linux-nft-ssh"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\n` +
        `[ssh]\nuser = "root"\nkey_file = "key"\nhost_key = "${fingerprint}"\nconnections = ${connections}\n`,
    );
    const config = await conf.load();
    const entry = config.nas.find(({ name }) => name === 'linux')!;
    const profile = compileProfile(config.profiles['linux-nft-ssh']!, smallEncoder);
    const ssh = sshTransportOf(entry, profile, {
      hostKeys: new HostKeyStore(conf.root),
      onHostKeyRefused: () => undefined,
      clock: systemNasClock,
    });
    const driver = new ProfileDriver(profile.commands, { ssh: ssh! }, systemNasClock);
    t.teardown(() => driver.stop());
    const wipe = async (): Promise<void> => {
      await router.sh(
        `nft -f ${join(folder, 'rules.nft')}; for dev in sluice-down sluice-up; do tc qdisc del dev $dev root; tc qdisc replace dev $dev root handle 1: htb; done`,
      );
    };
    const state = (): Promise<string> =>
      router.sh('nft list ruleset; tc class show dev sluice-down; tc class show dev sluice-up');
    return { driver, wipe, state };
  }
}

async function startSshd(router: Namespace, folder: string): Promise<void> {
  for (const name of ['host', 'client'])
    await run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name));
  await run('mkdir', '-p', '/run/sshd');
  const settings = [
    `HostKey ${folder}/host`,
    `AuthorizedKeysFile ${folder}/client.pub`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'StrictModes no',
    'UsePAM no',
    `PidFile ${folder}/pid`,
    `ListenAddress ${management.nas}:22`,
    'LogLevel ERROR',
  ];
  await writeFile(join(folder, 'sshd_config'), settings.join('\n'));
  router.start('/usr/sbin/sshd', '-D', '-e', '-f', join(folder, 'sshd_config'));
  await until(async () => (await router.run('ss', '-Hltn', 'sport = :22')) !== '');
}

const ipv4Alone = { framedPrefix: null, delegatedPrefix: null };
const dual = { framedPrefix: '2001:db8:1::/64', delegatedPrefix: '2001:db8:100::/56' };

function runAt(
  address: string,
  id: number,
  names: readonly CommandName[],
  change: Partial<PresentService> = {},
  prefixes: { readonly framedPrefix: string | null; readonly delegatedPrefix: string | null } = ipv4Alone,
): EnforcementRun {
  const data: PresentService = { ...present, ...change, key: { ...present.key, address, ...prefixes } };
  return {
    enforcementId: id,
    subject: { subscriberId: id, accountId: 1, contract: 'C-1', plan: 'home' },
    session: null,
    commands: names.map((name) => ({ name, data, service: null })),
    desired: data,
  };
}

const failures = (results: readonly RunResult[]): string[] =>
  results.flatMap(({ results: commands }) =>
    commands.flatMap(({ command, outcome }) =>
      outcome.outcome === 'applied' ? [] : [`${command.name}: ${outcome.outcome} ${outcome.text}`],
    ),
  );

/** Programs that look at the world from where the subscriber is: one process, so that a look costs no start of one. */
function viewFrom(home: Namespace): (url: string) => Promise<{ readonly text: string; readonly payloadBps: number }> {
  const script = `require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
    const [id, url] = line.split(' ');
    const beganAt = performance.now();
    let text = 'nothing';
    try {
      text = await (await fetch(url, { signal: AbortSignal.timeout(url.endsWith('/block') ? 20000 : 700), headers: { connection: 'close' } })).text();
    } catch {}
    console.log(JSON.stringify({ id, text: text.slice(0, 40), payloadBps: text.length * 8000 / (performance.now() - beganAt) }));
  });`;
  const child = home.start(process.execPath, '-e', script);
  const waiting = new Map<string, (seen: { text: string; payloadBps: number }) => void>();
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { id, ...seen } = JSON.parse(line) as { id: string; text: string; payloadBps: number };
    waiting.get(id)?.(seen);
  });
  let asked = 0;
  return (url) =>
    new Promise((resolve) => {
      const id = String((asked += 1));
      waiting.set(id, resolve);
      child.stdin!.write(`${id} ${url}\n`);
    });
}

t.test('a subscriber of a Linux router', { skip, timeout: 120_000 }, async (t) => {
  const { router, home, driver, state } = await linuxNas(t, 1);
  const say = async (names: readonly CommandName[], change: Partial<PresentService> = {}): Promise<void> => {
    t.same(failures(await driver.run([runAt(subscriber, 17, names, change, dual)], () => true)), [], names.join(', '));
  };
  const look = viewFrom(home);
  const sees = async (): Promise<readonly string[]> =>
    (await Promise.all([look(`http://${world}/`), look(`http://${world}:8080/`)])).map(({ text }) => text);
  const open = ['the world', 'another port'];
  const closed = ['nothing', 'nothing'];
  const before = await state();

  t.same(await sees(), closed, 'whom nobody added does not pass');
  await say(['user_add']);
  t.same(await sees(), open, 'user_add');
  await say(['user_add']);
  t.match(
    await router.run('nft', 'list', 'set', 'inet', 'sluice', 'users'),
    `${subscriber} comment "sluice-17"`,
    'and it is named as ours',
  );

  t.match(await router.run('nft', 'list', 'set', 'inet', 'sluice', 'users6'), '2001:db8:1::/64');

  await say(['user_redirect']);
  t.same(await sees(), ['the portal', 'nothing'], 'user_redirect: the web goes to the portal, the rest is blocked');
  await say(['user_redirect']);
  await say(['user_redirect_cancel']);
  t.same(await sees(), open, 'user_redirect_cancel');

  await say(['own_disabled', 'user_redirect']);
  t.same(await sees(), closed, 'own_disabled');
  await say(['user_redirect_cancel']);
  t.same(await sees(), closed, 'one limit that ends does not end the other');
  await say(['own_disabled_cancel']);
  t.same(await sees(), open, 'own_disabled_cancel');
  await say(['user_drop']);
  t.same(await sees(), closed, 'user_drop');
  await say(['user_accept', 'user_accept']);
  t.same(await sees(), open, 'user_accept');

  for (const rate of [8_000_000, 16_000_000]) {
    await say(['user_rate_set'], { rate: { downBps: rate, upBps: 2_000_000 } });
    t.match(
      await router.run('tc', 'class', 'show', 'dev', 'sluice-down'),
      `rate ${rate / 1_000_000}Mbit`,
      'tc shows the rate',
    );
    t.match(await router.run('tc', 'class', 'show', 'dev', 'sluice-up'), 'rate 2Mbit');
    const measured = (await look(`http://${world}/block`)).payloadBps;
    t.comment(`${rate} bit/s asked for, ${Math.round(measured)} bit/s of payload measured`);
    t.ok(measured > rate * 0.75 && measured < rate * 1.1, 'and a transfer measures it');
  }
  await say(['user_rate_set'], { rate: { downBps: null, upBps: null } });
  t.match(await router.run('tc', 'class', 'show', 'dev', 'sluice-down'), 'rate 100Gbit', 'unlimited');

  const neighbour = '100.65.3.7';
  t.match(
    failures(await driver.run([runAt(neighbour, 18, ['user_add', 'user_drop'])], () => true)),
    [/user_add: refused .*File exists/u],
    'a second address with the same class is refused',
  );
  t.same(
    failures(await driver.run([runAt(neighbour, 18, ['user_del'])], () => true)),
    [],
    'and its deletion takes nothing from the first',
  );
  t.same(await sees(), open);

  t.match(await driver.read('user_info', runAt(subscriber, 17, ['user_add'])), { ok: true, output: /sluice-17/u });
  const listed = async (): Promise<unknown> => {
    const answer = await driver.list();
    return answer.ok
      ? answer.entries.map(({ subscriberId, address, policy }) => ({ subscriberId, address, policy }))
      : answer.outcome.text;
  };
  const entry = { subscriberId: 17, address: subscriber };
  const free = { blocked: false, redirect: false, ownDisabled: false };
  t.same(await listed(), [{ ...entry, policy: { ...free, downBps: null, upBps: null } }]);
  await say(['user_rate_set'], { rate: { downBps: 8_000_000, upBps: 1_234_567 } });
  await say(['user_redirect']);
  t.same(
    await listed(),
    [{ ...entry, policy: { ...free, redirect: true, downBps: 8_000_000, upBps: 1_234_000 } }],
    'with its limits and its rates, of which tc shows four digits',
  );
  await say(['user_redirect', 'own_disabled', 'user_drop']);
  t.match(await listed(), [{ policy: { blocked: true, redirect: true, ownDisabled: true } }]);
  await say(['user_del', 'user_del']);
  t.same(await sees(), closed, 'user_del');
  t.equal(await state(), before, 'nothing of the subscriber is left');
});

t.test('a router that was wiped is whole again within 30 s', { skip, timeout: 180_000 }, async (t) => {
  const { driver, wipe, state } = await linuxNas(t, 2);
  const before = await state();
  const count = 3_000;
  const address = (index: number): string => `100.64.${1 + (index >> 8)}.${index & 255}`;
  const everything = (names: readonly CommandName[]): EnforcementRun[] =>
    Array.from({ length: count }, (_, index) => runAt(address(index), index, names));
  const sayAll = async (names: readonly CommandName[]): Promise<number> => {
    const beganAt = performance.now();
    const runs = everything(names);
    for (let from = 0; from < count; from += driver.maxBatchRuns) {
      t.same(failures(await driver.run(runs.slice(from, from + driver.maxBatchRuns), () => true)), []);
    }
    return performance.now() - beganAt;
  };
  await sayAll(['user_add', 'user_rate_set']);
  const whole = await state();
  await wipe();
  t.equal(await state(), before, 'it was wiped');
  const tookMs = await sayAll(['user_add', 'user_rate_set']);
  t.comment(`${count} entries with their rates in ${Math.round(tookMs)} ms`);
  t.ok(tookMs <= 30_000, `${count} entries in ${Math.round(tookMs)} ms`);
  const sorted = (text: string): string[] =>
    text
      .split(/[\n,]/u)
      .map((line) => line.trim())
      .sort();
  t.same(sorted(await state()), sorted(whole), 'and is as it was');
  await sayAll(['user_del']);
  t.equal(await state(), before, 'and empty after all were deleted');
});
