// The rate of a subscriber at an instant: turbo, hours of day, plan; against a clock on the wall that is read minute by minute.

import fc from 'fast-check';
import t from 'tap';
import {
  possibleRates,
  RateClock,
  type RatedPlan,
  type RateWindow,
  type Turbo,
} from '../../src/domain/effective-rate.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const everyDay = [1, 2, 3, 4, 5, 6, 7];

function plan(...windows: Partial<RateWindow>[]): RatedPlan {
  return {
    rateDownBps: 50e6,
    rateUpBps: 10e6,
    rateWindows: windows.map((window, index) => ({
      id: index + 1,
      weekdays: everyDay,
      fromMinute: 0,
      untilMinute: 1_440,
      rateDownBps: (index + 1) * 1e6,
      rateUpBps: undefined,
      ...window,
    })),
  };
}

const at = (text: string) => Date.parse(text);
const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

t.test('a plan without hours of day has one rate for ever', async (test) => {
  const clock = new RateClock('Europe/Moscow');
  test.same(clock.rateAt(plan(), undefined, at('2026-11-21T12:00Z')), {
    rateDownBps: 50e6,
    rateUpBps: 10e6,
    changesAtMs: null,
  });
  test.same(clock.rateAt(undefined, undefined, 0), {
    rateDownBps: undefined,
    rateUpBps: undefined,
    changesAtMs: null,
  });
});

t.test('hours of day are those of the configured zone', async (test) => {
  // 2026-11-21 is a Saturday; Moscow is three hours ahead of UTC.
  const night = { fromMinute: 23 * 60, untilMinute: 7 * 60, rateDownBps: undefined, rateUpBps: undefined };
  const cases: readonly [string, Partial<RateWindow>, string, number | undefined, string][] = [
    ['before a night', night, '2026-11-21T19:59Z', 50e6, '2026-11-21T20:00:00.000Z'],
    ['a night begins', night, '2026-11-21T20:00Z', undefined, '2026-11-22T04:00:00.000Z'],
    ['it passes midnight', night, '2026-11-21T22:30Z', undefined, '2026-11-22T04:00:00.000Z'],
    ['it ends', night, '2026-11-22T04:00Z', 50e6, '2026-11-22T20:00:00.000Z'],
    [
      'the night of Saturday is Saturday’s also on Sunday',
      { ...night, weekdays: [6] },
      '2026-11-22T03:00Z',
      undefined,
      '2026-11-22T04:00:00.000Z',
    ],
    [
      'Sunday’s own night has not begun then',
      { ...night, weekdays: [7] },
      '2026-11-22T03:00Z',
      50e6,
      '2026-11-22T20:00:00.000Z',
    ],
    ['a whole day', { weekdays: [7] }, '2026-11-21T12:00Z', 50e6, '2026-11-21T21:00:00.000Z'],
    ['a whole day, within', { weekdays: [7] }, '2026-11-22T12:00Z', 1e6, '2026-11-22T21:00:00.000Z'],
    ['seconds within a minute', night, '2026-11-21T19:59:59.999Z', 50e6, '2026-11-21T20:00:00.000Z'],
  ];
  for (const [name, window, now, down, changes] of cases) {
    const rate = new RateClock('Europe/Moscow').rateAt(plan(window), undefined, at(now));
    test.equal(rate.rateDownBps, down, name);
    test.equal(iso(rate.changesAtMs), changes, name);
  }
});

t.test('of windows that overlap the narrowest counts, then the lowest id', async (test) => {
  const noon = at('2026-11-21T12:00Z');
  const rateOf = (...windows: Partial<RateWindow>[]) =>
    new RateClock('UTC').rateAt(plan(...windows), undefined, noon).rateDownBps;
  const wide = { fromMinute: 0, untilMinute: 1_440, rateDownBps: 7 };
  const narrow = { fromMinute: 700, untilMinute: 730, rateDownBps: 8 };
  const overMidnight = { fromMinute: 700, untilMinute: 699, rateDownBps: 9 };
  test.equal(rateOf(wide, narrow), 8);
  test.equal(rateOf(narrow, wide), 8);
  test.equal(rateOf(wide, overMidnight), 9, 'a day less a minute is narrower than a day');
  test.equal(rateOf({ ...narrow, id: 5 }, { ...narrow, id: 3, rateDownBps: 4 }), 4);
});

t.test('turbo goes before the plan, direction by direction, until it ends', async (test) => {
  const noon = at('2026-11-21T12:00Z');
  const soonMs = noon + 90_000;
  const clock = new RateClock('UTC');
  const evening = plan({ fromMinute: 18 * 60, untilMinute: 20 * 60 });
  const turbo = (fields: Partial<Turbo>): Turbo => ({
    rateDownBps: undefined,
    rateUpBps: undefined,
    untilMs: undefined,
    ...fields,
  });
  const cases: readonly [string, Turbo, number, [number | undefined, number | undefined, number | null]][] = [
    ['both', turbo({ rateDownBps: 99, rateUpBps: 98, untilMs: soonMs }), noon, [99, 98, soonMs]],
    ['hides hours of day', turbo({ rateDownBps: 99, rateUpBps: 98 }), noon, [99, 98, null]],
    ['one direction', turbo({ rateDownBps: 99, untilMs: soonMs }), noon, [99, 10e6, soonMs]],
    ['the other follows the plan', turbo({ rateDownBps: 99 }), noon, [99, 10e6, at('2026-11-21T18:00Z')]],
    ['over', turbo({ rateDownBps: 99, untilMs: noon }), noon, [50e6, 10e6, at('2026-11-21T18:00Z')]],
    ['without a rate', turbo({ untilMs: soonMs }), noon, [50e6, 10e6, at('2026-11-21T18:00Z')]],
  ];
  for (const [name, given, nowMs, [rateDownBps, rateUpBps, changesAtMs]] of cases)
    test.same(clock.rateAt(evening, given, nowMs), { rateDownBps, rateUpBps, changesAtMs }, name);
});

t.test('what a session may have been told is among the possible rates', async (test) => {
  const rates = possibleRates(plan({ rateDownBps: 1, rateUpBps: 2 }), {
    rateDownBps: 9,
    rateUpBps: undefined,
    untilMs: 0,
  });
  test.same(
    rates.map((one) => [one.rateDownBps, one.rateUpBps]),
    [
      [50e6, 10e6],
      [1, 2],
      [9, 10e6],
      [9, 2],
    ],
  );
  test.equal(possibleRates(undefined, undefined).length, 1);
});

/** What clocks in a zone show, minute by minute, as the platform itself says it. */
class Wall {
  readonly minutes: { weekday: number; minute: number }[] = [];

  constructor(
    zone: string,
    readonly fromMs: number,
    days: number,
  ) {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    for (let i = 0; i < days * 1_440; i++) {
      const parts = format.formatToParts(fromMs + i * MINUTE_MS);
      const part = (type: string) => parts.find((one) => one.type === type)!.value;
      const weekday = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'].indexOf(part('weekday')) + 1;
      this.minutes.push({ weekday, minute: Number(part('hour')) * 60 + Number(part('minute')) });
    }
  }
}

/** The naive rule, written down as a person would say it. */
function naiveRate({ rateDownBps, rateWindows }: RatedPlan, wall: { weekday: number; minute: number }) {
  const yesterday = ((wall.weekday + 5) % 7) + 1;
  const matching = rateWindows!
    .filter(({ weekdays, fromMinute, untilMinute }) =>
      untilMinute > fromMinute
        ? weekdays.includes(wall.weekday) && fromMinute <= wall.minute && wall.minute < untilMinute
        : (weekdays.includes(wall.weekday) && fromMinute <= wall.minute) ||
          (weekdays.includes(yesterday) && wall.minute < untilMinute),
    )
    .map((window) => ({ ...window, width: (window.untilMinute - window.fromMinute + 1_440) % 1_440 || 1_440 }))
    .sort((a, b) => a.width - b.width || a.id - b.id);
  return matching.length > 0 ? matching[0]!.rateDownBps : rateDownBps;
}

const walls: readonly [string, string, string][] = [
  ['forward', 'Europe/Berlin', '2026-03-26T00:00Z'],
  ['back', 'Europe/Berlin', '2026-10-22T00:00Z'],
  ['forward', 'America/New_York', '2026-03-05T00:00Z'],
  ['back', 'America/New_York', '2026-10-29T00:00Z'],
  ['forward by half an hour', 'Australia/Lord_Howe', '2026-10-01T00:00Z'],
  ['back by half an hour', 'Australia/Lord_Howe', '2026-04-02T00:00Z'],
  ['forward at midnight', 'Asia/Beirut', '2026-03-26T00:00Z'],
  ['back at midnight', 'Asia/Beirut', '2026-10-22T00:00Z'],
  ['never', 'Europe/Moscow', '2026-03-26T00:00Z'],
];

for (const [direction, zone, from] of walls)
  t.test(`as a clock on the wall of ${zone} shows it, put ${direction}`, async (test) => {
    const wall = new Wall(zone, at(from), 10);
    // Beginnings and ends that gather where clocks are changed.
    const minute = fc.oneof(fc.integer({ min: 0, max: 239 }), fc.integer({ min: 0, max: 1_439 }));
    const window = fc
      .record({
        weekdays: fc.oneof(fc.constant(everyDay), fc.subarray(everyDay, { minLength: 1 })),
        fromMinute: minute,
        untilMinute: minute.map((one) => one + 1),
        rateDownBps: fc.integer({ min: 1, max: 3 }),
      })
      .filter((one) => one.fromMinute !== one.untilMinute);
    let changes = 0;
    fc.assert(
      fc.property(
        fc.array(window, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: wall.minutes.length - 2 }),
        fc.integer({ min: 0, max: MINUTE_MS - 1 }),
        (windows, index, withinMs) => {
          const rated = plan(...windows);
          const nowMs = wall.fromMs + index * MINUTE_MS + withinMs;
          const rate = new RateClock(zone).rateAt(rated, undefined, nowMs);
          const expected = naiveRate(rated, wall.minutes[index]!);
          if (rate.rateDownBps !== expected) return false;
          const next = wall.minutes.findIndex((one, i) => i > index && naiveRate(rated, one) !== expected);
          if (next < 0) return rate.changesAtMs! >= wall.fromMs + wall.minutes.length * MINUTE_MS;
          changes++;
          return rate.changesAtMs === wall.fromMs + next * MINUTE_MS;
        },
      ),
      { numRuns: 150 },
    );
    test.ok(changes > 50, 'most of them saw a change');
  });

t.test('one clock, asked in any order, says what a new one says', async () => {
  const rated = plan({ fromMinute: 60, untilMinute: 120 }, { weekdays: [7], fromMinute: 150, untilMinute: 30 });
  const clock = new RateClock('Europe/Berlin');
  const fromMs = at('2026-10-20T00:00Z');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 12 * DAY_MS }), (afterMs) => {
      const nowMs = fromMs + afterMs;
      const kept = clock.rateAt(rated, undefined, nowMs);
      const fresh = new RateClock('Europe/Berlin').rateAt(rated, undefined, nowMs);
      return kept.rateDownBps === fresh.rateDownBps && kept.changesAtMs === fresh.changesAtMs;
    }),
  );
});

t.test('a plan in which nothing ever changes is asked again in two weeks', async (test) => {
  const same = plan({ fromMinute: 0, untilMinute: 60, rateDownBps: 50e6, rateUpBps: 10e6 });
  const nowMs = at('2026-11-21T12:00Z');
  test.equal(new RateClock('UTC').rateAt(same, undefined, nowMs).changesAtMs, at('2026-12-05T00:00Z'));
});
