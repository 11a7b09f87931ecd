/**
 * How far a spool has been applied. Enters: a spool's UUID and positions. Leaves: the row that is written in the transaction of
 * the batch itself. Invariant: a position never goes back.
 */
import type { Pool } from 'pg';
import type { Flight } from './flight.js';
import type { RowVersion } from './known-sessions.js';

export interface StoredPosition {
  readonly segment: number;
  readonly offset: number;
}

interface PositionRow {
  readonly segment: number;
  readonly byte_offset: number;
}

/** The position as committed, or undefined for a spool that this database has never seen. */
export async function readPosition(pool: Pool, spoolUuid: string): Promise<StoredPosition | undefined> {
  const { rows } = await pool.query<PositionRow>(
    'SELECT segment, byte_offset FROM spool_position WHERE spool_uuid = $1',
    [spoolUuid],
  );
  return rows[0] && { segment: rows[0].segment, offset: rows[0].byte_offset };
}

/** The position under lock, so that after an ambiguous COMMIT nobody is in between. */
export async function lockPosition(flight: Flight, spoolUuid: string): Promise<StoredPosition | undefined> {
  const answer = flight.send<PositionRow>({
    name: 'lock-position',
    text: 'SELECT segment, byte_offset FROM spool_position WHERE spool_uuid = $1 FOR UPDATE',
    values: [spoolUuid],
  });
  await flight.landed();
  const { rows } = await answer;
  return rows[0] && { segment: rows[0].segment, offset: rows[0].byte_offset };
}

/** @returns the version that all rows written by this transaction have (`xmin`); undefined when the position was there already */
export async function writePosition(
  flight: Flight,
  spoolUuid: string,
  instance: string,
  position: StoredPosition,
  sequence: number,
): Promise<RowVersion | undefined> {
  const answer = flight.send<{ version: string }>({
    name: 'write-position',
    text: `INSERT INTO spool_position (spool_uuid, instance, segment, byte_offset, sequence) VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT (spool_uuid) DO UPDATE SET instance = $2, segment = $3, byte_offset = $4, sequence = $5, updated_at = now()
      WHERE (spool_position.segment, spool_position.byte_offset) < ($3, $4) RETURNING pg_current_xact_id()::xid::text AS version`,
    values: [spoolUuid, instance, position.segment, position.offset, sequence],
  });
  const { rows } = await answer;
  return rows[0] && Number(rows[0].version);
}

/** For a spool that is an older copy than the one the position was taken from: everything in it is applied again. */
export async function forgetPosition(pool: Pool, spoolUuid: string): Promise<void> {
  await pool.query('DELETE FROM spool_position WHERE spool_uuid = $1', [spoolUuid]);
}
