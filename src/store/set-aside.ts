/**
 * Facts that could not be applied and wait for a person.
 *
 * Enters: filters, an id. Leaves: rows of `set_aside`. Invariant: reading changes nothing.
 */
import type { Pool } from 'pg';

/** A row of `set_aside` without its octets. */
export interface SetAsideRow {
  id: number;
  at: Date;
  instance: string;
  spool_uuid: string;
  segment: number;
  byte_offset: number;
  received_at: Date | null;
  nas_name: string | null;
  reason: string;
  detail: string | null;
  octets: number;
  resolved_at: Date | null;
}

const selectSetAside = `
  SELECT id, at, instance, spool_uuid, segment, byte_offset, received_at, nas_name, reason, detail,
         octet_length(payload) AS octets, resolved_at
    FROM set_aside`;

/** What was set aside, newest first. `resolved` adds what has been dealt with. */
export async function listSetAside(pool: Pool, filter: { resolved: boolean; limit: number }): Promise<SetAsideRow[]> {
  return (
    await pool.query<SetAsideRow>(`${selectSetAside} WHERE $1 OR resolved_at IS NULL ORDER BY id DESC LIMIT $2`, [
      filter.resolved,
      filter.limit,
    ])
  ).rows;
}

/** One of them with its octets, or undefined. */
export async function findSetAside(pool: Pool, id: number): Promise<(SetAsideRow & { payload: Buffer }) | undefined> {
  const row = (await pool.query<SetAsideRow>(`${selectSetAside} WHERE id = $1`, [id])).rows[0];
  const octets = (await pool.query<{ payload: Buffer }>(`SELECT payload FROM set_aside WHERE id = $1`, [id])).rows[0];
  return row === undefined || octets === undefined ? undefined : { ...row, payload: octets.payload };
}
