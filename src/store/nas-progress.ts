/**
 * How far each NAS has come. Enters: names of NASes. Leaves: enforcements by state, the last reasons for failure, who commands it; and the wish that everything
 * be said again. Invariant: reading locks nothing and writes nothing; a resync is rows like any other change, seen by whoever commands the NAS.
 */
import type { Pool, PoolClient } from 'pg';
import { SPOIL } from './enforcement-births.js';
import type { EnforcementState } from './enforcement-rows.js';

/** Enforcements of one NAS by state. */
export type NasCounts = Readonly<Partial<Record<EnforcementState, number>>>;

/** The counts of every NAS that has enforcements, the ones removed from the configuration included. */
export async function countsByNas(pool: Pick<Pool, 'query'>): Promise<ReadonlyMap<string, NasCounts>> {
  const { rows } = await pool.query<{ nas_name: string; state: EnforcementState; count: number }>(
    'SELECT nas_name, state, count(*)::int AS count FROM enforcement GROUP BY nas_name, state',
  );
  const counts = new Map<string, Partial<Record<EnforcementState, number>>>();
  for (const { nas_name: name, state, count } of rows) counts.set(name, { ...counts.get(name), [state]: count });
  return counts;
}

/** Which server commands a NAS, and how that goes. */
export interface NasCommander {
  readonly instance: string;
  readonly since: Date;
  readonly released_at: Date | null;
  readonly seen_at: Date;
  readonly breaker: string;
  readonly breaker_reason: string | null;
  readonly waiting: number;
  readonly in_flight: number;
  readonly converge_seconds: number | null;
}

/** @returns `undefined` when no server ever commanded it */
export async function commanderOf(pool: Pick<Pool, 'query'>, nasName: string): Promise<NasCommander | undefined> {
  const { rows } = await pool.query<NasCommander>(
    `SELECT instance, since, released_at, seen_at, breaker, breaker_reason, waiting, in_flight, converge_seconds
     FROM nas_owner WHERE nas_name = $1`,
    [nasName],
  );
  return rows[0];
}

/** Who commands a NAS, and when it was last heard. */
export interface NasSight {
  /** null: no server commands it. */
  readonly instance: string | null;
  readonly breaker: string | null;
  readonly last_packet_at: Date | null;
}

/** Every NAS that was heard or commanded, by name. */
export async function nasSights(pool: Pick<Pool, 'query'>): Promise<ReadonlyMap<string, NasSight>> {
  const { rows } = await pool.query<NasSight & { name: string }>(
    `SELECT coalesce(n.name, o.nas_name) AS name, n.last_packet_at, o.instance, o.breaker
     FROM nas n FULL JOIN (SELECT nas_name, instance, breaker FROM nas_owner WHERE released_at IS NULL) o ON o.nas_name = n.name`,
  );
  return new Map(rows.map(({ name, ...sight }) => [name, sight]));
}

/** A NAS with enforcements that nobody commands. */
export interface AbandonedNas {
  readonly name: string;
  readonly enforcements: number;
}

/**
 * NASes that have enforcements, are not in a configuration, and that no other server commands either.
 *
 * @param configured the names in the configuration of this instance
 */
export async function abandonedNases(
  pool: Pick<Pool, 'query'>,
  configured: readonly string[],
  instance: string,
): Promise<AbandonedNas[]> {
  const { rows } = await pool.query<AbandonedNas>(
    `SELECT n.name, (SELECT count(*)::int FROM enforcement e WHERE e.nas_name = n.name) AS enforcements
     FROM (SELECT name FROM nas UNION SELECT nas_name FROM nas_owner) AS n
     WHERE n.name <> ALL ($1::text[]) AND EXISTS (SELECT FROM enforcement e WHERE e.nas_name = n.name)
       AND NOT EXISTS (SELECT FROM nas_owner o WHERE o.nas_name = n.name AND o.released_at IS NULL AND o.instance <> $2)
     ORDER BY n.name`,
    [configured, instance],
  );
  return rows;
}

/** A reason and how many enforcements have it. */
export interface NasTrouble {
  readonly error: string;
  readonly count: number;
}

/** The commonest reasons why enforcements of a NAS are not what they should be. */
export async function troublesOf(pool: Pick<Pool, 'query'>, nasName: string, limit: number): Promise<NasTrouble[]> {
  const { rows } = await pool.query<NasTrouble>(
    `SELECT last_error AS error, count(*)::int AS count FROM enforcement
     WHERE nas_name = $1 AND last_error IS NOT NULL GROUP BY last_error ORDER BY count DESC, error LIMIT $2`,
    [nasName, limit],
  );
  return rows;
}

/** On how many places of a NAS it had confirmed what was not so. */
export async function disproofsOf(pool: Pick<Pool, 'query'>, nasName: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM enforcement WHERE nas_name = $1 AND disproved > 0',
    [nasName],
  );
  return rows[0]?.count ?? 0;
}

/**
 * Nothing is taken for known about a NAS: all of it is said again, as to one that was wiped.
 *
 * @returns on how many places
 */
export async function requestNasResync(client: Pick<PoolClient, 'query'>, nasName: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `WITH locked AS (SELECT id FROM enforcement WHERE nas_name = $1 ORDER BY id FOR UPDATE),
       asked AS (UPDATE enforcement e SET ${SPOIL} FROM locked l WHERE e.id = l.id RETURNING e.id),
       told AS (INSERT INTO change_feed (kind, ref) SELECT 'enforcement', id FROM asked)
     SELECT count(*)::int AS count FROM asked`,
    [nasName],
  );
  await client.query(`SELECT pg_notify('sluice_change', '')`);
  return rows[0]?.count ?? 0;
}
