// Leases and refused lease events for tests. Enters: what a test cares about. Leaves: rows with whatever else the schema wants.

import type pg from 'pg';

async function insert(pool: pg.Pool, table: string, row: Readonly<Record<string, unknown>>): Promise<void> {
  const columns = Object.keys(row);
  await pool.query(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((_, i) => `$${String(i + 1)}`).join(', ')})`,
    Object.values(row),
  );
}

/** A bound lease for an hour from now on; with `ended_at` one that is over. */
export async function addLease(
  pool: pg.Pool,
  { address, ...row }: { readonly address: string; readonly [column: string]: unknown },
): Promise<void> {
  const began = row['began_at'] ?? new Date();
  const isOver = row['ended_at'] !== undefined;
  await insert(pool, 'lease', {
    routing_domain: 'default',
    address,
    state: isOver ? 'ended' : 'bound',
    nas_name: 'bras1',
    began_at: began,
    committed_at: began,
    ends_at: new Date(Date.now() + 3_600_000),
    event_at: began,
    source: 'dhcp1',
    via: 'hook',
    ...(isOver && { end_cause: 'expiry' }),
    ...row,
  });
}

/** A commit that was refused just now. */
export async function addRefusal(
  pool: pg.Pool,
  { address, ...row }: { readonly address: string; readonly [column: string]: unknown },
): Promise<void> {
  const at = row['at'] ?? new Date();
  await insert(pool, 'lease_refusal', {
    routing_domain: 'default',
    address,
    first_at: at,
    at,
    kind: 'commit',
    reason: 'no-device',
    source: 'dhcp1',
    via: 'hook',
    ...row,
  });
}
