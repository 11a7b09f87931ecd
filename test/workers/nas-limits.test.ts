/**
 * What keeps a NAS from being overrun, and a dead one from being hammered: back-off, rate, breaker, refusals, as tables.
 */
import fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { LONGEST_MS, pauseAfterMs } from '../../src/workers/back-off.js';
import { CircuitBreaker } from '../../src/workers/circuit-breaker.js';
import { NasLane, type ReadyRun } from '../../src/workers/nas-lane.js';
import { RefusalWatch } from '../../src/workers/refusal-watch.js';
import { TokenBucket } from '../../src/workers/token-bucket.js';
import { present } from '../nas/command-context.js';
import { commandedNas } from '../support/enforced-network.js';
import { FakeNas } from '../support/fake-nas.js';
import { until } from '../support/until.js';

t.test('pauses grow to five minutes, never end, and are spread', (t) => {
  const nominal = [1, 2, 3, 9, 10, 1000].map((failures) => pauseAfterMs(failures, 'silent', 0.5));
  t.same(nominal, [1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
  t.same(
    [0, 0.999].map((random) => pauseAfterMs(3, 'silent', random)),
    [2_000, 5_996],
  );
  t.equal(pauseAfterMs(1, 'refused', 0.5), 15_000, 'a no is not asked for again as soon as a silence');
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (failures, random) => {
        const pause = pauseAfterMs(failures, 'silent', random);
        return pause >= 500 && pause <= LONGEST_MS * 1.5;
      },
    ),
  );
  t.end();
});

t.test('over any stretch no more than the rate and one burst passes', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 8 })), { maxLength: 60 }),
      (perSecond, asked) => {
        const bucket = new TokenBucket(perSecond, 0);
        let nowMs = 0;
        let passed = 0;
        for (const [pauseMs, cost] of asked) {
          nowMs += pauseMs;
          if (!bucket.has(nowMs)) continue;
          bucket.take(cost, nowMs);
          passed += cost;
        }
        // The last one may go into debt, by its own cost.
        return passed <= Math.max(1, perSecond * 0.2) + (nowMs / 1000) * perSecond + 8;
      },
    ),
  );
  const bucket = new TokenBucket(10, 0);
  bucket.take(12, 0);
  t.equal(bucket.has(0), false);
  t.equal(bucket.waitMs(0), 1_100, 'ten too many and one to go are paid in 1.1 s');
  t.equal(bucket.has(1_100), true);
  t.end();
});

t.test('what is told of one place at once counts once', async (t) => {
  const heard: number[] = [];
  const lane = new NasLane({
    nas: {
      ...commandedNas('bras1', new FakeNas({ kind: 'provisioned' })),
      parallelCalls: 4,
      // A burst of ten.
      commandsPerSecond: 50,
      driver: {
        maxBatchRuns: 1,
        async run(runs) {
          heard.push(...runs.map(({ commands }) => commands.length));
          return [];
        },
        stop: () => Promise.resolve(),
      },
    },
    isOwner: () => true,
    log: pino({ enabled: false }),
    nowMs: () => 0,
    random: () => 0.5,
    onResult: () => undefined,
    onRoom: () => undefined,
    onReturn: () => undefined,
  });
  t.teardown(() => lane.retire(true));
  const run = (enforcementId: number): ReadyRun => ({
    plannedAtMs: 0,
    begun: {} as ReadyRun['begun'],
    run: {
      enforcementId,
      subject: { subscriberId: 1, accountId: 1, contract: 'C-1', plan: 'home' },
      session: null,
      commands: (
        ['user_add', 'user_accept', 'user_redirect_cancel', 'own_disabled_cancel', 'user_rate_set'] as const
      ).map((name) => ({ name, data: present, service: null })),
      desired: present,
    },
  });
  lane.begin([1, 2, 3, 4].map(run));
  await until(() => heard.length === 4);
  t.same(heard, [5, 5, 5, 5], 'twenty commands are four');
  t.ok(lane.roomFor('loosening') > 0, 'and six more may go');
});

t.test('a breaker opens after three silences, probes alone, and closes by an answer', (t) => {
  const breaker = new CircuitBreaker(() => 0.5);
  t.same([breaker.silent(0), breaker.silent(0), breaker.silent(0)], [false, false, true], 'it says so once');
  t.equal(breaker.state(999), 'open');
  t.equal(breaker.mayBegin(999), false);
  t.equal(breaker.state(1_000), 'half-open');
  t.equal(breaker.mayBegin(1_000), true);
  breaker.began(1_000);
  t.equal(breaker.mayBegin(1_000), false, 'one probe at a time');
  t.equal(breaker.silent(1_500), false, 'it was dead before');
  t.equal(breaker.state(3_499), 'open', 'twice as long');
  breaker.began(3_500);
  t.equal(breaker.answered(4_000), 4_000, 'it was dead for so long');
  t.equal(breaker.state(4_000), 'closed');
  t.equal(breaker.answered(4_001), undefined);
  t.end();
});

t.test(
  'silences of commands that were under way when it opened do not lengthen it; a probe without a lesson makes room for another',
  (t) => {
    const breaker = new CircuitBreaker(() => 0.5);
    for (let i = 0; i < 10; i++) breaker.silent(0);
    t.equal(breaker.waitMs(0), 1_000);
    breaker.began(1_000);
    breaker.abandoned();
    t.equal(breaker.mayBegin(1_000), true);
    t.end();
  },
);

t.test('an answer between silences starts the count anew', (t) => {
  const breaker = new CircuitBreaker(() => 0.5);
  breaker.silent(0);
  breaker.silent(0);
  breaker.answered(0);
  t.same([breaker.silent(0), breaker.silent(0)], [false, false]);
  t.end();
});

t.test('tightening is paused when most of enough answers are no, and then tried again with a clean sheet', (t) => {
  const watch = new RefusalWatch();
  for (let i = 0; i < 19; i++) t.equal(watch.note(true, i), false, 'too few to say anything');
  t.equal(watch.note(true, 19), true);
  t.equal(watch.isPaused(20), true);
  t.equal(watch.note(true, 20), false, 'it is said once');
  t.equal(watch.isPaused(60_020), false);
  for (let i = 0; i < 18; i++) t.equal(watch.note(true, 60_021), false, 'and begins to count again');
  t.end();
});

t.test('a few refusals among many answers pause nothing', (t) => {
  const watch = new RefusalWatch();
  for (let i = 0; i < 1_000; i++) t.equal(watch.note(i % 3 === 0, i * 10), false);
  t.end();
});
