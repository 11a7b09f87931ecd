/**
 * Which enforcements are to be looked at, and which ought to exist. Enters: NASes that an instance owns, ids from the change feed. Leaves: ids by the
 * page, and rows for places that have none yet. Invariants: every statement is bounded and uses an index; making a row twice makes it once.
 */
import type { Pool } from 'pg';
import { LEASE_BOX } from '../domain/lease.js';

/**
 * Enforcements whose time has come, the longest waiting first.
 *
 * @param limit of each NAS
 */
export async function dueEnforcements(
  pool: Pool,
  nasNames: readonly string[],
  limit: number,
): Promise<readonly number[]> {
  if (nasNames.length === 0) return [];
  const { rows } = await pool.query<{ id: number }>({
    name: 'due-enforcements',
    text: `SELECT d.id FROM unnest($1::text[]) AS n CROSS JOIN LATERAL (
        SELECT id FROM enforcement WHERE nas_name = n AND due_at <= now() ORDER BY due_at LIMIT $2) AS d`,
    values: [nasNames, limit],
  });
  return rows.map((row) => row.id);
}

/** What a scan goes through, page by page. */
export type Scan =
  /** Everything on a NAS, as after taking it over. */
  | { readonly of: 'nas'; readonly nasName: string }
  /** Of a NAS, what is not as it should be: it answers again. */
  | { readonly of: 'unsettled'; readonly nasName: string }
  /** What the fuse holds. */
  | { readonly of: 'held' }
  | { readonly of: 'accounts' | 'plans'; readonly ids: readonly number[] };

const PAGES: Readonly<Record<Scan['of'], string>> = {
  nas: 'SELECT e.id FROM enforcement e WHERE e.nas_name = $2 AND e.id > $1 AND $3::bigint[] IS NULL ORDER BY e.id LIMIT $4',
  unsettled: `SELECT e.id FROM enforcement e WHERE e.nas_name = $2 AND e.id > $1 AND $3::bigint[] IS NULL
      AND (e.due_at IS NOT NULL OR e.attempted <> '[]' OR e.applied IS NULL) ORDER BY e.id LIMIT $4`,
  held: `SELECT e.id FROM enforcement e WHERE e.state = 'held' AND e.id > $1 AND $2::text IS NULL AND $3::bigint[] IS NULL ORDER BY e.id LIMIT $4`,
  accounts: `SELECT e.id FROM subscriber s JOIN enforcement e ON e.subscriber_id = s.id
      WHERE s.account_id = ANY ($3::bigint[]) AND e.id > $1 AND $2::text IS NULL ORDER BY e.id LIMIT $4`,
  plans: `SELECT e.id FROM account a JOIN subscriber s ON s.account_id = a.id JOIN enforcement e ON e.subscriber_id = s.id
      WHERE a.plan_id = ANY ($3::bigint[]) AND e.id > $1 AND $2::text IS NULL ORDER BY e.id LIMIT $4`,
};

/** A page of a scan. @param afterId the last id of the page before, 0 for the first */
export async function scanPage(pool: Pool, scan: Scan, afterId: number, limit: number): Promise<readonly number[]> {
  const { rows } = await pool.query<{ id: number }>({
    name: `scan-${scan.of}`,
    text: PAGES[scan.of],
    values: [afterId, 'nasName' in scan ? scan.nasName : null, 'ids' in scan ? scan.ids : null, limit],
  });
  return rows.map((row) => row.id);
}

/** Whoever is bound to a NAS where entries are put. */
const BOUND = `SELECT 'provisioned', s.nas_name, s.id FROM subscriber s
  WHERE s.nas_name = ANY ($2::text[]) AND NOT s.deleted`;

/** Makes rows for subscribers that have been bound to a NAS, where they are missing. @param nasNames those where entries are put */
export async function provisionSubscribers(
  pool: Pool,
  subscriberIds: readonly number[],
  nasNames: readonly string[],
): Promise<void> {
  if (nasNames.length === 0 || subscriberIds.length === 0) return;
  await pool.query({
    name: 'provision-subscribers',
    text: `INSERT INTO enforcement (kind, nas_name, subscriber_id) ${BOUND} AND s.id = ANY ($1::bigint[])
        AND NOT EXISTS (SELECT FROM enforcement e WHERE e.kind = 'provisioned' AND e.nas_name = s.nas_name AND e.subscriber_id = s.id)
      ORDER BY s.nas_name, s.id ON CONFLICT DO NOTHING`,
    values: [subscriberIds, nasNames],
  });
}

/** The subscribers and sessions of a NAS that have no row yet, some at a time. */
export interface MissingPlaces {
  readonly nasName: string;
  /** visited: entries of whoever has a session there without being bound to it, and those of further leases of one line. */
  readonly place: 'session' | 'provisioned' | 'visited';
  /** The last subscriber or session of the slice before, 0 for the first. */
  readonly afterId: number;
}

const MAKE: Readonly<Record<MissingPlaces['place'], string>> = {
  provisioned: `WITH slice AS (
      SELECT id FROM subscriber WHERE nas_name = $1::text AND id > $2 AND NOT deleted ORDER BY id LIMIT $3)
    , made AS (INSERT INTO enforcement (kind, nas_name, subscriber_id) SELECT 'provisioned', $1::text, id FROM slice ORDER BY id ON CONFLICT DO NOTHING)
    SELECT max(id) AS last FROM slice`,
  visited: `WITH slice AS (
      SELECT id, subscriber_id FROM session WHERE nas_name = $1::text AND id > $2 AND subscriber_id IS NOT NULL ORDER BY id LIMIT $3)
    , made AS (INSERT INTO enforcement (kind, nas_name, subscriber_id)
        SELECT DISTINCT 'provisioned', $1::text, subscriber_id FROM slice ORDER BY subscriber_id ON CONFLICT DO NOTHING)
    , beside AS (INSERT INTO enforcement (kind, nas_name, subscriber_id, session_id)
        SELECT 'further', $1::text, r.subscriber_id, r.id FROM slice r JOIN session x ON x.id = r.id AND x.nas_box = '${LEASE_BOX}'
        WHERE EXISTS (SELECT FROM (SELECT * FROM session WHERE subscriber_id = r.subscriber_id OFFSET 0) o
          WHERE o.nas_name = $1::text AND o.nas_box = '${LEASE_BOX}' AND o.id < r.id AND NOT EXISTS (SELECT FROM enforcement f WHERE f.session_id = o.id))
        ORDER BY r.id ON CONFLICT (session_id) WHERE session_id IS NOT NULL DO NOTHING)
    SELECT max(id) AS last FROM slice`,
  session: `WITH slice AS (
      SELECT id, subscriber_id FROM session WHERE nas_name = $1::text AND id > $2 AND subscriber_id IS NOT NULL ORDER BY id LIMIT $3)
    , made AS (INSERT INTO enforcement (kind, nas_name, subscriber_id, session_id)
        SELECT 'session', $1::text, subscriber_id, id FROM slice ORDER BY id ON CONFLICT DO NOTHING)
    SELECT max(id) AS last FROM slice`,
};

/**
 * Makes missing rows of one NAS: it was not commanded before, or another server did not.
 *
 * @returns where to go on; null: that was all
 */
export async function makeMissing(pool: Pool, missing: MissingPlaces, limit: number): Promise<number | null> {
  const { rows } = await pool.query<{ last: number | null }>({
    name: `make-missing-${missing.place}`,
    text: MAKE[missing.place],
    values: [missing.nasName, missing.afterId, limit],
  });
  return rows[0]!.last;
}
