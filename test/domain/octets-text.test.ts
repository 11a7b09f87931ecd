/** Octets that a device chose, as people read them. */
import t from 'tap';
import { octetsText } from '../../src/domain/octets-text.js';

const cases: readonly (readonly [hex: string, text: string])[] = [
  ['65746820302f32', '"eth 0/2"'],
  ['000408770017', '000408770017'],
  ['7e', '"~"'],
  ['7f', '7f'],
  ['1f', '1f'],
  ['6574680a', '6574680a'],
  ['d0b0', 'd0b0'],
  ['', ''],
  ['6', '6'],
  ['no octets at all', 'no octets at all'],
];

t.test('characters where all are printable ASCII, else the digits', async (t) => {
  for (const [hex, text] of cases) t.equal(octetsText(hex), text, hex);
});
