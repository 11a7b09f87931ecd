// Who is at an access line: in memory, and as the database changes under a directory that follows it.

import t from 'tap';
import type { AccessLine } from '../../src/domain/access-line.js';
import type { LeaseDevice } from '../../src/domain/lease.js';
import { ChangeFeed } from '../../src/store/change-feed.js';
import { Directory } from '../../src/store/directory.js';
import { DirectoryLoader } from '../../src/store/directory-loader.js';
import { PluggedSubscribers } from '../../src/store/plugged-subscribers.js';
import { freshDatabase } from '../support/database.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const MAC = '3c:33:32:66:43:50';
const OTHER = '3c:33:32:66:43:51';
const device = (id: number, fields: Partial<LeaseDevice> = {}): LeaseDevice => ({
  id,
  mac: null,
  name: null,
  serial: null,
  byPort: true,
  ...fields,
});
const at = (value: string, port?: string): AccessLine => ({
  device: { by: 'mac', value },
  ...(port !== undefined && { port }),
});

t.test('plugged in, moved, pulled out', async (t) => {
  const held = new PluggedSubscribers();
  held.putDevice(device(1, { mac: MAC, name: 'north', serial: 'S1' }));
  held.putDevice(device(2, { mac: OTHER, byPort: false }));
  held.plugIn(7, { deviceId: 1, port: '5' });
  t.same(held.at(at(MAC, '5')), [7]);
  t.same(held.at({ device: { by: 'name', value: 'north' }, port: '5' }), [7]);
  t.same(held.at({ device: { by: 'serial', value: 'S1' }, port: '5' }), [7]);
  t.same(held.at({ onuSerial: 'S1', port: '5' }), [7]);
  t.same(held.lineOf(7), at(MAC, '5'));
  held.plugIn(7, { deviceId: 1, port: '6' });
  t.same([held.at(at(MAC, '5')), held.at(at(MAC, '6'))], [[], [7]]);
  held.plugIn(7, { deviceId: 2, port: '6' });
  t.same([held.at(at(MAC, '6')), held.at(at(OTHER)), held.at(at(OTHER, '1'))], [[], [7], [7]], 'any port of an ONU');
  t.same(held.lineOf(7), at(OTHER));
  held.plugIn(8, { deviceId: 2, port: undefined });
  t.same(held.at(at(OTHER)), [7, 8]);
  held.plugIn(7, undefined);
  held.plugIn(8, undefined);
  t.same([held.at(at(OTHER)), held.lineOf(7), held.size], [[], undefined, 0], 'and nothing is kept of them');
  held.plugIn(9, { deviceId: 1, port: undefined });
  held.plugIn(10, { deviceId: 99, port: '1' });
  t.same([held.size, held.at(at(MAC))], [0, []], 'no port, no device: nowhere');
});

t.test('devices that change their names', async (t) => {
  const held = new PluggedSubscribers();
  held.putDevice(device(1, { mac: MAC }));
  held.plugIn(7, { deviceId: 1, port: '5' });
  held.putDevice(device(1, { mac: OTHER }));
  t.same([held.at(at(MAC, '5')), held.at(at(OTHER, '5'))], [[], [7]]);
  // The names of two devices are swapped in one change, whichever of them is read first.
  held.putDevice(device(2, { mac: MAC }));
  held.plugIn(8, { deviceId: 2, port: '5' });
  held.putDevice(device(1, { mac: MAC }));
  held.putDevice(device(2, { mac: OTHER }));
  t.same([held.at(at(MAC, '5')), held.at(at(OTHER, '5'))], [[7], [8]]);
  held.removeDevice(1);
  t.same([held.at(at(MAC, '5')), held.at(at(OTHER, '5')), held.deviceCount], [[], [8], 1]);
  held.putDevice(device(2, { mac: OTHER, byPort: false }));
  held.plugIn(8, { deviceId: 2, port: '5' });
  t.same([held.at(at(OTHER)), held.at(at(OTHER, '1'))], [[8], [8]], 'found by the whole device from now on');
});

t.test('the directory follows devices and ports', async (t) => {
  const database = await freshDatabase(t);
  const { pool } = database;
  const sql = (text: string, ...values: unknown[]) => pool.query<{ id: number }>(text, values);
  const make = async (kind: string, mac: string): Promise<number> =>
    (
      await sql(
        'INSERT INTO device (kind_id, mac) SELECT id, $2 FROM device_kind WHERE name = $1 RETURNING id',
        kind,
        mac,
      )
    ).rows[0]!.id;
  const accountId = await addAccount(pool);
  const north = await make('dlink', MAC);
  const anna = await addSubscriber(pool, { accountId, login: 'anna', device_id: north, port: '5' });
  await addSubscriber(pool, { accountId, login: 'nobody' });
  const directory = new Directory();
  const loader = new DirectoryLoader(pool, directory);
  const feed = new ChangeFeed({
    databaseUrl: database.url,
    instance: 'one',
    nowMs: Date.now,
    onError: (error) => t.fail(String(error)),
    pollIntervalMs: 50,
    sink: {
      reload: () => loader.loadAll(),
      apply: (changes) => loader.apply(changes),
      caughtUp: () => undefined,
    },
  });
  await feed.start();
  t.teardown(() => feed.stop());
  const there = (line: AccessLine) => directory.subscribersAtLine(line).map(({ login }) => login);
  const soon = async (what: string, line: AccessLine, expected: readonly string[]) => {
    await until(() => there(line).join() === expected.join()).catch(() => undefined);
    t.same(there(line), expected, what);
  };
  t.same(there(at(MAC, '5')), ['anna'], 'loaded');
  t.match(directory.subscriber(anna), { hasDevice: true, option82Auth: undefined });
  t.equal(directory.plugged.size, 1, 'whoever has no device costs nothing');

  await sql(`UPDATE subscriber SET port = '6', option82_auth = 'port-mac' WHERE id = $1`, anna);
  await soon('another port', at(MAC, '6'), ['anna']);
  t.same(there(at(MAC, '5')), []);
  t.match(directory.subscriber(anna), { option82Auth: 'port-mac' });

  await sql('UPDATE device SET mac = $2 WHERE id = $1', north, OTHER);
  await soon('the device is replaced: its new MAC', at(OTHER, '6'), ['anna']);
  t.same(there(at(MAC, '6')), []);

  const flat = await make('onu', MAC);
  await until(() => directory.plugged.deviceCount === 2);
  t.pass('a device that nobody is plugged into is known');
  const boris = await addSubscriber(pool, { accountId, login: 'boris', device_id: flat });
  await soon('a new subscriber at it', at(MAC, '1'), ['boris']);

  await sql(`UPDATE device SET kind_id = (SELECT id FROM device_kind WHERE name = 'onu') WHERE id = $1`, north);
  await soon('another kind: the whole device', at(OTHER, '77'), ['anna']);
  await sql(`UPDATE device SET status = 'down', status_at = now() WHERE id = $1`, north);
  const { rows } = await pool.query(`SELECT count(*)::int AS rows FROM change_feed WHERE kind = 'device'`);
  t.same(rows, [{ rows: 4 }], 'what monitoring says of a device is no news');
  await sql(`UPDATE device_kind SET by_port = true WHERE name = 'onu'`);
  // Before that they were found at every port.
  await soon('its kind is found by port', at(OTHER, '77'), []);
  await soon('nobody is at a port that nobody has', at(MAC, '1'), []);
  await soon('and who has one is found there', at(OTHER, '6'), ['anna']);

  await sql('UPDATE subscriber SET deleted = true WHERE id = $1', boris);
  await sql('UPDATE device SET deleted = true WHERE id = $1', flat);
  await until(() => directory.plugged.deviceCount === 1);
  await sql('UPDATE subscriber SET device_id = NULL, port = NULL, option82_auth = NULL WHERE id = $1', anna);
  await soon('pulled out', at(OTHER, '6'), []);
  t.match(directory.subscriber(anna), { hasDevice: false, option82Auth: undefined });
  t.equal(directory.plugged.size, 0);

  await sql(`UPDATE subscriber SET device_id = $2, port = '8' WHERE id = $1`, anna, north);
  await soon('and in again', at(OTHER, '8'), ['anna']);
  await loader.loadAll();
  t.same(
    [there(at(OTHER, '8')), directory.plugged.size, directory.plugged.deviceCount],
    [['anna'], 1, 1],
    'read again',
  );
});

t.test('a reload forgets what is gone', async (t) => {
  const { pool } = await freshDatabase(t);
  const directory = new Directory();
  directory.plugged.putDevice(device(77, { mac: MAC }));
  directory.plugged.plugIn(99, { deviceId: 77, port: '1' });
  await new DirectoryLoader(pool, directory).loadAll();
  t.same([directory.plugged.size, directory.plugged.deviceCount], [0, 0]);
});
