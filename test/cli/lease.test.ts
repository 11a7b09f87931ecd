/**
 * `lease list|refused|show`, and what `explain` tells of an access line.
 *
 * Enters: leases, refused events, a switch. Leaves: tables and JSON. Invariant: a filter that names nobody is an error; what a switch wrote is never obeyed by a terminal.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { addDevice } from '../support/devices.js';
import { addLease, addRefusal } from '../support/lease-rows.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';
import { commandHouse, type CommandHouse } from './command-line.js';

const SWITCH = '3c:33:32:66:43:50';
const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);

/** Two subscribers of one switch with a lease each, the second one's overdue. */
async function street(t: Test): Promise<CommandHouse> {
  const house = await commandHouse(t);
  const { pool } = house.database;
  const device_id = await addDevice(pool, {
    name: 'sw1',
    mac: SWITCH,
    status: 'down',
    status_since: new Date('2026-11-02T09:00:00Z'),
  });
  const accountId = await addAccount(pool, { planId: await addPlan(pool, { name: 'home' }) });
  const alice = await addSubscriber(pool, {
    accountId,
    login: 'alice',
    device_id,
    port: '1',
    mac: '02:00:00:00:00:01',
  });
  const bob = await addSubscriber(pool, { accountId, login: 'bob', device_id, port: '2' });
  await addLease(pool, {
    address: '100.65.0.1',
    mac: '02:00:00:00:00:77',
    subscriber_id: alice,
    device_id,
    port: '1',
    circuit_id: '000408770017',
    remote_id: '65746820302f32',
    began_at: new Date('2026-11-02T10:00:00Z'),
  });
  await addLease(pool, { address: '100.65.0.2', subscriber_id: bob, began_at: minutesAgo(90), ends_at: minutesAgo(5) });
  await addLease(pool, { address: '100.65.0.3', subscriber_id: bob, ended_at: minutesAgo(5), end_cause: 'moved' });
  await addRefusal(pool, {
    address: '100.65.0.1',
    mac: '02:00:00:00:00:01',
    reason: 'static-address',
    detail: '100.64.9.9',
    subscriber_id: alice,
    device: SWITCH,
    port: '1',
    repeats: 3,
    at: new Date('2026-11-02T11:00:00Z'),
  });
  await addRefusal(pool, {
    address: '100.65.0.9',
    circuit_id: Buffer.from('eth\u001b[2J').toString('hex'),
    at: minutesAgo(1),
  });
  return house;
}

t.test('bound leases by subscriber, address, MAC, device and whether they should be over', async (t) => {
  const house = await street(t);
  const addresses = async (...options: string[]): Promise<string[]> =>
    (await house.done(['lease', 'list', '--json', ...options])).json<{ address: string }[]>().map((row) => row.address);
  const cases: readonly (readonly [options: readonly string[], found: readonly string[]])[] = [
    [[], ['100.65.0.2', '100.65.0.1']],
    [['--subscriber', 'alice'], ['100.65.0.1']],
    [['--address', '100.65.0.2'], ['100.65.0.2']],
    [['--address', '100.65.0.3'], []],
    [['--mac', '0200.0000.0077'], ['100.65.0.1']],
    [['--device', 'SW1'], ['100.65.0.1']],
    [['--device', '3C-33-32-66-43-50'], ['100.65.0.1']],
    [['--device', 'id:1', '--subscriber', 'bob'], []],
    [['--overdue'], ['100.65.0.2']],
    [['--overdue', '--subscriber', 'alice'], []],
    [['--limit', '1'], ['100.65.0.2']],
  ];
  for (const [options, found] of cases) t.same(await addresses(...options), found, options.join(' '));
  const { stdout } = await house.done(['lease', 'list'], { columns: 160 });
  t.match(
    stdout,
    /^ADDRESS +MAC +LOGIN +NAS +DEVICE +PORT +SINCE +UNTIL +REMARK\n100\.65\.0\.2 +bob +bras1 .* overdue\n100\.65\.0\.1 +02:00:00:00:00:77 +alice +bras1 +sw1 +1 +2026-11-02 13:00:00/u,
  );
  t.notMatch((await house.done(['lease', 'list', '--json'])).stdout, 'position');
});

t.test('what names nobody is refused with a remedy', async (t) => {
  const house = await street(t);
  const cases: readonly (readonly [argv: readonly string[], code: number, stderr: RegExp])[] = [
    [['list', '--subscriber', 'alicf'], 1, /there is no subscriber 'alicf'; did you mean alice\?/u],
    [['list', '--device', 'sw2'], 1, /there is no device 'sw2'; give its name, MAC, serial or address, or id:NUMBER/u],
    [['list', '--mac', 'x'], 2, /--mac is 'x', which is no MAC address/u],
    [['list', '--address', '2001:db8::1'], 2, /which is no IPv4 address/u],
    [['list', '--device', 'a\0'], 2, /holds a NUL/u],
    [
      ['refused', '--reason', 'mac-differ'],
      2,
      /there is no reason 'mac-differ'; did you mean mac-differs\? the reasons are line-unknown, /u,
    ],
    [
      ['show', '100.65.9.9'],
      1,
      /no DHCP server has told of 100\.65\.9\.9; ask who has it without a lease: sluice ip who 100\.65\.9\.9/u,
    ],
    [['show', 'x'], 2, /the address is 'x'/u],
  ];
  for (const [argv, code, stderr] of cases) {
    const result = await house.run(['lease', ...argv]);
    t.equal(result.code, code, argv.join(' '));
    t.match(result.stderr, stderr);
    t.equal(result.stdout, '');
  }
});

t.test('events that were not followed, with the reason', async (t) => {
  const house = await street(t);
  const { stdout } = await house.done(['lease', 'refused'], { columns: 200 });
  t.match(
    stdout,
    /2026-11-02 14:00:00 +3 +commit +100\.65\.0\.1 +02:00:00:00:00:01 +alice +3c:33:32:66:43:50 +1 +static-address +100\.64\.9\.9/u,
  );
  t.notMatch(stdout, '\u001b', 'no terminal obeys what a switch wrote');
  t.match(stdout, Buffer.from('eth\u001b[2J').toString('hex'));
  const rows = (await house.done(['lease', 'refused', '--reason', 'static-address', '--json'])).json<unknown[]>();
  t.match(rows, [
    {
      address: '100.65.0.1',
      repeats: 3,
      reason: 'static-address',
      login: 'alice',
      explanation: 'the subscriber has a static address, and this is another one',
    },
  ]);
  t.equal(rows.length, 1);
});

t.test('one address: its lease, the line as it came, and what was refused', async (t) => {
  const house = await street(t);
  const { stdout } = await house.done(['lease', 'show', '100.65.0.1'], { columns: 120 });
  for (const text of [
    /^address +100\.65\.0\.1\nstate +bound\nlogin +alice\nmac +02:00:00:00:00:77\nnas +bras1\ndevice +sw1\nport +1\ncircuit-id +000408770017\nremote-id +"eth 0\/2"\nsince +2026-11-02 13:00:00\n/u,
    /\ntold by +dhcp1 \(hook\), last at 2026-11-02 13:00:00\n/u,
    /\nnot followed\n {2}2026-11-02 14:00:00 commit 100\.65\.0\.1, MAC 02:00:00:00:00:01, device 3c:33:32:66:43:50, port 1: the subscriber has a static address, and this is another one: 100\.64\.9\.9 \(3 times since /u,
  ])
    t.match(stdout, text);
  t.match(
    (await house.done(['lease', 'show', '100.65.0.2'])).stdout,
    /bound, and overdue: nobody said that it is over/u,
  );
  t.match((await house.done(['lease', 'show', '100.65.0.3'])).stdout, /\nended +20.*, the client has another one\n/u);
  t.match(
    (await house.done(['lease', 'show', '100.65.0.9'])).stdout,
    /100\.65\.0\.9 was never leased to anybody we know\n\nnot followed\n/u,
  );
  t.match((await house.done(['lease', 'show', '100.65.0.1', '--json'])).json(), {
    address: '100.65.0.1',
    leases: [{ login: 'alice', state: 'bound', circuit_id: '000408770017', overdue: false }],
    refused: [{ reason: 'static-address' }],
  });
});

t.test('explain tells where somebody is plugged in, and which lease there is', async (t) => {
  const house = await street(t);
  await mkdir(join(house.confDir, 'nas.d'));
  await writeFile(
    join(house.confDir, 'nas.d', 'bras1.toml'),
    'name = "bras1"\naddress = "10.0.0.2"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\nprofile = "mikrotik-ppp"\n',
    { mode: 0o600 },
  );
  const { stdout } = await house.done(['explain', 'alice'], { columns: 400 });
  for (const text of [
    /access line +sw1 \(dlink\), port 1, down since 2026-11-02 12:00:00, 1 of 1 neighbours offline\n/u,
    /mac seen +02:00:00:00:00:77, bound to 02:00:00:00:00:01\n/u,
    /lease +100\.65\.0\.1 of 02:00:00:00:00:77 since 2026-11-02 13:00:00 until /u,
    /last lease event not followed +2026-11-02 14:00:00 commit 100\.65\.0\.1/u,
  ])
    t.match(stdout, text);
  t.match((await house.done(['explain', 'alice', '--json'])).json(), {
    line: { device: 'sw1', port: '1', status: 'down', neighbours: 1 },
    mac_seen: '02:00:00:00:00:77',
    leases: [{ address: '100.65.0.1' }],
    refused: [{ reason: 'static-address' }],
  });
  await house.database.pool.query(`UPDATE subscriber SET device_id = NULL, port = NULL`);
  await house.database.pool.query('DELETE FROM lease');
  await house.database.pool.query('DELETE FROM lease_refusal');
  t.notMatch(
    (await house.done(['explain', 'bob'])).stdout,
    /access line|lease|mac seen/u,
    'nothing for whom it has no meaning',
  );
});
