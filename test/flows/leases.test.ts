/**
 * Leases through the whole server: the hook's inbox, the lever, signed JSON and monitoring over real files and sockets, from a DHCP event to a session, a flag and a page.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { signQuery } from '../../src/dhcp/query-signature.js';
import { checkout } from '../config/conf-folder.js';
import { freshDatabase } from '../support/database.js';
import { freeTcpPort } from '../support/free-port.js';
import { SWITCH } from '../support/lease-events.js';
import { scrape } from '../support/scrape.js';
import { TestServer } from '../support/server.js';
import { addAccount, addPlan, addPool, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const run = promisify(execFile);
const A = '100.65.0.10';
const MAC = '0:0:0:0:0:a1';

const database = await freshDatabase(t);
const { pool } = database;
await addPool(pool, '100.65.0.0/24', [A]);
await pool.query(
  `INSERT INTO device (kind_id, name, mac, address, noticeable) SELECT id, 'sw1', $1, '10.9.0.5', true FROM device_kind WHERE name = 'dlink'`,
  [SWITCH],
);
const accountId = await addAccount(pool, { planId: await addPlan(pool) });
const subscriberId = await addSubscriber(pool, { accountId, login: 'alice', device_id: 1, port: '5' });

const intakePort = await freeTcpPort();
const lever = randomBytes(24).toString('base64url');
const server = await TestServer.start(t, {
  databaseUrl: database.url,
  settings: {
    intake: {
      listen: `127.0.0.1:${String(intakePort)}`,
      lever_secret_file: 'secrets/lever',
      lever_sources: ['127.0.0.1'],
    },
    dhcp: { ignore_networks: ['10.0.0.0/8'] },
  },
  files: { 'secrets/lever': `${lever}\n` },
});
const intake = `http://127.0.0.1:${String(intakePort)}`;
const inbox = join(server.dataDir, 'inbox');
await mkdir(inbox, { recursive: true, mode: 0o770 });

const hook = async (...words: string[]): Promise<void> => {
  await run(join(checkout, 'bin/sluice-lever'), words, { env: { SLUICE_INBOX: inbox, SLUICE_LEVER_STRICT: '1' } });
};
const query = async (path: string, parameters: Record<string, string>): Promise<unknown> => {
  const sign = signQuery(Object.values(parameters), Buffer.from(lever)).toString('hex');
  return await (await fetch(`${intake}${path}?${new URLSearchParams({ ...parameters, sign }).toString()}`)).json();
};
const stateOf = async (): Promise<string> => {
  const { rows } = await pool.query<{ state: string; online: boolean; logged: boolean }>(
    `SELECT coalesce((SELECT state FROM lease WHERE address = $1), 'none') AS state, EXISTS (SELECT FROM session) AS online, logged FROM subscriber WHERE id = $2`,
    [A, subscriberId],
  );
  const { state, online, logged } = rows[0]!;
  return `${state} ${online ? 'online' : 'offline'}${logged ? ' logged' : ''}`;
};
const becomes = (state: string): Promise<unknown> => until(async () => (await stateOf()) === state);

t.test('the hook: a lease opens, a renewal changes nothing, a release closes, and no file is left', async (t) => {
  await hook('commit', A, MAC, SWITCH.toUpperCase(), '5', 'lease_seconds=600');
  await becomes('bound online logged');
  const { rows } = await pool.query<{ id: number }>('SELECT id FROM session');
  await hook('commit', A, MAC, SWITCH, '5', 'lease_seconds=600');
  await until(
    async () => (await scrape(server.statusUrl)).sum('intake_total', { way: 'inbox', outcome: 'taken' }) >= 2,
  );
  await until(async () => (await scrape(server.statusUrl)).sum('spool_lag_records') === 0);
  t.same((await pool.query('SELECT id FROM session')).rows, rows);
  await hook('release', A, MAC);
  await becomes('ended offline');
  t.match((await pool.query('SELECT end_cause FROM lease')).rows, [{ end_cause: 'release' }]);
});

t.test('the lever, as hooks of other billings call it', async (t) => {
  const commit = { cmd: 'commit', client_ip: A, client_mac: MAC, switch_mac: SWITCH, switch_port: '5' };
  t.match(await query('/abons/api/dhcp_lever/', commit), { status: 'ok' });
  await becomes('bound online logged');
  t.match(await query('/dhcp_lever', { cmd: 'release', client_ip: A }), { status: 'ok' });
  await becomes('ended offline');
  const forged = await fetch(`${intake}/dhcp_lever?cmd=commit&client_ip=${A}&sign=${'0'.repeat(64)}`);
  t.equal(forged.status, 403);
});

t.test('what cannot be followed is listed, and what the operator excludes goes no further', async (t) => {
  await hook('commit', '100.65.0.11', '0:0:0:0:0:b2', SWITCH, '77');
  await hook('commit', '10.5.5.5', '0:0:0:0:0:b3', SWITCH, '5');
  await until(async () => (await pool.query('SELECT FROM lease_refusal')).rowCount === 1);
  t.match((await pool.query('SELECT reason, port FROM lease_refusal')).rows, [{ reason: 'no-subscriber', port: '77' }]);
  const metrics = await scrape(server.statusUrl);
  t.equal(metrics.sum('lease_events_total', { outcome: 'no-subscriber' }), 1);
  t.equal((await pool.query(`SELECT FROM lease WHERE address = '10.5.5.5'`)).rowCount, 0);
});

t.test('monitoring, in the form of agents', async (t) => {
  t.match(await query('/dev/on_device_event/', { dev_ip: '10.9.0.5', status: 'DOWN' }), { text: /^Notification/u });
  t.match((await pool.query('SELECT status FROM device')).rows, [{ status: 'down' }]);
  t.match(await query('/dev/on_device_event/', { dev_ip: '10.9.0.99', status: 'DOWN' }), { text: /does not exist/u });
});

t.test('events that come while the server is away are taken when it is back, in their order', async (t) => {
  await server.stop();
  await hook('commit', A, MAC, SWITCH, '5', 'lease_seconds=600');
  await hook('release', A, MAC);
  await hook('commit', A, MAC, SWITCH, '5', 'lease_seconds=600');
  await TestServer.start(t, { again: server });
  await becomes('bound online logged');
  t.same(await readdir(inbox), [], 'and their files are gone');
  t.equal((await pool.query('SELECT FROM lease_refusal')).rowCount, 1);
});
