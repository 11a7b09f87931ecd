// The deliverer: what hooks wrote on one host arrives at the Sluice of another, over everything that may happen between them.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { LeaseDeliverer } from '../../src/dhcp/deliverer.js';
import { freeTcpPort } from '../support/free-port.js';
import { jsonSecret, openRules, startIntake } from '../support/intake.js';
import { hookFile, testInbox } from '../support/lease-inbox.js';
import type { TestInbox } from '../support/lease-inbox.js';
import { until } from '../support/until.js';

const commit = (address: string): string =>
  hookFile('commit', address, '2:0:0:0:c1:1', '', '', 'circuit_id=61:63', 'lease_seconds=600');

interface Delivery extends TestInbox {
  /** Everything that was told of trouble; undefined: it is over. */
  readonly troubles: (string | undefined)[];
}

async function delivery(t: Test, port: number, change: { readonly secret?: Uint8Array } = {}): Promise<Delivery> {
  const troubles: (string | undefined)[] = [];
  const deliverer = new LeaseDeliverer({
    to: new URL(`http://127.0.0.1:${String(port)}/events/lease`),
    source: 'dhcp2',
    secret: change.secret ?? jsonSecret,
    nowMs: Date.now,
    onTrouble: (why) => troubles.push(why),
  });
  const test = await testInbox(t, { sink: deliverer });
  t.teardown(() => deliverer.stop());
  return { ...test, troubles };
}

/** A server that answers as it is told to, and keeps the bodies. */
async function scripted(t: Test, answer: (request: number) => { status: number; body?: string } | 'hang' | 'break') {
  const bodies: unknown[] = [];
  const server = createServer((request, reply) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      bodies.push(JSON.parse(Buffer.concat(chunks).toString()));
      const what = answer(bodies.length);
      if (what === 'break') request.socket.destroy();
      else if (what !== 'hang') reply.writeHead(what.status, { location: '/elsewhere' }).end(what.body ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, bodies };
}

t.test('what the hook wrote arrives as it happened, and is deleted', async (t) => {
  const { port, leases } = await startIntake(t);
  const { inbox, put, names } = await delivery(t, port);
  await put('1-a', commit('10.0.0.1'), 3_600_000);
  await put('2-b', hookFile('release', '10.0.0.2'), 60_000);
  const beganAtMs = Date.now();
  inbox.start();
  await until(async () => (await names()).length === 0);
  t.match(leases.events, [
    {
      kind: 'commit',
      via: 'json',
      source: 'dhcp2',
      address: '10.0.0.1',
      mac: '02:00:00:00:c1:01',
      line: { circuitId: '6163' },
    },
    { kind: 'release', address: '10.0.0.2', mac: null, line: null },
  ]);
  const [first] = leases.events;
  t.ok(
    first!.timeDeclared && Math.abs(beganAtMs - 3_600_000 - first!.eventAtMs) < 5_000,
    'its time is that of the hook',
  );
  t.equal(first!.leaseEndsAtMs, first!.eventAtMs + 600_000);
});

t.test('Sluice may be away, and nothing is lost', async (t) => {
  const port = await freeTcpPort();
  const { inbox, put, names, troubles, count } = await delivery(t, port);
  await put('1-a', commit('10.0.0.1'));
  inbox.start();
  await until(() => troubles.length === 1);
  t.match(troubles, [/no answer \(ECONNREFUSED\)/]);
  await put('2-b', commit('10.0.0.2'));
  const { leases } = await startIntake(t, { listen: { address: '127.0.0.1', port } });
  await until(async () => (await names()).length === 0);
  t.same(leases.events.map(({ address }) => address).sort(), ['10.0.0.1', '10.0.0.2']);
  t.equal(troubles.at(-1), undefined, 'and it is told that it is over');
  t.equal(count('taken'), 2);
});

t.test('files stay until Sluice has them on disk', async (t) => {
  const { port, leases } = await startIntake(t);
  leases.answer = false;
  const { inbox, put, names, troubles } = await delivery(t, port);
  await put('1-a', commit('10.0.0.1'));
  inbox.start();
  await until(() => troubles.length === 1);
  t.match(troubles, [/answer 503: .*say it again/]);
  t.same(await names(), ['1-a']);
  leases.answer = true;
  await until(async () => (await names()).length === 0);
});

t.test('what Sluice will never have is put aside, and holds nothing up', async (t) => {
  const { port, bodies } = await scripted(t, (request) =>
    request === 1
      ? { status: 422, body: '{"reason":"bad-client-mac","index":1,"text":"event 2: …"}' }
      : { status: 200 },
  );
  const { inbox, put, names } = await delivery(t, port);
  for (const last of [1, 2, 3]) await put(`${String(last)}-a`, commit(`10.0.0.${String(last)}`), 10_000 - last * 1_000);
  inbox.start();
  await until(async () => (await names()).join() === 'rejected');
  t.same(await names('rejected'), ['2-a.refused']);
  t.match(bodies, [
    [{ client_ip: '10.0.0.1' }, { client_ip: '10.0.0.2' }, { client_ip: '10.0.0.3' }],
    [{ client_ip: '10.0.0.1' }, { client_ip: '10.0.0.3' }],
  ]);
});

t.test('answers', async (t) => {
  for (const [what, first, isTaken, trouble] of [
    ['taken', { status: 204 }, true, undefined],
    ['taken before, and the answer was lost', { status: 409 }, true, undefined],
    ['not let in', { status: 403, body: '{"text":"access denied"}' }, false, /answer 403: access denied/],
    ['the clock', { status: 401, body: '{"text":"set the clocks"}' }, false, /answer 401: set the clocks/],
    ['a proxy', { status: 502, body: '<html>Bad Gateway' }, false, /^answer 502$/],
    ['elsewhere', { status: 307 }, false, /no answer/],
    ['refused without saying what', { status: 422, body: '{"reason":"not-json"}' }, false, /answer 422/],
    ['refused beyond the list', { status: 422, body: '{"index":1}' }, false, /answer 422/],
    ['refused before it', { status: 422, body: '{"index":-1}' }, false, /answer 422/],
    ['no object', { status: 500, body: 'null' }, false, /^answer 500$/],
    ['a long text', { status: 500, body: `{"text":"${'x'.repeat(100_000)}"}` }, false, /^answer 500$/],
    ['an end', 'break', false, /no answer/],
  ] as const) {
    const { port, bodies } = await scripted(t, (request) => (request === 1 ? first : { status: 200 }));
    const { inbox, put, names, troubles } = await delivery(t, port);
    await put('1-a', commit('10.0.0.1'));
    inbox.start();
    await until(async () => (await names()).length === 0);
    t.equal(bodies.length, isTaken ? 1 : 2, what);
    if (trouble !== undefined) t.match(troubles, [trouble, undefined], what);
    else t.same(troubles, [], what);
    await inbox.stop();
  }
});

t.test('a wrong secret leaves everything where it is', async (t) => {
  const { port, leases, counts } = await startIntake(t);
  const { inbox, put, names, troubles } = await delivery(t, port, { secret: Buffer.from('a wrong one') });
  await put('1-a', commit('10.0.0.1'));
  inbox.start();
  await until(() => troubles.length === 1);
  t.match(troubles, [/answer 403/]);
  t.notMatch(String(troubles[0]), 'wrong one');
  t.same(await names(), ['1-a']);
  t.same(leases.events, []);
  t.match(counts('json-lease'), { 'bad-signature': Number });
});

t.test('many files are few requests', async (t) => {
  const { port, bodies } = await scripted(t, () => ({ status: 200 }));
  const { inbox, put, names } = await delivery(t, port);
  for (let index = 0; index < 1_000; index++)
    await put(`${String(index)}-a`, commit(`10.0.${String(index >> 8)}.${String(index & 255)}`));
  inbox.start();
  await until(async () => (await names()).length === 0);
  t.equal(bodies.flat().length, 1_000);
  t.ok(bodies.length <= 8, `${String(bodies.length)} requests`);
});

t.test('a stop does not wait for a server that does not answer', async (t) => {
  const { port, bodies } = await scripted(t, () => 'hang');
  const troubles: unknown[] = [];
  const deliverer = new LeaseDeliverer({
    to: new URL(`http://127.0.0.1:${String(port)}/`),
    source: 'dhcp2',
    secret: jsonSecret,
    nowMs: Date.now,
    onTrouble: (why) => troubles.push(why),
  });
  const { inbox, put, names } = await testInbox(t, { sink: deliverer });
  await put('1-a', commit('10.0.0.1'));
  inbox.start();
  await until(() => bodies.length === 1);
  await Promise.all([inbox.stop(), deliverer.stop()]);
  t.same(await names(), ['1-a']);
  t.same(troubles, []);
});

t.test('a deliverer that Sluice does not list is refused before its body is read', async (t) => {
  const { port, use, leases } = await startIntake(t);
  use(openRules({ jsonSources: [] }));
  const { inbox, put, troubles } = await delivery(t, port);
  await put('1-a', commit('10.0.0.1'));
  inbox.start();
  await until(() => troubles.length === 1);
  t.match(troubles, [/answer 403/]);
  t.same(leases.events, []);
});
