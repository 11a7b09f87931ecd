// Option 82 by its standards: RFC 3046, 3527, 3993, 4014, 4243, 5010, 5107, 6607; and what relays make of them.

import t from 'tap';
import fc from 'fast-check';
import { decodeOption82, isCut, lineEvidence } from '../../src/dhcp/option82.js';
import { decoded, fromHex, olt7, samples } from './sample-packets.js';

const read = (hex: string) => decodeOption82(fromHex(hex));
const nothing = {
  circuitId: null,
  remoteId: null,
  subscriberId: null,
  linkSelection: null,
  radiusAttributes: null,
  vendorSpecific: [],
  unicast: null,
  serverIdentifierOverride: null,
  virtualSubnet: null,
  virtualSubnetControl: false,
};

t.test('each sub-option by its standard', async (t) => {
  const table: readonly [standard: string, hex: string, expected: object][] = [
    ['RFC 3046 §3.1', '0106000400640001', { circuitId: '000400640001' }],
    ['RFC 3046 §3.2', '02080006c0c520846e91', { remoteId: '0006c0c520846e91' }],
    ['RFC 3527', '050464401400', { linkSelection: '100.64.20.0' }],
    ['RFC 3993', '06085355422d37373131', { subscriberId: '5355422d37373131' }],
    ['RFC 4014', '0706580661626364', { radiusAttributes: '580661626364' }],
    ['RFC 4243', '09090000118b0401020300', { vendorSpecific: [{ enterprise: 4491, data: '01020300' }] }],
    [
      'RFC 4243, two vendors, one without data',
      '090d0000118b03010203 0000197f00',
      {
        vendorSpecific: [
          { enterprise: 4491, data: '010203' },
          { enterprise: 6527, data: '' },
        ],
      },
    ],
    ['RFC 5010, by unicast', '0a0180', { unicast: true }],
    ['RFC 5010, by broadcast', '0a0100', { unicast: false }],
    ['RFC 5010, bits that are not assigned yet', '0a017f', { unicast: false }],
    ['RFC 5107', '0b04c0000205', { serverIdentifierOverride: '192.0.2.5' }],
    ['RFC 6607, a name', '970400616263', { virtualSubnet: { type: 0, information: '616263' } }],
    ['RFC 6607, a VPN-ID', '970801 00000c00000001', { virtualSubnet: { type: 1, information: '00000c00000001' } }],
    ['RFC 6607, the global one', '9701ff', { virtualSubnet: { type: 255, information: '' } }],
    ['RFC 6607, control', '9800', { virtualSubnetControl: true }],
  ];
  for (const [standard, hex, expected] of table) {
    const { subOptions, faults, ...known } = read(hex);
    t.same(known, { ...nothing, ...expected }, standard);
    t.same(faults, [], `${standard}: no fault`);
    const octets = fromHex(hex);
    t.same([...subOptions], [[octets[0], octets.toString('hex', 2)]], `${standard}: kept as octets too`);
  }
});

t.test('what nobody here knows is kept', async (t) => {
  const { subOptions, faults, ...known } = read('0c03aabbcc fe00 0802ffff');
  t.same(known, nothing);
  t.same(
    [...subOptions],
    [
      [12, 'aabbcc'],
      [254, ''],
      [8, 'ffff'],
    ],
  );
  t.same(faults, []);
});

t.test('a length that lies is told, and what was whole before it is kept', async (t) => {
  const table: readonly [what: string, hex: string, known: object, subOption: number][] = [
    ['a number without a length', '0102aabb 02', { circuitId: 'aabb' }, 2],
    ['one octet too many', '0102aabb 0206c0c520846e', { circuitId: 'aabb' }, 2],
    ['255 octets where there are none', '0102aabb 02ff', { circuitId: 'aabb' }, 2],
    ['the first one', '01ff020304', {}, 1],
    ['an unknown one', '0102aabb 5141000102', { circuitId: 'aabb' }, 0x51],
    ['a later piece of one that was whole', '0102aabb 0105cc', { circuitId: 'aabb' }, 1],
  ];
  for (const [what, hex, expected, subOption] of table) {
    const information = read(hex);
    t.match(information, { ...nothing, ...expected, faults: [{ reason: 'cut', subOption }] }, what);
    t.equal(information.faults.length, 1, what);
    t.ok(isCut(information), what);
  }
});

t.test('a value of the wrong form is told, stays known as octets, and spoils nothing else', async (t) => {
  const table: readonly [what: string, hex: string, subOption: number, octets: string][] = [
    ['a link of three octets', '0503644014 0102aabb', 5, '644014'],
    ['a link of five octets', '05056440140000 0102aabb', 5, '6440140000'],
    ['a server of none', '0b00 0102aabb', 11, ''],
    ['flags of two octets', '0a028000 0102aabb', 10, '8000'],
    ['flags of none', '0a00 0102aabb', 10, ''],
    ['a virtual subnet without type', '9700 0102aabb', 151, ''],
    ['a vendor that is cut', '09040000118b 0102aabb', 9, '0000118b'],
    ['data of a vendor that lie', '09060000118b0241 0102aabb', 9, '0000118b0241'],
    ['no vendor', '0900 0102aabb', 9, ''],
    ['the second vendor is cut', '09070000118b0041ff 0102aabb', 9, '0000118b0041ff'],
  ];
  for (const [what, hex, subOption, octets] of table) {
    const information = read(hex);
    const { subOptions, faults, ...known } = information;
    t.same(known, { ...nothing, circuitId: 'aabb' }, what);
    t.same(faults, [{ reason: 'value', subOption }], what);
    t.equal(subOptions.get(subOption), octets, what);
    t.notOk(isCut(information), what);
  }
});

t.test('sub-options that are repeated are joined, as options are (RFC 3396)', async (t) => {
  t.match(read('0103616263 0202aabb 0100 0103646566'), { circuitId: '616263646566', remoteId: 'aabb', faults: [] });
  t.match(read('05026440 05021400'), { linkSelection: '100.64.20.0', faults: [] });
});

t.test('zeros at the end are padding', async (t) => {
  for (const padding of ['00', '0000', '000000', '00'.repeat(200)])
    t.match(
      read(`0102aabb ${padding}`),
      { circuitId: 'aabb', faults: [], subOptions: new Map([[1, 'aabb']]) },
      padding,
    );
  t.match(read('0102aa00'), { circuitId: 'aa00', faults: [] }, 'and zeros of a value are its own');
  t.match(read('000161 0102aabb'), { circuitId: 'aabb', faults: [] }, 'while number 0 in front is one like others');
  t.match(read(''), { ...nothing, faults: [] });
});

t.test('the line that an event tells of', async (t) => {
  const table: readonly [hex: string, line: object | null][] = [
    ['', null],
    ['0100 0200 0600', null],
    ['0a0180 050464401400', null],
    ['0102AABB', { circuitId: 'aabb', remoteId: null, subscriberId: null, switchMac: null, switchPort: null }],
    ['0100 0201ff', { circuitId: null, remoteId: 'ff', subscriberId: null, switchMac: null, switchPort: null }],
    ['060141', { circuitId: null, remoteId: null, subscriberId: '41', switchMac: null, switchPort: null }],
  ];
  for (const [hex, line] of table) t.same(lineEvidence(read(hex)), line, hex);
  t.same(lineEvidence(decodeOption82(decoded(samples.request()).options.get(82)!)), olt7);
});

t.test('relays as they are: switch, ONU, CMTS, BNG', async (t) => {
  const table: readonly [what: string, hex: string, expected: object][] = [
    ['a switch, vlan-mod-port', '0106000408770017 020800063c3332664350', { circuitId: '000408770017' }],
    [
      'a cable modem behind a CMTS',
      '0104 20000002 0206 20e52ab81514 0909 0000118b 04 01020300',
      { circuitId: '20000002', remoteId: '20e52ab81514', vendorSpecific: [{ enterprise: 4491, data: '01020300' }] },
    ],
    [
      'a relay that tells the link',
      '010472656c30 020a616363656c2d6e617331 050464401400',
      { circuitId: Buffer.from('rel0').toString('hex'), linkSelection: '100.64.20.0' },
    ],
  ];
  for (const [what, hex, expected] of table) t.match(read(hex), { ...expected, faults: [] }, what);
});

const pieces = fc.array(fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ minLength: 1, maxLength: 40 })), {
  maxLength: 12,
});

t.test('any sub-options in any order come back, joined by number', async (t) => {
  fc.assert(
    fc.property(pieces, (all) => {
      const value = Buffer.concat(all.map(([subOption, octets]) => Buffer.from([subOption, octets.length, ...octets])));
      const expected = new Map<number, string>();
      for (const [subOption, octets] of all)
        expected.set(subOption, (expected.get(subOption) ?? '') + Buffer.from(octets).toString('hex'));
      const information = decodeOption82(value);
      t.same([...information.subOptions], [...expected]);
      t.notOk(isCut(information));
      return true;
    }),
    { numRuns: 300 },
  );
});

t.test('any octets: no error, nothing that is not there, and a cut keeps what came before', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 255 }), fc.nat(255), (octets, at) => {
      const whole = decodeOption82(Buffer.from(octets));
      const before = decodeOption82(Buffer.from(octets.subarray(0, at)));
      const length = [...whole.subOptions.values()].reduce((sum, one) => sum + one.length / 2 + 2, 0);
      t.ok(length <= octets.length);
      for (const [subOption, value] of before.subOptions)
        t.ok(whole.subOptions.get(subOption)?.startsWith(value) ?? value === '', `sub-option ${String(subOption)}`);
      return true;
    }),
    { numRuns: 2_000 },
  );
});
