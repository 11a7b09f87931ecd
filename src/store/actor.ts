/**
 * Transactions that say who is behind them.
 *
 * Enters: a pool, the name of a person or program. Leaves: the result of the work, committed.
 * Invariant: the name holds for that one transaction and never leaks into the next user of the connection.
 */
import type { Pool, PoolClient } from 'pg';
import { withTransaction } from './database.js';

/** `subscriber_event.changed_by` is read by people; a longer name is cut, characters. */
const longestActor = 100;

/**
 * People who give commands are staff: limits that bind what subscribers wish for themselves do not bind them.
 *
 * Runs `work` in a transaction whose changes are recorded under `actor` in `subscriber_event.changed_by`.
 *
 * @throws what `withTransaction` throws
 */
export async function withActor<Result>(
  pool: Pool,
  actor: string,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  return await withTransaction(pool, async (client) => {
    await client.query(
      `SELECT set_config('sluice.actor', $1, true), set_config('sluice.own_block_limits', 'off', true)`,
      [actor.slice(0, longestActor)],
    );
    return await work(client);
  });
}
