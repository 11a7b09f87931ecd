// Attributes by name: encoding of every type, decoding for people, secrets hidden, hostile octets escaped.

import t from 'tap';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { decodeAttributes } from '../../src/radius/decode-attribute.js';
import { describeAttribute, describePacket } from '../../src/radius/describe.js';
import { loadDictionary } from '../../src/radius/dictionary-file.js';
import { encodeAttribute, EncodeError, type AttributeValue } from '../../src/radius/encode-attribute.js';
import { parsePacket } from '../../src/radius/packet.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { quotedText } from '../../src/radius/value-text.js';
import { accessRequest } from '../support/radius-client.js';
import { thrown } from './thrown.js';

const { dictionary } = loadDictionary([
  join(dirname(fileURLToPath(import.meta.url)), '../../dictionaries/dictionary'),
  join(dirname(fileURLToPath(import.meta.url)), 'all-types.dictionary'),
]);
const secret = new SharedSecret('testing123');
const requestAuthenticator = Buffer.alloc(16, 5);

/** The lines that describe a packet with these attributes. */
function described(attributes: Buffer): string[] {
  const bytes = Buffer.concat([Buffer.of(2, 1, 0, 0), Buffer.alloc(16), attributes]);
  bytes.writeUInt16BE(bytes.length, 2);
  return describePacket(dictionary, bytes)
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
}

t.test('every type, there and back', (t) => {
  for (const [name, value, octets, text] of [
    ['User-Name', 'иванов', '010ed0b8d0b2d0b0d0bdd0bed0b2', 'User-Name = "иванов"'],
    ['user-name', '', '0102', 'User-Name = ""'],
    ['Class', '0x00ff', '190400ff', 'Class = 0x00ff'],
    ['Class', 'text', '190674657874', 'Class = 0x74657874'],
    ['Class', Buffer.of(1, 2), '19040102', 'Class = 0x0102'],
    ['NAS-IP-Address', '10.0.0.2', '04060a000002', 'NAS-IP-Address = 10.0.0.2'],
    ['NAS-Port', 7, '050600000007', 'NAS-Port = 7'],
    ['NAS-Port', '0x07', '050600000007', 'NAS-Port = 7'],
    ['NAS-Port', 0xffff_ffff, '0506ffffffff', 'NAS-Port = 4294967295'],
    ['Service-Type', 'Framed-User', '060600000002', 'Service-Type = Framed-User'],
    ['Service-Type', 'framed', '060600000002', 'Service-Type = Framed-User'],
    ['Service-Type', 77, '06060000004d', 'Service-Type = 77'],
    ['Event-Timestamp', '2026-11-21T20:00:00Z', '37066b01f840', 'Event-Timestamp = 2026-11-21T20:00:00Z'],
    ['Event-Timestamp', 0, '370600000000', 'Event-Timestamp = 1970-01-01T00:00:00Z'],
    ['NAS-IPv6-Address', '2001:db8::1', '5f1220010db8000000000000000000000001', 'NAS-IPv6-Address = 2001:db8::1'],
    ['Framed-IPv6-Prefix', '2001:db8::/32', '6108002020010db8', 'Framed-IPv6-Prefix = 2001:db8::/32'],
    ['Framed-IPv6-Prefix', '::/0', '61040000', 'Framed-IPv6-Prefix = ::/0'],
    [
      'Delegated-IPv6-Prefix',
      '2001:db8:0:100::/56',
      '7b0b003820010db8000001',
      'Delegated-IPv6-Prefix = 2001:db8:0:100::/56',
    ],
    ['Framed-Interface-Id', '0:1:2:fe', '600a00000001000200fe', 'Framed-Interface-Id = 0000:0001:0002:00fe'],
    ['Test-Byte', 255, 'c803ff', 'Test-Byte = 255'],
    ['Test-Byte', 'High', 'c80309', 'Test-Byte = High'],
    ['Test-Short', 258, 'c9040102', 'Test-Short = 258'],
    ['Test-Integer64', '18446744073709551615', 'ca0affffffffffffffff', 'Test-Integer64 = 18446744073709551615'],
    ['Test-Integer64', 2n ** 40n, 'ca0a0000010000000000', 'Test-Integer64 = 1099511627776'],
    ['Test-Signed', -2, 'cb06fffffffe', 'Test-Signed = -2'],
    ['Test-Signed', '-2147483648', 'cb0680000000', 'Test-Signed = -2147483648'],
    ['Test-Ether', '00:11:22:aa:BB:cc', 'cc08001122aabbcc', 'Test-Ether = 00:11:22:aa:bb:cc'],
    ['Test-Ether', '001122aabbcc', 'cc08001122aabbcc', 'Test-Ether = 00:11:22:aa:bb:cc'],
    ['Test-Combo', '10.0.0.1', 'cd060a000001', 'Test-Combo = 10.0.0.1'],
    ['Test-Combo', '::1', 'cd1200000000000000000000000000000001', 'Test-Combo = ::1'],
    ['Test-Prefix4', '10.1.0.0/16', 'ce0800100a010000', 'Test-Prefix4 = 10.1.0.0/16'],
    ['Test-Fixed', '0x0102030405060708', 'cf0a0102030405060708', 'Test-Fixed = 0x0102030405060708'],
    ['Test-Inner', 5, 'd0080106 00000005', 'Test-Inner = 5'],
    ['Mikrotik-Rate-Limit', '10M/50M', '1a0f00003a8c080931304d2f35304d', 'Mikrotik-Rate-Limit = "10M/50M"'],
    ['Test-Usr', 1234, '1a0e000001ad0000bfbe000004d2', 'Test-Usr = 1234'],
    ['Tunnel-Type:1', 'VLAN', '40060100000d', 'Tunnel-Type:1 = VLAN'],
    ['Tunnel-Type', 'VLAN', '40060000000d', 'Tunnel-Type = VLAN'],
    ['Tunnel-Private-Group-Id:2', '100', '510602313030', 'Tunnel-Private-Group-Id:2 = "100"'],
    ['Tunnel-Private-Group-Id', '100', '5105313030', 'Tunnel-Private-Group-Id = "100"'],
  ] as const) {
    const encoded = encodeAttribute(dictionary, name, value);
    t.equal(encoded.toString('hex'), octets.replace(' ', ''), `${name} ${String(value)}`);
    t.same(described(encoded), [text]);
  }
  t.end();
});

t.test('what cannot be encoded is a typed error that does not show the value', (t) => {
  for (const [name, value, reason] of [
    ['No-Such', 'x', 'unknown-attribute'],
    ['NAS-IP-Address', '10.0.0.256', 'value-invalid'],
    ['NAS-IP-Address', Buffer.alloc(5), 'value-invalid'],
    ['NAS-Port', 'many', 'value-invalid'],
    ['NAS-Port', 2 ** 32, 'value-invalid'],
    ['NAS-Port', -1, 'value-invalid'],
    ['NAS-Port', 1.5, 'value-invalid'],
    ['NAS-Port', '', 'value-invalid'],
    ['Test-Byte', 256, 'value-invalid'],
    ['Test-Short', 65536, 'value-invalid'],
    ['Test-Signed', 2 ** 31, 'value-invalid'],
    ['Test-Integer64', '18446744073709551616', 'value-invalid'],
    ['Test-Ether', '00:11:22:33:44', 'value-invalid'],
    ['Test-Ether', '00:11-22:33:44:55', 'value-invalid'],
    ['Test-Combo', 'home', 'value-invalid'],
    ['Test-Fixed', '0x01', 'value-invalid'],
    ['Test-Prefix4', '10.1.0.1/16', 'value-invalid'],
    ['Framed-IPv6-Prefix', '2001:db8::1/32', 'value-invalid'],
    ['Framed-IPv6-Prefix', '2001:db8::/129', 'value-invalid'],
    ['Framed-IPv6-Prefix', '2001:db8::/32/1', 'value-invalid'],
    ['Framed-Interface-Id', '1:2:3', 'value-invalid'],
    ['Event-Timestamp', 'yesterday', 'value-invalid'],
    ['Class', '0x123', 'value-invalid'],
    ['Reply-Message', 'x'.repeat(254), 'value-too-long'],
    ['Mikrotik-Rate-Limit', 'x'.repeat(248), 'value-too-long'],
    ['User-Name:1', 'x', 'tag-invalid'],
    ['Tunnel-Type:32', 'VLAN', 'tag-invalid'],
    ['Tunnel-Type', 0x1_000_000, 'value-invalid'],
    ['User-Password', 'hush', 'secret-needed'],
    ['Tunnel-Password', 'hush', 'secret-needed'],
    ['Test-Extended-One', 1, 'type-unsupported'],
    ['Vendor-Specific', 'x', 'type-unsupported'],
  ] as const) {
    try {
      encodeAttribute(dictionary, name, value as AttributeValue);
      t.fail(`${name} ${String(value)}`);
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error;
      t.equal(error.reason, reason, `${name} ${String(value).slice(0, 30)}`);
      if (String(value) === 'hush') t.notMatch(error.message, 'hush');
    }
  }
  t.end();
});

t.test('hidden attributes', (t) => {
  const hiding = { secret, requestAuthenticator, salt: Buffer.of(0x80, 1) };
  for (const [name, length] of [
    ['User-Password', 18],
    ['Tunnel-Password:3', 21],
    ['MS-MPPE-Send-Key', 26],
    ['Test-Ascend', 18],
  ] as const) {
    const encoded = encodeAttribute(dictionary, name, 'hush', { hiding });
    t.equal(encoded.length, length, name);
    t.notMatch(encoded.toString('latin1'), 'hush');
    const [line] = described(encoded);
    t.equal(line, `${name} = <hidden>`);
    const bytes = Buffer.concat([Buffer.of(2, 1, 0, 20 + encoded.length), Buffer.alloc(16), encoded]);
    const parsed = parsePacket(bytes);
    if (!parsed.ok) throw new Error(parsed.reason);
    const [attribute] = decodeAttributes(dictionary, parsed.packet, hiding);
    t.equal(attribute?.octets.toString('latin1').replaceAll('\0', ''), 'hush', 'revealed for who has the secret');
    t.equal(attribute?.text, '<hidden>', 'and still not shown');
    t.equal(describeAttribute(attribute!), `${name} = <hidden>`);
  }
  for (const [name, octets] of [
    ['User-Password', 129],
    ['Tunnel-Password', 240],
    ['Test-Ascend', 17],
  ] as const)
    t.match(
      thrown(() => encodeAttribute(dictionary, name, 'x'.repeat(octets), { hiding })),
      { reason: 'value-too-long' },
    );
  t.end();
});

t.test('long values are split where the dictionary says so', (t) => {
  const encoded = encodeAttribute(dictionary, 'EAP-Message', Buffer.alloc(300, 1));
  t.equal(encoded.length, 304);
  t.equal(encoded[255], 79);
  t.equal(encodeAttribute(dictionary, 'EAP-Message', Buffer.alloc(0)).toString('hex'), '4f02');
  t.end();
});

t.test('no secret in the description of any request', (t) => {
  for (const method of ['pap', 'chap', 'mschap1', 'mschap2'] as const) {
    const { bytes } = accessRequest({ secret, userName: 'alice', password: 'correct horse', method });
    const text = describePacket(dictionary, bytes);
    t.match(text, /^Access-Request Identifier 1 Length \d+\n/);
    t.match(text, 'User-Name = "alice"');
    t.match(text, /= <hidden>/, method);
    const parsed = parsePacket(bytes);
    if (!parsed.ok) throw new Error(parsed.reason);
    for (const value of [
      parsed.packet.first(2),
      parsed.packet.first(3),
      parsed.packet.vendorFirst(311, 1),
      parsed.packet.vendorFirst(311, 25),
    ])
      if (value !== undefined) t.notMatch(text, value.toString('hex'));
  }
  t.end();
});

t.test('hostile octets never reach a terminal', (t) => {
  for (const [octets, text] of [
    ['"; rm -rf \\', '"\\"; rm -rf \\\\"'],
    ['a\nb\r\t\0', '"a\\x0ab\\x0d\\x09\\x00"'],
    ['\u001b[31m', '"\\x1b[31m"'],
    ['\u0085\u009b', '"\\x85\\x9b"'],
    ['a\u202eb\u2066', '"a\\u{202e}b\\u{2066}"'],
    ['\u2028\ufeff', '"\\u{2028}\\u{feff}"'],
    ['баланс', '"баланс"'],
  ] as const)
    t.equal(quotedText(Buffer.from(octets)), text);
  t.equal(quotedText(Buffer.from('61ff22c328', 'hex')), '"a\\xff\\"\\xc3("', 'what is no UTF-8, octet by octet');
  t.end();
});

t.test('what does not fit its type, or is unknown, is hexadecimal', (t) => {
  for (const [octets, lines] of [
    ['0405010203', ['NAS-IP-Address = 0x010203']],
    ['6104 0081', ['Framed-IPv6-Prefix = 0x0081']],
    ['fa03 aa', ['Attr-250 = 0xaa']],
    ['1a09 00007ed9 0103 aa', ['Vendor-32473-Attr-1 = 0xaa']],
    ['1a06 00003a8c', ['Vendor-14988 = 0x']],
    ['1a0b 00003a8c 0803 78 0800', ['Vendor-14988 = 0x0803780800']],
    ['1a0c 00003a8c 0803 78 1303 79', ['Mikrotik-Rate-Limit = "x"', 'Mikrotik-Address-List = "y"']],
    ['1a0a 000060b5 0104 80 aa', ['Vendor-24757-Attr-1 = 0xaa']],
    ['d009 01060000000502', ['Test-Block = 0x01060000000502']],
    ['d00a 0106000000050902', ['Test-Inner = 5', 'Attr-208.9 = 0x']],
    ['d10a 0a000001 0a000002', ['Test-Array = 10.0.0.1', 'Test-Array = 10.0.0.2']],
    ['d109 0a000001 0a0002', ['Test-Array = 0x0a0000010a0002']],
    ['4006 2000000d', ['Tunnel-Type = 536870925']],
    ['4003 01', ['Tunnel-Type:1 = 0x']],
    ['1a0a 00000137 c804 0001', ['Vendor-311-Attr-200 = <hidden>']],
  ] as const)
    t.same(described(Buffer.from(octets.replaceAll(' ', ''), 'hex')), lines, octets);
  t.match(describePacket(dictionary, Buffer.from('junk')), /^not a RADIUS packet \(too-short\), 4 octets: 6a756e6b$/);
  t.match(
    describePacket(dictionary, Buffer.alloc(100)),
    /^not a RADIUS packet \(length-too-small\), 100 octets: 0{128}…$/,
  );
  t.end();
});

t.test('property: what was encoded is what is described', (t) => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.string({ unit: 'binary', maxLength: 60 }), (number, text) => {
      const lines = described(
        Buffer.concat([
          encodeAttribute(dictionary, 'NAS-Port', number),
          encodeAttribute(dictionary, 'Filter-Id', text),
        ]),
      );
      return (
        lines.length === 2 &&
        lines[0] === `NAS-Port = ${number}` &&
        lines[1] === `Filter-Id = ${quotedText(Buffer.from(text))}` &&
        // eslint-disable-next-line no-control-regex
        !/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(lines.join(''))
      );
    }),
    { numRuns: 300 },
  );
  t.pass('no counterexample');
  t.end();
});
