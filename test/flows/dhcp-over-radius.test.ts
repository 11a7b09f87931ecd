/**
 * DHCP clients through the whole server: a NAS that asks RADIUS for each, with option 82. Holds: whoever is plugged in at a port is its subscriber, whatever
 * his device is; a stranger comes into the guest network for a short time; what is refused is noted with its reason; accounting is of the same
 * subscriber; what changes in the database is so for the next request.
 */
import t from 'tap';
import { Attribute, Vendor } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import type { Packet } from '../../src/radius/packet.js';
import type { RequestBuilder } from '../../src/radius/request.js';
import { waitFor } from '../support/deadline.js';
import { freshDatabase } from '../support/database.js';
import { insertPlan, insertPool } from '../support/population.js';
import { applied, knowsSubscribers } from '../support/scrape.js';
import { TestServer } from '../support/server.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';
import { TestNas } from '../support/test-nas.js';

const secret = '0123456789abcdefghij';
const profile = `description = "a DHCP server with a guest network"
channel = "dhcp"
identity = ["line", "mac"]
[mac]
sources = ["Calling-Station-Id", "User-Name"]
[mac_authorisation]
no_password = ["empty", "user-name"]
[state.active]
answer = "accept"
session_timeout_seconds = 3600
[state.unknown]
answer = "accept"
pool = "guest"
session_timeout_seconds = 120
`;

const SWITCH = Buffer.from('000600aabbccdd01', 'hex');
const NEW_SWITCH = Buffer.from('000600aabbccdd02', 'hex');

const database = await freshDatabase(t);
const { pool } = database;
const sql = (text: string, ...values: unknown[]) => pool.query(text, values);
const poolId = await insertPool(pool, '100.64.0.0/24');
const accountId = await addAccount(pool, { planId: await insertPlan(pool) });
const people: Record<string, number> = {};
for (const [login, row] of Object.entries({
  fixed: { static_address: '100.65.0.9' },
  pooled: { pool_id: poolId },
  bound: { pool_id: poolId, mac: '02:00:00:00:00:03', option82_auth: 'port-mac' },
  roaming: { pool_id: poolId, mac: '02:00:00:00:00:04', option82_auth: 'mac' },
}))
  people[login] = await addSubscriber(pool, { accountId, login, ...row });
await sql(`INSERT INTO device (kind_id, mac) SELECT id, '00:aa:bb:cc:dd:01' FROM device_kind WHERE name = 'dlink'`);
await sql(
  `UPDATE subscriber SET device_id = (SELECT id FROM device), port = array_position(ARRAY['fixed', 'pooled', 'bound', 'roaming'], login)::text`,
);
const server = await TestServer.start(t, {
  databaseUrl: database.url,
  files: {
    'nas.d/bras.toml': `name = "bras"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "ours"\n`,
    'profiles/ours.toml': profile,
    'nas.d/localhost.toml': `name = "elsewhere"\naddress = "127.0.0.2"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n`,
  },
});
await knowsSubscribers(server.statusUrl, Object.keys(people).length);
const nas = await TestNas.open(t, {
  ...server,
  authPort: server.authPort,
  accountingPort: server.accountingPort,
  secret,
});

const line =
  (port: number, remote = SWITCH) =>
  (request: RequestBuilder) => {
    request.addVendor(Vendor.adslForum, 1, Buffer.from([0, 4, 0, 100, 0, port]));
    request.addVendor(Vendor.adslForum, 2, remote);
  };
const ask = (mac: string, fill?: (request: RequestBuilder) => void) =>
  nas.logIn({ userName: mac, password: '', callingStationId: mac, ...(fill && { fill }) });

function said(reply: Packet | undefined): string {
  if (reply?.code === Code.accessReject) return `reject: ${reply.text(Attribute.replyMessage) ?? ''}`;
  if (reply?.code !== Code.accessAccept) return 'silence';
  const address = reply.address(Attribute.framedIpAddress) ?? `pool ${reply.text(88) ?? ''}`;
  return `${address} for ${String(reply.uint32(Attribute.sessionTimeout))} s`;
}

/** The newest answer that was noted of a device. */
async function noted(mac: string): Promise<unknown> {
  const { rows } = await sql(
    `SELECT a.outcome, a.reason, s.login FROM access_attempt a LEFT JOIN subscriber s ON s.id = a.subscriber_id WHERE a.mac = $1 ORDER BY a.id DESC LIMIT 1`,
    mac,
  );
  return rows[0];
}
async function noting(mac: string, expected: object): Promise<void> {
  await waitFor(`the answer to ${mac} to be noted`, 20_000, async () => {
    const row = (await noted(mac)) as Record<string, unknown> | undefined;
    return row !== undefined && Object.entries(expected).every(([key, value]) => row[key] === value);
  });
}

t.test('whoever is plugged in at a port is its subscriber', async (t) => {
  t.equal(said(await ask('02:00:00:00:00:11', line(1))), '100.65.0.9 for 3600 s', 'his own address');
  await noting('02:00:00:00:00:11', { outcome: 'accept', reason: 'active', login: 'fixed' });
  const first = said(await ask('02:00:00:00:00:12', line(2)));
  t.match(first, /^100\.64\.0\.\d+ for 3600 s$/u, 'one of the pool');
  t.equal(said(await ask('02:00:00:00:00:12', line(2))), first, 'and the same again');
});

t.test('a stranger gets the guest network for two minutes', async (t) => {
  const mac = '02:00:00:00:00:99';
  for (const fill of [line(9), line(1, Buffer.from('000600aabbccdd09', 'hex')), undefined]) {
    const reply = await ask(mac, fill);
    t.equal(said(reply), 'pool guest for 120 s');
    t.notOk(reply?.has(Attribute.class), 'he is nobody');
  }
  await noting(mac, { outcome: 'accept', reason: 'unknown', login: null });

  await t.test('and is a subscriber as soon as the database says so', async (t) => {
    await sql(`UPDATE subscriber SET port = '9' WHERE login = 'fixed'`);
    await waitFor('his port', 20_000, async () => said(await ask(mac, line(9))) === '100.65.0.9 for 3600 s');
    t.equal(said(await ask(mac, line(1))), 'pool guest for 120 s', 'the old one is nobody’s');
    await sql(`UPDATE subscriber SET port = '1' WHERE login = 'fixed'`);
    await waitFor('his old port', 20_000, async () => said(await ask(mac, line(1))) === '100.65.0.9 for 3600 s');
  });
});

t.test('port and MAC must both fit where both are asked for', async (t) => {
  t.match(said(await ask('02:00:00:00:00:03', line(3))), /^100\.64\.0\.\d+ for 3600 s$/u);
  t.equal(said(await ask('02:00:00:00:00:33', line(3))), 'reject: Not allowed from this device');
  await noting('02:00:00:00:00:33', { outcome: 'reject', reason: 'mac-binding', login: 'bound' });
  t.equal(said(await ask('02:00:00:00:00:03', line(8))), 'reject: Not allowed here');
  await noting('02:00:00:00:00:03', { outcome: 'reject', reason: 'line-binding', login: 'bound' });
});

t.test('the MAC alone, wherever it is', async (t) => {
  for (const fill of [line(4), line(8), undefined])
    t.match(said(await ask('02:00:00:00:00:04', fill)), /^100\.64\.0\.\d+ for 3600 s$/u);
  t.equal(said(await ask('02:00:00:00:00:44', line(4))), 'pool guest for 120 s', 'his port is nobody’s without it');
});

t.test('the session is his by Class, and without one by his line; a new router takes his place', async (t) => {
  const [old, next] = ['02:00:00:00:00:21', '02:00:00:00:00:22'];
  const session = async (mac: string, acctSessionId: string, withClass: boolean) => {
    const reply = (await ask(mac, line(2)))!;
    const address = reply.address(Attribute.framedIpAddress)!;
    const told = {
      userName: mac,
      callingStationId: mac,
      acctSessionId,
      framedIpAddress: address,
      fill: line(2),
      ...(withClass && { class: Buffer.from(reply.first(Attribute.class)!) }),
    };
    t.ok(await nas.account({ ...told, status: 'start' }));
    return address;
  };
  const address = await session(old, 'd1', true);
  t.equal(await session(next, 'd2', false), address, 'the same address for his new router');
  await applied(server.statusUrl);
  const { rows } = await sql(
    `SELECT acct_session_id AS id, subscriber_id, mac::text, host(address) AS address FROM session ORDER BY 1`,
  );
  t.same(rows, [{ id: 'd2', subscriber_id: people['pooled'], mac: next, address }], 'the old one is over');
  const { rows: past } = await sql('SELECT acct_session_id AS id, subscriber_id, end_cause FROM session_history');
  t.same(past, [{ id: 'd1', subscriber_id: people['pooled'], end_cause: 'superseded' }]);
});

t.test('a switch is replaced: its subscribers are found at the new one', async (t) => {
  t.equal(said(await ask('02:00:00:00:00:11', line(1, NEW_SWITCH))), 'pool guest for 120 s');
  await sql(`UPDATE device SET mac = '00:aa:bb:cc:dd:02'`);
  await waitFor('the new switch', 20_000, async () =>
    said(await ask('02:00:00:00:00:11', line(1, NEW_SWITCH))).startsWith('100.65.0.9'),
  );
  t.equal(said(await ask('02:00:00:00:00:11', line(1))), 'pool guest for 120 s', 'the old one means nobody');
});

t.test('blocked at his port is blocked', async (t) => {
  await sql(`UPDATE subscriber SET admin_blocked = true WHERE login = 'fixed'`);
  await waitFor('the block', 20_000, async () =>
    said(await ask('02:00:00:00:00:11', line(1, NEW_SWITCH))).startsWith('reject'),
  );
  await noting('02:00:00:00:00:11', { outcome: 'reject', reason: 'admin-blocked', login: 'fixed' });
  t.pass('with its reason');
});
