/**
 * What the reconciler reads and writes. Enters: a NAS, findings that are to be mended. Leaves: its places, what has been adopted there, and rows that the
 * owner of the NAS acts on. Invariants: a place that moved on since it was read is left as it is; every key under which something may be
 * is remembered before anything is done about it; rows are locked in the order of their ids.
 */
import type { Pool, PoolClient } from 'pg';
import { MAX_ATTEMPTED } from '../domain/known-service.js';
import {
  foundState,
  type Finding,
  type FindingKind,
  type MarkedSubscriber,
  type Mend,
  type WantedPlace,
} from '../domain/reconcile.js';
import type { Evidence, ServiceState } from '../domain/service-state.js';
import { storableText } from './command-history.js';
import { withTransaction } from './database.js';
import { SPOIL } from './enforcement-births.js';

/** Places that are read at once: some MB of JSON. */
const PAGE_ROWS = 5_000;
/** Findings that a report keeps, and reports that are kept of each NAS. */
const MAX_REPORTED = 200;
const KEPT_RUNS = 30;
/** What a NAS prints of an entry, characters. */
const MAX_TEXT = 300;

/** What is in hand: commands are under way, wait, or are held. */
const IN_HAND: ReadonlySet<string> = new Set(['new', 'pending', 'held']);

/** The provisioned places of a NAS. */
export async function readPlaces(pool: Pool, nasName: string): Promise<WantedPlace[]> {
  const places: WantedPlace[] = [];
  for (let afterId = 0; ;) {
    const { rows } = await pool.query<{
      id: number;
      generation: number;
      subscriber_id: number;
      login: string;
      state: string;
      desired: ServiceState | null;
      applied: ServiceState | null;
      evidence: Evidence | null;
      attempted: readonly ServiceState[];
    }>(
      `SELECT e.id, e.generation, e.subscriber_id, s.login, e.state, e.desired, e.applied, e.evidence, e.attempted
       FROM enforcement e JOIN subscriber s ON s.id = e.subscriber_id
       WHERE e.nas_name = $1 AND e.kind <> 'session' AND e.id > $2 ORDER BY e.id LIMIT $3`,
      [nasName, afterId, PAGE_ROWS],
    );
    for (const row of rows)
      places.push({
        enforcementId: row.id,
        generation: row.generation,
        subscriberId: row.subscriber_id,
        login: row.login,
        desired: row.desired,
        known: {
          applied: row.applied === null ? null : { state: row.applied, evidence: row.evidence! },
          attempted: row.attempted,
        },
        isInHand: IN_HAND.has(row.state) || (row.state === 'converged' && !isProven(row)),
      });
    if (rows.length < PAGE_ROWS) return places;
    afterId = rows.at(-1)!.id;
  }
}

/** A place that was spoiled, or marked by the comparison before, is about to be looked at, whatever its state said last. */
function isProven(row: {
  readonly applied: ServiceState | null;
  readonly attempted: readonly ServiceState[];
}): boolean {
  return row.applied !== null && row.attempted.length === 0;
}

/** Subscribers by their numbers; one that is not in this database is missing. */
export async function readMarked(
  pool: Pool,
  subscriberIds: readonly number[],
): Promise<ReadonlyMap<number, MarkedSubscriber>> {
  if (subscriberIds.length === 0) return new Map();
  const { rows } = await pool.query<{ id: number; login: string; deleted: boolean; nas_name: string | null }>(
    'SELECT id, login, deleted, nas_name FROM subscriber WHERE id = ANY ($1::bigint[])',
    [subscriberIds],
  );
  return new Map(
    rows.map((row) => [
      row.id,
      { subscriberId: row.id, login: row.login, deleted: row.deleted, nasName: row.nas_name },
    ]),
  );
}

/** Addresses of adopted entries that have no mark of ours. */
export async function readAdopted(pool: Pool, nasName: string): Promise<ReadonlySet<string>> {
  const { rows } = await pool.query<{ address: string }>(
    'SELECT host(address) AS address FROM nas_entry WHERE nas_name = $1 AND adopted_at IS NOT NULL AND mark IS NULL',
    [nasName],
  );
  return new Set(rows.map((row) => row.address));
}

/** An entry of others. */
export interface ForeignEntry {
  readonly address: string;
  readonly text: string;
}

/** Takes entries for ours from now on. @returns how many were not before */
export async function adoptEntries(
  client: PoolClient,
  nasName: string,
  entries: readonly ForeignEntry[],
  by: string,
): Promise<number> {
  const { rowCount } = await client.query(
    `INSERT INTO nas_entry (nas_name, address, text, adopted_at, adopted_by)
     SELECT $1, r.address, r.text, now(), $4 FROM unnest($2::inet[], $3::text[]) AS r (address, text) ORDER BY 2
     ON CONFLICT DO NOTHING`,
    [nasName, entries.map((one) => one.address), entries.map((one) => storableText(one.text, MAX_TEXT)), by],
  );
  return rowCount ?? 0;
}

/**
 * Marks what is to be mended. The owner of the NAS sees it at once.
 *
 * @returns how many of them were still as they had been read
 */
export async function markMends(pool: Pool, nasName: string, mends: readonly Mend[]): Promise<number> {
  return await withTransaction(pool, async (client) => {
    const again = mends.filter((one) => one.by === 'saying-again');
    const clearing = mends.filter((one) => one.by === 'clearing');
    const removing = mends.filter((one) => one.by === 'removing');
    // One statement locks them all, so that nobody who locks several meets a deadlock.
    await client.query('SELECT FROM enforcement WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE', [
      [
        ...again.map((one) => one.enforcementId),
        ...clearing.flatMap(({ place }) => (place === null ? [] : [place.enforcementId])),
      ],
    ]);
    return (
      (await sayAgain(client, again)) +
      (await clearPlaces(client, clearing)) +
      (await makePlaces(client, nasName, clearing)) +
      (await askRemovals(client, nasName, removing))
    );
  });
}

type MendBy<By extends Mend['by']> = Extract<Mend, { readonly by: By }>;

async function sayAgain(client: PoolClient, mends: readonly MendBy<'saying-again'>[]): Promise<number> {
  if (mends.length === 0) return 0;
  const { rowCount } = await client.query(
    `UPDATE enforcement e SET ${SPOIL} FROM unnest($1::bigint[], $2::bigint[]) AS r (id, read_generation)
     WHERE e.id = r.id AND e.generation = r.read_generation`,
    [mends.map((one) => one.enforcementId), mends.map((one) => one.generation)],
  );
  return rowCount ?? 0;
}

async function clearPlaces(client: PoolClient, mends: readonly MendBy<'clearing'>[]): Promise<number> {
  const places = new Map<number, { readonly generation: number; readonly states: ServiceState[] }>();
  for (const { place, login, address } of mends) {
    if (place === null) continue;
    const known = places.get(place.enforcementId) ?? { generation: place.generation, states: [] };
    if (known.states.length < MAX_ATTEMPTED) known.states.push(foundState(login, address));
    places.set(place.enforcementId, known);
  }
  if (places.size === 0) return 0;
  const { rowCount } = await client.query(
    `UPDATE enforcement e SET attempted = e.attempted || r.states, may_be_present = true, parked = NULL,
       generation = e.generation + 1, due_at = now()
     FROM unnest($1::bigint[], $2::bigint[], $3::jsonb[]) AS r (id, generation, states)
     WHERE e.id = r.id AND e.generation = r.generation AND jsonb_array_length(e.attempted || r.states) <= $4
       AND NOT e.attempted @> r.states`,
    [
      [...places.keys()],
      [...places.values()].map((one) => one.generation),
      [...places.values()].map((one) => JSON.stringify(one.states)),
      MAX_ATTEMPTED,
    ],
  );
  return rowCount ?? 0;
}

/** Places of subscribers who are not wanted on this NAS: they are there to be cleared away. */
async function makePlaces(client: PoolClient, nasName: string, mends: readonly MendBy<'clearing'>[]): Promise<number> {
  const states = new Map<number, ServiceState[]>();
  for (const { place, subscriberId, login, address } of mends) {
    if (place !== null) continue;
    const own = states.get(subscriberId) ?? [];
    if (own.length < MAX_ATTEMPTED) own.push(foundState(login, address));
    states.set(subscriberId, own);
  }
  if (states.size === 0) return 0;
  const { rowCount } = await client.query(
    `INSERT INTO enforcement (kind, nas_name, subscriber_id, attempted, may_be_present, attempted_at)
     SELECT 'provisioned', $1, r.id, r.attempted, true, now() FROM unnest($2::bigint[], $3::jsonb[]) AS r (id, attempted)
     WHERE EXISTS (SELECT FROM subscriber s WHERE s.id = r.id) ORDER BY r.id
     ON CONFLICT (nas_name, subscriber_id) WHERE kind = 'provisioned' DO NOTHING`,
    [nasName, [...states.keys()], [...states.values()].map((own) => JSON.stringify(own))],
  );
  return rowCount ?? 0;
}

async function askRemovals(client: PoolClient, nasName: string, mends: readonly MendBy<'removing'>[]): Promise<number> {
  if (mends.length === 0) return 0;
  const { rowCount } = await client.query(
    `INSERT INTO nas_entry AS n (nas_name, mark, address, text, remove_asked_at)
     SELECT $1, r.mark, r.address, r.text, now() FROM unnest($2::bigint[], $3::inet[], $4::text[]) AS r (mark, address, text)
     WHERE r.mark IS NOT NULL ORDER BY 2, 3
     ON CONFLICT (nas_name, coalesce(mark, 0), coalesce(address, '0.0.0.0')) DO UPDATE SET remove_asked_at = now(), text = excluded.text`,
    [
      nasName,
      mends.map((one) => one.mark),
      mends.map((one) => one.address),
      mends.map((one) => storableText(one.text, MAX_TEXT)),
    ],
  );
  // Whoever has no mark is there already, because somebody adopted it.
  const adopted = await client.query(
    `UPDATE nas_entry SET remove_asked_at = now()
     WHERE nas_name = $1 AND mark IS NULL AND adopted_at IS NOT NULL AND address = ANY ($2::inet[])`,
    [nasName, mends.flatMap((one) => (one.mark === null && one.address !== null ? [one.address] : []))],
  );
  return (rowCount ?? 0) + (adopted.rowCount ?? 0);
}

/** An entry that the owner of its NAS is to take away. */
export interface Removal {
  readonly id: number;
  readonly nasName: string;
  readonly mark: number | null;
  readonly address: string | null;
}

/** @returns those that may be taken away: no place on that NAS has the address, and no subscriber the number */
export async function readRemovals(pool: Pool, nasNames: readonly string[], limit: number): Promise<Removal[]> {
  if (nasNames.length === 0) return [];
  const { rows } = await pool.query<{ id: number; nas_name: string; mark: number | null; address: string | null }>(
    `SELECT n.id, n.nas_name, n.mark, host(n.address) AS address FROM nas_entry n
     WHERE n.remove_asked_at IS NOT NULL AND n.nas_name = ANY ($1)
       AND NOT EXISTS (SELECT FROM subscriber s WHERE s.id = n.mark)
       AND (n.address IS NULL OR NOT EXISTS (
         SELECT FROM enforcement e WHERE e.nas_name = n.nas_name AND e.kind <> 'session' AND (
           e.desired @> jsonb_build_object('key', jsonb_build_object('address', host(n.address)))
           OR e.applied @> jsonb_build_object('key', jsonb_build_object('address', host(n.address)))
           OR e.attempted @> jsonb_build_array(jsonb_build_object('key', jsonb_build_object('address', host(n.address)))))))
     ORDER BY n.id LIMIT $2`,
    [nasNames, limit],
  );
  return rows.map((row) => ({ id: row.id, nasName: row.nas_name, mark: row.mark, address: row.address }));
}

/** What came of a removal. @param error null: the NAS has confirmed it; whether it is gone, the next listing tells */
export async function noteRemoval(pool: Pool, id: number, error: string | null): Promise<void> {
  await pool.query(
    `UPDATE nas_entry SET remove_asked_at = NULL, removed_at = CASE WHEN $2::text IS NULL THEN now() ELSE removed_at END, last_error = $2
     WHERE id = $1`,
    [id, error === null ? null : storableText(error, MAX_TEXT)],
  );
}

/** What a comparison found. */
export interface ReconcileReport {
  readonly nasName: string;
  readonly by: string;
  readonly dryRun: boolean;
  /** Why there is nothing to compare. */
  readonly error: string | null;
  readonly listed: number;
  readonly wanted: number;
  readonly counts: Readonly<Record<FindingKind, number>>;
  /** Findings that were marked to be mended. */
  readonly mended: number;
  /** Findings that could be mended and were not, because there were too many for one run. */
  readonly beyondLimit: number;
  readonly findings: readonly Finding[];
}

/** Keeps a report; the oldest of the NAS goes. */
export async function recordRun(pool: Pool, report: ReconcileReport): Promise<void> {
  const findings = report.findings.slice(0, MAX_REPORTED).map(({ kind, subscriberId, login, address, text, mend }) => ({
    kind,
    subscriber_id: subscriberId,
    login,
    address,
    text: storableText(text, MAX_TEXT),
    mend: mend.by,
  }));
  await withTransaction(pool, async (client) => {
    await client.query(
      `INSERT INTO reconcile_run (nas_name, by, dry_run, error, listed, wanted, counts, mended, beyond_limit, findings)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [
        report.nasName,
        report.by,
        report.dryRun,
        report.error === null ? null : storableText(report.error, MAX_TEXT),
        report.listed,
        report.wanted,
        JSON.stringify(report.counts),
        report.mended,
        report.beyondLimit,
        JSON.stringify(findings).replaceAll('\\u0000', '\\\\0'),
      ],
    );
    await client.query(
      `DELETE FROM reconcile_run WHERE nas_name = $1 AND id <= (
         SELECT id FROM reconcile_run WHERE nas_name = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)`,
      [report.nasName, KEPT_RUNS],
    );
  });
}

/** When NASes were last compared by a server, by name, ms since 1970. */
export async function lastNightlyRuns(
  pool: Pool,
  nasNames: readonly string[],
  by: string,
): Promise<ReadonlyMap<string, number>> {
  const { rows } = await pool.query<{ nas_name: string; at: Date }>(
    'SELECT nas_name, max(at) AS at FROM reconcile_run WHERE nas_name = ANY ($1) AND by = $2 AND NOT dry_run GROUP BY nas_name',
    [nasNames, by],
  );
  return new Map(rows.map((row) => [row.nas_name, row.at.getTime()]));
}

/** A report as it is stored. */
export interface ReconcileRunRow {
  readonly at: Date;
  readonly by: string;
  readonly dry_run: boolean;
  readonly error: string | null;
  readonly listed: number;
  readonly wanted: number;
  readonly counts: Readonly<Partial<Record<FindingKind, number>>>;
  readonly mended: number;
  readonly beyond_limit: number;
}

/** The last comparison of a NAS. */
export async function lastRun(pool: Pool, nasName: string): Promise<ReconcileRunRow | undefined> {
  const { rows } = await pool.query<ReconcileRunRow>(
    `SELECT at, by, dry_run, error, listed, wanted, counts, mended, beyond_limit FROM reconcile_run
     WHERE nas_name = $1 ORDER BY id DESC LIMIT 1`,
    [nasName],
  );
  return rows[0];
}
