// What each DHCP message means: an event, or the reason why it means nothing.

import t from 'tap';
import { meaningOf, commitOf } from '../../src/dhcp/packet-event.js';
import type { KnownLease } from '../../src/dhcp/lease-query.js';
import { decodeOption82 } from '../../src/dhcp/option82.js';
import type { Relay } from '../../src/dhcp/relay-table.js';
import { decoded, fromHex, olt7, packetOf, samples } from './sample-packets.js';

const atMs = 1_700_000_000_000;
const plain: Relay = { name: 'olt-7', source: [], giaddr: [], trusted: false, acks: false, leasequeryServers: [] };
const trusted = { ...plain, trusted: true };
const shows = { ...plain, acks: true };

const event = {
  eventAtMs: atMs,
  timeDeclared: false,
  receivedAtMs: atMs,
  via: 'packet',
  source: 'olt-7',
  address: '100.65.2.10',
  mac: '02:00:00:00:c2:01',
  leaseEndsAtMs: null,
  line: olt7,
};

t.test('real messages', async (t) => {
  const table: readonly [what: string, datagram: Buffer, relay: Relay, expected: object][] = [
    ['a DHCPREQUEST names the address in option 50', samples.request(), plain, { ...event, kind: 'request' }],
    ['a renewal names it in ciaddr', samples.renewal(), plain, { ...event, kind: 'request' }],
    ['one past the relay has no line', samples.directRenewal(), plain, { ...event, kind: 'request', line: null }],
    ['of a trusted relay', samples.request(), trusted, { ...event, kind: 'commit' }],
    ['a renewal of a trusted relay', samples.renewal(), trusted, { ...event, kind: 'commit' }],
    ['a DHCPRELEASE', samples.release(), plain, { ...event, kind: 'release' }],
    ['a DHCPRELEASE of a trusted relay', samples.release(), trusted, { ...event, kind: 'release' }],
    ['a DHCPDECLINE', samples.decline(), plain, { ...event, kind: 'decline' }],
    ['a DHCPACK', samples.ack(), shows, { ...event, kind: 'commit', leaseEndsAtMs: atMs + 20_000 }],
  ];
  for (const [what, datagram, relay, expected] of table)
    t.same(meaningOf(decoded(datagram), relay, atMs), { meaning: 'event', event: expected }, what);
});

const client = '0101060116df0a2800000000640000000000000000000000 64410201 02000000c201'.replaceAll(' ', '');
const server = `02${client.slice(2)}`.replace('64000000', '00000000');
const reply = (yiaddr: string) => server.slice(0, 32) + yiaddr + server.slice(40);

t.test('what means nothing has its reason', async (t) => {
  const table: readonly [what: string, datagram: Buffer, relay: Relay, reason: string][] = [
    ['a DHCPDISCOVER', samples.discover(), trusted, 'discover'],
    ['a DHCPOFFER', samples.offer(), shows, 'offer'],
    ['a DHCPNAK', samples.nak(), shows, 'nak'],
    ['a DHCPINFORM', samples.inform(), trusted, 'inform'],
    ['a DHCPACK to a DHCPINFORM', packetOf(server, '350105 33040000000a ff'), shows, 'inform'],
    ['a leasequery of somebody else', samples.leaseQuery(), plain, 'other-message'],
    ['a message type of the future', packetOf(client, '3501ff ff'), plain, 'other-message'],
    ['a DHCPACK where none is expected', samples.ack(), trusted, 'ack-not-allowed'],
    ['a DHCPREQUEST of a server', packetOf(server, '350103 32046441020a ff'), trusted, 'wrong-op'],
    ['a DHCPRELEASE of a server', packetOf(server, '350107 ff'), plain, 'wrong-op'],
    ['a DHCPDECLINE of a server', packetOf(server, '350104 32046441020a ff'), plain, 'wrong-op'],
    ['a DHCPACK of a client', packetOf(client, '350105 ff'), shows, 'wrong-op'],
    ['a DHCPREQUEST for nothing', packetOf(client.replace('64000000', '00000000'), '350103 ff'), plain, 'no-address'],
    ['a DHCPREQUEST for everybody', packetOf(client, '350103 3204ffffffff ff'), plain, 'no-address'],
    ['a DHCPREQUEST for 0.0.0.0 in option 50', packetOf(client, '350103 320400000000 ff'), plain, 'no-address'],
    ['a DHCPRELEASE of loopback', packetOf(client.replace('64000000', '7f000001'), '350107 ff'), plain, 'no-address'],
    ['a DHCPDECLINE without option 50', packetOf(client, '350104 ff'), plain, 'no-address'],
    ['a DHCPACK for a group', packetOf(reply('e0000001'), '350105 ff'), shows, 'no-address'],
  ];
  for (const [what, datagram, relay, reason] of table)
    t.same(meaningOf(decoded(datagram), relay, atMs), { meaning: 'none', reason }, what);
});

t.test('an option 82 that lies about a length names no line, and is told as it came', async (t) => {
  const nothing = { circuitId: null, remoteId: null, subscriberId: null, switchMac: null, switchPort: null };
  const table: readonly [what: string, options: string, kind: string, lying: string][] = [
    ['a DHCPREQUEST', '350103 3204644200aa 5206 0102aabb 0241 ff', 'commit', '0102aabb0241'],
    ['a DHCPRELEASE', '350107 5201 01 ff', 'release', '01'],
  ];
  for (const [what, options, kind, lying] of table)
    t.match(
      meaningOf(decoded(packetOf(client, options)), trusted, atMs),
      { meaning: 'event', event: { kind, line: { ...nothing, lying } } },
      what,
    );
  const long = '01'.repeat(302);
  const split = packetOf(client, `350107 52ff ${long.slice(0, 510)} 522f ${long.slice(510)} ff`);
  t.match(
    meaningOf(decoded(split), plain, atMs),
    { event: { line: { lying: long.slice(0, 510) } } },
    'its beginning, where it is longer than an option',
  );
});

t.test('what an event does not tell is null', async (t) => {
  const table: readonly [what: string, datagram: Buffer, expected: object][] = [
    ['no MAC', packetOf(client.slice(0, -12), '350103 ff'), { mac: null, address: '100.0.0.0' }],
    ['an endless lease', packetOf(reply('64000001'), '350105 3304ffffffff ff'), { leaseEndsAtMs: null }],
    ['no lease time', packetOf(reply('64000001'), '350105 ff'), { leaseEndsAtMs: null }],
    ['an empty option 82', packetOf(client, '350103 5200 ff'), { line: null }],
    ['an option 82 without identifiers', packetOf(client, '350103 5203 0a0180 ff'), { line: null }],
    [
      'an option 82 with a link that nobody can read',
      packetOf(client, '350103 5206 0501aa 0101bb ff'),
      { line: { ...olt7, circuitId: 'bb', remoteId: null, subscriberId: null } },
    ],
  ];
  for (const [what, datagram, expected] of table)
    t.match(meaningOf(decoded(datagram), shows, atMs), { meaning: 'event', event: expected }, what);
});

t.test('the commit that a leasequery proves', async (t) => {
  const lease: KnownLease = {
    address: '100.65.2.10',
    mac: '02:00:00:00:c2:01',
    leaseSeconds: 3_600,
    lastTransactionSeconds: 10,
    line: decodeOption82(fromHex('0102aabb')),
    clientId: null,
    associated: [],
  };
  const heard = { source: 'olt-7', atMs, line: null };
  const whole = commitOf(lease, heard);
  t.same(whole, {
    ...event,
    kind: 'commit',
    via: 'leasequery',
    eventAtMs: atMs - 10_000,
    timeDeclared: true,
    leaseEndsAtMs: atMs + 3_600_000,
    line: { ...olt7, circuitId: 'aabb', remoteId: null, subscriberId: null },
  });
  const table: readonly [what: string, change: Partial<KnownLease>, line: typeof olt7 | null, expected: object][] = [
    ['no time', { lastTransactionSeconds: null }, null, { eventAtMs: atMs, timeDeclared: false }],
    ['no end', { leaseSeconds: null }, null, { leaseEndsAtMs: null }],
    ['the line that the relay said just now', {}, olt7, { line: olt7 }],
    ['no line', { line: null }, null, { line: null }],
    ['a lying line', { line: decodeOption82(fromHex('0102aabb02')) }, null, { line: null }],
  ];
  for (const [what, change, line, expected] of table)
    t.same(commitOf({ ...lease, ...change }, { ...heard, line }), { ...whole, ...expected }, what);
});
