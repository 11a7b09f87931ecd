/**
 * Devices: looked up in every way in which people name them, listed, written, replaced.
 *
 * Enters: references and validated values. Leaves: rows with the column names of the schema. Invariants: what names several devices is told as
 * several, never guessed at; a device goes only when nobody is plugged into it; only column names from the list here become part of a statement.
 */
import type { Pool, PoolClient } from 'pg';
import type { DeviceReference } from '../domain/device-reference.js';
import type { DeviceStatus } from '../domain/device-status.js';

/** A row of `device` with the names of what it refers to. */
export interface DeviceRow {
  id: number;
  name: string | null;
  mac: string | null;
  serial: string | null;
  address: string | null;
  kind: string;
  kind_id: number;
  by_port: boolean;
  shared_ports: boolean;
  group: string | null;
  group_id: number | null;
  place: string | null;
  description: string | null;
  noticeable: boolean;
  status: DeviceStatus;
  status_since: Date | null;
  status_at: Date | null;
  deleted: boolean;
  deleted_at: Date | null;
  replaced_by: number | null;
  created_at: Date;
  /** Those that are not deleted. */
  subscribers: number;
}

/** What may be written to a device; a key that is absent stays as it is. */
export interface DeviceValues {
  kind_id?: number;
  name?: string | null;
  mac?: string | null;
  serial?: string | null;
  address?: string | null;
  group_id?: number | null;
  place?: string | null;
  description?: string | null;
  noticeable?: boolean;
}

const deviceColumns = [
  'kind_id',
  'name',
  'mac',
  'serial',
  'address',
  'group_id',
  'place',
  'description',
  'noticeable',
] as const satisfies readonly (keyof DeviceValues)[];

const selectDevices = `
  SELECT d.id, d.name, d.mac::text AS mac, d.serial, host(d.address) AS address, k.name AS kind, d.kind_id, k.by_port, k.shared_ports,
         g.name AS group, d.group_id, d.place, d.description, d.noticeable, d.status, d.status_since, d.status_at, d.deleted, d.deleted_at,
         d.replaced_by, d.created_at,
         (SELECT count(*)::int FROM subscriber s WHERE s.device_id = d.id AND NOT s.deleted) AS subscribers
    FROM device d JOIN device_kind k ON k.id = d.kind_id LEFT JOIN device_group g ON g.id = d.group_id`;

/** As SQL: the devices that a reference may mean, from parameters $1 to $5. */
export const MEANT_DEVICES = `d.id = $1::bigint OR NOT d.deleted AND (d.mac = $2::macaddr OR d.address = $3::inet OR d.serial = $4 OR d.name = $5)`;

/** The parameters of `MEANT_DEVICES`. */
export function meantBy({ id, mac, address, serial, name }: DeviceReference): (string | number | null)[] {
  return [id, mac, address, serial, name];
}

/** Beyond this many a message about an ambiguous name is no help, rows. */
const MOST_MEANT = 10;

/** What a reference may mean: none, one, or the first ten of several. Deleted devices are found by `id:` alone. */
export async function findDevices(client: Pool | PoolClient, reference: DeviceReference): Promise<DeviceRow[]> {
  return (
    await client.query<DeviceRow>(
      `${selectDevices} WHERE ${MEANT_DEVICES} ORDER BY d.id LIMIT ${String(MOST_MEANT)}`,
      meantBy(reference),
    )
  ).rows;
}

/** Names that begin alike, to help with a misspelt one. At most ten. */
export async function similarDeviceNames(client: Pool | PoolClient, name: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT name FROM device WHERE NOT deleted AND lower(name) LIKE $1 ORDER BY name LIMIT 10`,
    [
      `${name
        .slice(0, 2)
        .toLowerCase()
        .replace(/[\\%_]/gu, '\\$&')}%`,
    ],
  );
  return rows.map((row) => row.name);
}

/** What one of many references means. */
export type MeantDevice = { readonly id: number } | 'none' | 'several';

/**
 * Looks many references up at once: one statement.
 *
 * @returns in the order of the references
 */
export async function resolveDevices(
  client: Pool | PoolClient,
  references: readonly DeviceReference[],
): Promise<MeantDevice[]> {
  if (references.length === 0) return [];
  const column = <Key extends keyof DeviceReference>(key: Key) => references.map((reference) => reference[key]);
  // One look-up for each way of naming, so that each is a scan of its own index.
  const { rows } = await client.query<{ place: number; ids: number[] }>(
    `WITH meant AS (
       SELECT * FROM unnest($1::bigint[], $2::macaddr[], $3::inet[], $4::text[], $5::text[]) WITH ORDINALITY AS r (id, mac, address, serial, name, place)),
     found AS (
       SELECT r.place, d.id FROM meant r JOIN device d ON d.id = r.id AND NOT d.deleted
       UNION SELECT r.place, d.id FROM meant r JOIN device d ON d.mac = r.mac AND NOT d.deleted
       UNION SELECT r.place, d.id FROM meant r JOIN device d ON d.address = r.address AND NOT d.deleted
       UNION SELECT r.place, d.id FROM meant r JOIN device d ON d.serial = r.serial AND NOT d.deleted
       UNION SELECT r.place, d.id FROM meant r JOIN device d ON d.name = r.name AND NOT d.deleted)
     SELECT place::int AS place, array_agg(id) AS ids FROM found GROUP BY place`,
    [column('id'), column('mac'), column('address'), column('serial'), column('name')],
  );
  const found = new Map(rows.map((row) => [row.place - 1, row.ids]));
  return references.map((_, index) => {
    const [id, other] = found.get(index) ?? [];
    if (id === undefined) return 'none';
    return other === undefined ? { id } : 'several';
  });
}

/** Which devices `listDevices` returns; absent means any. */
export interface DeviceFilter {
  deleted?: 'only';
  kind?: string;
  group?: string;
  status?: DeviceStatus;
  /** Part of name, serial, place or description, or a whole MAC or address, in any case. */
  text?: string;
}

/**
 * One page of devices by id.
 *
 * @param after id of the last row of the page before; 0 for the first
 */
export async function listDevices(
  pool: Pool,
  filter: DeviceFilter,
  after: number,
  limit: number,
): Promise<DeviceRow[]> {
  const values: (string | number)[] = [after, limit];
  const place = (value: string | number) => `$${String(values.push(value))}`;
  const conditions = ['d.id > $1', filter.deleted === 'only' ? 'd.deleted' : 'NOT d.deleted'];
  if (filter.kind !== undefined) conditions.push(`k.name = ${place(filter.kind)}`);
  if (filter.group !== undefined) conditions.push(`g.name = ${place(filter.group)}`);
  if (filter.status !== undefined) conditions.push(`d.status = ${place(filter.status)}`);
  if (filter.text !== undefined) {
    const pattern = place(`%${filter.text.replace(/[\\%_]/gu, '\\$&')}%`);
    const exact = place(filter.text.toLowerCase());
    const fields = ['d.name', 'd.serial', 'd.place', 'd.description'].map((field) => `${field} ILIKE ${pattern}`);
    conditions.push(`(${[...fields, `d.mac::text = ${exact}`, `host(d.address) = ${exact}`].join(' OR ')})`);
  }
  return (
    await pool.query<DeviceRow>(`${selectDevices} WHERE ${conditions.join(' AND ')} ORDER BY d.id LIMIT $2`, values)
  ).rows;
}

/** Somebody who is plugged into a device. */
export interface PluggedRow {
  id: number;
  login: string;
  port: string | null;
  option82_auth: string | null;
  mac: string | null;
  logged: boolean;
}

/** Who is plugged into a device, numbered ports in their order. Deleted ones are left out. */
export async function listPlugged(pool: Pool, deviceId: number, limit: number): Promise<PluggedRow[]> {
  return (
    await pool.query<PluggedRow>(
      `SELECT id, login, port, option82_auth, mac::text AS mac, logged FROM subscriber WHERE device_id = $1 AND NOT deleted
        ORDER BY length(substring(port FROM '^[0-9]*')), substring(port FROM '^[0-9]*'), port, login LIMIT $2`,
      [deviceId, limit],
    )
  ).rows;
}

/**
 * Makes a device and returns its id.
 *
 * @throws DatabaseError with one of the `device_…` constraints
 */
export async function insertDevice(client: PoolClient, values: DeviceValues & { kind_id: number }): Promise<number> {
  const columns = deviceColumns.filter((column) => values[column] !== undefined);
  const { rows } = await client.query<{ id: number }>(
    `INSERT INTO device (${columns.join(', ')}) VALUES (${columns.map((_, index) => `$${String(index + 1)}`).join(', ')}) RETURNING id`,
    columns.map((column) => values[column]),
  );
  return rows[0]!.id;
}

/**
 * Changes a device; nothing given changes nothing. Whoever is plugged into it is read again by every server.
 *
 * @throws DatabaseError with one of the `device_…` constraints, or `subscriber_port_unique` when its new kind forbids what is there
 */
export async function updateDevice(client: PoolClient, id: number, values: DeviceValues): Promise<void> {
  const columns = deviceColumns.filter((column) => values[column] !== undefined);
  if (columns.length === 0) return;
  const assignments = columns.map((column, index) => `${column} = $${String(index + 2)}`).join(', ');
  await client.query(`UPDATE device SET ${assignments} WHERE id = $1`, [
    id,
    ...columns.map((column) => values[column]),
  ]);
}

/** Marks a device deleted. @throws DatabaseError with `device_in_use` while somebody is plugged into it */
export async function removeDevice(client: PoolClient, id: number): Promise<void> {
  await client.query('UPDATE device SET deleted = true WHERE id = $1', [id]);
}

/**
 * Puts one device in the place of another: subscribers go along with their ports, and so does what the new one lacks of name, address,
 * group, place and description. The old one is deleted then.
 *
 * @returns how many subscribers moved, deleted ones not counted
 * @throws DatabaseError with `subscriber_port_unique` when a port of the new one is taken
 */
export async function replaceDevice(client: PoolClient, oldId: number, newId: number): Promise<number> {
  await client.query('SELECT FROM device WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE', [[oldId, newId]]);
  const moved = await client.query<{ deleted: boolean }>(
    'UPDATE subscriber SET device_id = $2 WHERE device_id = $1 RETURNING deleted',
    [oldId, newId],
  );
  await client.query('UPDATE device SET deleted = true, replaced_by = $2 WHERE id = $1', [oldId, newId]);
  await client.query(
    `UPDATE device n SET name = coalesce(n.name, o.name), address = coalesce(n.address, o.address), group_id = coalesce(n.group_id, o.group_id),
       place = coalesce(n.place, o.place), description = coalesce(n.description, o.description), noticeable = n.noticeable OR o.noticeable
     FROM device o WHERE n.id = $2 AND o.id = $1`,
    [oldId, newId],
  );
  return moved.rows.filter((row) => !row.deleted).length;
}
