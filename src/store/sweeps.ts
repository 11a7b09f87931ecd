/**
 * What only time does, as single statements. Enters: limits from conf. Leaves: changed rows and how many. Invariants: every sweep is
 * bounded and can run again at once; no address becomes free for others before every instance is past the instant at which
 * it was taken away.
 */
import type { Pool } from 'pg';
import { foldEnds } from '../domain/session-batch.js';
import type { SyntheticCause } from '../domain/session.js';
import { saveOutcome } from './batch-outcome.js';
import { loadWorldOfSessions } from './batch-world.js';
import { isLockedBySomebody, withTransaction } from './database.js';
import { REFUSALS_KEPT } from './lease-queries.js';

/**
 * Before this instant every instance has seen every change and applied every fact. An instance that stopped in order, or was not heard of
 * for longer than the outage horizon, offers nothing and does not count. As SQL; $1 is that horizon in hours. It offers by its own clock and by
 * its last poll, we judge by its last heartbeat: hence ten minutes more. Whoever claims to have seen the future wrote before the clock was set
 * back, and counts as having seen nothing until it speaks again.
 */
export const CAUGHT_UP = `(SELECT coalesce(min(CASE WHEN caught_up_at > now() THEN 'epoch' ELSE caught_up_at END), now()) FROM instance
  WHERE stopped_at IS NULL AND heartbeat_at > now() - make_interval(hours => $1::int, mins => 10))`;

/** Offers whose session never began go back, and stay their owner's for next time. */
export async function expireOffers(pool: Pool, horizonHours: number, limit: number): Promise<number> {
  const result = await pool.query(
    `UPDATE pool_address a SET state = 'free', since = now(), until_at = NULL, instance = NULL, offer_id = NULL
     WHERE (a.routing_domain, a.address) IN (
       SELECT routing_domain, address FROM pool_address
       WHERE state = 'offered' AND until_at < now() AND until_at < ${CAUGHT_UP} LIMIT $2 FOR UPDATE SKIP LOCKED)`,
    [horizonHours, limit],
  );
  return result.rowCount ?? 0;
}

/** Quarantine that is over. */
export async function endQuarantine(pool: Pool, horizonHours: number, limit: number): Promise<number> {
  const result = await pool.query(
    `UPDATE pool_address a SET state = 'free', until_at = NULL
     WHERE (a.routing_domain, a.address) IN (
       SELECT routing_domain, address FROM pool_address
       WHERE state = 'quarantined' AND until_at <= now() AND since < ${CAUGHT_UP} LIMIT $2 FOR UPDATE SKIP LOCKED)`,
    [horizonHours, limit],
  );
  return result.rowCount ?? 0;
}

/** Of every pool this share of addresses, at least one, is kept free of owners, for people who have no address yet. */
const CLEAN_SHARE = 0.05;

/**
 * Takes the longest unused addresses from owners who stay away, where a pool runs short of addresses without owner, and of prefixes to cut. They go through
 * quarantine, so that no instance that still remembers the owner can give them to two. Many NASes never tell in accounting which prefixes a session
 * uses: those of whoever is online stay his.
 */
export async function breakSticky(pool: Pool, limit: number): Promise<number> {
  const result = await pool.query(
    `WITH short AS (
       SELECT a.pool_id, greatest(1, ceil(count(*) * ${CLEAN_SHARE}))::bigint
         - count(*) FILTER (WHERE a.subscriber_id IS NULL AND a.state IN ('free', 'quarantined')) - coalesce(u.uncut, 0) AS missing
       FROM pool_address a LEFT JOIN (
         SELECT p.id, sum(sluice_network_size(n.network, p.prefix_length) - n.carved)::bigint AS uncut
         FROM pool p JOIN pool_network n ON n.pool_id = p.id WHERE p.kind <> 'ipv4' GROUP BY p.id) u ON u.id = a.pool_id
       GROUP BY a.pool_id, u.uncut),
     taken AS (
       UPDATE pool_address a SET state = 'quarantined', since = now(), until_at = now(), subscriber_id = NULL, slot = NULL
       FROM (SELECT p.routing_domain, p.address, p.subscriber_id AS owner FROM short s CROSS JOIN LATERAL (
               SELECT routing_domain, address, subscriber_id FROM pool_address
               WHERE pool_id = s.pool_id AND state = 'free' AND subscriber_id IS NOT NULL AND (family(address) = 4
                 OR NOT EXISTS (SELECT FROM session l WHERE l.subscriber_id = pool_address.subscriber_id))
               ORDER BY since LIMIT least(s.missing, $1) FOR UPDATE SKIP LOCKED) p WHERE s.missing > 0) o
       WHERE a.routing_domain = o.routing_domain AND a.address = o.address RETURNING o.owner)
     INSERT INTO change_feed (kind, ref) SELECT DISTINCT 'address', owner FROM taken`,
    [limit],
  );
  return result.rowCount ?? 0;
}

/** A session as it was when it was found; one that has changed since is left alone. */
export interface FoundSession {
  readonly id: number;
  readonly lastEventAtMs: number;
  readonly lastReceivedAtMs: number;
}

/** Restarts whose sessions are not all closed yet. */
export async function findRestarts(
  pool: Pool,
): Promise<{ nasName: string; nasBox: string; eventAtMs: number; kind: string }[]> {
  const { rows } = await pool.query<{ nas_name: string; nas_box: string; at: number; kind: string }>(
    `SELECT nas_name, nas_box, (extract(epoch FROM event_at) * 1000)::bigint AS at, kind FROM nas_restart
     WHERE closed_through_at IS NULL ORDER BY event_at LIMIT 1000`,
  );
  return rows.map((row) => ({ nasName: row.nas_name, nasBox: row.nas_box, eventAtMs: row.at, kind: row.kind }));
}

/** Some sessions that a restart ended. */
export async function findRestarted(
  pool: Pool,
  restart: { readonly nasName: string; readonly nasBox: string; readonly eventAtMs: number },
  limit: number,
): Promise<FoundSession[]> {
  const { rows } = await pool.query<{ id: number; event_ms: number; received_ms: number }>(
    `SELECT id, (extract(epoch FROM last_event_at) * 1000)::bigint AS event_ms,
       (extract(epoch FROM last_received_at) * 1000)::bigint AS received_ms
     FROM session WHERE nas_name = $1 AND nas_box = $2
       AND started_at < to_timestamp($3::float8 / 1000.0) AND last_event_at < to_timestamp($3::float8 / 1000.0) LIMIT $4`,
    [restart.nasName, restart.nasBox, restart.eventAtMs, limit],
  );
  return rows.map((row) => ({ id: row.id, lastEventAtMs: row.event_ms, lastReceivedAtMs: row.received_ms }));
}

export async function finishRestart(
  pool: Pool,
  restart: { readonly nasName: string; readonly nasBox: string; readonly eventAtMs: number; readonly kind: string },
): Promise<void> {
  await pool.query(
    `UPDATE nas_restart SET closed_through_at = now()
     WHERE nas_name = $1 AND nas_box = $2 AND event_at = to_timestamp($3::float8 / 1000.0) AND kind = $4`,
    [restart.nasName, restart.nasBox, restart.eventAtMs, restart.kind],
  );
}

/**
 * Closes sessions without a Stop, if they are as they were when they were found.
 * @param atMs when they ended, ms since 1970
 * @returns subscribers to settle, and how many sessions were closed
 */
export async function closeSessions(
  pool: Pool,
  found: readonly FoundSession[],
  cause: SyntheticCause,
  atMs: number | 'last-event',
): Promise<{ subscriberIds: number[]; closed: number }> {
  return withTransaction(pool, async (client) => {
    const world = await loadWorldOfSessions(
      client,
      found.map(({ id }) => id),
    );
    const before = new Map(found.map((session) => [session.id, session]));
    const ending = world.sessions.filter((session) => {
      const one = before.get(session.id!);
      return one?.lastEventAtMs === session.lastEventAtMs && one.lastReceivedAtMs === session.lastReceivedAtMs;
    });
    const outcome = foldEnds(
      world,
      ending.map((session) => ({ session, cause, atMs: atMs === 'last-event' ? session.lastEventAtMs : atMs })),
    );
    return { subscriberIds: await saveOutcome(client, outcome, null), closed: ending.length };
  });
}

export interface Retention {
  readonly sessionKeyDays: number;
  readonly changeFeedHours: number;
  readonly historyMonths: number;
  readonly commandMonths: number;
  readonly partitionsAhead: number;
}

/** How long people may ask why a lease was not followed, days: from one bill to the next. */
const REFUSAL_DAYS = 30;

/** Deletes what nobody can ask for any more, in slices. @returns rows deleted; call again while it is `limit` or more */
export async function prune(pool: Pool, retention: Retention, limit: number): Promise<number> {
  const slice = async (table: string, where: string, value: number): Promise<number> => {
    const result = await pool.query(
      `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${table} WHERE ${where} LIMIT $2))`,
      [value, limit],
    );
    return result.rowCount ?? 0;
  };
  const deleted = [
    await slice('change_feed', 'at < now() - make_interval(hours => $1::int)', retention.changeFeedHours),
    await slice('session_key', 'closed_at < now() - make_interval(days => $1::int)', retention.sessionKeyDays),
    await slice('nas_restart', 'event_at < now() - make_interval(days => $1::int)', retention.sessionKeyDays),
    // Until then a replay may bring an event of the lease again, and what is stored tells that it is late.
    await slice(
      'lease',
      "state = 'ended' AND ended_at < now() - make_interval(days => $1::int)",
      retention.sessionKeyDays,
    ),
    await slice('lease_refusal', 'at < now() - make_interval(days => $1::int)', REFUSAL_DAYS),
    await slice(
      'lease_refusal',
      '(at, id) <= (SELECT at, id FROM lease_refusal ORDER BY at DESC, id DESC OFFSET $1::int LIMIT 1)',
      REFUSALS_KEPT,
    ),
  ];
  return Math.max(...deleted);
}

/**
 * How long a lock on a partitioned table is waited for, ms. Whoever writes to the table stands behind us meanwhile; billing may keep it for as long as it
 * likes, and months are made well ahead.
 */
const PARTITION_LOCK_MS = 100;

/** What became of the months. */
export interface RolledPartitions {
  readonly dropped: readonly string[];
  /** Somebody has written to one of the tables and not committed yet: it is to be tried again later. */
  readonly isDeferred: boolean;
}

/** Makes the months ahead and drops whole months past retention, unless somebody is in the way. */
export async function rollPartitions(pool: Pool, retention: Retention): Promise<RolledPartitions> {
  const isMade = await unlessLocked(pool, 'SELECT sluice_make_partitions($1)', [retention.partitionsAhead]);
  const { rows } = await pool.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
     JOIN pg_partitioned_table t ON t.partrelid = p.oid
     WHERE p.relnamespace = to_regnamespace(current_schema()::text) AND c.relname ~ '_[0-9]{6}$'
       AND to_date(right(c.relname, 6), 'YYYYMM') < (date_trunc('month', now())
         - make_interval(months => CASE p.relname WHEN 'nas_command' THEN $2::int ELSE $1::int END))::date`,
    [retention.historyMonths, retention.commandMonths],
  );
  const dropped: string[] = [];
  for (const { name } of rows) if (await unlessLocked(pool, `DROP TABLE ${pgIdentifier(name)}`, [])) dropped.push(name);
  return { dropped, isDeferred: !isMade || dropped.length < rows.length };
}

/** @returns false: somebody has a lock that is in the way, and nothing was done */
async function unlessLocked(pool: Pool, sql: string, values: readonly unknown[]): Promise<boolean> {
  try {
    await withTransaction(pool, async (client) => {
      await client.query(`SET LOCAL lock_timeout = ${String(PARTITION_LOCK_MS)}`);
      await client.query(sql, [...values]);
    });
    return true;
  } catch (error) {
    if (isLockedBySomebody(error)) return false;
    throw error;
  }
}

function pgIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
