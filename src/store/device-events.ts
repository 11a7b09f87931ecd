/**
 * What monitoring says of devices, in the database. Enters: events. Leaves: status, history, and notices for the people of the group. Invariants: all
 * of one event is one transaction, so a status that changed has its notices whatever crashes then; two events of one device take turns; what
 * names no device or several changes nothing.
 */
import type { Pool } from 'pg';
import { readDeviceReference } from '../domain/device-reference.js';
import { foldDeviceStatus, type DeviceEvent, type DeviceStatus } from '../domain/device-status.js';
import { withTransaction } from './database.js';
import type { ContactKind } from './device-catalogue.js';
import { MEANT_DEVICES, meantBy } from './devices.js';

/** A device as an event found it. */
export interface EventDevice {
  readonly id: number;
  readonly name: string | null;
  readonly mac: string | null;
  readonly serial: string | null;
  readonly address: string | null;
}

/** What became of an event. */
export type DeviceEventOutcome =
  | { readonly outcome: 'unknown-device' }
  | { readonly outcome: 'several-devices'; readonly ids: readonly number[] }
  /** Nobody is told: it was that already, or something newer is known. */
  | { readonly outcome: 'unchanged' | 'late'; readonly device: EventDevice; readonly status: DeviceStatus }
  | {
      readonly outcome: 'changed';
      readonly device: EventDevice;
      readonly status: DeviceStatus;
      readonly oldStatus: DeviceStatus;
      /** Contacts that are told. */
      readonly told: number;
      /** Why nobody is told; null: somebody is. */
      readonly untold: 'not-noticeable' | 'no-contact' | null;
    };

interface LockedDevice extends EventDevice {
  readonly status: DeviceStatus;
  readonly since_ms: number | null;
  readonly event_ms: number | null;
  readonly noticeable: boolean;
  readonly group_id: number | null;
}

// Status is no part of a key: whoever is being plugged in does not wait for this lock, nor it for him.
const LOCK = `SELECT d.id, d.name, d.mac::text AS mac, d.serial, host(d.address) AS address, d.status,
    (extract(epoch FROM d.status_since) * 1000)::bigint AS since_ms, (extract(epoch FROM d.status_at) * 1000)::bigint AS event_ms, d.noticeable, d.group_id
  FROM device d WHERE NOT d.deleted AND (${MEANT_DEVICES}) ORDER BY d.id LIMIT 2 FOR NO KEY UPDATE`;

const STORE = `UPDATE device SET status = $2, status_since = to_timestamp($3::float8 / 1000), status_at = to_timestamp($4::float8 / 1000) WHERE id = $1`;

const NOTICES = `INSERT INTO device_notice (contact_id, device_id, status, old_status, at, note)
  SELECT c.id, $1, $2, $3, to_timestamp($4::float8 / 1000), $5 FROM device_contact c
  WHERE c.group_id = $6 AND c.active AND c.kind = ANY ($7::text[])`;

const HISTORY = `INSERT INTO device_event (received_at, at, device_id, status, old_status, effect, told, source, note)
  VALUES (to_timestamp($1::float8 / 1000), to_timestamp($2::float8 / 1000), $3, $4, $5, $6, $7, $8, $9)`;

/**
 * Stores one event.
 *
 * @param kinds how people can be told with this configuration; nothing is written down for the others
 * @throws the database's error: nothing has happened then
 */
export async function storeDeviceEvent(
  pool: Pool,
  event: DeviceEvent,
  kinds: readonly ContactKind[],
): Promise<DeviceEventOutcome> {
  return await withTransaction(pool, async (client) => {
    const { rows } = await client.query<LockedDevice>(LOCK, meantBy(readDeviceReference(event.device)));
    const [row, other] = rows;
    if (row === undefined) return { outcome: 'unknown-device' };
    if (other !== undefined) return { outcome: 'several-devices', ids: rows.map(({ id }) => id) };
    const stored = { status: row.status, sinceMs: row.since_ms, lastEventAtMs: row.event_ms };
    const { effect, ...next } = foldDeviceStatus(stored, event);
    if (effect !== 'late') await client.query(STORE, [row.id, next.status, next.sinceMs, next.lastEventAtMs]);
    const isTold = effect === 'changed' && row.noticeable && row.group_id !== null;
    const notices = isTold
      ? await client.query(NOTICES, [
          row.id,
          event.status,
          row.status,
          event.eventAtMs,
          event.note,
          row.group_id,
          [...kinds],
        ])
      : undefined;
    const told = notices?.rowCount ?? 0;
    await client.query(HISTORY, [
      event.receivedAtMs,
      event.eventAtMs,
      row.id,
      event.status,
      row.status,
      effect,
      told,
      event.source,
      event.note,
    ]);
    const { id, name, mac, serial, address } = row;
    const device = { id, name, mac, serial, address };
    if (effect !== 'changed') return { outcome: effect, device, status: next.status };
    const untold = told > 0 ? null : row.noticeable ? 'no-contact' : 'not-noticeable';
    return { outcome: 'changed', device, status: next.status, oldStatus: row.status, told, untold };
  });
}

/** A row of `device_event`. */
export interface DeviceEventRow {
  received_at: Date;
  at: Date;
  status: string;
  old_status: string;
  effect: 'changed' | 'unchanged' | 'late';
  told: number;
  source: string;
  note: string | null;
}

/** The last events of a device, newest first. */
export async function listDeviceEvents(pool: Pool, deviceId: number, limit: number): Promise<DeviceEventRow[]> {
  return (
    await pool.query<DeviceEventRow>(
      `SELECT received_at, at, status, old_status, effect, told, source, note FROM device_event
        WHERE device_id = $1 ORDER BY received_at DESC, at DESC LIMIT $2`,
      [deviceId, limit],
    )
  ).rows;
}
