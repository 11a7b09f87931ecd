/**
 * Addresses and prefixes promised in an Accept, as the spool replays them: granted from the reserve, or kept for their owner and promised again. Enters: decoded grants. Leaves: `pool_address` rows in state offered. Invariant: an
 * address that is in use already, because the Start came first, stays in use.
 */
import type { PoolClient } from 'pg';
import { addressKey } from '../domain/assignment.js';
import type { Grant } from '../domain/grant.js';
import { formatPoolAddress } from '../domain/pool-address.js';

/** An address that is its owner's already, or nobody's (its owner lost it while he was being answered), goes to whom it was promised. */
const APPLY = `UPDATE pool_address a SET state = 'offered', subscriber_id = g.subscriber_id, slot = g.slot, offer_id = g.offer_id,
    instance = $7, since = now(), until_at = to_timestamp(g.expires_ms / 1000.0)
  FROM unnest($1::text[], $2::inet[], $3::bigint[], $4::smallint[], $5::bigint[], $6::float8[])
      AS g (routing_domain, address, subscriber_id, slot, offer_id, expires_ms)
    JOIN pool_address old ON old.routing_domain = g.routing_domain AND old.address = g.address
  WHERE a.routing_domain = g.routing_domain AND a.address = g.address
    AND ((a.state = 'reserved' AND a.instance = $7)
      OR (a.state IN ('free', 'quarantined', 'offered') AND coalesce(a.subscriber_id, g.subscriber_id) = g.subscriber_id))
  RETURNING a.subscriber_id, old.subscriber_id IS DISTINCT FROM a.subscriber_id AS is_new`;

export async function applyGrants(client: PoolClient, instance: string, grants: readonly Grant[]): Promise<void> {
  if (grants.length === 0) return;
  // Of one address only the last promise counts.
  const last = new Map(
    grants.flatMap((grant) =>
      grant.granted.map(({ address }) => {
        const text = formatPoolAddress(address);
        return [addressKey(grant.routingDomain, text), { ...grant, text }] as const;
      }),
    ),
  );
  const list = [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, grant]) => grant);
  const { rows } = await client.query<{ subscriber_id: number; is_new: boolean }>({
    name: 'apply-grants',
    text: APPLY,
    values: [
      list.map((g) => g.routingDomain),
      list.map((g) => g.text),
      list.map((g) => g.subscriberId),
      list.map((g) => g.slot),
      list.map((g) => g.offerId),
      list.map((g) => g.expiresAtMs),
      instance,
    ],
  });
  const owners = [...new Set(rows.filter((r) => r.is_new).map((r) => r.subscriber_id))];
  if (owners.length === 0) return;
  await client.query(`INSERT INTO change_feed (kind, ref) SELECT 'address', id FROM unnest($1::bigint[]) AS s (id)`, [
    owners,
  ]);
}
