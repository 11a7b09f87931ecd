// Drops: all counted, few told, bounded labels and memory.

import t from 'tap';
import { DropLedger, unknownGroup } from '../../src/radius/drop-ledger.js';

function setUp() {
  const clock = { ms: 0 };
  const told: string[] = [];
  const ledger = new DropLedger({
    nowMs: () => clock.ms,
    onDrop: (reason, group, address, hint) => told.push(`${reason} ${group} ${address} ${hint ?? '-'}`),
  });
  return { clock, told, ledger };
}

t.test('once per source and reason in five minutes', (t) => {
  const { clock, told, ledger } = setUp();
  for (; clock.ms < 299_999; clock.ms += 60_000) ledger.drop('bad-authenticator', 'bras1', '10.0.0.2');
  t.same(told, ['bad-authenticator bras1 10.0.0.2 secret_file']);
  ledger.drop('bad-authenticator', 'bras1', '10.0.0.3');
  ledger.drop('attribute-length', 'bras1', '10.0.0.2');
  t.equal(told.length, 3, 'another source, another reason');
  clock.ms = 300_000;
  ledger.drop('bad-authenticator', 'bras1', '10.0.0.2');
  t.equal(told.length, 4, 'five minutes later');
  t.same(
    [...ledger.counts()],
    [
      { group: 'bras1', reason: 'bad-authenticator', count: 7 },
      { group: 'bras1', reason: 'attribute-length', count: 1 },
    ],
  );
  t.end();
});

t.test('normal life is counted and not told', (t) => {
  const { told, ledger } = setUp();
  ledger.drop('duplicate-in-hand', 'bras1', '10.0.0.2');
  ledger.drop('draining', 'bras1', '10.0.0.2');
  t.same(told, []);
  t.equal([...ledger.counts()].length, 2);
  t.end();
});

t.test('forged sources neither flood the log nor keep real ones out of it', (t) => {
  const { clock, told, ledger } = setUp();
  for (let index = 0; index < 50_000; index++) ledger.drop('unknown-source', undefined, `203.0.113.${index}`);
  t.equal(told.length, 64);
  t.same([...ledger.counts()], [{ group: unknownGroup, reason: 'unknown-source', count: 50_000 }]);
  ledger.drop('bad-authenticator', 'bras1', '10.0.0.2');
  t.equal(told.length, 65, 'a configured NAS is told all the same');
  clock.ms = 300_000;
  ledger.drop('unknown-source', undefined, '203.0.113.9999');
  t.equal(told.length, 66, 'there is room again after five minutes');
  t.end();
});

t.test('labels are bounded', (t) => {
  const { ledger } = setUp();
  for (let index = 0; index < 500; index++) ledger.drop(`reason-${index}`, 'bras1', '10.0.0.2');
  const counts = [...ledger.counts()];
  t.ok(counts.length <= 65);
  t.equal(
    counts.reduce((sum, { count }) => sum + count, 0),
    500,
    'none is lost',
  );
  for (let index = 0; index < 10_100; index++) ledger.drop('overloaded', `group-${index}`, '10.0.0.2');
  t.ok(new Set([...ledger.counts()].map(({ group }) => group)).size <= 10_001);
  t.end();
});
