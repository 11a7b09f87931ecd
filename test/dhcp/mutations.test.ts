// A million mutations of every DHCP packet that we have, through the whole listener: no throw, no hang, no octet sent to a client, and no effect
// from a relay that is not listed. The seed is printed; DHCP_FUZZ_SEED repeats a run, DHCP_FUZZ_RUNS makes it longer.

import t from 'tap';
import type { LeaseEvent } from '../../src/domain/lease-event.js';
import { parseIpv4Address } from '../../src/domain/ipv4-address.js';
import { readLeaseAnswer } from '../../src/dhcp/lease-query.js';
import { decodeOption82, lineEvidence } from '../../src/dhcp/option82.js';
import { decodePacket, macOf, maxPacketOctets } from '../../src/dhcp/packet.js';
import { DhcpPacketListener, type DhcpSocket } from '../../src/dhcp/packet-listener.js';
import { RelayTable } from '../../src/dhcp/relay-table.js';
import { ManualClock } from '../support/manual-clock.js';
import { seededRandom } from '../support/seeded-random.js';
import { capturedPackets } from './captured.js';
import { network, relayAt } from './listening.js';
import { samples } from './sample-packets.js';

const seed = Number(process.env['DHCP_FUZZ_SEED'] ?? 20_261_122);
const runs = Number(process.env['DHCP_FUZZ_RUNS'] ?? 1_000_000);
/** Far above what any packet takes, so that only a runaway is caught on a busy machine. */
const maxMs = 50;

const corpus = [
  ...Object.values(samples).map((make) => ({ source: '10.97.0.2', octets: make() })),
  ...capturedPackets().map(({ source, octets }) => ({ source, octets })),
];

/** Every relay of the samples and half of those of the captures; the other half, and everybody else, is not listed. */
const giaddr = [network('100.65.2.1'), network('100.64.7.254'), network('0.0.0.0')];
const relays = new RelayTable([
  relayAt('plain', '10.97.0.2', { giaddr }),
  relayAt('trusted', '10.99.0.2', { giaddr, trusted: true }),
  relayAt('server', '10.97.0.1', { giaddr, acks: true }),
  relayAt('asking', '10.96.0.2', { giaddr, leasequeryServers: [{ address: '10.96.0.1', port: 67 }] }),
]);
const listed = ['10.97.0.2', '10.99.0.2', '10.97.0.1', '10.96.0.2'];
const listedGiaddr = new Set(['100.65.2.1', '100.64.7.254', '0.0.0.0'].map(parseIpv4Address));

/** A listener without a network: what the network would deliver is handed to `deliver`. */
async function listening() {
  const clock = new ManualClock();
  const events: LeaseEvent[] = [];
  const sent: string[] = [];
  const errors: unknown[] = [];
  let deliver: (datagram: Buffer, address: string, port: number) => void = () => undefined;
  const socket: DhcpSocket = {
    socketAddress: { address: '127.0.0.1', port: 67 },
    isInherited: false,
    send: (_octets, address) => sent.push(address),
    stopReading: () => undefined,
    close: async () => undefined,
  };
  const listener = new DhcpPacketListener({
    sockets: [
      async (onDatagram) => {
        deliver = onDatagram;
        return socket;
      },
    ],
    relays,
    sink: {
      take(event, taken) {
        events.push(event);
        taken(true);
      },
    },
    clock,
    onDrop: () => undefined,
    onError: (error) => errors.push(error),
    maxHeldRequests: 64,
    maxLeasequeries: 8,
  });
  await listener.start();
  return { listener, clock, events, sent, errors, deliver: (...one: Parameters<typeof deliver>) => deliver(...one) };
}

/** Changes that know where options, sub-options and lengths are. */
function mutate(original: Buffer, other: Buffer, below: (limit: number) => number): Buffer {
  let octets = Buffer.from(original);
  for (let count = 1 + below(3); count > 0; count--) {
    const starts = optionStarts(octets);
    const at = starts[below(starts.length)] ?? 240;
    switch (below(12)) {
      case 0:
        if (octets.length > 0) octets[below(octets.length)]! ^= 1 << below(8);
        break;
      case 1:
        if (at + 1 < octets.length) octets[at + 1] = [0, 1, 2, 3, 4, 5, 255, below(256)][below(8)]!;
        break;
      case 2:
        if (at < octets.length) octets[at] = [0, 50, 51, 52, 53, 54, 61, 82, 91, 255, below(256)][below(11)]!;
        break;
      case 3:
        octets = octets.subarray(0, below(octets.length + 1));
        break;
      case 4:
        // The same option again.
        octets = Buffer.concat([
          octets.subarray(0, at),
          octets.subarray(at, at + 2 + (octets[at + 1] ?? 0)),
          octets.subarray(at),
        ]);
        break;
      case 5:
        // Inside option 82: a number or a length.
        if (octets[at] === 82)
          octets[Math.min(octets.length - 1, at + 2 + below(Math.max(1, octets[at + 1]!)))] = below(256);
        break;
      case 6:
        if (octets[at] === 53 && at + 2 < octets.length) octets[at + 2] = below(20);
        break;
      case 7:
        octets = Buffer.concat([octets.subarray(0, at), Buffer.from([52, 1, below(5)]), octets.subarray(at)]);
        break;
      case 8:
        // sname and file become what stands in another packet's options.
        if (octets.length >= 236) other.copy(octets, 44, 240, Math.min(other.length, 240 + 192));
        break;
      case 9:
        octets = Buffer.concat([octets, Buffer.alloc(below(300), below(256))]);
        break;
      case 10:
        // One of the fields that decide: op, htype, hlen, ciaddr, yiaddr, giaddr.
        if (octets.length >= 28) octets[[0, 1, 2, 12, 16, 24, 27][below(7)]!] = below(256);
        break;
      default:
        octets = Buffer.concat([octets.subarray(0, at), other.subarray(240)]);
    }
  }
  return octets;
}

function optionStarts(octets: Buffer): number[] {
  const starts = [240];
  for (let at = 240; at + 1 < octets.length && octets[at] !== 255 && starts.length < 64;) {
    at += octets[at] === 0 ? 1 : 2 + octets[at + 1]!;
    starts.push(at);
  }
  return starts;
}

const title = `${String(runs)} mutations of ${String(corpus.length)} packets, seed ${String(seed)}`;
// Some 7 s of a processor for a million, and the processor may have more to do.
t.setTimeout(60_000 + runs / 5);
t.test(title, { timeout: 60_000 + runs / 5 }, async (t) => {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const sources = [...new Set(corpus.map(({ source }) => source)), '192.0.2.1', '::1', '0.0.0.0'];
  const { listener, clock, events, sent, errors, deliver } = await listening();
  const kinds = new Map<string, number>();
  let accepted = 0;
  for (let run = 0; run < runs; run++) {
    const one = corpus[below(corpus.length)]!;
    const octets = mutate(one.octets, corpus[below(corpus.length)]!.octets, below);
    const source = below(3) === 0 ? sources[below(sources.length)]! : listed[below(listed.length)]!;
    // Most of what a relay sends has its giaddr, whatever else is wrong with it.
    if (below(3) > 0 && octets.length >= 28) octets.writeUInt32BE(giaddr[below(giaddr.length)]!.address, 24);
    const told = (): string => `seed ${String(seed)}, run ${String(run)}: ${source} ${octets.toString('hex')}`;
    const before = events.length;
    const attempt = (): number => {
      const beganAt = performance.now();
      readAll(octets);
      deliver(octets, source, 67);
      return performance.now() - beganAt;
    };
    try {
      // Once is often long on a busy machine; a runaway is long each time.
      for (let tries = 0; attempt() > maxMs; tries++)
        if (tries === 10) return t.fail(`${told()} took more than ${String(maxMs)} ms each time`);
    } catch (error) {
      return t.fail(`${told()} threw ${String(error)}`);
    }
    if (events.length > before) {
      accepted++;
      const decoded = decodePacket(octets);
      if (!listed.includes(source)) t.fail(`${told()}: an effect of a source that is not listed`);
      if (!decoded.ok || !listedGiaddr.has(decoded.packet.giaddr))
        t.fail(`${told()}: an effect of a giaddr that is not listed`);
      for (const event of events.splice(0)) {
        kinds.set(event.kind, (kinds.get(event.kind) ?? 0) + 1);
        const fault = faultOf(event);
        if (fault !== undefined) t.fail(`${told()}: ${fault}`);
      }
    }
    // What waits for a server is asked about, and the server stays silent.
    if (run % 1_000 === 0) {
      clock.advance(10_000);
      await new Promise((resolve) => setImmediate(resolve));
      events.length = 0;
    }
  }
  const { drops } = listener.counters();
  t.same(errors, []);
  t.same(
    [...new Set(sent)].filter((address) => address !== '10.96.0.1'),
    [],
    'nobody but the leasequery server got an octet',
  );
  t.ok(accepted > runs / 1_000, `${String(accepted)} had an effect: ${JSON.stringify(Object.fromEntries(kinds))}`);
  t.ok(new Set(drops.map(({ reason }) => reason)).size > 12, `${String(drops.length)} counts`);
  t.comment(`${String(accepted)} with effect ${JSON.stringify(Object.fromEntries(kinds))}`);
  await listener.stop();
});

/** Everything that can be read of a packet, whoever sent it. */
function readAll(octets: Buffer): void {
  const decoded = decodePacket(octets);
  if (!decoded.ok) return;
  const { packet } = decoded;
  macOf(packet);
  readLeaseAnswer(packet);
  lineEvidence(decodeOption82(packet.options.get(82) ?? Buffer.alloc(0)));
}

/** What is wrong with an event, whatever the packet said. */
function faultOf(event: LeaseEvent): string | undefined {
  if (!/^(?!0\.|127\.)(?:\d{1,3}\.){3}\d{1,3}$/.test(event.address)) return `address ${event.address}`;
  if (event.mac !== null && !/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(event.mac)) return `mac ${event.mac}`;
  if (event.eventAtMs > event.receivedAtMs) return 'an event of the future';
  for (const value of Object.values(event.line ?? {}))
    if (value !== null && !/^(?:[0-9a-f]{2})+$/.test(value)) return `line ${String(value)}`;
  return undefined;
}

t.test('packets that are as expensive as they can be', async (t) => {
  const { deliver, listener, events } = await listening();
  const effects = (): number => events.length;
  const head = samples.request().subarray(0, 240);
  const asks = '35010332046441020a';
  const full = (option: string): Buffer => {
    const room = maxPacketOctets - head.length - asks.length / 2;
    return Buffer.concat([head, Buffer.from(`${asks}${option.repeat(Math.floor(room / (option.length / 2)))}`, 'hex')]);
  };
  const long = (value: Buffer): Buffer => {
    const pieces = [head, Buffer.from(asks, 'hex')];
    for (let at = 0; at < value.length; at += 255)
      pieces.push(Buffer.of(82, Math.min(255, value.length - at)), value.subarray(at, at + 255));
    return Buffer.concat(pieces);
  };
  for (const [name, octets] of [
    ['nothing but pads', full('00')],
    ['empty options of one number', full('5200')],
    ['options of one octet', full('0c0161')],
    ['an option 82 of zeros and a one', long(Buffer.concat([Buffer.alloc(3_700), Buffer.of(1)]))],
    ['an option 82 of empty sub-options', long(Buffer.alloc(3_700, Buffer.of(1, 0)))],
    ['an option 82 of many vendors', long(Buffer.alloc(3_700, Buffer.from('09050000000100', 'hex')))],
  ] as const) {
    t.ok(decodePacket(octets).ok, name);
    const before = effects();
    let tookMs = Infinity;
    for (let attempt = 0; attempt < 5; attempt++) {
      const beganAt = performance.now();
      deliver(octets, '10.97.0.2', 67);
      tookMs = Math.min(tookMs, performance.now() - beganAt);
    }
    t.ok(tookMs < 5, `${name}: ${tookMs.toFixed(2)} ms`);
    t.equal(effects() - before, 5, `${name}: read to its end`);
  }
  await listener.stop();
});
