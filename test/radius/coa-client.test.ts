/**
 * The asking side of CoA and Disconnect (RFC 5176) over real sockets on loopback: what it sends, what it believes, what it says of silence.
 */
import { createHash, createHmac } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { CoaClient, type CoaAnswer, type CoaRequest } from '../../src/radius/coa-client.js';
import { Code } from '../../src/radius/code.js';
import { headerOctets, parsePacket } from '../../src/radius/packet.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { ack, CommandNas, nak, type CommandBehaviour, type CommandReaction } from '../support/command-nas.js';
import { freeUdpPort } from '../support/free-port.js';
import { ManualClock } from '../support/manual-clock.js';
import { seededRandom } from '../support/seeded-random.js';
import { until } from '../support/until.js';

const SECRET = 'a secret of both sides';
const userName = Buffer.from(`0108${Buffer.from('ivanov').toString('hex')}`, 'hex');

interface Bench {
  readonly nas: CommandNas;
  readonly client: CoaClient;
  readonly clock: ManualClock;
  readonly ask: (more?: Partial<CoaRequest>) => Promise<CoaAnswer>;
}

async function bench(t: Pick<Test, 'teardown'>, behave?: CommandBehaviour, maxInFlight?: number): Promise<Bench> {
  const nas = await CommandNas.open(t, SECRET, behave);
  const clock = new ManualClock();
  const client = new CoaClient({ clock, random: () => 0.5, ...(maxInFlight !== undefined && { maxInFlight }) });
  t.teardown(() => client.stop());
  const secret = new SharedSecret(SECRET);
  const ask = (more: Partial<CoaRequest> = {}): Promise<CoaAnswer> =>
    client.ask({
      code: Code.coaRequest,
      address: '127.0.0.1',
      port: nas.port,
      secret,
      sourceAddress: undefined,
      attributes: userName,
      withMessageAuthenticator: true,
      withEventTimestamp: true,
      timeoutMs: 1_000,
      attempts: 4,
      ...more,
    });
  return { nas, client, clock, ask };
}

/** Lets time pass until the promise is settled: never further than one timer at a time. */
async function settled<Value>(clock: ManualClock, stepMs: number, promise: Promise<Value>): Promise<Value> {
  let isDone = false;
  const done = promise.finally(() => (isDone = true));
  await until(() => {
    if (!isDone && clock.pending > 0) clock.advance(stepMs);
    return isDone;
  });
  return await done;
}

t.test(
  'RFC 5176 §2.3: a request is signed with MD5 over itself, zeros for an authenticator, and the secret',
  async (t) => {
    const { nas, ask } = await bench(t);
    for (const withMessageAuthenticator of [false, true]) {
      await ask({ withMessageAuthenticator, withEventTimestamp: false });
      const { octets } = nas.heard.at(-1)!;
      const blank = Buffer.from(octets).fill(0, 4, 20);
      t.same(octets.subarray(4, 20), createHash('md5').update(blank).update(SECRET).digest());
      t.equal(octets[0], 43, 'CoA-Request');
      if (!withMessageAuthenticator) {
        t.equal(octets.length, headerOctets + userName.length, 'nothing is added unasked');
        continue;
      }
      t.equal(octets[headerOctets], Attribute.messageAuthenticator, 'Message-Authenticator comes first');
      const unsigned = Buffer.from(blank).fill(0, 22, 38);
      t.same(octets.subarray(22, 38), createHmac('md5', SECRET).update(unsigned).digest(), 'RFC 5176 §3.4');
    }
    await ask({ code: Code.disconnectRequest });
    t.equal(nas.heard.at(-1)!.packet.code, 40, 'Disconnect-Request');
  },
);

t.test('ACK and NAK with and without Error-Cause', async (t) => {
  const table: readonly [CommandReaction, Partial<CoaAnswer>][] = [
    [ack, { answer: 'ack', errorCause: undefined }],
    [
      { send: 'ack', errorCause: 201 },
      { answer: 'ack', errorCause: 201 },
    ],
    [nak(503), { answer: 'nak', errorCause: 503 }],
    [nak(), { answer: 'nak', errorCause: undefined }],
    [{ send: 'with-message-authenticator' }, { answer: 'ack' }],
  ];
  for (const code of [Code.coaRequest, Code.disconnectRequest] as const) {
    for (const [reaction, expected] of table) {
      const { ask } = await bench(t, () => [reaction]);
      t.match(await ask({ code }), { ...expected, attempts: 1 }, JSON.stringify(reaction));
    }
  }
});

t.test('a request is repeated with the same octets from the same port, each wait twice as long', async (t) => {
  const { nas, ask, clock } = await bench(t, (_request, count) => (count < 4 ? [] : [ack]));
  const beganAtMs = clock.nowMs();
  const answer = ask();
  for (const [index, waitMs] of [1_000, 2_000, 4_000].entries()) {
    await until(() => nas.heard.length === index + 1);
    clock.advance(waitMs - 1);
    t.equal(nas.heard.length, index + 1, `not before ${String(waitMs)} ms`);
    clock.advance(1);
  }
  const { attempts, sentAtMs, answeredAtMs } = await answer;
  t.same({ attempts, sentAtMs, answeredAtMs }, { attempts: 4, sentAtMs: beganAtMs, answeredAtMs: beganAtMs + 7_000 });
  t.equal(nas.heard.length, 4);
  for (const { octets, fromPort } of nas.heard) {
    t.same(octets, nas.heard[0]!.octets, 'Identifier, authenticator and Event-Timestamp stay (RFC 5176 §2.3)');
    t.equal(fromPort, nas.heard[0]!.fromPort);
  }
  t.equal(nas.heard[0]!.packet.uint32(Attribute.eventTimestamp), Math.floor(beganAtMs / 1_000));
});

t.test('silence after all attempts may have been carried out', async (t) => {
  const { nas, ask, clock } = await bench(t, () => []);
  const answer = await settled(clock, 1_000, ask());
  t.match(answer, { answer: 'silence', reason: 'timeout', reached: 'maybe', attempts: 4, isPortClosed: false });
  t.equal(nas.heard.length, 4);
});

t.test('what is not the answer is dropped and counted, and the answer still counts', async (t) => {
  const table: readonly [CommandReaction['send'], string][] = [
    ['garbage', 'malformed'],
    ['forged', 'bad-authenticator'],
    ['bad-message-authenticator', 'bad-message-authenticator'],
    ['other-code', 'wrong-code'],
    ['from-elsewhere', 'wrong-source'],
  ];
  for (const [send, reason] of table) {
    const { client, ask } = await bench(t, () => [{ send } as CommandReaction, nak(506)]);
    t.match(await ask(), { answer: 'nak', errorCause: 506, attempts: 1 }, send);
    await until(() => client.drops().size > 0);
    t.same([...client.drops()], [[reason, 1]], send);
  }
});

t.test('a reply from another port is no answer, and the silence says where it came from', async (t) => {
  const { nas, ask, clock } = await bench(t, () => [{ send: 'from-elsewhere' }]);
  const answer = await settled(clock, 1_000, ask({ attempts: 2 }));
  t.match(answer, { answer: 'silence', reached: 'maybe', answeredFrom: `127.0.0.1:${String(nas.strangerPort)}` });
});

t.test(
  'a second reply is a duplicate, one after the patience is late, one that nobody asked for unexpected',
  async (t) => {
    const { nas, client, ask, clock } = await bench(t, (_request, count) => (count === 1 ? [ack, ack] : []));
    await ask();
    await until(() => client.drops().get('duplicate') === 1);
    await settled(clock, 1_000, ask({ attempts: 1 }));
    nas.react(nas.heard.at(-1)!, ack);
    await until(() => client.drops().get('late') === 1);
    nas.react({ ...nas.heard[0]!, packet: withIdentifier(nas.heard[0]!.octets, 77) }, ack);
    await until(() => client.drops().get('unexpected') === 1);
    t.same(
      [...client.drops()],
      [
        ['duplicate', 1],
        ['late', 1],
        ['unexpected', 1],
      ],
    );
  },
);

function withIdentifier(octets: Buffer, identifier: number) {
  const other = Buffer.from(octets);
  other[1] = (other[1]! + identifier) % 256;
  const parsed = parsePacket(other);
  if (!parsed.ok) throw new Error('no packet');
  return parsed.packet;
}

t.test('the reply to an earlier request with the same Identifier answers no later one', async (t) => {
  const { nas, client, ask, clock } = await bench(t, () => []);
  const first = ask({ attempts: 1 });
  await until(() => nas.heard.length === 1);
  await settled(clock, 1_000, first);
  nas.behave = () => [ack];
  for (let round = 0; round < 255; round++) await ask();
  nas.behave = () => [];
  const last = ask({ attempts: 1 });
  await until(() => nas.heard.length === 257);
  t.equal(nas.heard[256]!.packet.identifier, nas.heard[0]!.packet.identifier, 'only after all the others');
  t.equal(nas.heard[256]!.fromPort, nas.heard[0]!.fromPort);
  nas.react(nas.heard[0]!, ack);
  await until(() => client.drops().get('bad-authenticator') === 1);
  t.match(await settled(clock, 1_000, last), { answer: 'silence' });
});

t.test('more than 256 under way to one NAS use several ports, and none is taken for another', async (t) => {
  const { nas, client, ask } = await bench(t, () => []);
  const many: Promise<CoaAnswer>[] = [];
  // In waves: the kernel holds some 200 packets for a socket that is not read yet.
  for (let index = 0; index < 600; index++) {
    const name = Buffer.from(`user-${String(index).padStart(4, '0')}`);
    many.push(ask({ attributes: Buffer.concat([Buffer.of(1, name.length + 2), name]) }));
    if (index % 100 === 99) await until(() => nas.heard.length === index + 1);
  }
  t.equal(client.inFlight, 600);
  t.ok(client.portCount >= 3, `${String(client.portCount)} ports`);
  t.equal(
    new Set(nas.heard.map(({ fromPort, packet }) => `${String(fromPort)} ${String(packet.identifier)}`)).size,
    600,
  );
  // Each user has an Error-Cause of his own, and they come in the opposite order.
  for (const [index, heard] of nas.heard.toReversed().entries()) {
    nas.react(heard, nak(Number(heard.packet.text(Attribute.userName)!.slice(5))));
    if (index % 100 === 99) await until(() => client.inFlight === 599 - index);
  }
  const answers = await Promise.all(many);
  t.same(
    answers.map((answer) => answer.answer === 'nak' && answer.errorCause),
    answers.map((_, index) => index),
  );
  t.equal(client.inFlight, 0);
});

t.test('a port that nobody listens on is told, and all attempts are made', async (t) => {
  const { client, ask, clock } = await bench(t);
  const port = await freeUdpPort();
  const answer = ask({ port });
  await until(() => clock.pending > 0);
  clock.advance(1_000);
  // The question whether the port is open is answered by the kernel, in its own time.
  await until(() => clock.pending === 1);
  const silence = await settled(clock, 1_000, answer);
  t.match(silence, { answer: 'silence', reason: 'timeout', reached: 'maybe', attempts: 4, isPortClosed: true });
  t.same([...client.drops()], []);
});

t.test('nothing that never left this host is said to have been sent', async (t) => {
  const { ask, client } = await bench(t);
  t.match(await ask({ sourceAddress: '192.0.2.77' }), { answer: 'silence', reason: 'no-socket', reached: 'never' });
  const { ask: full, nas } = await bench(t, () => [], 1);
  const first = full();
  await until(() => nas.heard.length === 1);
  t.match(await full(), { answer: 'silence', reason: 'busy', reached: 'never', attempts: 0 });
  t.equal(nas.heard.length, 1);
  await client.stop();
  t.match(await ask(), { answer: 'silence', reason: 'stopped', reached: 'never' });
  void first;
});

t.test('more attributes than a packet holds are refused before anything is sent', async (t) => {
  const { ask, nas } = await bench(t);
  const long = Buffer.concat(
    Array.from({ length: 17 }, () => Buffer.concat([Buffer.of(18, 255), Buffer.alloc(253, 97)])),
  );
  t.match(await ask({ attributes: long }), { answer: 'unsendable' });
  t.match(await ask(), { answer: 'ack' }, 'and its Identifier is free again');
  t.equal(nas.heard.length, 1);
});

t.test('a NAS with an IPv6 address is commanded over IPv6', async (t) => {
  const socket = createSocket('udp6');
  socket.bind(0, '::1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  socket.on('message', (octets, from) => {
    const parsed = parsePacket(Buffer.from(octets));
    if (!parsed.ok) return;
    const reply = new ReplyBuilder(parsed.packet, Code.coaAck, new SharedSecret(SECRET));
    socket.send(reply.finish(), from.port, from.address);
  });
  const { ask, client } = await bench(t);
  t.match(await ask({ address: '::1', port: socket.address().port }), { answer: 'ack', attempts: 1 });
  t.same([...client.drops()], []);
});

t.test('whatever arrives on its sockets is counted and does no harm', async (t) => {
  const { nas, client, ask } = await bench(t);
  await ask();
  const { fromPort, octets: template } = nas.heard[0]!;
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  const random = seededRandom(7);
  const below = (most: number): number => Math.floor(random() * most);
  const dropped = (): number => [...client.drops().values()].reduce((sum, one) => sum + one, 0);
  for (let count = 1; count <= 2_000; count++) {
    const octets =
      below(2) === 0 ? Buffer.from(template) : Buffer.from(Array.from({ length: below(80) }, () => below(256)));
    for (let flips = below(6); flips > 0 && octets.length > 0; flips--) octets[below(octets.length)] = below(256);
    socket.send(octets, fromPort, '127.0.0.1');
    if (count % 50 === 0) await until(() => dropped() === count);
  }
  t.match(await ask(), { answer: 'ack' });
});

t.test('stop, an abort and a lost right to go on end the wait at once', async (t) => {
  const { ask, nas, client, clock } = await bench(t, () => []);
  const aborted = new AbortController();
  const ended = ask({ signal: aborted.signal });
  const stopped = ask();
  await until(() => nas.heard.length === 2);
  aborted.abort();
  t.match(await ended, { answer: 'silence', reason: 'stopped', reached: 'maybe', attempts: 1 });
  const lost = ask({ mayRepeat: () => false });
  await until(() => nas.heard.length === 3);
  const waitsFor = client.inFlight;
  t.equal(waitsFor, 2);
  clock.advance(1_000);
  t.match(await lost, { answer: 'silence', reason: 'given-up', reached: 'maybe', attempts: 1 });
  await client.stop();
  t.match(await stopped, { answer: 'silence', reason: 'stopped', reached: 'maybe' });
  t.equal(client.inFlight, 0);
  t.equal(client.portCount, 0);
});

t.test('commands leave from the source address that is asked for', async (t) => {
  const { ask, nas } = await bench(t);
  await ask({ sourceAddress: '127.0.0.5' });
  await ask();
  t.same(
    nas.heard.map((heard) => heard.fromAddress),
    ['127.0.0.5', '127.0.0.1'],
  );
});

t.test(
  'a seeded network that loses, repeats and forges: every command has one answer, and it is its own',
  async (t) => {
    const random = seededRandom(42);
    const { ask, clock, nas, client } = await bench(t, (request) => {
      const truth = nak(Number(request.text(Attribute.userName)!.slice(5)));
      const noise: CommandReaction[] = [{ send: 'forged' }, { send: 'from-elsewhere' }, { send: 'garbage' }, truth];
      const reactions = random() < 0.4 ? [] : [truth];
      while (random() < 0.4) reactions.push(noise[Math.floor(random() * noise.length)]!);
      return reactions.sort(() => random() - 0.5);
    });
    for (let round = 0; round < 10; round++) {
      const asked = Array.from({ length: 50 }, async (_, index) => {
        const name = Buffer.from(`user-${String(round * 50 + index)}`);
        const attributes = Buffer.concat([Buffer.of(1, name.length + 2), name]);
        return [round * 50 + index, await ask({ attributes, attempts: 3 })] as const;
      });
      for (const [number, answer] of await settled(clock, 200, Promise.all(asked))) {
        if (answer.answer === 'nak') t.equal(answer.errorCause, number);
        else t.match(answer, { answer: 'silence', reason: 'timeout', attempts: 3 });
      }
    }
    t.equal(client.inFlight, 0);
    t.ok((client.drops().get('bad-authenticator') ?? 0) > 0 && (client.drops().get('duplicate') ?? 0) > 0);
    t.equal(nas.unsigned, 0);
  },
);
