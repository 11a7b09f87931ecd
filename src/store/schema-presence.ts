/**
 * Two questions that a command asks of a database before it works in it, or before it stops it.
 *
 * Enters: a pool. Leaves: yes or no, a number. Invariant: both only read, and take milliseconds.
 */
import type { Pool } from 'pg';

/** Whether the tables of Sluice are there. How far they are migrated is `schemaStatus`'s business. */
export async function hasSchema(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query<{ present: boolean }>(
    `SELECT to_regclass('subscriber') IS NOT NULL AND to_regclass('change_feed') IS NOT NULL AS present`,
  );
  return rows[0]?.present ?? false;
}

/** How many other connections of programs this server has: above 0 it must not be stopped. */
export async function countOtherClients(pool: Pool, applicationName: string): Promise<number> {
  const { rows } = await pool.query<{ clients: number }>(
    `SELECT count(*)::int AS clients FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> $1`,
    [applicationName],
  );
  return rows[0]?.clients ?? 0;
}
