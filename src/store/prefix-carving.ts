// Enters: how many prefixes an instance wants of a pool in which none that was given before is free. Leaves: prefixes that nobody was ever given,
// as rows of pool_address that are this instance's to offer. Invariants: a network is cut from its beginning on, and `carved` says how far, so a
// prefix is cut once; a pool of 16 million prefixes has as many rows as were ever in use or in a reserve at once, and one that is given
// back is given out again before another is cut.

import type { Pool, PoolClient } from 'pg';
import { nthPrefix } from '../domain/ipv6-prefix.js';
import type { PoolAddress } from '../domain/pool-address.js';
import { withTransaction } from './database.js';

/** An address or prefix that an instance holds to offer it. */
export interface ReservedAddress {
  readonly poolId: number;
  readonly routingDomain: string;
  readonly address: PoolAddress;
}

/** Prefixes cut by one statement at most: some milliseconds of work, and the lock on their network is as short. */
const MAX_SLICE = 512;
/** Slices of one call: where static prefixes cover that many in a row, the next call goes on behind them. */
const MAX_SLICES = 64;

interface NetworkRow {
  readonly network: string;
  readonly prefix_length: number;
  readonly routing_domain: string;
  readonly carved: number;
  readonly size: number;
}

/** A network with something left, locked: two instances never cut the same one at once. */
const NEXT_NETWORK = `SELECT n.network::text AS network, p.prefix_length, p.routing_domain, n.carved, sluice_network_size(n.network, p.prefix_length) AS size
  FROM pool_network n JOIN pool p ON p.id = n.pool_id
  WHERE n.pool_id = $1 AND n.carved < sluice_network_size(n.network, p.prefix_length)
  ORDER BY n.network LIMIT 1 FOR UPDATE OF n`;

/** A static prefix may be longer or shorter than what the pool gives: whatever overlaps it is somebody's. */
export const hasStaticOwner = (prefix: string): string =>
  `EXISTS (SELECT FROM subscriber s WHERE s.static_framed_prefix && ${prefix} AND s.static_framed_prefix IS NOT NULL AND s.released_at IS NULL)
    OR EXISTS (SELECT FROM subscriber s WHERE s.static_delegated_prefix && ${prefix} AND s.static_delegated_prefix IS NOT NULL AND s.released_at IS NULL)`;

/** What is somebody's static prefix now stays free for the time when it no longer is. */
const INSERT = `INSERT INTO pool_address (routing_domain, address, pool_id, state, instance)
  SELECT $1, c.address, $2, CASE WHEN c.taken THEN 'free' ELSE 'reserved' END, CASE WHEN c.taken THEN NULL ELSE $4 END
  FROM (SELECT a.address, (${hasStaticOwner('a.address')}) AS taken FROM unnest($3::inet[]) AS a (address)) c
  ON CONFLICT (routing_domain, address) DO NOTHING
  RETURNING address::text AS address, state`;

/** Cuts new prefixes for the reserve of an instance. @returns as many as wanted, or as there are */
export async function carvePrefixes(
  pool: Pool,
  instance: string,
  poolId: number,
  wanted: number,
): Promise<ReservedAddress[]> {
  return withTransaction(pool, async (client) => {
    const cut: ReservedAddress[] = [];
    for (let slice = 0; slice < MAX_SLICES && cut.length < wanted; slice++) {
      const more = await carveSlice(client, instance, poolId, wanted - cut.length);
      if (more === undefined) break;
      cut.push(...more);
    }
    return cut;
  });
}

/** @returns undefined when every network of the pool has been cut to its end */
async function carveSlice(
  client: PoolClient,
  instance: string,
  poolId: number,
  wanted: number,
): Promise<ReservedAddress[] | undefined> {
  const { rows } = await client.query<NetworkRow>(NEXT_NETWORK, [poolId]);
  const network = rows[0];
  if (network === undefined) return undefined;
  const { routing_domain: routingDomain, prefix_length: length, carved } = network;
  const count = Math.min(wanted, network.size - carved, MAX_SLICE);
  const prefixes = Array.from({ length: count }, (_, index) => nthPrefix(network.network, length, carved + index));
  await client.query('UPDATE pool_network SET carved = $3 WHERE pool_id = $1 AND network = $2::cidr', [
    poolId,
    network.network,
    carved + count,
  ]);
  const inserted = await client.query<{ address: string; state: string }>(INSERT, [
    routingDomain,
    poolId,
    prefixes,
    instance,
  ]);
  return inserted.rows
    .filter((row) => row.state === 'reserved')
    .map(({ address }) => ({ poolId, routingDomain, address }));
}
