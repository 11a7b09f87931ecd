/** The tables of the directory against JavaScript's own Map. */
import fc from 'fast-check';
import t from 'tap';
import { DenseMap, ShardedMap, ShardedMultiMap, type KeyedTable } from '../../src/store/sharded-index.js';

interface Entry {
  readonly n: number;
}

/** Ids that follow one another, addresses, ids that another program made up: all below 2⁵³. */
const key = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.integer({ min: 0x6440_0000, max: 0x6440_0100 }),
  fc.integer({ min: 0xffff_ff00, max: 0xffff_ffff }),
  fc.maxSafeNat(),
);
const command = fc.record({ what: fc.constantFrom('set', 'set', 'set', 'delete', 'get'), key, n: fc.nat() });

for (const [name, make] of [
  ['DenseMap', () => new DenseMap<Entry>()],
  ['ShardedMap', () => new ShardedMap<number, Entry>()],
] as const) {
  t.test(`${name}: whatever is set, replaced and deleted, it holds what a Map holds`, (t) => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const table: KeyedTable<number, Entry> = make();
        const model = new Map<number, Entry>();
        for (const { what, key, n } of commands) {
          if (what === 'set') {
            table.set(key, { n });
            model.set(key, { n });
          } else if (what === 'delete' && table.delete(key) !== model.delete(key)) return false;
          if (table.get(key)?.n !== model.get(key)?.n || table.has(key) !== model.has(key)) return false;
        }
        const keys = [...table.keySlices()].flat().sort((one, other) => one - other);
        return (
          table.size === model.size &&
          keys.length === model.size &&
          keys.join() === [...model.keys()].sort((one, other) => one - other).join()
        );
      }),
    );
    t.end();
  });
}

t.test('what is removed while keys are being looked at disturbs nothing', (t) => {
  const table = new DenseMap<Entry>();
  for (let n = 0; n < 100_000; n++) table.set(n, { n });
  let seen = 0;
  for (const slice of table.keySlices()) {
    for (const n of slice) {
      seen++;
      if (!table.delete(n)) t.fail(`${String(n)} is there no more`);
    }
  }
  t.equal(seen, 100_000);
  t.equal(table.size, 0);
  t.end();
});

t.test('several values under one key, in the order in which they came, in either kind of table', (t) => {
  for (const table of [new ShardedMultiMap<number, Entry>(), new ShardedMultiMap<number, Entry>(new DenseMap())]) {
    const [one, two, three] = [{ n: 1 }, { n: 2 }, { n: 3 }];
    table.add(7, one);
    table.add(7, two);
    table.add(8, three);
    t.same(table.get(7), [one, two]);
    table.replace(7, one, three);
    t.same(table.get(7), [three, two]);
    table.remove(7, two);
    t.same(table.get(7), [three]);
    table.setAll(7, []);
    t.same([table.get(7), table.get(8), table.size], [[], [three], 1]);
  }
  t.end();
});
