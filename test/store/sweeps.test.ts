/** What only time does: silence, restarts in slices, offers, quarantine, stickiness. Time is given, nothing waits for it. */
import type { Pool } from 'pg';
import { pino } from 'pino';
import t from 'tap';
import type { Resolve } from '../../src/domain/session-batch.js';
import { Settler } from '../../src/workers/settler.js';
import { Sweeper } from '../../src/workers/sweeper.js';
import { breakSticky, endQuarantine, expireOffers, prune, rollPartitions } from '../../src/store/sweeps.js';
import { beat } from '../../src/store/instances.js';
import { readCaughtUpMs } from '../../src/store/silence.js';
import { freshDatabase } from '../support/database.js';
import { addLease, addRefusal } from '../support/lease-rows.js';
import { applyFacts, fact, restart, type SessionFactShape, T0 } from '../support/facts.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';
import { asClient } from '../support/postgres-server.js';
import { Random } from '../support/session-lives.js';
import { invariantProblems } from '../support/stored-world.js';

const HORIZON_HOURS = 4;
const log = pino({ level: 'silent' });
const everybody: Resolve = () => null;

/** A sweeper that is called, not started, at a time that the test tells in seconds after T0. */
function sweeperAt(
  pool: Pool,
  start: number,
): { sweeper: Sweeper; at(seconds: number): Promise<void>; settler: Settler } {
  let now = start;
  const settler = new Settler(pool, log);
  const sweeper = new Sweeper({
    pool,
    settler,
    log,
    nowMs: () => T0 + now * 1000,
    isCaughtUp: () => true,
    config: {
      sessions: { suspectIntervals: 2, silenceIntervals: 3, nasSilenceIntervals: 2, sessionKeyDays: 30 },
      addresses: { offerGraceSeconds: 300, quarantineSeconds: 60, reserveSize: 0, outageHorizonHours: HORIZON_HOURS },
      history: { retentionMonths: 36, commandRetentionMonths: 12, partitionsAheadMonths: 2 },
      changeFeed: { pollMs: 1000, retentionHours: 24 },
    },
  });
  return {
    sweeper,
    settler,
    at: async (seconds) => {
      now = seconds;
      await sweeper.closeSilent();
    },
  };
}

/** The interims of a session: every 300 s from 300 on. */
function beats(acctSessionId: string, until: number, more: Partial<SessionFactShape> = {}): ReturnType<typeof fact>[] {
  const facts = [fact('start', { at: 0, acctSessionId, ...more })];
  for (let at = 300; at <= until; at += 300) {
    facts.push(fact('interim', { at, sessionSeconds: at, octets: at, acctSessionId, ...more }));
  }
  return facts;
}

async function states(pool: Pool): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ acct_session_id: string; state: string }>(
    `SELECT acct_session_id, CASE WHEN suspect THEN 'suspect' ELSE 'live' END AS state FROM session
     UNION ALL SELECT acct_session_id, end_cause FROM session_history ORDER BY 1`,
  );
  return Object.fromEntries(rows.map((row) => [row.acct_session_id, row.state]));
}

t.test('silence: suspect after two intervals, closed after three, while the box speaks', async (t) => {
  const { pool } = await freshDatabase(t);
  await applyFacts(pool, [...beats('silent', 600), ...beats('loud', 3000, { login: 'bob' })], everybody);
  const { at } = sweeperAt(pool, 1000);
  // The database knows what came until 3000; the looks go through the times in which it came.
  await at(1000);
  t.same(await states(pool), { loud: 'live', silent: 'live' });
  await at(1300);
  t.same(
    await states(pool),
    { loud: 'live', silent: 'live' },
    'nobody is silent before we have looked for two intervals',
  );
  await at(1601);
  t.same(await states(pool), { loud: 'live', silent: 'suspect' });
  await at(1901);
  t.same(await states(pool), { loud: 'live', silent: 'silence' });
  const { rows } = await pool.query('SELECT * FROM session_history');
  t.match(rows, [{ synthetic: true, ended_at: new Date(T0 + 600_000), input_octets: 600 }]);
});

t.test('silence: the interval is the one that the box uses', async (t) => {
  const { pool } = await freshDatabase(t);
  const hourly = [fact('start', { at: 0, acctSessionId: 'hourly' })];
  for (let at = 3600; at <= 7200; at += 3600) {
    hourly.push(fact('interim', { at, sessionSeconds: at, octets: at, acctSessionId: 'hourly' }));
  }
  const other = hourly.map((one) => ({
    ...one,
    acctSessionId: 'other',
    login: 'bob',
    receivedAtMs: one.receivedAtMs + 1000,
    eventAtMs: one.eventAtMs + 1000,
  }));
  await applyFacts(pool, [...hourly, ...other], everybody);
  const { at } = sweeperAt(pool, 3600);
  for (const seconds of [3600, 7300, 9000, 12_000, 14_000]) await at(seconds);
  t.same(
    await states(pool),
    { hourly: 'live', other: 'live' },
    'nearly two hours without a sign are nothing to a box that speaks hourly',
  );
});

t.test('silence: without a first interim nobody is judged', async (t) => {
  const { pool } = await freshDatabase(t);
  await applyFacts(pool, [fact('start', { at: 0, acctSessionId: 'quiet' }), ...beats('loud', 9000)], everybody);
  const { at } = sweeperAt(pool, 300);
  for (let seconds = 300; seconds <= 9000; seconds += 300) await at(seconds);
  t.same(await states(pool), { loud: 'live', quiet: 'live' });
});

t.test('silence: a whole box that is silent loses nobody, nor when it speaks again', async (t) => {
  const { pool } = await freshDatabase(t);
  const ids = ['a', 'b', 'c'];
  await applyFacts(
    pool,
    ids.flatMap((id) => beats(id, 600, { login: id })),
    everybody,
  );
  await applyFacts(pool, beats('elsewhere', 9000, { login: 'd', nasBox: 'bras2' }), everybody);
  const { at } = sweeperAt(pool, 600);
  for (let seconds = 600; seconds <= 6000; seconds += 15) await at(seconds);
  t.same(await states(pool), { a: 'live', b: 'live', c: 'live', elsewhere: 'live' }, 'an outage closes nobody');
  // The first one is back; the others have their turn within the interval.
  await applyFacts(
    pool,
    [fact('interim', { at: 6010, sessionSeconds: 6010, octets: 6010, acctSessionId: 'a', login: 'a' })],
    everybody,
  );
  for (let seconds = 6015; seconds <= 6300; seconds += 15) await at(seconds);
  t.same(await states(pool), { a: 'live', b: 'live', c: 'live', elsewhere: 'live' }, 'its end closes nobody either');
  await applyFacts(
    pool,
    [fact('interim', { at: 6200, sessionSeconds: 6200, octets: 6200, acctSessionId: 'b', login: 'b' })],
    everybody,
  );
  for (let n = 1; n <= 4; n++) {
    const now = 6010 + n * 300;
    for (const id of ['a', 'b']) {
      await applyFacts(
        pool,
        [fact('interim', { at: now, sessionSeconds: now, octets: now, acctSessionId: id, login: id })],
        everybody,
      );
    }
    await at(now + 5);
  }
  t.same(
    await states(pool),
    { a: 'live', b: 'live', c: 'silence', elsewhere: 'live' },
    'who does not come back is closed',
  );
});

t.test('silence: another instance that lags may have heard the session', async (t) => {
  const { pool } = await freshDatabase(t);
  await applyFacts(pool, [...beats('silent', 600), ...beats('loud', 9000, { login: 'bob' })], everybody);
  const lagging = (caughtUp: number): Promise<unknown> =>
    pool.query(
      `INSERT INTO instance (name, started_at, heartbeat_at, caught_up_at) VALUES ('other', now(), now(), $1)
       ON CONFLICT (name) DO UPDATE SET caught_up_at = $1`,
      [new Date(T0 + caughtUp * 1000)],
    );
  await lagging(1200);
  const { at } = sweeperAt(pool, 300);
  for (let seconds = 300; seconds <= 4500; seconds += 300) await at(seconds);
  t.same(await states(pool), { loud: 'live', silent: 'live' });
  await lagging(4500);
  await at(4501);
  t.same(await states(pool), { loud: 'live', silent: 'silence' });
});

t.test('silence: after an outage of our own nobody is closed before he could be heard', async (t) => {
  const { pool } = await freshDatabase(t);
  await applyFacts(pool, [...beats('a', 600), ...beats('b', 600, { login: 'bob' })], everybody);
  await applyFacts(
    pool,
    [fact('interim', { at: 8000, sessionSeconds: 8000, acctSessionId: 'a', octets: 9 })],
    everybody,
  );
  const { at } = sweeperAt(pool, 8001);
  for (const seconds of [8001, 8200, 8500]) await at(seconds);
  t.same(await states(pool), { a: 'live', b: 'live' });
});

t.test('silence: an update that comes between finding and closing keeps the session', async (t) => {
  const { pool } = await freshDatabase(t);
  await applyFacts(pool, beats('s', 600), everybody);
  const { id } = (await pool.query<{ id: number }>('SELECT id FROM session')).rows[0]!;
  const { closeSessions } = await import('../../src/store/sweeps.js');
  await applyFacts(
    pool,
    [fact('interim', { at: 900, sessionSeconds: 900, octets: 900, acctSessionId: 's' })],
    everybody,
  );
  const found = [{ id, lastEventAtMs: T0 + 600_000, lastReceivedAtMs: T0 + 600_000 }];
  t.match(await closeSessions(pool, found, 'silence', 'last-event'), { closed: 0 });
});

t.test('silence undone when the address went to somebody: a conflict is shown, and ends with the other', async (t) => {
  const { pool } = await freshDatabase(t);
  const address = '100.64.0.9';
  await applyFacts(pool, [...beats('s', 600, { address }), ...beats('loud', 9000, { login: 'bob' })], everybody);
  const { at } = sweeperAt(pool, 300);
  for (let seconds = 300; seconds <= 2100; seconds += 300) await at(seconds);
  t.equal((await states(pool))['s'], 'silence');
  const carol = { acctSessionId: 'c', login: 'carol', address, nasBox: 'bras2' };
  await applyFacts(pool, [fact('start', { at: 2200, ...carol })], everybody);
  const back = { acctSessionId: 's', address };
  await applyFacts(pool, [fact('interim', { at: 2400, sessionSeconds: 2400, octets: 2400, ...back })], everybody);
  t.match((await pool.query(`SELECT * FROM session WHERE acct_session_id = 's'`)).rows, [
    { conflict: 'address-held', suspect: false },
  ]);
  t.same(await invariantProblems(pool), []);
  await applyFacts(pool, [fact('stop', { at: 2500, sessionSeconds: 300, octets: 1, ...carol })], everybody);
  t.match((await pool.query(`SELECT * FROM session WHERE acct_session_id = 's'`)).rows, [{ conflict: null }]);
  t.match((await pool.query('SELECT * FROM assignment WHERE ended_at IS NULL AND address = $1', [address])).rows, [
    { login: 'alice', started_at: new Date(T0 + 2_500_000) },
  ]);
  await applyFacts(
    pool,
    [fact('stop', { at: 2700, late: 90_000, sessionSeconds: 2700, octets: 2700, ...back })],
    everybody,
  );
  t.match((await pool.query(`SELECT * FROM session_history WHERE acct_session_id = 's'`)).rows, [
    { end_cause: 'stop', input_octets: 2700 },
  ]);
});

t.test('a late Stop after silence amends the use of the address as well', async (t) => {
  const { pool } = await freshDatabase(t);
  const address = '100.64.0.9';
  await applyFacts(pool, [...beats('s', 600, { address }), ...beats('loud', 9000, { login: 'bob' })], everybody);
  const { at } = sweeperAt(pool, 300);
  for (let seconds = 300; seconds <= 2100; seconds += 300) await at(seconds);
  await applyFacts(
    pool,
    [fact('stop', { at: 700, late: 90_000, sessionSeconds: 700, octets: 700, acctSessionId: 's', address })],
    everybody,
  );
  t.match((await pool.query('SELECT * FROM assignment WHERE address = $1', [address])).rows, [
    { ended_at: new Date(T0 + 700_000) },
  ]);
});

t.test('a thousand restarts among random sessions: nothing is closed wrongly', async (t) => {
  const { pool } = await freshDatabase(t);
  const random = new Random(11);
  const { sweeper } = sweeperAt(pool, 0);
  let wrong = 0;
  let missed = 0;
  for (let round = 0; round < 10; round++) {
    const facts: Parameters<typeof applyFacts>[1][number][] = [];
    const expected = new Map<string, boolean>();
    for (let one = 0; one < 100; one++) {
      const nasBox = `r${round}b${one}`;
      const restartAt = random.whole(100, 10_000);
      const restarts = Array.from({ length: random.whole(1, 3) }, () =>
        restart(random.pick(['on', 'off']), restartAt, nasBox),
      );
      const mine: typeof facts = [];
      for (let n = random.whole(1, 4); n > 0; n--) {
        const acctSessionId = `${nasBox}/${n}`;
        const began = random.whole(0, 20_000);
        const heard = random.chance(0.5) ? began : began + random.whole(1, 5000);
        const shape = { nasBox, acctSessionId, login: acctSessionId };
        mine.push(fact('start', { at: began, ...shape }));
        if (heard > began)
          mine.push(fact('interim', { at: heard, sessionSeconds: heard - began, octets: 1, ...shape }));
        expected.set(acctSessionId, began < restartAt && heard < restartAt);
      }
      // In any order, and once more at the end: an old restart that comes again.
      const mixed = [...mine, ...restarts].sort(() => random.next() - 0.5);
      facts.push(...mixed, restarts[0]!);
    }
    for (let at = 0; at < facts.length; at += 97) await applyFacts(pool, facts.slice(at, at + 97), everybody);
    while (await sweeper.closeRestarted());
    for (const [id, state] of Object.entries(await states(pool))) {
      const closed = expected.get(id);
      if (closed === undefined) continue;
      if (state === 'nas-restart' && !closed) wrong += 1;
      if (state === 'live' && closed) missed += 1;
    }
  }
  t.equal(wrong, 0, 'wrong closes');
  t.equal(missed, 0, 'sessions that outlived their box');
  t.same(await invariantProblems(pool), []);
});

const SESSIONS_OF_ONE_BOX = 20_000;

t.test('a box with 20,000 live sessions restarts while its first sessions come back', async (t) => {
  const { pool } = await freshDatabase(t);
  await pool.query(
    `WITH k AS (INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch)
       SELECT 'bras1', 'bras1', 'old' || i, 0 FROM generate_series(1, $1) i RETURNING session_id, acct_session_id),
     s AS (INSERT INTO session (id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, address, started_at, started_exactly,
         last_event_at, last_received_at)
       SELECT session_id, 'u' || session_id, 'bras1', 'bras1', 'default', acct_session_id, 0, '10.0.0.0'::inet + session_id, $2, true, $2, $2
       FROM k RETURNING id, login, address),
     a AS (INSERT INTO assignment (routing_domain, address, login, nas_name, started_at)
       SELECT 'default', address, login, 'bras1', $2 FROM s RETURNING id, address)
     INSERT INTO assignment_holder (assignment_id, session_id) SELECT a.id, s.id FROM a JOIN s USING (address)`,
    [SESSIONS_OF_ONE_BOX, new Date(T0)],
  );
  await pool.query('ANALYZE session, session_key, assignment_open, assignment_holder');
  const { sweeper } = sweeperAt(pool, 0);
  await applyFacts(pool, [restart('on', 1000)], everybody);
  const beganAt = performance.now();
  let sweeping = true;
  const sweep = (async () => {
    while (await sweeper.closeRestarted());
    sweeping = false;
  })();
  const waits: number[] = [];
  for (let n = 0; sweeping; n++) {
    const sentAt = performance.now();
    await applyFacts(pool, [fact('start', { at: 1001 + n, acctSessionId: `new${n}`, login: `n${n}` })], everybody);
    waits.push(performance.now() - sentAt);
  }
  await sweep;
  const tookMs = performance.now() - beganAt;
  const { rows } = await pool.query<{ live: number; closed: number }>(
    `SELECT (SELECT count(*) FROM session) AS live, (SELECT count(*) FROM session_history WHERE end_cause = 'nas-restart') AS closed`,
  );
  t.same(rows[0], { live: waits.length, closed: SESSIONS_OF_ONE_BOX });
  t.ok(waits.length > 10, 'other traffic of the box went on');
  waits.sort((a, b) => a - b);
  t.comment(
    `${SESSIONS_OF_ONE_BOX} closed in ${Math.round(tookMs)} ms; ${waits.length} batches meanwhile, ` +
      `median ${Math.round(waits[waits.length >> 1]!)} ms, longest ${Math.round(waits.at(-1)!)} ms`,
  );
  t.same(await invariantProblems(pool), []);
});

async function pools(pool: Pool, addresses: number): Promise<void> {
  await pool.query(`INSERT INTO pool (name) VALUES ('main')`);
  await pool.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id) SELECT 'default', '100.64.0.0'::inet + i, 1 FROM generate_series(1, $1) i`,
    [addresses],
  );
}

const stateOf = async (pool: Pool, address: string): Promise<string | undefined> =>
  (await pool.query<{ state: string }>('SELECT state FROM pool_address WHERE address = $1', [address])).rows[0]?.state;

t.test('quarantine and expired offers wait for every instance that may still offer the address', async (t) => {
  const { pool } = await freshDatabase(t);
  await pools(pool, 3);
  await pool.query(
    `UPDATE pool_address SET state = 'quarantined', since = now() - interval '2 minutes', until_at = now() - interval '1 minute' WHERE address = '100.64.0.1'`,
  );
  await pool.query(
    `UPDATE pool_address SET state = 'offered', subscriber_id = 7, since = now() - interval '9 minutes', until_at = now() - interval '4 minutes'
     WHERE address = '100.64.0.2'`,
  );
  await pool.query(
    `INSERT INTO instance (name, started_at, heartbeat_at, caught_up_at) VALUES
       ('one', now(), now(), now()), ('lags', now(), now() - interval '30 minutes', now() - interval '30 minutes')`,
  );
  t.equal(await endQuarantine(pool, HORIZON_HOURS, 100), 0);
  t.equal(await expireOffers(pool, HORIZON_HOURS, 100), 0);
  await pool.query(`UPDATE instance SET caught_up_at = now() - interval '3 minutes' WHERE name = 'lags'`);
  t.equal(await endQuarantine(pool, HORIZON_HOURS, 100), 0, 'not past the instant at which it was taken away');
  t.equal(await expireOffers(pool, HORIZON_HOURS, 100), 1);
  await pool.query(`UPDATE instance SET caught_up_at = now() WHERE name = 'lags'`);
  t.equal(await endQuarantine(pool, HORIZON_HOURS, 100), 1);
  t.match((await pool.query(`SELECT * FROM pool_address WHERE address = '100.64.0.2'`)).rows, [
    { state: 'free', subscriber_id: 7, offer_id: null, until_at: null },
  ]);
});

t.test('an instance that was not heard of for hours, or stopped in order, blocks nothing', async (t) => {
  const { pool } = await freshDatabase(t);
  await pools(pool, 1);
  await pool.query(
    `UPDATE pool_address SET state = 'quarantined', since = now() - interval '2 minutes', until_at = now() - interval '1 minute'`,
  );
  await pool.query(
    `INSERT INTO instance (name, started_at, heartbeat_at, caught_up_at, stopped_at) VALUES
       ('gone', now(), now() - interval '5 hours', now() - interval '5 hours', NULL),
       ('stopped', now(), now(), now() - interval '1 hour', now())`,
  );
  t.equal(await endQuarantine(pool, HORIZON_HOURS, 100), 1);
});

t.test('a pool that runs short takes the longest unused addresses from their owners, through quarantine', async (t) => {
  const { pool } = await freshDatabase(t);
  await pools(pool, 40);
  await pool.query(
    `UPDATE pool_address SET subscriber_id = 100 + (address - '100.64.0.0'::inet), since = now() - make_interval(hours => (address - '100.64.0.0'::inet)::int)`,
  );
  t.equal(await breakSticky(pool, 100), 2, 'a twentieth');
  for (const address of ['100.64.0.39', '100.64.0.40']) t.equal(await stateOf(pool, address), 'quarantined');
  t.equal(await breakSticky(pool, 100), 0, 'those on their way count');
  const { rows } = await pool.query(`SELECT ref FROM change_feed WHERE kind = 'address' ORDER BY 1`);
  t.same(rows, [{ ref: 139 }, { ref: 140 }], 'their owners are told to every instance');
});

t.test('a clock that is set back by hours makes no instance look further than it is', async (t) => {
  const { pool } = await freshDatabase(t);
  await pools(pool, 1);
  // Written two hours ago by a clock that was two hours and a moment ahead.
  await pool.query(
    `INSERT INTO instance (name, started_at, heartbeat_at, caught_up_at) VALUES
       ('cut-off', now(), now() + interval '2 hours', now() + interval '2 hours')`,
  );
  await pool.query(
    `UPDATE pool_address SET state = 'quarantined', since = now() - interval '2 seconds', until_at = now() - interval '1 second'`,
  );
  t.equal(await endQuarantine(pool, HORIZON_HOURS, 100), 0, 'it cannot have seen what was done since');
  t.equal(await readCaughtUpMs(pool, HORIZON_HOURS), 0);
  const databaseNowMs = (await pool.query<{ at: Date }>('SELECT now() AS at')).rows[0]!.at.getTime();
  await beat(pool, 'cut-off', databaseNowMs);
  t.equal(await endQuarantine(pool, HORIZON_HOURS, 100), 1, 'its first sign of life in the new time counts at once');
});

t.test('months that have rows already get their partitions all the same', async (t) => {
  const { pool } = await freshDatabase(t);
  const months = { sessionKeyDays: 30, changeFeedHours: 24, historyMonths: 36, commandMonths: 12, partitionsAhead: 6 };
  // Nobody has made partitions for a while, and others went on writing.
  await pool.query(
    `INSERT INTO subscriber_event (at, field) SELECT now() + make_interval(months => i), 'login' FROM generate_series(0, 6) i`,
  );
  await pool.query(
    `INSERT INTO assignment (routing_domain, address, login, nas_name, started_at, ended_at, end_cause)
     SELECT 'default', '100.64.0.1', 'alice', 'bras1', now(), CASE WHEN i < 6 THEN now() + make_interval(months => i) END, 'stop'
     FROM generate_series(4, 6) i`,
  );
  await pool.query(
    `INSERT INTO session_history (id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, started_at, started_exactly,
       last_event_at, last_received_at, ended_at, end_cause)
     SELECT i, 'alice', 'bras1', 'bras1', 'default', i::text, 0, now(), true, now(), now(), now() + interval '5 months', 'stop'
     FROM generate_series(1, 3) i`,
  );
  await rollPartitions(pool, months);
  await rollPartitions(pool, months);
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM subscriber_event)::int AS events, (SELECT count(*) FROM subscriber_event_default)::int AS late_events,
       (SELECT count(*) FROM assignment)::int AS assignments, (SELECT count(*) FROM assignment_open)::int AS open,
       (SELECT count(*) FROM session_history)::int AS sessions, (SELECT count(*) FROM session_history_default)::int AS late_sessions`,
  );
  t.same(rows, [{ events: 7, late_events: 0, assignments: 3, open: 1, sessions: 3, late_sessions: 0 }]);
});

t.test('a transaction of billing that stays open holds up the months, and nobody but them', async (t) => {
  const { pool, url } = await freshDatabase(t);
  const accountId = await addAccount(pool);
  const ids = [await addSubscriber(pool, { accountId }), await addSubscriber(pool, { accountId })];
  const months = { sessionKeyDays: 30, changeFeedHours: 24, historyMonths: 36, commandMonths: 12, partitionsAhead: 6 };
  await asClient(url, async (billing) => {
    await billing.query('BEGIN');
    await billing.query('UPDATE subscriber SET redirect = true WHERE id = $1', [ids[0]]);
    const others = asClient(url, async (client) => {
      await client.query(`SET lock_timeout = '2s'`);
      for (let i = 0; i < 50; i++)
        await client.query('UPDATE subscriber SET redirect = NOT redirect WHERE id = $1', [ids[1]]);
    });
    const [rolled] = await Promise.all([rollPartitions(pool, months), others]);
    t.same(rolled, { dropped: [], isDeferred: true });
    await billing.query('COMMIT');
  });
  t.same(await rollPartitions(pool, months), { dropped: [], isDeferred: false }, 'and then they are made');
  const { rows } = await pool.query(
    `SELECT count(*)::int AS months FROM pg_inherits WHERE inhparent = 'subscriber_event'::regclass`,
  );
  t.same(rows, [{ months: 8 }], 'this one, six ahead, and the rest');
});

t.test('leases that are over and refused events are forgotten in time; whoever has a lease keeps it', async (t) => {
  const { pool } = await freshDatabase(t);
  const retention = {
    sessionKeyDays: 30,
    changeFeedHours: 24,
    historyMonths: 36,
    commandMonths: 12,
    partitionsAhead: 1,
  };
  const subscriberId = await addSubscriber(pool, { accountId: await addAccount(pool) });
  const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000);
  await addLease(pool, {
    address: '10.0.0.1',
    subscriber_id: subscriberId,
    began_at: daysAgo(400),
    ends_at: daysAgo(399),
  });
  await addLease(pool, { address: '10.0.0.2', began_at: daysAgo(40), ended_at: daysAgo(31) });
  await addLease(pool, { address: '10.0.0.3', began_at: daysAgo(40), ended_at: daysAgo(29) });
  await addRefusal(pool, { address: '10.0.0.1', at: daysAgo(31) });
  await addRefusal(pool, { address: '10.0.0.2', at: daysAgo(29) });
  t.equal(await prune(pool, retention, 100), 1);
  const left = async (table: string): Promise<string[]> =>
    (
      await pool.query<{ address: string }>(`SELECT host(address) AS address FROM ${table} ORDER BY 1 LIMIT 10`)
    ).rows.map(({ address }) => address);
  t.same(await left('lease'), ['10.0.0.1', '10.0.0.3'], 'a lease that nobody ended is never forgotten, however old');
  t.same(await left('lease_refusal'), ['10.0.0.2']);

  // A storm within one millisecond: the time alone does not tell which are the newest.
  await pool.query(
    `INSERT INTO lease_refusal (first_at, at, routing_domain, address, kind, reason, source, via)
     SELECT t, t, 'default', '11.0.0.0'::inet + i, 'commit', 'no-device', 'dhcp1', 'hook'
     FROM generate_series(1, 20010) AS i, (SELECT now() AS t) AS at`,
  );
  const deleted = [];
  do deleted.push(await prune(pool, retention, 5));
  while (deleted.at(-1) === 5);
  t.same(deleted, [5, 5, 1], 'in slices, the one of a month ago first');
  t.same(await left('lease_refusal').then(([first]) => first), '11.0.0.100');
  const { rows } = await pool.query(`SELECT count(*)::int AS kept, host(min(address)) AS first FROM lease_refusal`);
  t.same(rows, [{ kept: 20_000, first: '11.0.0.11' }], 'the newest are kept');
});
