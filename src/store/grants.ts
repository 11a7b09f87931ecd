/**
 * Grants from the reserve, as the spool replays them. Enters: decoded grants. Leaves: `pool_address` rows in state offered. Invariant: an
 * address that is in use already, because the Start came first, stays in use.
 */
import type { PoolClient } from 'pg';
import type { Grant } from '../domain/grant.js';
import { formatIpv4Address } from '../domain/ipv4-address.js';

export async function applyGrants(client: PoolClient, instance: string, grants: readonly Grant[]): Promise<void> {
  if (grants.length === 0) return;
  await client.query(
    `UPDATE pool_address a SET state = 'offered', subscriber_id = g.subscriber_id, slot = g.slot, offer_id = g.offer_id,
       instance = $7, since = now(), until_at = to_timestamp(g.expires_ms / 1000.0)
     FROM unnest($1::text[], $2::inet[], $3::bigint[], $4::smallint[], $5::bigint[], $6::float8[])
       AS g (routing_domain, address, subscriber_id, slot, offer_id, expires_ms)
     WHERE a.routing_domain = g.routing_domain AND a.address = g.address
       AND ((a.state = 'reserved' AND a.instance = $7) OR (a.state = 'free' AND a.subscriber_id IS NULL))`,
    [
      grants.map((g) => g.routingDomain),
      grants.map((g) => formatIpv4Address(g.address)),
      grants.map((g) => g.subscriberId),
      grants.map((g) => g.slot),
      grants.map((g) => g.offerId),
      grants.map((g) => g.expiresAtMs),
      instance,
    ],
  );
}
