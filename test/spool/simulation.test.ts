/**
 * The promise of the spool over many seeded lives: whatever is acknowledged is read back once, in order, byte for byte,
 * after faults at any call and crashes at any point. A failing seed is printed; `SPOOL_SEED=n` runs it alone, and
 * `SPOOL_SEEDS=n` runs more of them.
 */

import t from 'tap';
import { liveOnce } from './simulation.js';

const only = process.env['SPOOL_SEED'];
const first = only === undefined ? 1 : Number(only);
const count = only === undefined ? Number(process.env['SPOOL_SEEDS'] ?? 2000) : 1;

t.test(`${count} lives on a failing disk lose nothing that was acknowledged`, async (t) => {
  const total = { acknowledged: 0, refused: 0, crashes: 0, faults: 0 };
  for (let seed = first; seed < first + count; seed += 1) {
    const life = await liveOnce(seed);
    if (life.broken.length > 0) {
      t.fail(`SPOOL_SEED=${seed}`, { broken: life.broken.slice(0, 5) });
      return;
    }
    total.acknowledged += life.acknowledged;
    total.refused += life.refused;
    total.crashes += life.crashes;
    total.faults += life.faults;
  }
  t.comment(JSON.stringify(total));
  // The lives must be worth living: a simulation in which nothing fails proves nothing.
  t.ok(total.acknowledged > count * 10, 'records were acknowledged');
  t.ok(count === 1 || (total.crashes > count && total.faults > count && total.refused > count), 'disks failed');
});
