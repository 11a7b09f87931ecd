/** The simulated NAS: it obeys what is rightly signed and names a session that it has, and nothing else. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import t from 'tap';
import { makeTown, seededRandom, townCsv } from '../../src/demo/population.js';
import { SimulatedNas, type NasCommand } from '../../src/demo/simulated-nas.js';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { type Packet, parsePacket } from '../../src/radius/packet.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { until } from '../support/until.js';

const SECRET = 'a secret of both sides';
const device = { login: 'ivanov', password: 'wonderland', mac: '02:00:00:00:00:07' };

async function socket(t: { teardown(end: () => void): void }): Promise<Socket> {
  const one = createSocket('udp4');
  one.bind(0, '127.0.0.1');
  await once(one, 'listening');
  t.teardown(() => one.close());
  return one;
}

/** A server that lets everybody in, and a NAS in front of it. */
async function house(t: { teardown(end: () => void): void }) {
  const secret = new SharedSecret(SECRET);
  const server = await socket(t);
  const accounted: (number | undefined)[][] = [];
  server.on('message', (octets, from) => {
    const parsed = parsePacket(Buffer.from(octets));
    if (!parsed.ok) return;
    const { packet } = parsed;
    const isAccess = packet.code === Code.accessRequest;
    if (!isAccess)
      accounted.push([packet.uint32(Attribute.acctStatusType), packet.uint32(Attribute.acctTerminateCause)]);
    const reply = new ReplyBuilder(packet, isAccess ? Code.accessAccept : Code.accountingResponse, secret);
    if (isAccess) reply.addAddress(Attribute.framedIpAddress, '100.64.0.7');
    server.send(reply.finish(), from.port, from.address);
  });
  const { port } = server.address();
  const commands: NasCommand[] = [];
  const nas = await SimulatedNas.open({
    name: 'bras1',
    secret: SECRET,
    host: '127.0.0.1',
    authPort: port,
    accountingPort: port,
    commandPort: 0,
    nowMs: Date.now,
    onCommand: (command) => commands.push(command),
  });
  t.teardown(() => nas.close());
  const client = await socket(t);
  const replies: Packet[] = [];
  client.on('message', (octets) => {
    const parsed = parsePacket(Buffer.from(octets));
    if (parsed.ok) replies.push(parsed.packet);
  });
  const command = (code: number, fill: (request: RequestBuilder) => void, by: SharedSecret = secret): void => {
    const request = new RequestBuilder(code, replies.length);
    fill(request);
    client.send(request.finish(by), nas.commandPort, '127.0.0.1');
  };
  return { nas, accounted, commands, replies, command };
}

t.test('a Disconnect ends the session it names: ACK, then Stop with Admin Reset', async (t) => {
  const { nas, accounted, replies, command } = await house(t);
  const login = await nas.logIn(device);
  t.match(login, { result: 'accepted', session: { address: '100.64.0.7' } });
  command(Code.disconnectRequest, (request) => request.addText(Attribute.userName, 'ivanov'));
  await until(() => accounted.length === 2);
  t.equal(replies[0]?.code, Code.disconnectAck);
  t.same(accounted, [
    [1, undefined],
    [2, 6],
  ]);
  t.same(nas.sessions, []);
});

t.test('a CoA is acknowledged, and the session lives on', async (t) => {
  const { nas, commands, replies, command } = await house(t);
  await nas.logIn(device);
  const { acctSessionId } = nas.sessions[0]!;
  command(Code.coaRequest, (request) => request.addText(Attribute.acctSessionId, acctSessionId));
  await until(() => replies.length === 1);
  t.equal(replies[0]?.code, Code.coaAck);
  t.match(commands[0], { kind: 'coa', session: { acctSessionId } });
  t.equal(nas.sessions.length, 1);
});

t.test('it does what Accept and CoA tell it, in the words of both profiles', async (t) => {
  const { nas, replies, command } = await house(t);
  await nas.logIn(device);
  const session = nas.sessions[0]!;
  t.same(session.service, { downBps: undefined, isWalledGarden: false }, 'an Accept that says nothing');
  const mikrotik = (type: number, text: string): Buffer => {
    const value = Buffer.from(text);
    return Buffer.concat([Buffer.from([0, 0, 0x3a, 0x8c, type, value.length + 2]), value]);
  };
  const cases: readonly (readonly [string, (request: RequestBuilder) => void, object])[] = [
    [
      'into the walled garden',
      (request) =>
        request
          .addOctets(Attribute.vendorSpecific, mikrotik(19, 'sluice-redirect'))
          .addOctets(Attribute.vendorSpecific, mikrotik(8, '1000k/2000k')),
      { downBps: 2_000_000, isWalledGarden: true },
    ],
    [
      'another rate changes nothing else',
      (request) => request.addText(Attribute.filterId, '3000/4000'),
      { downBps: 3_000_000, isWalledGarden: true },
    ],
    [
      'out of it',
      (request) => request.addOctets(Attribute.vendorSpecific, mikrotik(19, 'sluice-active')),
      { downBps: 3_000_000, isWalledGarden: false },
    ],
    ['no limit', (request) => request.addText(Attribute.filterId, '0/0'), { downBps: Infinity, isWalledGarden: false }],
    ['nothing', () => undefined, { downBps: Infinity, isWalledGarden: false }],
  ];
  for (const [index, [what, fill, service]] of cases.entries()) {
    command(Code.coaRequest, (request) => {
      request.addText(Attribute.acctSessionId, session.acctSessionId);
      fill(request);
    });
    await until(() => replies.length === index + 1);
    t.same(session.service, service, what);
  }
});

t.test('what names no session of its own is NAKed with Error-Cause 503 (RFC 5176 §3.5)', async (t) => {
  const { nas, replies, command } = await house(t);
  await nas.logIn(device);
  const strangers: readonly ((request: RequestBuilder) => void)[] = [
    (request) => request.addText(Attribute.userName, 'petrova'),
    (request) => request.addText(Attribute.userName, 'ivanov').addAddress(Attribute.framedIpAddress, '100.64.0.8'),
    () => undefined,
  ];
  for (const [index, fill] of strangers.entries()) {
    command(Code.disconnectRequest, fill);
    await until(() => replies.length === index + 1);
    t.equal(replies[index]?.code, Code.disconnectNak);
    t.equal(replies[index]?.uint32(Attribute.errorCause), 503);
  }
  t.equal(nas.sessions.length, 1);
});

t.test('what is signed with another secret is not heard', async (t) => {
  const { nas, replies, commands, command } = await house(t);
  await nas.logIn(device);
  command(
    Code.disconnectRequest,
    (request) => request.addText(Attribute.userName, 'ivanov'),
    new SharedSecret('another'),
  );
  command(Code.disconnectRequest, (request) => request.addText(Attribute.userName, 'nobody'));
  await until(() => replies.length === 1);
  t.equal(replies[0]?.code, Code.disconnectNak, 'the answer to the second, which came after it');
  t.equal(commands.length, 1);
  t.equal(nas.sessions.length, 1);
});

t.test('the same seed makes the same town, and everybody in it is somebody else', async (t) => {
  const town = makeTown(200, seededRandom(1));
  t.same(townCsv(town), townCsv(makeTown(200, seededRandom(1))));
  for (const key of ['login', 'contract', 'mac'] as const) t.equal(new Set(town.map((one) => one[key])).size, 200, key);
  const fixed = town.flatMap((one) => one.staticAddress ?? []);
  t.equal(new Set(fixed).size, fixed.length);
  t.equal(new Set(town.map((one) => one.temper)).size, 4, 'some of them have trouble at the door');
});
