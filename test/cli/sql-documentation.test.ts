/**
 * `docs/sql.md` against the database: what is promised to other programs is there, and what is there is documented.
 *
 * Enters: the page, a fresh database. Leaves: agreement. Invariant: a column cannot be added, renamed or dropped silently.
 */
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { freshDatabase } from '../support/database.js';
import { asClient } from '../support/postgres-server.js';

const page = await readFile(new URL('../../docs/sql.md', import.meta.url), 'utf8');

/** Tables that other programs may rely on. */
const publicTables = [
  'subscriber',
  'account',
  'plan',
  'plan_rate',
  'service',
  'subscriber_service',
  'device',
  'device_kind',
  'device_group',
  'device_contact',
  'device_event',
  'device_notice',
  'session',
  'session_history',
  'assignment',
  'period',
  'pool_address',
  'nas',
  'enforcement',
  'nas_command',
  'nas_owner',
  'nas_entry',
  'reconcile_run',
  'subscriber_event',
  'access_attempt',
  'lease',
  'lease_refusal',
];

interface DocumentedColumn {
  readonly name: string;
  readonly type: string;
  readonly meaning: string;
}

/** The columns that a section of the page lists. */
function documented(table: string): DocumentedColumn[] {
  const section = new RegExp(`^## ${table}\n(.*?)(?=^## |$(?![\\s\\S]))`, 'msu').exec(page)?.[1] ?? '';
  return [...section.matchAll(/^\| `([a-z0-9_]+)`\s*\| ([A-Za-z]+)\s*\| (.*?)\s*\|$/gmu)].map((match) => ({
    name: match[1] ?? '',
    type: match[2] ?? '',
    meaning: match[3] ?? '',
  }));
}

t.test('every column of a public table is documented, in order and with its type', async (t) => {
  const { pool } = await freshDatabase(t);
  for (const table of publicTables) {
    const { rows } = await pool.query<{ name: string; type: string }>(
      `SELECT column_name AS name,
              CASE data_type WHEN 'timestamp with time zone' THEN 'timestamptz' ELSE data_type END AS type
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`,
      [table],
    );
    t.ok(rows.length > 2, `${table} exists`);
    t.same(
      documented(table).map(({ name, type }) => ({ name, type })),
      rows,
      table,
    );
    t.ok(
      documented(table).every((column) => column.meaning.length > 3),
      `${table}: every column has a meaning`,
    );
  }
});

t.test('a column is marked as writable only where a command or a billing program may write it', async (t) => {
  for (const table of publicTables) {
    const writable = documented(table).filter((column) => column.meaning.startsWith('**write**'));
    const isPublicInterface = [
      'subscriber',
      'account',
      'plan',
      'plan_rate',
      'service',
      'subscriber_service',
      'device',
      'device_kind',
      'device_group',
      'device_contact',
    ].includes(table);
    t.equal(writable.length > 0, isPublicInterface, table);
  }
});

t.test('the examples work as printed', async (t) => {
  const { pool, url } = await freshDatabase(t);
  const examples = /## What may be written\n+```sql\n(.*?)```/su.exec(page)?.[1] ?? '';
  await pool.query(`INSERT INTO plan (name) VALUES ('home'), ('fast')`);
  await pool.query(`INSERT INTO account (contract, plan_id) VALUES ('C-1007', 1)`);
  await pool.query(`INSERT INTO subscriber (id, account_id, login) VALUES (4711, 1, 'ivanov')`);
  // As another program, not as one of our servers.
  await asClient(url, (client) => client.query(examples));
  const { rows } = await pool.query(
    `SELECT s.login, s.admin_blocked, s.redirect, s.deleted, p.name AS plan FROM subscriber s
       JOIN account a ON a.id = s.account_id JOIN plan p ON p.id = a.plan_id ORDER BY s.login`,
  );
  t.same(rows, [
    { login: 'ivanov', admin_blocked: true, redirect: false, deleted: false, plan: 'fast' },
    { login: 'petrova', admin_blocked: false, redirect: false, deleted: false, plan: 'home' },
  ]);
  const events = await pool.query<{ field: string }>(`SELECT DISTINCT field FROM subscriber_event ORDER BY field`);
  t.same(
    events.rows.map((row) => row.field),
    [
      'account.admin_blocked',
      'account.plan_id',
      'admin_blocked',
      'deleted',
      'device_id',
      'port',
      'redirect',
      'turbo_rate_down_bps',
      'turbo_rate_up_bps',
      'turbo_until',
      'web_logged_at',
    ],
    'each change is remembered',
  );
});

t.test('what the page says is refused, is refused with that constraint or hint', async (t) => {
  const { pool } = await freshDatabase(t);
  await pool.query(`INSERT INTO account (contract) VALUES ('C-1')`);
  await pool.query(`INSERT INTO subscriber (account_id, login, static_address) VALUES (1, 'anna', '10.0.0.1')`);
  await pool.query(`INSERT INTO device (kind_id, name) VALUES (1, 'sw1'), (1, 'sw2'), (1, 'sw3')`);
  await pool.query(`UPDATE device SET deleted = true WHERE id = 2`);
  await pool.query(`UPDATE subscriber SET device_id = 1, port = '5'`);
  const insert = (columns: string, values: string) =>
    `INSERT INTO subscriber (account_id, ${columns}) VALUES (1, ${values})`;
  const refusals: [sql: string, expected: { code?: string; constraint?: string; hint?: string }][] = [
    [`DELETE FROM subscriber`, { code: '23001', hint: 'UPDATE subscriber SET deleted = true WHERE …' }],
    [`DELETE FROM account`, { code: '23001' }],
    [insert('login', `'anna'`), { constraint: 'subscriber_login_unique' }],
    [insert('login, static_address', `'b', '10.0.0.1'`), { constraint: 'subscriber_static_address_unique' }],
    [insert('login, static_address', `'b', '10.0.0.0/24'`), { constraint: 'subscriber_static_address_is_one_ipv4' }],
    [insert('login, static_address', `'b', '2001:db8::1'`), { constraint: 'subscriber_static_address_is_one_ipv4' }],
    [insert('login, port', `'b', '5'`), { constraint: 'subscriber_port_of_device' }],
    [insert('login, device_id, port', `'b', 1, '05'`), { constraint: 'subscriber_port_form' }],
    [insert('login, device_id, port', `'b', 1, '5'`), { constraint: 'subscriber_port_unique' }],
    [insert('login, device_id', `'b', 2`), { constraint: 'subscriber_device_deleted' }],
    [`DELETE FROM device`, { code: '23001', hint: 'UPDATE device SET deleted = true WHERE …' }],
    [`UPDATE device SET deleted = true WHERE id = 1`, { code: '23001', constraint: 'device_in_use' }],
    [`UPDATE device SET name = 'sw1' WHERE id = 3`, { constraint: 'device_name_unique' }],
    [`UPDATE device SET name = NULL WHERE id = 3`, { constraint: 'device_named' }],
    [insert('login', `''`), { constraint: 'subscriber_login_length' }],
    [insert('login', `repeat('x', 254)`), { constraint: 'subscriber_login_length' }],
    [`INSERT INTO plan (name, rate_down_bps) VALUES ('p', 0)`, { constraint: 'plan_rate_down_positive' }],
    [`INSERT INTO plan (name, rate_up_bps) VALUES ('p', -1)`, { constraint: 'plan_rate_up_positive' }],
    [`INSERT INTO plan (name, session_limit) VALUES ('p', 65)`, { constraint: 'plan_session_limit_range' }],
  ];
  for (const [sql, expected] of refusals) {
    const error = await pool.query(sql).then(
      () => undefined,
      (refusal: unknown) => refusal,
    );
    t.match(error, expected, sql);
    for (const named of Object.values(expected))
      t.ok(named === '23001' || page.includes(named) || named.startsWith('UPDATE'), named);
  }
});
