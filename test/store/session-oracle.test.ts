/**
 * The same random histories through PostgreSQL: several at once in mixed batches, some of them twice. Checked are the truth of each life and
 * the invariants between the tables. A failure names its seed.
 */
import type { Pool } from 'pg';
import t from 'tap';
import type { AccountingFact } from '../../src/domain/accounting-fact.js';
import type { Resolve } from '../../src/domain/session-batch.js';
import { StoredWorld } from '../support/stored-world.js';
import { freshDatabase } from '../support/database.js';
import { applyFacts } from '../support/facts.js';
import { Random } from '../support/session-lives.js';

const HISTORIES = Number(process.env['SLUICE_HISTORIES'] ?? 150);
const TOGETHER = 10;

async function play(pool: Pool, random: Random, facts: readonly AccountingFact[], resolve: Resolve): Promise<void> {
  for (let at = 0; at < facts.length;) {
    const batch = facts.slice(at, at + random.whole(1, 120));
    if (random.chance(0.1)) await applyFacts(pool, batch.slice(0, random.whole(1, batch.length)), resolve);
    await applyFacts(pool, batch, resolve);
    if (random.chance(0.1)) await applyFacts(pool, batch, resolve);
    at += batch.length;
  }
}

t.test('random histories in PostgreSQL agree with the oracle', async (t) => {
  const { pool } = await freshDatabase(t);
  const failed: string[] = [];
  for (let seed = 1; seed <= HISTORIES && failed.length === 0; seed += TOGETHER) {
    const world = await StoredWorld.make(
      pool,
      Array.from({ length: TOGETHER }, (_, i) => seed + i),
    );
    await play(pool, new Random(seed), world.facts, world.resolve);
    await world.closeRestarted();
    failed.push(...(await world.problems()));
  }
  t.same(failed, []);
  const { rows } = await pool.query<{ sessions: number }>('SELECT count(*) AS sessions FROM session_key');
  t.ok(rows[0]!.sessions >= HISTORIES, `${rows[0]!.sessions} sessions were stored`);
});
