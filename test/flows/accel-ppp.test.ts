/**
 * A broadband NAS as accel-ppp is one: fresh sockets that all begin with Identifier 1, Access-Requests repeated with the same octets, accounting repeated
 * with a new Identifier and a new Acct-Delay-Time, On and Off. Holds: strangers are not merged, repetitions are not counted twice.
 */
import t from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { freshDatabase } from '../support/database.js';
import { waitFor } from '../support/deadline.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import {
  accessRequest,
  accountingRequest,
  openReply,
  RadiusClient,
  type AccountingRequestOptions,
  type BuiltRequest,
} from '../support/radius-client.js';
import { applied, knowsSubscribers, scrape } from '../support/scrape.js';
import { TestServer } from '../support/server.js';
import { describe } from '../support/test-nas.js';

const database = await freshDatabase(t);
const { pool } = database;
const planId = await insertPlan(pool);
const poolId = await insertPool(pool, '100.64.0.0/24');
const people = await insertPopulation(pool, { prefix: 'u', staticCount: 0, dynamicCount: 12, planId, poolId });
const server = await TestServer.start(t, { databaseUrl: database.url });
await knowsSubscribers(server.statusUrl, people.length);
const { secret } = server;
const box = { secret, nasIdentifier: 'accel-1' } as const;

/** One request on a socket of its own, which is closed behind it. */
async function fresh(port: number, request: BuiltRequest): Promise<Buffer | undefined> {
  const client = await RadiusClient.open(port);
  try {
    return await client.request(request.bytes, { timeoutMs: 5000 });
  } finally {
    client.close();
  }
}

const account = async (options: Omit<AccountingRequestOptions, 'secret'>) =>
  (await fresh(server.accountingPort, accountingRequest({ ...box, ...options }))) !== undefined;

const loginOf = (i: number) =>
  accessRequest({
    ...box,
    userName: people[i]!.login,
    password: people[i]!.password,
    callingStationId: people[i]!.mac,
    acctSessionId: `a${String(i)}`,
  });

t.test('ten at once, every one from a fresh socket with Identifier 1', async (t) => {
  const requests = Array.from({ length: 10 }, (_, i) => loginOf(i));
  const replies = await Promise.all(requests.map((request) => fresh(server.authPort, request)));
  const addresses = replies.map((reply, i) => openReply(reply!, requests[i]!).address(Attribute.framedIpAddress));
  t.equal(new Set(addresses).size, 10, 'ten people, ten addresses, each reply signed for its own request');
});

t.test('one socket, one Identifier, two people: the authenticator tells them apart', async (t) => {
  const client = await RadiusClient.open(server.authPort);
  t.teardown(() => client.close());
  const [first, second] = [loginOf(10), loginOf(11)];
  const one = await client.ask(first);
  const two = await client.ask(second);
  t.match([describe(one), describe(two)], [/^Accept/, /^Accept/]);
  t.not(describe(one), describe(two));
  const before = (await scrape(server.statusUrl)).sum('radius_repeated_total');
  const again = await client.request(second.bytes);
  t.ok(again?.equals((await client.request(second.bytes))!), 'the same octets again get the same octets again');
  t.equal((await scrape(server.statusUrl)).sum('radius_repeated_total'), before + 2, 'from memory');
});

/** The same fact again, as it is said later: another Identifier, and the delay since it happened. */
async function twice(options: Omit<AccountingRequestOptions, 'secret'>): Promise<boolean> {
  const first = await account({ ...options, identifier: 1 });
  return first && (await account({ ...options, identifier: 2, delaySeconds: 3 }));
}

t.test('a session with every packet repeated as this NAS repeats', async (t) => {
  const { login, mac } = people[0]!;
  const request = loginOf(0);
  const accept = openReply((await fresh(server.authPort, request))!, request);
  const session = {
    userName: login,
    callingStationId: mac,
    acctSessionId: 'a0',
    framedIpAddress: accept.address(Attribute.framedIpAddress)!,
    class: Buffer.from(accept.first(Attribute.class)!),
  };
  t.ok(await twice({ ...session, status: 'start' }));
  t.ok(await twice({ ...session, status: 'interimUpdate', inputOctets: 100, outputOctets: 200, sessionSeconds: 5 }));
  const stop = {
    ...session,
    status: 'stop',
    inputOctets: 150,
    outputOctets: 5_000_000_000,
    sessionSeconds: 9,
  } as const;
  t.ok(await twice(stop));
  // Seen once: the repetition of a Stop with the old Identifier and another body.
  t.ok(await account({ ...stop, identifier: 1, delaySeconds: 6, terminateCause: 1 }));
  await applied(server.statusUrl);
  const { rows } = await pool.query(
    `SELECT login, input_octets, output_octets, session_seconds, terminate_cause, nas_box FROM session_history
     WHERE acct_session_id = 'a0'`,
  );
  t.same(rows, [
    {
      login,
      input_octets: 150,
      output_octets: 5_000_000_000,
      session_seconds: 9,
      terminate_cause: 1,
      nas_box: 'accel-1',
    },
  ]);
  const { rows: periods } = await pool.query(
    `SELECT input_octets, output_octets, session_seconds FROM period JOIN subscriber s ON s.id = subscriber_id WHERE login = $1`,
    [login],
  );
  t.same(
    periods,
    [{ input_octets: 150, output_octets: 5_000_000_000, session_seconds: 9 }],
    'nothing is counted twice',
  );
});

t.test('Accounting-On ends what this box had before, and nothing else', async (t) => {
  const begin = async (i: number, more: { nasIdentifier?: string } = {}) => {
    const request = loginOf(i);
    const accept = openReply((await fresh(server.authPort, request))!, request);
    const { login, mac } = people[i]!;
    const framedIpAddress = accept.address(Attribute.framedIpAddress)!;
    const session = { userName: login, callingStationId: mac, acctSessionId: `b${String(i)}`, framedIpAddress };
    t.ok(await account({ ...session, status: 'start', ...more }));
  };
  const live = async () => {
    const { rows } = await pool.query<{ id: string }>(
      `SELECT acct_session_id AS id FROM session WHERE starts_with(acct_session_id, 'b') ORDER BY 1`,
    );
    return rows.map((row) => row.id);
  };
  await begin(1);
  await begin(2);
  await begin(3, { nasIdentifier: 'accel-2' });
  await applied(server.statusUrl);
  t.same(await live(), ['b1', 'b2', 'b3']);
  t.ok(await account({ status: 'accountingOn' }));
  t.ok(await account({ status: 'accountingOn', identifier: 2, delaySeconds: 3 }), 'said again, with its delay');
  await waitFor('the sessions of the box to end', 20_000, async () => (await live()).length === 1);
  t.same(await live(), ['b3'], 'another box behind the same address is left alone');
  const { rows } = await pool.query(
    `SELECT acct_session_id AS id, end_cause, synthetic FROM session_history WHERE starts_with(acct_session_id, 'b') ORDER BY 1`,
  );
  t.same(rows, [
    { id: 'b1', end_cause: 'nas-restart', synthetic: true },
    { id: 'b2', end_cause: 'nas-restart', synthetic: true },
  ]);
  await begin(4);
  t.ok(await account({ status: 'accountingOff', nasIdentifier: 'accel-2' }));
  await waitFor('the other box to be empty', 20_000, async () => (await live()).join() === 'b4');
  await waitFor('"logged" to follow', 20_000, async () => {
    const { rows: on } = await pool.query(`SELECT login FROM subscriber WHERE logged ORDER BY 1`);
    return on.length === 1 && on[0].login === people[4]!.login;
  });
  t.same(await live(), ['b4'], 'who came after the restart is on');
});
