/**
 * What people ask of the network about one subscriber. Enters: a subscriber. Leaves: rows that the owners of NASes act on. Invariant: a wish is a row like any
 * other change, so that it is seen by whichever server commands the NAS, now or after a crash.
 */
import type { PoolClient } from 'pg';
import { SPOIL } from './enforcement-births.js';

/**
 * Nothing is taken for known about the subscriber: all of it is said to its NASes again, what they refused included.
 *
 * @returns on how many places
 */
export async function requestResync(client: PoolClient, subscriberId: number): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `WITH locked AS (SELECT id FROM enforcement WHERE subscriber_id = $1 ORDER BY id FOR UPDATE),
       asked AS (UPDATE enforcement e SET ${SPOIL} FROM locked l WHERE e.id = l.id RETURNING e.id),
       told AS (INSERT INTO change_feed (kind, ref) SELECT 'enforcement', id FROM asked)
     SELECT id FROM asked`,
    [subscriberId],
  );
  await client.query(`SELECT pg_notify('sluice_change', '')`);
  return rows.length;
}

/** Sessions that began before now are to end, and nobody is let in by a portal's word any more. */
export async function requestDisconnect(client: PoolClient, subscriberId: number): Promise<void> {
  await client.query('UPDATE subscriber SET disconnect_before = now(), web_logged_at = NULL WHERE id = $1', [
    subscriberId,
  ]);
}
