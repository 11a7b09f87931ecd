/**
 * What an import from FreeRADIUS writes besides subscribers: plans, lifted blocks, live sessions with their addresses.
 *
 * Enters: a transaction, and mapped values. Leaves: rows. Invariants: writing the same again changes nothing; sessions are
 * folded by the same rules as accounting packets, so a hold is taken exactly as it would have been; octets that were used
 * before the import are the base of a session and in no period.
 */
import type { PoolClient } from 'pg';
import type { SessionFact } from '../domain/accounting-fact.js';
import { blockReasonPrefix } from '../domain/freeradius-mapping.js';
import type { MappedPlan } from '../domain/freeradius-mapping.js';
import { foldBatch } from '../domain/session-batch.js';
import type { Resolve } from '../domain/session-batch.js';
import { saveOutcome } from './batch-outcome.js';
import { loadWorld } from './batch-world.js';
import { findPlan, insertPlan, updatePlan } from './catalogue.js';

/** What became of a plan. */
export type PlanWritten = 'added' | 'changed' | 'unchanged';

/**
 * Makes a plan as FreeRADIUS has it.
 *
 * @param poolId of the plan's pool, null without one
 * @throws DatabaseError with one of the `plan_…` constraints
 */
export async function writePlan(
  client: PoolClient,
  plan: MappedPlan,
  poolId: number | null,
): Promise<{ id: number; written: PlanWritten }> {
  const values = {
    rate_down_bps: plan.rateDownBps,
    rate_up_bps: plan.rateUpBps,
    pool_id: poolId,
    session_limit: plan.sessionLimit,
  };
  const held = await findPlan(client, plan.name);
  if (held === undefined) {
    await insertPlan(client, plan.name, values);
    const made = await findPlan(client, plan.name);
    return { id: made!.id, written: 'added' };
  }
  const same = (Object.keys(values) as (keyof typeof values)[]).every((key) => held[key] === values[key]);
  if (!same) await updatePlan(client, plan.name, values);
  return { id: held.id, written: same ? 'unchanged' : 'changed' };
}

/**
 * Lifts the blocks that an earlier import made and FreeRADIUS has no more; those of people stay.
 *
 * @returns how many were lifted
 */
export async function liftBlocks(client: PoolClient, logins: readonly string[]): Promise<number> {
  const result = await client.query(
    `UPDATE subscriber SET admin_blocked = false, admin_blocked_reason = NULL
      WHERE login = ANY ($1::text[]) AND NOT deleted AND admin_blocked AND starts_with(admin_blocked_reason, $2)`,
    [logins, blockReasonPrefix],
  );
  return result.rowCount ?? 0;
}

/** Who is meant by a login, or by a MAC that stands in its place; several subscribers with one MAC are told by all their ids. */
export async function subscribersNamed(
  client: PoolClient,
  logins: readonly string[],
  macs: readonly string[],
): Promise<{ byLogin: Map<string, number>; byMac: Map<string, number[]> }> {
  const byLogin = new Map<string, number>();
  const byMac = new Map<string, number[]>();
  const named = await client.query<{ id: number; login: string }>(
    'SELECT id, login FROM subscriber WHERE login = ANY ($1::text[]) AND NOT deleted',
    [logins],
  );
  for (const { id, login } of named.rows) byLogin.set(login, id);
  if (macs.length > 0) {
    const owners = await client.query<{ id: number; mac: string }>(
      'SELECT id, mac::text AS mac FROM subscriber WHERE mac = ANY ($1::macaddr[]) AND NOT deleted ORDER BY id',
      [macs],
    );
    for (const { id, mac } of owners.rows) byMac.set(mac, [...(byMac.get(mac) ?? []), id]);
  }
  return { byLogin, byMac };
}

/** The names under which the boxes of a NAS entry are known already. More than two are of no help. */
export async function knownBoxes(client: PoolClient, nasName: string): Promise<string[]> {
  const { rows } = await client.query<{ nas_box: string }>(
    'SELECT DISTINCT nas_box FROM session_key WHERE nas_name = $1 LIMIT 3',
    [nasName],
  );
  return rows.map((row) => row.nas_box);
}

/** What became of some sessions. */
export interface SessionsWritten {
  added: number;
  known: number;
  /** Sessions that newer ones of the same line, device or address prove dead. */
  closed: number;
  /** Addresses that two live sessions of different people claim. */
  conflicts: { readonly login: string; readonly address: string; readonly acctSessionId: string }[];
}

/**
 * Stores open sessions with their addresses.
 *
 * @param facts of whole sessions, the oldest first
 * @throws BatchConflictError when a running server stored one of them at the same moment
 */
export async function writeSessions(
  client: PoolClient,
  facts: readonly SessionFact[],
  resolve: Resolve,
): Promise<SessionsWritten> {
  const written: SessionsWritten = { added: 0, known: 0, closed: 0, conflicts: [] };
  if (facts.length === 0) return written;
  const outcome = foldBatch(await loadWorld(client, facts, resolve), facts, resolve);
  await saveOutcome(client, { ...outcome, usage: [] }, null);
  for (const { session, storedAs } of outcome.touched) {
    if (session.end !== null) written.closed += storedAs === 'closed' ? 0 : 1;
    else if (storedAs === 'absent') written.added += 1;
    else written.known += 1;
    if (session.end === null && session.conflict === 'address-held' && session.address !== null)
      written.conflicts.push({ login: session.login, address: session.address, acctSessionId: session.acctSessionId });
  }
  return written;
}

/**
 * Marks addresses in use that their pool takes for free: a pool may have been made after the sessions were stored.
 *
 * @returns how many were marked
 */
export async function markAddressesInUse(client: PoolClient): Promise<number> {
  const result = await client.query(
    `UPDATE pool_address a
        SET state = 'assigned', subscriber_id = o.subscriber_id, slot = o.slot, instance = NULL, offer_id = NULL,
            since = now(), until_at = NULL
       FROM assignment_open o
      WHERE o.ended_at IS NULL AND o.kind = 'ipv4' AND a.routing_domain = o.routing_domain AND a.address = o.address
        AND a.state <> 'assigned'`,
  );
  return result.rowCount ?? 0;
}
