// A house with devices for tests. Enters: what a test cares about. Leaves: rows with whatever else the schema wants, and their ids.

import type pg from 'pg';

/** Makes a device of a kind; a group is made when there is none of its name. @returns its id */
export async function addDevice(
  pool: pg.Pool,
  {
    kind = 'dlink',
    group,
    ...row
  }: { readonly kind?: string; readonly group?: string; readonly [column: string]: unknown },
): Promise<number> {
  const groupId = group === undefined ? null : await groupNamed(pool, group);
  const columns = Object.keys(row);
  const { rows } = await pool.query<{ id: number }>(
    `INSERT INTO device (kind_id, group_id${columns.map((column) => `, ${column}`).join('')})
     SELECT id, $2${columns.map((_, index) => `, $${String(index + 3)}`).join('')} FROM device_kind WHERE name = $1 RETURNING id`,
    [kind, groupId, ...Object.values(row)],
  );
  return rows[0]!.id;
}

/** The id of a group, which is made when there is none. */
export async function groupNamed(pool: pg.Pool, name: string): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    `INSERT INTO device_group (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING id`,
    [name],
  );
  return rows[0]!.id;
}

/** Makes a contact. @returns its id */
export async function addContact(
  pool: pg.Pool,
  group: string,
  kind: 'mail' | 'webhook',
  address: string,
  secret: string | null = null,
): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    'INSERT INTO device_contact (group_id, kind, address, secret) VALUES ($1, $2, $3, $4) RETURNING id',
    [await groupNamed(pool, group), kind, address, secret],
  );
  return rows[0]!.id;
}
