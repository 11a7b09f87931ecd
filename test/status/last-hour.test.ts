/** The hour in memory, and questions that are asked seldom. */
import t from 'tap';
import { Remembered } from '../../src/status/remembered.js';
import { SampleRing, type Reading } from '../../src/status/sample-ring.js';

const reading = (accepts: number, sessions = 0): Reading => ({
  accepts,
  rejects: 0,
  accounting: 0,
  sessions,
  spoolLagRecords: 0,
});

t.test('counters become rates, gauges stay', async (t) => {
  const ring = new SampleRing();
  t.same(ring.series().atMs, [], 'nothing before the second reading');
  ring.take(0, reading(0, 5));
  ring.take(10_000, reading(50, 7));
  ring.take(30_000, reading(50, 6));
  ring.take(40_000, reading(10, 6));
  t.same(ring.series().acceptsPerSecond, [5, 0, 0], 'and a counter that fell is no negative rate');
  t.same(ring.series().sessions, [7, 6, 6]);
});

t.test('an hour is kept, and no more', async (t) => {
  const ring = new SampleRing();
  for (let i = 0; i < 1_000; i++) ring.take(i * 10_000, reading(i));
  t.equal(ring.series().atMs.length, 360);
  t.equal(ring.series().atMs.at(-1), 9_990_000);
  ring.take(5, reading(0));
  t.same(ring.series().atMs, [], 'a clock that went backwards begins anew');
});

t.test('a dear question is asked once at a time, and only the first reader waits', async (t) => {
  let nowMs = 0;
  const answers: ((value: number) => void)[] = [];
  const remembered = new Remembered(
    () => new Promise<number>((settle) => answers.push(settle)),
    1_000,
    () => nowMs,
  );
  const [first, second] = [remembered.get(), remembered.get()];
  t.equal(answers.length, 1);
  answers[0]!(1);
  t.same(await Promise.all([first, second]), [1, 1]);
  nowMs = 2_000;
  t.equal(await remembered.get(), 1, 'the old answer while the new one is fetched');
  t.equal(answers.length, 2);
  answers[1]!(2);
  await new Promise(setImmediate);
  t.equal(await remembered.get(), 2);
});

t.test('a question that fails is asked again', async (t) => {
  let times = 0;
  const remembered = new Remembered(
    async () => {
      times += 1;
      if (times === 1) throw new Error('away');
      return times;
    },
    1_000,
    () => 0,
  );
  await t.rejects(remembered.get(), /away/);
  t.equal(await remembered.get(), 2);
});

t.test('a reader who can do without waits so long and no longer, and the next one has it', async (t) => {
  const answers: { readonly settle: (value: number) => void; readonly fail: (error: Error) => void }[] = [];
  const remembered = new Remembered(
    () => new Promise<number>((settle, fail) => answers.push({ settle, fail })),
    1_000,
    () => 0,
  );
  t.equal(await remembered.soon(1), undefined);
  t.equal(await remembered.soon(1), undefined);
  t.equal(answers.length, 1, 'it is fetched on, once');
  answers[0]!.fail(new Error('away'));
  await new Promise(setImmediate);
  const soon = remembered.soon(60_000);
  answers[1]!.settle(7);
  t.equal(await soon, 7);
  t.equal(await remembered.soon(1), 7);
  const failing = new Remembered(
    () => Promise.reject(new Error('away')),
    1_000,
    () => 0,
  );
  await t.rejects(failing.soon(60_000), /away/);
  await failing.prepare();
  t.pass('preparing never throws');
});
