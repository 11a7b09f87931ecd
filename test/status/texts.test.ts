/** Languages, numbers and times of the pages. */
import t from 'tap';
import { DISCARD_REASONS, REJECT_REASONS } from '../../src/domain/access-reason.js';
import { commandNames } from '../../src/domain/service-state.js';
import { english } from '../../src/status/english.js';
import { Format } from '../../src/status/format.js';
import { languageFor } from '../../src/status/language.js';
import { russian } from '../../src/status/russian.js';

t.test('the browser chooses the language', async (t) => {
  const cases: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'en'],
    ['', 'en'],
    ['ru', 'ru'],
    ['ru-RU,ru;q=0.9,en;q=0.8', 'ru'],
    ['en-GB,en;q=0.9,ru;q=0.8', 'en'],
    ['de,ru;q=0.5', 'ru'],
    ['de', 'en'],
    ['en;q=0.1, ru;q=0.7', 'ru'],
    ['ru;q=0', 'en'],
    ['*', 'en'],
    [',,;q=x,ru', 'ru'],
    ['x'.repeat(100_000), 'en'],
  ];
  for (const [header, code] of cases) t.equal(languageFor(header).code, code, String(header?.slice(0, 40)));
});

t.test('nothing is left untranslated', async (t) => {
  const same = new Set(['title', 'nas', 'mac', 'nases', 'perSecond']);
  for (const [key, text] of Object.entries(english.text)) {
    if (same.has(key)) continue;
    const other = russian.text[key as keyof typeof english.text];
    if (typeof text === 'string' && typeof other === 'string') {
      if (/interim/i.test(key)) continue;
      t.not(other, text, key);
      t.match(other, /[а-яё]/i, key);
    }
  }
  for (const reason of [...REJECT_REASONS, ...DISCARD_REASONS]) {
    t.match(russian.reason(reason), /[а-яё]{3}/i, reason);
    t.not(english.reason(reason), reason);
  }
  for (const kind of ['flagNames', 'stateNames', 'endCauses', 'outcomes'] as const)
    t.same(Object.keys(russian[kind]), Object.keys(english[kind]), kind);
  const words = english.enforcement;
  for (const [key, text] of Object.entries(words.text)) {
    const other = russian.enforcement.text[key as keyof typeof words.text];
    if (typeof text === 'string') t.match(other, /[а-яё]/i, key);
  }
  for (const kind of ['stateNames', 'stateNotes', 'breakerNames', 'evidenceNames', 'commandNames'] as const) {
    t.same(Object.keys(russian.enforcement[kind]), Object.keys(words[kind]), kind);
    for (const text of Object.values(russian.enforcement[kind]).flat()) t.match(text, /[а-яё]/i, kind);
  }
  for (const [key, text] of Object.entries(english.lines.text)) {
    const other = russian.lines.text[key as keyof typeof english.lines.text];
    if (typeof text === 'string') t.match(other, /[а-яё]/i, key);
  }
  for (const kind of [
    'refusals',
    'leaseEnds',
    'sessionEnds',
    'eventKinds',
    'statusNames',
    'effects',
    'option82Ways',
  ] as const) {
    t.same(Object.keys(russian.lines[kind]), Object.keys(english.lines[kind]), kind);
    for (const text of Object.values(russian.lines[kind])) t.match(text, /[а-яё]{3}/i, kind);
  }
  for (const { lines } of [english, russian])
    t.same([lines.refusal('of another release'), lines.leaseEnd('of another')], ['of another release', 'of another']);
  t.same(Object.keys(words.commandNames), [...commandNames], 'every command has a name');
  t.equal(english.reason('some older word'), 'some older word', 'a reason of another release is shown as it is');
});

t.test('numbers, octets, durations and instants', async (t) => {
  const nowMs = Date.UTC(2026, 10, 21, 12, 0, 0);
  const en = new Format(english.units, 'Europe/Moscow', nowMs);
  const ru = new Format(russian.units, 'Europe/Moscow', nowMs);
  const octets: readonly (readonly [number | bigint, string])[] = [
    [0, '0 B'],
    [1023, '1,020 B'],
    [1024, '1 KiB'],
    [1_572_864, '1.5 MiB'],
    [2n ** 63n, '8,190 PiB'],
  ];
  for (const [value, text] of octets) t.equal(en.octets(value), text);
  t.equal(ru.octets(1_572_864), '1,5 МиБ');
  const durations: readonly (readonly [number, string])[] = [
    [0, '0 s'],
    [59.9, '59 s'],
    [60, '1 min'],
    [3_661, '1 h 1 min'],
    [86_400 * 3, '3 d'],
    [-5, '0 s'],
  ];
  for (const [seconds, text] of durations) t.equal(en.duration(seconds), text);
  const rates: readonly (readonly [number, string])[] = [
    [0, '0 bit/s'],
    [999, '999 bit/s'],
    [50_000_000, '50 Mbit/s'],
    [2_500_000_000, '2.5 Gbit/s'],
    [1e16, '10,000 Tbit/s'],
  ];
  for (const [bps, text] of rates) t.equal(en.bitRate(bps), text);
  t.equal(ru.bitRate(64_000), '64 кбит/с');
  const elapsed: readonly (readonly [number, string])[] = [
    [0, '< 1 ms'],
    [12.4, '12 ms'],
    [1_500, '1.5 s'],
    [90_000, '1 min 30 s'],
  ];
  for (const [milliseconds, text] of elapsed) t.equal(en.elapsed(milliseconds), text);
  t.equal(en.clock(new Date(nowMs)), '15:00:00', 'today');
  t.equal(en.clock(new Date(nowMs - 86_400_000)), '2026-11-20 15:00:00', 'another day');
  t.equal(en.instant(new Date(nowMs)), '2026-11-21 15:00:00', 'in the zone of the configuration');
  t.equal(en.ago(new Date(nowMs - 61_000)), '1 min 1 s ago');
  t.equal(ru.ago(new Date(nowMs + 60_000)), 'только что', 'a clock that is ahead');
});
