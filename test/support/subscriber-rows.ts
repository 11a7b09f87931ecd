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

/** A pool of IPv6 prefixes: nothing is cut yet. */
export async function addPrefixPool(
  pool: pg.Pool,
  network: string,
  row: { readonly kind: 'framed-prefix' | 'delegated-prefix'; readonly prefix_length: number } & Record<
    string,
    unknown
  >,
): Promise<number> {
  const poolId = await insert(pool, 'pool', { name: unique('pool'), ...row });
  await pool.query('INSERT INTO pool_network (pool_id, network) VALUES ($1, $2)', [poolId, network]);
  return poolId;
}

export interface LiveSessionRow {
  readonly subscriberId: number;
  readonly acctSessionId: string;
  readonly address?: string;
  readonly slot?: number;
  readonly mac?: string;
  /** Which instance writes it, as the feed tells. */
  readonly instance?: string;
}

/** A live session as an applier writes it. @returns our id of it */
export async function addLiveSession(pool: pg.Pool, row: LiveSessionRow): Promise<number> {
  const { rows } = await pool.query<{ session_id: number }>(
    `INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch) VALUES ('bras1', 'box1', $1, 0) RETURNING session_id`,
    [row.acctSessionId],
  );
  const id = rows[0]!.session_id;
  await pool.query(
    `INSERT INTO session (id, subscriber_id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, mac, address, slot,
       started_at, started_exactly, last_event_at, last_received_at)
     VALUES ($1, $2, 'x', 'bras1', 'box1', 'default', $3, 0, $4, $5, $6, now(), true, now(), now())`,
    [id, row.subscriberId, row.acctSessionId, row.mac ?? null, row.address ?? null, row.slot ?? 0],
  );
  await pool.query("INSERT INTO change_feed (kind, ref, instance) VALUES ('session', $1, $2)", [
    id,
    row.instance ?? null,
  ]);
  return id;
}

/** Ends it as an applier does. */
export async function closeLiveSession(pool: pg.Pool, sessionId: number, instance: string | null): Promise<void> {
  await pool.query('UPDATE session_key SET closed_at = now() WHERE session_id = $1', [sessionId]);
  await pool.query('DELETE FROM session WHERE id = $1', [sessionId]);
  await pool.query("INSERT INTO change_feed (kind, ref, instance) VALUES ('session', $1, $2)", [sessionId, instance]);
}
