/**
 * What the database itself keeps of devices and ports, whoever writes.
 *
 * Enters: rows by plain SQL, two transactions at once. Leaves: refusals by constraint, rows of the feed and of the history.
 */
import fc from 'fast-check';
import t from 'tap';
import type pg from 'pg';
import { readDeviceReference, readPort } from '../../src/domain/device-reference.js';
import { freshDatabase } from '../support/database.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

interface House {
  readonly pool: pg.Pool;
  readonly anna: number;
  readonly boris: number;
  /** Makes a device. */
  device(kind: string, mac: string): Promise<number>;
}

async function house(t: Parameters<typeof freshDatabase>[0]): Promise<House> {
  const { pool } = await freshDatabase(t);
  const accountId = await addAccount(pool);
  const anna = await addSubscriber(pool, { accountId, login: 'anna' });
  const boris = await addSubscriber(pool, { accountId, login: 'boris' });
  const device = async (kind: string, mac: string): Promise<number> => {
    const { rows } = await pool.query<{ id: number }>(
      `INSERT INTO device (kind_id, mac) SELECT id, $2 FROM device_kind WHERE name = $1 RETURNING id`,
      [kind, mac],
    );
    return rows[0]!.id;
  };
  return { pool, anna, boris, device };
}

const plug = (pool: pg.Pool | pg.PoolClient, id: number, deviceId: number | null, port: string | null) =>
  pool.query('UPDATE subscriber SET device_id = $2, port = $3 WHERE id = $1', [id, deviceId, port]);

t.test('the kinds that come with the program', async (t) => {
  const { pool } = await house(t);
  const { rows } = await pool.query<{ by_port: boolean; names: string[] }>(
    `SELECT by_port, array_agg(name ORDER BY name) AS names FROM device_kind WHERE NOT shared_ports GROUP BY 1 ORDER BY 1`,
  );
  t.same(rows, [
    { by_port: false, names: ['bdcom', 'eltex', 'olt', 'onu', 'zte'] },
    { by_port: true, names: ['cisco', 'dlink', 'h3c', 'huawei', 'mikrotik', 'tplink'] },
  ]);
});

t.test('a port has one subscriber, unless the kind says otherwise', async (t) => {
  const { pool, anna, boris, device } = await house(t);
  const taken = { code: '23505', constraint: 'subscriber_port_unique' };
  const dlink = await device('dlink', '02:00:00:00:00:01');
  await plug(pool, anna, dlink, '5');
  await t.rejects(plug(pool, boris, dlink, '5'), taken);
  await plug(pool, boris, dlink, '6');
  await t.rejects(plug(pool, boris, dlink, '5'), taken);

  await t.test('the whole device is one port where it is found alone', async (t) => {
    const onu = await device('onu', '02:00:00:00:00:02');
    await plug(pool, anna, onu, null);
    await t.rejects(plug(pool, boris, onu, '7'), taken);
    await plug(pool, anna, dlink, '5');
  });

  await t.test('two of a by-port device whose port is not known are in nobody’s way', async () => {
    await plug(pool, anna, dlink, null);
    await plug(pool, boris, dlink, null);
    await plug(pool, anna, dlink, '5');
  });

  await t.test('a kind with shared ports, and back', async (t) => {
    await pool.query(`UPDATE device_kind SET shared_ports = true WHERE name = 'dlink'`);
    await plug(pool, boris, dlink, '5');
    const back = `UPDATE device_kind SET shared_ports = false WHERE name = 'dlink'`;
    await t.rejects(pool.query(back), taken);
    await plug(pool, boris, dlink, '6');
    await pool.query(back);
    await t.rejects(plug(pool, boris, dlink, '5'), taken);
  });

  await t.test('a device that becomes another kind', async (t) => {
    const kind = (name: string) =>
      pool.query(`UPDATE device SET kind_id = k.id FROM device_kind k WHERE k.name = $2 AND device.id = $1`, [
        dlink,
        name,
      ]);
    await t.rejects(kind('onu'), taken, 'two subscribers behind what is one port');
    await plug(pool, boris, null, null);
    await kind('onu');
    await t.rejects(plug(pool, boris, dlink, '6'), taken);
    await kind('dlink');
    await plug(pool, boris, dlink, '6');
  });

  await t.test('somebody who is deleted lets go, and comes back only if nobody came meanwhile', async (t) => {
    await pool.query('UPDATE subscriber SET deleted = true WHERE id = $1', [anna]);
    await plug(pool, boris, dlink, '5');
    await t.rejects(pool.query('UPDATE subscriber SET deleted = false WHERE id = $1', [anna]), taken);
    await plug(pool, boris, dlink, '6');
    await pool.query('UPDATE subscriber SET deleted = false WHERE id = $1', [anna]);
    await t.rejects(plug(pool, boris, dlink, '5'), taken);
  });

  await t.test('nobody sets the kept column himself', async (t) => {
    await pool.query(`UPDATE subscriber SET port_key = 'mine' WHERE id = $1`, [anna]);
    t.same((await pool.query('SELECT port_key FROM subscriber WHERE id = $1', [anna])).rows, [{ port_key: '5' }]);
  });
});

t.test('who is being plugged in and who changes the rules wait for each other', async (t) => {
  const { pool, anna, boris, device } = await house(t);
  const dlink = await device('dlink', '02:00:00:00:00:01');
  await pool.query(`UPDATE device_kind SET shared_ports = true WHERE name = 'dlink'`);
  await plug(pool, anna, dlink, '5');
  const waiting = async () =>
    (await pool.query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`))
      .rowCount === 1;
  const open = async (work: (client: pg.PoolClient) => Promise<unknown>, meanwhile: () => Promise<unknown>) => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await work(client);
      const other = meanwhile().then(
        () => 'done',
        (error: unknown) => (error as { constraint?: string }).constraint,
      );
      await until(waiting);
      await client.query('COMMIT');
      return await other;
    } finally {
      client.release();
    }
  };
  t.equal(
    await open(
      (client) => plug(client, boris, dlink, '5'),
      () => pool.query(`UPDATE device_kind SET shared_ports = false WHERE name = 'dlink'`),
    ),
    'subscriber_port_unique',
    'the rule cannot become true of what is not committed yet',
  );
  await plug(pool, boris, null, null);
  t.equal(
    await open(
      (client) => plug(client, boris, dlink, '6'),
      () => pool.query('UPDATE device SET deleted = true WHERE id = $1', [dlink]),
    ),
    'device_in_use',
  );
  await plug(pool, boris, null, null);
  t.equal(
    await open(
      (client) => client.query(`UPDATE device_kind SET shared_ports = false WHERE name = 'dlink'`),
      () => plug(pool, boris, dlink, '5'),
    ),
    'subscriber_port_unique',
  );

  await t.test('while the status changes under everybody’s feet', async (t) => {
    const client = await pool.connect();
    t.teardown(() => client.release());
    await client.query('BEGIN');
    await plug(client, boris, dlink, '6');
    await pool.query(`UPDATE device SET status = 'down', status_since = now(), status_at = now() WHERE id = $1`, [
      dlink,
    ]);
    await client.query('COMMIT');
  });
});

t.test('what is refused, with its constraint', async (t) => {
  const { pool, anna, device } = await house(t);
  const dlink = await device('dlink', '02:00:00:00:00:01');
  const gone = await device('dlink', '02:00:00:00:00:02');
  await pool.query('UPDATE device SET deleted = true WHERE id = $1', [gone]);
  await pool.query(`INSERT INTO device_group (name) VALUES ('north')`);
  await pool.query(`UPDATE device SET name = 'sw1', serial = 'ABC1' WHERE id = $1`, [dlink]);
  const insert = (columns: string, values: string) =>
    `INSERT INTO device (kind_id, ${columns}) SELECT id, ${values} FROM device_kind WHERE name = 'onu'`;
  const contact = (kind: string, address: string, secret = 'NULL') =>
    `INSERT INTO device_contact (group_id, kind, address, secret) VALUES (1, '${kind}', '${address}', ${secret})`;
  const set = (what: string) => `UPDATE subscriber SET ${what} WHERE id = ${String(anna)}`;
  const table: [sql: string, constraint: string][] = [
    [insert('description', `'nothing to know it by'`), 'device_named'],
    [insert('mac', `'02-00-00-00-00-01'::macaddr`), 'device_mac_unique'],
    [insert('mac', `'00:00:00:00:00:00'::macaddr`), 'device_mac_not_zero'],
    [insert('name', `'sw1'`), 'device_name_unique'],
    [insert('name', `''`), 'device_name_length'],
    [insert('serial', `'ABC1'`), 'device_serial_unique'],
    [insert('serial', `'abc2'`), 'device_serial_form'],
    [insert('serial', `'AB C2'`), 'device_serial_form'],
    [insert('address', `'10.0.0.0/24'::inet`), 'device_address_is_one'],
    [insert('address', `'2001:db8::/64'::inet`), 'device_address_is_one'],
    [insert('name, status', `'x', 'UP'`), 'device_status_known'],
    [contact('pigeon', 'roof'), 'device_contact_kind_known'],
    [contact('mail', 'not an address'), 'device_contact_address_form'],
    [contact('mail', 'a@b@c'), 'device_contact_address_form'],
    [contact('mail', 'a@example.net\r\nBcc: x@example.net'), 'device_contact_address_form'],
    [contact('webhook', 'file:///etc/passwd'), 'device_contact_address_form'],
    [contact('webhook', 'http://example.net/ x'), 'device_contact_address_form'],
    [contact('mail', 'a@example.net', `'key'`), 'device_contact_secret_name'],
    [contact('webhook', 'http://example.net/', `'Not a name'`), 'device_contact_secret_name'],
    [set(`port = '5'`), 'subscriber_port_of_device'],
    [set(`device_id = ${String(dlink)}, port = ''`), 'subscriber_port_form'],
    [set(`device_id = ${String(dlink)}, port = '05'`), 'subscriber_port_form'],
    [set(`device_id = ${String(dlink)}, port = ' 5'`), 'subscriber_port_form'],
    [set(`device_id = ${String(dlink)}, port = E'5\\n'`), 'subscriber_port_form'],
    [set(`device_id = ${String(gone)}`), 'subscriber_device_deleted'],
    [set(`device_id = 4711`), 'subscriber_device_fkey'],
    [set(`option82_auth = 'name'`), 'subscriber_option82_auth_known'],
  ];
  for (const [sql, constraint] of table) {
    const answer = await pool.query(sql).catch((error: unknown) => error);
    t.match(answer, { constraint }, sql);
  }
  await t.rejects(pool.query('DELETE FROM device'), { code: '23001', hint: /deleted = true/ });
  for (const good of [
    insert('mac', `'02:00:00:00:00:02'::macaddr`),
    contact('mail', 'noc+north@example.net'),
    contact('webhook', 'http://10.0.0.1:8080/hook?x=1', `'north'`),
    set(`device_id = ${String(dlink)}, port = 'GigabitEthernet1/0/5'`),
    set(`port = '0'`),
    set(`port = '0/1/05'`),
  ])
    await pool.query(good);
});

t.test('a device goes when nobody is left, and takes those with it who are gone already', async (t) => {
  const { pool, anna, boris, device } = await house(t);
  const dlink = await device('dlink', '02:00:00:00:00:01');
  await plug(pool, anna, dlink, '5');
  await plug(pool, boris, dlink, '6');
  const remove = () => pool.query('UPDATE device SET deleted = true WHERE id = $1', [dlink]);
  await t.rejects(remove(), {
    code: '23001',
    constraint: 'device_in_use',
    message: /subscriber anna|subscriber boris/u,
  });
  await plug(pool, anna, null, null);
  await pool.query('UPDATE subscriber SET deleted = true WHERE id = $1', [boris]);
  await remove();
  t.same((await pool.query('SELECT deleted_at <= now() AS gone FROM device')).rows, [{ gone: true }]);
  t.same(
    (await pool.query('SELECT device_id, port FROM subscriber WHERE id = $1', [boris])).rows,
    [{ device_id: null, port: null }],
    'whoever comes back is at no device that is not there',
  );
  await pool.query('UPDATE subscriber SET deleted = false WHERE id = $1', [boris]);
  await pool.query('UPDATE device SET deleted = false');
  t.same((await pool.query('SELECT deleted_at FROM device')).rows, [{ deleted_at: null }]);
});

t.test(
  'every change of a line or of what a line is known by is in the feed, and of a line in the history',
  async (t) => {
    const { pool, anna, boris, device } = await house(t);
    const dlink = await device('dlink', '02:00:00:00:00:01');
    const other = await device('cisco', '02:00:00:00:00:02');
    const fed = async (sql: string): Promise<number[]> => {
      await pool.query('TRUNCATE change_feed');
      await pool.query(sql);
      const { rows } = await pool.query<{ ref: number }>(
        `SELECT DISTINCT ref FROM change_feed WHERE kind = 'subscriber' ORDER BY 1`,
      );
      return rows.map((row) => row.ref);
    };
    const id = String(dlink);
    t.same(await fed(`UPDATE subscriber SET device_id = ${id}, port = login WHERE id <> 0`), [anna, boris]);
    t.same(await fed(`UPDATE subscriber SET device_id = ${id}, port = login`), [], 'what stays is no news');
    t.same(await fed(`UPDATE subscriber SET port = '5' WHERE login = 'anna'`), [anna]);
    t.same(await fed(`UPDATE subscriber SET option82_auth = 'port-mac' WHERE login = 'boris'`), [boris]);
    t.same(await fed(`UPDATE device SET mac = '02:00:00:00:00:03' WHERE id = ${id}`), [anna, boris]);
    t.same(await fed(`UPDATE device SET name = 'sw1' WHERE id = ${id}`), [anna, boris]);
    t.same(await fed(`UPDATE device SET serial = 'S1' WHERE id = ${id}`), [anna, boris]);
    t.same(await fed(`UPDATE device SET status = 'up', description = 'x', place = 'y' WHERE id = ${id}`), []);
    t.same(await fed(`UPDATE device SET mac = '02:00:00:00:00:04' WHERE id = ${String(other)}`), []);
    t.same(await fed(`UPDATE device_kind SET shared_ports = true WHERE name = 'dlink'`), [anna, boris]);
    t.same(await fed(`UPDATE device_kind SET shared_ports = true WHERE name = 'cisco'`), []);
    const { rows } = await pool.query(
      `SELECT subscriber_id AS id, field, old_value AS old, new_value AS new FROM subscriber_event ORDER BY at, 1, 2`,
    );
    t.same(rows, [
      { id: anna, field: 'device_id', old: null, new: id },
      { id: anna, field: 'port', old: null, new: 'anna' },
      { id: boris, field: 'device_id', old: null, new: id },
      { id: boris, field: 'port', old: null, new: 'boris' },
      { id: anna, field: 'port', old: 'anna', new: '5' },
      { id: boris, field: 'option82_auth', old: null, new: 'port-mac' },
    ]);
  },
);

t.test('what the program takes for a port, serial, address or MAC, the database takes too', async (t) => {
  const { pool, anna, device } = await house(t);
  const dlink = await device('dlink', '02:00:00:00:00:01');
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 70 }),
    fc.string({ maxLength: 70 }),
    fc.stringMatching(/^0{0,3}[0-9]{1,4}$/u),
    fc.ipV4(),
    fc.ipV6(),
  );
  for (const written of fc.sample(text, { numRuns: 300, seed: 7 })) {
    const port = readPort(written);
    if (port !== undefined) await plug(pool, anna, dlink, port);
    const { mac, serial, address } = readDeviceReference(written);
    await pool.query(
      'UPDATE device SET mac = coalesce($2::macaddr, mac), serial = coalesce($3, serial), address = coalesce($4::inet, address) WHERE id = $1',
      [dlink, mac, serial, address],
    );
    const { rows } = await pool.query(
      'SELECT port, serial, host(address) AS address FROM subscriber s JOIN device d ON d.id = s.device_id',
    );
    t.match(
      rows[0] ?? {},
      { ...(port !== undefined && { port }), ...(serial && { serial }), ...(address && { address }) },
      JSON.stringify(written),
    );
  }
});
