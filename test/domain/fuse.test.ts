// The fuse: how many may be tightened, when it holds, what a release and an announcement let pass.

import fc from 'fast-check';
import t from 'tap';
import {
  announceRun,
  countedFromMs,
  decideFuse,
  defaultFuseThresholds,
  fuseLimit,
  releaseFuse,
  type FuseQuestion,
  type FuseState,
} from '../../src/domain/fuse.js';

const NOW = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;
const closed: FuseState = { heldAtMs: null, releasedAtMs: null, allowance: null };
const city = 100_000;

const ask = (fields: Partial<FuseQuestion>) =>
  decideFuse(defaultFuseThresholds, {
    state: closed,
    totalSubscribers: city,
    tightened: 0,
    waiting: 0,
    nowMs: NOW,
    ...fields,
  });

t.test('the limit: 500, or 5 percent, and never less than a person undoes by hand', async (test) => {
  const rows: readonly [number, number, string][] = [
    [1_000_000, 500, 'maxSubscribers'],
    [10_000, 500, 'maxSubscribers'],
    [9_999, 499, 'maxPercent'],
    [1_000, 50, 'maxPercent'],
    [400, 20, 'maxPercent'],
    [399, 20, 'leastSubscribers'],
    [40, 20, 'leastSubscribers'],
    [0, 20, 'leastSubscribers'],
  ];
  for (const [total, limit, by] of rows)
    test.same(fuseLimit(defaultFuseThresholds, total), { limit, by }, String(total));
  test.equal(fuseLimit({ ...defaultFuseThresholds, maxSubscribers: 5 }, 10).limit, 5, 'a lower limit is kept');
});

t.test('an UPDATE without WHERE stops at 500', async (test) => {
  const first = ask({ waiting: 300 });
  test.match(first, { pass: 300, hasTripped: false, because: { kind: 'below-limit', limit: 500 } });
  test.equal(first.state, closed, 'nothing to store');
  const second = ask({ tightened: 300, waiting: 9_700 });
  test.match(second, { pass: 200, allowed: 0, hasTripped: true });
  test.same(second.because, { kind: 'tripped', by: 'maxSubscribers', limit: 500, tightened: 500, waiting: 9_500 });
  test.equal(second.state.heldAtMs, NOW);
  const later = ask({ state: second.state, tightened: 0, waiting: 9_500, nowMs: NOW + HOUR });
  test.match(later, { pass: 0, hasTripped: false, because: { kind: 'held', sinceMs: NOW, waiting: 9_500 } });
  test.equal(later.state, second.state, 'it goes on holding when the window is long over');
});

t.test('a release lets those pass that wait, and counting begins anew', async (test) => {
  const held: FuseState = { ...closed, heldAtMs: NOW };
  const released = releaseFuse(held, 9_500, NOW + 2 * HOUR, NOW + HOUR);
  test.same(released, {
    heldAtMs: null,
    releasedAtMs: NOW + HOUR,
    allowance: { subscribers: 9_500, untilMs: NOW + 2 * HOUR },
  });
  test.equal(countedFromMs(defaultFuseThresholds, released, NOW + HOUR + 1), NOW + HOUR);
  test.equal(countedFromMs(defaultFuseThresholds, released, NOW + 3 * HOUR), NOW + 3 * HOUR - 600_000);
  const passing = ask({ state: released, waiting: 9_000, nowMs: NOW + HOUR });
  test.match(passing, { pass: 9_000, allowed: 9_000, hasTripped: false, because: { kind: 'allowed', left: 500 } });
  const rest = ask({ state: passing.state, waiting: 500, nowMs: NOW + HOUR });
  test.match(rest, { pass: 500, allowed: 500, state: { allowance: null } });
  const again = ask({ state: rest.state, waiting: 501, nowMs: NOW + HOUR });
  test.match(again, { pass: 500, allowed: 0, hasTripped: true }, 'after that the limit is what it was');
});

t.test('a release for a few only', async (test) => {
  const released = releaseFuse({ ...closed, heldAtMs: NOW }, 10, NOW + HOUR, NOW);
  test.match(ask({ state: released, waiting: 10_000 }), { pass: 510, allowed: 10, hasTripped: true });
});

t.test('an announced run', async (test) => {
  const announced = announceRun(closed, 2_000, NOW + HOUR, NOW);
  test.match(ask({ state: announced, waiting: 2_000 }), { pass: 2_000, allowed: 2_000, hasTripped: false });
  test.match(
    ask({ state: announced, waiting: 2_000, nowMs: NOW + HOUR }),
    { pass: 500, allowed: 0, hasTripped: true },
    'too late',
  );
  const held = announceRun({ ...closed, heldAtMs: NOW }, 100, NOW + HOUR, NOW);
  const decision = ask({ state: held, waiting: 300 });
  test.match(decision, { pass: 100, hasTripped: false, because: { kind: 'held' } }, 'it releases nothing else');
  test.same(
    announceRun(announced, 5, NOW + 1, NOW).allowance,
    { subscribers: 2_005, untilMs: NOW + HOUR },
    'they add up',
  );
  test.same(announceRun(announced, 5, NOW + 3 * HOUR, NOW + 2 * HOUR).allowance, {
    subscribers: 5,
    untilMs: NOW + 3 * HOUR,
  });
  test.equal(announceRun(closed, 0, NOW + HOUR, NOW).allowance, null);
  test.equal(announceRun(closed, 5, NOW, NOW).allowance, null);
});

t.test('a small provider is not held by two, and is by everybody', async (test) => {
  test.match(ask({ totalSubscribers: 40, waiting: 2 }), { pass: 2, hasTripped: false });
  test.match(ask({ totalSubscribers: 40, waiting: 40 }), {
    pass: 20,
    hasTripped: true,
    because: { by: 'leastSubscribers' },
  });
});

t.test('over any course of events no more pass than the limit in a window and what was allowed', async (test) => {
  let trips = 0;
  const event = fc.record({
    afterMs: fc.integer({ min: 0, max: 400_000 }),
    waiting: fc.integer({ min: 0, max: 400 }),
    then: fc.option(
      fc.record({ what: fc.constantFrom('release', 'announce'), count: fc.integer({ min: 0, max: 300 }) }),
    ),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      let state = closed;
      let nowMs = NOW;
      const counted: { atMs: number; count: number }[] = [];
      let allowed = 0;
      let granted = 0;
      for (const { afterMs, waiting, then } of events) {
        nowMs += afterMs;
        const fromMs = countedFromMs(defaultFuseThresholds, state, nowMs);
        const tightened = counted.filter((one) => one.atMs > fromMs).reduce((sum, one) => sum + one.count, 0);
        const wasHeld = state.heldAtMs !== null;
        const decision = ask({ state, tightened, waiting, nowMs });
        const plain = decision.pass - decision.allowed;
        if (decision.pass > waiting || plain < 0 || plain + tightened > Math.max(500, tightened)) return false;
        if (wasHeld && plain > 0) return false;
        if (decision.pass < waiting && decision.state.heldAtMs === null) return false;
        if (decision.hasTripped) trips++;
        if (plain > 0) counted.push({ atMs: nowMs, count: plain });
        allowed += decision.allowed;
        ({ state } = decision);
        if (then === null) continue;
        granted += then.count;
        state =
          then.what === 'release'
            ? releaseFuse(state, then.count, nowMs + HOUR, nowMs)
            : announceRun(state, then.count, nowMs + HOUR, nowMs);
      }
      return allowed <= granted;
    }),
    { numRuns: 500 },
  );
  test.ok(trips > 50);
});
