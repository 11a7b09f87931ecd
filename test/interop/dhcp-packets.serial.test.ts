// Copies of a real relay: dhclient, dhcrelay and ISC dhcpd in namespaces, and our listener as the relay's second server. What dhcpd gave is known by
// leasequery, a release by the copy of it, and after an outage by leasequery again.

import t from 'tap';
import type { Test } from 'tap';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useSystemPrograms } from '../support/dhcp-network.js';
import { canMakeNamespaces, makeNamespace, run, type Namespace } from '../support/namespaces.js';
import { until } from '../support/until.js';

const child = fileURLToPath(new URL('dhcp-listening-child.ts', import.meta.url));
const server = '10.97.0.1';
const relay = '10.97.0.2';
const own = '10.97.0.3';
const mac = '02:00:00:00:c1:01';

async function whatIsMissing(): Promise<string | false> {
  useSystemPrograms();
  for (const program of ['dhcpd', 'dhcrelay', 'dhclient'])
    if (!(await run('sh', '-c', `command -v ${program}`).then(Boolean, () => false)))
      return `${program} is not installed`;
  return (await canMakeNamespaces()) ? false : 'no namespaces can be made here';
}
const skip = await whatIsMissing();

/** Joins two namespaces; the second end is put into a bridge when there is one. */
async function join2(
  one: Namespace,
  oneEnd: string,
  other: Namespace,
  otherEnd: string,
  bridge?: string,
): Promise<void> {
  await run(
    'ip',
    'link',
    'add',
    oneEnd,
    'netns',
    one.name,
    'type',
    'veth',
    'peer',
    'name',
    otherEnd,
    'netns',
    other.name,
  );
  if (bridge !== undefined) await other.run('ip', 'link', 'set', otherEnd, 'master', bridge);
  await one.run('ip', 'link', 'set', oneEnd, 'up');
  await other.run('ip', 'link', 'set', otherEnd, 'up');
}

/** A client, a relay that copies to two servers, and both servers. */
async function startNetwork(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-dhcp-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o777);
  const file = (name: string): string => join(folder, name);
  await writeFile(
    file('dhcpd.conf'),
    `authoritative; ddns-update-style none; default-lease-time 600; max-lease-time 600; allow leasequery;
     subnet 10.97.0.0 netmask 255.255.255.0 { }
     subnet 100.65.1.0 netmask 255.255.255.0 { range 100.65.1.10 100.65.1.20; option routers 100.65.1.1; }\n`,
  );
  await writeFile(file('leases'), '', { mode: 0o666 });
  await writeFile(
    file('script'),
    '#!/bin/sh\ncase $reason in BOUND) ip addr add "$new_ip_address/24" dev "$interface"; ip route add default via 100.65.1.1;; esac\n',
    { mode: 0o755 },
  );

  const [client, relaying, serving, sluice] = [
    await makeNamespace(t, 'client'),
    await makeNamespace(t, 'relay'),
    await makeNamespace(t, 'server'),
    await makeNamespace(t, 'sluice'),
  ];
  await relaying.sh(
    `sysctl -qw net.ipv4.ip_forward=1; ip link add core type bridge; ip link set core up; ip addr add ${relay}/24 dev core`,
  );
  await join2(client, 'c0', relaying, 'acc1');
  await join2(serving, 's0', relaying, 'to-s', 'core');
  await join2(sluice, 'l0', relaying, 'to-l', 'core');
  await relaying.run('ip', 'addr', 'add', '100.65.1.1/24', 'dev', 'acc1');
  await client.run('ip', 'link', 'set', 'c0', 'address', mac);
  for (const [namespace, device, address] of [
    [serving, 's0', server],
    [sluice, 'l0', own],
  ] as const)
    await namespace.sh(`ip addr add ${address}/24 dev ${device}; ip route add 100.65.0.0/16 via ${relay}`);

  serving.start(
    'dhcpd',
    '-4',
    '-q',
    '-f',
    '-cf',
    file('dhcpd.conf'),
    '-lf',
    file('leases'),
    '-pf',
    file('dhcpd.pid'),
    's0',
  );
  relaying.start('dhcrelay', '-4', '-q', '-d', '-a', '-id', 'acc1', '-iu', 'core', server, own);
  const isListening = async (namespace: Namespace): Promise<boolean> =>
    (await namespace.run('ss', '-uln', 'sport', '=', ':67')).includes(':67');
  await until(() => isListening(serving));
  await until(() => isListening(relaying));

  const listening = sluice.start(process.execPath, '--import', 'tsx', child, own, server, relay);
  const lines: string[] = [];
  let rest = '';
  listening.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const whole = (rest + text).split('\n');
    rest = whole.pop()!;
    lines.push(...whole);
  });
  await until(() => lines.includes('listening'));
  const dhclient = (...args: string[]): Promise<string> =>
    client.run(
      'dhclient',
      '-4',
      '-q',
      '-1',
      ...args,
      '-sf',
      file('script'),
      '-lf',
      file('client'),
      '-pf',
      file('dhclient.pid'),
      'c0',
    );
  return {
    dhclient,
    ask: (address: string) => listening.stdin!.write(`${address}\n`),
    told: () => lines.slice(1).map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

t.test('what a real relay copies, and what a real server says', { skip, timeout: 120_000 }, async (t) => {
  const { dhclient, ask, told } = await startNetwork(t);
  const line = { circuitId: Buffer.from('acc1').toString('hex'), remoteId: null, subscriberId: null };

  await dhclient();
  await until(() => told().length === 1);
  const [commit] = told();
  t.match(commit, { kind: 'commit', via: 'leasequery', source: 'relay', mac, line, timeDeclared: true });
  t.match(commit!['address'], /^100\.65\.1\.1\d$/);
  const secondsLeft = ((commit!['leaseEndsAtMs'] as number) - (commit!['receivedAtMs'] as number)) / 1_000;
  t.ok(secondsLeft > 590 && secondsLeft <= 600, `${String(secondsLeft)} s`);

  ask(commit!['address'] as string);
  await until(() => told().length === 3);
  t.match(told()[1], { kind: 'commit', via: 'leasequery', address: commit!['address'], mac, line });
  t.match(told()[2], { refreshed: { end: 'all', active: 1 } });

  await dhclient('-r');
  await until(() => told().length === 4);
  t.match(told()[3], { kind: 'release', via: 'packet', source: 'relay', address: commit!['address'], mac });

  ask(commit!['address'] as string);
  await until(() => told().length === 6);
  t.match(told()[4], { kind: 'expiry', via: 'leasequery', address: commit!['address'], mac: null });
  t.match(told()[5], { refreshed: { end: 'all', unassigned: 1 } });
});
