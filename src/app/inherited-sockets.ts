/**
 * Sockets that a supervisor opened for us and holds over a restart (sd_listen_fds(3)). Enters: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES of
 * the environment, and what /proc says of each descriptor. Leaves: which descriptor serves which configured address.
 * Invariants: a descriptor is looked at without reading from it, so nothing that waits in it is lost; one that fits no address
 * is never used silently; the variables are gone afterwards, so no child takes the sockets for its own.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { formatEndpoint, type Endpoint } from '../config/endpoint.js';

/** The first descriptor that is passed: SD_LISTEN_FDS_START. */
const FIRST_DESCRIPTOR = 3;
/** More than all addresses that a configuration can name: 16 for logins, 16 for accounting, the page. */
const MAX_DESCRIPTORS = 64;
/** State of a listening TCP socket in /proc/net/tcp: TCP_LISTEN of the kernel's tcp_states.h. */
const TCP_LISTEN = '0A';

export type Protocol = 'udp' | 'tcp';

/** One descriptor as it was found. */
export interface InheritedSocket {
  readonly descriptor: number;
  /** FileDescriptorName= of its unit; by default the name of the unit. */
  readonly name: string;
  /** Undefined: no bound UDP and no listening TCP socket. */
  readonly bound: { readonly protocol: Protocol; readonly endpoint: Endpoint } | undefined;
}

/** What the supervisor passed cannot be used as it is. */
export class InheritedSocketError extends Error {
  override readonly name = 'InheritedSocketError';
}

/** How /proc is read: a function, so that tests need no real descriptors. */
export interface DescriptorFacts {
  /** `socket:[12345]`, or undefined when the descriptor is not open. */
  readonly link: (descriptor: number) => string | undefined;
  /** `/proc/self/net/udp` and its likes, or undefined when there is no such table (a kernel without IPv6). */
  readonly table: (name: 'udp' | 'udp6' | 'tcp' | 'tcp6') => string | undefined;
}

const realFacts: DescriptorFacts = {
  link: (descriptor) => orUndefined(() => readlinkSync(`/proc/self/fd/${String(descriptor)}`)),
  table: (name) => orUndefined(() => readFileSync(`/proc/self/net/${name}`, 'latin1')),
};

function orUndefined(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * Takes what is meant for this process, and removes the variables.
 *
 * @param environment changed: LISTEN_* are deleted
 * @param pid of this process; variables for another one mean nothing
 * @throws InheritedSocketError when the variables make no sense
 */
export function takeInheritedSockets(
  environment: NodeJS.ProcessEnv,
  pid: number,
  facts: DescriptorFacts = realFacts,
): readonly InheritedSocket[] {
  const { LISTEN_PID: listenPid, LISTEN_FDS: listenFds, LISTEN_FDNAMES: listenNames = '' } = environment;
  delete environment['LISTEN_PID'];
  delete environment['LISTEN_FDS'];
  delete environment['LISTEN_FDNAMES'];
  if (listenFds === undefined || listenPid !== String(pid)) return [];
  const count = /^\d{1,4}$/.test(listenFds) ? Number(listenFds) : NaN;
  if (!(count >= 0 && count <= MAX_DESCRIPTORS))
    throw new InheritedSocketError(
      `LISTEN_FDS says ${JSON.stringify(listenFds)}; a socket unit passes 0 to ${String(MAX_DESCRIPTORS)} descriptors: correct sluice.socket`,
    );
  const names = listenNames.split(':');
  const bound = boundSockets(facts);
  return Array.from({ length: count }, (_, index) => {
    const descriptor = FIRST_DESCRIPTOR + index;
    const inode = /^socket:\[(\d+)\]$/.exec(facts.link(descriptor) ?? '')?.[1];
    return { descriptor, name: names[index] ?? '', bound: inode === undefined ? undefined : bound.get(inode) };
  });
}

type Bound = NonNullable<InheritedSocket['bound']>;

/** Sockets that wait for packets or connections, by inode. */
function boundSockets(facts: DescriptorFacts): ReadonlyMap<string, Bound> {
  const found = new Map<string, Bound>();
  for (const name of ['udp', 'udp6', 'tcp', 'tcp6'] as const) {
    const protocol = name.startsWith('udp') ? 'udp' : 'tcp';
    for (const line of (facts.table(name) ?? '').split('\n').slice(1)) {
      // Columns: sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode (proc_net_tcp in the kernel's documents).
      const columns = line.trim().split(/\s+/);
      const [, local, , state] = columns;
      const inode = columns[9];
      const endpoint = endpointOf(local ?? '');
      if (endpoint === undefined || inode === undefined || (protocol === 'tcp' && state !== TCP_LISTEN)) continue;
      found.set(inode, { protocol, endpoint });
    }
  }
  return found;
}

/** `0100007F:0714`: 32-bit words in the byte order of this machine, and the port in hex. */
function endpointOf(text: string): Endpoint | undefined {
  const match = /^((?:[0-9A-F]{8}){1}|(?:[0-9A-F]{8}){4}):([0-9A-F]{4})$/.exec(text);
  if (match === null) return undefined;
  const words = match[1]!.match(/.{8}/g)!;
  const octets = Buffer.concat(words.map(inNetworkOrder));
  const port = Number.parseInt(match[2]!, 16);
  if (octets.length === 4) return { address: octets.join('.'), port, family: 'ipv4' };
  const groups = Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(index * 2).toString(16));
  return { address: compressed(groups.join(':')), port, family: 'ipv6' };
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function inNetworkOrder(word: string): Buffer {
  const octets = Buffer.from(word, 'hex');
  return isLittleEndian ? octets.reverse() : octets;
}

/** One spelling for each IPv6 address (RFC 5952), by the parser of URLs. */
function compressed(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

const key = (protocol: Protocol, { address, port, family }: Endpoint): string =>
  `${protocol} ${family === 'ipv6' ? compressed(address) : address} ${String(port)}`;

/** Hands each descriptor to the one listener that it is for. */
export class InheritedSockets {
  readonly #unused: Map<string, InheritedSocket>;
  readonly #misfits: readonly InheritedSocket[];
  readonly #count: number;

  /** @throws InheritedSocketError when two descriptors have one address: the kernel would share its packets among both */
  constructor(sockets: readonly InheritedSocket[]) {
    this.#count = sockets.length;
    this.#unused = new Map();
    for (const socket of sockets) {
      if (socket.bound === undefined) continue;
      const place = key(socket.bound.protocol, socket.bound.endpoint);
      if (this.#unused.has(place))
        throw new InheritedSocketError(
          `the socket units pass ${formatEndpoint(socket.bound.endpoint)}/${socket.bound.protocol} twice: remove one of the lines, and ReusePort= with it`,
        );
      this.#unused.set(place, socket);
    }
    this.#misfits = sockets.filter((socket) => socket.bound === undefined);
  }

  /** Whether the supervisor passed any. */
  get areThere(): boolean {
    return this.#count > 0;
  }

  /**
   * The descriptor of an address; each is given once.
   *
   * @returns undefined: the server binds by itself
   * @throws InheritedSocketError when a socket unit holds the port under another address, so that binding must fail
   */
  take(protocol: Protocol, endpoint: Endpoint): number | undefined {
    const place = key(protocol, endpoint);
    const socket = this.#unused.get(place);
    if (socket !== undefined) {
      this.#unused.delete(place);
      return socket.descriptor;
    }
    const rival = [...this.#unused.values()].find(
      ({ bound }) => bound?.protocol === protocol && isInTheWay(bound.endpoint, endpoint),
    );
    if (rival?.bound === undefined) return undefined;
    throw new InheritedSocketError(
      `${rival.name || 'a socket unit'} holds ${formatEndpoint(rival.bound.endpoint)}/${protocol}, and sluice.toml says ${formatEndpoint(endpoint)}: ` +
        'make the two equal (systemctl edit sluice.socket, or the address in sluice.toml)',
    );
  }

  /** What nobody took, in words for the log, with the remedy. */
  *leftOver(): Generator<string> {
    for (const { descriptor, name } of this.#misfits)
      yield `descriptor ${String(descriptor)} (${name || 'without a name'}) is neither a bound UDP nor a listening TCP socket: write ListenDatagram=ADDRESS:PORT for RADIUS, ListenStream=ADDRESS:PORT for the status page`;
    for (const { name, bound } of this.#unused.values()) {
      if (bound === undefined) continue;
      const option = bound.protocol === 'udp' ? 'radius.auth or radius.accounting' : 'status.listen';
      yield (
        `${name || 'a socket unit'} holds ${formatEndpoint(bound.endpoint)}/${bound.protocol}, which nothing here serves: what arrives there waits unread; ` +
        `add it to ${option} in sluice.toml, or remove it from the unit`
      );
    }
  }
}

/** Whether both cannot be bound at once: one port, and one of them is every address of the family. */
function isInTheWay(one: Endpoint, other: Endpoint): boolean {
  if (one.port !== other.port || one.family !== other.family) return false;
  const isEvery = ({ address }: Endpoint): boolean => address === '0.0.0.0' || address === '::';
  return isEvery(one) || isEvery(other);
}
