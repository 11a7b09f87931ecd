/**
 * The end of a NAS that will never come back. Enters: its name. Leaves: nothing of it but history, and what would be lost before that. Invariants: a NAS that a
 * server commands is not forgotten; every enforcement leaves a line in the history; a deleted subscriber who was kept waiting for it waits no more.
 */
import type { Pool, PoolClient } from 'pg';
import type { EnforcementState } from './enforcement-rows.js';
import { commanderOf, countsByNas } from './nas-progress.js';

/** A server writes every half a minute which NASes it commands; after this it does not, ms. */
const COMMANDS_WITHIN_MS = 120_000;
/** In `nas_command.command` and `outcome`. */
const COMMAND = 'nas_forget';
const OUTCOME = 'forgotten';

/** What would be lost. */
export interface NasRemains {
  readonly enforcements: Readonly<Partial<Record<EnforcementState, number>>>;
  /** Of them, how many may still have something on the device, which nobody would take away any more. */
  readonly mayBePresent: number;
  /** Deleted subscribers whose addresses and periods wait for it. */
  readonly waiting: number;
  /** Entries of others that were adopted there. */
  readonly adopted: number;
  /** Logins of some who may still be there. */
  readonly logins: readonly string[];
  /** The server that commands it at this moment. */
  readonly commandedBy: string | null;
}

/** What of a NAS is known. @param shown logins at most @param nowMs ms since 1970 */
export async function nasRemains(pool: Pool, nasName: string, shown: number, nowMs: number): Promise<NasRemains> {
  const { rows } = await pool.query<{ present: number; waiting: number; adopted: number }>(
    `SELECT count(*) FILTER (WHERE e.may_be_present)::int AS present,
       count(DISTINCT s.id) FILTER (WHERE s.deleted AND s.released_at IS NULL)::int AS waiting,
       (SELECT count(*) FROM nas_entry n WHERE n.nas_name = $1 AND n.adopted_at IS NOT NULL)::int AS adopted
     FROM enforcement e JOIN subscriber s ON s.id = e.subscriber_id WHERE e.nas_name = $1`,
    [nasName],
  );
  const there = await pool.query<{ login: string }>(
    `SELECT s.login FROM enforcement e JOIN subscriber s ON s.id = e.subscriber_id
     WHERE e.nas_name = $1 AND e.may_be_present ORDER BY e.id LIMIT $2`,
    [nasName, shown],
  );
  const commander = await commanderOf(pool, nasName);
  const isCommanded = commander?.released_at === null && nowMs - commander.seen_at.getTime() < COMMANDS_WITHIN_MS;
  const [{ present, waiting, adopted } = { present: 0, waiting: 0, adopted: 0 }] = rows;
  return {
    enforcements: (await countsByNas(pool)).get(nasName) ?? {},
    mayBePresent: present,
    waiting,
    adopted,
    logins: there.rows.map(({ login }) => login),
    commandedBy: isCommanded ? commander.instance : null,
  };
}

/**
 * Forgets all enforcements of a NAS, and what else belongs to it alone.
 *
 * @param by who wants it, in the history
 * @returns how many enforcements there were
 */
export async function forgetNas(client: PoolClient, nasName: string, by: string): Promise<number> {
  const { rowCount } = await client.query(
    `WITH locked AS (SELECT id FROM enforcement WHERE nas_name = $1 ORDER BY id FOR UPDATE),
       gone AS (DELETE FROM enforcement e USING locked l WHERE e.id = l.id
         RETURNING e.id, e.subscriber_id, e.generation, e.may_be_present, e.state),
       told AS (INSERT INTO nas_command (enforcement_id, nas_name, subscriber_id, login, command, sent, attempts, planned_at, outcome, detail,
           generation, instance)
         SELECT g.id, $1, g.subscriber_id, s.login, $3, '', 0, now(), $4,
           CASE WHEN g.may_be_present THEN 'something of it may still be there' ELSE 'nothing of it was there' END, g.generation, $2
         FROM gone g JOIN subscriber s ON s.id = g.subscriber_id),
       waiting AS (INSERT INTO change_feed (kind, ref) SELECT DISTINCT 'subscriber', g.subscriber_id FROM gone g
         JOIN subscriber s ON s.id = g.subscriber_id WHERE s.deleted AND s.released_at IS NULL)
     SELECT id FROM gone`,
    [nasName, by, COMMAND, OUTCOME],
  );
  for (const table of ['nas_entry', 'reconcile_run', 'nas_owner'])
    await client.query(`DELETE FROM ${table} WHERE nas_name = $1`, [nasName]);
  await client.query(`SELECT pg_notify('sluice_change', '')`);
  return rowCount ?? 0;
}
