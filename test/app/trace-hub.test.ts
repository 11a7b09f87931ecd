/**
 * Tracing in the way of a packet.
 *
 * Enters: packets with nobody, with tracers, with a tracing that breaks. Leaves: answers, looks, events. Invariants: while nobody
 * watches, a packet costs a look at an empty place each time that it passes one; whatever tracing does, the answer is the same.
 */
import t, { type Test } from 'tap';
import { TraceHub, maxTracers, type Tracer } from '../../src/app/trace-hub.js';
import { standardDictionary } from '../../src/app/policy.js';
import type { AdmittedRequest } from '../../src/radius/admitted-request.js';
import { Code } from '../../src/radius/code.js';
import type { RadiusWatch } from '../../src/radius/radius-observer.js';
import { RadiusServer } from '../../src/radius/radius-server.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import type { TraceEvent, TraceQuestion } from '../../src/status/trace-protocol.js';
import { accessRequest, RadiusClient } from '../support/radius-client.js';

const secret = new SharedSecret('a secret of the trace tests');
const dictionary = standardDictionary();

async function answering(t: Test, watch: RadiusWatch): Promise<RadiusClient> {
  const group = { name: 'loopback', secrets: [secret], requireMessageAuthenticator: true, limitProxyState: true };
  const server = new RadiusServer({
    auth: [{ socketAddress: { family: 4, address: '127.0.0.1', port: 0 } }],
    accounting: [],
    sources: { lookup: () => group },
    onDrop: () => undefined,
    onError: (error) => t.fail('the handler threw', { error }),
    handler: (request) => {
      request.reply(new ReplyBuilder(request.packet, Code.accessAccept, request.secret));
    },
    watch,
  });
  await server.start();
  const client = await RadiusClient.open(server.listeners[0]!.socketAddress.port);
  t.teardown(async () => {
    client.close();
    await server.stop(0);
  });
  return client;
}

function hub(identityOf: (request: AdmittedRequest) => undefined = () => undefined) {
  const errors: unknown[] = [];
  const made = new TraceHub({
    dictionary,
    identityOf,
    nasNameOf: () => 'bras1',
    nowMs: () => Date.UTC(2026, 10, 21),
    onError: (error) => errors.push(error),
  });
  return { hub: made, errors };
}

function tracer(question: TraceQuestion): Tracer & { events: TraceEvent[] } {
  const events: TraceEvent[] = [];
  return { question, events, tell: (make) => events.push(make()) };
}

t.test('while nobody watches, an answered request is two looks, a dropped or repeated one is one', async (t) => {
  let looks = 0;
  const client = await answering(t, {
    get current() {
      looks += 1;
      return undefined;
    },
  });
  const counted = async (bytes: Buffer): Promise<number> => {
    looks = 0;
    await client.request(bytes, { timeoutMs: 100 });
    return looks;
  };
  const request = accessRequest({ secret, userName: 'alice', password: 'x', identifier: 1 });
  t.equal(await counted(request.bytes), 2, 'as it comes and as its answer leaves');
  t.equal(await counted(request.bytes), 1, 'repeated');
  t.equal(await counted(Buffer.from('rubbish')), 1, 'dropped');
});

t.test('the place is empty but while somebody watches', async (t) => {
  const { hub: watched } = hub();
  t.equal(watched.watch.current, undefined);
  const tracers = Array.from({ length: maxTracers + 1 }, (_, i) => tracer({ login: `u${String(i)}` }));
  t.same(
    tracers.map((one) => watched.add(one)),
    [true, true, true, true, false],
  );
  t.equal(watched.watch.current, watched);
  for (const one of tracers) watched.remove(one);
  t.equal(watched.watch.current, undefined);
});

t.test('each tracer is told of its own, and an event is made once for all of them', async (t) => {
  const { hub: watched, errors } = hub();
  const client = await answering(t, watched.watch);
  const [alice, again, bob] = [
    tracer({ login: 'alice' }),
    tracer({ login: 'alice' }),
    tracer({ mac: '02:00:00:00:00:01' }),
  ];
  for (const one of [alice, again, bob]) watched.add(one);
  await client.ask(accessRequest({ secret, userName: 'alice', password: 'x', identifier: 1 }));
  await client.ask(accessRequest({ secret, userName: 'x', callingStationId: '02-00-00-00-00-01', identifier: 2 }));
  await client.ask(accessRequest({ secret, userName: 'carol', password: 'x', identifier: 3 }));
  const told = (one: { events: TraceEvent[] }) =>
    one.events.map(({ event, identifier }) => `${event} ${String(identifier)}`);
  t.same(told(alice), ['arrived 1', 'answered 1']);
  t.same(told(bob), ['arrived 2', 'answered 2']);
  t.equal(alice.events[0], again.events[0]);
  t.same(errors, []);
});

t.test('a tracing that breaks ends by itself, and the request is answered', async (t) => {
  const { hub: watched, errors } = hub(() => {
    throw new Error('a mistake in the tracing');
  });
  const client = await answering(t, watched.watch);
  watched.add(tracer({ login: 'alice' }));
  const reply = await client.ask(accessRequest({ secret, userName: 'alice', password: 'x' }));
  t.equal(reply?.code, Code.accessAccept);
  t.match(errors, [{ message: 'a mistake in the tracing' }]);
  t.equal(watched.watch.current, undefined, 'the next packet costs a look again');
});
