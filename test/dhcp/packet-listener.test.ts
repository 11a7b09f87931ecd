// The listener over real sockets on loopback: who is listened to, what comes of it, and that nobody but a configured server gets an octet.

import t from 'tap';
import { encodePacket, uint32Value } from '../../src/dhcp/encode-packet.js';
import type { DhcpPacket } from '../../src/dhcp/packet.js';
import { firstPauseMs, secondPauseMs } from '../../src/dhcp/request-confirmation.js';
import { RelayTable } from '../../src/dhcp/relay-table.js';
import { ListenError } from '../../src/radius/listener.js';
import { until } from '../support/until.js';
import { leaseServerAt, listenWith, network, opener, relayAt, senderAt } from './listening.js';
import { olt7, samples } from './sample-packets.js';

/** What a server says to a question by address. */
const activeFor = (question: DhcpPacket, mac = '02000000c201', seconds = 600): Buffer =>
  encodePacket(
    {
      op: 2,
      xid: question.xid,
      htype: 1,
      chaddr: Buffer.from(mac, 'hex'),
      ciaddr: question.ciaddr,
      giaddr: question.giaddr,
    },
    [
      [53, Buffer.of(13)],
      [51, uint32Value(seconds)],
      [91, uint32Value(0)],
    ],
  );
const answerOf = (question: DhcpPacket, type: number): Buffer =>
  encodePacket({ op: 2, xid: question.xid, ciaddr: question.ciaddr, giaddr: question.giaddr }, [[53, Buffer.of(type)]]);

t.test('what listed relays copy becomes events', async (t) => {
  const { events, port, dealtWith, drops, listener, told } = await listenWith(t, [
    relayAt('olt-1', '127.0.0.2'),
    relayAt('olt-2', '127.0.0.3', { trusted: true }),
    relayAt('server', '127.0.0.4', { acks: true }),
  ]);
  const [plain, trusted, server] = await Promise.all(
    ['127.0.0.2', '127.0.0.3', '127.0.0.4'].map((address) => senderAt(t, address)),
  );
  const sent = [
    [plain, samples.request(), 'request olt-1'],
    [plain, samples.renewal(), 'request olt-1'],
    [plain, samples.release(), 'release olt-1'],
    [plain, samples.decline(), 'decline olt-1'],
    [trusted, samples.request(), 'commit olt-2'],
    [server, samples.ack(), 'commit server'],
  ] as const;
  for (const [index, [from, datagram]] of sent.entries()) {
    await from!.send(datagram, port);
    await dealtWith(index + 1);
  }
  t.same(
    events.map(({ kind, source }) => `${kind} ${source}`),
    sent.map(([, , expected]) => expected),
  );
  for (const event of events)
    t.match(event, { address: '100.65.2.10', mac: '02:00:00:00:c2:01', via: 'packet', line: olt7 });
  t.equal(events[5]!.leaseEndsAtMs, events[5]!.receivedAtMs + 20_000);
  for (const [index, datagram] of [samples.discover(), samples.inform(), samples.offer(), samples.nak()].entries()) {
    await server!.send(datagram, port);
    await dealtWith(sent.length + index + 1);
  }
  t.same(drops(), { 'server discover': 1, 'server inform': 1, 'server offer': 1, 'server nak': 1 });
  t.same(listener.counters().events, [
    { relay: 'olt-1', kind: 'request', count: 2 },
    { relay: 'olt-1', kind: 'release', count: 1 },
    { relay: 'olt-1', kind: 'decline', count: 1 },
    { relay: 'olt-2', kind: 'commit', count: 1 },
    { relay: 'server', kind: 'commit', count: 1 },
  ]);
  t.same(told, [], 'and nothing of it is worth a line');
  t.same(
    [plain, trusted, server].map((one) => one!.heard.length),
    [0, 0, 0],
    'nobody is answered',
  );
});

t.test('whoever is not listed by source and giaddr has no effect, and no answer', async (t) => {
  const { events, port, dealtWith, drops, told } = await listenWith(t, [
    relayAt('olt-1', '127.0.0.2', { trusted: true, acks: true }),
    relayAt('olt-2', '127.0.0.3', { giaddr: [network('100.66.0.0/16')], trusted: true }),
  ]);
  const listed = await senderAt(t, '127.0.0.2');
  const other = await senderAt(t, '127.0.0.3');
  const stranger = await senderAt(t, '127.0.0.9');
  const sent = [
    [stranger, samples.request()],
    [stranger, samples.ack()],
    [stranger, samples.leaseActive()],
    [stranger, Buffer.from('rubbish')],
    [other, samples.request()],
    [other, samples.release()],
    [other, samples.directRenewal()],
    [listed, samples.directRenewal()],
    [listed, samples.leaseActive()],
    [listed, Buffer.from('rubbish')],
  ] as const;
  for (const [index, [from, datagram]] of sent.entries()) {
    await from.send(datagram, port);
    await dealtWith(index + 1);
  }
  t.same(events, []);
  t.same(drops(), {
    'unknown unknown-source': 4,
    'olt-2 unknown-giaddr': 3,
    'olt-1 unknown-giaddr': 1,
    'olt-1 answer-unexpected': 1,
    'olt-1 too-short': 1,
  });
  t.same(told, [
    'unknown-source unknown 127.0.0.9 dhcp.relays: source',
    'unknown-giaddr olt-2 127.0.0.3 dhcp.relays: giaddr',
    'unknown-giaddr olt-1 127.0.0.2 dhcp.relays: giaddr',
    'too-short olt-1 127.0.0.2 -',
  ]);
  t.same(
    [listed, other, stranger].map((one) => one.heard.length),
    [0, 0, 0],
  );
});

t.test('a renewal that went past the relay is admitted where giaddr 0.0.0.0 is listed', async (t) => {
  const { events, port, dealtWith } = await listenWith(t, [
    relayAt('olt-1', '127.0.0.2', { giaddr: [network('100.65.2.1'), network('0.0.0.0')] }),
  ]);
  const relay = await senderAt(t, '127.0.0.2');
  await relay.send(samples.directRenewal(), port);
  await dealtWith(1);
  t.match(events, [{ kind: 'request', address: '100.65.2.10', line: null }]);
});

t.test('a DHCPREQUEST is confirmed by a leasequery to the configured server', async (t) => {
  for (const address of ['127.0.0.1', '0.0.0.0']) {
    const server = await leaseServerAt(t, '127.0.0.5', (question) => activeFor(question));
    const { events, port, dealtWith, clock, listener } = await listenWith(
      t,
      [relayAt('olt-1', '127.0.0.2', { leasequeryServers: [server] })],
      { sockets: [opener(address)] },
    );
    const relay = await senderAt(t, '127.0.0.2');
    await relay.send(samples.request(), port);
    await dealtWith(1);
    t.equal(listener.counters().heldRequests, 1);
    t.equal(events.length + server.questions.length, 0, 'nothing at once');
    clock.advance(firstPauseMs);
    await until(() => events.length === 1);
    t.match(server.questions, [
      { op: 1, messageType: 10, ciaddr: 0x6441020a, giaddr: 0x7f000001, htype: 0, chaddr: { length: 0 } },
    ]);
    t.match(server.heard, [{ address: '127.0.0.1', port }], 'from the socket that listens');
    t.same(events[0], {
      kind: 'commit',
      eventAtMs: clock.nowMs(),
      timeDeclared: true,
      receivedAtMs: clock.nowMs(),
      via: 'leasequery',
      source: 'olt-1',
      address: '100.65.2.10',
      mac: '02:00:00:00:c2:01',
      leaseEndsAtMs: clock.nowMs() + 600_000,
      line: olt7,
    });
    t.equal(relay.heard.length, 0);
    t.match(listener.counters(), { heldRequests: 0, openLeasequeries: 0, drops: [] });
  }
});

t.test('a listener at one address is answered there, though routing would pick another', async (t) => {
  const server = await leaseServerAt(t, '127.0.0.5', (question) => activeFor(question));
  const { events, port, clock, dealtWith } = await listenWith(
    t,
    [relayAt('olt-1', '127.0.0.2', { leasequeryServers: [server] })],
    { sockets: [opener('127.0.0.8')] },
  );
  const relay = await senderAt(t, '127.0.0.2');
  await relay.send(samples.request(), port, '127.0.0.8');
  await dealtWith(1);
  clock.advance(firstPauseMs);
  await until(() => events.length === 1);
  t.match(server.questions, [{ giaddr: 0x7f000008 }]);
  t.match(server.heard, [{ address: '127.0.0.8', port }]);
});

t.test('a server that is silent is asked three times, and the DHCPREQUEST stays a hint', async (t) => {
  const server = await leaseServerAt(t, '127.0.0.5', () => undefined);
  const { events, port, clock, drops, dealtWith, told } = await listenWith(t, [
    relayAt('olt-1', '127.0.0.2', { leasequeryServers: [server] }),
  ]);
  const relay = await senderAt(t, '127.0.0.2');
  await relay.send(samples.request(), port);
  await dealtWith(1);
  for (const [index, waitMs] of [firstPauseMs, 500, 1_000].entries()) {
    clock.advance(waitMs);
    await until(() => server.heard.length === index + 1);
  }
  clock.advance(2_000);
  await until(() => events.length === 1);
  t.match(events, [{ kind: 'request', via: 'packet', line: olt7 }]);
  t.same(drops(), { 'olt-1 no-answer': 1 });
  t.same(told, ['no-answer olt-1 - dhcp.relays: leasequery_servers']);
  for (const { octets } of server.heard) t.same(octets, server.heard[0]!.octets);
});

t.test('a client that was refused has no effect', async (t) => {
  const server = await leaseServerAt(t, '127.0.0.5', (question) => answerOf(question, 11));
  const { events, port, clock, drops, dealtWith, listener } = await listenWith(t, [
    relayAt('olt-1', '127.0.0.2', { leasequeryServers: [server] }),
  ]);
  const relay = await senderAt(t, '127.0.0.2');
  await relay.send(samples.request(), port);
  await dealtWith(1);
  clock.advance(firstPauseMs);
  await until(() => server.questions.length === 1 && clock.pending === 1 && listener.counters().openLeasequeries === 0);
  clock.advance(secondPauseMs);
  await until(() => listener.counters().heldRequests === 0);
  t.same(events, []);
  t.same(drops(), { 'olt-1 not-confirmed': 1 });
});

t.test('a forged answer is none: wrong source, wrong number, wrong lease', async (t) => {
  const server = await leaseServerAt(t, '127.0.0.5', () => undefined);
  const second = await leaseServerAt(t, '127.0.0.6', () => undefined);
  const { events, port, clock, drops, dealtWith } = await listenWith(t, [
    relayAt('olt-1', '127.0.0.2', { leasequeryServers: [server] }),
    relayAt('olt-2', '127.0.0.3', { leasequeryServers: [second] }),
  ]);
  const relay = await senderAt(t, '127.0.0.2');
  const stranger = await senderAt(t, '127.0.0.9');
  const samePlace = await senderAt(t, '127.0.0.5');
  await relay.send(samples.request(), port);
  await dealtWith(1);
  clock.advance(firstPauseMs);
  await until(() => server.questions.length === 1);
  const question = server.questions[0]!;
  const otherLease = { ...question, ciaddr: question.ciaddr + 1 };
  const otherNumber = { ...question, xid: (question.xid ^ 1) >>> 0 };
  const forged = [
    [stranger, activeFor(question)],
    [relay, activeFor(question)],
    [second, activeFor(question)],
    [samePlace, activeFor(question)],
    [server, activeFor(otherLease)],
    [server, activeFor(otherNumber)],
    [server, samples.ack()],
  ] as const;
  for (const [index, [from, datagram]] of forged.entries()) {
    await from.send(datagram, port);
    await dealtWith(index + 2);
  }
  t.same(events, []);
  t.same(drops(), {
    'unknown unknown-source': 1,
    'olt-1 answer-wrong-source': 1,
    'server-127.0.0.6 answer-wrong-source': 1,
    'server-127.0.0.5 answer-wrong-source': 1,
    'server-127.0.0.5 answer-malformed': 1,
    'server-127.0.0.5 answer-unexpected': 1,
    'server-127.0.0.5 unknown-giaddr': 1,
  });
  await server.send(activeFor(question), port);
  await until(() => events.length === 1);
  t.match(events, [{ kind: 'commit', via: 'leasequery' }], 'and the true one still counts');
});

t.test('one lease can be asked about, and leases that are believed in are refreshed', async (t) => {
  const server = await leaseServerAt(t, '127.0.0.5', (question) => {
    if (question.ciaddr === 0) return activeFor({ ...question, ciaddr: 0x6441020c });
    return question.ciaddr % 2 === 0 ? activeFor(question) : answerOf(question, 11);
  });
  const { events, listener } = await listenWith(t, [relayAt('olt-1', '127.0.0.2', { leasequeryServers: [server] })]);
  t.match(await listener.askServer(server, { by: 'address', address: 0x6441020a }), {
    answer: 'active',
    lease: { address: '100.65.2.10', mac: '02:00:00:00:c2:01', leaseSeconds: 600 },
  });
  t.match(await listener.askServer(server, { by: 'mac', mac: '02:00:00:00:c2:01' }), {
    answer: 'active',
    lease: { address: '100.65.2.12' },
  });
  const believed = Array.from({ length: 100 }, (_, index) => ({
    address: `100.65.2.${String(index + 1)}`,
    source: index < 50 ? 'olt-1' : 'a hook',
  }));
  t.same(await listener.refresh(believed), { end: 'all', active: 50, unassigned: 50, undecided: 0 });
  t.equal(events.length, 100);
  t.same(
    new Set(events.map(({ kind, address }) => `${kind} ${String(Number(address.split('.')[3]) % 2)}`)),
    new Set(['commit 0', 'expiry 1']),
  );
  t.same(
    listener
      .counters()
      .events.map(({ relay, kind, count }) => `${relay} ${kind} ${String(count)}`)
      .sort(),
    ['olt-1 commit 25', 'olt-1 expiry 25', 'refresh commit 25', 'refresh expiry 25'],
  );
});

t.test('what the sink cannot store is counted and told, and what it throws ends nothing', async (t) => {
  const broken = new Error('the sink broke');
  let mood: 'full' | 'broken' | 'well' = 'full';
  const stored: string[] = [];
  const { port, dealtWith, drops, told, errors } = await listenWith(t, [relayAt('olt-1', '127.0.0.2')], {
    sink: {
      take({ kind }, taken) {
        if (mood === 'broken') throw broken;
        if (mood === 'well') stored.push(kind);
        taken(mood === 'well');
      },
    },
  });
  const relay = await senderAt(t, '127.0.0.2');
  await relay.send(samples.request(), port);
  await dealtWith(2);
  mood = 'broken';
  await relay.send(samples.release(), port);
  await dealtWith(4);
  mood = 'well';
  await relay.send(samples.decline(), port);
  await dealtWith(5);
  t.same(drops(), { 'olt-1 not-stored': 1, 'olt-1 error': 1 });
  t.same(told, ['not-stored olt-1 - -', 'error olt-1 - -']);
  t.same(errors, [broken]);
  t.same(stored, ['decline']);
});

t.test('relays may change while it runs', async (t) => {
  let current = new RelayTable([relayAt('olt-1', '127.0.0.2')]);
  const { port, dealtWith, events, drops } = await listenWith(t, [], {
    relays: {
      find: (source, giaddr) => current.find(source, giaddr),
      nameOf: (source) => current.nameOf(source),
      byName: (name) => current.byName(name),
      get servers() {
        return current.servers;
      },
    },
  });
  const relay = await senderAt(t, '127.0.0.2');
  await relay.send(samples.request(), port);
  await dealtWith(1);
  current = new RelayTable([]);
  await relay.send(samples.request(), port);
  await dealtWith(2);
  t.equal(events.length, 1);
  t.same(drops(), { 'unknown unknown-source': 1 });
});

t.test('a stop hands on what waits, ends questions, and takes in nothing more', async (t) => {
  const server = await leaseServerAt(t, '127.0.0.5', () => undefined);
  const { port, dealtWith, events, listener, clock } = await listenWith(t, [
    relayAt('olt-1', '127.0.0.2', { leasequeryServers: [server] }),
    relayAt('olt-2', '127.0.0.3'),
  ]);
  const relay = await senderAt(t, '127.0.0.2');
  const other = await senderAt(t, '127.0.0.3');
  await relay.send(samples.request(), port);
  await dealtWith(1);
  clock.advance(firstPauseMs);
  await until(() => server.questions.length === 1);
  const asked = listener.askServer(server, { by: 'mac', mac: '02:00:00:00:c2:01' });
  await until(() => server.questions.length === 2);
  // Both stand in the socket when the stop begins.
  await other.send(samples.request(), port);
  const stopped = listener.stop();
  t.match(events.at(-1), { kind: 'request', source: 'olt-1' });
  t.same(await asked, { answer: 'silence', reason: 'stopped' });
  await stopped;
  await listener.stop();
  const handed = events.length;
  t.equal(clock.pending, 0);
  t.match(await listener.refresh([{ address: '100.65.2.10', source: 'olt-1' }]), { end: 'stopped' });
  t.equal(events.length, handed);
});

t.test('a socket that cannot be had is an error, and the others are closed again', async (t) => {
  const busy = await senderAt(t, '127.0.0.1');
  const opened: string[] = [];
  const counting =
    (open: ReturnType<typeof opener>) =>
    async (...args: Parameters<typeof open>) => {
      const socket = await open(...args);
      opened.push('open');
      const close = socket.close.bind(socket);
      socket.close = async () => {
        opened.push('closed');
        await close();
      };
      return socket;
    };
  await t.rejects(
    listenWith(t, [], { sockets: [counting(opener('127.0.0.1')), counting(opener('127.0.0.1', busy.port))] }),
    { name: ListenError.name, reason: 'busy' },
  );
  t.same(opened, ['open', 'closed']);
});
