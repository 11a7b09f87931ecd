/**
 * `subscriber import`: what a file becomes, and what is said of wrong lines.
 *
 * Enters: CSV. Leaves: rows, counts, errors by line. Invariant: the same file twice changes nothing the second time.
 */
import t from 'tap';
import { commandHouse } from './command-line.js';
import type { CommandHouse, CommandResult } from './command-line.js';

interface Summary {
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly errors: number;
  readonly written: boolean;
  readonly error_lines: readonly { line: number; login: string | null; error: string }[];
}

async function stockedHouse(t: Parameters<typeof commandHouse>[0]): Promise<CommandHouse> {
  const house = await commandHouse(t);
  await house.done(['pool', 'add', 'main', '100.64.0.0/24']);
  await house.done(['plan', 'add', 'home', '--down', '50M', '--up', '10M', '--pool', 'main']);
  await house.done(['plan', 'add', 'fast']);
  return house;
}

let files = 0;

async function importText(
  house: CommandHouse,
  text: string | Buffer,
  ...options: string[]
): Promise<CommandResult & { summary: Summary }> {
  files += 1;
  const file = await house.file(`import-${String(files)}.csv`, text);
  const result = await house.run(['subscriber', 'import', file, ...options, '--json']);
  return { ...result, summary: result.json<Summary>() };
}

/** The counts alone. */
function counts({ added, changed, unchanged, errors }: Summary): number[] {
  return [added, changed, unchanged, errors];
}

async function rowOf(house: CommandHouse, login: string): Promise<Record<string, unknown>> {
  return (await house.done(['subscriber', 'show', login, '--json'])).json();
}

const people = `login,password,plan,ip,mac,pool,nas,contract,name,phone,address,own_disabled,own_disabled_reason
ivanov,wonderland,home,100.64.9.1,AABB.CCDD.EEFF,,,C-1,"Ivanov, ""Pyotr""",+7 900,"Lenina 1
entrance 2",false,
petrova,{NT}8846f7eaee8fb117ad06bdd830b7586c,fast,,,main,bras1,C-2,Мария,,,true,on holiday
`;

t.test('a file adds people with everything that it says of them', async (t) => {
  const house = await stockedHouse(t);
  const { code, summary } = await importText(house, people);
  t.equal(code, 0);
  t.same(counts(summary), [2, 0, 0, 0]);
  t.match(await rowOf(house, 'ivanov'), {
    contract: 'C-1',
    name: 'Ivanov, "Pyotr"',
    phone: '+7 900',
    address: 'Lenina 1\nentrance 2',
    plan: 'home',
    static_address: '100.64.9.1',
    mac: 'aa:bb:cc:dd:ee:ff',
    password_form: 'sealed',
    state: 'active',
    period: { plan: 'home' },
  });
  t.match(await rowOf(house, 'petrova'), {
    plan: 'fast',
    pool: 'main',
    nas_name: 'bras1',
    password_form: 'nt',
    own_disabled: true,
    own_disabled_reason: 'on holiday',
  });
});

t.test('the same file again changes nothing, although sealed passwords never look the same twice', async (t) => {
  const house = await stockedHouse(t);
  await importText(house, people);
  const before = await house.database.pool.query(`SELECT * FROM subscriber ORDER BY id`);
  const feed = await house.database.pool.query(`SELECT FROM change_feed`);
  const { summary } = await importText(house, people);
  t.same(counts(summary), [0, 0, 2, 0]);
  t.same((await house.database.pool.query(`SELECT * FROM subscriber ORDER BY id`)).rows, before.rows);
  t.equal(
    (await house.database.pool.query(`SELECT FROM change_feed`)).rowCount,
    feed.rowCount,
    'no server is told anything',
  );
});

t.test(
  'CRLF, a byte order mark, another delimiter, quotes, blank lines and no last line end are all the same file',
  async (t) => {
    const table: [name: string, text: string, options: string[]][] = [
      ['LF', 'login,plan\nanna,home\nboris,home', []],
      ['CRLF', 'login,plan\r\nanna,home\r\nboris,home\r\n', []],
      ['byte order mark', '\ufefflogin,plan\nanna,home\nboris,home\n', []],
      ['semicolons', 'login;plan\nanna;home\nboris;home\n', ['--delimiter', ';']],
      ['quotes', '"login","plan"\n"anna","home"\n"boris","home"\n', []],
      ['blank lines', 'login,plan\n\nanna,home\n\n\nboris,home\n\n', []],
      ['other order', 'plan,login\nhome,anna\nhome,boris\n', []],
    ];
    const house = await stockedHouse(t);
    for (const [name, text, options] of table) {
      const { summary } = await importText(house, text, ...options, '--dry-run');
      t.same(counts(summary), [2, 0, 0, 0], name);
    }
    const stdin = await house.run(['subscriber', 'import', '-', '--dry-run', '--json'], { stdin: 'login\nanna\n' });
    t.same(counts(stdin.json<Summary>()), [1, 0, 0, 0], 'standard input');
  },
);

t.test('columns that are not in the file are not touched; empty cells clear some and leave others', async (t) => {
  const house = await stockedHouse(t);
  await importText(house, people);
  await importText(house, 'login,phone\nivanov,112\n');
  t.match(await rowOf(house, 'ivanov'), {
    phone: '112',
    name: 'Ivanov, "Pyotr"',
    static_address: '100.64.9.1',
    plan: 'home',
  });
  const { summary } = await importText(
    house,
    'login,password,plan,ip,mac,nas,pool,contract,name,phone,address,own_disabled,own_disabled_reason\nivanov,,,,,,,,,,,,\npetrova,,,,,,,,,,,,\n',
  );
  t.same(counts(summary), [0, 2, 0, 0]);
  t.match(await rowOf(house, 'ivanov'), {
    contract: 'C-1',
    plan: 'home',
    password_form: 'sealed',
    static_address: null,
    mac: null,
    name: null,
    phone: null,
    address: null,
  });
  t.match(await rowOf(house, 'petrova'), {
    own_disabled: true,
    own_disabled_reason: null,
    nas_name: null,
    pool: null,
    password_form: 'nt',
  });
});

t.test('accounts: shared contracts, a move to another one, the last row of a contract wins', async (t) => {
  const house = await stockedHouse(t);
  const { summary } = await importText(
    house,
    'login,contract,plan,name\ntv,C-1,home,First\nphone,C-1,fast,Last\nalone,,home,\n',
  );
  t.same(counts(summary), [3, 0, 0, 0]);
  t.match(await rowOf(house, 'tv'), { contract: 'C-1', plan: 'fast', name: 'Last' });
  t.match(await rowOf(house, 'alone'), { contract: 'alone', plan: 'home' });
  const moved = await importText(house, 'login,contract\ntv,C-2\nphone,C-1\n');
  t.same(counts(moved.summary), [0, 1, 1, 0]);
  t.match(await rowOf(house, 'tv'), { contract: 'C-2', plan: null });
  t.match(await rowOf(house, 'phone'), { contract: 'C-1', plan: 'fast' });
  const joined = await importText(house, 'login,contract\nnew,alone\n');
  t.same(counts(joined.summary), [1, 0, 0, 0], 'an account that is there already is used');
  t.match(await rowOf(house, 'new'), { contract: 'alone', plan: 'home' });
});

t.test('wrong lines are told by number and do not stop the others', async (t) => {
  const house = await stockedHouse(t);
  await house.done(['subscriber', 'add', 'holder', '--ip', '100.64.9.9', '--no-password']);
  await house.done(['subscriber', 'add', 'gone', '--no-password']);
  await house.done(['subscriber', 'delete', 'gone']);
  const lines: [line: string, error: RegExp | undefined][] = [
    ['anna,x,home,,,', undefined],
    ['anna,x,home,,,', /has the login 'anna', which line 2 has too/u],
    [',x,home,,,', /login has 0 octets; a login has 1 to 253/u],
    ['b1,x,hom,,,', /plan 'hom' does not exist \(did you mean home\?\); make it with: sluice plan add/u],
    ['b2,x,home,100.64.9.300,,', /ip '100.64.9.300' is no IPv4 address/u],
    ['b3,x,home,,02:00,', /mac '02:00' is no MAC address/u],
    ['b4,x,home,,,maybe', /own_disabled 'maybe' is neither true nor false/u],
    ['b5,x,home,100.64.9.9,,', /the address 100.64.9.9 belongs to 'holder'/u],
    ['b6,x,home,100.64.9.8,,', undefined],
    ['b7,x,home,100.64.9.8,,', /has the address 100.64.9.8, which line 10 has too/u],
    ['b8,{SSHA}!!,home,,,', /password begins like a stored form and is none \(bad-encoding\); write \{CLEAR\}/u],
    ['b9,x,home', /has 3 cells, and the header has 6/u],
    ['gone,x,home,,,', /'gone' is deleted; a column deleted with false brings it back/u],
    ['b"10,x,home,,,', /has a quote in the middle of a cell/u],
    ['zoe,x,home,,,true', undefined],
  ];
  const { code, summary, stderr } = await importText(
    house,
    `login,password,plan,ip,mac,own_disabled\n${lines.map(([line]) => line).join('\n')}\n`,
  );
  t.equal(code, 1);
  t.match(stderr, /12 lines of .* could not be imported; correct them and import the file again/u);
  t.same(counts(summary), [3, 0, 0, 12]);
  t.equal(summary.written, true);
  for (const [index, [line, error]] of lines.entries()) {
    const told = summary.error_lines.find((one) => one.line === index + 2);
    if (error === undefined) t.equal(told, undefined, line);
    else t.match(told?.error, error, line);
  }
  const { rows } = await house.database.pool.query<{ login: string }>(
    `SELECT login FROM subscriber WHERE NOT deleted ORDER BY login`,
  );
  t.same(
    rows.map((row) => row.login),
    ['anna', 'b6', 'holder', 'zoe'],
  );
});

t.test('text that is not UTF-8 is told, with the command that converts it', async (t) => {
  const house = await stockedHouse(t);
  const windows1251 = Buffer.concat([
    Buffer.from('login,name\nanna,'),
    Buffer.from([0xcc, 0xe0, 0xf0, 0xe8, 0xff]),
    Buffer.from('\nboris,B\n'),
  ]);
  const { summary } = await importText(house, windows1251);
  t.same(counts(summary), [1, 0, 0, 1]);
  t.match(summary.error_lines, [
    { line: 2, error: /name is not UTF-8; convert the file, for example with: iconv -f cp1251/u },
  ]);
});

t.test('a header that cannot be right is refused before anything is written', async (t) => {
  const house = await stockedHouse(t);
  const table: [text: string, message: RegExp][] = [
    ['', /is empty; its first line names the columns/u],
    ['login,plann\n', /line 1: there is no column 'plann'; did you mean plan\? the columns are login, password,/u],
    ['login,plan,login\n', /line 1: the column login occurs twice/u],
    ['plan\n', /line 1: there is no column login/u],
    ['login;plan\nanna;home\n', /say what separates the cells, such as --delimiter ';'/u],
  ];
  for (const [text, message] of table) {
    const file = await house.file('header.csv', text);
    const result = await house.run(['subscriber', 'import', file]);
    t.equal(result.code, 1, text);
    t.match(result.stderr, message);
  }
  const missing = await house.run(['subscriber', 'import', '/nonexistent/file.csv']);
  t.equal(missing.code, 1);
  t.match(missing.stderr, /\/nonexistent\/file\.csv does not exist/u);
});

t.test('--dry-run tells and writes nothing; --stop-on-error writes all or nothing', async (t) => {
  const house = await stockedHouse(t);
  const state = async () =>
    (
      await house.database.pool.query(
        `SELECT login, plan_id FROM subscriber JOIN account a ON a.id = account_id ORDER BY login`,
      )
    ).rows;
  const dry = await importText(house, people, '--dry-run');
  t.equal(dry.code, 0);
  t.same(counts(dry.summary), [2, 0, 0, 0]);
  t.equal(dry.summary.written, false);
  t.same(await state(), []);

  const stopped = await importText(house, 'login,plan\nanna,home\nboris,none\nzoe,home\n', '--stop-on-error');
  t.equal(stopped.code, 1);
  t.match(stopped.summary, { errors: 1, written: false });
  t.same(await state(), [], 'anna was right, and is not there either');

  const whole = await importText(house, 'login,plan\nanna,home\nzoe,home\n', '--stop-on-error');
  t.match(whole.summary, { added: 2, written: true });
  t.equal((await state()).length, 2);

  const file = await house.file('text.csv', 'login,plan\nanna,fast\nzoe,home\nnew,home\n');
  const text = await house.done(['subscriber', 'import', file, '--dry-run']);
  t.match(text.stdout, /^would be: 1 added, 1 changed, 1 unchanged, 0 errors in 3 lines/u);
});

t.test('static addresses change hands within a file', async (t) => {
  const house = await stockedHouse(t);
  await importText(house, 'login,ip\nanna,10.0.0.1\nboris,10.0.0.2\nclara,10.0.0.3\n');
  const { summary } = await importText(house, 'login,ip\nanna,10.0.0.2\nboris,10.0.0.3\nclara,10.0.0.1\n');
  t.same(counts(summary), [0, 3, 0, 0]);
  t.match(await rowOf(house, 'anna'), { static_address: '10.0.0.2' });
  t.match(await rowOf(house, 'clara'), { static_address: '10.0.0.1' });
  // Boris would leave for an address that somebody outside the file keeps, so he stays, and anna cannot have his.
  await importText(house, 'login,ip\nouter,10.0.0.4\n');
  const chain = await importText(house, 'login,ip\nanna,10.0.0.3\nboris,10.0.0.4\n');
  t.same(counts(chain.summary), [0, 0, 0, 2]);
  t.match(await rowOf(house, 'boris'), { static_address: '10.0.0.3' });
});

t.test('static addresses change hands over any distance in a file', async (t) => {
  const house = await stockedHouse(t);
  const people = 12_000;
  const address = (n: number) => `10.7.${String(n >> 8)}.${String(n & 255)}`;
  const file = (addressOf: (n: number) => string) =>
    `login,ip\n${Array.from({ length: people }, (_, n) => `user${String(n)},${addressOf(n)}`).join('\n')}\n`;
  await importText(house, file(address));
  // The first takes that of the last and the last that of the first: two batches, or two lanes, apart.
  const partner = new Map([0, 1, 2].flatMap((n) => [[n, people - 1 - n] as const, [people - 1 - n, n] as const]));
  const swapped = (n: number) => address(partner.get(n) ?? n);
  const { code, summary } = await importText(house, file(swapped));
  t.equal(code, 0);
  t.same(counts(summary), [0, 6, people - 6, 0]);
  t.match(await rowOf(house, 'user0'), { static_address: address(people - 1) });
  t.match(await rowOf(house, `user${String(people - 1)}`), { static_address: address(0) });
});

t.test('a long import says how far it is, on a terminal and in a journal', async (t) => {
  const house = await stockedHouse(t);
  const file = await house.file(
    'long.csv',
    `login\n${Array.from({ length: 30_000 }, (_, n) => `u${String(n)}`).join('\n')}\n`,
  );
  let nowMs = 0;
  // A clock on which every batch takes a minute.
  const result = await house.run(['subscriber', 'import', file], { nowMs: () => (nowMs += 60_000) });
  t.equal(result.code, 0);
  t.match(result.stderr, /^\d+ lines: \d+ added, 0 changed, 0 errors, \d+ lines\/s$/mu);
  const short = await house.run(['subscriber', 'import', file]);
  t.equal(short.stderr, '', 'what takes a moment says nothing');
});

t.test('deleted by a file, and brought back by one', async (t) => {
  const house = await stockedHouse(t);
  await importText(house, 'login,ip\nanna,10.0.0.1\n');
  await importText(house, 'login,deleted,deleted_reason\nanna,true,moved\nnever,true,was never here\n');
  t.match(await rowOf(house, 'anna'), { deleted: true, deleted_reason: 'moved', state: 'deleted' });
  const { rows } = await house.database.pool.query(
    `SELECT login FROM subscriber WHERE released_at IS NOT NULL ORDER BY login`,
  );
  t.same(rows, [{ login: 'anna' }, { login: 'never' }], 'their addresses are free');
  const again = await importText(house, 'login,deleted,deleted_reason\nanna,true,moved\nnever,true,was never here\n');
  t.same(counts(again.summary), [0, 0, 2, 0]);
  const back = await importText(house, 'login,deleted\nanna,false\n');
  t.same(counts(back.summary), [0, 1, 0, 0]);
  t.match(await rowOf(house, 'anna'), { deleted: false, static_address: '10.0.0.1' });
});

t.test('a row that only the database can refuse is found among thousands', async (t) => {
  const house = await stockedHouse(t);
  // Somebody else's constraint, which no check of ours knows beforehand.
  await house.database.pool.query(`ALTER TABLE subscriber ADD CONSTRAINT house_rule CHECK (login NOT LIKE '%-evil')`);
  const logins = Array.from({ length: 700 }, (_, index) =>
    index === 99 || index === 500 ? `user${String(index)}-evil` : `user${String(index)}`,
  );
  const { summary } = await importText(house, `login,plan\n${logins.map((login) => `${login},home`).join('\n')}\n`);
  t.same(counts(summary), [698, 0, 0, 2]);
  t.same(
    summary.error_lines.map((one) => one.line),
    [101, 502],
  );
  t.match(summary.error_lines[0]?.error, /user99-evil.*SQLSTATE 23514/u);
});

t.test('changes made elsewhere to columns that the file leaves alone survive', async (t) => {
  const house = await stockedHouse(t);
  await importText(house, 'login,own_disabled,redirect\nanna,true,\n');
  await house.done(['subscriber', 'set', 'anna', 'redirect=true', 'reason=owes']);
  await importText(house, 'login,own_disabled,redirect\nanna,false,\n');
  t.match(await rowOf(house, 'anna'), { own_disabled: false, redirect: true, redirect_reason: 'owes' });
  const { rows } = await house.database.pool.query(`SELECT DISTINCT changed_by FROM subscriber_event ORDER BY 1`);
  t.same(rows, [{ changed_by: 'cli/tester' }, { changed_by: 'cli/tester import' }]);
});

t.test('20,000 rows go in with a handful of statements a batch', async (t) => {
  const house = await stockedHouse(t);
  const rows = 20_000;
  const line = (index: number) =>
    `user${String(index)},pass${String(index)},home,10.1.${String(index >> 8)}.${String(index & 255)},02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')},C-${String(index)}`;
  const text = `login,password,plan,ip,mac,contract\n${Array.from({ length: rows }, (_, index) => line(index)).join('\n')}\n`;
  const started = performance.now();
  const { summary } = await importText(house, text);
  const seconds = (performance.now() - started) / 1000;
  t.same(counts(summary), [rows, 0, 0, 0]);
  t.comment(`${String(rows)} rows in ${seconds.toFixed(1)} s: ${String(Math.round(rows / seconds))} rows/s`);
  const { rows: found } = await house.database.pool.query(
    `SELECT count(*)::int AS subscribers, count(DISTINCT account_id)::int AS accounts,
            (SELECT count(*)::int FROM period WHERE closed_at IS NULL) AS periods,
            (SELECT count(DISTINCT xid::text)::int FROM change_feed WHERE kind = 'subscriber') AS batches FROM subscriber`,
  );
  t.match(found, [{ subscribers: rows, accounts: rows, periods: rows }]);
  t.ok(found[0]!['batches'] <= 6, '5,000 rows a batch, and what is left in each of two lanes');
});
