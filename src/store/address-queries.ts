/**
 * Who had which address when, and how the addresses of a pool stand.
 *
 * Enters: an IPv4 address, an IPv6 address or prefix, an instant, a pool. Leaves: rows with the column names of the schema.
 * Invariant: every question is answered by an index within milliseconds, however long the history is.
 */
import type { Pool } from 'pg';

/** A hold on an address from one instant to another, with the person behind it. */
export interface AssignmentRow {
  id: number;
  routing_domain: string;
  address: string;
  kind: string;
  subscriber_id: number | null;
  login: string;
  slot: number;
  pool_id: number | null;
  nas_name: string;
  mac: string | null;
  started_at: Date;
  ended_at: Date | null;
  end_cause: string | null;
  contract: string | null;
  name: string | null;
  phone: string | null;
}

/** IPv4 without its length, prefixes with it. */
const text = (column: string): string => `CASE family(${column}) WHEN 4 THEN host(${column}) ELSE ${column}::text END`;

/** Of IPv4 the address itself, of IPv6 every prefix that holds it; each has its index. */
const holding = (address: string): string =>
  address.includes(':') ? `kind <> 'ipv4' AND address >>= $1::inet` : 'address = $1';

const assignmentColumns = `
  h.id, h.routing_domain, ${text('h.address')} AS address, h.kind, h.subscriber_id, h.login, h.slot, h.pool_id, h.nas_name,
  h.mac::text AS mac, h.started_at, h.ended_at, h.end_cause, a.contract, a.name, a.phone`;

const assignmentPeople = `
  LEFT JOIN subscriber s ON s.id = h.subscriber_id LEFT JOIN account a ON a.id = s.account_id`;

/**
 * Who held an address at an instant: from `started_at` on, and before `ended_at`. Several only in several routing domains.
 * Open and closed ones are asked apart, so that only the partitions of that time and later are looked at.
 */
export async function holdersAt(pool: Pool, address: string, at: Date): Promise<AssignmentRow[]> {
  return (
    await pool.query<AssignmentRow>(
      `SELECT ${assignmentColumns} FROM (
         SELECT * FROM assignment WHERE ${holding(address)} AND started_at <= $2 AND ended_at IS NULL
         UNION ALL
         SELECT * FROM assignment WHERE ${holding(address)} AND started_at <= $2 AND ended_at > $2
       ) h ${assignmentPeople} ORDER BY h.routing_domain, h.started_at DESC`,
      [address, at],
    )
  ).rows;
}

/** The last hold that ended at or before an instant, or undefined. */
export async function holderBefore(pool: Pool, address: string, at: Date): Promise<AssignmentRow | undefined> {
  return (
    await pool.query<AssignmentRow>(
      `SELECT ${assignmentColumns} FROM (
         SELECT * FROM assignment WHERE ${holding(address)} AND ended_at <= $2 ORDER BY ended_at DESC LIMIT 1
       ) h ${assignmentPeople}`,
      [address, at],
    )
  ).rows[0];
}

/** The first hold that began after an instant, or undefined. */
export async function holderAfter(pool: Pool, address: string, at: Date): Promise<AssignmentRow | undefined> {
  return (
    await pool.query<AssignmentRow>(
      `SELECT ${assignmentColumns} FROM (
         SELECT * FROM assignment
          WHERE ${holding(address)} AND started_at > $2 AND (ended_at IS NULL OR ended_at > $2) ORDER BY started_at LIMIT 1
       ) h ${assignmentPeople}`,
      [address, at],
    )
  ).rows[0];
}

/** An address of a pool as it stands now. */
export interface PoolAddressRow {
  routing_domain: string;
  address: string;
  pool_id: number;
  pool: string;
  state: 'free' | 'reserved' | 'offered' | 'assigned' | 'quarantined';
  subscriber_id: number | null;
  login: string | null;
  slot: number | null;
  instance: string | null;
  since: Date;
  until_at: Date | null;
}

const selectPoolAddresses = `
  SELECT p.routing_domain, ${text('p.address')} AS address, p.pool_id, o.name AS pool, p.state, p.subscriber_id, s.login,
         p.slot, p.instance, p.since, p.until_at
    FROM pool_address p JOIN pool o ON o.id = p.pool_id LEFT JOIN subscriber s ON s.id = p.subscriber_id`;

/** How an address of a pool, or the prefix that holds it, stands now: one row per routing domain. A prefix that was never given has none. */
export async function poolAddressesOf(pool: Pool, address: string): Promise<PoolAddressRow[]> {
  const inPool = address.includes(':')
    ? `ANY (ARRAY(SELECT DISTINCT network(set_masklen($1::inet, prefix_length))::inet FROM pool WHERE kind <> 'ipv4'))`
    : '$1';
  return (
    await pool.query<PoolAddressRow>(
      `${selectPoolAddresses}
        WHERE p.address = ${inPool} AND p.routing_domain IN (SELECT DISTINCT routing_domain FROM pool)
        ORDER BY p.routing_domain`,
      [address],
    )
  ).rows;
}

/** One page of addresses of one pool or all, in the given states, in order. */
export async function listPoolAddresses(
  pool: Pool,
  filter: { poolId?: number; states: readonly string[] },
  after: { routingDomain: string; address: string },
  limit: number,
): Promise<PoolAddressRow[]> {
  return (
    await pool.query<PoolAddressRow>(
      `${selectPoolAddresses}
        WHERE (p.routing_domain, p.address) > ($1, $2::inet) AND ($3::bigint IS NULL OR p.pool_id = $3)
          AND p.state = ANY ($4)
        ORDER BY p.routing_domain, p.address LIMIT $5`,
      [after.routingDomain, after.address, filter.poolId ?? null, filter.states, limit],
    )
  ).rows;
}

/** A subscriber to whom an address belongs by contract. */
export interface StaticOwnerRow {
  subscriber_id: number;
  login: string;
  contract: string;
  deleted: boolean;
}

/** Whose static address this is, or in whose static prefix it lies, or undefined. A deleted one keeps it until its last session ends. */
export async function staticOwnerOf(pool: Pool, address: string): Promise<StaticOwnerRow | undefined> {
  return (
    await pool.query<StaticOwnerRow>(
      `SELECT s.id AS subscriber_id, s.login, a.contract, s.deleted FROM subscriber s JOIN account a ON a.id = s.account_id
        WHERE ${
          address.includes(':')
            ? '(s.static_framed_prefix >>= $1::inet OR s.static_delegated_prefix >>= $1::inet)'
            : 's.static_address = $1'
        } AND s.released_at IS NULL`,
      [address],
    )
  ).rows[0];
}

/** What a subscriber has now: open assignments, and sticky or offered addresses of pools. */
export async function addressesOf(
  pool: Pool,
  subscriberId: number,
): Promise<{ assignments: AssignmentRow[]; poolAddresses: PoolAddressRow[] }> {
  const assignments = await pool.query<AssignmentRow>(
    `SELECT ${assignmentColumns} FROM assignment h ${assignmentPeople}
      WHERE h.subscriber_id = $1 AND h.ended_at IS NULL ORDER BY h.slot, h.started_at`,
    [subscriberId],
  );
  const poolAddresses = await pool.query<PoolAddressRow>(
    `${selectPoolAddresses} WHERE p.subscriber_id = $1 ORDER BY p.slot, p.address LIMIT 100`,
    [subscriberId],
  );
  return { assignments: assignments.rows, poolAddresses: poolAddresses.rows };
}
