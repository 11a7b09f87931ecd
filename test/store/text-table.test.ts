/** The table by texts against JavaScript's own Map. */
import fc from 'fast-check';
import t from 'tap';
import { ShardedMultiMap } from '../../src/store/sharded-index.js';
import { TextTable } from '../../src/store/text-table.js';

interface Entry {
  readonly key: string;
  readonly n: number;
}

const keyOf = ({ key }: Entry): string => key;
/** Few enough to meet again, many enough to grow; the empty one, long ones, and what no login should be. */
const key = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map((n) => `user${String(n)}`),
  fc.constantFrom('', ' ', "' OR 1=1", '\u0000', 'ü', 'u\u0308', '😀', 'x'.repeat(253)),
  fc.string(),
);
const command = fc.record({ what: fc.constantFrom('set', 'set', 'set', 'delete', 'get'), key, n: fc.nat() });

t.test('whatever is set, replaced and deleted, it holds what a Map holds', (t) => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 600 }), (commands) => {
      const table = new TextTable<Entry>(keyOf);
      const model = new Map<string, Entry>();
      for (const { what, key, n } of commands) {
        if (what === 'set') {
          table.set(key, { key, n });
          model.set(key, { key, n });
        } else if (what === 'delete' && table.delete(key) !== model.delete(key)) return false;
        if (table.get(key)?.n !== model.get(key)?.n || table.has(key) !== model.has(key)) return false;
      }
      const keys = [...table.keySlices()].flat().sort();
      return (
        table.size === model.size &&
        keys.length === model.size &&
        keys.join('\n') === [...model.keys()].sort().join('\n') &&
        [...model].every(([key, { n }]) => table.get(key)?.n === n)
      );
    }),
  );
  t.end();
});

t.test('a hundred thousand come and go in any order, and nobody is cut off from his place', (t) => {
  const table = new TextTable<Entry>(keyOf);
  const count = 100_000;
  const name = (n: number): string => `user${String((n * 7_919) % count)}@city.example`;
  for (let n = 0; n < count; n++) table.set(name(n), { key: name(n), n });
  for (let n = 0; n < count; n += 2) if (!table.delete(name(n))) t.fail(`${name(n)} was not there`);
  for (let n = 0; n < count; n++)
    if ((table.get(name(n))?.n ?? -1) !== (n % 2 === 0 ? -1 : n)) t.fail(`${name(n)} is wrong`);
  t.equal(table.size, count / 2);
  t.equal(
    [...table.keySlices()].reduce((sum, slice) => sum + slice.length, 0),
    count / 2,
  );
  t.end();
});

t.test('several values under one text', (t) => {
  const table = new ShardedMultiMap<string, Entry>(
    new TextTable((entry) => keyOf(Array.isArray(entry) ? entry[0]! : entry)),
  );
  const [one, two, three] = [1, 2, 3].map((n) => ({ key: 'a', n })) as [Entry, Entry, Entry];
  table.add('a', one);
  table.add('a', two);
  t.same(table.get('a'), [one, two]);
  table.replace('a', one, three);
  t.same(table.get('a'), [three, two]);
  table.remove('a', three);
  t.same(table.get('a'), [two]);
  table.remove('a', two);
  t.same([table.get('a'), table.size], [[], 0]);
  t.end();
});
