/**
 * `import freeradius`: what tables and files of FreeRADIUS become.
 *
 * Enters: rows, text. Leaves: subscribers, plans, live sessions. Invariant: the same import twice changes nothing.
 */
import t from 'tap';
import type { Test } from 'tap';
import { freshDatabase } from '../support/database.js';
import type { FreshDatabase } from '../support/database.js';
import { createFreeradiusTables, insertFreeradiusRows, insertOpenSessions } from '../support/freeradius-tables.js';
import type { FreeradiusRows, OpenRow } from '../support/freeradius-tables.js';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commandHouse } from './command-line.js';
import type { CommandHouse } from './command-line.js';

interface Report {
  readonly dry_run: boolean;
  readonly users: Record<'read' | 'added' | 'changed' | 'unchanged' | 'errors' | 'unblocked', number>;
  readonly plans: Record<'added' | 'changed' | 'unchanged', number>;
  readonly sessions: Record<
    'read' | 'added' | 'known' | 'closed' | 'stale' | 'not_asked_for' | 'without_subscriber' | 'errors',
    number
  >;
  readonly no_counterpart: readonly {
    attribute: string;
    place: string;
    why: string;
    times: number;
    example: string;
    where: string;
  }[];
  readonly missing_pools: Record<string, number>;
  readonly unknown_nases: Record<string, number>;
  readonly nas_without_identifier: readonly string[];
  readonly address_conflicts: readonly { login: string; address: string }[];
  readonly error_rows: readonly { where: string; login: string | null; error: string }[];
}

interface House extends CommandHouse {
  readonly foreign: FreshDatabase;
  take(...options: string[]): Promise<Report & { code: number; stderr: string }>;
}

const nowMs = Date.parse('2026-11-21T12:00:00Z');

async function freeradiusHouse(t: Test, rows: FreeradiusRows = {}, sessions: readonly OpenRow[] = []): Promise<House> {
  const house = await commandHouse(t);
  const foreign = await freshDatabase(t, { migrated: false });
  await createFreeradiusTables(foreign.pool);
  await insertFreeradiusRows(foreign.pool, rows);
  await insertOpenSessions(foreign.pool, sessions);
  await mkdir(join(house.confDir, 'nas.d'));
  await house.file(
    'nas.d/bras1.toml',
    'name = "bras1"\naddress = "10.0.0.2"\nsecret = "a-secret-of-some-length"\nprofile = "mikrotik-ppp"\n',
  );
  await house.file(
    'nas.d/bras2.toml',
    'name = "bras2"\naddress = "10.0.0.3"\nnas_identifier = "core"\nsecret = "a-secret-of-some-length"\nprofile = "accel-ppp"\n',
  );
  const urlFile = await house.file('freeradius.url', `${foreign.url}\n`);
  return {
    ...house,
    foreign,
    take: async (...options) => {
      const from = options.includes('--users') ? [] : ['--database-file', urlFile];
      const result = await house.run(['import', 'freeradius', ...from, ...options, '--json'], { nowMs: () => nowMs });
      const report = result.stdout === '' ? ({} as Report) : result.json<Report>();
      return { ...report, code: result.code, stderr: result.stderr };
    },
  };
}

const show = async (house: House, login: string) =>
  (await house.done(['subscriber', 'show', login, '--json'])).json<Record<string, unknown>>();
const plan = async (house: House, name: string) =>
  (await house.done(['plan', 'show', name, '--json'])).json<Record<string, unknown>>();
const rowCount = async (house: House, table: string) =>
  (await house.database.pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]!.n;

const people: FreeradiusRows = {
  check: [
    ['alice', 'Cleartext-Password', ':=', 'wonderland'],
    ['alice', 'Calling-Station-Id', '==', '02-00-00-00-00-0A'],
    ['bob', 'NT-Password', ':=', '8846F7EAEE8FB117AD06BDD830B7586C'],
    ['bob', 'Simultaneous-Use', ':=', '3'],
    ['carol', 'Crypt-Password', ':=', '$6$salt$nothing-that-we-could-check'],
    ['dave', 'Cleartext-Password', ':=', '{braces}'],
    ['dave', 'Auth-Type', ':=', 'Reject'],
    ['erin', 'Cleartext-Password', ':=', 'gone'],
    ['erin', 'Expiration', ':=', '01 Nov 2026 00:00:00'],
    ['frank', 'SSHA-Password', ':=', '5cc2ba2ae6c3e4ea7d4a7bc2a0a8d1d7a5c9e11101020304'],
  ],
  reply: [
    ['alice', 'Framed-IP-Address', ':=', '100.64.9.9'],
    ['alice', 'Framed-Route', '+=', '192.0.2.0/24'],
    ['bob', 'Mikrotik-Rate-Limit', ':=', '5M/20M 10M/40M'],
    ['frank', 'Framed-Pool', ':=', 'vip'],
  ],
  groupCheck: [['home', 'Simultaneous-Use', '=', '1']],
  groupReply: [
    // `=` gives way to what the user himself has; `:=` would not.
    ['home', 'Mikrotik-Rate-Limit', '=', '10M/50M'],
    ['home', 'Framed-Pool', ':=', 'main'],
    ['home', 'Service-Type', '=', 'Framed-User'],
    ['other', 'WISPr-Bandwidth-Max-Down', ':=', '8000000'],
  ],
  groups: [
    ['alice', 'home', 1],
    ['bob', 'home', 1],
    ['bob', 'other', 2],
    ['frank', 'other', 1],
  ],
};

async function stocked(t: Test, sessions: readonly OpenRow[] = []): Promise<House> {
  const house = await freeradiusHouse(t, people, sessions);
  await house.done(['pool', 'add', 'main', '100.64.0.0/24']);
  await house.done(['pool', 'add', 'vip', '100.64.1.0/24']);
  return house;
}

t.test('users of the tables become subscribers, groups become plans', async (t) => {
  const house = await stocked(t);
  const report = await house.take();
  t.equal(report.code, 0, report.stderr);
  t.match(report.users, { read: 6, added: 6, changed: 0, unchanged: 0, errors: 0 });
  t.match(await show(house, 'alice'), {
    plan: 'home',
    static_address: '100.64.9.9',
    mac: '02:00:00:00:00:0a',
    associate_pppoe_mac: true,
    password_form: 'sealed',
    admin_blocked: false,
  });
  t.match(await plan(house, 'home'), { rate_down_bps: 50e6, rate_up_bps: 10e6, pool: 'main', session_limit: 1 });
  t.match(await show(house, 'bob'), { plan: 'home 20M/5M x3', password_form: 'nt', static_address: null });
  t.match(await plan(house, 'home 20M/5M x3'), {
    rate_down_bps: 20e6,
    rate_up_bps: 5e6,
    pool: 'main',
    session_limit: 3,
  });
  t.match(await show(house, 'carol'), { plan: 'freeradius', password_form: null });
  t.match(await show(house, 'dave'), { admin_blocked: true, admin_blocked_reason: 'FreeRADIUS: Auth-Type := Reject' });
  t.match(await show(house, 'erin'), {
    admin_blocked: true,
    admin_blocked_reason: /^FreeRADIUS: expired on 2026-11-01/,
  });
  t.match(await show(house, 'frank'), { plan: 'other', pool: 'vip', password_form: 'ssha' });
  t.match(await plan(house, 'other'), { rate_down_bps: 8e6, rate_up_bps: null, session_limit: 64 });
});

t.test('what has no counterpart is told: attribute, how often, an example, never a password', async (t) => {
  const house = await stocked(t);
  const { no_counterpart: left } = await house.take();
  const of = (attribute: string) => left.find((item) => item.attribute === attribute);
  t.match(of('Framed-Route'), { place: 'reply', times: 1, example: 'Framed-Route += "192.0.2.0/24"', where: /^alice/ });
  t.match(of('Crypt-Password'), { place: 'check', times: 1, example: 'Crypt-Password := …' });
  t.match(of('Mikrotik-Rate-Limit'), { why: /bursts/ });
  t.equal(of('Service-Type'), undefined, 'the profile sends it');
  t.notMatch(JSON.stringify(left), /wonderland|nothing-that-we|braces/);
});

t.test('the same import again changes nothing', async (t) => {
  const house = await stocked(t);
  await house.take();
  const [events, feed] = [await rowCount(house, 'subscriber_event'), await rowCount(house, 'change_feed')];
  const again = await house.take();
  t.match(again.users, { added: 0, changed: 0, unchanged: 6, unblocked: 0, errors: 0 });
  t.match(again.plans, { added: 0, changed: 0, unchanged: 4 });
  t.same([await rowCount(house, 'subscriber_event'), await rowCount(house, 'change_feed')], [events, feed]);
});

t.test('a dry run tells the same and writes nothing', async (t) => {
  const house = await stocked(t, [
    { acctSessionId: 's1', login: 'alice', nas: '10.0.0.2', address: '100.64.9.9', startedAtMs: nowMs - 60_000 },
  ]);
  const dry = await house.take('--dry-run');
  t.match(dry, { dry_run: true, users: { added: 6 }, plans: { added: 4 }, sessions: { added: 1 } });
  for (const table of ['subscriber', 'plan', 'session', 'session_key', 'assignment', 'change_feed'])
    t.equal(await rowCount(house, table), table === 'change_feed' ? 2 : 0, table);
});

t.test('changes in FreeRADIUS are followed; a block is lifted only where the import made it', async (t) => {
  const house = await stocked(t);
  await house.take();
  await house.done(['subscriber', 'set', 'alice', 'admin_blocked=true', 'reason=owes a modem']);
  await house.foreign.pool.query(`DELETE FROM radcheck WHERE attribute = 'Auth-Type'`);
  await house.foreign.pool.query(`DELETE FROM radreply WHERE attribute = 'Framed-IP-Address'`);
  await house.foreign.pool.query(`UPDATE radgroupreply SET value = '20M/100M' WHERE attribute = 'Mikrotik-Rate-Limit'`);
  const report = await house.take();
  t.match(report.users, { changed: 1, unblocked: 1 });
  t.match(report.plans, { changed: 1 });
  t.match(await show(house, 'dave'), { admin_blocked: false, admin_blocked_reason: null });
  t.match(await show(house, 'alice'), {
    admin_blocked: true,
    admin_blocked_reason: 'owes a modem',
    static_address: null,
  });
  t.match(await plan(house, 'home'), { rate_down_bps: 100e6, rate_up_bps: 20e6 });
});

t.test('wrong rows are told one by one and stop nobody else', async (t) => {
  const house = await freeradiusHouse(t, {
    check: [
      ['good', 'Cleartext-Password', ':=', 'x'],
      ['odd', 'Cleartext-Password', '?', 'x'],
      ['x'.repeat(254), 'Cleartext-Password', ':=', 'x'],
      ['twin1', 'Cleartext-Password', ':=', 'x'],
      ['twin2', 'Cleartext-Password', ':=', 'x'],
      ['poolless', 'Cleartext-Password', ':=', 'x'],
    ],
    reply: [
      ['twin1', 'Framed-IP-Address', ':=', '100.64.0.1'],
      ['twin2', 'Framed-IP-Address', ':=', '100.64.0.1'],
      ['poolless', 'Framed-Pool', ':=', 'nowhere'],
    ],
  });
  const report = await house.take();
  t.equal(report.code, 1);
  t.match(report.users, { read: 6, added: 3, errors: 3 });
  t.same(report.missing_pools, { nowhere: 1 });
  const errors = report.error_rows.map((row) => row.error).join('\n');
  t.match(errors, /operator '\?'/);
  t.match(errors, /254 octets/);
  t.match(errors, /'twin1' has too/);
  t.match(errors, /sluice pool add nowhere/);
  const without = await house.take('--without-pools');
  t.match(without.users, { added: 1, errors: 2 });
});

t.test('open accounting becomes live sessions that hold their addresses', async (t) => {
  const startedAtMs = nowMs - 7_200_000;
  const row = { nas: '10.0.0.2', callingStation: '02-00-00-00-00-0A', startedAtMs, updatedAtMs: nowMs - 60_000 };
  const house = await stocked(t, [
    { ...row, acctSessionId: '81a00001', login: 'alice', address: '100.64.9.9', inputOctets: 5e9, outputOctets: 7 },
    { ...row, acctSessionId: '81a00002', login: 'bob', address: '100.64.0.7', callingStation: '02-00-00-00-00-0B' },
    {
      ...row,
      acctSessionId: 'old',
      login: 'frank',
      address: '100.64.1.7',
      updatedAtMs: startedAtMs + 60_000,
      startedAtMs: nowMs - 90 * 3_600_000,
    },
    { ...row, acctSessionId: 'elsewhere', login: 'frank', address: '100.64.1.8', nas: '192.0.2.1' },
    {
      ...row,
      acctSessionId: 'core-1',
      login: 'nobody-here',
      address: '100.64.0.9',
      nas: '10.0.0.3',
      callingStation: '',
    },
  ]);
  await house.foreign.pool.query(
    `UPDATE radacct SET acctupdatetime = to_timestamp($1 / 1000.0) WHERE acctsessionid = 'old'`,
    [nowMs - 80 * 3_600_000],
  );
  const report = await house.take();
  t.match(report.sessions, { read: 5, added: 3, known: 0, stale: 1, without_subscriber: 1, errors: 0 });
  t.same(report.unknown_nases, { '192.0.2.1': 1 });
  t.same(report.nas_without_identifier, ['bras1']);
  const live = await house.database.pool.query(
    `SELECT s.login, s.nas_name, s.nas_box, s.acct_session_id, host(s.address) AS address, s.input_octets, s.mac::text,
       s.started_exactly, s.session_seconds, (extract(epoch FROM s.started_at) * 1000)::bigint AS started_ms,
       EXISTS (SELECT FROM assignment_open a JOIN assignment_holder h ON h.assignment_id = a.id
                WHERE h.session_id = s.id AND a.address = s.address AND a.ended_at IS NULL) AS holds
     FROM session s ORDER BY s.acct_session_id`,
  );
  t.match(live.rows, [
    {
      login: 'alice',
      nas_name: 'bras1',
      nas_box: '10.0.0.2',
      acct_session_id: '81a00001',
      address: '100.64.9.9',
      input_octets: 5e9,
      mac: '02:00:00:00:00:0a',
      started_exactly: true,
      session_seconds: 7140,
      started_ms: startedAtMs,
      holds: true,
    },
    { login: 'bob', acct_session_id: '81a00002', address: '100.64.0.7', holds: true },
    { login: 'nobody-here', nas_name: 'bras2', nas_box: 'core', acct_session_id: 'core-1', holds: true },
  ]);
  const taken = await house.database.pool.query(
    `SELECT host(address) AS address, state FROM pool_address WHERE state <> 'free' ORDER BY address`,
  );
  t.same(taken.rows, [
    { address: '100.64.0.7', state: 'assigned' },
    { address: '100.64.0.9', state: 'assigned' },
  ]);
  t.equal(
    (await house.database.pool.query<{ used: number }>('SELECT sum(input_octets)::bigint AS used FROM period')).rows[0]!
      .used,
    0,
    'octets from before are in no period',
  );

  const again = await house.take();
  t.match(again.sessions, { added: 0, known: 3, closed: 0 });
  t.equal(await rowCount(house, 'session_key'), 3);
});

t.test('a NAS-Identifier that is given names the box; sessions of one NAS alone', async (t) => {
  const row = { startedAtMs: nowMs - 60_000, address: '100.64.0.7' };
  const house = await stocked(t, [
    { ...row, acctSessionId: 'a', login: 'alice', nas: '10.0.0.2' },
    { ...row, acctSessionId: 'b', login: 'bob', nas: '10.0.0.3', address: '100.64.0.8' },
  ]);
  const report = await house.take('--sessions-of', 'bras1', '--nas-identifier', '10.0.0.2=MikroTik-7');
  t.match(report.sessions, { read: 2, added: 1, not_asked_for: 1 });
  t.same(report.nas_without_identifier, []);
  const { rows } = await house.database.pool.query('SELECT nas_box FROM session');
  t.same(rows, [{ nas_box: 'MikroTik-7' }]);
});

t.test(
  'two open rows with one address: the later is the living one on the same NAS, told as a conflict on another',
  async (t) => {
    const house = await stocked(t, [
      { acctSessionId: 'a', login: 'alice', nas: '10.0.0.2', address: '100.64.0.7', startedAtMs: nowMs - 9_000 },
      { acctSessionId: 'b', login: 'bob', nas: '10.0.0.2', address: '100.64.0.7', startedAtMs: nowMs - 6_000 },
      { acctSessionId: 'c', login: 'frank', nas: '10.0.0.3', address: '100.64.0.7', startedAtMs: nowMs - 3_000 },
    ]);
    const report = await house.take();
    t.match(report.sessions, { added: 2, closed: 1 });
    t.match(report.address_conflicts, [{ login: 'frank', address: '100.64.0.7' }]);
    const open = await house.database.pool.query('SELECT login FROM assignment WHERE ended_at IS NULL');
    t.same(open.rows, [{ login: 'bob' }]);
  },
);

t.test('a pool made after the sessions learns of them at the next import', async (t) => {
  const house = await stocked(t, [
    { acctSessionId: 'a', login: 'alice', nas: '10.0.0.2', address: '100.65.0.7', startedAtMs: nowMs - 9_000 },
  ]);
  await house.take();
  await house.done(['pool', 'add', 'late', '100.65.0.0/24']);
  await house.take();
  const { rows } = await house.database.pool.query(`SELECT state FROM pool_address WHERE address = '100.65.0.7'`);
  t.same(rows, [{ state: 'assigned' }]);
});

t.test('a users file: DEFAULT, Fall-Through, $INCLUDE, errors by line', async (t) => {
  const house = await freeradiusHouse(t);
  await house.file(
    'more',
    'gina Cleartext-Password := "g\\"h"\n\tFramed-IP-Address = 100.64.3.3,\n\tFall-Through = Yes\n',
  );
  const file = await house.file(
    'users',
    `# the usual
alice\tCleartext-Password := wonderland, Simultaneous-Use := 1
\tFilter-Id = "50000/10000",
\tFramed-IP-Address = 100.64.3.1
$INCLUDE more
broken Cleartext-Password
henry  Cleartext-Password := x
DEFAULT Framed-Protocol == PPP
\tMikrotik-Rate-Limit = "1M/2M", Fall-Through = Yes
DEFAULT Huntgroup-Name == "north"
\tReply-Message = "north"
DEFAULT Auth-Type := Reject
`,
  );
  const report = await house.take('--users', file);
  t.equal(report.code, 1);
  t.match(report.users, { read: 3, added: 3 });
  t.match(report.error_rows, [{ where: /users:6$/, error: /Attribute operator value/ }]);
  t.match(await show(house, 'alice'), {
    static_address: '100.64.3.1',
    admin_blocked: false,
    plan: 'freeradius 50M/10M x1',
  });
  t.match(await show(house, 'gina'), { static_address: '100.64.3.3', admin_blocked: true, plan: 'DEFAULT' });
  t.match(await show(house, 'henry'), { admin_blocked: false, plan: 'freeradius' });
  t.match(report.no_counterpart, [{ attribute: 'Huntgroup-Name', place: 'check', why: /not applied/ }]);
});

t.test('the commands of docs/migration.md work as they are written there', async (t) => {
  const house = await freeradiusHouse(t, people, [
    { acctSessionId: 's1', login: 'alice', nas: '10.0.0.2', address: '100.64.9.9', startedAtMs: Date.now() - 60_000 },
  ]);
  await house.done(['pool', 'add', 'vip', '10.99.0.0/24']);
  const text = await readFile(new URL('../../docs/migration.md', import.meta.url), 'utf8');
  const commands = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((block) => block[1]!.trim().split('\n'));
  t.ok(commands.length >= 6, 'there are some');
  for (const command of commands) {
    const [program, ...argv] = command.split(' ');
    t.equal(program, 'sluice');
    const placed = argv.map((arg) => (arg === 'conf/freeradius.url' ? join(house.confDir, 'freeradius.url') : arg));
    const { code, stderr } = await house.run(placed);
    t.equal(code, 0, `${command}\n${stderr}`);
  }
  const { rows } = await house.database.pool.query('SELECT login, nas_name, nas_box FROM session');
  t.same(rows, [{ login: 'alice', nas_name: 'bras1', nas_box: 'bras1' }]);
});

for (const [what, argv, problem] of [
  ['no source', [], /one source is needed/],
  ['two sources', ['--users', 'x', '--database', 'postgres://a/b'], /one source is needed/],
  ['MySQL', ['--database', 'mysql://a/b'], /only PostgreSQL/],
  ['a limit beyond the schema', ['--users', 'x', '--session-limit', '65'], /session-limit/],
  ['an identifier without address', ['--users', 'x', '--nas-identifier', 'core'], /ADDRESS=NAME/],
] as const) {
  t.test(`${what} is refused before anything is opened`, async (t) => {
    const house = await commandHouse(t);
    const { code, stderr } = await house.run(['import', 'freeradius', ...argv]);
    t.equal(code, 2);
    t.match(stderr, problem);
  });
}

t.test('a database without the tables, and one that does not answer, are told in one line', async (t) => {
  const house = await commandHouse(t);
  const other = await house.run(['import', 'freeradius', '--database', house.database.url]);
  t.equal(other.code, 1);
  t.match(other.stderr, /tables are missing: radcheck/);
  const away = await house.run(['import', 'freeradius', '--database', 'postgres://x@127.0.0.1:1/radius']);
  t.equal(away.code, 1);
  t.match(away.stderr, /cannot be opened \(ECONNREFUSED\)/);
});
