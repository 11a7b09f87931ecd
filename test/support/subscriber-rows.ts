// Rows for tests. Enters: what a test cares about. Leaves: rows with whatever else the schema wants, and their ids.

import type pg from 'pg';

let sequence = 0;

function unique(prefix: string): string {
  sequence++;
  return `${prefix}-${String(sequence)}`;
}

async function insert(pool: pg.Pool, table: string, row: Record<string, unknown>): Promise<number> {
  const columns = Object.keys(row);
  const { rows } = await pool.query<{ id: number }>(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((_, i) => `$${String(i + 1)}`).join(', ')}) RETURNING id`,
    Object.values(row),
  );
  return rows[0]!.id;
}

export async function addPlan(pool: pg.Pool, row: Record<string, unknown> = {}): Promise<number> {
  return insert(pool, 'plan', { name: unique('plan'), rate_down_bps: 50_000_000, rate_up_bps: 10_000_000, ...row });
}

export async function addAccount(
  pool: pg.Pool,
  { planId, ...row }: { readonly planId?: number; readonly [column: string]: unknown } = {},
): Promise<number> {
  return insert(pool, 'account', { contract: unique('contract'), plan_id: planId ?? null, ...row });
}

export async function addSubscriber(
  pool: pg.Pool,
  { accountId, ...row }: { readonly accountId: number; readonly [column: string]: unknown },
): Promise<number> {
  return insert(pool, 'subscriber', { account_id: accountId, login: unique('login'), ...row });
}

/** A pool with its addresses, all free. */
export async function addPool(
  pool: pg.Pool,
  network: string,
  addresses: readonly string[],
  row: Record<string, unknown> = {},
): Promise<number> {
  const poolId = await insert(pool, 'pool', { name: unique('pool'), ...row });
  await pool.query('INSERT INTO pool_network (pool_id, network) VALUES ($1, $2)', [poolId, network]);
  await pool.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id)
     SELECT p.routing_domain, a, p.id FROM pool p, unnest($2::inet[]) a WHERE p.id = $1`,
    [poolId, addresses],
  );
  return poolId;
}
