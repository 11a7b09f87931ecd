/**
 * What the page reads of devices: lists, one device with those who are plugged into it, and where one subscriber is plugged in.
 *
 * Enters: positions, ids, bounds. Leaves: rows with the column names of the schema. Invariant: every answer is bounded; people are counted up to a limit, so that
 * a device with ten thousand of them holds no page.
 */
import type { Pool } from 'pg';
import type { SearchText } from '../domain/search-text.js';
import { deviceLabel, searchDevices } from './device-search.js';

/** People of one device that a list counts: fifty devices of a page are 50,000 look-ups at most, some 50 ms. */
const COUNTED_IN_LISTS = 1_000;
/** People of one device that its own page counts and puts into order: twice what the largest OLT has. */
const COUNTED_AT_ONE = 20_000;
/** Devices that do not work, counted for the first page. */
const COUNTED_DOWN = 10_000;

/** A device with the names of what it refers to, and how many are plugged in. */
export interface DeviceRow {
  id: number;
  /** The best that it is called by. */
  label: string;
  name: string | null;
  kind: string;
  address: string | null;
  mac: string | null;
  serial: string | null;
  group: string | null;
  place: string | null;
  description: string | null;
  status: string;
  status_since: Date | null;
  status_at: Date | null;
  deleted: boolean;
  deleted_at: Date | null;
  replaced_by: number | null;
  /** Subscribers that are plugged in, and how many of them are offline. */
  subscribers: number;
  offline: number;
  /** There are more subscribers than were counted. */
  more: boolean;
  /** What goes on after this row. */
  position: string;
}

const counted = (most: number): string => `LEFT JOIN LATERAL (
    SELECT least(count(*), ${String(most)})::int AS subscribers, (count(*) FILTER (WHERE NOT logged))::int AS offline, count(*) > ${String(most)} AS more
    FROM (SELECT logged FROM subscriber WHERE device_id = d.id AND NOT deleted LIMIT ${String(most + 1)}) p) AS c ON true`;

const columns = `d.id, ${deviceLabel('d')} AS label, d.name, k.name AS kind, host(d.address) AS address, d.mac::text AS mac, d.serial, g.name AS group, d.place,
  d.description, d.status, d.status_since, d.status_at, d.deleted, d.deleted_at, d.replaced_by, c.subscribers, c.offline, c.more`;
const joins = (most: number): string =>
  `JOIN device_kind k ON k.id = d.kind_id LEFT JOIN device_group g ON g.id = d.group_id ${counted(most)}`;

/** The order of lists. The index of it has the same words. */
const SORT_LABEL = 'lower(coalesce(name, mac::text, serial, host(address)))';

/** Devices by what they are called. @param after `position` of the last row of the page before; undefined, or no position: from the beginning */
export async function listDevicesByLabel(pool: Pool, after: string | undefined, limit: number): Promise<DeviceRow[]> {
  const [, id, label] = /^(\d{1,15})-([^\0]*)$/su.exec(after ?? '') ?? [];
  const beyond = id === undefined ? '' : `AND (${SORT_LABEL}, id) > ($2, $3::bigint)`;
  const { rows } = await pool.query<DeviceRow>(
    `WITH page AS (SELECT *, ${SORT_LABEL} AS sort_label FROM device WHERE NOT deleted ${beyond} ORDER BY ${SORT_LABEL}, id LIMIT $1)
     SELECT ${columns}, concat_ws('-', d.id, d.sort_label) AS position FROM page d ${joins(COUNTED_IN_LISTS)} ORDER BY d.sort_label, d.id`,
    id === undefined ? [limit] : [limit, label, Number(id)],
  );
  return rows;
}

/** What monitoring says does not work; of a device that it never spoke of nothing is known. */
const DOWN = `status IN ('down', 'unreachable') AND status_since IS NOT NULL AND NOT deleted`;

/** Devices that monitoring says are down or unreachable, the last change first. */
export async function listDevicesDown(pool: Pool, after: string | undefined, limit: number): Promise<DeviceRow[]> {
  const [, us, id] = /^(\d{1,16})-(\d{1,15})$/u.exec(after ?? '') ?? [];
  const beyond =
    us === undefined
      ? ''
      : `AND (status_since, id) < (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3::bigint)`;
  const { rows } = await pool.query<DeviceRow>(
    `WITH page AS (SELECT * FROM device WHERE ${DOWN} ${beyond} ORDER BY status_since DESC, id DESC LIMIT $1)
     SELECT ${columns}, concat_ws('-', (extract(epoch FROM d.status_since) * 1000000)::bigint, d.id) AS position
       FROM page d ${joins(COUNTED_IN_LISTS)} ORDER BY d.status_since DESC, d.id DESC`,
    us === undefined ? [limit] : [limit, Number(us), Number(id)],
  );
  return rows;
}

/** Devices that are called so or begin so. */
export async function findDevicesBySearch(pool: Pool, search: SearchText, limit: number): Promise<DeviceRow[]> {
  const found = await searchDevices(pool, search, limit);
  const { rows } = await pool.query<DeviceRow>(
    `SELECT ${columns}, '' AS position FROM unnest($1::bigint[]) WITH ORDINALITY AS o (id, place) JOIN device d ON d.id = o.id ${joins(COUNTED_IN_LISTS)}
      ORDER BY o.place`,
    [found.map(({ id }) => id)],
  );
  return rows;
}

/** One device, or undefined; those that are gone too. */
export async function findDevice(
  pool: Pool,
  id: number,
): Promise<(DeviceRow & { replacement: string | null }) | undefined> {
  const { rows } = await pool.query<DeviceRow & { replacement: string | null }>(
    `SELECT ${columns}, '' AS position, (SELECT ${deviceLabel('n')} FROM device n WHERE n.id = d.replaced_by) AS replacement
       FROM device d ${joins(COUNTED_AT_ONE)} WHERE d.id = $1`,
    [id],
  );
  return rows[0];
}

/** How many devices are down or unreachable: 10,000 at most; and whether there are devices at all. */
export async function countDevices(pool: Pool): Promise<{ down: number; any: boolean }> {
  const { rows } = await pool.query<{ down: number; any: boolean }>(
    `SELECT (SELECT count(*)::int FROM (SELECT FROM device WHERE ${DOWN} LIMIT ${String(COUNTED_DOWN)}) x) AS down,
       EXISTS (SELECT FROM device WHERE NOT deleted) AS any`,
  );
  return rows[0]!;
}

/** Somebody who is plugged in. */
export interface PluggedRow {
  id: number;
  login: string;
  name: string | null;
  address: string | null;
  port: string | null;
  mac: string | null;
  logged: boolean;
}

/** Ports as people count, 1/2 before 1/10: words, then numbers one after the other. */
const COUNTED_PORTS = `regexp_replace(port, '[0-9].*$', '') NULLS FIRST,
  string_to_array(nullif(btrim(regexp_replace(port, '[^0-9]+', ' ', 'g')), ''), ' ')::numeric[] NULLS FIRST, port, login, id`;

/**
 * Who is plugged into a device, by port: as people count where there are up to a thousand, beyond that as the index has them.
 *
 * @param skip rows of the pages before
 */
export async function listPlugged(
  pool: Pool,
  device: Pick<DeviceRow, 'id' | 'subscribers'>,
  { skip, limit, isOffline }: { readonly skip: number; readonly limit: number; readonly isOffline: boolean },
): Promise<PluggedRow[]> {
  const order = device.subscribers <= COUNTED_IN_LISTS ? COUNTED_PORTS : 'port NULLS FIRST, login, id';
  const { rows } = await pool.query<PluggedRow>(
    `WITH plugged AS MATERIALIZED (
       SELECT id, account_id, login, port, mac, logged FROM subscriber WHERE device_id = $1 AND NOT deleted LIMIT ${String(COUNTED_AT_ONE)}),
     page AS MATERIALIZED (
       SELECT *, row_number() OVER () AS place FROM (
         SELECT * FROM plugged ${isOffline ? 'WHERE NOT logged' : ''} ORDER BY ${order} OFFSET $2 LIMIT $3) p)
     SELECT p.id, p.login, a.name, a.address, p.port, p.mac::text AS mac, p.logged FROM page p JOIN account a ON a.id = p.account_id ORDER BY p.place`,
    [device.id, skip, limit],
  );
  return rows;
}

/** What monitoring said of a device. */
export interface MonitoringRow {
  at: Date;
  status: string;
  old_status: string;
  effect: string;
  told: number;
  source: string;
  note: string | null;
}

/** The last monitoring events of a device, newest first. */
export async function lastMonitoring(pool: Pool, deviceId: number, limit: number): Promise<MonitoringRow[]> {
  return (
    await pool.query<MonitoringRow>(
      `SELECT at, status, old_status, effect, told, source, note FROM device_event WHERE device_id = $1 ORDER BY received_at DESC, at DESC LIMIT $2`,
      [deviceId, limit],
    )
  ).rows;
}

/** Where a subscriber is plugged in. */
export interface SubscriberLine {
  device_id: number;
  /** The best that the device is called by. */
  device: string;
  kind: string;
  place: string | null;
  /** All that an event may name the device by. */
  names: string[];
  status: string;
  status_since: Date | null;
  port: string | null;
  /** Whether subscribers of such a device are found by device and port, or by the device alone. */
  by_port: boolean;
  /** Nobody else may be at its port, or at the device where that has no ports. */
  is_own: boolean;
  option82_auth: string | null;
  /** Others at the same device, and how many of them are offline. */
  neighbours: number;
  neighbours_offline: number;
  /** There are more neighbours than were counted. */
  more: boolean;
}

/** The access line of a subscriber; undefined: it is plugged in nowhere that is known. */
export async function lineOf(pool: Pool, subscriberId: number): Promise<SubscriberLine | undefined> {
  const most = String(COUNTED_IN_LISTS);
  const { rows } = await pool.query<SubscriberLine>(
    `SELECT d.id AS device_id, ${deviceLabel('d')} AS device, k.name AS kind, d.place,
            array_remove(ARRAY[d.mac::text, d.name, d.serial], NULL) AS names, d.status, d.status_since, s.port, k.by_port,
            NOT k.shared_ports AND (s.port IS NOT NULL OR NOT k.by_port) AS is_own, s.option82_auth,
            least(n.neighbours, ${most})::int AS neighbours, n.offline::int AS neighbours_offline, n.neighbours > ${most} AS more
       FROM subscriber s JOIN device d ON d.id = s.device_id JOIN device_kind k ON k.id = d.kind_id
       LEFT JOIN LATERAL (SELECT count(*) AS neighbours, count(*) FILTER (WHERE NOT logged) AS offline
         FROM (SELECT logged FROM subscriber o WHERE o.device_id = d.id AND NOT o.deleted AND o.id <> s.id LIMIT ${most} + 1) p) n ON true
      WHERE s.id = $1`,
    [subscriberId],
  );
  return rows[0];
}
