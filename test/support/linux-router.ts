/**
 * A Linux router with a subscriber behind it and the world before it, in network namespaces. Enters: the document page of the profile, which says how such a
 * router is set up. Leaves: an OpenSSH that can be logged in to, what the subscriber sees, what the router has. Invariant: all of it is gone when its test is.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { checkout } from '../config/conf-folder.js';
import { canMakeNamespaces, makeNamespace, run } from './namespaces.js';
import type { Namespace } from './namespaces.js';
import { until } from './until.js';

/** Address of the subscriber at home. */
export const subscriber = '100.64.3.7';
export const world = '203.0.113.2';
export const portal = '203.0.113.80';
/** The link that commands take. */
export const management = { host: '169.254.77.1', nas: '169.254.77.2' };

/** False, or why tests have to be skipped. */
export async function withoutLinuxRouter(): Promise<string | false> {
  const missing = ['/usr/sbin/sshd', '/usr/sbin/nft', '/usr/sbin/ip', '/usr/sbin/tc'].filter(
    (file) => !existsSync(file),
  );
  if (process.getuid?.() !== 0) return 'needs root';
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  return (await canMakeNamespaces()) ? false : 'network namespaces cannot be made here';
}

/** Code blocks of the document page, so that what it tells people to do is what is tried here. */
async function blocks(): Promise<{ readonly setup: string; readonly rules: string }> {
  const page = await readFile(join(checkout, 'docs/profiles/linux-nft-ssh.md'), 'utf8');
  const block = (language: string): string =>
    new RegExp(`\`\`\`${language} router\\n([^]*?)\`\`\``, 'u').exec(page)?.[1] ?? '';
  return { setup: block('sh'), rules: block('nft') };
}

export interface LinuxRouter {
  readonly router: Namespace;
  readonly home: Namespace;
  readonly outside: Namespace;
  /** Private key that logs in as root, in the form of OpenSSH. */
  readonly clientKey: string;
  readonly fingerprint: string;
  /** Empties the router and sets it up as after a start. */
  wipe(): Promise<void>;
  /** Everything that commands can have changed. */
  state(): Promise<string>;
}

/** Makes the router of the document page. */
export async function startLinuxRouter(t: Test): Promise<LinuxRouter> {
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
  const outer = `slc${process.pid}`;
  const unlink = () => run('ip', 'link', 'delete', outer).catch(() => undefined);
  // The kernel takes a namespace down when it has time: until then its other end would keep the name and the route.
  await unlink();
  t.teardown(unlink);
  await link(undefined, outer, `${management.host}/30`, router, 'eth9', `${management.nas}/30`);
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
  return {
    router,
    home,
    outside,
    clientKey: await readFile(join(folder, 'client'), 'utf8'),
    fingerprint: (await run('ssh-keygen', '-l', '-f', join(folder, 'host.pub'))).split(' ')[1] ?? '',
    async wipe() {
      await router.sh(
        `nft -f ${join(folder, 'rules.nft')}; for dev in sluice-down sluice-up; do tc qdisc del dev $dev root; tc qdisc replace dev $dev root handle 1: htb; done`,
      );
    },
    state: () => router.sh('nft list ruleset; tc class show dev sluice-down; tc class show dev sluice-up'),
  };
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

/** Programs that look at the world from where the subscriber is: one process, so that a look costs no start of one. */
export function viewFrom(
  home: Namespace,
): (url: string) => Promise<{ readonly text: string; readonly payloadBps: number }> {
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
