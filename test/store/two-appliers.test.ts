/**
 * Two servers on one database. NASes fail over between them in the middle of sessions, and some packets reach both. Checked against the same
 * oracle as a single server.
 */
import t from 'tap';
import type { AccountingFact } from '../../src/domain/accounting-fact.js';
import { boxKey } from '../../src/domain/accounting-fact.js';
import { createPool } from '../../src/store/database.js';
import { freshDatabase } from '../support/database.js';
import { runApplier } from '../support/running-applier.js';
import { Random } from '../support/session-lives.js';
import { StoredWorld } from '../support/stored-world.js';

const HISTORIES = Number(process.env['SLUICE_HISTORIES'] ?? 100);
const TOGETHER = 25;

/** Each box speaks to one server for a while, then to the other; some packets reach both. */
function split(random: Random, facts: readonly AccountingFact[]): [AccountingFact[], AccountingFact[]] {
  const servers: [AccountingFact[], AccountingFact[]] = [[], []];
  const current = new Map<string, number>();
  for (const fact of facts) {
    const box = boxKey(fact);
    let server = current.get(box) ?? random.whole(0, 1);
    if (random.chance(0.02)) server = 1 - server;
    current.set(box, server);
    servers[server]!.push(fact);
    if (random.chance(0.05)) servers[1 - server]!.push(fact);
  }
  return servers;
}

t.test('two appliers, failover and packets through both', async (t) => {
  const { pool, url } = await freshDatabase(t);
  const second = createPool(url, { instance: 'sluice-2', maxConnections: 5 });
  t.teardown(() => second.end());
  const batches = { batchRecords: 60 };
  let conflicts = 0;
  for (let seed = 1; seed <= HISTORIES; seed += TOGETHER) {
    const world = await StoredWorld.make(
      pool,
      Array.from({ length: TOGETHER }, (_, i) => seed + i),
    );
    const one = await runApplier(t, pool, world.resolve, { ...batches, instance: 'sluice-1' });
    const two = await runApplier(t, second, world.resolve, { ...batches, instance: 'sluice-2' });
    const random = new Random(seed);
    const [first, other] = split(random, world.facts);
    const total = Math.max(first.length, other.length);
    for (let at = 0; at < total; at += 400) {
      await Promise.all([one.append(first.slice(at, at + 400)), two.append(other.slice(at, at + 400))]);
    }
    await Promise.all([one.applier.caughtUp(), two.applier.caughtUp()]);
    t.equal(one.applier.status.setAside + two.applier.status.setAside, 0, 'nothing was set aside');
    conflicts += one.applier.status.conflicts + two.applier.status.conflicts;
    await Promise.all([one.stop(), two.stop()]);
    await world.closeRestarted();
    t.same(await world.problems(), [], `histories ${seed} to ${seed + TOGETHER - 1}`);
  }
  t.comment(`${conflicts} batches were folded again because of the other server`);
});
