/**
 * The fuse that all servers of a database share. Enters: who is to be tightened, thresholds, a release. Leaves: who may be, and what people see of
 * it. Invariants: its one row is locked before anything is counted, so that two servers never both use what is left; times are the
 * database's own.
 */
import type { Pool, PoolClient } from 'pg';
import type pg from 'pg';
import {
  countedFromMs,
  decideFuse,
  type FuseReason,
  type FuseState,
  type FuseThresholds,
  releaseFuse,
} from '../domain/fuse.js';
import { withActor } from './actor.js';

/** How long a release counts, ms: whoever was held has long passed by then, and what comes later is asked about again. */
export const RELEASE_MS = 3_600_000;

interface FuseRow {
  readonly held_at: number | null;
  readonly released_at: number | null;
  readonly allowance: number;
  readonly allowance_until: number | null;
  readonly now_ms: number;
}

const ms = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`;

const LOCK = `SELECT ${ms('held_at')} AS held_at, ${ms('released_at')} AS released_at, allowance, ${ms('allowance_until')} AS allowance_until,
  ${ms('clock_timestamp()')} AS now_ms FROM fuse WHERE id = 1 FOR UPDATE`;

const COUNT = `SELECT (SELECT count(*)::int FROM tightening WHERE at >= to_timestamp($1::float8 / 1000.0) AND NOT allowed) AS tightened,
  ARRAY(SELECT subscriber_id FROM tightening WHERE at >= to_timestamp($1::float8 / 1000.0) AND NOT allowed
    AND subscriber_id = ANY ($2::bigint[])) AS counted`;

const PASS = `INSERT INTO tightening (subscriber_id, at, allowed)
  SELECT r.id, clock_timestamp(), r.allowed FROM unnest($1::bigint[], $2::boolean[]) AS r (id, allowed) ORDER BY 1
  ON CONFLICT (subscriber_id) DO UPDATE SET at = excluded.at, allowed = excluded.allowed`;

function stateOf(row: FuseRow): FuseState {
  return {
    heldAtMs: row.held_at,
    releasedAtMs: row.released_at,
    allowance:
      row.allowance === 0 || row.allowance_until === null
        ? null
        : { subscribers: row.allowance, untilMs: row.allowance_until },
  };
}

async function store(client: pg.ClientBase, state: FuseState, reason: FuseReason | null): Promise<void> {
  await client.query(
    `UPDATE fuse SET held_at = to_timestamp($1::float8 / 1000.0), released_at = to_timestamp($2::float8 / 1000.0), allowance = $3,
       allowance_until = to_timestamp($4::float8 / 1000.0),
       held_reason = CASE WHEN $1::float8 IS NULL THEN NULL ELSE coalesce($5, held_reason) END WHERE id = 1`,
    [
      state.heldAtMs,
      state.releasedAtMs,
      state.allowance?.subscribers ?? 0,
      state.allowance?.untilMs ?? null,
      reason?.kind === 'tripped' ? JSON.stringify(reason) : null,
    ],
  );
}

/** What the fuse says to some who are to be tightened. */
export interface FuseAnswer {
  readonly passed: ReadonlySet<number>;
  /** Set when it began to hold now: raise the alarm. */
  readonly tripped: Extract<FuseReason, { kind: 'tripped' }> | undefined;
}

/**
 * Asks the fuse about subscribers, and counts those that may pass.
 *
 * @param client in the transaction that will commit their commands
 * @param totalSubscribers of the database, as far as known
 * @param subscriberIds each once, in the order in which they may pass
 */
export async function passFuse(
  client: pg.ClientBase,
  thresholds: FuseThresholds,
  totalSubscribers: number,
  subscriberIds: readonly number[],
): Promise<FuseAnswer> {
  const { rows } = await client.query<FuseRow>(LOCK);
  const row = rows[0]!;
  const state = stateOf(row);
  const counts = await client.query<{ tightened: number; counted: number[] }>(COUNT, [
    countedFromMs(thresholds, state, row.now_ms),
    subscriberIds,
  ]);
  const { tightened, counted } = counts.rows[0]!;
  const known = new Set(counted);
  const waiting = subscriberIds.filter((id) => !known.has(id));
  const decision = decideFuse(thresholds, {
    state,
    totalSubscribers,
    tightened,
    waiting: waiting.length,
    nowMs: row.now_ms,
  });
  const passing = waiting.slice(0, decision.pass);
  if (passing.length > 0) await client.query(PASS, [passing, passing.map((_, index) => index < decision.allowed)]);
  if (decision.state !== state) await store(client, decision.state, decision.because);
  return {
    passed: new Set([...counted, ...passing]),
    tripped: decision.hasTripped && decision.because.kind === 'tripped' ? decision.because : undefined,
  };
}

/** What people see of the fuse. */
export interface FuseView {
  readonly heldAt: Date | null;
  /** Why it began to hold. */
  readonly reason: Extract<FuseReason, { kind: 'tripped' }> | null;
  readonly releasedAt: Date | null;
  readonly releasedBy: string | null;
  readonly allowance: number;
  readonly allowanceUntil: Date | null;
  /** Subscribers that it holds. */
  readonly heldSubscribers: number;
}

export async function readFuse(pool: Pool): Promise<FuseView> {
  const { rows } = await pool.query<{
    held_at: Date | null;
    held_reason: string | null;
    released_at: Date | null;
    released_by: string | null;
    allowance: number;
    allowance_until: Date | null;
    held: number;
  }>(
    `SELECT held_at, held_reason, released_at, released_by, CASE WHEN allowance_until > now() THEN allowance ELSE 0 END AS allowance, allowance_until,
       (SELECT count(DISTINCT subscriber_id)::int FROM enforcement WHERE state = 'held') AS held FROM fuse WHERE id = 1`,
  );
  const row = rows[0]!;
  return {
    heldAt: row.held_at,
    reason: row.held_reason === null ? null : (JSON.parse(row.held_reason) as FuseView['reason']),
    releasedAt: row.released_at,
    releasedBy: row.released_by,
    allowance: row.allowance,
    allowanceUntil: row.allowance_until,
    heldSubscribers: row.held,
  };
}

/**
 * Lets what is held go on, and as many as are named whatever the limit says.
 *
 * @param subscribers how many may pass; undefined: those that are held now
 * @returns how many may pass
 */
export async function releaseHold(pool: Pool, actor: string, subscribers: number | undefined): Promise<number> {
  return await withActor(pool, actor, async (client: PoolClient) => {
    const { rows } = await client.query<FuseRow>(LOCK);
    const row = rows[0]!;
    const held = await client.query<{ held: number }>(
      `SELECT count(DISTINCT subscriber_id)::int AS held FROM enforcement WHERE state = 'held'`,
    );
    const count = subscribers ?? held.rows[0]!.held;
    await store(client, releaseFuse(stateOf(row), count, row.now_ms + RELEASE_MS, row.now_ms), null);
    await client.query('UPDATE fuse SET released_by = $1 WHERE id = 1', [actor]);
    await client.query(`INSERT INTO change_feed (kind, ref) VALUES ('fuse', 1)`);
    await client.query(`SELECT pg_notify('sluice_change', '')`);
    return count;
  });
}

/** Who is held, and what for. */
export interface HeldRow {
  readonly login: string;
  readonly contract: string;
  readonly nas_name: string;
  readonly desired: unknown;
  readonly applied: unknown;
}

/** @param limit rows at most */
export async function listHeld(pool: Pool, limit: number): Promise<HeldRow[]> {
  const { rows } = await pool.query<HeldRow>(
    `SELECT s.login, a.contract, e.nas_name, e.desired, e.applied FROM enforcement e
     JOIN subscriber s ON s.id = e.subscriber_id JOIN account a ON a.id = s.account_id
     WHERE e.state = 'held' ORDER BY s.login, e.nas_name LIMIT $1`,
    [limit],
  );
  return rows;
}

/** Forgets tightenings that no window reaches back to. @returns rows deleted */
export async function pruneTightenings(pool: Pool, windowMs: number): Promise<number> {
  const result = await pool.query(
    `DELETE FROM tightening WHERE at < now() - make_interval(secs => $1::float8 / 1000)`,
    [windowMs * 2],
  );
  return result.rowCount ?? 0;
}
