/**
 * The network follows the database: what each change makes of a NAS, and what is remembered of it.
 */
import type { Pool } from 'pg';
import t from 'tap';
import { policyHash } from '../../src/domain/policy-hash.js';
import { freshDatabase } from '../support/database.js';
import { commandedNas, markAccepted, openSession, population, startServer } from '../support/enforced-network.js';
import { acceptedEntry, FakeNas, type Fault } from '../support/fake-nas.js';
import { applyFacts, fact, restart } from '../support/facts.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const home = { downBps: 50_000_000, upBps: 10_000_000 };

/** Alice with a plan; one NAS of the kind. */
async function scene(t: Parameters<typeof freshDatabase>[0], kind: 'session' | 'provisioned', more: object = {}) {
  const database = await freshDatabase(t);
  const { pool } = database;
  const planId = await addPlan(pool);
  const alice = await addSubscriber(pool, {
    accountId: await addAccount(pool, { planId }),
    login: 'alice',
    static_address: '100.64.0.7',
    ...(kind === 'provisioned' && { nas_name: 'nas1' }),
  });
  const faults: Fault[] = [];
  const nas = new FakeNas({ kind, faultOf: () => faults.shift() ?? 'none', ...more });
  return { database, pool, planId, alice, nas, faults };
}

async function rowOf(pool: Pool): Promise<Record<string, unknown>> {
  return (await pool.query<Record<string, unknown>>('SELECT * FROM enforcement ORDER BY id')).rows[0] ?? {};
}

const isState = (pool: Pool, state: string) => async () => (await rowOf(pool))['state'] === state;

t.test('a session that was accepted as it should be is left alone, and its Class is the evidence', async (t) => {
  const { database, pool, alice, nas } = await scene(t, 'session');
  const hash = policyHash('active', home.downBps, home.upBps);
  await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: hash });
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(isState(pool, 'converged'));
  t.match(await rowOf(pool), { evidence: 'class', due_at: null, attempts: 0 });
  t.same(nas.wire, []);
});

t.test('each flag is one command to a session, in both directions, and leaves its trace', async (t) => {
  const { database, pool, alice, nas } = await scene(t, 'session');
  const hash = policyHash('active', home.downBps, home.upBps);
  const id = await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: hash });
  nas.entries.set(String(id), acceptedEntry(home));
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(isState(pool, 'converged'));
  const steps: [sql: string, command: string, entry: object][] = [
    ['UPDATE subscriber SET redirect = true', 'user_redirect', { redirect: true }],
    ['UPDATE subscriber SET redirect = false', 'user_redirect_cancel', { redirect: false }],
    ['UPDATE account SET admin_blocked = true', 'user_drop', { blocked: true }],
    ['UPDATE account SET admin_blocked = false', 'user_accept', { blocked: false }],
    ['UPDATE subscriber SET own_disabled = true', 'own_disabled', { ownDisabled: true }],
    ['UPDATE subscriber SET own_disabled = false', 'own_disabled_cancel', { ownDisabled: false }],
    ['UPDATE plan SET rate_down_bps = 1000000', 'user_rate_set', { rate: { downBps: 1_000_000, upBps: home.upBps } }],
  ];
  for (const [sql, command, entry] of steps) {
    const before = nas.wire.length;
    await pool.query(sql);
    await until(() => nas.wire.length > before);
    await until(isState(pool, 'converged'));
    t.same(
      nas.wire.slice(before).map((one) => one.command.name),
      [command],
      sql,
    );
    t.match(nas.entries.get(String(id)), entry, sql);
  }
  const { rows } = await pool.query(
    `SELECT command, outcome, evidence, login, sent_at <= answered_at AS in_order, planned_at <= answered_at AS planned FROM nas_command ORDER BY id`,
  );
  t.same(
    rows,
    steps.map(([, command]) => ({
      command,
      outcome: 'applied',
      evidence: 'ack',
      login: 'alice',
      in_order: true,
      planned: true,
    })),
  );
});

t.test('an entry is put, follows its key, and nothing is left of it after deletion', async (t) => {
  const { database, pool, nas, alice } = await scene(t, 'provisioned');
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(isState(pool, 'converged'));
  t.same([...nas.entries.keys()], [`${String(alice)} 100.64.0.7`]);
  t.match(nas.entries.get(`${String(alice)} 100.64.0.7`), { blocked: false, rate: home, authorised: false });
  await pool.query(`UPDATE subscriber SET static_address = '100.64.0.8'`);
  await until(() => nas.entries.has(`${String(alice)} 100.64.0.8`));
  t.same([...nas.entries.keys()], [`${String(alice)} 100.64.0.8`], 'the old key is gone before the new one is there');
  await until(isState(pool, 'converged'));
  await pool.query(`UPDATE subscriber SET deleted = true`);
  const released = async () =>
    (await pool.query('SELECT FROM subscriber WHERE released_at IS NOT NULL')).rowCount === 1;
  await until(released);
  t.equal(nas.entries.size, 0);
  t.equal((await pool.query('SELECT FROM enforcement')).rowCount, 0);
  t.equal((await pool.query('SELECT FROM period WHERE closed_at IS NULL')).rowCount, 0, 'and then its period closes');
});

t.test('whoever gets the address of somebody else waits until that one is gone from the NAS', async (t) => {
  const { database, pool, nas, alice, planId } = await scene(t, 'provisioned');
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(isState(pool, 'converged'));
  const bob = await addSubscriber(pool, {
    accountId: await addAccount(pool, { planId }),
    login: 'bob',
    nas_name: 'nas1',
  });
  const before = nas.wire.length;
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query(`UPDATE subscriber SET static_address = NULL WHERE id = $1`, [alice]);
  await client.query(`UPDATE subscriber SET static_address = '100.64.0.7' WHERE id = $1`, [bob]);
  await client.query('COMMIT');
  client.release();
  await until(() => nas.entries.has(`${String(bob)} 100.64.0.7`));
  const order = nas.wire.slice(before).map(({ enforcementId, command }) => [enforcementId, command.name] as const);
  const [removed, added] = ['user_del', 'user_add'].map((name) => order.findIndex((one) => one[1] === name));
  t.ok(removed! >= 0 && removed! < added!, JSON.stringify(order));
  t.same([...nas.entries.keys()], [`${String(bob)} 100.64.0.7`]);
});

t.test('a portal that lets in and out is followed', async (t) => {
  const { database, pool, nas, alice } = await scene(t, 'provisioned');
  const { default: pg } = await import('pg');
  const portal = new pg.Client({ connectionString: database.url });
  await portal.connect();
  t.teardown(() => portal.end());
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(isState(pool, 'converged'));
  const entry = () => nas.entries.get(`${String(alice)} 100.64.0.7`);
  await portal.query('UPDATE subscriber SET logged = true');
  await until(() => entry()?.authorised === true);
  await portal.query('UPDATE subscriber SET logged = false');
  await until(() => entry()?.authorised === false);
  t.same(
    nas.wire.slice(-2).map((one) => one.command.name),
    ['user_auth', 'user_disconnect'],
  );
});

t.test('what may have arrived is tried again until there is evidence', async (t) => {
  const { database, pool, alice, nas, faults } = await scene(t, 'session');
  const hash = policyHash('active', home.downBps, home.upBps);
  const id = await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: hash });
  nas.entries.set(String(id), acceptedEntry(home));
  await startServer(t, database, [commandedNas('nas1', nas)], { random: () => 0 });
  await until(isState(pool, 'converged'));
  faults.push('answer-lost');
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(async () => (await rowOf(pool))['attempts'] === 1);
  const row = await rowOf(pool);
  t.match(row, { state: 'pending', last_outcome: 'unreachable', last_error: 'user_redirect: no answer' });
  t.match(row['applied'], { redirect: false }, 'what has evidence is still that');
  t.match(row['attempted'], [{ redirect: true }], 'and what was tried is not forgotten');
  await until(isState(pool, 'converged'));
  t.match(await rowOf(pool), { attempts: 0, attempted: [], last_error: null });
  t.match((await rowOf(pool))['applied'], { redirect: true });
});

t.test('a refused rate is parked: nobody is kicked, everything else is done, another rate is tried', async (t) => {
  const { database, pool, alice, nas, faults } = await scene(t, 'session');
  const hash = policyHash('active', home.downBps, home.upBps);
  const id = await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: hash });
  nas.entries.set(String(id), acceptedEntry(home));
  await pool.query(`INSERT INTO service (name) VALUES ('iptv')`);
  const server = await startServer(t, database, [commandedNas('nas1', nas)]);
  // Whoever takes a NAS over asks once more for what was refused: that has to be behind us.
  await until(async () => (await isState(pool, 'converged')()) && server.dispatcher.isIdle);
  faults.push('refused');
  await pool.query(`BEGIN; UPDATE plan SET rate_down_bps = 7;
    INSERT INTO subscriber_service (subscriber_id, service_id) SELECT s.id, v.id FROM subscriber s, service v; COMMIT`);
  await until(() => nas.entries.get(String(id))?.services.includes('iptv') === true);
  await until(isState(pool, 'parked'));
  t.same(
    nas.wire.map((one) => one.command.name),
    ['user_rate_set', 'usluga_activated'],
  );
  t.match(await rowOf(pool), { last_error: 'user_rate_set: CoA-NAK', parked: { what: 'rate' } });
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(() => nas.entries.get(String(id))?.redirect === true);
  t.equal(nas.wire.filter((one) => one.command.name === 'user_rate_set').length, 1, 'it is not asked for again');
  await pool.query('UPDATE subscriber SET redirect = false');
  await pool.query('UPDATE plan SET rate_down_bps = 8');
  await until(() => nas.entries.get(String(id))?.rate.downBps === 8);
  await until(isState(pool, 'converged'));
  t.match(await rowOf(pool), { parked: null, last_error: null });
});

t.test('a NAS that is observed is told nothing, and the difference is shown', async (t) => {
  const { database, pool, alice, nas } = await scene(t, 'session');
  await openSession(pool, { nasName: 'nas1', subscriberId: alice });
  await startServer(t, database, [commandedNas('nas1', nas, { driver: undefined })]);
  await until(isState(pool, 'observed'));
  t.match((await rowOf(pool))['desired'], { present: true, redirect: false });
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(async () => ((await rowOf(pool))['desired'] as { redirect: boolean }).redirect);
  t.same(nas.wire, []);
  t.equal((await rowOf(pool))['may_be_present'], false);
});

t.test('a session that its NAS does not know is closed when its next update is missed, and not before', async (t) => {
  const { database, pool, alice, nas, faults } = await scene(t, 'session');
  await openSession(pool, { nasName: 'nas1', subscriberId: alice });
  faults.push('gone');
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(async () => (await rowOf(pool))['gone_at'] instanceof Date);
  t.equal((await pool.query('SELECT FROM session')).rowCount, 1);
  await pool.query(`UPDATE session SET last_received_at = now() - interval '1 hour';
    UPDATE enforcement SET gone_at = now() - interval '1 hour', due_at = now()`);
  await until(async () => (await pool.query('SELECT FROM session')).rowCount === 0);
  t.match((await pool.query('SELECT end_cause, synthetic FROM session_history')).rows, [
    { end_cause: 'gone', synthetic: true },
  ]);
  t.equal((await pool.query('SELECT FROM enforcement')).rowCount, 0);
});

t.test('an update after all: the session lives, and is commanded again', async (t) => {
  const { database, pool, alice, nas, faults } = await scene(t, 'session');
  await openSession(pool, { nasName: 'nas1', subscriberId: alice });
  faults.push('gone');
  await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(async () => (await rowOf(pool))['gone_at'] instanceof Date);
  await pool.query(
    `UPDATE session SET last_received_at = now() + interval '1 second'; UPDATE enforcement SET due_at = now()`,
  );
  await until(isState(pool, 'converged'));
  t.match(await rowOf(pool), { gone_at: null });
});

t.test('a NAS that is believed loses the session at once', async (t) => {
  const { database, pool, alice, nas, faults } = await scene(t, 'session');
  await openSession(pool, { nasName: 'nas1', subscriberId: alice });
  faults.push('gone');
  await startServer(t, database, [commandedNas('nas1', nas, { goneIsCertain: true })]);
  await until(async () => (await pool.query('SELECT FROM session')).rowCount === 0);
  t.match((await pool.query('SELECT end_cause FROM session_history')).rows, [{ end_cause: 'gone' }]);
});

t.test('asked to come later, it comes later, and that is no failure of the NAS', async (t) => {
  const { database, pool, alice, nas, faults } = await scene(t, 'session');
  await openSession(pool, { nasName: 'nas1', subscriberId: alice });
  faults.push('later', 'later', 'later', 'later', 'later');
  const server = await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(isState(pool, 'converged'));
  t.equal(server.dispatcher.lanes.get('nas1')?.view.breaker, 'closed');
});

t.test('a NAS that leaves the configuration keeps its rows and is not commanded', async (t) => {
  const { database, pool, alice, nas } = await scene(t, 'session');
  await openSession(pool, { nasName: 'nas1', subscriberId: alice });
  const server = await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(isState(pool, 'converged'));
  const before = nas.wire.length;
  server.dispatcher.configure([]);
  await until(async () => (await pool.query('SELECT FROM nas_owner WHERE released_at IS NOT NULL')).rowCount === 1);
  await pool.query('UPDATE subscriber SET redirect = true');
  await server.dispatcher.round();
  await server.dispatcher.fetchDue();
  t.equal(nas.wire.length, before);
  t.match(await rowOf(pool), { state: 'converged', nas_name: 'nas1' });
});

t.test('a NAS that leaves the configuration is let go of only when nothing is under way to it', async (t) => {
  const { database, pool, alice } = await scene(t, 'session');
  let answers = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answers = resolve));
  const nas = new FakeNas({ kind: 'session', pause: () => answered });
  await openSession(pool, { nasName: 'nas1', subscriberId: alice });
  const server = await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(() => nas.underWay.size === 1);
  server.dispatcher.configure([]);
  for (let turn = 0; turn < 3; turn++) await server.dispatcher.own();
  const released = async () => (await pool.query('SELECT FROM nas_owner WHERE released_at IS NOT NULL')).rowCount === 1;
  t.notOk(await released(), 'another server would speak to it while our command is on its way');
  answers();
  await until(async () => {
    await server.dispatcher.own();
    return await released();
  });
  t.same(nas.underWay.get(Number([...nas.underWay.keys()][0])), 0);
});

t.test('a NAS that leaves the configuration and is back before anybody let go of it is commanded again', async (t) => {
  const { database, pool, alice, nas } = await scene(t, 'session');
  const hash = policyHash('active', home.downBps, home.upBps);
  const id = await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: hash });
  nas.entries.set(String(id), acceptedEntry(home));
  const server = await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(isState(pool, 'converged'));
  const beforeAtMs = performance.now();
  server.dispatcher.configure([]);
  server.dispatcher.configure([commandedNas('nas1', nas)]);
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(() => nas.entries.get(String(id))?.redirect === true);
  t.ok(
    nas.wire.every(({ atMs }) => atMs > beforeAtMs),
    'by the lane that was opened anew',
  );
});

t.test('what is named again and again while it is under way is sent once', async (t) => {
  const database = await freshDatabase(t);
  const { pool } = database;
  const planId = await addPlan(pool);
  const nas = new FakeNas({ kind: 'session' });
  const online = await population(pool, { count: 200, planId, sessionsOn: ['nas1'] });
  for (const id of online.sessionIds) nas.entries.set(String(id), acceptedEntry(home));
  await markAccepted(pool, home);
  const server = await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(() => server.dispatcher.lanes.size === 1 && server.dispatcher.isIdle);
  await pool.query('UPDATE subscriber SET redirect = true');
  const changes = { accounts: [], plans: [], pools: [], devices: [], addresses: [], sessions: [], fuseReleased: false };
  await until(() => {
    server.dispatcher.note({ ...changes, subscribers: online.subscriberIds, enforcements: [] });
    return [...nas.entries.values()].every(({ redirect }) => redirect);
  });
  await until(() => server.dispatcher.isIdle);
  t.equal(nas.wire.length, 200);
});

t.test('ten changes while a NAS is dead are one command when it is back', async (t) => {
  const { database, pool, alice, nas } = await scene(t, 'session');
  const hash = policyHash('active', home.downBps, home.upBps);
  const id = await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: hash });
  nas.entries.set(String(id), acceptedEntry(home));
  const server = await startServer(t, database, [commandedNas('nas1', nas)], { random: () => 0 });
  await until(isState(pool, 'converged'));
  nas.dead = true;
  for (let i = 0; i < 10; i++)
    await pool.query('UPDATE subscriber SET redirect = NOT redirect, own_disabled = NOT own_disabled');
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(async () => {
    const { state, desired } = await rowOf(pool);
    const { redirect, ownDisabled } = (desired ?? {}) as { redirect?: boolean; ownDisabled?: boolean };
    // The last of them has been seen.
    const isLast = redirect === true && ownDisabled === false;
    return state === 'pending' && isLast && server.dispatcher.lanes.get('nas1')!.waiting === 0;
  });
  nas.dead = false;
  await until(isState(pool, 'converged'));
  t.match(nas.entries.get(String(id)), { redirect: true, ownDisabled: false });
  t.ok(nas.wire.length <= 2, `${String(nas.wire.length)} commands, not ten`);
});

t.test(
  'a NAS that wants to be told of a Stop is told once, and a silent one is spared after a few tries',
  async (t) => {
    const { database, pool, alice, nas } = await scene(t, 'session');
    await pool.query(
      `INSERT INTO nas (name, profile, place, disconnect_on_stop) VALUES ('bras1', 'p', 'session', true)`,
    );
    const resolve = () => alice;
    await applyFacts(pool, [fact('start', { at: 0, address: '100.64.0.7' })], resolve);
    const server = await startServer(t, database, [commandedNas('bras1', nas)], { random: () => 0 });
    await until(isState(pool, 'converged'));
    const before = nas.wire.length;
    await applyFacts(pool, [fact('stop', { at: 60 })], resolve);
    await until(async () => (await pool.query('SELECT FROM enforcement')).rowCount === 0);
    t.same(
      nas.wire.slice(before).map(({ command }) => [command.name, command.data.key.address]),
      [['user_disconnect', '100.64.0.7']],
      'by what the session was, though it is history',
    );
    nas.dead = true;
    await applyFacts(
      pool,
      [fact('start', { at: 100, acctSessionId: 's2' }), fact('stop', { at: 160, acctSessionId: 's2' })],
      resolve,
    );
    await applyFacts(pool, [fact('start', { at: 200, acctSessionId: 's3' })], resolve);
    await pool.query(`UPDATE enforcement SET state = 'converged', due_at = NULL`);
    await applyFacts(pool, [fact('stop', { at: 260, acctSessionId: 's3' })], resolve);
    await until(async () => {
      await pool.query(`UPDATE enforcement SET due_at = now() WHERE due_at > now()`);
      return (await pool.query('SELECT FROM enforcement')).rowCount === 0;
    });
    t.ok(server.dispatcher.inFlight === 0);
  },
);

t.test('a restart of a NAS makes its entries whole again', async (t) => {
  const { database, pool, alice, nas } = await scene(t, 'provisioned');
  await pool.query(`UPDATE subscriber SET nas_name = 'bras1'`);
  await startServer(t, database, [commandedNas('bras1', nas)]);
  await until(isState(pool, 'converged'));
  nas.wipe();
  await applyFacts(pool, [restart('on', 0)], () => null);
  await until(() => nas.entries.has(`${String(alice)} 100.64.0.7`));
  await until(isState(pool, 'converged'));
  t.match(nas.entries.get(`${String(alice)} 100.64.0.7`), { blocked: false, rate: home });
});

t.test('whoever moves to another NAS is gone from the old one, and back when restored', async (t) => {
  const { database, pool, nas } = await scene(t, 'provisioned');
  const other = new FakeNas({ kind: 'provisioned' });
  await startServer(t, database, [commandedNas('nas1', nas), commandedNas('nas2', other)]);
  await until(() => nas.entries.size === 1);
  await pool.query(`UPDATE subscriber SET nas_name = 'nas2'`);
  await until(() => nas.entries.size === 0 && other.entries.size === 1);
  await until(async () => (await pool.query('SELECT FROM enforcement')).rowCount === 1);
  await pool.query('UPDATE subscriber SET deleted = true');
  await until(() => other.entries.size === 0);
  await until(async () => (await pool.query('SELECT FROM enforcement')).rowCount === 0);
  await pool.query('UPDATE subscriber SET deleted = false');
  await until(() => other.entries.size === 1);
  t.pass();
});

t.test('a driver that fails of itself leaves what it tried attempted, and is tried again', async (t) => {
  const { database, pool, alice, nas } = await scene(t, 'session');
  const hash = policyHash('active', home.downBps, home.upBps);
  const id = await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: hash });
  nas.entries.set(String(id), acceptedEntry(home));
  const driver = nas.driver();
  let failures = 1;
  const failing = {
    ...driver,
    run: (...args: Parameters<typeof driver.run>) =>
      failures-- > 0 ? Promise.reject(new Error('a mistake')) : driver.run(...args),
  };
  await startServer(t, database, [commandedNas('nas1', nas, { driver: failing })], { random: () => 0 });
  await until(isState(pool, 'converged'));
  await pool.query('UPDATE subscriber SET redirect = true');
  await until(async () => (await rowOf(pool))['attempts'] === 1);
  t.match((await rowOf(pool))['attempted'], [{ redirect: true }]);
  await until(isState(pool, 'converged'));
  t.equal(nas.entries.get(String(id))?.redirect, true);
});

t.test('a NAS that acknowledges a Disconnect and keeps the session is told again, and it is told of', async (t) => {
  const { database, pool, alice, nas, faults } = await scene(t, 'session');
  const hash = policyHash('active', home.downBps, home.upBps);
  const id = await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: hash });
  nas.entries.set(String(id), acceptedEntry(home));
  const logged: object[] = [];
  const { dispatcher } = await startServer(t, database, [commandedNas('nas1', nas)], { logged });
  await until(isState(pool, 'converged'));
  faults.push('ignored');
  await pool.query('UPDATE subscriber SET disconnect_before = now()');
  await until(async () => nas.wire.length === 1 && (await rowOf(pool))['evidence'] === 'ack');
  t.ok(nas.entries.has(String(id)), 'it said yes and did nothing');
  const looked = await rowOf(pool);
  t.match(looked, { state: 'converged', applied: { present: false }, disproved: 0 });
  t.ok(looked['due_at'], 'and is looked at again');
  await pool.query(`UPDATE session SET last_event_at = now() + interval '11 s'`);
  await pool.query('UPDATE enforcement SET due_at = now()');
  await until(() => nas.wire.length === 2);
  await until(isState(pool, 'converged'));
  t.notOk(nas.entries.has(String(id)));
  t.match(await rowOf(pool), { disproved: 1, evidence: 'ack', last_error: null });
  t.same(
    (await pool.query('SELECT command, driver, outcome, detail FROM nas_command ORDER BY id')).rows.map(
      (row: Record<string, unknown>) => [row['command'], row['driver'], row['outcome']],
    ),
    [
      ['user_disconnect', 'coa', 'applied'],
      ['user_disconnect', 'accounting', 'disproved'],
      ['user_disconnect', 'coa', 'applied'],
    ],
  );
  t.same([...dispatcher.measures.disproofs], [{ nas: 'nas1', how: 'still-there', count: 1 }]);
  t.match(
    logged.find((line) => JSON.stringify(line).includes('still there')),
    { level: 40, nas: 'nas1', subscriber: alice, times: 1 },
  );
});
