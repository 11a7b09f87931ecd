/**
 * Leases that relayed packets told of. Enters: a pool. Leaves: those that are bound, page by page. Invariant: no transaction stays open while somebody looks at
 * them; each address comes once.
 */
import type { Pool } from 'pg';

/** Rows of one page. */
const PAGE_ROWS = 1_000;

/** What hooks and levers tell of waits in their files meanwhile, and need not be asked about. */
const PAGE = `SELECT host(address) AS address, source FROM lease
  WHERE routing_domain = $1 AND state = 'bound' AND via IN ('packet', 'leasequery') AND address > $2 ORDER BY address LIMIT $3`;

export async function* believedLeases(
  pool: Pool,
  routingDomain: string,
): AsyncGenerator<{ readonly address: string; readonly source: string }> {
  let after = '0.0.0.0';
  for (;;) {
    const { rows } = await pool.query<{ address: string; source: string }>(PAGE, [routingDomain, after, PAGE_ROWS]);
    yield* rows;
    if (rows.length < PAGE_ROWS) return;
    after = rows.at(-1)!.address;
  }
}
