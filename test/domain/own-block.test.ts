/**
 * Voluntary blocks and their limits: how long, how soon again, and whose limit counts.
 */
import t from 'tap';
import {
  isOwnBlockOver,
  ownBlockAllowedFromMs,
  ownBlockEndsAtMs,
  ownBlockLimits,
  type OwnBlockLimits,
} from '../../src/domain/own-block.js';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 22);
const none: OwnBlockLimits = { maxDays: null, pauseDays: null };

t.test('one that is on ends after its days, to the millisecond', (t) => {
  const cases: readonly [what: string, sinceMs: number | null, maxDays: number | null, endsAtMs: number | null][] = [
    ['no limit', NOW, null, null],
    ['a limit of nothing is none', NOW, 0, null],
    ['nobody knows since when', null, 30, null],
    ['thirty days', NOW, 30, NOW + 30 * DAY],
    ['over the change of clocks: days are 24 hours', Date.UTC(2026, 9, 24), 2, Date.UTC(2026, 9, 26)],
  ];
  for (const [what, sinceMs, maxDays, endsAtMs] of cases) {
    const limits = { maxDays, pauseDays: 5 };
    t.equal(ownBlockEndsAtMs({ isOn: true, sinceMs, endedAtMs: null }, limits), endsAtMs, what);
    t.equal(ownBlockEndsAtMs({ isOn: false, sinceMs, endedAtMs: NOW }, limits), null, `${what}, off`);
    if (endsAtMs === null) continue;
    const block = { isOn: true, sinceMs, endedAtMs: null };
    t.equal(isOwnBlockOver(block, limits, endsAtMs - 1), false, what);
    t.equal(isOwnBlockOver(block, limits, endsAtMs), true, what);
  }
  t.equal(isOwnBlockOver({ isOn: true, sinceMs: 0, endedAtMs: null }, none, NOW), false);
  t.end();
});

t.test('another one may follow after the pause, counted from the end of the last', (t) => {
  const cases: readonly [
    what: string,
    isOn: boolean,
    endedAtMs: number | null,
    pauseDays: number | null,
    fromMs: number | null,
  ][] = [
    ['no limit', false, NOW, null, null],
    ['a pause of nothing', false, NOW, 0, null],
    ['there was none', false, null, 90, null],
    ['one is on', true, NOW, 90, null],
    ['ninety days', false, NOW, 90, NOW + 90 * DAY],
  ];
  for (const [what, isOn, endedAtMs, pauseDays, fromMs] of cases)
    t.equal(ownBlockAllowedFromMs({ isOn, sinceMs: 0, endedAtMs }, { maxDays: 1, pauseDays }), fromMs, what);
  t.end();
});

t.test('what the account says counts before the plan, each limit by itself, and 0 takes one away', (t) => {
  const plan = { maxDays: 30, pauseDays: 180 };
  t.same(ownBlockLimits(none, plan), plan);
  t.same(ownBlockLimits({ maxDays: 60, pauseDays: null }, plan), { maxDays: 60, pauseDays: 180 });
  t.same(ownBlockLimits({ maxDays: 0, pauseDays: 0 }, plan), { maxDays: 0, pauseDays: 0 });
  t.same(ownBlockLimits(none, none), none);
  t.end();
});
