/**
 * Voluntary blocks that have lasted as long as they may. Enters: the clock. Leaves: flags taken back. Invariants: only the block that was looked at is ended,
 * not one that began meanwhile; rows that somebody keeps locked are left for the next time; whoever reads the history sees who did it.
 */
import type { Pool } from 'pg';
import { isOwnBlockOver } from '../domain/own-block.js';
import { withTransaction } from './database.js';

/** In `subscriber_event.changed_by`. */
export const OWN_BLOCK_ACTOR = 'sluice: the longest voluntary block';

interface Candidate {
  readonly id: number;
  readonly since: Date;
  readonly max_days: number;
  readonly now: Date;
}

/**
 * Ends what is over, those first that are over for longest.
 *
 * @returns how many were ended
 */
export async function endOwnBlocks(pool: Pool, limit: number): Promise<number> {
  const { rows } = await pool.query<Candidate>(
    `SELECT s.id, s.own_disabled_since AS since, coalesce(a.own_block_max_days, p.own_block_max_days) AS max_days, now() AS now
     FROM subscriber s JOIN account a ON a.id = s.account_id LEFT JOIN plan p ON p.id = a.plan_id
     WHERE s.own_disabled AND NOT s.deleted AND s.own_disabled_since IS NOT NULL
       AND coalesce(a.own_block_max_days, p.own_block_max_days, 0) > 0
     ORDER BY s.own_disabled_since + coalesce(a.own_block_max_days, p.own_block_max_days) * interval '24 hours', s.id LIMIT $1`,
    [limit],
  );
  const over = rows.filter(({ since, max_days: maxDays, now }) =>
    isOwnBlockOver(
      { isOn: true, sinceMs: since.getTime(), endedAtMs: null },
      { maxDays, pauseDays: null },
      now.getTime(),
    ),
  );
  if (over.length === 0) return 0;
  return await withTransaction(pool, async (client) => {
    await client.query(`SELECT set_config('sluice.actor', $1, true)`, [OWN_BLOCK_ACTOR]);
    const { rowCount } = await client.query(
      `UPDATE subscriber SET own_disabled = false, own_disabled_reason = NULL WHERE id = ANY (ARRAY(
         SELECT s.id FROM subscriber s JOIN unnest($1::bigint[], $2::timestamptz[]) AS r (id, since) ON s.id = r.id
         WHERE s.own_disabled AND date_trunc('milliseconds', s.own_disabled_since) = r.since ORDER BY s.id FOR UPDATE OF s SKIP LOCKED))`,
      [over.map(({ id }) => id), over.map(({ since }) => since)],
    );
    return rowCount ?? 0;
  });
}
