/**
 * `ip`, `pool` and `session`: who has what, who had it when.
 *
 * Enters: histories written into the tables. Leaves: answers. Invariant: an answer about the past rests on assignments alone.
 */
import fc from 'fast-check';
import t from 'tap';
import { parsePoolNetwork } from '../../src/cli/pool-commands.js';
import { commandHouse } from './command-line.js';
import type { CommandHouse } from './command-line.js';

const nowMs = () => Date.parse('2026-11-20T12:00:00Z');

async function assign(
  house: CommandHouse,
  login: string,
  address: string,
  from: string,
  until: string | null,
  domain = 'default',
): Promise<void> {
  await house.database.pool.query(
    `INSERT INTO assignment (routing_domain, address, subscriber_id, login, slot, nas_name, mac, started_at, ended_at, end_cause)
     SELECT $5, $2::inet, (SELECT id FROM subscriber WHERE login = $1), $1, 0, 'bras1', '02:00:00:00:00:01', $3::timestamptz, $4::timestamptz,
            CASE WHEN $4::timestamptz IS NULL THEN NULL ELSE 'stop' END`,
    [login, address, from, until, domain],
  );
}

async function houseWithHistory(t: Parameters<typeof commandHouse>[0]): Promise<CommandHouse> {
  const house = await commandHouse(t);
  await house.done([
    'subscriber',
    'add',
    'alice',
    '--contract',
    'C-1',
    '--name',
    'Alice Liddell',
    '--phone',
    '+7 900',
    '--no-password',
  ]);
  await house.done(['subscriber', 'add', 'bob', '--contract', 'C-2', '--no-password']);
  await assign(house, 'alice', '100.64.3.7', '2026-09-01T10:00:00Z', '2026-09-15T10:00:00Z');
  await assign(house, 'bob', '100.64.3.7', '2026-11-01T00:00:00Z', '2026-11-02T00:05:00Z');
  await assign(house, 'alice', '100.64.3.7', '2026-11-02T00:06:00Z', null);
  return house;
}

t.test(
  'ip who: the holder at an instant, read in the configured zone, from its first to before its last instant',
  async (t) => {
    const house = await houseWithHistory(t);
    const table: [at: string, login: string | null][] = [
      ['2026-11-02 03:04', 'bob'],
      ['2026-11-02 03:05', null],
      ['2026-11-02 03:06', 'alice'],
      ['2026-11-02T00:04:59.999Z', 'bob'],
      ['2026-11-02T00:05:00.000Z', null],
      ['2026-11-01T00:00:00Z', 'bob'],
      ['2026-10-31T23:59:59.999Z', null],
      ['2026-09-14', 'alice'],
      ['2026-01-01', null],
      ['now', 'alice'],
    ];
    for (const [at, login] of table) {
      const answer = (await house.done(['ip', 'who', '100.64.3.7', '--at', at, '--json'], { nowMs })).json();
      t.equal(answer['login'], login, at);
      t.equal(answer['time_zone'], 'Europe/Moscow');
    }
  },
);

t.test('ip who: the text names the person, the device and the zone; nobody has neighbours in time', async (t) => {
  const house = await houseWithHistory(t);
  const past = await house.done(['ip', 'who', '100.64.3.7', '--at', '2026-11-02 03:04'], { nowMs });
  t.equal(
    past.stdout,
    '100.64.3.7 at 2026-11-02 03:04:00 (Europe/Moscow)\n' +
      'bob (contract C-2) had it from 2026-11-01 03:00:00 until 2026-11-02 03:05:00\n' +
      '  NAS bras1, MAC 02:00:00:00:00:01, ended by stop\n',
  );
  const gap = await house.done(['ip', 'who', '100.64.3.7', '--at', '2026-11-02 03:05:30'], { nowMs });
  t.equal(
    gap.stdout,
    '100.64.3.7 at 2026-11-02 03:05:30 (Europe/Moscow)\n' +
      'nobody had it\n' +
      '  before: bob (contract C-2) until 2026-11-02 03:05:00\n' +
      '  after: alice (contract C-1, Alice Liddell, +7 900) from 2026-11-02 03:06:00\n',
  );
  const present = await house.done(['ip', 'who', '100.64.3.7'], { nowMs });
  t.match(present.stdout, 'alice (contract C-1, Alice Liddell, +7 900) has it since 2026-11-02 03:06:00\n');
});

t.test('ip who: a login that nobody has, and an address in two routing domains', async (t) => {
  const house = await houseWithHistory(t);
  await assign(house, 'stranger', '10.9.9.9', '2026-11-10T00:00:00Z', null);
  t.match((await house.done(['ip', 'who', '10.9.9.9'], { nowMs })).stdout, 'stranger (unknown to us) has it since');
  await assign(house, 'bob', '100.64.3.7', '2026-11-10T00:00:00Z', null, 'vrf-b');
  const both = await house.done(['ip', 'who', '100.64.3.7', '--json'], { nowMs });
  t.match(both.json(), { login: null, holders: [{ login: 'alice' }, { login: 'bob', routing_domain: 'vrf-b' }] });
});

t.test('ip who agrees with a plain reading of the history, whatever the history', async (t) => {
  const house = await commandHouse(t);
  const start = Date.parse('2026-10-20T00:00:00Z');
  // Gaps and lengths in minutes: one after another, over a month boundary, at times touching.
  const spans = fc.sample(fc.tuple(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 1, max: 2000 })), {
    numRuns: 30,
    seed: 20261121,
  });
  let clock = start;
  const history = spans.map(([gap, length], index) => {
    const from = clock + gap * 60_000;
    clock = from + length * 60_000;
    return { login: `user${String(index)}`, from, until: clock };
  });
  for (const hold of history)
    await assign(
      house,
      hold.login,
      '100.64.0.1',
      new Date(hold.from).toISOString(),
      new Date(hold.until).toISOString(),
    );
  const instants = history
    .flatMap((hold) => [hold.from - 1, hold.from, hold.until - 1, hold.until])
    .filter((at) => at <= nowMs());
  for (const at of instants.slice(0, 60)) {
    const expected = history.find((hold) => hold.from <= at && at < hold.until)?.login ?? null;
    const answer = (
      await house.done(['ip', 'who', '100.64.0.1', '--at', new Date(at).toISOString(), '--json'], { nowMs })
    ).json();
    t.equal(answer['login'], expected, new Date(at).toISOString());
  }
});

t.test('ip who: how an address stands in its pool, in words', async (t) => {
  const house = await commandHouse(t);
  await house.done(['pool', 'add', 'main', '100.64.0.0/28']);
  await house.done(['subscriber', 'add', 'alice', '--contract', 'C-1', '--ip', '100.64.0.14', '--no-password']);
  const set = (address: string, assignments: string) =>
    house.database.pool.query(
      `UPDATE pool_address SET since = '2026-11-20T11:00:00Z', ${assignments} WHERE address = $1`,
      [address],
    );
  await set('100.64.0.1', `state = 'free'`);
  await set('100.64.0.2', `state = 'free', subscriber_id = 1, slot = 0`);
  await set('100.64.0.3', `state = 'reserved', instance = 'sluice-2'`);
  await set('100.64.0.4', `state = 'offered', subscriber_id = 1, slot = 0, until_at = '2026-11-20T12:05:00Z'`);
  await set('100.64.0.5', `state = 'assigned', subscriber_id = 1, slot = 0`);
  await set('100.64.0.6', `state = 'quarantined', subscriber_id = 1, until_at = '2026-11-20T12:01:00Z'`);
  const table: [address: string, words: string][] = [
    ['100.64.0.1', 'pool main: free since 2026-11-20 14:00:00'],
    ['100.64.0.2', 'pool main: free since 2026-11-20 14:00:00, kept for alice as long as others are free'],
    ['100.64.0.3', 'pool main: reserved by sluice-2 since 2026-11-20 14:00:00'],
    ['100.64.0.4', 'pool main: offered to alice until 2026-11-20 15:05:00'],
    ['100.64.0.5', 'pool main: assigned to alice since 2026-11-20 14:00:00'],
    ['100.64.0.6', 'pool main: quarantined until 2026-11-20 15:01:00, last used by alice'],
    ['100.64.0.14', 'static address of alice (contract C-1)'],
  ];
  for (const [address, words] of table) {
    t.match((await house.done(['ip', 'who', address], { nowMs })).stdout, words);
  }
  const outside = await house.done(['ip', 'who', '192.0.2.1'], { nowMs });
  t.equal(outside.stdout, '192.0.2.1 at 2026-11-20 15:00:00 (Europe/Moscow)\nnobody has it\n');

  const free = (await house.done(['ip', 'free', 'main', '--json'])).json<{ free: number; free_addresses: string[] }>();
  t.equal(free.free, 10);
  t.same(free.free_addresses.slice(0, 3), ['100.64.0.1', '100.64.0.2', '100.64.0.7']);
  const listed = (await house.done(['ip', 'list', '--pool', 'main', '--json'])).json<
    { address: string; state: string }[]
  >();
  t.same(
    listed.map((row) => `${row.address} ${row.state}`),
    ['100.64.0.3 reserved', '100.64.0.4 offered', '100.64.0.5 assigned', '100.64.0.6 quarantined'],
  );
});

t.test('ip: what is refused', async (t) => {
  const house = await commandHouse(t);
  const table: [args: string[], code: number, message: RegExp][] = [
    [['ip', 'who', 'example.org'], 2, /no IPv4 address/u],
    [['ip', 'who', '100.64.0.1', '--at', 'noon'], 2, /'noon' is not a time; write it like/u],
    [['ip', 'who', '100.64.0.1', '--at', '2027-01-01'], 2, /is in the future/u],
    [['ip', 'free', 'none'], 1, /no pool 'none'/u],
    [['ip', 'list', '--state', 'used'], 2, /no state 'used'; write one of free, reserved/u],
  ];
  for (const [args, code, message] of table) {
    const result = await house.run(args, { nowMs });
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, message);
  }
});

t.test('a pool gives out what its networks hold, without network and broadcast address', async (t) => {
  const table: [network: string, first: number, last: number][] = [
    ['10.0.0.0/24', 1, 254],
    ['10.0.0.0/30', 1, 2],
    ['10.0.0.0/31', 0, 1],
    ['10.0.0.7/32', 0, 0],
    ['10.0.0.7', 0, 0],
    ['10.0.0.0/12', 1, 1_048_574],
  ];
  const ipv4 = { kind: 'ipv4', prefixLength: 32 } as const;
  for (const [network, first, last] of table)
    t.match(parsePoolNetwork(network, ipv4), { addresses: { first, last } }, network);

  const house = await commandHouse(t);
  const made = await house.done([
    'pool',
    'add',
    'main',
    '10.0.0.0/30',
    '10.0.1.0/31',
    '10.0.2.5/32',
    '--exclude',
    '10.0.0.1',
    '--json',
  ]);
  t.match(made.json(), {
    networks: ['10.0.0.0/30', '10.0.1.0/31', '10.0.2.5/32'],
    addresses: 4,
    free: 4,
    quarantine_seconds: 60,
  });
  const { rows } = await house.database.pool.query<{ address: string }>(
    `SELECT host(address) AS address FROM pool_address ORDER BY pool_address.address`,
  );
  t.same(
    rows.map((row) => row.address),
    ['10.0.0.2', '10.0.1.0', '10.0.1.1', '10.0.2.5'],
  );
  const larger = await house.done(['pool', 'set', 'main', 'add_network=10.0.3.0/29', 'quarantine_seconds=5', '--json']);
  t.match(larger.json(), { addresses: 10, quarantine_seconds: 5 });
});

t.test('two pools never share an address, and a refused pool leaves nothing', async (t) => {
  const house = await commandHouse(t);
  await house.done(['pool', 'add', 'main', '100.64.0.0/24']);
  const table: [args: string[], code: number, message: RegExp][] = [
    [
      ['pool', 'add', 'b', '100.64.0.128/25'],
      1,
      /100\.64\.0\.128\/25 overlaps 100\.64\.0\.0\/24 of the pool main; choose another network/u,
    ],
    [['pool', 'add', 'b', '100.64.1.0/24', '100.0.0.0/12', '100.64.0.0/16'], 1, /overlaps/u],
    [
      ['pool', 'add', 'b', '100.65.0.0/24', '100.65.0.0/25'],
      1,
      /100\.65\.0\.0\/25 overlaps 100\.65\.0\.0\/24 of the pool b/u,
    ],
    [
      ['pool', 'add', 'main', '100.66.0.0/24'],
      1,
      /there is a pool of this name; add a network to it with: sluice pool set/u,
    ],
    [['pool', 'add', 'b', '10.0.0.0/8'], 2, /larger than a \/12; split it/u],
    [['pool', 'add', 'b', '10.0.0.5/24'], 2, /has address bits after its prefix; write "10\.0\.0\.0\/24"/u],
    [['pool', 'add', 'b', '2001:db8::/64'], 2, /is not IPv4/u],
    [['pool', 'add', 'b', 'lan'], 2, /not an IP address or network/u],
    [['pool', 'add', 'b', '10.0.0.0/24', '--quarantine-seconds', '604801'], 2, /whole number from 0 to 604800/u],
    [['pool', 'show', 'none'], 1, /no pool 'none'/u],
  ];
  for (const [args, code, message] of table) {
    const result = await house.run(args);
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, message);
  }
  const { rows } = await house.database.pool.query(
    `SELECT (SELECT count(*)::int FROM pool) AS pools, (SELECT count(*)::int FROM pool_address) AS addresses`,
  );
  t.same(rows, [{ pools: 1, addresses: 254 }]);
  await house.done(['pool', 'add', 'b', '100.64.0.0/24', '--routing-domain', 'vrf-b']);
});

t.test('two people adding overlapping pools at the same moment: one is refused', async (t) => {
  const house = await commandHouse(t);
  const results = await Promise.all([
    house.run(['pool', 'add', 'a', '100.64.0.0/22']),
    house.run(['pool', 'add', 'b', '100.64.2.0/23']),
  ]);
  t.same(results.map((result) => result.code).sort(), [0, 1]);
  const { rows } = await house.database.pool.query(`SELECT count(DISTINCT pool_id)::int AS pools FROM pool_address`);
  t.same(rows, [{ pools: 1 }]);
});

t.test('session list: live and ended, exact in JSON and readable in a table', async (t) => {
  const house = await commandHouse(t);
  const { pool } = house.database;
  await pool.query(
    `INSERT INTO session_key (session_id, nas_name, nas_box, acct_session_id, epoch)
     SELECT n, 'bras1', 'box', 'S' || n, 0 FROM generate_series(1, 3) n`,
  );
  const columns = `id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, mac, address, started_at, started_exactly, last_event_at, last_received_at, session_seconds, input_octets, output_octets, suspect`;
  const values = `'bras1', 'box', 'default', 'S' || n, 0, '02:00:00:00:00:01', '100.64.0.1', '2026-11-19T12:00:00Z', n = 1, now(), now(), 90061, 9007199254740993, 1536, n = 2`;
  await pool.query(`INSERT INTO session (${columns}) SELECT n, 'user' || n, ${values} FROM generate_series(1, 2) n`);
  await pool.query(
    `INSERT INTO session_history (${columns}, ended_at, end_cause, synthetic)
     SELECT n, 'user' || n, ${values}, '2026-11-20T11:00:00Z', 'silence', true FROM generate_series(3, 3) n`,
  );
  await pool.query(
    `INSERT INTO session_history (${columns}, ended_at, end_cause, synthetic)
     SELECT n, 'user3', ${values}, '2026-11-01T11:00:00Z', 'stop', false FROM generate_series(4, 4) n`,
  );
  const logins = async (...args: string[]) =>
    (await house.done(['session', 'list', ...args, '--json'], { nowMs }))
      .json<{ login: string }[]>()
      .map((row) => row.login);
  t.same(await logins(), ['user1', 'user2']);
  t.same(await logins('--login', 'user2'), ['user2']);
  t.same(await logins('--nas', 'bras2'), []);
  t.same(await logins('--address', '100.64.0.1'), ['user1', 'user2']);
  t.same(await logins('--history'), ['user3'], 'a day back');
  t.same(await logins('--history', '--since', '2026-11-01'), ['user3', 'user3']);
  t.same(await logins('--history', '--login', 'user3'), ['user3', 'user3'], 'for one login as far back as there is');
  t.same(await logins('--all'), ['user2', 'user1', 'user3']);

  const exact = await house.done(['session', 'list', '--login', 'user1', '--json'], { nowMs });
  t.match(exact.stdout, '"input_octets":"9007199254740993"', 'beyond what a JSON number can hold');
  const table = await house.done(['session', 'list'], { nowMs, columns: 200 });
  t.match(table.stdout, /user1 .*2026-11-19 15:00:00 .*1d 01:01:01 +8\.00 PiB +1\.50 KiB/u);
  t.match(table.stdout, /user2 .*~2026-11-19 15:00:00 .*suspect/u);
  const history = await house.done(['session', 'list', '--history'], { nowMs, columns: 200 });
  t.match(history.stdout, /silence \(synthetic\)/u);
  const refused = await house.run(['session', 'list', '--since', '2026-11-01'], { nowMs });
  t.equal(refused.code, 2);
  t.match(refused.stderr, /--since is about ended sessions; add --history or --all/u);
});
