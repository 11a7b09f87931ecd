/**
 * Functions for the fields of access-line rules: what each makes of a value, and what it refuses.
 */
import t from 'tap';
import { lineFunctionNames, lineFunctions, textOfOctets } from '../../src/domain/line-functions.js';
import type { LineFunction } from '../../src/domain/line-functions.js';

const rows: Readonly<Record<LineFunction, readonly [value: string, result: string | undefined][]>> = {
  hex2text: [
    ['68656c6c6f', 'hello'],
    ['68656C6C6F', 'hello'],
    ['61620000', 'ab'],
    ['d0b9', 'й'],
    ['ff61', 'ÿa'],
    ['616', undefined],
    ['zz', undefined],
  ],
  hex2number: [
    ['17', '23'],
    ['0877', '2167'],
    ['00', '0'],
    ['ffffffffffff', '281474976710655'],
    ['ffffffffffff0', undefined],
    ['1g', undefined],
    ['', undefined],
  ],
  number: [
    ['02', '2'],
    ['0', '0'],
    ['999999999999999', '999999999999999'],
    ['9999999999999999', undefined],
    ['-1', undefined],
    ['1e3', undefined],
    [' 1', undefined],
    ['', undefined],
  ],
  increment_port: [
    ['0', '1'],
    ['23', '24'],
    ['0/0/7', '0/0/8'],
    ['ge09', 'ge10'],
    ['ge', undefined],
    ['', undefined],
  ],
  mac: [
    ['3c3332664350', '3c:33:32:66:43:50'],
    ['3C-33-32-66-43-50', '3c:33:32:66:43:50'],
    ['45:47:c4:2:53:b3', '45:47:c4:02:53:b3'],
    ['3c33.3266.4350', '3c:33:32:66:43:50'],
    ['000000000000', undefined],
    ['ffffffffffff', undefined],
    ['3c33326643', undefined],
    ['sw-12', undefined],
  ],
  onu_serial: [
    ['HWTC1a2b3c4d', 'HWTC1A2B3C4D'],
    ['hwtc-1A2B3C4D', 'HWTC1A2B3C4D'],
    ['485754431a2b3c4d', 'HWTC1A2B3C4D'],
    [Buffer.from('ZTEGc0288e70').toString('hex'), 'ZTEGC0288E70'],
    ['0001020304050607', '0001020304050607'],
    ['EL-17', 'EL-17'],
  ],
  serial2mac: [
    ['HWTC1A2B3C4D', '54:43:1a:2b:3c:4d'],
    ['485754431a2b3c4d', '54:43:1a:2b:3c:4d'],
    ['ZTEGC0288E70', '45:47:c0:28:8e:70'],
    ['HWTC1A2B', undefined],
    ['123', undefined],
  ],
  lower: [['SW-Й', 'sw-й']],
  upper: [['sw-й', 'SW-Й']],
};

for (const name of lineFunctionNames)
  t.test(name, async (t) => {
    for (const [value, result] of rows[name]) t.equal(lineFunctions[name].apply(value), result, JSON.stringify(value));
  });

t.test('octets that are no UTF-8 stay different from each other', async (t) => {
  const texts = new Set<string>();
  for (let first = 0x20; first < 0x100; first++)
    for (let second = 0x20; second < 0x100; second++) texts.add(textOfOctets(String.fromCharCode(first, second)));
  t.equal(texts.size, 0xe0 * 0xe0);
});
