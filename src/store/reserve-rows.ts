// Enters: how many addresses or prefixes an instance wants of which pool. Leaves: rows of pool_address that are its own to offer, and back.
// Invariant: an address is in the reserve of one instance at most, because taking it is one UPDATE of rows locked with
// SKIP LOCKED; what is given back is only what the caller still holds.

import type { Pool, PoolClient } from 'pg';
import { formatPoolAddress, type PoolAddress } from '../domain/pool-address.js';
import { hasStaticOwner, type ReservedAddress } from './prefix-carving.js';

export interface ReserveWant {
  readonly poolId: number;
  readonly count: number;
}

interface ReservedRow {
  readonly pool_id: number;
  readonly routing_domain: string;
  readonly address: PoolAddress;
}

const RETURNED = `a.pool_id, a.routing_domain, a.address - inet '0.0.0.0' AS address`;
const RETURNED_PREFIX = `a.pool_id, a.routing_domain, a.address::text AS address`;

function reservedOf(row: ReservedRow): ReservedAddress {
  return { poolId: row.pool_id, routingDomain: row.routing_domain, address: row.address };
}

/**
 * Rows are updated by their place (ctid), which the lock holds still: how many the LIMIT lets through is unknown to the planner, and for a join by
 * address it would read the whole pool.
 */
const take = (staticOwner: string, returned: string): string => `WITH picked AS MATERIALIZED (
    SELECT p.place FROM unnest($2::bigint[], $3::int[]) AS want (pool_id, count) CROSS JOIN LATERAL (
      SELECT a.ctid AS place FROM pool_address a
      WHERE a.pool_id = want.pool_id AND a.state = 'free' AND a.subscriber_id IS NULL
        AND NOT (${staticOwner})
      ORDER BY a.since LIMIT want.count FOR UPDATE SKIP LOCKED) AS p)
  UPDATE pool_address a SET state = 'reserved', instance = $1, since = now()
  WHERE a.ctid = ANY (ARRAY(SELECT place FROM picked))
  RETURNING ${returned}`;

const TAKE = take(
  'EXISTS (SELECT FROM subscriber s WHERE s.static_address = a.address AND s.released_at IS NULL)',
  RETURNED,
);

const TAKE_PREFIXES = take(hasStaticOwner('a.address'), RETURNED_PREFIX);

/**
 * Takes addresses for an instance: those longest without use that belong to nobody, are kept for nobody, and are nobody's
 * static address. One statement for all pools of a family.
 *
 * @param family of a pool of prefixes only those come that were given to somebody before: `carvePrefixes` makes new ones
 */
export async function takeForReserve(
  pool: Pool,
  instance: string,
  family: 'addresses' | 'prefixes',
  wants: readonly ReserveWant[],
): Promise<ReservedAddress[]> {
  if (wants.length === 0) return [];
  const { rows } = await pool.query<ReservedRow>({
    name: `take-${family}-for-reserve`,
    text: family === 'addresses' ? TAKE : TAKE_PREFIXES,
    values: [instance, wants.map((want) => want.poolId), wants.map((want) => want.count)],
  });
  return rows.map(reservedOf);
}

/** What an instance holds, for its start: everything granted has left this state when the spool has been applied. */
export async function readReserve(pool: Pool, instance: string): Promise<ReservedAddress[]> {
  const { rows } = await pool.query<ReservedRow>(
    `SELECT ${RETURNED} FROM pool_address a WHERE a.state = 'reserved' AND a.instance = $1 AND family(a.address) = 4`,
    [instance],
  );
  const prefixes = await pool.query<ReservedRow>(
    `SELECT ${RETURNED_PREFIX} FROM pool_address a WHERE a.state = 'reserved' AND a.instance = $1 AND family(a.address) = 6`,
    [instance],
  );
  return [...rows, ...prefixes.rows].map(reservedOf);
}

/** Gives addresses back that were never granted. @returns how many were */
export async function returnFromReserve(
  pool: Pool,
  instance: string,
  addresses: readonly ReservedAddress[],
): Promise<number> {
  if (addresses.length === 0) return 0;
  const result = await pool.query(
    `UPDATE pool_address a SET state = 'free', instance = NULL, since = now()
     FROM unnest($2::text[], $3::inet[]) AS mine (routing_domain, address)
     WHERE a.routing_domain = mine.routing_domain AND a.address = mine.address
       AND a.state = 'reserved' AND a.instance = $1`,
    [instance, addresses.map((one) => one.routingDomain), addresses.map((one) => formatPoolAddress(one.address))],
  );
  return result.rowCount ?? 0;
}

/**
 * Frees the reserve of an instance that will never come back. The caller has made sure of that: its spool may hold grants of
 * these addresses that were never applied.
 *
 * @returns how many addresses became free
 */
export async function forgetInstance(pool: Pool | PoolClient, instance: string): Promise<number> {
  const result = await pool.query(
    `UPDATE pool_address SET state = 'free', instance = NULL, since = now() WHERE state = 'reserved' AND instance = $1`,
    [instance],
  );
  return result.rowCount ?? 0;
}

/** Addresses or prefixes of each pool by the networks it was made of: what shares of a pool are counted from. */
export async function readPoolSizes(pool: Pool): Promise<ReadonlyMap<number, number>> {
  const { rows } = await pool.query<{ pool_id: number; size: number }>(
    `SELECT n.pool_id, sum(sluice_network_size(n.network, p.prefix_length))::bigint AS size
     FROM pool_network n JOIN pool p ON p.id = n.pool_id GROUP BY n.pool_id`,
  );
  return new Map(rows.map((row) => [row.pool_id, row.size]));
}
