/**
 * Sessions of which nothing is heard, as the database knows them. Enters: limits per box. Leaves: how each box sounds, marks, and the silent.
 * Invariants: only sessions that have sent an update are judged; nothing here decides that a box is out.
 */
import type { Pool } from 'pg';
import type { BoxSound, SilenceLimit } from '../domain/silence.js';
import { CAUGHT_UP, type FoundSession } from './sweeps.js';

/** A NAS that sends updates more often than this is measured against this, s: the shortest that RFC 2869 §5.16 allows. */
const SHORTEST_INTERVAL_SECONDS = 60;

/**
 * The interval is the one that a box really uses: the median of the last gaps of its sessions. What the NAS entry said by other ways than
 * sessions in hand counts for a box only when it is the only one of its entry.
 */
const BOX_SOUNDS = `WITH box AS (
    SELECT nas_name, nas_box, max(last_received_at) AS heard_at,
      percentile_disc(0.5) WITHIN GROUP (ORDER BY interim_seconds) FILTER (WHERE interim_count > 0) AS seconds
    FROM session GROUP BY nas_name, nas_box)
  SELECT nas_name, nas_box, seconds, (extract(epoch FROM heard_at) * 1000)::bigint AS heard_ms FROM (
    SELECT b.nas_name, b.nas_box, greatest(b.seconds, ${SHORTEST_INTERVAL_SECONDS}) AS seconds,
      greatest(b.heard_at, CASE WHEN count(*) OVER (PARTITION BY b.nas_name) = 1 THEN n.last_accounting_at END) AS heard_at
    FROM box b LEFT JOIN nas n ON n.name = b.nas_name) AS sound
  WHERE seconds IS NOT NULL`;

/** How every box with sessions sounds. One pass over the live sessions. */
export async function readBoxSounds(pool: Pool): Promise<BoxSound[]> {
  const { rows } = await pool.query<{ nas_name: string; nas_box: string; seconds: number; heard_ms: number }>(
    BOX_SOUNDS,
  );
  return rows.map((row) => ({
    nasName: row.nas_name,
    nasBox: row.nas_box,
    heardAtMs: row.heard_ms,
    intervalMs: row.seconds * 1000,
  }));
}

/**
 * Until when every instance has applied what it acknowledged, ms since 1970: a session that another instance hears is not silent.
 * @param horizonHours an instance that was not heard of for longer does not count
 */
export async function readCaughtUpMs(pool: Pool, horizonHours: number): Promise<number> {
  const { rows } = await pool.query<{ at: number }>(`SELECT (extract(epoch FROM ${CAUGHT_UP}) * 1000)::bigint AS at`, [
    horizonHours,
  ]);
  return rows[0]!.at;
}

const SILENT = `FROM unnest($1::text[], $2::text[], $3::float8[]) AS b (nas_name, nas_box, before_ms)
  JOIN session s ON s.nas_name = b.nas_name AND s.nas_box = b.nas_box
  WHERE s.interim_count > 0 AND s.last_received_at < to_timestamp(b.before_ms / 1000.0)`;

function columns(limits: readonly SilenceLimit[]): (string | number)[][] {
  return [limits.map((b) => b.nasName), limits.map((b) => b.nasBox), limits.map((b) => b.heardBeforeMs)];
}

/** Marks the silent as suspect; a sign of life clears it when it is applied. @returns how many were marked */
export async function markSuspects(pool: Pool, limits: readonly SilenceLimit[], limit: number): Promise<number> {
  if (limits.length === 0) return 0;
  const result = await pool.query(
    `UPDATE session SET suspect = true WHERE NOT suspect AND id IN (
       SELECT s.id ${SILENT} AND NOT s.suspect LIMIT $4 FOR UPDATE OF s SKIP LOCKED)`,
    [...columns(limits), limit],
  );
  return result.rowCount ?? 0;
}

/** The sessions to close, as they are now. */
export async function findSilent(pool: Pool, limits: readonly SilenceLimit[], limit: number): Promise<FoundSession[]> {
  if (limits.length === 0) return [];
  const { rows } = await pool.query<{ id: number; event_ms: number; received_ms: number }>(
    `SELECT s.id, (extract(epoch FROM s.last_event_at) * 1000)::bigint AS event_ms,
       (extract(epoch FROM s.last_received_at) * 1000)::bigint AS received_ms ${SILENT} LIMIT $4`,
    [...columns(limits), limit],
  );
  return rows.map((row) => ({ id: row.id, lastEventAtMs: row.event_ms, lastReceivedAtMs: row.received_ms }));
}
