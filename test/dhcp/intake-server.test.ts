// What the intake listener withstands: too much, too large, too slow, and what is no HTTP; how it begins and ends.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { IntakeListenError, IntakeServer } from '../../src/dhcp/intake-server.js';
import { systemIntakeClock } from '../../src/dhcp/intake-clock.js';
import { IntakeLedger } from '../../src/dhcp/intake-ledger.js';
import { KeptLeases, openRules, startIntake } from '../support/intake.js';
import { until } from '../support/until.js';

const release = { cmd: 'release', client_ip: '10.0.0.1' };

/** A connection on which everything that came is kept. */
async function connected(
  t: Test,
  port: number,
): Promise<{ readonly socket: Socket; text(): string; closed(): boolean }> {
  const socket = connect({ host: '127.0.0.1', port });
  t.teardown(() => socket.destroy());
  let text = '';
  let isClosed = false;
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.once('close', () => (isClosed = true));
  await once(socket, 'connect');
  return { socket, text: () => text, closed: () => isClosed };
}

t.test('requests at once are bounded', async (t) => {
  const { query, leases, counts, server } = await startIntake(t, { maxRequestsInHand: 3 });
  leases.answer = undefined;
  const inHand = [1, 2, 3].map((last) => query('/dhcp_lever', { ...release, client_ip: `10.0.0.${String(last)}` }));
  await until(() => leases.waiting === 3);
  t.match(await query('/dhcp_lever', release), { status: 503, body: { text: /too much/ } });
  leases.answerAll(true);
  for (const answer of await Promise.all(inHand)) t.equal(answer.status, 200);
  await until(() => server.inHand === 0);
  leases.answer = true;
  t.equal((await query('/dhcp_lever', release)).status, 200, 'and then there is room again');
  t.match(counts('http'), { overloaded: 1 });
});

t.test('who goes away before his answer leaves no trace', async (t) => {
  const { port, leases, server, query } = await startIntake(t, { maxRequestsInHand: 1 });
  leases.answer = undefined;
  const { signQuery } = await import('../../src/dhcp/query-signature.js');
  const { leverSecret } = await import('../support/intake.js');
  const sign = signQuery(Object.values(release), leverSecret).toString('hex');
  const { socket } = await connected(t, port);
  socket.write(`GET /dhcp_lever?cmd=release&client_ip=10.0.0.1&sign=${sign} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until(() => leases.waiting === 1);
  socket.destroy();
  leases.answerAll(true);
  await until(() => server.inHand === 0);
  leases.answer = true;
  t.equal((await query('/dhcp_lever', release)).status, 200);
});

t.test('bodies and headers are bounded, and nothing else than JSON is read', async (t) => {
  const { post, request, leases, counts } = await startIntake(t);
  const long = 'x'.repeat(1_048_577);
  t.match(await post('/events/lease', long), { status: 413 });
  t.match(await post('/events/lease', release, { headers: { 'content-type': 'text/plain' } }), { status: 415 });
  t.match(await post('/events/lease', release, { headers: { 'content-type': 'application/x-www-form-urlencoded' } }), {
    status: 415,
  });
  const answer = await request(`/dhcp_lever?cmd=${'x'.repeat(9_000)}`).then(
    ({ status }) => status,
    () => 431,
  );
  t.equal(answer, 431);
  t.same(leases.events, []);
  t.match(counts('http'), { 'bad-request': 3 });
});

t.test('a body of strangers is not even read', async (t) => {
  const { port } = await startIntake(t);
  const { socket, text } = await connected(t, port);
  socket.write(
    'POST /events/lease HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n[',
  );
  await until(() => text().includes('\r\n\r\n'));
  t.match(text(), /^HTTP\/1.1 401 /);
});

t.test('what is no HTTP is answered so, and ends nothing', async (t) => {
  const { port, query } = await startIntake(t);
  for (const octets of [
    '\x16\x03\x01\x02\x00\x01',
    'GET\r\n\r\n',
    '\0'.repeat(100),
    'GET / HTTP/9.9\r\n\r\n',
    '\r\n'.repeat(10_000),
  ]) {
    const { socket, closed } = await connected(t, port);
    socket.write(octets, 'latin1');
    socket.end();
    await until(closed);
  }
  t.equal((await query('/dhcp_lever', release)).status, 200);
});

t.test('connections are bounded, in all and of one address', async (t) => {
  const { port, counts } = await startIntake(t, { maxConnections: 5 });
  const open = [];
  for (let count = 0; count < 5; count++) open.push(await connected(t, port));
  const tooMany = await connected(t, port);
  await until(tooMany.closed);
  t.ok(open.every((one) => !one.closed()));
  await until(() => (counts('http').overloaded ?? 0) > 0);

  const second = await startIntake(t, { maxConnections: 1_000 });
  const many: Awaited<ReturnType<typeof connected>>[] = [];
  for (let count = 0; count < 66; count++) many.push(await connected(t, second.port));
  await until(() => many.filter((one) => one.closed()).length === 2);
  for (const one of many) one.socket.destroy();
  await until(async () => (await second.query('/dhcp_lever', release).catch(() => ({ status: 0 }))).status === 200);
});

t.test('who sends a request slowly, or nothing at all, is let go', { timeout: 60_000 }, async (t) => {
  const { port } = await startIntake(t);
  const silent = await connected(t, port);
  const slow = await connected(t, port);
  slow.socket.write('GET /dhcp_lever HTTP/1.1\r\n');
  const beganAtMs = performance.now();
  await until(() => slow.closed());
  await until(() => silent.closed());
  t.ok(performance.now() - beganAtMs >= 5_000, 'but it has some time');
});

t.test('a fault of ours is told, and its sender says it again', async (t) => {
  const failure = new Error('a fault');
  const { query, errors, counts } = await startIntake(t, {
    leases: {
      take: () => {
        throw failure;
      },
    },
  });
  t.match(await query('/dhcp_lever', release), { status: 503, body: { text: /say it again/ } });
  t.same(errors, [failure]);
  t.same(counts('http'), { error: 1 });
});

t.test('a stop answers what is in hand', async (t) => {
  const { query, leases, server, port } = await startIntake(t);
  leases.answer = undefined;
  const idle = await connected(t, port);
  const answer = query('/dhcp_lever', release);
  await until(() => leases.waiting === 1);
  const stopped = server.stop();
  leases.answerAll(true);
  t.equal((await answer).status, 200);
  await stopped;
  await until(idle.closed);
  await t.rejects(query('/dhcp_lever', release));
});

t.test('an address that somebody else has is said with the key to change', async (t) => {
  const { port } = await startIntake(t);
  const rival = new IntakeServer({
    listen: { address: '127.0.0.1', port },
    rules: () => openRules(),
    leases: new KeptLeases(),
    ledger: new IntakeLedger({ nowMs: Date.now, onFault: () => undefined }),
    clock: systemIntakeClock,
    maxConnections: 1,
    maxRequestsInHand: 1,
    onError: () => undefined,
  });
  await t.rejects(rival.start(), IntakeListenError);
  await t.rejects(rival.start(), { message: /127\.0\.0\.1:\d+ \(EADDRINUSE\): set intake\.listen/ });
});
