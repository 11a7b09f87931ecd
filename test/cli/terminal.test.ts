/**
 * What reaches a terminal: printable text, tables that fit, times in the right zone.
 *
 * Enters: hostile and awkward values. Leaves: lines. Invariant: nothing that a terminal obeys is ever written.
 */
import fc from 'fast-check';
import t from 'tap';
import { showDuration, showOctets } from '../../src/cli/display.js';
import { formatInstant, parseInstant } from '../../src/cli/instant.js';
import { printable, printableJson } from '../../src/cli/printable.js';
import { clip, displayWidth, drawFields, drawTable, fitWidths } from '../../src/cli/table.js';
import { toJson } from '../../src/cli/command-io.js';

/** Whatever a terminal might obey, or a reader be deceived by. */
// eslint-disable-next-line no-control-regex
const dangerous = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u;

t.test('printable: what each kind of character becomes', async (t) => {
  const table: [text: string, expected: string][] = [
    ['ivanov', 'ivanov'],
    ['Иванов 李 é 😀', 'Иванов 李 é 😀'],
    ['DOMAIN\\user', 'DOMAIN\\user'],
    ['a\nb\tc\rd', 'a\\nb\\tc\\rd'],
    ['\u001b[31mred', '\\x1b[31mred'],
    ['\u009b31m', '\\x9b31m'],
    ['\u0007\u007f\u0000', '\\x07\\x7f\\x00'],
    ['user\u202egpj.exe', 'user\\u{202e}gpj.exe'],
    ['ad\u200bmin', 'ad\\u{200b}min'],
    ['\ud800', '\\u{d800}'],
  ];
  for (const [text, expected] of table) t.equal(printable(text), expected, JSON.stringify(text));
});

t.test('printable, tables, fields and JSON never let a control character through', async (t) => {
  const hostile = fc.string({ unit: 'binary', maxLength: 40 });
  fc.assert(
    fc.property(
      fc.array(hostile, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 120 }),
      (values, columns) => {
        const table = drawTable(
          [
            { title: 'ONE', value: (row: string) => row },
            { title: 'TWO', value: (row: string) => `${row}${row}` },
          ],
          values,
          columns,
        );
        const fields = drawFields(
          values.map((value) => ['name', value] as const),
          columns,
        );
        const json = toJson(values);
        return !dangerous.test(table) && !dangerous.test(fields) && !dangerous.test(json);
      },
    ),
    { seed: 20261121, numRuns: 300 },
  );
  t.pass('300 random tables');
});

t.test('JSON stays the same value when its unsafe characters are escaped', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-composite' }), fc.string({ unit: 'binary' }), (one, other) => {
      const value = { one, other: [other, '\u202e\u009b\u001b'] };
      return JSON.stringify(JSON.parse(printableJson(JSON.stringify(value)))) === JSON.stringify(value);
    }),
    { seed: 20261121 },
  );
  t.equal(
    toJson({ octets: 9_007_199_254_740_991n, more: 9_223_372_036_854_775_807n }, 0),
    '{"octets":9007199254740991,"more":"9223372036854775807"}',
  );
});

t.test('a table is never wider than its terminal', async (t) => {
  const cell = fc.string({ unit: 'grapheme', maxLength: 60 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell, cell), { maxLength: 5 }),
      fc.integer({ min: 24, max: 200 }),
      (rows, width) => {
        const columns = [0, 1, 2].map((index) => ({
          title: `TITLE ${String(index)}`,
          value: (row: string[]) => row[index],
        }));
        return drawTable(columns, rows, width)
          .split('\n')
          .every((line) => displayWidth(line) <= width && line === line.trimEnd());
      },
    ),
    { seed: 20261121, numRuns: 300 },
  );
  t.pass('300 random tables');
});

t.test('the widest columns shrink first, and the rest keeps what it needs', async (t) => {
  t.same(fitWidths([5, 30, 8], 43), [5, 30, 8], 'all fit');
  t.same(fitWidths([5, 30, 8], 33), [5, 20, 8]);
  t.same(fitWidths([5, 30, 28], 45), [5, 20, 20]);
  t.same(fitWidths([30, 30, 30], 10), [4, 4, 4], 'never below four');
  t.equal(clip('abcdefgh', 5), 'abcd…');
  t.equal(clip('李李李', 5), '李李…', 'wide characters count twice');
  t.equal(clip('abc', 3), 'abc');
});

t.test('octets and durations read well', async (t) => {
  const octets: [number | bigint, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1_572_864, '1.50 MiB'],
    [50 * 1024 ** 3, '50.0 GiB'],
    [2n ** 62n, '4096.0 PiB'],
  ];
  for (const [value, expected] of octets) t.equal(showOctets(value), expected);
  const durations: [number, string][] = [
    [0, '00:00:00'],
    [61, '00:01:01'],
    [86_399, '23:59:59'],
    [90_061, '1d 01:01:01'],
  ];
  for (const [value, expected] of durations) t.equal(showDuration(value), expected);
});

t.test('a time is read in the configured zone, or with its own offset', async (t) => {
  const table: [text: string, zone: string, expected: string][] = [
    ['2026-11-02 03:04', 'Europe/Moscow', '2026-11-02T00:04:00.000Z'],
    ['2026-11-02T03:04:05', 'Europe/Moscow', '2026-11-02T00:04:05.000Z'],
    ['2026-11-02 03:04:05.25', 'UTC', '2026-11-02T03:04:05.250Z'],
    ['2026-11-02', 'Asia/Tokyo', '2026-11-01T15:00:00.000Z'],
    ['2026-11-02 03:04Z', 'Europe/Moscow', '2026-11-02T03:04:00.000Z'],
    ['2026-11-02T03:04:00+05:30', 'Europe/Moscow', '2026-11-01T21:34:00.000Z'],
    ['2026-11-02 03:04 -0800', 'Europe/Moscow', '2026-11-02T11:04:00.000Z'],
    ['2026-07-01 12:00', 'Europe/Berlin', '2026-07-01T10:00:00.000Z'],
    ['2026-12-01 12:00', 'Europe/Berlin', '2026-12-01T11:00:00.000Z'],
    // Moscow moved from UTC+4 to UTC+3 for good in October 2014.
    ['2014-07-01 12:00', 'Europe/Moscow', '2014-07-01T08:00:00.000Z'],
  ];
  for (const [text, zone, expected] of table)
    t.equal(parseInstant(text, zone, 0).toISOString(), expected, `${text} in ${zone}`);
  t.equal(parseInstant('now', 'UTC', 5000).getTime(), 5000);
});

t.test('a local time that does not exist, or exists twice, is refused with what would be right', async (t) => {
  t.throws(() => parseInstant('2026-03-29 02:30', 'Europe/Berlin', 0), {
    message: /does not exist in Europe\/Berlin/u,
    exitCode: 2,
  });
  t.throws(() => parseInstant('2026-10-25 02:30', 'Europe/Berlin', 0), {
    message: /happened twice.*2026-10-25T00:30:00.000Z or 2026-10-25T01:30:00.000Z/u,
  });
  t.equal(parseInstant('2026-10-25 02:30+01:00', 'Europe/Berlin', 0).toISOString(), '2026-10-25T01:30:00.000Z');
  for (const wrong of [
    '',
    'yesterday',
    '2026-13-01',
    '2026-02-30 10:00',
    '2026-11-02 25:00',
    '2026-11-02 03:04+99:00',
    '1767000000',
  ]) {
    t.throws(() => parseInstant(wrong, 'UTC', 0), { name: 'UsageError' }, wrong);
  }
});

t.test('what is shown in a zone is read back as the same instant', async (t) => {
  const zones = ['UTC', 'Europe/Moscow', 'Asia/Kathmandu', 'America/St_Johns', 'Pacific/Chatham'];
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2_000_000_000 }), fc.constantFrom(...zones), (seconds, zone) => {
      const at = new Date(seconds * 1000);
      const shown = formatInstant(at, zone);
      try {
        return parseInstant(shown, zone, 0).getTime() === at.getTime();
      } catch {
        // The hour that comes twice: shown without offset it cannot be told which one is meant.
        return true;
      }
    }),
    { seed: 20261121 },
  );
  t.pass('100 instants');
});
