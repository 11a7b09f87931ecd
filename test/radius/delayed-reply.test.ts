// Rejects wait at least their delay, at most delay + jitter + a tick, in bounded number, under one timer.

import t from 'tap';
import { DelayedReplies, type Timers } from '../../src/radius/delayed-reply.js';

/** A clock whose timers fire when time is moved past them. */
class FakeTime implements Timers {
  nowMs = 1_000_000.25;
  readonly armed: { atMs: number; callback: () => void }[] = [];

  setTimeout(callback: () => void, delayMs: number): unknown {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.armed.push(timer);
    return timer;
  }

  clearTimeout(handle: unknown): void {
    this.armed.splice(0, this.armed.length, ...this.armed.filter((timer) => timer !== handle));
  }

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.armed.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.clearTimeout(next);
      this.nowMs = next.atMs;
      next.callback();
    }
    this.nowMs = endMs;
  }
}

function setUp(options: { maxHeld?: number; random?: () => number } = {}) {
  const time = new FakeTime();
  const sent: { item: number; atMs: number }[] = [];
  const held = new DelayedReplies<number>({
    nowMs: () => time.nowMs,
    timers: time,
    deliver: (item) => sent.push({ item, atMs: time.nowMs }),
    ...options,
  });
  return { time, sent, held };
}

t.test('never early, and not much later than delay and jitter', (t) => {
  let seed = 1;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const { time, sent, held } = setUp({ random });
  const startedAtMs: number[] = [];
  for (let item = 0; item < 500; item++) {
    startedAtMs.push(time.nowMs);
    t.ok(held.hold(item));
    time.advance(3.7);
  }
  time.advance(5_000);
  t.equal(sent.length, 500);
  t.equal(held.held, 0);
  const waits = sent.map(({ item, atMs }) => atMs - startedAtMs[item]!);
  t.ok(Math.min(...waits) >= 1_000, `shortest ${Math.min(...waits)} ms`);
  t.ok(Math.max(...waits) <= 1_545, `longest ${Math.max(...waits)} ms`);
  t.ok(Math.max(...waits) - Math.min(...waits) > 300, 'there is jitter');
  t.end();
});

t.test('one timer while something is held, none otherwise', (t) => {
  const { time, held } = setUp();
  t.equal(time.armed.length, 0);
  for (let item = 0; item < 100; item++) held.hold(item);
  t.equal(time.armed.length, 1);
  time.advance(10_000);
  t.equal(time.armed.length, 0);
  held.hold(1);
  t.equal(time.armed.length, 1, 'and again');
  held.clear();
  t.equal(time.armed.length, 0);
  time.advance(10_000);
  t.equal(held.held, 0);
  t.end();
});

t.test('beyond the bound the newest is refused and nothing is sent early', (t) => {
  const { time, sent, held } = setUp({ maxHeld: 3 });
  t.same(
    [1, 2, 3, 4, 5].map((item) => held.hold(item)),
    [true, true, true, false, false],
  );
  t.equal(held.refused, 2);
  time.advance(999);
  t.same(sent, []);
  time.advance(1_000);
  t.same(sent.map(({ item }) => item).toSorted(), [1, 2, 3]);
  t.ok(held.hold(6), 'there is room again');
  t.end();
});

t.test('a loop that was blocked sends what is due and nothing else', (t) => {
  const { time, sent, held } = setUp({ random: () => 0 });
  held.hold(1);
  // The timer fires late, as it does when the loop was held up for two seconds.
  const [timer] = time.armed.splice(0);
  time.nowMs += 2_000;
  held.hold(2);
  timer!.callback();
  t.same(
    sent.map(({ item }) => item),
    [1],
  );
  time.advance(1_100);
  t.same(
    sent.map(({ item }) => item),
    [1, 2],
  );
  t.end();
});
