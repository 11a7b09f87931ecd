/**
 * IPv6 on the command line: pools of prefixes, plans that name them, static prefixes, who had an address inside a prefix, and why.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { commandHouse } from './command-line.js';

t.test('pools of prefixes, and what is refused', async (t) => {
  const house = await commandHouse(t);
  const made = await house.done(['pool', 'add', 'home6', '2001:db8::/32', '--delegate', '56', '--json']);
  t.match(made.json(), {
    name: 'home6',
    kind: 'delegated-prefix',
    prefix_length: 56,
    networks: ['2001:db8::/32'],
    addresses: 16_777_216,
    free: 16_777_216,
    assigned: 0,
  });
  await house.done(['pool', 'add', 'link6', '2001:db9::/48', '--framed', '64']);
  t.match((await house.done(['pool', 'list'])).stdout, /home6\s+\/56/u);
  t.match((await house.done(['pool', 'show', 'link6'])).stdout, /gives\s+\/64 framed/u);
  const larger = await house.done(['pool', 'set', 'link6', 'add_network=2001:db9:1::/48', '--json']);
  t.match(larger.json(), { networks: ['2001:db9::/48', '2001:db9:1::/48'], addresses: 131_072 });

  const table: [args: string[], code: number, message: RegExp][] = [
    [['pool', 'add', 'x', '2001:dba::/32'], 2, /is not IPv4; say what it is cut into: --delegate 56/u],
    [['pool', 'add', 'x', '10.0.0.0/24', '--framed', '64'], 2, /is not IPv6/u],
    [['pool', 'add', 'x', '2001:dba::/32', '--framed', '64', '--delegate', '56'], 2, /make two pools/u],
    [['pool', 'add', 'x', '2001:dba::/32', '--delegate', '32'], 2, /from 33 to 128/u],
    [['pool', 'add', 'x', '2001:dba::/60', '--delegate', '56'], 2, /cannot be cut into \/56/u],
    [['pool', 'add', 'x', '2001::/16', '--framed', '64'], 2, /makes more than/u],
    [['pool', 'add', 'x', 'fe80::/48', '--framed', '64'], 2, /cannot be cut into/u],
    [['pool', 'add', 'x', '2001:dba::1/48', '--framed', '64'], 2, /address bits after its prefix/u],
    [['pool', 'add', 'x', '2001:dba::/48', '--framed', '64', '--exclude', '10.0.0.1'], 2, /--exclude is for IPv4/u],
    [['pool', 'add', 'x', '2001:db8:5::/48', '--framed', '64'], 1, /overlaps 2001:db8::\/32 of the pool home6/u],
    [['pool', 'set', 'home6', 'add_network=10.0.0.0/24'], 2, /is not IPv6/u],
    [['plan', 'add', 'p', '--pool', 'home6'], 1, /the pool gives something else/u],
    [['plan', 'add', 'p', '--framed-pool', 'home6'], 1, /the pool gives something else/u],
    [['plan', 'add', 'p', '--delegated-pool', 'none'], 1, /no pool 'none'/u],
  ];
  for (const [args, code, message] of table) {
    const result = await house.run(args);
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, message, args.join(' '));
  }
});

t.test('a plan with prefixes, static prefixes, and what explain says of them', async (t) => {
  const house = await commandHouse(t);
  await house.done(['pool', 'add', 'main', '100.64.0.0/24']);
  await house.done(['pool', 'add', 'link6', '2001:db9::/48', '--framed', '64']);
  await house.done(['pool', 'add', 'home6', '2001:db8::/32', '--delegate', '56']);
  const plan = ['plan', 'add', 'home', '--pool', 'main', '--framed-pool', 'link6', '--delegated-pool', 'home6'];
  t.match((await house.done([...plan, '--json'])).json(), { framed_pool: 'link6', delegated_pool: 'home6' });
  t.match((await house.done(['plan', 'set', 'home', 'framed_pool=', '--json'])).json(), { framed_pool: null });
  await house.done(['plan', 'set', 'home', 'framed_pool=link6']);
  const made = await house.done([
    ...['subscriber', 'add', 'alice', '--plan', 'home', '--password', 'wonderland'],
    ...['--delegated-prefix', '2001:DB8:F00::/48', '--json'],
  ]);
  t.match(made.json(), { static_framed_prefix: null, static_delegated_prefix: '2001:db8:f00::/48' });
  const explained = await house.done(['explain', 'alice', '--json']);
  t.match(explained.json(), {
    answer: 'accept',
    prefixes: [
      { kind: 'framed-prefix', source: 'pool', prefix: null, pool: 'link6', free: 65_536 },
      { kind: 'delegated-prefix', source: 'static', prefix: '2001:db8:f00::/48', pool: null, free: null },
    ],
  });
  const { attributes, sentence } = explained.json() as {
    attributes: { name: string; value: unknown }[];
    sentence: string;
  };
  t.match(
    attributes.filter(({ name }) => name.includes('IPv6')).map(({ name, value }) => [name, value]),
    [
      ['Framed-IPv6-Prefix', null],
      ['Delegated-IPv6-Prefix', '2001:db8:f00::/48'],
      ['Framed-IPv6-Prefix', 'one of the pool link6'],
    ],
  );
  t.match(sentence, /and a framed prefix of the pool link6, which has 65536 left and its static delegated prefix/u);

  await house.done(['subscriber', 'add', 'bob', '--plan', 'home', '--password', 'wonderland']);
  const table: [args: string[], code: number, message: RegExp][] = [
    [['subscriber', 'set', 'bob', 'delegated_prefix=2001:db8:f00:100::/56'], 1, /overlaps one that is in use/u],
    [['subscriber', 'set', 'bob', 'framed_prefix=2001:db8:f00:1::/64'], 1, /overlaps one that is in use/u],
    [['subscriber', 'set', 'bob', 'framed_prefix=2001:db8::5/64'], 2, /address bits after its prefix/u],
    [['subscriber', 'set', 'bob', 'framed_prefix=2001::/20'], 2, /no IPv6 prefix from \/33/u],
    [['subscriber', 'set', 'bob', 'framed_prefix=10.0.0.1'], 2, /no IPv6 prefix/u],
    [['ip', 'who', '2001:db8::zz'], 2, /is no address/u],
  ];
  for (const [args, code, message] of table) {
    const result = await house.run(args);
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, message, args.join(' '));
  }
  t.match((await house.done(['ip', 'who', '2001:db8:f00:77::1'])).stdout, /static prefix of alice/u);

  const file = join(house.dataDir, 'people.csv');
  await writeFile(file, 'login,framed_prefix,delegated_prefix\nalice,2001:db8:e::/64,\nbob,,2001:db8:d00::/56\n');
  await house.done(['subscriber', 'import', file]);
  t.match((await house.done(['subscriber', 'show', 'alice', '--json'])).json(), {
    static_framed_prefix: '2001:db8:e::/64',
    static_delegated_prefix: null,
  });
  t.match((await house.done(['subscriber', 'show', 'bob'])).stdout, /static delegated prefix\s+2001:db8:d00::\/56/u);
});

t.test('ip who: an address inside a prefix finds who had it at a time', async (t) => {
  const house = await commandHouse(t);
  const { pool } = house.database;
  await house.done(['pool', 'add', 'home6', '2001:db8::/32', '--delegate', '56']);
  await pool.query(
    `INSERT INTO assignment (routing_domain, address, kind, login, nas_name, pool_id, started_at, ended_at, end_cause)
     SELECT 'default', a, k, l, 'bras1', 1, s, e, c FROM (VALUES
       ('2001:db8:100::/56'::inet, 'delegated-prefix', 'alice', '2026-11-01 10:00+00'::timestamptz, '2026-11-01 12:00+00'::timestamptz, 'stop'),
       ('2001:db8:100::/56', 'delegated-prefix', 'bob', '2026-11-01 12:30+00', NULL, NULL),
       ('2001:db8:0:1::/64', 'framed-prefix', 'carol', '2026-11-01 09:00+00', NULL, NULL),
       ('100.64.0.1', 'ipv4', 'dave', '2026-11-01 09:00+00', NULL, NULL)) AS v (a, k, l, s, e, c)`,
  );
  await pool.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id, state) VALUES ('default', '2001:db8:100::/56', 1, 'assigned')`,
  );
  const nowMs = () => Date.UTC(2026, 10, 3);
  const who = async (address: string, at?: string) =>
    (await house.done(['ip', 'who', address, ...(at === undefined ? [] : ['--at', at]), '--json'], { nowMs })).json();
  t.match(await who('2001:db8:100:2::17', '2026-11-01T11:00:00Z'), {
    address: '2001:db8:100:2::17',
    login: 'alice',
    holders: [{ kind: 'delegated-prefix', address: '2001:db8:100::/56', end_cause: 'stop' }],
  });
  t.match(await who('2001:db8:100:ff:ffff::', '2026-11-01T12:10:00Z'), {
    login: null,
    before: { login: 'alice' },
    after: { login: 'bob' },
  });
  t.match(await who('2001:db8:100::1'), {
    login: 'bob',
    pool_addresses: [{ address: '2001:db8:100::/56', pool: 'home6', state: 'assigned' }],
  });
  t.match(await who('2001:db8:0:1:5::'), { login: 'carol', holders: [{ kind: 'framed-prefix' }] });
  t.match(await who('2001:db8:200::1'), { login: null, holders: [], pool_addresses: [] });
  t.match(await who('100.64.0.1'), { login: 'dave' });
  t.match(
    (await house.done(['ip', 'who', '2001:db8:100:2::17'], { nowMs })).stdout,
    /^bob \(unknown to us\) has 2001:db8:100::\/56 since /mu,
  );
  t.match((await house.done(['ip', 'list'], { nowMs })).stdout, /2001:db8:100::\/56\s+home6\s+assigned/u);
});
