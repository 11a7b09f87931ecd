/** What a monitoring event changes: event time decides, in whatever order events come. */
import fc from 'fast-check';
import t from 'tap';
import {
  eventTimeMs,
  foldDeviceStatus,
  parseStatusWord,
  type MonitoredStatus,
  type StoredStatus,
} from '../../src/domain/device-status.js';

const never: StoredStatus = { status: 'unknown', sinceMs: null, lastEventAtMs: null };

t.test('words', async (t) => {
  for (const [word, status] of [
    ['UP', 'up'],
    ['down', 'down'],
    ['Unreachable', 'unreachable'],
    ['unknown', undefined],
    ['PENDING', undefined],
    ['0', undefined],
    ['', undefined],
    ['UP ', undefined],
    ['constructor', undefined],
  ] as const)
    t.equal(parseStatusWord(word), status, word);
});

t.test('what an event does', async (t) => {
  const downAt10 = { status: 'down', sinceMs: 10, lastEventAtMs: 20 } as const;
  const table: [what: string, stored: StoredStatus, event: [MonitoredStatus, number], expected: object][] = [
    ['the first', never, ['up', 5], { effect: 'changed', status: 'up', sinceMs: 5, lastEventAtMs: 5 }],
    ['a change', downAt10, ['up', 30], { effect: 'changed', status: 'up', sinceMs: 30, lastEventAtMs: 30 }],
    ['the same', downAt10, ['down', 30], { effect: 'unchanged', status: 'down', sinceMs: 10, lastEventAtMs: 30 }],
    ['an old one', downAt10, ['up', 19], { effect: 'late', ...downAt10 }],
    ['an old one that agrees', downAt10, ['down', 5], { effect: 'late', ...downAt10 }],
    ['one of the same instant', downAt10, ['up', 20], { effect: 'changed', status: 'up', sinceMs: 20 }],
    ['unreachable is another', downAt10, ['unreachable', 21], { effect: 'changed', status: 'unreachable' }],
  ];
  for (const [what, stored, [status, eventAtMs], expected] of table)
    t.match(foldDeviceStatus(stored, { status, eventAtMs }), expected, what);
});

t.test('in any order, and repeated, events end in the status of the latest', async (t) => {
  const statuses = fc.constantFrom<MonitoredStatus>('up', 'down', 'unreachable');
  const lives = fc.uniqueArray(fc.record({ eventAtMs: fc.nat(1000), status: statuses }), {
    minLength: 1,
    selector: (event) => event.eventAtMs,
  });
  fc.assert(
    fc.property(lives, fc.array(fc.nat()), (events, dice) => {
      const told = [...events, ...dice.map((number) => events[number % events.length]!)];
      const end = told
        .map((event, index) => ({ event, rank: (dice[index] ?? index) % 7 }))
        .sort((one, other) => one.rank - other.rank)
        .reduce<StoredStatus>((stored, { event }) => foldDeviceStatus(stored, event), never);
      const latest = events.reduce((one, other) => (other.eventAtMs > one.eventAtMs ? other : one));
      return end.status === latest.status && end.lastEventAtMs === latest.eventAtMs;
    }),
  );
  t.pass('for all of them');
});

t.test('a declared time is never later than now', async (t) => {
  t.equal(eventTimeMs(undefined, 100), 100);
  t.equal(eventTimeMs(50, 100), 50);
  t.equal(eventTimeMs(150, 100), 100);
});
