/** Monitoring events: from a query to status, history and notices, and the words that are answered. */
import { pino } from 'pino';
import t from 'tap';
import type pg from 'pg';
import type { DeviceEvent, MonitoredStatus } from '../../src/domain/device-status.js';
import { DeviceEventHandler, deviceEventOf, deviceReply } from '../../src/handlers/device-event.js';
import { freshDatabase } from '../support/database.js';
import { addContact, addDevice } from '../support/devices.js';

const nowMs = Date.parse('2026-11-22T12:00:00Z');
const log = pino({ level: 'silent' });

const event = (device: string, status: MonitoredStatus, eventAtMs = nowMs): DeviceEvent => ({
  device,
  status,
  eventAtMs,
  receivedAtMs: nowMs,
  source: 'test',
  note: null,
});

function handler(pool: pg.Pool, ways: readonly ('mail' | 'webhook')[] = ['mail', 'webhook']): DeviceEventHandler {
  return new DeviceEventHandler({ pool, log, ways: () => ways });
}

const rowsOf = async (pool: pg.Pool, sql: string): Promise<unknown[]> => (await pool.query<object>(sql)).rows;

t.test('a query is an event, or is answered in the words that agents know', async (t) => {
  const table: [query: string, expected: object][] = [
    ['dev_ip=10.0.0.5&status=DOWN', { ok: true, event: { device: '10.0.0.5', status: 'down', eventAtMs: nowMs } }],
    ['status=up&dev_ip=10.0.0.5&sign=x', { ok: true, event: { status: 'up', source: 'agent' } }],
    [
      'dev_ip=0:1:a:2:3:4&status=UNREACHABLE',
      { ok: true, event: { device: '00:01:0a:02:03:04', status: 'unreachable' } },
    ],
    ['dev_ip=2001:DB8::5&status=UP', { ok: true, event: { device: '2001:db8::5' } }],
    ['status=UP', { ok: false, problem: 'no-device', reply: { text: 'ip does not passed' } }],
    ['dev_ip=&status=UP', { ok: false, problem: 'no-device' }],
    [
      'dev_ip=10.0.0&status=UP',
      { ok: false, problem: 'invalid-device', reply: { text: 'ip address 10.0.0 is not valid' } },
    ],
    ['dev_ip=sw1&status=UP', { ok: false, problem: 'invalid-device' }],
    [
      'dev_ip=10.0.0.5&status=SIDEWAYS',
      { ok: false, problem: 'unknown-status', reply: { text: /^status SIDEWAYS is none of UP,/u } },
    ],
    ['dev_ip=10.0.0.5', { ok: false, problem: 'unknown-status' }],
  ];
  for (const [query, expected] of table)
    t.match(deviceEventOf(new URLSearchParams(query), nowMs, 'agent'), expected, query);
  const long = deviceEventOf(new URLSearchParams({ dev_ip: 'x'.repeat(5000) }), nowMs, 'agent');
  t.ok(JSON.stringify(long).length < 200, 'nothing long comes back');
});

t.test('status, history and notices', async (t) => {
  const { pool } = await freshDatabase(t);
  const id = await addDevice(pool, {
    name: 'sw1',
    mac: '00:1e:58:aa:bb:cc',
    address: '10.0.0.5',
    group: 'north',
    noticeable: true,
  });
  await addContact(pool, 'north', 'mail', 'noc@example.net');
  await addContact(pool, 'north', 'webhook', 'http://127.0.0.1/hook');
  await addContact(pool, 'south', 'mail', 'south@example.net');
  await pool.query(
    `INSERT INTO device_contact (group_id, kind, address, active) SELECT id, 'mail', 'gone@example.net', false FROM device_group WHERE name = 'north'`,
  );
  const { handle } = boundHandler(pool);
  const minute = 60_000;
  const steps: [event: DeviceEvent, expected: object, reply: string][] = [
    [
      event('10.0.0.5', 'up', nowMs - 10 * minute),
      { outcome: 'changed', oldStatus: 'unknown', status: 'up', told: 2, untold: null },
      'notification successfully sent',
    ],
    [
      event('001e.58aa.bbcc', 'up', nowMs - 9 * minute),
      { outcome: 'unchanged', status: 'up' },
      'Notification for 001e.58aa.bbcc is unnecessary',
    ],
    [
      event('sw1', 'down', nowMs - 8 * minute),
      { outcome: 'changed', oldStatus: 'up', status: 'down', told: 2 },
      'notification successfully sent',
    ],
    [
      event('sw1', 'up', nowMs - 9.5 * minute),
      { outcome: 'late', status: 'down' },
      'Notification for sw1 is unnecessary',
    ],
    [event('sw1', 'down', nowMs + minute), { outcome: 'unchanged' }, 'Notification for sw1 is unnecessary'],
  ];
  for (const [given, expected, reply] of steps) {
    const outcome = await handle(given);
    t.match(outcome, expected, `${given.device} ${given.status}`);
    t.same(deviceReply(given, outcome), { text: reply });
  }
  t.match(await rowsOf(pool, 'SELECT status, status_since, status_at FROM device'), [
    { status: 'down', status_since: new Date(nowMs - 8 * minute), status_at: new Date(nowMs) },
  ]);
  t.match(
    await rowsOf(pool, 'SELECT device_id, status, old_status, effect, told, source FROM device_event ORDER BY ctid'),
    [
      { device_id: id, status: 'up', old_status: 'unknown', effect: 'changed', told: 2, source: 'test' },
      { status: 'up', old_status: 'up', effect: 'unchanged', told: 0 },
      { status: 'down', old_status: 'up', effect: 'changed', told: 2 },
      { status: 'up', old_status: 'down', effect: 'late', told: 0 },
      { status: 'down', old_status: 'down', effect: 'unchanged', told: 0 },
    ],
  );
  t.match(
    await rowsOf(
      pool,
      `SELECT c.address, n.status, n.old_status, n.at FROM device_notice n JOIN device_contact c ON c.id = n.contact_id ORDER BY n.id`,
    ),
    [
      { address: 'noc@example.net', status: 'up', old_status: 'unknown' },
      { address: 'http://127.0.0.1/hook', status: 'up' },
      { address: 'noc@example.net', status: 'down', at: new Date(nowMs - 8 * minute) },
      { address: 'http://127.0.0.1/hook', status: 'down' },
    ],
  );
});

t.test('who is not told, and why', async (t) => {
  const { pool } = await freshDatabase(t);
  await addContact(pool, 'north', 'mail', 'noc@example.net');
  await addDevice(pool, { name: 'quiet', group: 'north' });
  await addDevice(pool, { name: 'alone', noticeable: true });
  await addDevice(pool, { name: 'empty', group: 'east', noticeable: true });
  await addDevice(pool, { name: 'mailed', group: 'north', noticeable: true });
  const table: [device: string, ways: readonly ('mail' | 'webhook')[], expected: object][] = [
    ['quiet', ['mail'], { outcome: 'changed', told: 0, untold: 'not-noticeable' }],
    ['alone', ['mail'], { outcome: 'changed', told: 0, untold: 'no-contact' }],
    ['empty', ['mail'], { outcome: 'changed', told: 0, untold: 'no-contact' }],
    ['mailed', ['webhook'], { outcome: 'changed', told: 0, untold: 'no-contact' }],
  ];
  for (const [device, ways, expected] of table) {
    const outcome = await handler(pool, ways).handle(event(device, 'down'));
    t.match(outcome, expected, device);
    t.same(deviceReply({ device }, outcome), { text: `Notification for ${device} is unnecessary` });
  }
  t.same(await rowsOf(pool, 'SELECT FROM device_notice'), []);
});

t.test('what names no device, or several, changes nothing', async (t) => {
  const { pool } = await freshDatabase(t);
  await addDevice(pool, { name: 'a', address: '10.0.0.5' });
  await addDevice(pool, { name: 'b', address: '10.0.0.5' });
  await addDevice(pool, { name: 'c', address: '10.0.0.6', deleted: true });
  const { handle } = boundHandler(pool);
  const several = await handle(event('10.0.0.5', 'down'));
  t.match(several, { outcome: 'several-devices', ids: [1, 2] });
  t.same(deviceReply({ device: '10.0.0.5' }, several), { text: 'Several devices have ip 10.0.0.5' });
  for (const device of ['10.0.0.6', '10.0.0.7', 'c', '', "' OR true --", 'a\0']) {
    const outcome = await handle(event(device, 'down'));
    t.same(outcome, { outcome: 'unknown-device' }, JSON.stringify(device));
    t.same(deviceReply({ device }, outcome), { text: `Devices with ip ${device} does not exist` });
  }
  t.same(await rowsOf(pool, 'SELECT FROM device_event'), []);
  t.same(await rowsOf(pool, `SELECT FROM device WHERE status <> 'unknown'`), []);
});

t.test('events of one device at once: the latest stands, and each change is told once', async (t) => {
  const { pool } = await freshDatabase(t);
  await addDevice(pool, { name: 'sw1', group: 'north', noticeable: true });
  await addContact(pool, 'north', 'mail', 'noc@example.net');
  const { handle } = boundHandler(pool);
  const statuses: MonitoredStatus[] = ['up', 'down', 'unreachable'];
  const events = Array.from({ length: 30 }, (_, index) =>
    event('sw1', statuses[index % 3]!, nowMs - ((index * 7) % 30) * 1000),
  );
  const outcomes = await Promise.all([...events, ...events].map((one) => handle(one)));
  t.match(await rowsOf(pool, 'SELECT status, status_at FROM device'), [{ status: 'up', status_at: new Date(nowMs) }]);
  const changed = outcomes.filter(({ outcome }) => outcome === 'changed').length;
  t.equal((await rowsOf(pool, 'SELECT FROM device_notice')).length, changed);
  t.equal((await rowsOf(pool, 'SELECT FROM device_event')).length, 60);
});

t.test('a note is kept as it was said, within bounds', async (t) => {
  const { pool } = await freshDatabase(t);
  await addDevice(pool, { name: 'sw1' });
  await handler(pool).handle({ ...event('sw1', 'down'), note: `a\0b\r\n${'x'.repeat(1000)}` });
  const [row] = await rowsOf(pool, 'SELECT note FROM device_event');
  t.match(row, { note: /^a b\r\nx{495}$/u });
});

t.test('the database is away: the event has to be said again', async (t) => {
  const { pool } = await freshDatabase(t);
  await addDevice(pool, { name: 'sw1' });
  const { handle } = boundHandler(pool);
  await pool.query('ALTER TABLE device_event RENAME TO elsewhere');
  await t.rejects(handle(event('sw1', 'down')), { code: '42P01' });
  t.match(await rowsOf(pool, 'SELECT status FROM device'), [{ status: 'unknown' }], 'nothing of it is stored');
});

function boundHandler(pool: pg.Pool): { handle: (event: DeviceEvent) => ReturnType<DeviceEventHandler['handle']> } {
  const one = handler(pool);
  return { handle: (given) => one.handle(given) };
}
