/**
 * Finding devices: by name, MAC, address, serial, and by how a name or a serial begins.
 *
 * Enters: a search text that was read. Leaves: parts of statements, and devices. Invariant: each way of looking is one scan of an index that ends after a page of
 * hits, however many there are; devices that are gone are not found.
 */
import type { Pool } from 'pg';
import type { DeviceReference } from '../domain/device-reference.js';
import type { SearchText } from '../domain/search-text.js';
import { beginning } from './like-pattern.js';

/** The best that a device is called by. @param table what stands for `device` */
export function deviceLabel(table: string): string {
  return `coalesce(${table}.name, ${table}.mac::text, ${table}.serial, host(${table}.address))`;
}

/** What several devices are called by, mostly an address that more than one was given. */
const MOST_MEANT = 20;

/** As SQL: the ids of devices that are called exactly so, in any case. @param place makes a parameter of a value */
export function deviceIdsSql(
  { id, mac, address, serial, name }: DeviceReference,
  place: (value: string | number | null) => string,
): string {
  const ways = [
    ...(id === null ? [] : [`SELECT id FROM device WHERE id = ${place(id)}::bigint`]),
    ...(mac === null ? [] : [`SELECT id FROM device WHERE mac = ${place(mac)}::macaddr AND NOT deleted`]),
    ...(address === null ? [] : [`SELECT id FROM device WHERE address = ${place(address)}::inet AND NOT deleted`]),
    ...(serial === null ? [] : [`SELECT id FROM device WHERE serial = ${place(serial)} AND NOT deleted`]),
    ...(name === null
      ? []
      : [`SELECT id FROM device WHERE lower(name) = lower(${place(name)}) AND name IS NOT NULL AND NOT deleted`]),
  ];
  if (ways.length === 0) return 'SELECT NULL::bigint AS id WHERE false';
  return `SELECT id FROM (${ways.map((way) => `(${way} LIMIT ${String(MOST_MEANT)})`).join(' UNION ')}) meant`;
}

/** How many devices are called so. */
export async function countMeant(pool: Pool, reference: DeviceReference): Promise<number> {
  const values: (string | number | null)[] = [];
  const ids = deviceIdsSql(reference, (value) => `$${String(values.push(value))}`);
  const { rows } = await pool.query<{ meant: number }>(`SELECT count(*)::int AS meant FROM (${ids}) m`, values);
  return rows[0]!.meant;
}

/** A device that was found. */
export interface FoundDevice {
  id: number;
  /** The best that it is called by. */
  label: string;
  kind: string;
  address: string | null;
  mac: string | null;
  serial: string | null;
  place: string | null;
  status: string;
  status_since: Date | null;
}

/** Devices that are called so, then those whose name or serial begins so. */
export async function searchDevices(pool: Pool, search: SearchText, limit: number): Promise<FoundDevice[]> {
  if (search.text === '') return [];
  const values: (string | number | null)[] = [limit];
  const place = (value: string | number | null): string => `$${String(values.push(value))}`;
  const exact = [search.device, ...(search.line === undefined ? [] : [search.line.device])];
  const name = place(beginning(search.text));
  const ways = [
    ...exact.map((device) => `SELECT id, 0 AS rank FROM (${deviceIdsSql(device, place)}) e`),
    `SELECT id, 1 FROM (SELECT id FROM device WHERE lower(name) LIKE lower(${name}) AND name IS NOT NULL AND NOT deleted
       ORDER BY lower(name) USING ~<~ LIMIT $1) n`,
    ...(search.device.serial === null
      ? []
      : [
          `SELECT id, 2 FROM (SELECT id FROM device WHERE serial LIKE ${place(beginning(search.device.serial))} AND NOT deleted
             ORDER BY serial USING ~<~ LIMIT $1) n`,
        ]),
  ];
  const { rows } = await pool.query<FoundDevice>(
    `WITH best AS (SELECT id, min(rank) AS rank FROM (${ways.join(' UNION ALL ')}) hit GROUP BY id)
     SELECT d.id, ${deviceLabel('d')} AS label, k.name AS kind, host(d.address) AS address, d.mac::text AS mac, d.serial, d.place, d.status, d.status_since
       FROM best JOIN device d ON d.id = best.id JOIN device_kind k ON k.id = d.kind_id ORDER BY best.rank, lower(${deviceLabel('d')}), d.id LIMIT $1`,
    values,
  );
  return rows;
}
