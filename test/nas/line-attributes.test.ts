/**
 * What NASes say of the line: the attributes that carry it, on real octets, and that a packet without them costs nothing.
 */
import fc from 'fast-check';
import t from 'tap';
import { defaultLineRules } from '../../src/domain/line-presets.js';
import { compileLineRules } from '../../src/domain/line-rules.js';
import { lineAttributes } from '../../src/nas/line-attributes.js';
import type { LineReading, NasLine } from '../../src/nas/line-attributes.js';
import { Attribute, Vendor } from '../../src/radius/attribute-number.js';
import { parsePacket } from '../../src/radius/packet.js';
import type { Packet } from '../../src/radius/packet.js';
import { Code } from '../../src/radius/code.js';
import { RequestBuilder } from '../../src/radius/request.js';

function packetOf(fill: (request: RequestBuilder) => void): Packet {
  const request = new RequestBuilder(Code.accessRequest, 1, Buffer.alloc(16), false);
  request.addText(Attribute.userName, 'alice');
  fill(request);
  const parsed = parsePacket(request.finishUnsigned());
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.packet;
}

/** Sub-options of two octets of header, as far as they are whole. */
const decodeOption82: LineReading['decodeOption82'] = (octets) => {
  const found: Record<number, string> = {};
  for (let at = 0; at + 2 <= octets.length && at + 2 + octets[at + 1]! <= octets.length; at += 2 + octets[at + 1]!)
    found[octets[at]!] = octets.toString('hex', at + 2, at + 2 + octets[at + 1]!);
  if (Object.keys(found).length === 0) return null;
  return { circuitId: found[1] ?? null, remoteId: found[2] ?? null, subscriberId: found[6] ?? null };
};
const reading: LineReading = { decodeOption82, nasPortId: true };

const octets = (hex: string): Buffer => Buffer.from(hex, 'hex');
const inHex = (text: string): string => Buffer.from(text).toString('hex');
const line = (parts: Partial<NasLine>): NasLine => ({
  circuitId: null,
  remoteId: null,
  subscriberId: null,
  switchMac: null,
  switchPort: null,
  nasPortId: null,
  clientMac: null,
  ...parts,
});

const rows: [what: string, fill: (request: RequestBuilder) => void, line: NasLine | undefined][] = [
  ['nothing', () => undefined, undefined],
  [
    'vendors that carry none',
    (r) => r.addVendorText(Vendor.mikrotik, 8, '1M/1M').addVendorText(Vendor.wispr, 2, 'x'),
    undefined,
  ],
  [
    'ADSL-Forum, as most NASes',
    (r) => r.addVendor(3561, 1, octets('000402130010')).addVendor(3561, 2, octets('0006c0c520846e91')),
    line({ circuitId: '000402130010', remoteId: '0006c0c520846e91' }),
  ],
  ['ADSL-Forum, other attributes of it', (r) => r.addVendorUint32(3561, 129, 1_000_000), undefined],
  [
    'Redback, octets of a SmartEdge',
    (r) =>
      r
        .addText(Attribute.nasPortId, '2/1 vlan-id 2222:15 clips 131190')
        .addVendor(2352, 96, octets('00060022b0040c1e'))
        .addVendor(3561, 2, octets('00060022b0040c1e'))
        .addVendor(2352, 97, octets('0004000f0002'))
        .addVendor(3561, 1, octets('0004000f0002')),
    line({
      circuitId: '0004000f0002',
      remoteId: '00060022b0040c1e',
      nasPortId: inHex('2/1 vlan-id 2222:15 clips 131190'),
    }),
  ],
  [
    'Juniper: a whole option 82, and the MAC address of the client',
    (r) =>
      r
        .addVendor(4874, 159, octets('0106000408770017' + '020800063c3332664350' + '06056976616e6f'))
        .addVendorText(4874, 56, '0200.0000.77bb'),
    line({
      circuitId: '000408770017',
      remoteId: '00063c3332664350',
      subscriberId: inHex('ivano'),
      clientMac: '02:00:00:00:77:bb',
    }),
  ],
  ['Juniper: an option 82 that is none', (r) => r.addVendor(4874, 159, octets('01ff')), undefined],
  [
    'Cisco: octets as digits',
    (r) =>
      r
        .addVendorText(9, 1, 'circuit-id-tag=000400320001')
        .addVendorText(9, 1, 'remote-id-tag=0106001cf09d7167')
        .addVendorText(9, 1, 'vendor-class-id-tag=MSFT 5.0')
        .addVendorText(9, 1, 'client-mac-address=001d.60d7.6879'),
    line({ circuitId: '000400320001', remoteId: '0106001cf09d7167', clientMac: '00:1d:60:d7:68:79' }),
  ],
  [
    'Cisco: text, and digits that are no octets of option 82',
    (r) => r.addVendorText(9, 1, 'circuit-id-tag=sw-12 eth 0/3').addVendorText(9, 1, 'remote-id-tag=00041234'),
    line({ circuitId: inHex('sw-12 eth 0/3'), remoteId: inHex('00041234') }),
  ],
  [
    'Cisco: tags without a value, and what only begins alike',
    (r) =>
      r
        .addVendorText(9, 1, 'circuit-id-tag=')
        .addVendorText(9, 1, 'circuit-id')
        .addVendorText(9, 1, 'xcircuit-id-tag=a')
        .addVendorText(9, 2, 'circuit-id-tag=a'),
    undefined,
  ],
  ['a MAC address that is none', (r) => r.addVendorText(9, 1, 'client-mac-address=0000.0000.0000'), undefined],
  ['a MAC address that is a novel', (r) => r.addVendorText(4874, 56, 'a'.repeat(200)), undefined],
  [
    'of several carriers, the first counts, field by field',
    (r) =>
      r
        .addVendorText(2352, 97, 'first')
        .addVendorText(3561, 1, 'second')
        .addVendorText(3561, 2, 'remote')
        .addVendor(4874, 159, octets('010161' + '020162' + '060163')),
    line({ circuitId: inHex('first'), remoteId: inHex('remote'), subscriberId: '63' }),
  ],
  [
    'an empty value is none',
    (r) => r.addVendor(3561, 1, Buffer.alloc(0)).addOctets(Attribute.nasPortId, Buffer.alloc(0)),
    undefined,
  ],
  [
    'several values in one Vendor-Specific',
    (r) => r.addOctets(Attribute.vendorSpecific, octets('00000de9' + '01046162' + '020363')),
    line({ circuitId: '6162', remoteId: '63' }),
  ],
  [
    'a length that lies ends what is read of that attribute',
    (r) => r.addOctets(Attribute.vendorSpecific, octets('00000de9' + '01046162' + '02ff63')),
    line({ circuitId: '6162' }),
  ],
  [
    'accel-ppp, octets of a capture',
    (r) =>
      r
        .addText(Attribute.nasPortId, 'sub1')
        .addVendorText(3561, 1, 'olt1/0/2/3:7')
        .addVendor(3561, 2, octets('0200000099aa')),
    line({ circuitId: inHex('olt1/0/2/3:7'), remoteId: '0200000099aa', nasPortId: inHex('sub1') }),
  ],
  ['NAS-Port-Id', (r) => r.addText(Attribute.nasPortId, 'ether1'), line({ nasPortId: inHex('ether1') })],
];

t.test('what each NAS says', async (t) => {
  for (const [what, fill, expected] of rows) t.same(lineAttributes(packetOf(fill), reading), expected, what);
});

t.test('NAS-Port-Id is left alone where no rule looks at it', async (t) => {
  const packet = packetOf((r) => r.addText(Attribute.nasPortId, 'ether1'));
  t.equal(lineAttributes(packet, { decodeOption82, nasPortId: false }), undefined);
});

t.test('rules read what NASes say as they read option 82', async (t) => {
  const rules = compileLineRules(defaultLineRules);
  const find = (fill: (request: RequestBuilder) => void) => {
    const found = lineAttributes(packetOf(fill), { decodeOption82, nasPortId: rules.looksAt('nas_port_id') });
    return found === undefined ? undefined : rules.find(found);
  };
  t.same(
    find((r) =>
      r.addVendorText(9, 1, 'circuit-id-tag=000400320001').addVendorText(9, 1, 'remote-id-tag=0106001cf09d7167'),
    ),
    { rule: 'dlink/standalone', line: { vlan: 50, port: '1', device: { by: 'mac', value: '00:1c:f0:9d:71:67' } } },
  );
  t.same(
    find((r) => r.addVendorText(3561, 1, 'gige 6/27/0:1100.1').addVendorText(3561, 2, 'BNG')),
    { rule: 'bras/port', line: { svlan: 1100, vlan: 1, port: '6/27/0', device: { by: 'name', value: 'BNG' } } },
  );
  t.same(
    find((r) => r.addText(Attribute.nasPortId, '0/0/2/50.1957')),
    { rule: 'nas-port-cisco', line: { port: '0/0/2', vlan: 50, svlan: 1957 } },
  );
  t.equal(
    find((r) => r.addText(Attribute.nasPortId, '<pppoe-alice>')),
    undefined,
  );
});

t.test('any octets in these attributes do no harm', async () => {
  const vendors = fc.constantFrom(9, 2352, 3561, 4874, 14988);
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom('circuit-id-tag=', 'remote-id-tag=0006', 'client-mac-address=').map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(vendors, value), { maxLength: 8 }), (attributes) => {
      const packet = packetOf((request) => {
        for (const [vendor, octets] of attributes) {
          const number = Buffer.alloc(4);
          number.writeUInt32BE(vendor);
          request.addOctets(Attribute.vendorSpecific, Buffer.concat([number, octets]));
        }
      });
      const found = lineAttributes(packet, reading);
      if (found === undefined) return true;
      return [found.circuitId, found.remoteId, found.subscriberId].every(
        (hex) => hex === null || /^(?:[0-9a-f]{2})+$/u.test(hex),
      );
    }),
    { numRuns: 5_000, seed: 20_261_122 },
  );
});
