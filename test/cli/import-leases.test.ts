/** `sluice import leases`: files of dhcpd and Kea to leases, live sessions and assignments; again, dry, and what is refused. */
import t, { type Test } from 'tap';
import { documented } from '../support/dhcp-network.js';
import { invariantProblems } from '../support/stored-world.js';
import { addAccount, addPlan, addPool, addSubscriber } from '../support/subscriber-rows.js';
import { commandHouse, type CommandHouse } from './command-line.js';

interface Summary {
  readonly dry_run: boolean;
  readonly entries: number;
  readonly addresses: number;
  readonly ended: number;
  readonly ignored: number;
  readonly stored: number;
  readonly opened: number;
  readonly closed: number;
  readonly known: number;
  readonly late: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly refused_leases: readonly object[];
  readonly errors: number;
  readonly error_lines: readonly object[];
}

const nowMs = Math.floor(Date.now() / 1000) * 1000;
const seconds = (offset: number) => String(nowMs / 1000 + offset);

/** A lease that began a minute ago for ten, on a port of the D-Link switch that the presets know. */
function isc(last: number, port: number, rest = ''): string {
  const octets = `0:4:0:1:0:${port.toString(16)}`;
  return `lease 100.65.0.${String(last)} {
  starts epoch ${seconds(-60)};
  ends epoch ${seconds(540)};
  cltt epoch ${seconds(-60)};
  binding state active;
  hardware ethernet 02:00:00:00:00:${String(last)};
  option agent.circuit-id ${octets};
  option agent.remote-id 0:6:3c:33:32:66:43:50;
${rest}}
`;
}

/** Three subscribers at ports 1 to 3 of a switch, and a pool. */
async function scene(t: Test, files: Readonly<Record<string, string>>) {
  const house = await commandHouse(t);
  const { pool } = house.database;
  await addPool(pool, '100.65.0.0/24', ['100.65.0.10', '100.65.0.11', '100.65.0.12']);
  await pool.query(
    `INSERT INTO device (kind_id, name, mac) SELECT id, 'sw1', '3c:33:32:66:43:50' FROM device_kind WHERE name = 'dlink'`,
  );
  const accountId = await addAccount(pool, { planId: await addPlan(pool, {}) });
  for (const port of ['1', '2', '3'])
    await addSubscriber(pool, { accountId, login: `user${port}`, device_id: 1, port });
  const paths: string[] = [];
  for (const [name, text] of Object.entries(files)) paths.push(await house.file(name, text));
  return { house, pool, paths };
}

async function importFiles(house: CommandHouse, paths: readonly string[], ...options: string[]) {
  const result = await house.run(['import', 'leases', ...paths, ...options, '--json'], { nowMs: () => nowMs });
  return { ...result, summary: result.stdout === '' ? undefined : result.json<Summary>() };
}

async function online(house: CommandHouse): Promise<unknown[]> {
  const { rows } = await house.database.pool.query<object>(
    `SELECT s.login, host(l.address) AS address, l.source, l.via, l.port, x.nas_box,
       EXISTS (SELECT FROM assignment a WHERE a.address = l.address AND a.subscriber_id = s.id AND a.ended_at IS NULL) AS assigned, s.logged
     FROM lease l JOIN subscriber s ON s.id = l.subscriber_id JOIN session x ON x.address = l.address AND x.subscriber_id = s.id
     WHERE l.state = 'bound' ORDER BY s.login`,
  );
  return rows;
}

const whoIs = (login: string, address: string, port: string, source = 'import') => ({
  login,
  address,
  source,
  via: 'import',
  port,
  nas_box: 'dhcp lease',
  assigned: true,
  logged: true,
});

t.test('whoever has a lease is online, and the same file again changes nothing', async (t) => {
  const file = isc(10, 1, '  client-hostname "old";\n').replace('active', 'free') + isc(10, 1) + isc(11, 2);
  const over = isc(12, 3).replace(seconds(540), seconds(-1));
  const { house, pool, paths } = await scene(t, { 'dhcpd.leases': file + over });
  const nothing = { closed: 0, known: 0, late: 0, refused: {}, errors: 0, ignored: 0 };

  const dry = await importFiles(house, paths, '--dry-run');
  t.match(dry.summary, { dry_run: true, entries: 4, addresses: 3, ended: 1, stored: 2, opened: 2, ...nothing });
  for (const table of ['lease', 'session', 'lease_refusal', 'assignment', "change_feed WHERE kind = 'session'"])
    t.equal((await pool.query(`SELECT FROM ${table}`)).rowCount, 0, `a dry run leaves nothing in ${table}`);

  const first = await importFiles(house, paths, '--source', 'dhcp1');
  t.equal(first.code, 0, first.stderr);
  t.match(first.summary, { dry_run: false, entries: 4, addresses: 3, ended: 1, stored: 2, opened: 2, ...nothing });
  const both = [whoIs('user1', '100.65.0.10', '1', 'dhcp1'), whoIs('user2', '100.65.0.11', '2', 'dhcp1')];
  t.same(await online(house), both);
  t.same((await pool.query(`SELECT instance FROM change_feed WHERE kind = 'session'`)).rows, [
    { instance: null },
    { instance: null },
  ]);
  t.match((await pool.query(`SELECT started_at FROM session LIMIT 1`)).rows, [
    { started_at: new Date(nowMs - 60_000) },
  ]);

  const second = await importFiles(house, paths);
  t.match(second.summary, { stored: 0, opened: 0, ...nothing, known: 2 });
  t.same(await online(house), both);
  t.same(await invariantProblems(pool), []);
});

t.test('files of Kea, the older ones beside the newest in any order', async (t) => {
  const header =
    'address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n';
  const row = (last: number, port: number, lifetime: number, ends: number) => {
    const option = `0x010600040001000${String(port)}020800063c3332664350`;
    const context = JSON.stringify({ ISC: { 'relay-agent-info': { 'sub-options': option } } }).replaceAll(',', '&#x2c');
    return `100.65.0.${String(last)},02:00:00:00:00:${String(last)},,${String(lifetime)},${seconds(ends)},1,0,0,,0,${context}\n`;
  };
  const { house, pool, paths } = await scene(t, {
    'kea-leases4.csv': header + row(10, 1, 600, 540) + row(11, 2, 0, -60),
    'kea-leases4.csv.2': header + row(10, 3, 600, 400) + row(11, 2, 600, 540),
  });
  t.match((await importFiles(house, paths)).summary, { entries: 4, addresses: 2, ended: 1, stored: 1, opened: 1 });
  t.same(await online(house), [whoIs('user1', '100.65.0.10', '1')]);
  t.same(await invariantProblems(pool), []);
});

t.test('what is refused is listed with its reason, and what cannot be read with its line', async (t) => {
  const broken = isc(12, 3, '  option agent.circuit-id oops;\n');
  const file = isc(10, 9) + isc(12, 3) + broken + isc(11, 2) + isc(77, 1).replace('100.65.0.77', '100.66.0.77');
  const { house, pool, paths } = await scene(t, { 'dhcpd.leases': file });
  const first = await importFiles(house, paths);
  t.equal(first.code, 1);
  t.match(first.stderr, /1 entry could not be read/u);
  t.match(first.summary, {
    entries: 4,
    addresses: 3,
    stored: 1,
    opened: 1,
    refused: { 'no-subscriber': 1, 'outside-pools': 1 },
    errors: 1,
    error_lines: [
      { file: paths[0], line: 27, address: '100.65.0.12', error: "has no octets behind 'agent.circuit-id'" },
    ],
  });
  t.match(first.summary?.refused_leases, [
    {
      address: '100.65.0.10',
      mac: '02:00:00:00:00:10',
      reason: 'no-subscriber',
      port: '9',
      circuit_id: '000400010009',
    },
    { address: '100.66.0.77', reason: 'outside-pools' },
  ]);
  t.same(await online(house), [whoIs('user2', '100.65.0.11', '2')], 'what cannot be read speaks for nobody');
  t.equal((await pool.query('SELECT FROM lease_refusal')).rowCount, 2);

  const text = await house.run(['import', 'leases', ...paths, '--dry-run'], { nowMs: () => nowMs });
  t.match(
    text.stdout,
    /^would be: leases: 0 stored, 1 known, 0 older than what is known, 2 refused \(1 no-subscriber, 1 outside-pools\)$/mu,
  );
  t.match(text.stderr, /100\.65\.0\.10 refused: no-subscriber, 02:00:00:00:00:10, device 3c:33:32:66:43:50, port 9/u);
  t.match(text.stderr, /dhcpd\.leases:27: 100\.65\.0\.12 has no octets/u);
});

t.test('an event that is newer than the file stands', async (t) => {
  const { house, pool, paths } = await scene(t, { 'dhcpd.leases': isc(10, 1) });
  await pool.query(
    `INSERT INTO lease (routing_domain, address, state, mac, source, via, event_at, ended_at, end_cause)
     VALUES ('default', '100.65.0.10', 'ended', '02:00:00:00:00:10', 'dhcp1', 'hook', now(), now(), 'release')`,
  );
  t.match((await importFiles(house, paths)).summary, { stored: 0, opened: 0, late: 1 });
  t.same(await online(house), []);
});

t.test('more than one batch', async (t) => {
  const { house, pool } = await scene(t, {});
  const one = (i: number) => isc(10, 9).replace('100.65.0.10', `100.65.${String(2 + (i >> 8))}.${String(i & 255)}`);
  const path = await house.file('many', Array.from({ length: 1_200 }, (_, i) => one(i)).join('') + isc(10, 1));
  t.match((await importFiles(house, [path])).summary, {
    addresses: 1_201,
    opened: 1,
    refused: { 'no-subscriber': 1_200 },
  });
  t.same(await invariantProblems(pool), []);
});

t.test('networks that are ignored, and command lines that make no sense', async (t) => {
  const { house, paths } = await scene(t, { 'dhcpd.leases': isc(10, 1) + isc(11, 2) });
  const { url } = house.database;
  await house.file('sluice.toml', `[database]\nurl = "${url}"\n[dhcp]\nignore_networks = ["100.65.0.11/32"]\n`);
  t.match((await importFiles(house, paths)).summary, { ignored: 1, stored: 1 });
  for (const argv of [
    [],
    [paths[0]!, '--format', 'dnsmasq'],
    [paths[0]!, '--source', ''],
    [paths[0]!, '--source', 'a\u202eb'],
  ])
    t.equal((await house.run(['import', 'leases', ...argv])).code, 2, argv.join(' '));
  const missing = await house.run(['import', 'leases', '/nowhere/dhcpd.leases']);
  t.equal(missing.code, 1);
  t.match(missing.stderr, /nowhere/u);
  t.notMatch(missing.stderr, /a mistake in the program/u);
  const stdin = await house.run(['import', 'leases', '-', '--json'], { stdin: isc(10, 1), nowMs: () => nowMs });
  t.match(stdin.json<Summary>(), { known: 1 });
});

t.test('the commands of docs/dhcp.md', async (t) => {
  const kea = `address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id
100.65.0.11,02:00:00:00:00:11,,600,${seconds(540)},1,0,0,,0,,0
`;
  const { house, paths } = await scene(t, { 'dhcpd.leases': isc(10, 1), 'kea-leases4.csv': kea });
  for (const name of ['import-isc', 'import-kea'])
    for (const line of (await documented(name)).trim().split('\n')) {
      // As a shell would: the files of this house in place of those of the server.
      const words = line.replace(/\/var\/lib\/\S+\/(dhcpd\.leases|kea-leases4\.csv)\*?/u, (_, file: string) =>
        paths.find((path) => path.endsWith(file))!,
      );
      const { code, stdout, stderr } = await house.run(words.split(' ').slice(1), { nowMs: () => nowMs });
      t.equal(code, 0, `${line}\n${stdout}${stderr}`);
    }
  t.same(await online(house), [whoIs('user1', '100.65.0.10', '1', 'dhcp1')]);
});
