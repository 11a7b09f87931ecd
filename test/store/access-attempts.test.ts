// Attempts on a real PostgreSQL: few rows, bounded, and never in the way of an answer.

import t from 'tap';
import { AccessAttempts, pruneAccessAttempts, type AccessAttempt } from '../../src/store/access-attempts.js';
import { freshDatabase } from '../support/database.js';

const NOW_MS = Date.UTC(2026, 10, 21, 12);

function attempt(fields: Partial<AccessAttempt> = {}): AccessAttempt {
  return {
    atMs: NOW_MS,
    login: 'alice',
    mac: '00:11:22:33:44:55',
    nasName: 'bras1',
    nasPortId: 'eth0/1',
    subscriberId: 7,
    outcome: 'reject',
    reason: 'wrong-password',
    address: undefined,
    ...fields,
  };
}

function failing(error: unknown): never {
  throw error;
}

t.test('the first answer is written at once, equal ones within ten seconds are one row', async (test) => {
  const database = await freshDatabase(test);
  const attempts = new AccessAttempts({ pool: database.pool, onError: failing });
  const rows = async (): Promise<object[]> => {
    const fields =
      'login, mac, nas_name, nas_port_id, subscriber_id, outcome, reason, host(address) AS address, repeats, at';
    return (await database.pool.query<object>(`SELECT ${fields} FROM access_attempt ORDER BY at, id`)).rows;
  };
  attempts.note(attempt({ atMs: NOW_MS }));
  await attempts.flush(NOW_MS + 1);
  const first = {
    login: 'alice',
    mac: '00:11:22:33:44:55',
    nas_name: 'bras1',
    nas_port_id: 'eth0/1',
    subscriber_id: 7,
    outcome: 'reject',
    reason: 'wrong-password',
    address: null,
    repeats: 1,
    at: new Date(NOW_MS),
  };
  test.match(await rows(), [first], 'somebody may be looking');

  for (let i = 1; i < 1_000; i++) attempts.note(attempt({ atMs: NOW_MS + i }));
  attempts.note(attempt({ atMs: NOW_MS + 500, outcome: 'accept', reason: 'active', address: 0x6440_0001 }));
  await attempts.flush(NOW_MS + 9_999);
  const accept = { outcome: 'accept', reason: 'active', address: '100.64.0.1', repeats: 1 };
  test.match(await rows(), [first, accept], 'what follows gathers');
  await attempts.flush(NOW_MS + 10_000);
  const repeated = { outcome: 'reject', repeats: 999, at: new Date(NOW_MS + 1) };
  test.match(await rows(), [first, repeated, accept]);

  attempts.note(attempt({ atMs: NOW_MS + 21_000 }));
  await attempts.flush(NOW_MS + 21_000);
  test.equal((await rows()).length, 4, 'after a pause it is a first one again');
});

t.test('repeats that come while a write fails are counted with it', async (test) => {
  const database = await freshDatabase(test);
  const attempts = new AccessAttempts({ pool: database.pool, onError: () => undefined });
  attempts.note(attempt());
  await database.pool.query('ALTER TABLE access_attempt RENAME TO away');
  const failed = attempts.flush(Infinity);
  attempts.note(attempt());
  await failed;
  await database.pool.query('ALTER TABLE away RENAME TO access_attempt');
  await attempts.flush(Infinity);
  test.match((await database.pool.query('SELECT repeats FROM access_attempt')).rows, [{ repeats: 2 }]);
});

t.test('what differs in login, MAC, NAS, outcome or reason is another row', async (test) => {
  const database = await freshDatabase(test);
  const attempts = new AccessAttempts({ pool: database.pool, onError: failing });
  for (const fields of [
    {},
    { login: 'bob' },
    { login: undefined },
    { mac: undefined },
    { nasName: 'bras2' },
    { reason: 'deleted' as const },
    { outcome: 'discard' as const },
  ])
    attempts.note(attempt(fields));
  test.equal(attempts.size, 7);
});

t.test('at most 500 rows a flush, at most so many held, the rest dropped and counted', async (test) => {
  const database = await freshDatabase(test);
  const attempts = new AccessAttempts({ pool: database.pool, onError: failing, maxHeld: 1_200 });
  for (let i = 0; i < 2_000; i++) attempts.note(attempt({ login: `user${String(i)}` }));
  test.equal(attempts.dropped, 800);
  for (const expected of [500, 1_000, 1_200, 1_200]) {
    await attempts.flush(Infinity);
    test.equal((await database.pool.query('SELECT FROM access_attempt')).rowCount, expected);
  }
});

t.test('a batch that could not be written is tried again', async (test) => {
  const database = await freshDatabase(test);
  const errors: unknown[] = [];
  const attempts = new AccessAttempts({ pool: database.pool, onError: (error) => errors.push(error) });
  attempts.note(attempt());
  await database.pool.query('ALTER TABLE access_attempt RENAME TO away');
  await attempts.flush(Infinity);
  test.equal(errors.length, 1);
  await database.pool.query('ALTER TABLE away RENAME TO access_attempt');
  await attempts.flush(Infinity);
  test.equal((await database.pool.query('SELECT FROM access_attempt')).rowCount, 1);
  test.equal(attempts.size, 0);
});

t.test('hostile names are kept as names', async (test) => {
  const database = await freshDatabase(test);
  const attempts = new AccessAttempts({ pool: database.pool, onError: failing });
  const hostile = ["'; DROP TABLE subscriber; --", 'a\u0000b', '{"x":1}', 'NULL', '\\', '"', 'ж'.repeat(300), ''];
  for (const login of hostile) attempts.note(attempt({ login }));
  await attempts.flush(Infinity);
  const { rows } = await database.pool.query<{ login: string }>('SELECT login FROM access_attempt ORDER BY id');
  test.same(
    rows.map((row) => row.login),
    hostile.map((login) => login.replace('\u0000', '\ufffd').slice(0, 253)),
  );
});

t.test('pruned by age, by subject and in all, some at a time', async (test) => {
  const database = await freshDatabase(test);
  const { pool } = database;
  await pool.query(
    `INSERT INTO access_attempt (at, login, mac, nas_name, outcome, reason)
     SELECT now() - n * interval '1 hour', 'storm', NULL::macaddr, 'bras1', 'reject', 'wrong-password' FROM generate_series(1, 50) n
     UNION ALL SELECT now() - interval '40 days', 'old', NULL, 'bras1', 'accept', 'active' FROM generate_series(1, 5)
     UNION ALL SELECT now(), NULL, macaddr '00:00:00:00:00:01', 'bras1', 'reject', 'unknown-mac' FROM generate_series(1, 30)
     UNION ALL SELECT now(), NULL, '00:00:00:00:00:02', 'bras1', 'reject', 'unknown-mac' FROM generate_series(1, 3)
     UNION ALL SELECT now(), 'quiet', NULL, 'bras1', 'accept', 'active' FROM generate_series(1, 2)`,
  );
  const retention = { keepDays: 30, perSubject: 20, total: 1_000 };
  let calls = 0;
  while ((await pruneAccessAttempts(pool, retention, 10)) >= 10) calls++;
  test.ok(calls > 1, 'in slices');
  const counts = async () =>
    Object.fromEntries(
      (
        await pool.query<{ who: string; n: number }>(
          'SELECT coalesce(login, mac::text) AS who, count(*)::int AS n FROM access_attempt GROUP BY 1 ORDER BY 1',
        )
      ).rows.map((row) => [row.who, row.n]),
    );
  test.same(await counts(), { storm: 20, '00:00:00:00:00:01': 20, '00:00:00:00:00:02': 3, quiet: 2 });
  const { rows } = await pool.query<{ youngest: boolean }>(
    "SELECT max(at) > now() - interval '2 hours' AS youngest FROM access_attempt WHERE login = 'storm'",
  );
  test.equal(rows[0]?.youngest, true, 'the last ones are kept');
  await pruneAccessAttempts(pool, { ...retention, total: 5 }, 1_000);
  test.equal((await pool.query('SELECT FROM access_attempt')).rowCount, 5);
});

t.test('a clock that is set back by hours hides no attempt', async (test) => {
  const { pool } = await freshDatabase(test);
  const attempts = new AccessAttempts({ pool, onError: (error) => test.fail(String(error)) });
  attempts.note(attempt({ atMs: NOW_MS }));
  await attempts.flush(NOW_MS);
  attempts.note(attempt({ atMs: NOW_MS + 1_000 }));
  const backMs = NOW_MS - 2 * 3_600_000;
  await attempts.flush(backMs);
  test.equal(attempts.written, 2, 'what waited by the old clock is written');
  attempts.note(attempt({ atMs: backMs + 1_000 }));
  await attempts.flush(backMs + 1_000);
  test.equal(attempts.written, 3, 'and so is what comes by the new one');
});
