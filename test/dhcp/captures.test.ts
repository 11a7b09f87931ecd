// The decoder over packets of real devices, relays and servers, where the captures are beside the checkout: what is listed for each file, and
// what two other decoders make of them.

import t, { type Test } from 'tap';
import { createRequire } from 'node:module';
import { formatIpv4Address } from '../../src/domain/ipv4-address.js';
import { decodeOption82 } from '../../src/dhcp/option82.js';
import { decodePacket, macOf, type DhcpPacket } from '../../src/dhcp/packet.js';
import { readLeaseAnswer } from '../../src/dhcp/lease-query.js';
import { brokenOctets, capturedPackets, captureFiles, captureText, haveCaptures } from './captured.js';
import { decoded, fromHex, packetOf } from './sample-packets.js';

const protocol = createRequire(import.meta.url)('dhcp/lib/protocol.js') as {
  parse(octets: Buffer): Record<string, unknown> & { options: Record<number, unknown> };
};

/** Packets that are none, and why. */
const knownWrong = new Map([
  // Two questions were made by a broken program: their cookie is an octet early or late.
  ['pcap/dhcp-rfc4388.pcap', ['bootp', 'bootp']],
]);

const packets = capturedPackets();
const options = { skip: !haveCaptures };

t.test('every packet decodes, but for those that are known to be wrong', options, async (t) => {
  const faults = new Map<string, string[]>();
  for (const { file, octets } of packets) {
    const result = decodePacket(octets);
    if (!result.ok) faults.set(file, [...(faults.get(file) ?? []), result.reason]);
  }
  t.same(Object.fromEntries(faults), Object.fromEntries(knownWrong));
  t.ok(packets.length > 170, `${String(packets.length)} packets`);
});

t.test('each file holds the packets and the options 82 that are listed for it', options, async (t) => {
  const listed = captureText('CONTENTS.txt')
    .split('\n')
    .filter((line) => / dhcp x/.test(line) && !line.includes('bootp_asan'));
  t.ok(listed.length > 20);
  for (const line of listed) {
    const file = line.slice(0, line.indexOf(':'));
    const whole = packets
      .filter((one) => one.file === file)
      .flatMap(({ octets }) => {
        const result = decodePacket(octets);
        return result.ok ? [result.packet] : [];
      });
    const wrong = knownWrong.get(file)?.length ?? 0;
    t.equal(whole.length + wrong, Number(/ dhcp x(\d+)/.exec(line)![1]), `${file}: packets`);
    const option82 = new Set(whole.flatMap((packet) => packet.options.get(82)?.toString('hex') ?? []));
    const expected = [...(/opt82 \[([^\]]*)\]/.exec(line)?.[1] ?? '').matchAll(/'([0-9a-f]+)'/g)].map((m) => m[1]!);
    t.same([...option82].sort(), expected.sort(), `${file}: option 82`);
  }
});

t.test('option 82 of real relays', options, async (t) => {
  const of = (file: string) => {
    const found = packets
      .filter((one) => one.file === file)
      .flatMap(({ octets }) => decoded(octets).options.get(82) ?? []);
    return decodeOption82(found[0]!);
  };
  const text = (value: string): string => Buffer.from(value).toString('hex');
  const table: readonly [file: string, expected: object][] = [
    ['own/kea-srv0.pcap', { circuitId: text('acc1'), remoteId: null, faults: [] }],
    [
      'own/accel-relaymode-radius+dhcp.pcap',
      { circuitId: text('rel0'), remoteId: text('accel-nas1'), linkSelection: '100.64.20.0', faults: [] },
    ],
    [
      'pcap/zeek-dhcp_ack_subscriber_id_and_agent_remote_id.pcap',
      { circuitId: text('this is only a test...'), remoteId: '13', subscriberId: text('-subID-'), faults: [] },
    ],
    [
      'pcap/kea-captureRelayedDiscover.pcap',
      {
        circuitId: '20000002',
        remoteId: '20e52ab81514',
        vendorSpecific: [{ enterprise: 4491, data: '01020300' }],
        faults: [],
      },
    ],
    ['pcap/kea-captureBadRelayedDiscover.pcap', { circuitId: null, faults: [{ reason: 'cut', subOption: 0x51 }] }],
    ['pcap/kea-discoverWithTruncatedVIVSO.pcap', { circuitId: '800503f8', remoteId: '7896845ef7af', faults: [] }],
  ];
  for (const [file, expected] of table) t.match(of(file), expected, file);
});

t.test('leasequeries of ISC dhcpd and of another server', options, async (t) => {
  const answers = packets
    .flatMap(({ octets }) => {
      const result = decodePacket(octets);
      return result.ok ? [result.packet] : [];
    })
    .filter(({ messageType, op }) => op === 2 && messageType > 10)
    .map(readLeaseAnswer);
  const count = (kind: string): number =>
    answers.filter((answer) => answer !== 'malformed' && answer.answer === kind).length;
  t.same(
    { active: count('active'), unassigned: count('unassigned'), unknown: count('unknown'), all: answers.length },
    { active: 10, unassigned: 1, unknown: 1, all: 12 },
  );
  for (const answer of answers)
    if (answer !== 'malformed' && answer.answer === 'active') {
      const { leaseSeconds, lastTransactionSeconds } = answer.lease;
      // Each server gives leases of one length: what is left and what has passed make it up.
      t.ok([20, 43_200].includes(leaseSeconds! + lastTransactionSeconds!), `${String(leaseSeconds)} s left`);
    }
});

t.test('what FreeRADIUS makes of a packet', options, async (t) => {
  let compared = 0;
  for (const file of captureFiles('hex').filter((name) => name.includes('dhcpv4'))) {
    const lines = captureText(file)
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('#'));
    lines.forEach((line, index) => {
      const expected = lines[index + 1] ?? '';
      if (!line.startsWith('decode-pro') && !line.startsWith('decode-pair')) return;
      if (!expected.startsWith('match ') || !expected.includes('=')) return;
      const written = line.endsWith(' -') ? lines[index - 1]! : line;
      const octets = fromHex(written.slice(written.indexOf(' ') + 1));
      const packet = line.startsWith('decode-pair')
        ? decoded(Buffer.concat([packetOf('010106', /^35/.test(octets.toString('hex')) ? '' : '350101'), octets]))
        : decoded(octets);
      compared += compareWithPairs(t, packet, expected, `${file}: ${expected.slice(0, 60)}`);
    });
  }
  t.ok(compared > 30, `${String(compared)} values are the same`);
});

/** @returns how many values were compared */
function compareWithPairs(t: Test, packet: DhcpPacket, expected: string, where: string): number {
  const information = decodeOption82(packet.options.get(82) ?? Buffer.alloc(0));
  const types: Record<string, number> = { Discover: 1, Offer: 2, Request: 3, Ack: 5 };
  const ours: Record<string, unknown> = {
    'Transaction-Id': String(packet.xid),
    'Number-of-Seconds': String(packet.secs),
    'Client-IP-Address': formatIpv4Address(packet.ciaddr),
    'Your-IP-Address': formatIpv4Address(packet.yiaddr),
    'Server-IP-Address': formatIpv4Address(packet.siaddr),
    'Gateway-IP-Address': formatIpv4Address(packet.giaddr),
    'Client-Hardware-Address': macOf(packet) ?? '',
    'Message-Type': String(packet.messageType),
    'Circuit-Id': `0x${information.circuitId ?? ''}`,
    'Remote-Id': `0x${information.remoteId ?? ''}`,
    'raw.3': `0x${information.subOptions.get(3) ?? ''}`,
    'Domain-Name': `"${packet.options.get(15)?.toString() ?? ''}"`,
  };
  let compared = 0;
  for (const [, name, value] of expected.matchAll(/([A-Za-z0-9.-]+) = (?!\{)("[^"]*"|[^,}]*)/g)) {
    if (!Object.hasOwn(ours, name!)) continue;
    const text = value!.trim().replace(/^::/, '');
    t.equal(ours[name!], name === 'Message-Type' ? String(types[text]) : text, `${where}: ${name!}`);
    compared++;
  }
  return compared;
}

/** Options that the package reads as numbers, addresses or plain text; it loses octets of others. */
const comparable: Readonly<Record<number, (value: Buffer) => unknown>> = {
  1: address,
  12: String,
  15: String,
  28: address,
  50: address,
  51: (value) => value.readUInt32BE(0),
  53: (value) => value[0],
  54: address,
  55: (value) => [...value],
  57: (value) => value.readUInt16BE(0),
  58: (value) => value.readUInt32BE(0),
  59: (value) => value.readUInt32BE(0),
  60: String,
};

function address(value: Buffer): string {
  return formatIpv4Address(value.readUInt32BE(0));
}

t.test('what the dhcp package makes of a packet, where no pad makes it lose its place', options, async (t) => {
  // It writes a line for each option that it does not know.
  const { error } = console;
  console.error = () => undefined;
  t.teardown(() => {
    console.error = error;
  });
  let compared = 0;
  for (const { file, octets } of packets) {
    const result = decodePacket(octets);
    if (!result.ok || macOf(result.packet) === null || hasPad(octets)) continue;
    const { packet } = result;
    const theirs = protocol.parse(Buffer.from(octets));
    const header = {
      op: packet.op,
      xid: packet.xid,
      secs: packet.secs,
      flags: packet.flags,
      ciaddr: formatIpv4Address(packet.ciaddr),
      yiaddr: formatIpv4Address(packet.yiaddr),
      siaddr: formatIpv4Address(packet.siaddr),
      giaddr: formatIpv4Address(packet.giaddr),
      chaddr: macOf(packet)!.replaceAll(':', '-').toUpperCase(),
    };
    for (const [name, value] of Object.entries(header)) t.equal(theirs[name], value, `${file}: ${name}`);
    for (const [option, read] of Object.entries(comparable)) {
      const value = packet.options.get(Number(option));
      // It cuts text at a NUL.
      if (value === undefined || (read === String && value.includes(0))) continue;
      t.same(theirs.options[Number(option)], read(value), `${file}: option ${option}`);
      compared++;
    }
  }
  t.ok(compared > 600, `${String(compared)} options are the same`);
});

/** Whether there is a pad before the end option. */
function hasPad(octets: Buffer): boolean {
  for (let at = 240; at < octets.length && octets[at] !== 255; at += 2 + octets[at + 1]!)
    if (octets[at] === 0) return true;
  return false;
}

t.test('the octets of broken captures, from any place on', options, async (t) => {
  const files = brokenOctets();
  t.ok(files.length > 0);
  for (const octets of files)
    for (let at = 0; at <= octets.length; at++)
      for (const head of [Buffer.alloc(0), packetOf('010106', '350103')]) {
        const result = decodePacket(Buffer.concat([head, octets.subarray(at)]));
        if (result.ok) decodeOption82(result.packet.options.get(82) ?? Buffer.alloc(0));
      }
  t.pass('nothing threw');
});
