// Leasequery (RFC 4388): what is asked, what is answered, and how often it is asked again.

import t from 'tap';
import fc from 'fast-check';
import { encodePacket, uint32Value, type PacketHeader } from '../../src/dhcp/encode-packet.js';
import { answersQuestion, encodeLeaseQuery, isLeaseAnswer, readLeaseAnswer } from '../../src/dhcp/lease-query.js';
import { LeaseQueryClient, type LeaseServer } from '../../src/dhcp/lease-query-client.js';
import { macOf } from '../../src/dhcp/packet.js';
import { lineEvidence } from '../../src/dhcp/option82.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../support/until.js';
import { decoded, packetOf, samples } from './sample-packets.js';

const server: LeaseServer = { address: '10.97.9.1', port: 67 };
const byAddress = { by: 'address', address: 0x6441034d } as const;
const giaddr = 0x0a610902;

t.test('a question by address is what ISC dhcpd was asked in a capture, but for the options it wants', async (t) => {
  const ours = decoded(encodeLeaseQuery(byAddress, 0xc41361e9, giaddr));
  const { options: theirs, ...header } = decoded(samples.leaseQuery());
  const { options, ...ourHeader } = ours;
  t.same(ourHeader, header);
  t.same([...options.keys()], [...theirs.keys()]);
  t.same([...options.get(55)!], [51, 61, 82, 91, 92]);
});

t.test('by MAC and by client identifier: exactly one of the three is there (RFC 4388 §6)', async (t) => {
  const mac = decoded(encodeLeaseQuery({ by: 'mac', mac: '02:00:00:00:c3:01' }, 7, giaddr));
  t.match(mac, { op: 1, htype: 1, xid: 7, ciaddr: 0, giaddr, messageType: 10 });
  t.equal(macOf(mac), '02:00:00:00:c3:01');
  t.notOk(mac.options.has(61));
  const client = decoded(encodeLeaseQuery({ by: 'client-id', clientId: Buffer.of(1, 2, 3) }, 7, giaddr));
  t.match(client, { htype: 0, ciaddr: 0, giaddr, messageType: 10 });
  t.equal(client.chaddr.length, 0);
  t.same(client.options.get(61), Buffer.of(1, 2, 3));
});

t.test('what ISC dhcpd answered', async (t) => {
  const answer = readLeaseAnswer(decoded(samples.leaseActive()));
  if (answer === 'malformed' || answer.answer !== 'active') return t.fail('not active');
  const { line, ...lease } = answer.lease;
  t.same(lease, {
    address: '100.65.3.77',
    mac: '02:00:00:00:c3:01',
    leaseSeconds: 20,
    lastTransactionSeconds: 0,
    clientId: null,
    associated: [],
  });
  t.match(lineEvidence(line!), { circuitId: Buffer.from('olt9/0/1/1:5').toString('hex'), remoteId: '0200000077cc' });
  t.same(readLeaseAnswer(decoded(samples.leaseUnassigned())), { answer: 'unassigned' });
});

t.test('answers, by their options', async (t) => {
  const head = '02010600c41361e9000000006441034d00000000000000000a61090202000000c301';
  const active = (options: string, change = head) => readLeaseAnswer(decoded(packetOf(change, `35010d ${options} ff`)));
  const table: readonly [what: string, answer: unknown, expected: unknown][] = [
    ['no time', active(''), { lease: { leaseSeconds: null, lastTransactionSeconds: null, line: null } }],
    ['a lease for ever', active('3304ffffffff'), { lease: { leaseSeconds: null } }],
    ['a lease that ends now', active('330400000000'), { lease: { leaseSeconds: 0 } }],
    [
      'a transaction that the server does not know',
      active('5b04ffffffff'),
      { lease: { lastTransactionSeconds: null } },
    ],
    ['a transaction an hour ago', active('5b0400000e10'), { lease: { lastTransactionSeconds: 3600 } }],
    ['a client identifier', active('3d0401aabbcc'), { lease: { clientId: '01aabbcc' } }],
    [
      'other addresses, and half of one more',
      active('5c0a0a3204040a3204050a32'),
      { lease: { associated: ['10.50.4.4', '10.50.4.5'] } },
    ],
    ['no MAC', active('', head.slice(0, -12)), { lease: { mac: null } }],
    ['a lying option 82', active('520301ff61'), { lease: { line: { faults: [{ reason: 'cut' }] } } }],
    ['no address', active('', head.replace('6441034d', '00000000')), 'malformed'],
    ['an address that nobody can have', active('', head.replace('6441034d', 'ffffffff')), 'malformed'],
    ['of a client', active('', `01${head.slice(2)}`), 'malformed'],
    ['another message', readLeaseAnswer(decoded(samples.ack())), 'malformed'],
    ['unknown', readLeaseAnswer(decoded(packetOf(head, '35010cff'))), { answer: 'unknown' }],
  ];
  for (const [what, answer, expected] of table) t.match(answer, expected, what);
  for (const [type, is] of [
    [10, false],
    [11, true],
    [12, true],
    [13, true],
    [14, false],
  ] as const)
    t.equal(isLeaseAnswer(decoded(packetOf(head, `3501${type.toString(16).padStart(2, '0')}ff`))), is, String(type));
});

t.test('an answer is about what was asked', async (t) => {
  const packet = decoded(samples.leaseActive());
  const unassigned = decoded(samples.leaseUnassigned());
  const withId = decoded(packetOf('020000', '35010d 3d0401aabbcc ff'));
  const table: readonly [what: string, is: boolean, expected: boolean][] = [
    ['the address', answersQuestion(packet, byAddress), true],
    ['another address', answersQuestion(packet, { by: 'address', address: 1 }), false],
    ['the MAC', answersQuestion(packet, { by: 'mac', mac: '02:00:00:00:c3:01' }), true],
    ['another MAC', answersQuestion(packet, { by: 'mac', mac: '02:00:00:00:c3:02' }), false],
    ['no MAC where there is no lease', answersQuestion(unassigned, { by: 'mac', mac: '02:00:00:00:c3:02' }), true],
    ['no MAC where there is one', answersQuestion(withId, { by: 'mac', mac: '02:00:00:00:c3:02' }), false],
    ['the client', answersQuestion(withId, { by: 'client-id', clientId: Buffer.from('01aabbcc', 'hex') }), true],
    ['another client', answersQuestion(withId, { by: 'client-id', clientId: Buffer.of(1) }), false],
    ['a client that is not told', answersQuestion(packet, { by: 'client-id', clientId: Buffer.of(1) }), true],
  ];
  for (const [what, is, expected] of table) t.equal(is, expected, what);
});

t.test('any lease that a server tells is read', async (t) => {
  const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff_fffe), fc.nat(1_000_000), octets(5), (xid, seconds, age, mac) => {
      const chaddr = Buffer.from([2, ...mac]);
      const packet = encodePacket({ op: 2, xid, htype: 1, chaddr, ciaddr: 0x0a000001 }, [
        [53, Buffer.of(13)],
        [51, uint32Value(seconds)],
        [91, uint32Value(age)],
      ]);
      t.match(readLeaseAnswer(decoded(packet)), {
        answer: 'active',
        lease: { address: '10.0.0.1', leaseSeconds: seconds, lastTransactionSeconds: age },
      });
      return true;
    }),
    { numRuns: 200 },
  );
});

/** A client whose network is a list of what it sent; chance is in the middle, so waits are exact. */
function setUp(options: { readonly maxInFlight?: number; readonly hasRoute?: boolean; readonly xids?: number[] } = {}) {
  const clock = new ManualClock();
  const sent: { readonly octets: Buffer; readonly to: LeaseServer }[] = [];
  let next = 1;
  const client = new LeaseQueryClient({
    clock,
    routeTo: async (to) =>
      options.hasRoute === false ? undefined : { giaddr, send: (octets) => void sent.push({ octets, to }) },
    maxInFlight: options.maxInFlight ?? 8,
    random: () => 0.5,
    nextXid: () => options.xids?.shift() ?? next++,
  });
  const answer = (xid: number, type: number, header: Partial<PacketHeader> = {}) =>
    decoded(encodePacket({ op: 2, xid, ciaddr: byAddress.address, ...header }, [[53, Buffer.of(type)]]));
  return { clock, sent, client, answer };
}

t.test('the first answer ends the wait', async (t) => {
  const { client, clock, sent, answer } = setUp();
  const outcome = client.ask(server, byAddress);
  await until(() => sent.length === 1);
  t.equal(client.inFlight, 1);
  t.equal(client.hear(answer(1, 11), server.address, server.port), undefined);
  t.same(await outcome, { answer: 'unassigned' });
  t.equal(clock.pending, 0, 'no timer is left');
  t.equal(client.inFlight, 0);
  t.equal(client.hear(answer(1, 11), server.address, server.port), 'answer-unexpected', 'a second answer');
});

t.test('a question is repeated with the same octets after 0.5 and 1 s, and given up after 2 more', async (t) => {
  const { client, clock, sent } = setUp();
  const outcome = client.ask(server, byAddress);
  await until(() => sent.length === 1);
  for (const [waitMs, count] of [
    [499, 1],
    [1, 2],
    [999, 2],
    [1, 3],
    [1_999, 3],
  ] as const) {
    clock.advance(waitMs);
    t.equal(sent.length, count);
  }
  clock.advance(1);
  t.same(await outcome, { answer: 'silence', reason: 'timeout' });
  for (const { octets, to } of sent) t.same([octets, to], [sent[0]!.octets, server]);
  t.equal(sent.length, 3);
});

t.test('waits differ by a tenth', async (t) => {
  for (const [random, waitMs] of [
    [0, 450],
    [0.999_999, 549.999_9],
  ] as const) {
    const clock = new ManualClock();
    let sent = 0;
    const client = new LeaseQueryClient({
      clock,
      routeTo: async () => ({ giaddr, send: () => sent++ }),
      maxInFlight: 1,
      random: () => random,
    });
    void client.ask(server, byAddress);
    await until(() => sent === 1);
    clock.advance(waitMs - 0.01);
    t.equal(sent, 1, `not before ${String(waitMs)} ms`);
    clock.advance(0.02);
    t.equal(sent, 2, `after ${String(waitMs)} ms`);
  }
});

t.test('what is not the answer is told, and the answer still counts', async (t) => {
  const { client, sent, answer } = setUp();
  const outcome = client.ask(server, byAddress);
  await until(() => sent.length === 1);
  const table: readonly [what: string, reason: string | undefined, stray: string | undefined][] = [
    ['another number', 'answer-unexpected', client.hear(answer(2, 11), server.address, 67)],
    ['another address', 'answer-wrong-source', client.hear(answer(1, 11), '10.97.9.3', 67)],
    ['another port', 'answer-wrong-source', client.hear(answer(1, 11), server.address, 68)],
    ['another lease', 'answer-malformed', client.hear(answer(1, 13, { ciaddr: 1 }), server.address, 67)],
    ['no lease', 'answer-malformed', client.hear(answer(1, 13, { ciaddr: 0 }), server.address, 67)],
    ['of a client', 'answer-malformed', client.hear(answer(1, 11, { op: 1 }), server.address, 67)],
    ['no answer', 'answer-malformed', client.hear(answer(1, 5), server.address, 67)],
    ['the answer', undefined, client.hear(answer(1, 12), server.address, 67)],
  ];
  for (const [what, reason, stray] of table) t.equal(stray, reason, what);
  t.same(await outcome, { answer: 'unknown' });
});

t.test('open questions are bounded for each server', async (t) => {
  const { client, sent } = setUp({ maxInFlight: 2 });
  const other = { address: '10.97.9.3', port: 67 };
  const asked = [client.ask(server, byAddress), client.ask(server, byAddress)];
  t.same(await client.ask(server, byAddress), { answer: 'silence', reason: 'busy' });
  asked.push(client.ask(other, byAddress));
  await until(() => sent.length === 3);
  t.equal(client.inFlight, 3);
  client.stop();
  t.same(
    await Promise.all(asked),
    Array.from({ length: 3 }, () => ({ answer: 'silence', reason: 'stopped' })),
  );
  t.equal(client.inFlight, 0);
  t.same(await client.ask(server, byAddress), { answer: 'silence', reason: 'stopped' });
});

t.test('two open questions never have one number', async (t) => {
  const { client, sent, answer } = setUp({ xids: [5, 5, 5, 6] });
  const outcomes = [client.ask(server, byAddress), client.ask(server, byAddress)];
  await until(() => sent.length === 2);
  client.hear(answer(6, 11), server.address, 67);
  client.hear(answer(5, 12), server.address, 67);
  t.same(await Promise.all(outcomes), [{ answer: 'unknown' }, { answer: 'unassigned' }]);
});

t.test('without a way to the server, and with a stop while it is looked for, nothing is sent', async (t) => {
  const lost = setUp({ hasRoute: false });
  t.same(await lost.client.ask(server, byAddress), { answer: 'silence', reason: 'no-route' });
  const { client, sent } = setUp();
  const outcome = client.ask(server, byAddress);
  client.stop();
  t.same(await outcome, { answer: 'silence', reason: 'stopped' });
  t.equal(sent.length + lost.sent.length, 0);
});
