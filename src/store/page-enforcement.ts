/**
 * What the page reads of commanding NASes: how far each of them is, where a subscriber stands at each place, the fuse.
 *
 * Enters: names, ids, bounds. Leaves: rows with the column names of the schema.
 * Invariant: every answer is bounded, and none looks at a table that has grown large: then what the owners counted last is shown.
 */
import type { Pool } from 'pg';
import type { FuseReason } from '../domain/fuse.js';
import type { Evidence, PlaceKind, ServiceState } from '../domain/service-state.js';
import type { EnforcementState, Parked } from './enforcement-rows.js';
import { countsByNas, type NasCounts } from './nas-progress.js';
import type { ReconcileRunRow } from './reconcile-rows.js';

/** Up to this size of the table the page counts for itself: some 50,000 places, read in some 20 ms. Octets. */
const COUNTED_TABLE_OCTETS = 67_108_864;
/** Commands of one NAS that are looked through for the last one that failed. */
const SEARCHED_COMMANDS = 50;
/** How old the last failure may be to be shown, days: whoever looks wants to know what is wrong now. */
const FAILURE_DAYS = 1;
/** Places of one NAS that are looked through for those that wait. */
const SEARCHED_PLACES = 20_000;

/** How far a NAS is with what is desired of it. */
export interface NasStanding {
  nas_name: string;
  profile: string | null;
  /** NULL: it is never commanded. */
  place: PlaceKind | null;
  mode: 'enforce' | 'observe' | null;
  /** The server that commands it, or did last; NULL: none ever did. */
  owner: string | null;
  owner_since: Date | null;
  /** When that server let go of it in order. */
  owner_released_at: Date | null;
  owner_seen_at: Date | null;
  breaker: 'closed' | 'open' | 'half-open' | null;
  breaker_reason: string | null;
  waiting: number;
  in_flight: number;
  /** s until everything that is known now is done; NULL: nobody can tell. */
  converge_seconds: number | null;
  counts: NasCounts;
  last_error_at: Date | null;
  last_error_command: string | null;
  last_error_outcome: string | null;
  last_error: string | null;
  /** The last comparison with what it lists; NULL: there was none. */
  compared: ComparedRow | null;
}

/** A comparison, as the page tells it. */
export interface ComparedRow extends Omit<ReconcileRunRow, 'at'> {
  /** ISO 8601. */
  readonly at: string;
}

const LAST_COMPARISON = `(SELECT jsonb_build_object('at', r.at, 'by', r.by, 'dry_run', r.dry_run, 'error', r.error, 'listed', r.listed, 'wanted', r.wanted,
    'counts', r.counts, 'mended', r.mended, 'beyond_limit', r.beyond_limit) FROM reconcile_run r WHERE r.nas_name = k.nas_name ORDER BY r.id DESC LIMIT 1)`;

const LAST_FAILURE = `LEFT JOIN LATERAL (
    SELECT at, command, outcome, detail FROM (
      SELECT at, command, outcome, detail FROM nas_command
      WHERE nas_name = k.nas_name AND at > now() - make_interval(days => ${String(FAILURE_DAYS)})
      ORDER BY at DESC LIMIT ${String(SEARCHED_COMMANDS)}) AS lately
    WHERE outcome <> 'applied' ORDER BY at DESC LIMIT 1) AS f ON true`;

const STANDING = `SELECT k.nas_name, n.profile, n.place, n.mode, o.instance AS owner, o.since AS owner_since,
    o.released_at AS owner_released_at, o.seen_at AS owner_seen_at, o.breaker, o.breaker_reason, coalesce(o.waiting, 0) AS waiting,
    coalesce(o.in_flight, 0) AS in_flight, o.converge_seconds, coalesce(o.counts, '{}') AS counts, f.at AS last_error_at,
    f.command AS last_error_command, f.outcome AS last_error_outcome, f.detail AS last_error, ${LAST_COMPARISON} AS compared
  FROM (SELECT name AS nas_name FROM nas UNION SELECT nas_name FROM nas_owner) AS k
  LEFT JOIN nas n ON n.name = k.nas_name LEFT JOIN nas_owner o ON o.nas_name = k.nas_name ${LAST_FAILURE}`;

/** How far NASes are, by name. @param nasName one of them; undefined: all */
export async function nasStandings(pool: Pool, nasName: string | undefined, limit: number): Promise<NasStanding[]> {
  const { rows } = await pool.query<NasStanding>(
    `${STANDING} WHERE $1::text IS NULL OR k.nas_name = $1 ORDER BY k.nas_name LIMIT $2`,
    [nasName ?? null, limit],
  );
  const counted = await countPlaces(pool);
  if (counted === undefined) return rows;
  return rows.map((row) => ({ ...row, counts: counted.get(row.nas_name) ?? {} }));
}

/** Places by NAS and state as they stand; undefined where there are too many to be counted for a page. */
async function countPlaces(pool: Pool): Promise<ReadonlyMap<string, NasCounts> | undefined> {
  const size = await pool.query<{ small: boolean }>(`SELECT pg_relation_size('enforcement') <= $1 AS small`, [
    COUNTED_TABLE_OCTETS,
  ]);
  if (size.rows[0]?.small !== true) return undefined;
  return await countsByNas(pool);
}

/** What the fuse holds, as every page says it. */
export interface HeldChanges {
  /** When it began. */
  held_at: Date;
  /** Why. */
  reason: Extract<FuseReason, { kind: 'tripped' }> | null;
  /** Places whose change waits; of a large table as the owners counted them last. */
  changes: number;
}

/** What the fuse holds now, or undefined. */
export async function heldChanges(pool: Pool): Promise<HeldChanges | undefined> {
  const { rows } = await pool.query<{ held_at: Date; held_reason: string | null; changes: number }>(
    `SELECT held_at, held_reason, CASE WHEN pg_relation_size('enforcement') <= $1
         THEN (SELECT count(*) FROM enforcement WHERE state = 'held')
         ELSE (SELECT coalesce(sum((counts->>'held')::int), 0) FROM nas_owner) END::int AS changes
       FROM fuse WHERE id = 1 AND held_at IS NOT NULL`,
    [COUNTED_TABLE_OCTETS],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  const reason = row.held_reason === null ? null : (JSON.parse(row.held_reason) as HeldChanges['reason']);
  return { held_at: row.held_at, reason, changes: row.changes };
}

/** One place of a subscriber: what it should be beside what it is known to be. */
export interface PlaceRow {
  id: number;
  kind: PlaceKind | 'further';
  nas_name: string;
  subscriber_id: number;
  login: string;
  acct_session_id: string | null;
  /** NULL: it was not looked at yet. */
  desired: ServiceState | null;
  /** NULL: nothing is known. */
  applied: ServiceState | null;
  evidence: Evidence | null;
  applied_at: Date | null;
  /** Tried, and not proven. */
  attempted: ServiceState[];
  attempted_at: Date | null;
  state: EnforcementState;
  attempts: number;
  /** When it is looked at again; NULL: when something changes. */
  due_at: Date | null;
  parked: Parked;
  /** When the NAS said that it does not know the session. */
  gone_at: Date | null;
  last_error: string | null;
  /** How often in a row the NAS had confirmed what was not so, and when that was seen last. */
  disproved: number;
  disproved_at: Date | null;
  created_at: Date;
}

const PLACE = `e.id, e.kind, e.nas_name, e.subscriber_id, s.login, x.acct_session_id, e.desired, e.applied, e.evidence, e.applied_at, e.attempted,
  e.attempted_at, e.state, e.attempts, e.due_at, e.parked, e.gone_at, e.last_error, e.disproved, e.disproved_at, e.created_at`;
const PLACE_JOINS = 'JOIN subscriber s ON s.id = e.subscriber_id LEFT JOIN session x ON x.id = e.session_id';

/** The places of a subscriber, the newest first. */
export async function placesOfSubscriber(pool: Pool, subscriberId: number, limit: number): Promise<PlaceRow[]> {
  return (
    await pool.query<PlaceRow>(
      `SELECT ${PLACE} FROM enforcement e ${PLACE_JOINS} WHERE e.subscriber_id = $1 ORDER BY e.id DESC LIMIT $2`,
      [subscriberId, limit],
    )
  ).rows;
}

/** Places of a NAS that are not as they should be. Of a NAS with very many, those among the oldest. */
export async function unsettledPlaces(pool: Pool, nasName: string, limit: number): Promise<PlaceRow[]> {
  return (
    await pool.query<PlaceRow>(
      `SELECT ${PLACE} FROM (
         SELECT * FROM (SELECT * FROM enforcement WHERE nas_name = $1 ORDER BY nas_name, id LIMIT ${String(SEARCHED_PLACES)}) AS searched
         WHERE state <> 'converged' ORDER BY id LIMIT $2) AS e ${PLACE_JOINS} ORDER BY e.id`,
      [nasName, limit],
    )
  ).rows;
}
