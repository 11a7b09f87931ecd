/**
 * The section `[dhcp]` of `conf/sluice.toml`: where copies of relayed DHCP packets arrive, and from whom.
 *
 * Enters: nothing; this is the table that the reader validates against and that the documentation is made from.
 * Leaves: one strict zod schema.
 * Invariant: a relay comes out with networks as numbers; neither everybody nor a relay that cannot be told from another one passes.
 */
import { z } from 'zod';
import { parseEndpoint } from './endpoint.js';
import { parseIpAddress, parseIpNetwork } from './ip-network.js';
import { endpoint, name, onOff, wholeNumber } from './setting.js';

// More relays than this share networks.
const maxRelays = 1_024;
// One relay with more addresses than this has a network.
const maxNetworks = 64;
// A relay forwards to a few servers.
const maxServers = 8;
// Where DHCP servers listen (RFC 2131 §4.1).
const dhcpServerPort = 67;

/** Addresses of IPv4 alone; a single one has a prefix of 32 bits. */
function ipv4Network() {
  return z.string().transform((text, context): { address: number; prefixLength: number } => {
    const result = parseIpNetwork(text);
    const problem = networkProblem(result);
    if (problem === undefined && result.ok)
      return { address: Number(result.network.value), prefixLength: result.network.prefixLength };
    context.addIssue({
      code: 'custom',
      message: problem ?? 'is not an IP address or network',
      params: {
        remedy: result.ok
          ? 'write an IPv4 address such as "10.0.0.2" or a network such as "10.0.0.0/24"'
          : result.remedy,
      },
    });
    return z.NEVER;
  });
}

function networkProblem(result: ReturnType<typeof parseIpNetwork>): string | undefined {
  if (!result.ok) return result.problem;
  if (result.network.family !== 4) return 'is an IPv6 address, which no DHCPv4 packet has';
  return result.network.prefixLength === 0 ? 'is every address' : undefined;
}

function networks() {
  return z
    .union([ipv4Network(), z.array(ipv4Network()).min(1).max(maxNetworks)])
    .transform((one) => (Array.isArray(one) ? one : [one]));
}

function ipv4Endpoint() {
  return endpoint().refine(({ family }) => family === 'ipv4', {
    abort: true,
    message: 'is an IPv6 address, where no DHCPv4 packet arrives',
    params: { remedy: 'write an IPv4 address and port 67, such as "10.0.0.1:67"' },
  });
}

/** `ADDRESS` or `ADDRESS:PORT`, of another host. */
function leaseServer() {
  return z.string().transform((text, context): { address: string; port: number } => {
    const withPort = parseEndpoint(text.includes(':') ? text : `${text}:${String(dhcpServerPort)}`);
    const address = withPort.ok ? parseIpAddress(withPort.endpoint.address) : undefined;
    if (withPort.ok && withPort.endpoint.port !== 0 && address?.family === 4 && address.value !== 0n)
      return { address: withPort.endpoint.address, port: withPort.endpoint.port };
    context.addIssue({
      code: 'custom',
      message: 'is not the IPv4 address of a DHCP server',
      params: { remedy: 'write an address such as "10.0.0.1", or "10.0.0.1:67" with its port' },
    });
    return z.NEVER;
  });
}

const relay = z
  .strictObject({
    name: name().describe('Names the relay in events, logs and metrics. Unique.'),
    source: networks().describe(
      'Where its packets come from: an IPv4 address, a network, or a list of them. Packets of others are dropped and counted. Of two networks that ' +
        'overlap the longer prefix counts.',
    ),
    giaddr: networks().describe(
      'What it writes into giaddr: its addresses towards clients, or their network. A packet needs both a listed source and a giaddr of the same ' +
        'relay. "0.0.0.0" admits copies of packets that clients sent to the server directly, as renewals are.',
    ),
    trusted: onOff(
      false,
      'Whether its DHCPREQUESTs count as leases that were given. No server has agreed to them yet, and some are refused; so only where ' +
        'neither a hook of the DHCP server nor leasequery is to be had. Without it they are hints.',
    ),
    acks: onOff(
      false,
      'Whether this source shows DHCPACKs of a server, as a mirrored port or the server itself does. They count as leases, with their end; from ' +
        'other sources they are dropped.',
    ),
    leasequery_servers: z
      .array(leaseServer())
      .max(maxServers)
      .prefault([])
      .describe(
        'DHCP servers that are asked what came of a DHCPREQUEST (RFC 4388), each "ADDRESS" or "ADDRESS:PORT". They answer to port 67 of this ' +
          'host, so dhcp.listen needs that port.',
      ),
  })
  .superRefine(({ trusted, leasequery_servers }, context) => {
    if (!trusted || leasequery_servers.length === 0) return;
    context.addIssue({
      code: 'custom',
      path: ['trusted'],
      message: 'is true beside leasequery_servers, who would not be asked',
      params: { remedy: 'take one of the two out' },
    });
  });

type RelayFile = z.output<typeof relay>;

const leasedNetwork = z.strictObject({
  network: networks().describe(
    'Addresses that DHCP servers give: an IPv4 network, or a list of them. Of two that overlap the longer prefix counts.',
  ),
  nas: name().describe('The NAS that opens them for subscribers who are bound to none.'),
});

/** The section `[dhcp]`. */
export const dhcp = z
  .strictObject({
    listen: z
      .array(ipv4Endpoint())
      .max(16)
      .prefault([])
      .describe(
        'Where copies of relayed DHCPv4 packets arrive, normally port 67. Empty: nowhere. It never answers a client: give it to relays as one more ' +
          'server. Port 67 needs a socket unit or CAP_NET_BIND_SERVICE, and a host without a DHCP server or relay of its own on that address.',
      ),
    relays: z
      .array(relay)
      .max(maxRelays)
      .prefault([])
      .describe('Who may send, one [[dhcp.relays]] table each. Nobody else is listened to.'),
    routing_domain: name().default('default').describe('The routing domain of all leases, as pools and NASes name it.'),
    networks: z
      .array(leasedNetwork)
      .max(maxRelays)
      .prefault([])
      .describe(
        'Which NAS serves which addresses, one [[dhcp.networks]] table each. A subscriber who is bound to a NAS is served there. Without either a lease is ' +
          'counted and shown, and opens nothing.',
      ),
    ignore_networks: z
      .array(ipv4Network())
      .max(maxNetworks)
      .prefault([])
      .describe('Addresses of set-top boxes, telephones and management: their events are counted and go no further.'),
    receive_buffer_bytes: wholeNumber(
      { min: 65_536, max: 268_435_456, default: 4_194_304 },
      'What the kernel may hold while the event loop is busy: some 7,000 packets. It grants at most net.core.rmem_max.',
    ),
    max_held_requests: wholeNumber(
      { min: 16, max: 1_000_000, default: 10_000 },
      'DHCPREQUESTs that wait for a leasequery at most. Beyond it they are passed on as hints, and counted. A whole city that comes back from a ' +
        'power cut fits.',
    ),
    max_leasequeries: wholeNumber(
      { min: 1, max: 10_000, default: 256 },
      'Leasequeries to one server that may be without an answer at once. At 5 ms an answer that is 50,000 a second; a server that is down costs no more.',
    ),
  })
  .superRefine(({ listen, relays }, context) => {
    if (listen.length > 0 && relays.length === 0)
      context.addIssue({
        code: 'custom',
        path: ['listen'],
        message: 'is set, and every packet would be dropped, since no relay is listed',
        params: { remedy: 'add a [[dhcp.relays]] table for each relay, or remove it' },
      });
    for (const { path, message, remedy } of likeness(relays))
      context.addIssue({ code: 'custom', path: ['relays', ...path], message, params: { remedy } });
  })
  .prefault({})
  .describe(
    'Copies of relayed DHCP packets: what clients ask for, where no hook of the DHCP server can tell what they got. Off until an address is named.',
  );

/** Relays that cannot be told apart, by name or by packet. */
function* likeness(
  relays: readonly RelayFile[],
): Generator<{ path: (string | number)[]; message: string; remedy: string }> {
  const names = new Map<string, number>();
  const places = new Map<string, string>();
  for (const [index, { name: ownName, source, giaddr }] of relays.entries()) {
    if (names.has(ownName))
      yield {
        path: [index, 'name'],
        message: 'is the name of another relay too',
        remedy: 'give each a name of its own',
      };
    names.set(ownName, index);
    const own = new Set(
      source.flatMap((from) => giaddr.map((one) => [from, one].map((n) => `${n.address}/${n.prefixLength}`).join(' '))),
    );
    const rival = [...own].map((place) => places.get(place)).find((other) => other !== undefined);
    if (rival !== undefined)
      yield {
        path: [index, 'giaddr'],
        message: `and source are those of ${rival} too, so a packet would belong to both`,
        remedy: 'let one of them differ',
      };
    for (const place of own) if (!places.has(place)) places.set(place, ownName);
  }
}
