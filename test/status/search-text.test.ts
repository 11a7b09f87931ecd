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

t.test('a device, and a port of one', async (t) => {
  const none = { id: null, mac: null, address: null, serial: null, name: null };
  const devices: readonly (readonly [string, Partial<ReturnType<typeof readSearchText>['device']>])[] = [
    ['sw1', { ...none, serial: 'SW1', name: 'sw1' }],
    ['3C33.3266.4350', { mac: '3c:33:32:66:43:50', name: '3C33.3266.4350' }],
    ['10.9.0.5', { address: '10.9.0.5' }],
    ['hwtc-1a2b3c4d', { serial: 'HWTC1A2B3C4D' }],
    ['485754431a2b3c4d', { serial: 'HWTC1A2B3C4D' }],
    ['ул. Ленина 5', { ...none, name: 'ул. Ленина 5' }],
    ['', none],
    ['id:7', { id: 7 }],
  ];
  for (const [typed, expected] of devices) t.has(readSearchText(typed).device, expected, typed);
  const lines: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['sw1 5', 'sw1', '5'],
    ['sw1  05', 'sw1', '5'],
    ['ул. Ленина 5 0/1/0/5:2', 'ул. Ленина 5', '0/1/0/5:2'],
    ['ул. Ленина', 'ул.', undefined],
    ['sw1', undefined, undefined],
    ['sw1 \u0007', undefined, undefined],
  ];
  for (const [typed, device, port] of lines) {
    const { line } = readSearchText(typed);
    t.same([line?.device.name, line?.port], port === undefined ? [undefined, undefined] : [device, port], typed);
  }
});

t.test('it is bounded, and never splits a character', async (t) => {
  t.equal([...readSearchText('😀'.repeat(1_000)).text].length, 253);
  t.notMatch(readSearchText('😀'.repeat(1_000)).text, /\ufffd/);
});
