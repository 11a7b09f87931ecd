/**
 * The end of a server that will never come back.
 *
 * Enters: the name of an instance. Leaves: its reserve, free for others; its row gone.
 * Invariant: the lock that a living server holds on its name is held here meanwhile, so nothing is taken from the living.
 */
import type { Pool } from 'pg';
import { lockInstanceName } from './instances.js';
import { forgetInstance } from './reserve-rows.js';

/** What became of the wish to forget. */
export type ForgetOutcome =
  { readonly ok: true; readonly freedAddresses: number } | { readonly ok: false; readonly reason: 'running' };

/**
 * Frees what an instance has reserved, and forgets it, so that nobody waits for it to catch up. What its spool still holds is
 * lost: the caller has made sure that this is known.
 */
export async function forgetStoppedInstance(pool: Pool, name: string): Promise<ForgetOutcome> {
  const client = await pool.connect();
  try {
    if (!(await lockInstanceName(client, name))) return { ok: false, reason: 'running' };
    await client.query('BEGIN');
    const freedAddresses = await forgetInstance(client, name);
    await client.query(`DELETE FROM instance WHERE name = $1`, [name]);
    await client.query('COMMIT');
    return { ok: true, freedAddresses };
  } finally {
    // The lock lives as long as the connection, so the connection ends here, and an open transaction with it.
    client.release(true);
  }
}
