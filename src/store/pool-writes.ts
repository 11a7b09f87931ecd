/**
 * Pools: their networks, one row per IPv4 address, and for prefixes only how far they have been cut (`prefix-carving.ts`).
 *
 * Enters: a pool's name, networks, addresses to leave out. Leaves: rows of `pool`, `pool_network`, `pool_address`.
 * Invariant: two pools of one routing domain never share an address, also when two people add at the same moment.
 */
import type { Pool, PoolClient } from 'pg';
import type { AddressKind } from '../domain/pool-address.js';

/** A row of `pool` with its networks and how its addresses stand. */
export interface PoolRow {
  id: number;
  name: string;
  routing_domain: string;
  kind: AddressKind;
  /** Bits of what is handed out. */
  prefix_length: number;
  quarantine_seconds: number;
  created_at: Date;
  networks: string[];
  /** Or prefixes, given before or not. */
  addresses: number;
  free: number;
  reserved: number;
  offered: number;
  assigned: number;
  quarantined: number;
}

const selectPools = `
  SELECT p.id, p.name, p.routing_domain, p.kind, p.prefix_length, p.quarantine_seconds, p.created_at,
         ARRAY(SELECT n.network::text FROM pool_network n WHERE n.pool_id = p.id ORDER BY n.network) AS networks,
         count(a.address) + z.uncut AS addresses,
         count(*) FILTER (WHERE a.state = 'free') + z.uncut AS free,
         count(*) FILTER (WHERE a.state = 'reserved')::int AS reserved,
         count(*) FILTER (WHERE a.state = 'offered')::int AS offered,
         count(*) FILTER (WHERE a.state = 'assigned')::int AS assigned,
         count(*) FILTER (WHERE a.state = 'quarantined')::int AS quarantined
    FROM pool p LEFT JOIN pool_address a ON a.pool_id = p.id
    CROSS JOIN LATERAL (SELECT coalesce(sum(sluice_network_size(n.network, p.prefix_length) - n.carved), 0)::bigint AS uncut
      FROM pool_network n WHERE n.pool_id = p.id AND p.kind <> 'ipv4') z`;

/** All pools by name. Counts every address: about a tenth of a second per /16. */
export async function listPools(pool: Pool): Promise<PoolRow[]> {
  return (await pool.query<PoolRow>(`${selectPools} GROUP BY p.id, z.uncut ORDER BY p.name`)).rows;
}

/** One pool, or undefined. */
export async function findPool(client: Pool | PoolClient, name: string): Promise<PoolRow | undefined> {
  return (await client.query<PoolRow>(`${selectPools} WHERE p.name = $1 GROUP BY p.id, z.uncut`, [name])).rows[0];
}

/** Makes an empty pool and returns its id. Throws DatabaseError with constraint `pool_name_unique`. */
export async function insertPool(
  client: PoolClient,
  values: { name: string; routingDomain: string; quarantineSeconds: number; kind: AddressKind; prefixLength: number },
): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `INSERT INTO pool (name, routing_domain, quarantine_seconds, kind, prefix_length) VALUES ($1, $2, $3, $4, $5) RETURNING id`,
    [values.name, values.routingDomain, values.quarantineSeconds, values.kind, values.prefixLength],
  );
  return rows[0]!.id;
}

/** Changes a pool's quarantine. The update alone also tells every server that the pool has changed. */
export async function updatePool(client: PoolClient, poolId: number, quarantineSeconds: number): Promise<void> {
  await client.query(`UPDATE pool SET quarantine_seconds = $2 WHERE id = $1`, [poolId, quarantineSeconds]);
}

/** A network that is in the way of a new one. */
export interface NetworkConflict {
  pool: string;
  network: string;
}

/**
 * Adds a network, unless a pool of the same routing domain holds a part of it.
 *
 * @param client in a transaction: from here to its end nobody else adds a network
 * @returns the network in the way, or undefined when it was added
 */
export async function insertNetwork(
  client: PoolClient,
  poolId: number,
  routingDomain: string,
  network: string,
): Promise<NetworkConflict | undefined> {
  await client.query('LOCK TABLE pool_network IN SHARE ROW EXCLUSIVE MODE');
  const { rows } = await client.query<NetworkConflict>(
    `SELECT p.name AS pool, n.network::text AS network FROM pool_network n JOIN pool p ON p.id = n.pool_id
      WHERE p.routing_domain = $1 AND n.network && $2::cidr ORDER BY n.network LIMIT 1`,
    [routingDomain, network],
  );
  if (rows[0] !== undefined) return rows[0];
  await client.query(`INSERT INTO pool_network (pool_id, network) VALUES ($1, $2)`, [poolId, network]);
  return undefined;
}

/**
 * Adds one slice of addresses.
 *
 * @param first offset of the first address from the network's own
 * @param last offset of the last address, inclusive
 * @param excluded addresses to leave out (a gateway)
 * @returns how many rows were added
 */
export async function insertAddresses(
  client: PoolClient,
  slice: {
    poolId: number;
    routingDomain: string;
    network: string;
    first: number;
    last: number;
    excluded: readonly string[];
  },
): Promise<number> {
  const result = await client.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id)
     SELECT $1, host(($2::cidr)::inet + step)::inet, $3
       FROM generate_series($4::bigint, $5::bigint) AS step
      WHERE NOT host(($2::cidr)::inet + step)::inet = ANY ($6::inet[])`,
    [slice.routingDomain, slice.network, slice.poolId, slice.first, slice.last, slice.excluded],
  );
  return result.rowCount ?? 0;
}
