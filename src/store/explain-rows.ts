/**
 * The part of the directory that one subscriber's request is decided from.
 *
 * Enters: a subscriber. Leaves: a directory as the server holds it, with this subscriber and everybody who could be taken for
 * it. Invariant: filled by the server's own loader, so that what is explained is what would be done.
 */
import type { Pool } from 'pg';
import { Directory } from './directory.js';
import { DirectoryLoader } from './directory-loader.js';

/** Who could be taken for whom: more than these do not change the answer. */
const mostLookalikes = 100;

/** Loads a directory around a subscriber: those with its login, MAC or static address, and sessions on that address or its static prefixes. */
export async function loadDirectoryAround(pool: Pool, subscriberId: number, mac: string | null): Promise<Directory> {
  const directory = new Directory();
  const lookalikes = await pool.query<{ id: number; account_id: number }>(
    `SELECT o.id, o.account_id FROM subscriber s JOIN subscriber o
         ON o.id = s.id OR o.login = s.login OR o.mac = coalesce($2::macaddr, s.mac) OR o.static_address = s.static_address
      WHERE s.id = $1 AND o.released_at IS NULL ORDER BY o.id <> s.id LIMIT $3`,
    [subscriberId, mac, mostLookalikes],
  );
  const sessions = await pool.query<{ id: number }>(
    `SELECT id FROM session WHERE subscriber_id = $1
     UNION SELECT h.id FROM session h JOIN subscriber s ON h.address = s.static_address WHERE s.id = $1
     UNION SELECT d.session_id FROM subscriber s JOIN assignment_open o ON o.ended_at IS NULL
         AND o.address IN (s.static_framed_prefix::inet, s.static_delegated_prefix::inet)
       JOIN assignment_holder d ON d.assignment_id = o.id WHERE s.id = $1 LIMIT $2`,
    [subscriberId, mostLookalikes],
  );
  const ids = lookalikes.rows.map((row) => row.id);
  await new DirectoryLoader(pool, directory).apply({
    subscribers: ids,
    accounts: [...new Set(lookalikes.rows.map((row) => row.account_id))],
    // Plans and pools are few: the loader reads all of them when it is told of any.
    plans: [0],
    pools: [0],
    sessions: sessions.rows.map((row) => ({ sessionId: row.id, own: false })),
    addresses: ids,
  });
  directory.markLoaded();
  return directory;
}

/** Free addresses or prefixes of a pool that have no promise on them. */
export async function countFreeAddresses(pool: Pool, poolId: number): Promise<number> {
  const { rows } = await pool.query<{ free: number }>(
    `SELECT (SELECT count(*) FROM pool_address WHERE pool_id = $1 AND state IN ('free', 'reserved'))
       + (SELECT coalesce(sum(sluice_network_size(n.network, p.prefix_length) - n.carved), 0)::bigint
          FROM pool_network n JOIN pool p ON p.id = n.pool_id WHERE p.id = $1 AND p.kind <> 'ipv4') AS free`,
    [poolId],
  );
  return rows[0]?.free ?? 0;
}
