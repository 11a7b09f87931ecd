// What is counted, and what is told how often.
import t from 'tap';
import { IntakeLedger } from '../../src/dhcp/intake-ledger.js';
import { inLanes } from '../../src/dhcp/lanes.js';

t.test('everything is counted by way and outcome', async (t) => {
  const ledger = new IntakeLedger({ nowMs: () => 0, onFault: () => undefined });
  ledger.taken('inbox');
  ledger.taken('inbox', 4);
  ledger.fault('inbox', 'torn', 'dhcp1');
  ledger.fault('lever', 'torn', 'dhcp1');
  ledger.fault('inbox', 'torn', 'dhcp2');
  t.same(
    [...ledger.counts()],
    [
      { way: 'inbox', outcome: 'taken', count: 5 },
      { way: 'inbox', outcome: 'torn', count: 2 },
      { way: 'lever', outcome: 'torn', count: 1 },
    ],
  );
});

t.test('one way, reason and source is told once in five minutes', async (t) => {
  let nowMs = 1_000_000;
  const told: string[] = [];
  const ledger = new IntakeLedger({ nowMs: () => nowMs, onFault: (...words) => told.push(words.join(' ')) });
  const say = (source: string): void => ledger.fault('lever', 'bad-signature', source);
  say('10.0.0.1');
  say('10.0.0.1');
  say('10.0.0.2');
  t.same(told, ['lever bad-signature 10.0.0.1', 'lever bad-signature 10.0.0.2']);
  nowMs += 299_999;
  say('10.0.0.1');
  t.equal(told.length, 2);
  nowMs += 1;
  say('10.0.0.1');
  t.equal(told.length, 3);
  nowMs -= 3_600_000;
  say('10.0.0.1');
  t.equal(told.length, 4, 'a clock that was set back silences nothing');
  ledger.fault('json-lease', 'in-hand', '10.0.0.3');
  t.equal(told.length, 4, 'what is normal is not told');
});

t.test('addresses without end do not fill the log', async (t) => {
  let nowMs = 1_000_000;
  let told = 0;
  const ledger = new IntakeLedger({ nowMs: () => nowMs, onFault: () => (told += 1) });
  for (let address = 0; address < 10_000; address++) ledger.fault('lever', 'foreign-source', String(address));
  t.ok(told <= 64, `${String(told)} lines`);
  nowMs += 300_000;
  ledger.fault('lever', 'bad-signature', '10.0.0.1');
  t.ok(told <= 65 && told > 1, 'and there is room again later');
  t.match([...ledger.counts()], [{ outcome: 'foreign-source', count: 10_000 }, { outcome: 'bad-signature' }]);
});

t.test('work in lanes: in order, never more at once than lanes', async (t) => {
  let atOnce = 0;
  let most = 0;
  const results = await inLanes([1, 2, 3, 4, 5, 6, 7], 3, async (thing) => {
    most = Math.max(most, (atOnce += 1));
    await new Promise((resolve) => setImmediate(resolve));
    atOnce -= 1;
    return thing * thing;
  });
  t.same(results, [1, 4, 9, 16, 25, 36, 49]);
  t.equal(most, 3);
  t.same(await inLanes([], 3, async () => 1), []);
  await t.rejects(
    inLanes([1, 2], 1, async (thing) => {
      throw new Error(`no ${String(thing)}`);
    }),
    { message: 'no 1' },
  );
});
