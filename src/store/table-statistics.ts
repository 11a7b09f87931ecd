/**
 * Fresh statistics for tables that grow fast. Enters: a pool. Leaves: ANALYZE of those that have more than doubled. Invariant: a table that was
 * analysed lately or has grown little is left to autovacuum.
 *
 * Autovacuum looks once a minute. Until then the planner believes that a new table is empty, and plans that are kept (prepared statements, the checks of
 * foreign keys) read all of it for every row: a provider's first minute would be its slowest. ANALYZE also makes them planned anew.
 */
import type { Pool } from 'pg';

/** Smaller ones are read whole in no time. */
const FEWEST_ROWS = 500;
/** From here on autovacuum is quick enough, for it takes long to double. */
const MOST_ROWS = 1_000_000;

/** Partitions go by the name of their table and a month. */
const GROWN = `SELECT c.oid::regclass::text AS name FROM pg_stat_user_tables t JOIN pg_class c ON c.oid = t.relid
  WHERE t.schemaname = current_schema() AND t.relname ~ $1 AND t.n_live_tup BETWEEN $2 AND $3 AND t.n_live_tup > 2 * greatest(c.reltuples, 0)`;

/** What the applier and the reserve find their rows in. */
const TABLES =
  '^(session|session_key|session_history|assignment|assignment_open|assignment_holder|period|change_feed|pool_address|access_attempt|lease)(_\\d{6})?$';

/** @returns the tables that were analysed @throws the database's error */
export async function analyzeGrown(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(GROWN, [TABLES, FEWEST_ROWS, MOST_ROWS]);
  // The name comes quoted from the database where it needs to be.
  for (const { name } of rows) await pool.query(`ANALYZE ${name}`);
  return rows.map(({ name }) => name);
}
