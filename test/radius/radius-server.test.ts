// The service over real sockets on loopback: answers, retransmissions, drops, held Rejects, draining.

import t, { type Test } from 'tap';
import { createSocket } from 'node:dgram';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import type { SourceGroup } from '../../src/radius/admission.js';
import type { AdmittedRequest } from '../../src/radius/admitted-request.js';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { ListenError, UdpListener } from '../../src/radius/listener.js';
import { RadiusServer, type RadiusServerOptions } from '../../src/radius/radius-server.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import {
  formatSocketAddress,
  isWildcard,
  parseSocketAddress,
  type SocketAddress,
} from '../../src/radius/socket-address.js';
import { accessRequest, accountingRequest, openReply, RadiusClient, statusServer } from '../support/radius-client.js';

const secret = new SharedSecret('testing123');
const group: SourceGroup = {
  name: 'loopback',
  secrets: [secret],
  requireMessageAuthenticator: true,
  limitProxyState: true,
};
const loopback: SocketAddress = { family: 4, address: '127.0.0.1', port: 0 };
const handlerFailure = new Error('the handler broke');

/** A server whose handler does what the User-Name says, with a short reject delay. */
async function startServer(t: Test, options: Partial<RadiusServerOptions> = {}) {
  const drops: string[] = [];
  const errors: unknown[] = [];
  const waiting: AdmittedRequest[] = [];
  let handled = 0;
  const server = new RadiusServer({
    auth: [{ socketAddress: loopback }],
    accounting: [{ socketAddress: loopback }],
    sources: { lookup: (address) => (address === '127.0.0.1' || address === '::1' ? group : undefined) },
    rejectDelayMs: 60,
    rejectJitterMs: 20,
    onDrop: (reason, groupName, address, hint) => drops.push(`${reason} ${groupName} ${address} ${hint ?? '-'}`),
    onError: (error) => errors.push(error),
    handler: (request) => {
      handled++;
      const reply = (code: number): ReplyBuilder => new ReplyBuilder(request.packet, code, request.secret);
      switch (request.packet.text(Attribute.userName)) {
        case 'wait':
          waiting.push(request);
          break;
        case 'reject':
          request.reply(reply(Code.accessReject));
          break;
        case 'discard':
          request.discard('not-loaded');
          break;
        case 'throw':
          throw handlerFailure;
        case 'twice':
          request.reply(reply(Code.accessAccept).addText(Attribute.class, 'first'));
          request.reply(reply(Code.accessAccept).addText(Attribute.class, 'second'));
          request.discard('too-late');
          break;
        default:
          request.reply(reply(request.port === 'auth' ? Code.accessAccept : Code.accountingResponse));
      }
    },
    ...options,
  });
  await server.start();
  t.teardown(() => server.stop(0));
  const [auth, accounting] = server.listeners.map((listener) => listener.socketAddress.port);
  const client = await RadiusClient.open(auth!);
  const accountingClient = await RadiusClient.open(accounting!);
  t.teardown(() => {
    client.close();
    accountingClient.close();
  });
  const dropCount = (reason: string): number =>
    [...server.drops()].filter((drop) => drop.reason === reason).reduce((sum, drop) => sum + drop.count, 0);
  return { server, client, accountingClient, drops, errors, waiting, dropCount, handled: () => handled };
}

/** Waits until a condition holds; the test's own timeout ends a vain wait. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

t.test('answers on both ports and both families', async (t) => {
  const v6: SocketAddress = { family: 6, address: '::1', port: 0 };
  const { server, client, accountingClient } = await startServer(t, { auth: [{ socketAddress: loopback }] });
  const accept = await client.ask(accessRequest({ secret, userName: 'alice', password: 'x' }));
  t.equal(accept?.code, Code.accessAccept);
  const response = await accountingClient.ask(accountingRequest({ secret, status: 'start', acctSessionId: '1' }));
  t.equal(response?.code, Code.accountingResponse);
  t.equal((await client.ask(statusServer({ secret, identifier: 2 })))?.code, Code.accessAccept);
  t.equal(server.counters().admitted, 3);
  t.equal(server.counters().inHand, 0);
  t.same(
    [...server.counters().sentByCode],
    [
      [Code.accessAccept, 2],
      [Code.accountingResponse, 1],
    ],
  );
  const other = await startServer(t, { auth: [{ socketAddress: v6 }], accounting: [] }).catch(
    (error: unknown) => error,
  );
  if (other instanceof ListenError || !(other !== null && typeof other === 'object' && 'server' in other)) {
    t.comment('this host has no IPv6 loopback');
    return;
  }
  const running = other as Awaited<ReturnType<typeof startServer>>;
  const sixth = await RadiusClient.open(running.server.listeners[0]!.socketAddress.port, '::1');
  t.teardown(() => sixth.close());
  t.equal((await sixth.ask(accessRequest({ secret, userName: 'alice' })))?.code, Code.accessAccept, 'over IPv6');
});

t.test('a retransmission gets the same octets and is handled once', async (t) => {
  const { client, handled, server } = await startServer(t);
  const request = accessRequest({ secret, userName: 'alice', password: 'x' });
  const first = await client.request(request.bytes);
  const second = await client.request(request.bytes);
  t.ok(first && second?.equals(first));
  t.equal(handled(), 1);
  t.equal(server.counters().repeated, 1);
  const other = await client.request(accessRequest({ secret, userName: 'alice', password: 'x' }).bytes);
  t.notOk(other?.equals(first!), 'another authenticator is another request');
  t.equal(handled(), 2);
});

t.test('a retransmission while in hand waits for the one answer', async (t) => {
  const { client, waiting, dropCount, server } = await startServer(t);
  const request = accessRequest({ secret, userName: 'wait' });
  const answer = client.request(request.bytes, { timeoutMs: 5_000 });
  client.send(request.bytes);
  client.send(request.bytes);
  await until(() => dropCount('duplicate-in-hand') === 2);
  t.equal(waiting.length, 1);
  t.equal(server.counters().inHand, 1);
  waiting[0]!.reply(new ReplyBuilder(waiting[0]!.packet, Code.accessAccept, secret));
  t.equal(openReply((await answer)!, request).code, Code.accessAccept);
  t.ok(waiting[0]!.isSettled);
});

t.test('a Reject is held; everything else is not', async (t) => {
  const { client, server } = await startServer(t);
  const before = performance.now();
  const reject = await client.ask(accessRequest({ secret, userName: 'reject' }));
  t.equal(reject?.code, Code.accessReject);
  t.ok(performance.now() - before >= 60, 'at least the delay');
  t.equal(server.counters().heldRejects, 0);
});

t.test('too many held Rejects: the newest is dropped and may be asked again', async (t) => {
  const { client, dropCount, handled, server } = await startServer(t, { maxHeldRejects: 1, rejectDelayMs: 200 });
  client.send(accessRequest({ secret, identifier: 1, userName: 'reject' }).bytes);
  const second = accessRequest({ secret, identifier: 2, userName: 'reject' });
  client.send(second.bytes);
  await until(() => dropCount('too-many-rejects') === 1);
  t.equal(server.counters().heldRejects, 1);
  await until(() => server.counters().heldRejects === 0);
  t.equal((await client.ask(second))?.code, Code.accessReject, 'the retransmission is handled as new');
  t.equal(handled(), 3);
});

t.test('discarded: no answer, counted, and a retransmission is handled again', async (t) => {
  const { client, handled, dropCount } = await startServer(t);
  const request = accessRequest({ secret, userName: 'discard' });
  client.send(request.bytes);
  client.send(request.bytes);
  await until(() => dropCount('not-loaded') === 2);
  t.equal(handled(), 2);
});

t.test('a handler that throws costs its request, not the service', async (t) => {
  const { client, errors, dropCount } = await startServer(t);
  client.send(accessRequest({ secret, userName: 'throw' }).bytes);
  await until(() => dropCount('handler-error') === 1);
  t.same(errors, [handlerFailure]);
  t.equal((await client.ask(accessRequest({ secret, userName: 'alice' })))?.code, Code.accessAccept);
});

t.test('the first outcome counts', async (t) => {
  const { client, dropCount } = await startServer(t);
  const reply = await client.ask(accessRequest({ secret, userName: 'twice' }));
  t.equal(reply?.text(Attribute.class), 'first');
  t.equal(dropCount('too-late'), 0);
});

t.test('what is refused gets no answer, is counted each time and told once, with the key to change', async (t) => {
  const { client, accountingClient, drops, dropCount } = await startServer(t);
  const wrongSecret = accessRequest({ secret: 'wrong', userName: 'alice' }).bytes;
  const bare = accessRequest({ secret, userName: 'alice', withMessageAuthenticator: false }).bytes;
  for (let round = 0; round < 3; round++) {
    client.send(wrongSecret);
    client.send(bare);
    client.send(Buffer.from('nonsense'));
    client.send(accountingRequest({ secret, status: 'start' }).bytes);
    accountingClient.send(accountingRequest({ secret: 'wrong', status: 'start' }).bytes);
    accountingClient.send(accessRequest({ secret, userName: 'alice' }).bytes);
  }
  await until(() => dropCount('access-on-accounting-port') === 3 && dropCount('accounting-on-auth-port') === 3);
  t.same(drops.toSorted(), [
    'access-on-accounting-port loopback 127.0.0.1 radius.auth',
    'accounting-on-auth-port loopback 127.0.0.1 radius.accounting',
    'bad-authenticator loopback 127.0.0.1 secret_file',
    'bad-message-authenticator loopback 127.0.0.1 secret_file',
    'message-authenticator-missing loopback 127.0.0.1 require_message_authenticator',
    'too-short loopback 127.0.0.1 -',
  ]);
  for (const reason of ['bad-message-authenticator', 'message-authenticator-missing', 'too-short'])
    t.equal(dropCount(reason), 3, reason);
});

t.test('a source that nobody configured', async (t) => {
  const { client, drops, dropCount, handled } = await startServer(t, { sources: { lookup: () => undefined } });
  client.send(accessRequest({ secret, userName: 'alice' }).bytes);
  await until(() => dropCount('unknown-source') === 1);
  t.same(drops, ['unknown-source unknown 127.0.0.1 nas.d: address']);
  t.equal(handled(), 0);
});

t.test('a bad signature never touches the duplicate table', async (t) => {
  const { client, server, dropCount } = await startServer(t);
  const good = accessRequest({ secret, userName: 'alice', identifier: 5 });
  const answer = await client.request(good.bytes);
  const forged = Buffer.from(good.bytes);
  forged[forged.length - 1]! ^= 1;
  client.send(forged);
  await until(() => dropCount('bad-message-authenticator') === 1);
  t.equal(server.counters().duplicateEntries, 1);
  t.ok((await client.request(good.bytes))?.equals(answer!), 'the true one is still remembered');
});

t.test('more in hand than allowed', async (t) => {
  const { client, waiting, dropCount } = await startServer(t, { maxInHand: 2 });
  for (let identifier = 0; identifier < 3; identifier++)
    client.send(accessRequest({ secret, userName: 'wait', identifier }).bytes);
  await until(() => dropCount('overloaded') === 1);
  t.equal(waiting.length, 2);
  for (const request of waiting) request.discard('test');
});

t.test('stopping: what is in hand is finished, what is new is dropped, held Rejects get their time', async (t) => {
  const { server, client, waiting, dropCount } = await startServer(t);
  const request = accessRequest({ secret, userName: 'wait', identifier: 1 });
  const answer = client.request(request.bytes, { timeoutMs: 5_000 });
  const reject = client.request(accessRequest({ secret, userName: 'reject', identifier: 2 }).bytes, {
    timeoutMs: 5_000,
  });
  await until(() => waiting.length === 1 && server.counters().heldRejects === 1);
  let stopped = false;
  const stopping = server.stop(10_000).then(() => (stopped = true));
  client.send(accessRequest({ secret, userName: 'alice', identifier: 3 }).bytes);
  await until(() => dropCount('draining') === 1);
  t.equal((await reject)?.[0], Code.accessReject);
  t.notOk(stopped);
  waiting[0]!.reply(new ReplyBuilder(waiting[0]!.packet, Code.accessAccept, secret));
  await stopping;
  t.equal((await answer)?.[0], Code.accessAccept);
  await server.stop(0);
  t.pass('stopping twice is no error');
});

t.test('stopping does not wait longer than told', async (t) => {
  const { server, client, waiting } = await startServer(t);
  client.send(accessRequest({ secret, userName: 'wait' }).bytes);
  await until(() => waiting.length === 1);
  await server.stop(20);
  waiting[0]!.reply(new ReplyBuilder(waiting[0]!.packet, Code.accessAccept, secret));
  t.pass('a late reply goes nowhere and harms nothing');
});

t.test('a busy port is an error that names it and says what to do', async (t) => {
  const holder = createSocket('udp4');
  holder.bind(0, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const socketAddress = { ...loopback, port: holder.address().port };
  const error = await UdpListener.open({ socketAddress }, () => undefined).catch((caught: unknown) => caught);
  t.ok(error instanceof ListenError);
  if (error instanceof ListenError) {
    t.equal(error.reason, 'busy');
    t.match(error.message, `127.0.0.1:${socketAddress.port}`);
    t.match(error.remedy, 'ss -ulpn');
  }
  const server = new RadiusServer({
    auth: [{ socketAddress: loopback }],
    accounting: [{ socketAddress }],
    sources: { lookup: () => undefined },
    handler: () => undefined,
    onDrop: () => undefined,
    onError: () => undefined,
  });
  await t.rejects(server.start(), ListenError, 'the server does not start on half of its sockets');
});

t.test('an address that the host does not have', async (t) => {
  const socketAddress: SocketAddress = { family: 4, address: '192.0.2.1', port: 0 };
  const error = await UdpListener.open({ socketAddress }, () => undefined).catch((caught: unknown) => caught);
  t.match(error, { name: 'ListenError', reason: 'no-such-address' });
});

t.test('an inherited descriptor that is no socket', async (t) => {
  const descriptor = openSync(fileURLToPath(import.meta.url), 'r');
  t.teardown(() => closeSync(descriptor));
  const opening = UdpListener.open({ socketAddress: loopback, descriptor }, () => undefined);
  t.match(await opening.catch((caught: unknown) => caught), { name: 'ListenError', reason: 'bad-descriptor' });
});

t.test('socket addresses', (t) => {
  for (const [text, expected] of [
    ['127.0.0.1:1812', { family: 4, address: '127.0.0.1', port: 1812 }],
    ['[::1]:1812', { family: 6, address: '::1', port: 1812 }],
    ['[2001:db8::1]:0', { family: 6, address: '2001:db8::1', port: 0 }],
    ['0.0.0.0:65535', { family: 4, address: '0.0.0.0', port: 65535 }],
    ['127.0.0.1', undefined],
    ['127.0.0.1:', undefined],
    ['127.0.0.1:65536', undefined],
    ['::1:1812', undefined],
    ['[127.0.0.1]:1812', undefined],
    ['localhost:1812', undefined],
    ['127.0.0.1:1812 ', undefined],
    ['', undefined],
  ] as const) {
    const parsed = parseSocketAddress(text);
    t.same(parsed, expected, text);
    if (parsed !== undefined) t.equal(formatSocketAddress(parsed), text);
  }
  t.ok(isWildcard({ family: 4, address: '0.0.0.0', port: 1 }));
  t.ok(isWildcard({ family: 6, address: '::', port: 1 }));
  t.notOk(isWildcard({ family: 6, address: '::1', port: 1 }));
  t.end();
});
