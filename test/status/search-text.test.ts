/** What somebody may mean by what he typed. */
import t from 'tap';
import { readSearchText } from '../../src/domain/search-text.js';

const cases: readonly (readonly [string, Partial<ReturnType<typeof readSearchText>>])[] = [
  ['  ivanov ', { text: 'ivanov', words: ['ivanov'], mac: undefined, address: undefined, phoneKey: undefined }],
  ['100.64.0.7', { address: '100.64.0.7', words: [], phoneKey: undefined }],
  ['AA-BB-CC-DD-EE-FF', { mac: 'aa:bb:cc:dd:ee:ff' }],
  ['aabb.ccdd.eeff', { mac: 'aa:bb:cc:dd:ee:ff' }],
  ['+7 (901) 234-56-78', { phoneKey: '8765432109' }],
  ['8 901 234 56 78', { phoneKey: '8765432109' }],
  ['2345678', { phoneKey: '8765432' }],
  ['1234', { phoneKey: undefined }],
  ['Берёзовая, 12/3', { words: ['березовая', '12'] }],
  ["O'Brien & Sons:*", { words: ['brien', 'sons'] }],
  ['a b c', { words: [] }],
  ['one two three four five six seven', { words: ['one', 'two', 'three', 'four', 'five', 'six'] }],
  ['nul\0byte', { text: 'nulbyte' }],
  ['', { text: '', words: [] }],
];

t.test('a text and what it may mean', async (t) => {
  for (const [typed, expected] of cases) t.has(readSearchText(typed), expected, JSON.stringify(typed));
});

t.test('it is bounded, and never splits a character', async (t) => {
  t.equal([...readSearchText('😀'.repeat(1_000)).text].length, 253);
  t.notMatch(readSearchText('😀'.repeat(1_000)).text, /\ufffd/);
});
