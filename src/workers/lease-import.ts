/**
 * Leases that were given before there was anybody to hear of them. Enters: the transaction of a batch, events of a lease file. Leaves: what the same events would
 * have done on their way through the spool. Invariant: leases and their sessions are written in one transaction; running servers hear of them by the change feed.
 */
import type { Pool, PoolClient } from 'pg';
import type { AccountingFact } from '../domain/accounting-fact.js';
import type { LeaseEvent } from '../domain/lease-event.js';
import { foldBatch } from '../domain/session-batch.js';
import { saveOutcome } from '../store/batch-outcome.js';
import { loadWorld } from '../store/batch-world.js';
import { settleSubscribers } from '../store/settle.js';
import { applyLeases, type LeaseBatch, type LeaseRules } from './lease-batch.js';

/** Whoever is locked by somebody else is tried again so often; a running server brings the rest in line by itself. */
const MOST_SETTLINGS = 5;

/** The session of a lease names its subscriber by itself. */
const ownerOf = (fact: AccountingFact): number | null => ('whose' in fact ? (fact.whose ?? null) : null);

/**
 * @returns what became of the events, and the subscribers to be settled after the commit
 * @throws BatchConflictError when somebody else was quicker: nothing of it may be committed, and it can be tried again
 */
export async function importLeases(
  client: PoolClient,
  events: readonly LeaseEvent[],
  rules: LeaseRules,
): Promise<LeaseBatch> {
  const batch = await applyLeases(client, events, rules);
  if (batch.facts.length === 0) return batch;
  const { believed, ...world } = await loadWorld(client, batch.facts, ownerOf);
  const settled = await saveOutcome(client, foldBatch(world, batch.facts, ownerOf), null, believed);
  return { ...batch, settled: [...new Set([...batch.settled, ...settled])] };
}

/** @throws SettleRefusedError */
export async function settleImported(pool: Pool, subscriberIds: readonly number[]): Promise<void> {
  let waiting = subscriberIds;
  for (let turn = 0; turn < MOST_SETTLINGS && waiting.length > 0; turn++)
    waiting = await settleSubscribers(pool, waiting);
}
