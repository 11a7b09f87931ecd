/**
 * What devices refer to: kinds, groups, and who is told of a group. Enters: names, validated values. Leaves: rows with the column names of the
 * schema. Invariant: a secret is never here, only the name of one.
 */
import type { Pool, PoolClient } from 'pg';

/** A row of `device_kind`. */
export interface DeviceKindRow {
  id: number;
  name: string;
  by_port: boolean;
  shared_ports: boolean;
  /** Those that are not deleted. */
  devices: number;
}

/** All kinds by name. */
export async function listDeviceKinds(client: Pool | PoolClient): Promise<DeviceKindRow[]> {
  return (
    await client.query<DeviceKindRow>(
      `SELECT k.id, k.name, k.by_port, k.shared_ports,
              (SELECT count(*)::int FROM device d WHERE d.kind_id = k.id AND NOT d.deleted) AS devices
         FROM device_kind k ORDER BY k.name`,
    )
  ).rows;
}

/** How subscribers of a kind are found. */
export interface DeviceKindValues {
  readonly by_port?: boolean;
  readonly shared_ports?: boolean;
}

/** Makes a kind. @throws DatabaseError with `device_kind_name_unique` or `device_kind_name_form` */
export async function insertDeviceKind(
  client: PoolClient,
  name: string,
  values: Required<DeviceKindValues>,
): Promise<void> {
  await client.query('INSERT INTO device_kind (name, by_port, shared_ports) VALUES ($1, $2, $3)', [
    name,
    values.by_port,
    values.shared_ports,
  ]);
}

/**
 * Changes a kind; everybody who is plugged into a device of it is read again.
 *
 * @returns false when there is none of that name
 * @throws DatabaseError with `subscriber_port_unique` when several are where only one may be
 */
export async function updateDeviceKind(client: PoolClient, name: string, values: DeviceKindValues): Promise<boolean> {
  const result = await client.query(
    `UPDATE device_kind SET by_port = coalesce($2, by_port), shared_ports = coalesce($3, shared_ports) WHERE name = $1`,
    [name, values.by_port ?? null, values.shared_ports ?? null],
  );
  return result.rowCount === 1;
}

/** Ids of all kinds and groups by name, for commands that translate many names. */
export async function loadDeviceCatalogueIds(
  client: Pool | PoolClient,
): Promise<{ kinds: Map<string, number>; groups: Map<string, number> }> {
  const { rows } = await client.query<{ what: 'kind' | 'group'; id: number; name: string }>(
    `SELECT 'kind' AS what, id, name FROM device_kind UNION ALL SELECT 'group', id, name FROM device_group`,
  );
  const idsOf = (what: string) => new Map(rows.filter((row) => row.what === what).map((row) => [row.name, row.id]));
  return { kinds: idsOf('kind'), groups: idsOf('group') };
}

/** A row of `device_group`. */
export interface DeviceGroupRow {
  id: number;
  name: string;
  devices: number;
  contacts: number;
}

/** All groups by name. */
export async function listDeviceGroups(client: Pool | PoolClient): Promise<DeviceGroupRow[]> {
  return (
    await client.query<DeviceGroupRow>(
      `SELECT g.id, g.name, (SELECT count(*)::int FROM device d WHERE d.group_id = g.id AND NOT d.deleted) AS devices,
              (SELECT count(*)::int FROM device_contact c WHERE c.group_id = g.id AND c.active) AS contacts
         FROM device_group g ORDER BY g.name`,
    )
  ).rows;
}

/** Makes a group. @throws DatabaseError with `device_group_name_unique` or `device_group_name_length` */
export async function insertDeviceGroup(client: PoolClient, name: string): Promise<void> {
  await client.query('INSERT INTO device_group (name) VALUES ($1)', [name]);
}

/** How somebody is told. */
export type ContactKind = 'mail' | 'webhook';

/** A row of `device_contact`. */
export interface DeviceContactRow {
  id: number;
  group: string;
  kind: ContactKind;
  address: string;
  secret: string | null;
  active: boolean;
  told_at: Date | null;
  failures: number;
  last_error: string | null;
  /** Changes of devices that wait to be told. */
  waiting: number;
}

/** Contacts of one group, or of all, by group and address. */
export async function listDeviceContacts(client: Pool | PoolClient, group?: string): Promise<DeviceContactRow[]> {
  return (
    await client.query<DeviceContactRow>(
      `SELECT c.id, g.name AS group, c.kind, c.address, c.secret, c.active, c.told_at, c.failures, c.last_error,
              (SELECT count(*)::int FROM device_notice n WHERE n.contact_id = c.id AND n.sent_at IS NULL AND n.gave_up_at IS NULL) AS waiting
         FROM device_contact c JOIN device_group g ON g.id = c.group_id
        WHERE $1::text IS NULL OR g.name = $1 ORDER BY g.name, c.kind, c.address`,
      [group ?? null],
    )
  ).rows;
}

/** Adds a contact, or makes one that is there active again, with this secret. @throws DatabaseError with one of the `device_contact_…` checks */
export async function putDeviceContact(
  client: PoolClient,
  groupId: number,
  contact: { readonly kind: ContactKind; readonly address: string; readonly secret: string | null },
): Promise<void> {
  await client.query(
    `INSERT INTO device_contact (group_id, kind, address, secret) VALUES ($1, $2, $3, $4)
     ON CONFLICT (group_id, kind, address) DO UPDATE SET secret = EXCLUDED.secret, active = true, failures = 0, retry_at = NULL`,
    [groupId, contact.kind, contact.address, contact.secret],
  );
}

/** Takes a contact away, and what waits to be told there. @returns false when there is none */
export async function deleteDeviceContact(client: PoolClient, groupId: number, address: string): Promise<boolean> {
  const result = await client.query('DELETE FROM device_contact WHERE group_id = $1 AND address = $2', [
    groupId,
    address,
  ]);
  return (result.rowCount ?? 0) > 0;
}
