/**
 * Plans: written and read by name.
 *
 * Enters: validated values. Leaves: rows with the column names of the schema.
 * Invariant: a change is one statement, so the change feed hears of it once.
 */
import type { Pool, PoolClient } from 'pg';

/** A row of `plan`, with the name of its pool and how many accounts have it. */
export interface PlanRow {
  id: number;
  name: string;
  active: boolean;
  valid_from: Date | null;
  valid_until: Date | null;
  rate_down_bps: number | null;
  rate_up_bps: number | null;
  pool_id: number | null;
  pool: string | null;
  framed_pool_id: number | null;
  framed_pool: string | null;
  delegated_pool_id: number | null;
  delegated_pool: string | null;
  session_limit: number;
  session_limit_action: 'reject' | 'replace';
  /** Days after which a voluntary block ends by itself, and between two of them; null and 0: no limit. */
  own_block_max_days: number | null;
  own_block_pause_days: number | null;
  created_at: Date;
  accounts: number;
}

/** What may be written to a plan; a key that is absent stays as it is (or takes the column's default). */
export interface PlanValues {
  active?: boolean;
  valid_from?: Date | null;
  valid_until?: Date | null;
  rate_down_bps?: number | null;
  rate_up_bps?: number | null;
  pool_id?: number | null;
  framed_pool_id?: number | null;
  delegated_pool_id?: number | null;
  session_limit?: number;
  session_limit_action?: string;
  own_block_max_days?: number | null;
  own_block_pause_days?: number | null;
}

// Written out once: only these names ever become part of a statement.
const planColumns = [
  'active',
  'valid_from',
  'valid_until',
  'rate_down_bps',
  'rate_up_bps',
  'pool_id',
  'framed_pool_id',
  'delegated_pool_id',
  'session_limit',
  'session_limit_action',
  'own_block_max_days',
  'own_block_pause_days',
] as const satisfies readonly (keyof PlanValues)[];

const selectPlans = `
  SELECT p.id, p.name, p.active, p.valid_from, p.valid_until, p.rate_down_bps, p.rate_up_bps, p.pool_id,
         o.name AS pool, p.framed_pool_id, f.name AS framed_pool, p.delegated_pool_id, d.name AS delegated_pool, p.session_limit, p.session_limit_action,
         p.own_block_max_days, p.own_block_pause_days, p.created_at,
         (SELECT count(*)::int FROM account a WHERE a.plan_id = p.id) AS accounts
    FROM plan p LEFT JOIN pool o ON o.id = p.pool_id
    LEFT JOIN pool f ON f.id = p.framed_pool_id LEFT JOIN pool d ON d.id = p.delegated_pool_id`;

/** All plans by name. */
export async function listPlans(pool: Pool): Promise<PlanRow[]> {
  return (await pool.query<PlanRow>(`${selectPlans} ORDER BY p.name`)).rows;
}

/** One plan, or undefined. */
export async function findPlan(client: Pool | PoolClient, name: string): Promise<PlanRow | undefined> {
  return (await client.query<PlanRow>(`${selectPlans} WHERE p.name = $1`, [name])).rows[0];
}

/** Ids of all plans and pools by name, for commands that translate many names. */
export async function loadCatalogueIds(
  client: Pool | PoolClient,
): Promise<{ plans: Map<string, number>; pools: Map<string, number> }> {
  const { rows } = await client.query<{ kind: 'plan' | 'pool'; id: number; name: string }>(
    `SELECT 'plan' AS kind, id, name FROM plan UNION ALL SELECT 'pool', id, name FROM pool`,
  );
  const idsOf = (kind: string) => new Map(rows.filter((row) => row.kind === kind).map((row) => [row.name, row.id]));
  return { plans: idsOf('plan'), pools: idsOf('pool') };
}

/**
 * Makes a plan.
 *
 * @throws DatabaseError with constraint `plan_name_unique` when there is one of that name, or one of the `plan_…` checks
 */
export async function insertPlan(client: PoolClient, name: string, values: PlanValues): Promise<void> {
  const columns = planColumns.filter((column) => values[column] !== undefined);
  const names = ['name', ...columns].join(', ');
  const places = ['name', ...columns].map((_, index) => `$${String(index + 1)}`).join(', ');
  await client.query(`INSERT INTO plan (${names}) VALUES (${places})`, [
    name,
    ...columns.map((column) => values[column]),
  ]);
}

/**
 * Changes a plan; everybody who has it is re-read by every server.
 *
 * @returns false when there is no such plan
 * @throws DatabaseError with one of the `plan_…` constraints
 */
export async function updatePlan(client: PoolClient, name: string, values: PlanValues): Promise<boolean> {
  const columns = planColumns.filter((column) => values[column] !== undefined);
  if (columns.length === 0) return (await findPlan(client, name)) !== undefined;
  const assignments = columns.map((column, index) => `${column} = $${String(index + 2)}`).join(', ');
  const result = await client.query(`UPDATE plan SET ${assignments} WHERE name = $1`, [
    name,
    ...columns.map((column) => values[column]),
  ]);
  return result.rowCount === 1;
}

/** A server that has used this database, and what it still holds. */
export interface InstanceRow {
  name: string;
  started_at: Date;
  heartbeat_at: Date;
  caught_up_at: Date;
  stopped_at: Date | null;
  spool_uuid: string | null;
  reserved_addresses: number;
}

/** All instances by name, with the number of addresses in their reserve. */
export async function listInstances(pool: Pool): Promise<InstanceRow[]> {
  return (
    await pool.query<InstanceRow>(
      `SELECT i.name, i.started_at, i.heartbeat_at, i.caught_up_at, i.stopped_at, i.spool_uuid,
              (SELECT count(*)::int FROM pool_address p WHERE p.state = 'reserved' AND p.instance = i.name)
                AS reserved_addresses
         FROM instance i ORDER BY i.name`,
    )
  ).rows;
}
