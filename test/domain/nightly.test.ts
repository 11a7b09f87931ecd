/**
 * When a nightly job is due.
 */
import t from 'tap';
import { isNightlyDue } from '../../src/domain/nightly.js';

const moscow = { minute: 4 * 60 + 10, timeZone: 'Europe/Moscow' };
const at = (text: string): number => Date.parse(text);

t.test('once for each local day, made up for after an outage, and not at once on a new database', async (t) => {
  const table: [what: string, now: string, last: string | undefined, due: boolean][] = [
    ['before its time', '2026-11-22T04:09:59+03:00', '2026-11-21T04:10:05+03:00', false],
    ['at its time', '2026-11-22T04:10:00+03:00', '2026-11-21T04:10:05+03:00', true],
    ['done today', '2026-11-22T04:10:10+03:00', '2026-11-22T04:10:05+03:00', false],
    ['still done in the evening', '2026-11-22T23:59:00+03:00', '2026-11-22T04:10:05+03:00', false],
    ['after midnight it is too early', '2026-11-23T00:30:00+03:00', '2026-11-22T04:10:05+03:00', false],
    ['the server was down at its time', '2026-11-22T15:00:00+03:00', '2026-11-21T04:10:05+03:00', true],
    ['it was run again late the evening before', '2026-11-22T04:10:00+03:00', '2026-11-21T23:10:00+03:00', true],
    ['it was asked for early the same day', '2026-11-22T04:10:00+03:00', '2026-11-22T01:00:00+03:00', true],
    ['a new database at noon', '2026-11-22T12:00:00+03:00', undefined, false],
    ['a new database at its time', '2026-11-22T04:30:00+03:00', undefined, true],
  ];
  for (const [what, now, last, due] of table)
    t.equal(isNightlyDue(moscow, at(now), last === undefined ? undefined : at(last)), due, what);
});

t.test('on the day on which clocks are put back it runs once', async (t) => {
  const zone = { minute: 2 * 60 + 30, timeZone: 'Europe/Berlin' };
  const first = at('2026-10-25T02:30:00+02:00');
  t.ok(isNightlyDue(zone, first, at('2026-10-24T02:30:00+02:00')));
  t.notOk(isNightlyDue(zone, at('2026-10-25T02:30:00+01:00'), first), 'half past two comes twice');
});
