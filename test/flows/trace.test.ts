/**
 * `trace` beside a running server and a NAS that sends real packets.
 *
 * Enters: logins, accounting, forged and repeated packets, a reader that does not read. Leaves: events. Invariants: one request is told
 * from its arrival to its answer, in this order; nobody else's packet is; a slow reader loses events, is told how many, and
 * no answer is later for it.
 */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import t from 'tap';
import type { Test } from 'tap';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { traceSocketPath, type TraceEvent } from '../../src/status/trace-protocol.js';
import { freshDatabase } from '../support/database.js';
import { waitFor } from '../support/deadline.js';
import { NasExchange } from '../support/nas-exchange.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { accessRequest, RadiusClient } from '../support/radius-client.js';
import { TestServer } from '../support/server.js';
import { describe, TestNas } from '../support/test-nas.js';
import { until } from '../support/until.js';

/** A tracer that keeps what it is told. */
async function tracer(t: Test, dataDir: string, question: object): Promise<{ events: TraceEvent[]; socket: Socket }> {
  const socket = createConnection(traceSocketPath(dataDir));
  t.teardown(() => socket.destroy());
  const events: TraceEvent[] = [];
  createInterface({ input: socket }).on('line', (line) => events.push(JSON.parse(line) as TraceEvent));
  socket.write(`${JSON.stringify(question)}\n`);
  await until(() => events.length > 0);
  if (events.shift()?.event !== 'tracing') throw new Error('the server turned the tracer away');
  return { events, socket };
}

const told = (events: readonly TraceEvent[]): string[] =>
  events.map(({ event, request, code, outcome, reason }) =>
    [request === undefined ? '' : `#${String(request)}`, event, code, outcome, reason].filter((part) => part).join(' '),
  );

t.test('a server with two subscribers on line', async (t) => {
  const database = await freshDatabase(t);
  const planId = await insertPlan(database.pool);
  const poolId = await insertPool(database.pool, '100.64.0.0/24');
  const [alice, bob] = await insertPopulation(database.pool, {
    prefix: 'u',
    staticCount: 1,
    dynamicCount: 1,
    planId,
    poolId,
  });
  const server = await TestServer.start(t, { databaseUrl: database.url });
  const nas = await TestNas.open(t, server);
  const request = (who: typeof alice) => ({
    userName: who!.login,
    password: who!.password,
    callingStationId: who!.mac,
  });

  await t.test('the way of a session, and nobody else on it', async (t) => {
    t.equal((await stat(traceSocketPath(server.dataDir))).mode & 0o777, 0o600, 'only the owner may ask');
    const byLogin = await tracer(t, server.dataDir, { login: bob!.login });
    const byMac = await tracer(t, server.dataDir, { mac: bob!.mac });
    const address = await nas.address(request(bob));
    await nas.address(request(alice));
    const session = { userName: bob!.login, acctSessionId: 's1', framedIpAddress: address, callingStationId: bob!.mac };
    t.ok(await nas.account({ ...session, status: 'start' }));
    // Without his login it is his by the session: what the server finds counts, not only what the packet says.
    t.ok(await nas.account({ ...session, userName: bob!.mac, status: 'interimUpdate', inputOctets: 5_000_000_000n }));
    t.match(describe(await nas.logIn({ ...request(bob), password: 'mistaken' })), /^Reject/u);
    const expected = [
      '#1 arrived Access-Request',
      '#1 decided accept active',
      '#1 answered Access-Accept',
      '#2 arrived Accounting-Request',
      '#2 answered Accounting-Response',
      '#3 arrived Accounting-Request',
      '#3 answered Accounting-Response',
      '#4 arrived Access-Request',
      '#4 decided reject wrong-password',
      '#4 answered Access-Reject',
    ];
    await until(() => byLogin.events.length >= expected.length && byMac.events.length >= expected.length);
    t.same(told(byLogin.events), expected);
    t.same(told(byMac.events), expected, 'a MAC traces the same');
    t.match(byLogin.events[0], {
      nas: 'localhost',
      port: 'auth',
      subscriber: bob!.login,
      found: 'one',
      found_by: 'login',
    });
    t.match(byLogin.events[1], { address, explanation: 'answered as the state active' });
    t.match(byLogin.events[5], { subscriber: bob!.login, found_by: 'session' });
    t.match(byLogin.events[6], { explanation: 'on disk; the database follows' });
    const value = (event: TraceEvent | undefined, name: string) =>
      event?.attributes?.find((attribute) => attribute.name === name)?.value;
    t.equal(value(byLogin.events[2], 'Framed-IP-Address'), address);
    t.equal(value(byLogin.events[5], 'Acct-Input-Gigawords'), '1');
    t.equal(value(byLogin.events[7], 'User-Password'), '<hidden>');
    t.ok((byLogin.events[9]?.after_ms ?? 0) >= 900, 'a Reject is told when it leaves, after its delay');
    const text = JSON.stringify([...byLogin.events, ...byMac.events]);
    for (const secret of [bob!.password, 'mistaken', server.secret]) t.notMatch(text, secret);
  });

  await t.test('what is refused and what is repeated', async (t) => {
    const { events } = await tracer(t, server.dataDir, { login: 'nobody' });
    const client = await RadiusClient.open(server.authPort);
    t.teardown(() => client.close());
    const forged = accessRequest({
      secret: new SharedSecret('a wrong one'),
      userName: 'nobody',
      password: 'x',
      identifier: 9,
    });
    const unsigned = accessRequest({
      secret: server.secret,
      userName: 'nobody',
      password: 'x',
      identifier: 10,
      withMessageAuthenticator: false,
    });
    client.send(forged.bytes);
    client.send(unsigned.bytes);
    const honest = accessRequest({ secret: server.secret, userName: 'nobody', password: 'x', identifier: 11 });
    client.send(honest.bytes);
    client.send(honest.bytes);
    await until(() => events.some(({ event }) => event === 'answered'));
    t.ok(await client.request(honest.bytes), 'the remembered answer');
    await until(() => events.length >= 7);
    t.same(told(events), [
      'refused Access-Request bad-message-authenticator',
      'refused Access-Request message-authenticator-missing',
      '#5 arrived Access-Request',
      '#5 decided reject unknown-login',
      'repeated Access-Request',
      '#5 answered Access-Reject',
      'repeated Access-Request',
    ]);
    t.match(events[2], { subscriber: null, found: 'none' });
  });

  await t.test('a reader that does not read loses events, and delays nobody', async (t) => {
    const socket = createConnection(traceSocketPath(server.dataDir));
    t.teardown(() => socket.destroy());
    socket.write(`${JSON.stringify({ login: alice!.login })}\n`);
    await once(socket, 'readable');
    const exchange = await NasExchange.open({ sockets: 4 });
    t.teardown(() => exchange.close());
    const requests = 3000;
    let answered = 0;
    const slowest = { ms: 0 };
    const ask = async (): Promise<void> => {
      const beganAt = performance.now();
      const reply = await exchange.ask(
        server.authPort,
        (identifier) => accessRequest({ ...request(alice), secret: server.secret, identifier }),
        { timeoutMs: 5000 },
      );
      slowest.ms = Math.max(slowest.ms, performance.now() - beganAt);
      if (reply !== undefined) answered += 1;
    };
    for (let sent = 0; sent < requests; sent += 20) await Promise.all(Array.from({ length: 20 }, ask));
    t.equal(answered, requests, 'every request is answered');
    t.ok(slowest.ms < 2000, `the slowest took ${slowest.ms.toFixed(0)} ms`);

    const events: TraceEvent[] = [];
    createInterface({ input: socket }).on('line', (line) => events.push(JSON.parse(line) as TraceEvent));
    const lost = (): number => events.reduce((sum, event) => sum + (event.events ?? 0), 0);
    const seen = (): number => events.filter(({ event }) => event !== 'lost' && event !== 'tracing').length;
    await waitFor(
      'the count of what was lost, though nothing more comes',
      20_000,
      () => seen() + lost() >= 3 * requests,
    );
    t.equal(seen() + lost(), 3 * requests, 'shown and lost are all that there was');
    t.ok(lost() > 0 && seen() > 0, `${String(seen())} shown, ${String(lost())} lost`);
  });

  t.same(await server.stop(), { code: 0, signal: null });
  await t.rejects(stat(traceSocketPath(server.dataDir)), { code: 'ENOENT' }, 'the socket goes with the server');
});
