/**
 * `subscriber` and what it stands on, as a person uses it.
 *
 * Enters: command lines. Leaves: rows, output, exit codes. Invariant: every refusal says what, why and what to do.
 */
import t from 'tap';
import { storedPasswordKeyId } from '../../src/domain/seal-key-id.js';
import { parseStoredPassword } from '../../src/radius/stored-password.js';
import { TypingInput, commandHouse } from './command-line.js';
import type { CommandHouse } from './command-line.js';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

async function stockedHouse(t: Parameters<typeof commandHouse>[0]): Promise<CommandHouse> {
  const house = await commandHouse(t);
  await house.done(['pool', 'add', 'main', '100.64.0.0/24']);
  await house.done(['plan', 'add', 'home', '--down', '50M', '--up', '10M', '--pool', 'main']);
  await house.done(['plan', 'add', 'fast', '--down', '1G', '--up', '1G']);
  return house;
}

/** The password as RADIUS would check it. */
async function passwordOf(house: CommandHouse, login: string): Promise<string | undefined> {
  const { rows } = await house.database.pool.query<{ password: string }>(
    `SELECT password FROM subscriber WHERE login = $1`,
    [login],
  );
  const stored = rows[0]?.password ?? '';
  const key = Buffer.from((await readFile(join(house.dataDir, 'secrets', 'password.key'), 'utf8')).trim(), 'base64');
  const parsed = parseStoredPassword(stored, new Map([[storedPasswordKeyId, key]]));
  return stored.startsWith('{SEALED}') && parsed.ok && parsed.stored.form === 'cleartext'
    ? parsed.stored.password.toString()
    : undefined;
}

t.test('subscriber add makes account and subscriber, with the password sealed', async (t) => {
  const house = await stockedHouse(t);
  const args = [
    'subscriber',
    'add',
    'alice',
    '--plan',
    'home',
    '--ip',
    '100.64.9.9',
    '--mac',
    'AABB.CCDD.EEFF',
    '--name',
    'Alice Liddell',
  ];
  const { json, stderr } = await house.done(
    [...args, '--phone', '+7 900', '--address', 'Lenina 1', '--password-stdin', '--json'],
    {
      stdin: 'wonder land\r\nnot this line\n',
    },
  );
  t.match(json(), {
    login: 'alice',
    contract: 'alice',
    name: 'Alice Liddell',
    phone: '+7 900',
    address: 'Lenina 1',
    plan: 'home',
    static_address: '100.64.9.9',
    mac: 'aa:bb:cc:dd:ee:ff',
    state: 'active',
    password_form: 'sealed',
    logged: false,
    deleted: false,
    period: { plan: 'home', closed_at: null },
  });
  t.equal(await passwordOf(house, 'alice'), 'wonder land');
  t.notMatch(stderr, /wonder/u);
  const events = await house.database.pool.query(`SELECT FROM subscriber_event`);
  t.equal(events.rowCount, 0, 'a new row is no change');
});

t.test('where a password may come from', async (t) => {
  const house = await stockedHouse(t);

  const typed = new TypingInput();
  const asking = house.run(['subscriber', 'add', 'typed', '--plan', 'home'], { stdin: typed });
  // Two lines, with a mistake taken back in each.
  for (const text of ['sex\u007fcret\r', 'wrong\u0015secret\r']) {
    while (typed.rawModes.filter((raw) => raw).length === typed.rawModes.filter((raw) => !raw).length) await nextTurn();
    typed.write(text);
    const before = typed.rawModes.length;
    while (typed.rawModes.length === before) await nextTurn();
  }
  const result = await asking;
  t.equal(result.code, 0, result.stderr);
  t.equal(await passwordOf(house, 'typed'), 'secret');
  t.same(typed.rawModes, [true, false, true, false], 'the terminal is put back each time');
  t.notMatch(result.stderr + result.stdout, /secret|sex/u, 'nothing typed is shown');

  const argument = await house.done(['subscriber', 'add', 'argv', '--plan', 'home', '--password', 'seen']);
  t.match(argument.stderr, /warning: everybody on this machine can see --password/u);
  t.equal(await passwordOf(house, 'argv'), 'seen');

  const hashed = await house.done(['subscriber', 'add', 'hashed', '--nt-hash-only', '--password-stdin', '--json'], {
    stdin: 'password',
  });
  t.match(hashed.json(), { password_form: 'nt' });
  const { rows } = await house.database.pool.query(`SELECT password FROM subscriber WHERE login = 'hashed'`);
  t.same(rows, [{ password: '{NT}8846f7eaee8fb117ad06bdd830b7586c' }], 'the well-known NT hash of "password"');

  const byMac = await house.done(['subscriber', 'add', 'tv', '--mac', '02:00:00:00:00:01', '--json']);
  t.match(byMac.json(), { password_form: null });
  t.match(byMac.stderr, /'tv' has no password and is known by its MAC/u);

  const changed = await house.done(['subscriber', 'set', 'argv', '--password-stdin'], { stdin: 'unseen\n' });
  t.notMatch(changed.stdout, /unseen/u);
  t.equal(await passwordOf(house, 'argv'), 'unseen');

  const refusals: [args: string[], stdin: string, code: number, message: RegExp][] = [
    [['subscriber', 'add', 'x'], '', 1, /no terminal to ask for the password on; use --password-stdin/u],
    [['subscriber', 'add', 'x', '--password-stdin'], '', 1, /the password is empty/u],
    [['subscriber', 'add', 'x', '--password-stdin'], 'x'.repeat(129), 1, /129 octets, and RADIUS carries 128/u],
    [['subscriber', 'add', 'x', '--password-stdin', '--password', 'y'], 'z', 2, /choose one/u],
    [['subscriber', 'set', 'argv', 'password=x'], '', 2, /everybody sees the arguments; use --password-stdin/u],
  ];
  for (const [args, stdin, code, message] of refusals) {
    const refused = await house.run(args, { stdin });
    t.equal(refused.code, code, args.join(' '));
    t.match(refused.stderr, message);
  }
  t.equal((await house.database.pool.query(`SELECT FROM subscriber WHERE login = 'x'`)).rowCount, 0);
});

t.test('Ctrl-C at the password changes nothing and puts the terminal back', async (t) => {
  const house = await stockedHouse(t);
  const typed = new TypingInput();
  const asking = house.run(['subscriber', 'add', 'alice', '--plan', 'home'], { stdin: typed });
  while (typed.rawModes.length === 0) await nextTurn();
  typed.write('abc\u0003');
  const result = await asking;
  t.equal(result.code, 1);
  t.match(result.stderr, /no password was given/u);
  t.same(typed.rawModes, [true, false]);
  t.equal((await house.database.pool.query(`SELECT FROM subscriber`)).rowCount, 0);
});

t.test('subscriber set: each key changes what it names', async (t) => {
  const house = await stockedHouse(t);
  await house.done(['subscriber', 'add', 'alice', '--plan', 'home', '--no-password']);
  const table: [assignments: string[], expected: Record<string, unknown>][] = [
    [
      ['own_disabled=true', 'reason=on holiday'],
      { own_disabled: true, own_disabled_reason: 'on holiday', state: 'own_disabled' },
    ],
    [['own_disabled=false'], { own_disabled: false, own_disabled_reason: null, state: 'active' }],
    [['redirect=true', 'redirect_reason=owes 300'], { redirect: true, redirect_reason: 'owes 300', state: 'redirect' }],
    [['redirect_reason=owes 400'], { redirect: true, redirect_reason: 'owes 400' }],
    [
      ['redirect=false', 'admin_blocked=true', 'reason=fraud=yes'],
      { redirect: false, admin_blocked: true, admin_blocked_reason: 'fraud=yes', state: 'admin_blocked' },
    ],
    [
      ['admin_blocked=false', 'account_blocked=true', 'reason=court'],
      {
        admin_blocked: false,
        account_admin_blocked: true,
        account_admin_blocked_reason: 'court',
        state: 'admin_blocked',
      },
    ],
    [['account_blocked=false'], { account_admin_blocked: false, account_admin_blocked_reason: null, state: 'active' }],
    [['plan=fast'], { plan: 'fast' }],
    [['plan='], { plan: null, state: 'no_plan' }],
    [
      ['plan=home', 'mac=0:1:a:2:3:4', 'ip=100.64.9.1', 'pool=main', 'nas=bras1'],
      { plan: 'home', mac: '00:01:0a:02:03:04', static_address: '100.64.9.1', pool: 'main', nas_name: 'bras1' },
    ],
    [['mac=', 'ip=', 'pool=', 'nas='], { mac: null, static_address: null, pool: null, nas_name: null }],
    [['name=A', 'phone=1', 'address=B 2'], { name: 'A', phone: '1', address: 'B 2' }],
    [['name=', 'phone=', 'address='], { name: null, phone: null, address: null }],
    [['associate_pppoe_mac=true', 'associate_vpn_ip=true'], { associate_pppoe_mac: true, associate_vpn_ip: true }],
    [['contract=C-9'], { contract: 'C-9', plan: 'home' }],
  ];
  for (const [assignments, expected] of table) {
    const { json } = await house.done(['subscriber', 'set', 'alice', ...assignments, '--json']);
    t.match(json(), expected, assignments.join(' '));
  }
  const renamed = await house.done(['subscriber', 'set', 'alice', 'login=алиса', '--json']);
  t.match(renamed.json(), { login: 'алиса' });
  const { rows } = await house.database.pool.query<{ changed_by: string }>(
    `SELECT DISTINCT changed_by FROM subscriber_event`,
  );
  t.same(rows, [{ changed_by: 'cli/tester' }], 'every change names who made it');
});

t.test('refusals say what, why and what to do', async (t) => {
  const house = await stockedHouse(t);
  await house.done(['subscriber', 'add', 'alice', '--plan', 'home', '--ip', '100.64.9.1', '--no-password']);
  await house.done(['subscriber', 'add', 'gone', '--no-password']);
  await house.done(['subscriber', 'delete', 'gone', '--reason', 'moved away']);
  const table: [args: string[], code: number, message: RegExp][] = [
    [
      ['subscriber', 'set', 'alice', 'own_disable=true'],
      2,
      /no key 'own_disable'; did you mean own_disabled\? the keys are login, plan,/u,
    ],
    [['subscriber', 'set', 'alice', 'redirect=yes'], 2, /redirect is 'yes'; write true or false/u],
    [['subscriber', 'set', 'alice', 'redirect'], 2, /'redirect' is not key=value/u],
    [['subscriber', 'set', 'alice', 'redirect=true', 'redirect=false'], 2, /given twice/u],
    [['subscriber', 'set', 'alice', 'reason=why'], 2, /reason= says why a flag changes, and none does/u],
    [['subscriber', 'set', 'alice'], 2, /nothing to set/u],
    [['subscriber', 'set', 'alice', 'mac=zz'], 2, /no MAC address/u],
    [['subscriber', 'set', 'alice', 'ip=010.0.0.1'], 2, /no IPv4 address/u],
    [['subscriber', 'set', 'alice', 'plan=hom'], 1, /no plan 'hom'; did you mean home\?/u],
    [['subscriber', 'set', 'alice', 'pool=man'], 1, /no pool 'man'; did you mean main\?/u],
    [['subscriber', 'set', 'alic', 'redirect=true'], 1, /no subscriber 'alic'; did you mean alice\?/u],
    [
      ['subscriber', 'set', 'gone', 'redirect=true'],
      1,
      /'gone' is deleted; bring it back with: sluice subscriber restore gone/u,
    ],
    [
      ['subscriber', 'add', 'alice', '--no-password'],
      1,
      /there is a subscriber 'alice'; change it with: sluice subscriber set alice/u,
    ],
    [
      ['subscriber', 'add', 'bob', '--plan', 'none', '--no-password'],
      1,
      /no plan 'none'; there are fast, home; make it with: sluice plan add none/u,
    ],
    [
      ['subscriber', 'add', 'bob', '--ip', '100.64.9.1', '--no-password'],
      1,
      /another subscriber has this static address; find out who with: sluice ip who/u,
    ],
    [['subscriber', 'add', '', '--no-password'], 1, /a login has 1 to 253 octets/u],
    [['subscriber', 'add', 'я'.repeat(127), '--no-password'], 1, /a login has 1 to 253 octets/u],
    [['subscriber', 'restore', 'alice'], 1, /'alice' is not deleted/u],
    [['subscriber', 'show', 'nobody'], 1, /no subscriber 'nobody'/u],
    [['subscriber', 'show', 'alice', '--id', '999'], 1, /no subscriber 'alice' has the id 999; there are 1/u],
    [['subscriber', 'list', '--online', '--offline'], 2, /nobody is online and offline/u],
    [['subscriber'], 2, /Usage: sluice subscriber/u],
    [['subscriber', 'frobnicate'], 2, /unknown command 'frobnicate'/u],
    [['plan', 'add', 'home'], 1, /there is a plan of this name; change it with: sluice plan set/u],
    [['plan', 'add', 'p', '--down', '50MB'], 2, /down is '50MB', which is no rate; write it like 50M/u],
    [['plan', 'set', 'home', 'valid_from=2026-02-01', 'valid_until=2026-01-01'], 1, /a plan ends after it begins/u],
    [['plan', 'set', 'none', 'active=false'], 1, /no plan 'none'/u],
  ];
  for (const [args, code, message] of table) {
    const result = await house.run(args);
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, message);
    t.notMatch(result.stderr, /\n {4}at /u, 'no stack trace');
    t.equal(result.stdout, '');
  }
});

t.test('delete keeps the row, restore brings it back, a login may have had several owners', async (t) => {
  const house = await stockedHouse(t);
  await house.done(['subscriber', 'add', 'alice', '--plan', 'home', '--no-password']);
  const deleted = await house.done(['subscriber', 'delete', 'alice', '--reason', 'moved away', '--json']);
  t.match(deleted.json(), { deleted: true, deleted_reason: 'moved away', state: 'deleted' });
  const second = await house.done(['subscriber', 'add', 'alice', '--contract', 'C-2', '--no-password', '--json']);
  t.match(second.stderr, /another 'alice' \(id 1\) is deleted; this is a new one/u);
  t.match(second.json(), { id: 2, deleted: false });
  const taken = await house.run(['subscriber', 'restore', 'alice']);
  t.equal(taken.code, 1);
  t.match(taken.stderr, /there is a subscriber with this login/u);
  await house.done(['subscriber', 'delete', 'alice']);
  const ambiguous = await house.run(['subscriber', 'restore', 'alice']);
  t.equal(ambiguous.code, 1);
  t.match(
    ambiguous.stderr,
    /2 deleted subscribers have the login 'alice'; say which with --id: 2 \(contract C-2\), 1 \(contract alice\)/u,
  );
  const restored = await house.done(['subscriber', 'restore', 'alice', '--id', '1', '--json']);
  t.match(restored.json(), {
    id: 1,
    deleted: false,
    deleted_reason: null,
    deleted_at: null,
    released_at: null,
    state: 'active',
  });
});

t.test('a plan given to one subscriber is the plan of the contract, and the command says so', async (t) => {
  const house = await stockedHouse(t);
  await house.done(['subscriber', 'add', 'tv', '--contract', 'C-1', '--plan', 'home', '--no-password']);
  const second = await house.done([
    'subscriber',
    'add',
    'phone',
    '--contract',
    'C-1',
    '--plan',
    'fast',
    '--no-password',
  ]);
  t.match(second.stderr, /the plan is that of the contract C-1: 1 other subscriber/u);
  t.match((await house.done(['subscriber', 'show', 'tv', '--json'])).json(), { plan: 'fast' });
  const third = await house.done(['subscriber', 'set', 'tv', 'plan=home']);
  t.match(third.stderr, /the plan is that of the contract C-1: 1 other subscriber/u);
  t.match((await house.done(['subscriber', 'show', 'phone', '--json'])).json(), { plan: 'home' });
});

t.test('subscriber list finds people by what staff know of them', async (t) => {
  const house = await stockedHouse(t);
  await house.done([
    'subscriber',
    'add',
    'alice',
    '--plan',
    'home',
    '--contract',
    'C-100%',
    '--name',
    'Алиса Петрова',
    '--mac',
    '02:00:00:00:00:01',
    '--no-password',
  ]);
  await house.done([
    'subscriber',
    'add',
    'bob',
    '--plan',
    'fast',
    '--phone',
    '+7 900 1',
    '--ip',
    '100.64.9.2',
    '--no-password',
  ]);
  await house.done(['subscriber', 'add', 'carol', '--address', 'Lenina 1', '--nas', 'bras1', '--no-password']);
  await house.done(['subscriber', 'add', 'dave', '--no-password']);
  await house.done(['subscriber', 'set', 'bob', 'redirect=true']);
  await house.done(['subscriber', 'set', 'carol', 'account_blocked=true']);
  await house.done(['subscriber', 'delete', 'dave']);
  const table: [args: string[], logins: string[]][] = [
    [[], ['alice', 'bob', 'carol']],
    [['--search', 'петров'], ['alice']],
    [['--search', '100%'], ['alice']],
    [['--search', '%'], ['alice']],
    [['--search', '_'], []],
    [['--search', '900 1'], ['bob']],
    [['--search', 'LENINA'], ['carol']],
    [['--search', '02:00:00:00:00:01'], ['alice']],
    [['--search', '100.64.9.2'], ['bob']],
    [['--plan', 'home'], ['alice']],
    [['--nas', 'bras1'], ['carol']],
    [['--redirect'], ['bob']],
    [['--admin-blocked'], ['carol']],
    [['--online'], []],
    [['--offline'], ['alice', 'bob', 'carol']],
    [['--deleted'], ['dave']],
    [['--with-deleted'], ['alice', 'bob', 'carol', 'dave']],
    [
      ['--limit', '2'],
      ['alice', 'bob'],
    ],
  ];
  for (const [args, logins] of table) {
    const rows = (await house.done(['subscriber', 'list', ...args, '--json'])).json<{ login: string }[]>();
    t.same(
      rows.map((row) => row.login),
      logins,
      args.join(' '),
    );
  }
  const cut = await house.done(['subscriber', 'list', '--limit', '2']);
  t.match(cut.stderr, /the first 2 subscribers; --limit 0 shows all/u);
  t.equal(cut.stdout.trimEnd().split('\n').length, 3, 'titles and two rows');
});

t.test('a hostile login is a login', async (t) => {
  const house = await stockedHouse(t);
  const logins = [
    '\u001b]0;owned\u0007\u001b[2J',
    '"; /system reboot',
    "'; DROP TABLE subscriber; --",
    '$(reboot)`reboot`',
    '-rf',
    '--conf',
    'a\nb',
    '%s%n',
    '=cmd()',
    '\u202eevil',
    '{"json":true}',
  ];
  for (const login of logins) {
    const added = await house.run(['subscriber', 'add', '--plan', 'home', '--no-password', '--json', '--', login]);
    t.equal(added.code, 0, added.stderr);
    t.equal(added.json()['login'], login, JSON.stringify(login));
  }
  const table = await house.done(['subscriber', 'list'], { columns: 100 });
  // eslint-disable-next-line no-control-regex
  t.notMatch(table.stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/u);
  t.equal(table.stdout.trimEnd().split('\n').length, logins.length + 1, 'one line each');
  t.match(table.stdout, '\\x1b]0;owned\\x07');
  const unknown = await house.run(['subscriber', 'show', '\u001b[31mnobody']);
  t.equal(unknown.code, 1);
  t.match(unknown.stderr, "there is no subscriber '\\x1b[31mnobody'");
  const nul = await house.run(['subscriber', 'show', 'a\0b']);
  t.equal(nul.code, 1, 'a NUL, which the database cannot store, finds nobody');
});
