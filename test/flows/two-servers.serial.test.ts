/**
 * Two servers on one database. NASes fail over between them in the middle of sessions, deliver some packets to both, and one of the two is killed.
 * Holds: one session for each, octets once, one owner for each address, and what a dead server held in reserve stays its own.
 */
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { createPool } from '../../src/store/database.js';
import { BusyNas, describeStats } from '../support/busy-nas.js';
import { freshDatabase, startPrivatePostgres } from '../support/database.js';
import { waitFor, within } from '../support/deadline.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { differences } from '../support/recorded-truth.js';
import { applied, scrape } from '../support/scrape.js';
import { chooseSeed } from '../support/seeded-random.js';
import { PAIR_INSTANCES, startPair } from '../support/server-pair.js';
import { TestServer } from '../support/server.js';
import { describe, TestNas } from '../support/test-nas.js';

const PACKETS_PER_SECOND = 400;
const PHASE_MS = process.env['SLUICE_LONG'] === '1' ? 20_000 : 3000;

t.test('fail-over in the middle of sessions, one server killed, then the other', { timeout: 280_000 }, async (t) => {
  const seed = chooseSeed();
  t.comment(`seed ${String(seed)}`);
  const postgres = await startPrivatePostgres(t);
  const pool = createPool(postgres.url, { instance: 'test', maxConnections: 3 });
  t.teardown(() => pool.end());
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.64.0.0/17');
  const households = await insertPopulation(pool, {
    prefix: 'u',
    staticCount: 100,
    dynamicCount: 300,
    planId,
    poolId,
  });
  const { first, second } = await startPair(t, postgres.url, { addresses: { reserve_size: 1000 } });
  const nas = await BusyNas.open({
    households,
    servers: [first, second],
    preferred: (line) => line % 2,
    secret: first.secret,
    packetsPerSecond: PACKETS_PER_SECOND,
    seed,
    retryMs: 1000,
    repeatShare: 0.15,
    bothShare: 0.1,
  });
  t.teardown(() => nas.close());

  const beganAt = performance.now();
  nas.start();
  await pause(PHASE_MS);
  t.comment(`both alive: ${describeStats(nas.takeStats(), PHASE_MS / 1000)}`);
  await first.kill();
  await pause(PHASE_MS);
  await first.restart();
  await pause(PHASE_MS);
  await second.kill();
  await pause(PHASE_MS);
  await second.restart();
  await nas.finish();
  t.comment(`in all: ${describeStats(nas.takeStats(), (performance.now() - beganAt) / 1000)}`);
  await Promise.all([applied(first.statusUrl), applied(second.statusUrl)]);

  t.comment(
    `${String(nas.notes.length)} sessions, ${String(nas.movedAddresses)} logins with another address than before`,
  );
  t.same(await differences(pool, nas.notes), [], 'acknowledged minus recorded is 0, nothing is counted twice');
  t.same(nas.doubleAddresses, [], 'no address was offered to two');
  t.same(nas.rejectMessages, [], 'nobody was turned away');
  t.same(nas.refusedReplies, [], 'every answer was one that a strict client takes');
  const { rows } = await pool.query('SELECT subscriber_id FROM session GROUP BY 1 HAVING count(*) > 1');
  t.same(rows, [], 'no subscriber has two sessions');
});

t.test('what one server gave, the other honours', { timeout: 120_000 }, async (t) => {
  const database = await freshDatabase(t);
  const { pool } = database;
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.64.0.0/22');
  const households = await insertPopulation(pool, { prefix: 'u', staticCount: 0, dynamicCount: 30, planId, poolId });
  const { first, second } = await startPair(t, database.url);
  const { secret } = first;
  const [atFirst, atSecond] = [await TestNas.open(t, first), await TestNas.open(t, second, { secret })];
  const login = (i: number) => ({
    userName: households[i]!.login,
    password: households[i]!.password,
    callingStationId: households[i]!.mac,
  });

  const address = await atFirst.address(login(0));
  const session = {
    userName: 'u0',
    callingStationId: households[0]!.mac,
    acctSessionId: 's0',
    framedIpAddress: address,
  };
  await atFirst.account({ ...session, status: 'start' });
  await applied(first.statusUrl);
  // Failed over: the same session goes on at the other server, and ends there.
  await atSecond.account({ ...session, status: 'interimUpdate', inputOctets: 5, outputOctets: 7, sessionSeconds: 1 });
  const intruder = { ...login(0), callingStationId: '02:ff:ff:ff:ff:ff' };
  await waitFor('the session in the memory of the second', 5000, async () => {
    return (await scrape(second.statusUrl)).sum('directory_sessions') === 1;
  });
  t.match(
    describe(await atSecond.logIn(intruder)),
    /^Reject/,
    'the session limit counts the session of the other server',
  );
  await atSecond.account({ ...session, status: 'stop', inputOctets: 50, outputOctets: 70, sessionSeconds: 9 });
  await applied(second.statusUrl);
  const { rows } = await pool.query(
    'SELECT host(address) AS address, input_octets, output_octets, end_cause FROM session_history',
  );
  t.same(rows, [{ address, input_octets: 50, output_octets: 70, end_cause: 'stop' }], 'one session, octets once');

  await first.kill();
  const { rows: held } = await pool.query<{ address: string }>(
    `SELECT host(address) AS address FROM pool_address WHERE state = 'reserved' AND instance = $1`,
    [PAIR_INSTANCES[0]],
  );
  t.ok(held.length > 0, 'the dead server holds addresses in reserve');
  t.equal(await atSecond.address(login(0)), address, 'the address is kept over the fail-over');
  const given = new Set<string>();
  for (let i = 1; i < 30; i++) given.add(await atSecond.address(login(i)));
  t.equal(given.size, 29, 'everybody gets an address of his own');
  t.same(
    held.filter((row) => given.has(row.address)),
    [],
    'none of those that the dead server holds',
  );
  await first.restart();
  t.equal(await atFirst.address(login(0)), address, 'and the first one honours what the second has kept');
});

t.test('a twin is refused', { timeout: 120_000 }, async (t) => {
  const database = await freshDatabase(t);
  const settings = { server: { instance: 'bras-site' } };
  const server = await TestServer.start(t, { databaseUrl: database.url, settings });
  const twin = await TestServer.start(t, { databaseUrl: database.url, settings, waitUntilReady: false });
  const exit = await within('the twin to give up', 60_000, twin.exited);
  t.equal(exit.code, 1);
  t.match(twin.text.join('\n'), /bras-site/, 'names itself');
  t.match(twin.text.join('\n'), /server\.instance|instance/, 'and the key to change');
  t.comment(twin.text.join(' | '));
  t.equal((await fetch(`${server.statusUrl}/readyz`)).status, 200, 'the first one goes on');
});
