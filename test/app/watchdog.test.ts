/**
 * When the service manager hears that we live. The clock is a number.
 */
import t from 'tap';
import { SpoolTurns } from '../../src/app/turning-parts.js';
import { StallJudge, Watchdog, type TurningPart } from '../../src/app/watchdog.js';
import type { Spool } from '../../src/spool/spool.js';

const LIMIT_MS = 1000;

interface Story {
  readonly name: string;
  /** [instant ms, last turn ms, has work] */
  readonly looks: readonly (readonly [number, number, boolean])[];
  readonly stalled: readonly boolean[];
}

const stories: readonly Story[] = [
  {
    name: 'turns in time',
    looks: [
      [900, 0, true],
      [1900, 950, true],
    ],
    stalled: [false, false],
  },
  {
    name: 'does not turn while there is work',
    looks: [
      [900, 0, true],
      [1001, 0, true],
    ],
    stalled: [false, true],
  },
  {
    name: 'turns again',
    looks: [
      [1001, 0, true],
      [1500, 1400, true],
    ],
    stalled: [true, false],
  },
  { name: 'idle for hours is no stall', looks: [[9_000_000, 0, false]], stalled: [false] },
  {
    name: 'work that comes after idle hours has its time from then',
    looks: [
      [9_000_000, 0, false],
      [9_000_900, 0, true],
      [9_001_100, 0, true],
    ],
    stalled: [false, false, true],
  },
];

for (const { name, looks, stalled } of stories) {
  t.test(name, async (t) => {
    const judge = new StallJudge();
    const seen = looks.map(([nowMs, turnedAtMs, work]) => {
      const part: TurningPart = { name: 'x', turnedAtMs: () => turnedAtMs, hasWork: () => work, limitMs: LIMIT_MS };
      return judge.stalled([part], nowMs).length > 0;
    });
    t.same(seen, stalled);
  });
}

t.test('one stuck part of several ends the heartbeats, and is named once', async (t) => {
  let nowMs = 0;
  let beats = 0;
  const told: string[][] = [];
  let appliedAtMs = 0;
  const watchdog = new Watchdog({
    parts: () => [
      { name: 'feed', turnedAtMs: () => nowMs, limitMs: LIMIT_MS },
      { name: 'applier', turnedAtMs: () => appliedAtMs, limitMs: LIMIT_MS },
    ],
    watchdogMs: 3_600_000,
    alive: () => (beats += 1),
    onStalled: (names) => told.push([...names]),
    nowMs: () => nowMs,
  });
  t.teardown(() => watchdog.stop());
  t.equal(beats, 1, 'the first beat is at once');
  for (nowMs of [1001, 2000, 3000]) watchdog.beat();
  t.equal(beats, 1);
  t.same(told, [['applier']]);
  appliedAtMs = 3000;
  watchdog.beat();
  t.equal(beats, 2, 'and they go on when it turns again');
});

t.test('the spool: a sync that does not come is a stall, a full disk and an idle one are not', async (t) => {
  const state = { appendable: true, appendedSequence: 5, syncedSequence: 5 };
  const turns = new SpoolTurns(state as Spool);
  const judge = new StallJudge();
  const beganAt = performance.now();
  const look = (afterMs: number) => judge.stalled([turns.part], beganAt + afterMs);
  t.same(look(100), []);
  t.same(look(3_600_000), [], 'nothing waits');
  state.appendedSequence = 6;
  t.same(look(3_600_000 + 19_000), [], 'it has its time');
  t.same(look(3_600_000 + 21_000), ['spool']);
  state.appendable = false;
  t.same(look(3_600_000 + 40_000), [], 'a full disk refuses: that is an alarm of its own');
});
