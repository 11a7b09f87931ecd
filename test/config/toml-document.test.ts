// TOML with the line of every key, and nothing that text can do to us.
import fc from 'fast-check';
import t from 'tap';
import { nearestKey } from '../../src/config/nearest-key.js';
import { parseTomlDocument } from '../../src/config/toml-document.js';
import type { TomlPath } from '../../src/config/toml-document.js';

t.test('every key has its line, and what is not written has that of its nearest parent', async (t) => {
  const text = [
    '# a comment', //            1
    'top = 1', //                2
    '', //                       3
    '[section]', //              4
    'key = """', //              5
    'two lines"""', //           6
    'dotted.inner = [', //       7
    '  "first",', //             8
    '  { a = 1, b = 2 },', //    9
    ']', //                     10
    '[[list]]', //              11
    'x = 1', //                 12
    '[[list]]', //              13
    '"quoted key" = 2', //      14
    '[list.below]', //          15
    'y = 3', //                 16
  ].join('\n');
  const parsed = parseTomlDocument(text);
  t.ok(parsed.ok);
  if (!parsed.ok) return;
  const { document } = parsed;
  t.same(document.value, {
    top: 1,
    section: { key: 'two lines', dotted: { inner: ['first', { a: 1, b: 2 }] } },
    list: [{ x: 1 }, { 'quoted key': 2, below: { y: 3 } }],
  });
  const lines: readonly [path: TomlPath, line: number][] = [
    [['top'], 2],
    [['section'], 4],
    [['section', 'key'], 5],
    [['section', 'dotted'], 7],
    [['section', 'dotted', 'inner', 0], 8],
    [['section', 'dotted', 'inner', 1, 'b'], 9],
    [['section', 'dotted', 'inner', 7], 7],
    [['section', 'missing'], 4],
    [['list', 0, 'x'], 12],
    [['list', 1], 13],
    [['list', 1, 'quoted key'], 14],
    [['list', 1, 'below', 'y'], 16],
    [['nowhere'], 1],
    [[], 1],
  ];
  for (const [path, line] of lines) t.equal(document.lineOf(path), line, path.join('.'));
});

t.test('CRLF files have the same lines', async (t) => {
  const parsed = parseTomlDocument('a = 1\r\n[b]\r\nc = 2\r\n');
  t.equal(parsed.ok && parsed.document.lineOf(['b', 'c']), 3);
});

t.test('no text makes it throw, hang or reach a prototype', async (t) => {
  const fragment = fc.constantFrom(
    '[',
    ']',
    '{',
    '}',
    '=',
    '"',
    "'",
    '"""',
    '\n',
    ' ',
    ',',
    '.',
    'a',
    '__proto__',
    'constructor',
    '1',
    '0x',
    'inf',
    'true',
    '#',
    '\\',
    '\u0000',
    '2026-01-01',
    '[[',
    ']]',
    '\r',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(fragment, { maxLength: 60 }).map((parts) => parts.join('')),
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(text, (source) => {
        const parsed = parseTomlDocument(source);
        if (parsed.ok) return Object.getPrototypeOf(parsed.document.value) === Object.prototype;
        return parsed.line >= 1 && parsed.line <= source.split('\n').length + 1 && !/[\r\n]/u.test(parsed.problem);
      }),
      { numRuns: 3_000 },
    ),
  );
  t.equal(({} as Record<string, unknown>)['polluted'], undefined);
  for (const deep of ['['.repeat(100_000), `a = ${'{b='.repeat(100_000)}`, `a = ${'['.repeat(17)}${']'.repeat(17)}`])
    t.equal(parseTomlDocument(deep).ok, false, deep.slice(0, 8));
});

t.test('the nearest key is the one that was meant, or none', async (t) => {
  const known = ['auth', 'accounting', 'duplicate_seconds', 'reject_delay_ms', 'retention_days'];
  const table: readonly [word: string, nearest: string | undefined][] = [
    ['acounting', 'accounting'],
    ['Accounting', 'accounting'],
    ['duplicate-seconds', 'duplicate_seconds'],
    ['duplicates_seconds', 'duplicate_seconds'],
    ['reject_delay', 'reject_delay_ms'],
    ['retention', 'retention_days'],
    ['aut', 'auth'],
    ['colour', undefined],
    ['', undefined],
    ['x'.repeat(10_000), undefined],
  ];
  for (const [word, nearest] of table) t.equal(nearestKey(word, known), nearest, word.slice(0, 20));
  t.equal(nearestKey('x', []), undefined);
});
