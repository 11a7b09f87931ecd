/**
 * A DHCP server, a relay and a client in network namespaces. Enters: docs/dhcp.md, whose commands and files are what is tried. Leaves: a host for the server
 * with folders of its own below /etc, /opt, /run, /usr/share and /var/lib; a relay with its two links; a client. Invariants: nothing of this machine is
 * changed; all of it is gone when its test is.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { encodePacket, uint32Value } from '../../src/dhcp/encode-packet.js';
import { MessageType, Op, Option } from '../../src/dhcp/packet-number.js';
import { parseIpv4Address } from '../../src/domain/ipv4-address.js';
import { checkout } from '../config/conf-folder.js';
import { blocksOf } from './documented-blocks.js';
import { canMakeNamespaces, makeNamespace, run } from './namespaces.js';
import type { Namespace } from './namespaces.js';
import { until } from './until.js';

/** Hardware address of the client. */
export const clientMac = '02:00:00:00:c1:01';
/** The relay's link towards clients, as octets of a circuit-id: `eth1`. */
export const relayCircuitId = '65746831';

const programs = ['dhcpd', 'dhcrelay', 'dhclient', 'kea-dhcp4'];
/** Where programs are looked for; a test runner puts folders of packages before it, and one of them has another `dhcpd`. */
const systemPath = '/usr/sbin:/usr/bin:/sbin:/bin';

/** From now on programs of this process and its children are those of the system. */
export function useSystemPrograms(): void {
  process.env['PATH'] = systemPath;
}

/** False, or why tests have to be skipped. */
export async function withoutDhcpNetwork(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = ['ip', 'nsenter', 'setpriv', ...programs].filter(
    (name) => !systemPath.split(':').some((folder) => existsSync(join(folder, name))),
  );
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  return (await canMakeNamespaces()) ? false : 'network namespaces cannot be made here';
}

/** A block of docs/dhcp.md. @throws Error for a name that no block has, or several */
export async function documented(name: string): Promise<string> {
  const blocks = blocksOf(await readFile(join(checkout, 'docs/dhcp.md'), 'utf8')).filter(
    (block) => block.name === name,
  );
  if (blocks.length !== 1) throw new Error(`docs/dhcp.md has ${String(blocks.length)} blocks called ${name}`);
  return blocks[0]!.text;
}

export interface DhcpNetwork {
  readonly server: DhcpHost;
  readonly relay: Namespace;
  readonly client: DhcpClient;
}

/** The host of the DHCP server. */
export interface DhcpHost {
  /** The folder that is /var/lib/sluice-inbox there, as it is called here. */
  readonly inbox: string;
  /** Runs a script there. @throws when it fails */
  sh(script: string): Promise<string>;
  /** Writes a file there; folders are made. */
  write(path: string, content: string): Promise<void>;
  /** Starts a daemon there, and keeps what it says. */
  start(...command: readonly string[]): Daemon;
}

export interface Daemon {
  readonly child: ChildProcess;
  /** The end of what it has said so far. */
  said(): string;
}

/** The address of the host, and that of the relay on the link to it. */
const serverLink = { host: '10.0.0.1/24', relay: '10.0.0.2/24' };

/**
 * Makes the host of a DHCP server behind a router that is there already, with a subscriber on its link `eth1`. The router is the relay; it reaches the host by `eth2`.
 */
export async function joinDhcpNetwork(t: Test, relay: Namespace, home: Namespace): Promise<DhcpNetwork> {
  useSystemPrograms();
  const root = await newRoot(t);
  const host = await makeNamespace(t, 'dhcp');
  await link(relay, 'eth2', host, 'eth0');
  await home.run('ip', 'link', 'set', 'eth0', 'address', clientMac);
  // A relay tells servers the first address of the link.
  await relay.sh(
    `ip address flush dev eth1; ip address add 100.65.1.1/24 dev eth1; ip address add ${serverLink.relay} dev eth2`,
  );
  await host.sh(`ip address add ${serverLink.host} dev eth0; ip route add default via 10.0.0.2`);
  return { server: await hostOf(host, root), relay, client: await clientOf(home, root) };
}

async function newRoot(t: Test): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'sluice-dhcp-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  return root;
}

/** Makes the network, without anything that speaks DHCP yet. */
export async function startDhcpNetwork(t: Test): Promise<DhcpNetwork> {
  useSystemPrograms();
  const root = await newRoot(t);
  const [client, relay, host] = [
    await makeNamespace(t, 'client'),
    await makeNamespace(t, 'relay'),
    await makeNamespace(t, 'dhcp'),
  ];
  await link(client, 'eth0', relay, 'eth1');
  await link(relay, 'eth0', host, 'eth0');
  await client.run('ip', 'link', 'set', 'eth0', 'address', clientMac);
  await relay.sh(
    `ip address add 100.65.1.1/24 dev eth1; ip address add ${serverLink.relay} dev eth0; sysctl -qw net.ipv4.ip_forward=1`,
  );
  await host.sh(`ip address add ${serverLink.host} dev eth0; ip route add default via 10.0.0.2`);
  return { server: await hostOf(host, root), relay, client: await clientOf(client, root) };
}

async function link(left: Namespace, leftName: string, right: Namespace, rightName: string): Promise<void> {
  const ends = ['type', 'veth', 'peer', 'name', rightName, 'netns', right.name];
  await run('ip', 'link', 'add', 'name', leftName, 'netns', left.name, ...ends);
  await left.run('ip', 'link', 'set', leftName, 'up');
  await right.run('ip', 'link', 'set', rightName, 'up');
}

/** Folders of the host that are its own, by their place below `root`. */
async function hostOf(namespace: Namespace, root: string): Promise<DhcpHost> {
  await cp('/etc', join(root, 'etc'), { recursive: true, verbatimSymlinks: true });
  await appendFile(join(root, 'etc/passwd'), 'sluice:x:64999:64999::/var/lib/sluice:/usr/sbin/nologin\n');
  await appendFile(join(root, 'etc/group'), 'sluice:x:64999:\n');
  for (const folder of ['opt/sluice/bin', 'var/lib/dhcp', 'var/lib/kea'])
    await mkdir(join(root, folder), { recursive: true });
  await copyFile(join(checkout, 'bin/sluice-lever'), join(root, 'opt/sluice/bin/sluice-lever'));
  for (const folder of ['', 'etc', 'opt', 'opt/sluice', 'opt/sluice/bin', 'var', 'var/lib'])
    await chmod(join(root, folder), 0o755);
  const mounts = [
    ...['etc', 'opt', 'var/lib'].map((folder) => `mount --bind ${join(root, folder)} /${folder}`),
    ...['run', 'usr/share'].map((folder) => `mount -t tmpfs -o mode=755 tmpfs /${folder}`),
    'chown _kea /var/lib/kea',
    'install -d -o _kea /run/kea /run/lock/kea',
    'echo ready',
    'exec sleep infinity',
  ];
  // A process that stays keeps the mounts for all that come after it.
  const keeper = namespace.start('unshare', '--mount', '--propagation', 'private', 'sh', '-ec', mounts.join('\n'));
  const lines = createInterface({ input: keeper.stdout! });
  await new Promise<void>((resolve, reject) => {
    lines.once('line', () => resolve());
    keeper.once('exit', () => reject(new Error('the host of the DHCP server could not be made')));
  });
  const inside = ['nsenter', '--target', String(keeper.pid), '--mount', '--net'] as const;
  return {
    inbox: join(root, 'var/lib/sluice-inbox'),
    sh: (script) => run(...inside, 'sh', '-ec', script),
    async write(path, content) {
      const file = path.startsWith('/var/lib/') || path.startsWith('/etc/') ? join(root, path) : undefined;
      if (file === undefined) throw new Error(`${path} is not below a folder that can be written from here`);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content, { mode: 0o644 });
    },
    start: (...command) => daemonOf(namespace.start(...inside, ...command)),
  };
}

/** Waits until a daemon says something. @throws Error with all that it said instead */
export async function untilSaid(daemon: Daemon, words: string): Promise<void> {
  await until(() => daemon.said().includes(words) || daemon.child.exitCode !== null).catch(() => undefined);
  if (!daemon.said().includes(words)) throw new Error(`it never said "${words}", but:\n${daemon.said()}`);
}

/** A daemon of a namespace, and what it says. */
export function daemonOf(child: ChildProcess): Daemon {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, said: () => text.slice(-8_000) };
}

export interface DhcpClient {
  /** Asks for a lease and renews it until told otherwise. */
  start(): Daemon;
  /** Gives the lease back, and ends. */
  release(): Promise<void>;
  /** Goes away without a word. */
  vanish(): Promise<void>;
  /** Says that somebody else has the address that this server gave (RFC 2131 §3.1.5). */
  decline(address: string, server: string): Promise<void>;
  /** The address that it has, or undefined. */
  address(): Promise<string | undefined>;
}

/** What dhclient calls: it takes the address and the route, and nothing else of this machine. */
const clientScript = `#!/bin/sh
case $reason in
  BOUND | RENEW | REBIND | REBOOT)
    ip address replace "$new_ip_address/24" dev "$interface"
    [ -z "$new_routers" ] || ip route replace default via "\${new_routers%% *}" ;;
  EXPIRE | FAIL | RELEASE | STOP) ip address flush dev "$interface" ;;
esac
exit 0
`;

async function clientOf(namespace: Namespace, root: string): Promise<DhcpClient> {
  const folder = join(root, 'client');
  await mkdir(folder);
  await writeFile(join(folder, 'script'), clientScript, { mode: 0o755 });
  const files = [
    '-cf',
    '/dev/null',
    '-sf',
    join(folder, 'script'),
    '-lf',
    join(folder, 'leases'),
    '-pf',
    join(folder, 'pid'),
  ];
  let running: Daemon | undefined;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const child = running?.child;
    running = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  return {
    start() {
      running = daemonOf(namespace.start('dhclient', '-4', '-d', '-v', ...files, 'eth0'));
      return running;
    },
    async release() {
      await namespace.run('dhclient', '-4', '-r', ...files, 'eth0');
      await end('SIGKILL');
    },
    async vanish() {
      await end('SIGKILL');
      await namespace.run('ip', 'address', 'flush', 'dev', 'eth0');
      await rm(join(folder, 'leases'), { force: true });
    },
    async decline(address, server) {
      const packet = encodePacket(
        { op: Op.request, xid: 0xdec1, htype: 1, chaddr: Buffer.from(clientMac.replaceAll(':', ''), 'hex') },
        [
          [Option.messageType, Buffer.of(MessageType.decline)],
          [Option.requestedAddress, uint32Value(parseIpv4Address(address)!)],
          [Option.serverIdentifier, uint32Value(parseIpv4Address(server)!)],
        ],
      );
      const send = `const socket = require('node:dgram').createSocket('udp4');
        socket.bind(68, () => {
          socket.setBroadcast(true);
          socket.send(Buffer.from('${packet.toString('hex')}', 'hex'), 67, '255.255.255.255', () => socket.close());
        });`;
      await end('SIGKILL');
      await namespace.sh('ip route replace 255.255.255.255 dev eth0');
      await namespace.run(process.execPath, '-e', send);
    },
    async address() {
      return /inet (\S+)\//u.exec(await namespace.run('ip', '-4', 'address', 'show', 'dev', 'eth0'))?.[1];
    },
  };
}
