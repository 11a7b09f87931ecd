/**
 * What follows from sessions that came and went, and from changed subscribers: `logged`, the end of the deleted, periods. Enters: subscriber ids.
 * Leaves: rows brought in line. Invariants: rows that somebody else has locked are skipped and reported, never waited
 * for; doing it again changes nothing.
 */
import type { Pool } from 'pg';
import { isAboutRows, withTransaction } from './database.js';

/**
 * Whoever has something to be brought in line. Most of those who are noted have not: a subscriber whose name of a NAS changed, one of
 * a million that are imported. Looking costs a tenth of locking and trying all, and writes nothing. What somebody has changed
 * and not yet committed comes again when he commits.
 */
const NEEDY = `SELECT s.id FROM subscriber s JOIN account a ON a.id = s.account_id
  CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM session WHERE subscriber_id = s.id) AS live) online
  WHERE s.id = ANY ($1::bigint[]) AND (
    s.logged <> (s.web_logged_at IS NOT NULL OR online.live)
    OR s.deleted AND NOT online.live AND (s.released_at IS NULL
      OR EXISTS (SELECT FROM period p WHERE p.subscriber_id = s.id AND p.closed_at IS NULL))
    OR NOT s.deleted AND NOT EXISTS (SELECT FROM period p WHERE p.subscriber_id = s.id AND p.closed_at IS NULL
      AND p.plan_id IS NOT DISTINCT FROM a.plan_id))`;

/** With each row what it needs, since nearly all need one thing or nothing. A session that comes or goes after this look is noted again by whoever stores it. */
const LOCK = `SELECT s.id, s.deleted,
    s.logged <> (s.web_logged_at IS NOT NULL OR EXISTS (SELECT FROM session WHERE subscriber_id = s.id)) AS toggles,
    NOT s.deleted AND p.id IS NOT NULL AND p.plan_id IS DISTINCT FROM a.plan_id AS changes_plan,
    NOT s.deleted AND p.id IS NULL AS lacks_period
  FROM subscriber s JOIN account a ON a.id = s.account_id
    LEFT JOIN period p ON p.subscriber_id = s.id AND p.closed_at IS NULL
  WHERE s.id = ANY ($1::bigint[]) ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED`;

interface LockedRow {
  readonly id: number;
  readonly deleted: boolean;
  readonly toggles: boolean;
  readonly changes_plan: boolean;
  readonly lacks_period: boolean;
}

/**
 * Tells our own writes of `logged`, which say what is, from those of others, which say what is wished (trigger `subscriber_logged`). Nobody waits for
 * the disk: a power cut may take back what follows from sessions and rows that stayed, and the sweep finds it again.
 */
const OURS = `SELECT set_config('sluice.settling', 'on', true), set_config('synchronous_commit', 'off', true)`;

/** Whom a portal let in is online without a session, until somebody says otherwise. */
const LOGGED = `UPDATE subscriber s SET logged = NOT s.logged
  WHERE s.id = ANY ($1::bigint[])
    AND s.logged <> (s.web_logged_at IS NOT NULL OR EXISTS (SELECT FROM session WHERE subscriber_id = s.id))`;

/**
 * Entries of the deleted that never came to be: nothing has to be taken away. One that somebody has in hand is left for the next time; once it is
 * gone, a command that was about to be committed for it is not.
 */
const FORGET = `WITH never AS (
    SELECT e.id FROM enforcement e JOIN subscriber s ON s.id = e.subscriber_id
    WHERE e.subscriber_id = ANY ($1::bigint[]) AND e.kind <> 'session' AND NOT e.may_be_present AND s.deleted
    ORDER BY e.id FOR UPDATE OF e SKIP LOCKED)
  DELETE FROM enforcement e USING never WHERE e.id = never.id`;

/** The address waits for the last session and lease, and for every NAS where something of the subscriber may still be. */
const RELEASE = `UPDATE subscriber s SET released_at = now()
  WHERE s.id = ANY ($1::bigint[]) AND s.deleted AND s.released_at IS NULL
    AND NOT EXISTS (SELECT FROM session WHERE subscriber_id = s.id)
    AND NOT EXISTS (SELECT FROM lease WHERE subscriber_id = s.id AND state = 'bound')
    AND NOT EXISTS (SELECT FROM enforcement WHERE subscriber_id = s.id AND kind <> 'session')`;

const CLOSE_DELETED = `UPDATE period p SET closed_at = greatest(now(), p.opened_at),
    close_reason = 'deleted' || coalesce(': ' || s.deleted_reason, '')
  FROM subscriber s
  WHERE s.id = ANY ($1::bigint[]) AND p.subscriber_id = s.id AND p.closed_at IS NULL
    AND s.deleted AND s.released_at IS NOT NULL AND NOT EXISTS (SELECT FROM session WHERE subscriber_id = s.id)`;

const CLOSE_FOR_PLAN = `UPDATE period p SET closed_at = greatest(now(), p.opened_at), close_reason = 'plan changed'
  FROM subscriber s JOIN account a ON a.id = s.account_id
  WHERE s.id = ANY ($1::bigint[]) AND p.subscriber_id = s.id AND p.closed_at IS NULL AND NOT s.deleted
    AND p.plan_id IS DISTINCT FROM a.plan_id`;

/**
 * A new period begins where the last one ended, or now for somebody who came back. After the clock was set back "now" may lie within the
 * last one, and periods never overlap.
 */
const OPEN = `INSERT INTO period (subscriber_id, plan_id, opened_at)
  SELECT s.id, a.plan_id, greatest(now(), (SELECT max(p.closed_at) FROM period p WHERE p.subscriber_id = s.id)) FROM subscriber s JOIN account a ON a.id = s.account_id
  WHERE s.id = ANY ($1::bigint[]) AND NOT s.deleted
    AND NOT EXISTS (SELECT FROM period p WHERE p.subscriber_id = s.id AND p.closed_at IS NULL)
  ON CONFLICT DO NOTHING`;

/** Rows of these subscribers refuse to be brought in line; everybody else who was asked for has been. */
export class SettleRefusedError extends Error {
  override readonly name = 'SettleRefusedError';

  constructor(
    readonly subscriberIds: readonly number[],
    options: { cause: unknown },
  ) {
    super(
      `periods and flags of subscriber ${subscriberIds.slice(0, 10).join(', ')} cannot be brought in line`,
      options,
    );
  }
}

/**
 * @returns the subscribers that were locked by somebody else: try them again
 * @throws SettleRefusedError when all but some were settled; else the database's error, and nothing has changed
 */
export async function settleSubscribers(pool: Pool, ids: readonly number[]): Promise<number[]> {
  const refused: { readonly id: number; readonly error: unknown }[] = [];
  const missed = await settleByHalves(pool, ids, (id, error) => refused.push({ id, error }));
  if (refused.length > 0)
    throw new SettleRefusedError(
      refused.map(({ id }) => id),
      { cause: refused[0]!.error },
    );
  return missed;
}

/** What is wrong with the rows of one subscriber is found by halving, so that it holds up nobody else. */
async function settleByHalves(
  pool: Pool,
  ids: readonly number[],
  refuse: (id: number, error: unknown) => void,
): Promise<number[]> {
  try {
    return await settleTogether(pool, ids);
  } catch (error) {
    if (!isAboutRows(error)) throw error;
    if (ids.length <= 1) {
      for (const id of ids) refuse(id, error);
      return [];
    }
    const middle = ids.length >> 1;
    const first = await settleByHalves(pool, ids.slice(0, middle), refuse);
    return [...first, ...(await settleByHalves(pool, ids.slice(middle), refuse))];
  }
}

async function settleTogether(pool: Pool, noted: readonly number[]): Promise<number[]> {
  const missed = await withTransaction(
    pool,
    async (client) => {
      const needy = await client.query<{ id: number }>({ name: 'settle-needy', text: NEEDY, values: [noted] });
      if (needy.rows.length === 0) return [];
      const ids = needy.rows.map((row) => row.id);
      await client.query({ name: 'settle-ours', text: OURS });
      const { rows } = await client.query<LockedRow>({ name: 'settle-lock', text: LOCK, values: [ids] });
      const steps: readonly (readonly [name: string, text: string, concerns: (row: LockedRow) => boolean])[] = [
        ['settle-logged', LOGGED, (row) => row.toggles],
        ['settle-forget', FORGET, (row) => row.deleted],
        ['settle-release', RELEASE, (row) => row.deleted],
        ['settle-deleted', CLOSE_DELETED, (row) => row.deleted],
        ['settle-plan', CLOSE_FOR_PLAN, (row) => row.changes_plan],
        ['settle-open', OPEN, (row) => row.changes_plan || row.lacks_period],
      ];
      for (const [name, text, concerns] of steps) {
        const concerned = rows.filter(concerns).map((row) => row.id);
        if (concerned.length > 0) await client.query({ name, text, values: [concerned] });
      }
      const locked = new Set(rows.map((row) => row.id));
      return ids.filter((id) => !locked.has(id));
    },
    'by-key',
  );
  if (missed.length === 0) return [];
  const { rows } = await pool.query<{ id: number }>('SELECT id FROM subscriber WHERE id = ANY ($1::bigint[])', [
    missed,
  ]);
  return rows.map((row) => row.id);
}

/** Subscribers of changed accounts, for their periods. */
export async function subscribersOfAccounts(pool: Pool, accountIds: readonly number[]): Promise<number[]> {
  const { rows } = await pool.query<{ id: number }>('SELECT id FROM subscriber WHERE account_id = ANY ($1::bigint[])', [
    accountIds,
  ]);
  return rows.map((row) => row.id);
}

/**
 * Whoever a crash left unsettled, as live sessions and deletions show it.
 * @param limit at most this many, so that a sweep stays short
 */
export async function findUnsettled(pool: Pool, limit: number): Promise<number[]> {
  return find(
    pool,
    `(SELECT s.id FROM subscriber s WHERE NOT s.logged AND s.id IN (SELECT subscriber_id FROM session) LIMIT $1)
     UNION (SELECT s.id FROM subscriber s WHERE s.deleted AND s.released_at IS NULL
              AND NOT EXISTS (SELECT FROM session WHERE subscriber_id = s.id)
              AND NOT EXISTS (SELECT FROM lease WHERE subscriber_id = s.id AND state = 'bound')
              AND NOT EXISTS (SELECT FROM enforcement WHERE subscriber_id = s.id AND kind <> 'session' AND may_be_present) LIMIT $1)
     LIMIT $1`,
    limit,
  );
}

/**
 * Those who are said to be online without a session, in one part of all subscribers: an index of those online would have to be written
 * whenever somebody comes or goes.
 * @param afterId where the part begins, 0 at first
 * @param rows how many subscribers are looked at
 * @returns those found, and where the next part begins; null when there is none
 */
export async function findOnlineWithoutSession(
  pool: Pool,
  afterId: number,
  rows: number,
): Promise<{ readonly ids: readonly number[]; readonly nextAfterId: number | null }> {
  const { rows: found } = await pool.query<{ ids: number[]; last_id: number | null; seen: number }>(
    `WITH part AS MATERIALIZED (SELECT id, logged AND web_logged_at IS NULL AS online FROM subscriber WHERE id > $1 ORDER BY id LIMIT $2)
     SELECT (SELECT max(id) FROM part) AS last_id, (SELECT count(*) FROM part)::int AS seen,
       ARRAY(SELECT id FROM part WHERE online AND NOT EXISTS (SELECT FROM session WHERE subscriber_id = part.id)) AS ids`,
    [afterId, rows],
  );
  const { ids, last_id: lastId, seen } = found[0]!;
  return { ids, nextAfterId: seen < rows ? null : lastId };
}

/**
 * Whose period is not as it should be: the same as `findUnsettled`, but it compares all subscribers with all open periods, which takes
 * seconds for a million.
 */
export async function findUnsettledPeriods(pool: Pool, limit: number): Promise<number[]> {
  return find(
    pool,
    `(SELECT s.id FROM period p JOIN subscriber s ON s.id = p.subscriber_id
      WHERE p.closed_at IS NULL AND s.deleted AND s.released_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM session WHERE subscriber_id = s.id) LIMIT $1)
     UNION (SELECT s.id FROM subscriber s WHERE NOT s.deleted
              AND NOT EXISTS (SELECT FROM period p WHERE p.subscriber_id = s.id AND p.closed_at IS NULL) LIMIT $1)
     UNION (SELECT s.id FROM period p JOIN subscriber s ON s.id = p.subscriber_id JOIN account a ON a.id = s.account_id
            WHERE p.closed_at IS NULL AND NOT s.deleted AND p.plan_id IS DISTINCT FROM a.plan_id LIMIT $1)
     LIMIT $1`,
    limit,
  );
}

async function find(pool: Pool, sql: string, limit: number): Promise<number[]> {
  const { rows } = await pool.query<{ id: number }>(sql, [limit]);
  return rows.map((row) => row.id);
}
