/**
 * Packets that nobody should send, and subscribers that nobody can serve. Holds for each: no answer or the right one, a count under its reason, and a
 * good request right behind it is answered.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import t from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { waitFor } from '../support/deadline.js';
import { freshDatabase } from '../support/database.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { accessRequest, accountingRequest, openReply, type BuiltRequest } from '../support/radius-client.js';
import { scrape } from '../support/scrape.js';
import { TestServer } from '../support/server.js';
import { describe, TestNas } from '../support/test-nas.js';

const database = await freshDatabase(t);
const planId = await insertPlan(database.pool);
const poolId = await insertPool(database.pool, '100.64.0.0/24');
await insertPopulation(database.pool, { prefix: 'u', staticCount: 1, dynamicCount: 0, planId, poolId });
const server = await TestServer.start(t, { databaseUrl: database.url });
const { secret } = server;

const good = { userName: 'u0', password: 'password-of-u0', secret };
const BAD_IDENTIFIER = 200;
const GOOD_IDENTIFIER = 7;

/** A socket that keeps whatever comes. */
async function wire(address = '127.0.0.1'): Promise<{ socket: Socket; replies: Buffer[] }> {
  const socket = createSocket('udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  const replies: Buffer[] = [];
  socket.on('message', (bytes) => replies.push(Buffer.from(bytes)));
  return { socket, replies };
}

function access(fill?: (request: RequestBuilder) => void): BuiltRequest {
  return accessRequest({ ...good, identifier: BAD_IDENTIFIER, ...(fill && { fill }) });
}

/** Octets changed after signing: what is judged before the signature. */
function spoiled(change: (bytes: Buffer) => Buffer | undefined): Buffer {
  const bytes = Buffer.from(access().bytes);
  return change(bytes) ?? bytes;
}

/** An attribute as raw octets at the end, the packet's length right. */
function withTail(tail: readonly number[]): Buffer {
  return spoiled((bytes) => {
    const longer = Buffer.concat([bytes, Buffer.from(tail)]);
    longer.writeUInt16BE(longer.length, 2);
    return longer;
  });
}

/** A whole, signed Access-Request of exactly so many octets. */
function ofLength(octets: number): BuiltRequest {
  const bare = access().bytes.length;
  return access((request) => {
    let left = octets - bare;
    while (left > 0) {
      const size = left > 255 + 3 ? 255 : left > 255 ? left - 3 : left;
      request.addOctets(Attribute.connectInfo, Buffer.alloc(size - 2, 0x20));
      left -= size;
    }
  });
}

function statusless(): Buffer {
  const request = new RequestBuilder(Code.accountingRequest, BAD_IDENTIFIER);
  request.addText(Attribute.acctSessionId, 's');
  return request.finish(new SharedSecret(secret));
}

interface BadPacket {
  readonly name: string;
  readonly bytes: Buffer;
  readonly reason: string;
  readonly port?: 'auth' | 'accounting';
  readonly source?: string;
  /** What one log line about it names. */
  readonly key?: string;
}

const start = { secret, identifier: BAD_IDENTIFIER, userName: 'u0', acctSessionId: 's' } as const;
/** The NAS that a drop is counted for. */
const nasName = (row: BadPacket) => (row.source === undefined ? 'localhost' : 'unknown');

const badPackets: readonly BadPacket[] = [
  {
    name: 'an unknown NAS',
    bytes: access().bytes,
    reason: 'unknown-source',
    source: '127.0.0.99',
    key: 'nas.d: address',
  },
  { name: 'no octets at all', bytes: Buffer.alloc(0), reason: 'too-short' },
  { name: 'a short packet', bytes: access().bytes.subarray(0, 19), reason: 'too-short' },
  {
    name: 'a header length below the header',
    bytes: spoiled((b) => void b.writeUInt16BE(19, 2)),
    reason: 'length-too-small',
  },
  {
    name: 'a header length past the datagram',
    bytes: spoiled((b) => void b.writeUInt16BE(b.length + 1, 2)),
    reason: 'length-mismatch',
  },
  { name: 'an attribute of length 0', bytes: withTail([77, 0]), reason: 'attribute-length' },
  { name: 'an attribute of length 1', bytes: withTail([77, 1]), reason: 'attribute-length' },
  { name: 'an attribute past the end', bytes: withTail([77, 9, 0x20]), reason: 'attribute-length' },
  { name: 'half an attribute header', bytes: withTail([77]), reason: 'attribute-length' },
  { name: 'a VSA without a whole vendor', bytes: withTail([26, 5, 0, 0, 9]), reason: 'vendor-length' },
  {
    name: '4097 octets',
    bytes: Buffer.concat([ofLength(4096).bytes.fill(Buffer.from([0x10, 0x01]), 2, 4), Buffer.of(0)]),
    reason: 'too-long',
  },
  {
    name: 'an Accounting-Request on the authentication port',
    bytes: accountingRequest({ ...start, status: 'start' }).bytes,
    reason: 'accounting-on-auth-port',
    key: 'radius.accounting',
  },
  {
    name: 'an Access-Request on the accounting port',
    bytes: access().bytes,
    reason: 'access-on-accounting-port',
    port: 'accounting',
    key: 'radius.auth',
  },
  { name: 'a CoA-Request', bytes: spoiled((b) => void (b[0] = 43)), reason: 'unexpected-code' },
  { name: 'an Access-Accept', bytes: spoiled((b) => void (b[0] = 2)), reason: 'unexpected-code' },
  {
    name: 'a wrong secret',
    bytes: accessRequest({ ...good, secret: 'not the secret at all', identifier: BAD_IDENTIFIER }).bytes,
    reason: 'bad-message-authenticator',
    key: 'secret_file',
  },
  {
    name: 'no Message-Authenticator',
    bytes: accessRequest({ ...good, identifier: BAD_IDENTIFIER, withMessageAuthenticator: false }).bytes,
    reason: 'message-authenticator-missing',
    key: 'require_message_authenticator',
  },
  {
    name: 'two Message-Authenticators',
    bytes: withTail([80, 18, ...Buffer.alloc(16)]),
    reason: 'message-authenticator-repeated',
  },
  {
    name: 'accounting with a wrong secret',
    bytes: accountingRequest({ ...start, secret: 'not the secret at all', status: 'start' }).bytes,
    reason: 'bad-authenticator',
    port: 'accounting',
    key: 'secret_file',
  },
  {
    name: 'accounting without Acct-Status-Type',
    bytes: statusless(),
    reason: 'accounting-incomplete',
    port: 'accounting',
  },
  {
    name: 'a Start without Acct-Session-Id',
    bytes: accountingRequest({ secret, identifier: BAD_IDENTIFIER, userName: 'u0', status: 'start' }).bytes,
    reason: 'accounting-incomplete',
    port: 'accounting',
  },
];

async function goodAnswer(socket: Socket, replies: readonly Buffer[]): Promise<string> {
  const request = accessRequest({ ...good, identifier: GOOD_IDENTIFIER });
  socket.send(request.bytes, server.authPort, '127.0.0.1');
  const reply = await waitFor('the answer to a good request', 5000, () =>
    replies.find((r) => r[1] === GOOD_IDENTIFIER),
  );
  return describe(openReply(reply, request));
}

for (const row of badPackets) {
  t.test(row.name, async (t) => {
    const labels = { nas: nasName(row), reason: row.reason };
    const before = (await scrape(server.statusUrl)).sum('radius_dropped_total', labels);
    const { socket, replies } = await wire(row.source);
    const { socket: ours, replies: toUs } = await wire();
    t.teardown(() => [socket, ours].forEach((one) => one.close()));
    socket.send(row.bytes, row.port === 'accounting' ? server.accountingPort : server.authPort, '127.0.0.1');
    await waitFor('the drop to be counted', 5000, async () => {
      return (await scrape(server.statusUrl)).sum('radius_dropped_total', labels) === before + 1;
    });
    t.equal(await goodAnswer(ours, toUs), 'Accept 10.20.0.1', 'a good request right behind it is answered');
    t.same(replies, [], 'no answer');
    if (row.key !== undefined) {
      const lines = server.logs.filter((line) => line['reason'] === row.reason && line['nas'] === labels.nas);
      t.equal(lines.length, 1, 'one log line');
      t.match(String(lines[0]?.['key']), row.key, 'that names the key');
    }
  });
}

t.test('a reason is told once, however often it comes', async (t) => {
  const nas = await TestNas.open(t, server, { secret: 'another wrong secret', accessTimeoutMs: 20 });
  for (let i = 0; i < 20; i++) t.equal(await nas.logIn({ userName: 'u0', password: 'x' }), undefined);
  const lines = server.logs.filter((line) => line['reason'] === 'bad-message-authenticator');
  t.equal(lines.length, 1);
});

const oddPackets: readonly (readonly [string, BuiltRequest | Buffer])[] = [
  ['4096 octets', ofLength(4096)],
  ['4096 octets and one of padding (RFC 2865 §3)', Buffer.concat([ofLength(4096).bytes, Buffer.of(0xff)])],
  [
    'a VSA whose inner length runs past its end',
    access((r) => r.addOctets(Attribute.vendorSpecific, Buffer.from([0, 0, 0x37, 0x2c, 8, 250, 1]))),
  ],
  [
    'a VSA whose inner length is 0',
    access((r) => r.addOctets(Attribute.vendorSpecific, Buffer.from([0, 0, 0x37, 0x2c, 8, 0, 1]))),
  ],
  ['a VSA with nothing in it', access((r) => r.addVendor(14988, 8, Buffer.alloc(0)))],
  ['a tag beyond 31', access((r) => r.addOctets(Attribute.tunnelType, Buffer.from([0xff, 0, 0, 1])))],
  ['a tagged attribute without room for its value', access((r) => r.addOctets(Attribute.tunnelType, Buffer.of(1)))],
  ['an empty attribute', access((r) => r.addOctets(Attribute.connectInfo, Buffer.alloc(0)))],
  ['a number of three octets', access((r) => r.addOctets(61, Buffer.from([0, 0, 5])))],
  ['an attribute that nobody knows', access((r) => r.addOctets(250, Buffer.from('?')))],
];

for (const [name, packet] of oddPackets) {
  t.test(`${name}: answered as if it were not there`, async (t) => {
    const { socket, replies } = await wire();
    t.teardown(() => socket.close());
    const bytes = Buffer.isBuffer(packet) ? packet : packet.bytes;
    socket.send(bytes, server.authPort, '127.0.0.1');
    const reply = await waitFor('an answer', 5000, () => replies[0]);
    t.equal(reply[0], Code.accessAccept);
    if (!Buffer.isBuffer(packet)) t.equal(describe(openReply(reply, packet)), 'Accept 10.20.0.1');
  });
}

t.test('a subscriber without a plan is rejected, and everybody can see why', async (t) => {
  await database.pool.query(`WITH a AS (INSERT INTO account (contract) VALUES ('no plan') RETURNING id)
    INSERT INTO subscriber (account_id, login, password) SELECT id, 'planless', 'pw' FROM a`);
  const nas = await TestNas.open(t, server);
  const reject = await waitFor('the server to know him', 5000, async () => {
    const text = describe(await nas.logIn({ userName: 'planless', password: 'pw' }));
    return (await scrape(server.statusUrl)).sum('access_total', { reason: 'no-plan' }) > 0 && text;
  });
  t.match(reject, /^Reject/);
  const rows = await waitFor('the attempt in the table', 5000, async () => {
    const found = await database.pool.query(
      `SELECT outcome, reason FROM access_attempt WHERE login = 'planless' AND reason = 'no-plan'`,
    );
    return found.rows.length > 0 && found.rows;
  });
  t.same(rows[0], { outcome: 'reject', reason: 'no-plan' });
});

t.test('an exhausted pool rejects with its reason, and gives again after a Stop and the quarantine', async (t) => {
  const { pool } = database;
  const small = await insertPool(pool, '100.65.0.0/30', { name: 'small', quarantineSeconds: 1 });
  const people = await insertPopulation(pool, {
    prefix: 'p',
    staticCount: 0,
    dynamicCount: 3,
    planId,
    poolId: small,
    macByte: 9,
  });
  const nas = await TestNas.open(t, server);
  const logIn = (i: number) =>
    nas.logIn({ userName: people[i]!.login, password: people[i]!.password, callingStationId: people[i]!.mac });
  const first = await waitFor('the server to know them', 10_000, async () => {
    const reply = await logIn(0);
    return reply?.code === Code.accessAccept && reply;
  });
  const address = first.address(Attribute.framedIpAddress)!;
  const session = {
    userName: people[0]!.login,
    callingStationId: people[0]!.mac,
    acctSessionId: 'pool-1',
    framedIpAddress: address,
  };
  t.ok(await nas.account({ ...session, status: 'start' }));
  t.match(describe(await logIn(1)), /^Accept 100\.65\.0\.[12]$/);
  t.match(describe(await logIn(2)), /^Reject/, 'the third of two addresses');
  t.ok((await scrape(server.statusUrl)).sum('access_total', { reason: 'pool-empty' }) > 0);
  t.ok(await nas.account({ ...session, status: 'stop', sessionSeconds: 1 }));
  const late = await waitFor('the address of the one who left', 20_000, async () => {
    const reply = await logIn(2);
    return reply?.code === Code.accessAccept && reply;
  });
  t.equal(late.address(Attribute.framedIpAddress), address);
});
