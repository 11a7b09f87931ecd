/**
 * What the page reads besides people: sessions, NASes, pools, addresses over time.
 *
 * Enters: filters and bounds. Leaves: rows with the column names of the schema.
 * Invariant: every answer is bounded; what has to look at whole tables is marked so, and is asked seldom.
 */
import type { Pool } from 'pg';
import type { AddressKind } from '../domain/pool-address.js';

/** A live session as a list shows it. */
export interface ListedSession {
  id: number;
  subscriber_id: number | null;
  login: string;
  nas_name: string;
  nas_box: string;
  mac: string | null;
  address: string | null;
  framed_prefix: string | null;
  delegated_prefix: string | null;
  started_at: Date;
  started_exactly: boolean;
  last_received_at: Date;
  session_seconds: number;
  input_octets: number | bigint;
  output_octets: number | bigint;
  suspect: boolean;
  conflict: string | null;
}

const listedSession = `
  id, subscriber_id, login, nas_name, nas_box, mac::text AS mac, host(address) AS address, framed_prefix::text AS framed_prefix,
  delegated_prefix::text AS delegated_prefix, started_at, started_exactly,
  last_received_at, session_seconds, input_octets, output_octets, suspect, conflict`;

/** Live sessions, the newest first. @param before id of the last row of the page before; undefined for the first page */
export async function newestSessions(pool: Pool, before: number | undefined, limit: number): Promise<ListedSession[]> {
  return (
    await pool.query<ListedSession>(
      `SELECT ${listedSession} FROM session WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2`,
      [before ?? null, limit],
    )
  ).rows;
}

/** Live sessions of one NAS, in the order of their boxes and keys, which is that of the index. */
export async function sessionsOfNas(pool: Pool, nasName: string, limit: number): Promise<ListedSession[]> {
  return (
    await pool.query<ListedSession>(
      `SELECT ${listedSession} FROM session WHERE nas_name = $1
        ORDER BY nas_name, nas_box, acct_session_id, epoch LIMIT $2`,
      [nasName, limit],
    )
  ).rows;
}

/** A NAS as servers have heard it. */
export interface NasRow {
  name: string;
  profile: string;
  last_packet_at: Date | null;
  last_accounting_at: Date | null;
  interim_seconds: number | null;
}

/** All NASes that were ever heard, by name. */
export async function listNas(pool: Pool, limit: number): Promise<NasRow[]> {
  return (
    await pool.query<NasRow>(
      `SELECT name, profile, last_packet_at, last_accounting_at, interim_seconds FROM nas ORDER BY name LIMIT $1`,
      [limit],
    )
  ).rows;
}

/** One NAS, or undefined. */
export async function findNas(pool: Pool, name: string): Promise<NasRow | undefined> {
  return (
    await pool.query<NasRow>(
      `SELECT name, profile, last_packet_at, last_accounting_at, interim_seconds FROM nas WHERE name = $1`,
      [name],
    )
  ).rows[0];
}

/** Live sessions by NAS. Looks at the whole table. */
export async function countSessionsByNas(pool: Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ nas_name: string; sessions: number }>(
    `SELECT nas_name, count(*)::int AS sessions FROM session GROUP BY nas_name`,
  );
  return new Map(rows.map((row) => [row.nas_name, row.sessions]));
}

/** How the addresses of a pool stand. */
export interface PoolStanding {
  id: number;
  name: string;
  routing_domain: string;
  kind: AddressKind;
  /** Bits of what is handed out. */
  prefix_length: number;
  quarantine_seconds: number;
  networks: string[];
  free: number;
  reserved: number;
  offered: number;
  assigned: number;
  quarantined: number;
}

/** All pools with the number of addresses or prefixes in each state; a prefix that was never given is free. Looks at the whole table. */
export async function poolStandings(pool: Pool): Promise<PoolStanding[]> {
  return (
    await pool.query<PoolStanding>(
      `SELECT o.id, o.name, o.routing_domain, o.kind, o.prefix_length, o.quarantine_seconds,
              ARRAY(SELECT network::text FROM pool_network n WHERE n.pool_id = o.id ORDER BY network) AS networks,
              coalesce(c.free, 0) + (SELECT coalesce(sum(sluice_network_size(n.network, o.prefix_length) - n.carved), 0)::bigint
                FROM pool_network n WHERE n.pool_id = o.id AND o.kind <> 'ipv4') AS free, coalesce(c.reserved, 0) AS reserved, coalesce(c.offered, 0) AS offered,
              coalesce(c.assigned, 0) AS assigned, coalesce(c.quarantined, 0) AS quarantined
         FROM pool o LEFT JOIN (
           SELECT pool_id, count(*) FILTER (WHERE state = 'free')::int AS free,
                  count(*) FILTER (WHERE state = 'reserved')::int AS reserved,
                  count(*) FILTER (WHERE state = 'offered')::int AS offered,
                  count(*) FILTER (WHERE state = 'assigned')::int AS assigned,
                  count(*) FILTER (WHERE state = 'quarantined')::int AS quarantined
             FROM pool_address GROUP BY pool_id
         ) c ON c.pool_id = o.id ORDER BY o.name LIMIT 500`,
    )
  ).rows;
}

/** An address that a subscriber had. */
export interface HeldAddress {
  id: number;
  address: string;
  routing_domain: string;
  kind: string;
  login: string;
  nas_name: string;
  mac: string | null;
  started_at: Date;
  ended_at: Date | null;
  end_cause: string | null;
}

/** The addresses that a subscriber had at any moment between two instants, newest first. Open ones are asked apart. */
export async function addressesBetween(
  pool: Pool,
  subscriberId: number,
  from: Date,
  until: Date,
  limit: number,
): Promise<HeldAddress[]> {
  return (
    await pool.query<HeldAddress>(
      `SELECT id, CASE kind WHEN 'ipv4' THEN host(address) ELSE address::text END AS address, routing_domain, kind, login, nas_name, mac::text AS mac, started_at, ended_at,
              end_cause
         FROM (
           (SELECT * FROM assignment WHERE subscriber_id = $1 AND started_at < $3 AND ended_at IS NULL
             ORDER BY started_at DESC LIMIT $4)
           UNION ALL
           (SELECT * FROM assignment WHERE subscriber_id = $1 AND started_at < $3 AND ended_at > $2
             ORDER BY started_at DESC LIMIT $4)
         ) held ORDER BY started_at DESC, id DESC LIMIT $4`,
      [subscriberId, from, until, limit],
    )
  ).rows;
}

/** The start of a calendar day in a time zone, and of the day after. */
export async function dayBounds(pool: Pool, day: string, timeZone: string): Promise<{ from: Date; until: Date }> {
  const { rows } = await pool.query<{ from: Date; until: Date }>(
    `SELECT $1::date::timestamp AT TIME ZONE $2 AS "from", ($1::date + 1)::timestamp AT TIME ZONE $2 AS until`,
    [day, timeZone],
  );
  return rows[0]!;
}

/** The last ended session of a subscriber, or undefined. */
export interface LastEnd {
  ended_at: Date;
  nas_name: string;
  nas_box: string;
  end_cause: string;
  terminate_cause: number | null;
}

/** The last ended session of a subscriber since an instant, or undefined. */
export async function lastEndOf(pool: Pool, subscriberId: number, since: Date): Promise<LastEnd | undefined> {
  return (
    await pool.query<LastEnd>(
      `SELECT ended_at, nas_name, nas_box, end_cause, terminate_cause FROM session_history
        WHERE subscriber_id = $1 AND ended_at >= $2 ORDER BY ended_at DESC LIMIT 1`,
      [subscriberId, since],
    )
  ).rows[0];
}
