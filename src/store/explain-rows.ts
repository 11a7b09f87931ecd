/**
 * The part of the directory that one subscriber's request is decided from.
 *
 * Enters: a subscriber. Leaves: a directory as the server holds it, with this subscriber and everybody who could be taken for
 * it. Invariant: filled by the server's own loader, so that what is explained is what would be done.
 */
import type { Pool } from 'pg';
import type { AccessLine } from '../domain/access-line.js';
import { Directory } from './directory.js';
import { DirectoryLoader } from './directory-loader.js';

/** Who could be taken for whom: more than these do not change the answer. */
const mostLookalikes = 100;

/** The devices of a line, and of the subscriber himself. */
const DEVICES = `SELECT id FROM device WHERE id = (SELECT device_id FROM subscriber WHERE id = $1)
  UNION SELECT id FROM device WHERE mac = $2::macaddr UNION SELECT id FROM device WHERE name = $3 UNION SELECT id FROM device WHERE serial = ANY ($4::text[])`;

/** Who is plugged into them, at the port of the line or at his own. */
const NEIGHBOURS = `SELECT o.id, o.account_id FROM device d JOIN device_kind k ON k.id = d.kind_id JOIN subscriber o ON o.device_id = d.id
  WHERE d.id = ANY ($1::bigint[]) AND o.released_at IS NULL
    AND (NOT k.by_port OR o.port IN ($2, (SELECT port FROM subscriber WHERE id = $3))) LIMIT $4`;

/** As who, or where, somebody asks. */
export interface AskedAs {
  readonly mac?: string | undefined;
  readonly line?: AccessLine | undefined;
}

/**
 * Loads a directory around a subscriber: those with its login, MAC or static address, or at its line, and sessions on that address or its static
 * prefixes.
 */
export async function loadDirectoryAround(
  pool: Pool,
  subscriberId: number,
  { mac, line }: AskedAs,
): Promise<Directory> {
  const directory = new Directory();
  const lookalikes = await pool.query<{ id: number; account_id: number }>(
    `SELECT o.id, o.account_id FROM subscriber s JOIN subscriber o
         ON o.id = s.id OR o.login = s.login OR o.mac = coalesce($2::macaddr, s.mac) OR o.static_address = s.static_address
      WHERE s.id = $1 AND o.released_at IS NULL ORDER BY o.id <> s.id LIMIT $3`,
    [subscriberId, mac ?? null, mostLookalikes],
  );
  const device = line?.device;
  const named = (by: 'mac' | 'name' | 'serial') => (device?.by === by ? device.value : null);
  const devices = await pool.query<{ id: number }>(DEVICES, [
    subscriberId,
    named('mac'),
    named('name'),
    [named('serial'), line?.onuSerial ?? null],
  ]);
  const deviceIds = devices.rows.map((row) => row.id);
  const neighbours = await pool.query<{ id: number; account_id: number }>(NEIGHBOURS, [
    deviceIds,
    line?.port ?? null,
    subscriberId,
    mostLookalikes,
  ]);
  const people = [...lookalikes.rows, ...neighbours.rows];
  const sessions = await pool.query<{ id: number }>(
    `SELECT id FROM session WHERE subscriber_id = $1
     UNION SELECT h.id FROM session h JOIN subscriber s ON h.address = s.static_address WHERE s.id = $1
     UNION SELECT d.session_id FROM subscriber s JOIN assignment_open o ON o.ended_at IS NULL
         AND o.address IN (s.static_framed_prefix::inet, s.static_delegated_prefix::inet)
       JOIN assignment_holder d ON d.assignment_id = o.id WHERE s.id = $1 LIMIT $2`,
    [subscriberId, mostLookalikes],
  );
  const ids = [...new Set(people.map((row) => row.id))];
  await new DirectoryLoader(pool, directory).apply({
    subscribers: ids,
    accounts: [...new Set(people.map((row) => row.account_id))],
    // Plans and pools are few: the loader reads all of them when it is told of any.
    plans: [0],
    pools: [0],
    devices: deviceIds,
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
