// What is a packet, what is not, and how values are read from it (RFC 2865 §3 and §5).

import t from 'tap';
import { randomBytes } from 'node:crypto';
import { formatIpv6, parseIpv4, parseIpv6 } from '../../src/radius/address-text.js';
import { Attribute } from '../../src/radius/attribute-number.js';
import { headerOctets, parsePacket, type Packet } from '../../src/radius/packet.js';

/** A packet around these attribute octets, with a Length field that fits unless given. */
function packetBytes(attributes: string | Buffer, length?: number): Buffer {
  const body = Buffer.isBuffer(attributes) ? attributes : Buffer.from(attributes.replaceAll(' ', ''), 'hex');
  const bytes = Buffer.concat([Buffer.of(1, 7, 0, 0), Buffer.alloc(16, 0xaa), body]);
  bytes.writeUInt16BE(length ?? bytes.length, 2);
  return bytes;
}

function opened(attributes: string | Buffer): Packet {
  const result = parsePacket(packetBytes(attributes));
  if (!result.ok) throw new Error(result.reason);
  return result.packet;
}

const messageAuthenticator = `5012${'00'.repeat(16)}`;

t.test('structure', (t) => {
  for (const [name, bytes, expected] of [
    ['nothing', Buffer.alloc(0), 'too-short'],
    ['19 octets', packetBytes('').subarray(0, 19), 'too-short'],
    ['20 octets', packetBytes(''), 'ok'],
    ['Length 19', packetBytes('', 19), 'length-too-small'],
    ['Length 0', packetBytes('', 0), 'length-too-small'],
    ['Length beyond the datagram', packetBytes('0103 61', 24), 'length-mismatch'],
    ['Length beyond the datagram by one', packetBytes('', 21), 'length-mismatch'],
    ['padding after Length', packetBytes('0103 61 ffffff', 23), 'ok'],
    ['padding that looks like an attribute', packetBytes('0103 61 0200', 23), 'ok'],
    [
      '4096 octets',
      packetBytes(Buffer.from(`12ff${'20'.repeat(253)}`.repeat(15) + `12fb${'20'.repeat(249)}`, 'hex')),
      'ok',
    ],
    ['Length 4097', packetBytes(Buffer.alloc(4077), 4097), 'too-long'],
    ['Length 65535', packetBytes('', 65535), 'too-long'],
    ['attribute of length 0', packetBytes('0100'), 'attribute-length'],
    ['attribute of length 1', packetBytes('0101'), 'attribute-length'],
    ['attribute of length 2', packetBytes('0102'), 'ok'],
    ['attribute past the end', packetBytes('0105 61'), 'attribute-length'],
    ['attribute past Length, within the datagram', packetBytes('0105 616161', 23), 'attribute-length'],
    ['a lone type octet', packetBytes('0103 61 01'), 'attribute-length'],
    ['the last attribute of length 0', packetBytes('0103 61 4f00'), 'attribute-length'],
    ['Vendor-Specific without a vendor', packetBytes('1a02'), 'vendor-length'],
    ['Vendor-Specific with three octets of vendor', packetBytes('1a05 000000'), 'vendor-length'],
    ['Vendor-Specific with nothing but a vendor', packetBytes('1a06 00003a8c'), 'ok'],
    ['Vendor-Specific with a sub-attribute of length 0', packetBytes('1a08 00003a8c 0800'), 'ok'],
    ['Vendor-Specific with a sub-attribute past the end', packetBytes('1a08 00003a8c 08fa'), 'ok'],
    ['Message-Authenticator of 15 octets', packetBytes(`5011${'00'.repeat(15)}`), 'message-authenticator-length'],
    ['Message-Authenticator of 17 octets', packetBytes(`5013${'00'.repeat(17)}`), 'message-authenticator-length'],
    ['empty Message-Authenticator', packetBytes('5002'), 'message-authenticator-length'],
    ['one Message-Authenticator', packetBytes(messageAuthenticator), 'ok'],
    ['two of them', packetBytes(messageAuthenticator + messageAuthenticator), 'message-authenticator-repeated'],
  ] as const) {
    const result = parsePacket(bytes);
    t.equal(result.ok ? 'ok' : result.reason, expected, name);
  }
  t.end();
});

t.test('padding is not part of the packet', (t) => {
  const result = parsePacket(packetBytes('0103 61 0203 62', 23));
  t.ok(result.ok);
  if (result.ok) {
    t.equal(result.packet.length, 23);
    t.notOk(result.packet.has(2));
  }
  t.end();
});

t.test('values are found by type, the first or all', (t) => {
  const packet = opened(
    '0105616c69 0406 0a000002 2c03 31 0506 00000003 2103 aa 2103 bb 5f12 20010db8000000000000000000000001',
  );
  t.equal(packet.code, 1);
  t.equal(packet.identifier, 7);
  t.equal(packet.authenticator.toString('hex'), 'aa'.repeat(16));
  t.equal(packet.text(Attribute.userName), 'ali');
  t.equal(packet.address(Attribute.nasIpAddress), '10.0.0.2');
  t.equal(packet.address(Attribute.nasIpv6Address), '2001:db8::1');
  t.equal(packet.uint32(Attribute.nasPort), 3);
  t.equal(packet.uint32(Attribute.userName), undefined, 'three octets are no number');
  t.equal(packet.address(Attribute.userName), undefined, 'three octets are no address');
  t.same(
    packet.all(Attribute.proxyState).map((value) => value.toString('hex')),
    ['aa', 'bb'],
  );
  t.equal(packet.first(Attribute.proxyState)?.toString('hex'), 'aa');
  t.equal(packet.proxyStateOctets, 6);
  t.equal(packet.first(Attribute.class), undefined);
  t.same(packet.all(Attribute.class), []);
  t.equal(packet.text(Attribute.class), undefined);
  t.equal(packet.indexOf(Attribute.userName), headerOctets);
  t.end();
});

t.test('vendor attributes are found across Vendor-Specific attributes and inside one', (t) => {
  const packet = opened(
    '1a0c 00000de9 0106 63697231 1a0d 00003a8c 0802 0103 78 1302 1a09 00000de9 0203 72 1a0b 00000de9 0105 323232',
  );
  const text = (values: Buffer[]): string[] => values.map((value) => value.toString());
  t.equal(packet.vendorText(3561, 1), 'cir1');
  t.equal(packet.vendorText(3561, 2), 'r');
  t.same(text(packet.vendorAll(3561, 1)), ['cir1', '222']);
  t.same(text(packet.vendorAll(14988, 1)), ['x'], 'the second of three in one attribute');
  t.equal(packet.vendorFirst(14988, 8)?.length, 0, 'an empty value is there');
  t.equal(packet.vendorFirst(14988, 2), undefined);
  t.equal(packet.vendorFirst(9, 1), undefined);
  t.end();
});

t.test('vendor formats', (t) => {
  for (const [name, attributes, vendor, type, format, value] of [
    [
      'USR: type of 4, no length',
      '1a0c 000001ad 0000bfbe 04d2',
      429,
      0xbfbe,
      { typeOctets: 4, lengthOctets: 0 },
      '04d2',
    ],
    ['Starent: 2 and 2', '1a0d 00001fe4 0002 0007 666f6f', 8164, 2, { typeOctets: 2, lengthOctets: 2 }, '666f6f'],
    ['Lucent: 2 and 1', '1a0b 000012ee 0102 05 6162', 4846, 0x102, { typeOctets: 2, lengthOctets: 1 }, '6162'],
    ['one octet, no length', '1a09 000000ff 07 6162', 255, 7, { typeOctets: 1, lengthOctets: 0 }, '6162'],
    [
      'WiMAX: continuation octet',
      '1a0b 000060b5 01 05 00 6162',
      24757,
      1,
      { typeOctets: 1, lengthOctets: 1, continuation: true },
      '6162',
    ],
  ] as const) {
    const found = opened(attributes).vendorFirst(vendor, type, { continuation: false, ...format });
    t.equal(found?.toString('hex'), value, name);
  }
  t.end();
});

t.test('a sub-attribute whose length lies ends the walk and hides nothing before it', (t) => {
  for (const [name, attributes] of [
    ['length 0', '1a0b 00003a8c 0103 78 0800'],
    ['length 1', '1a0b 00003a8c 0103 78 0801'],
    ['past the end', '1a0b 00003a8c 0103 78 08fa'],
    ['a lone type', '1a0a 00003a8c 0103 78 08'],
  ] as const) {
    const packet = opened(attributes);
    t.equal(packet.vendorText(14988, 1), 'x', name);
    t.equal(packet.vendorFirst(14988, 8), undefined, name);
  }
  t.end();
});

t.test('text is UTF-8 where it can be, and never two values under one text', (t) => {
  const textOf = (value: string): string | undefined =>
    opened(`01${(value.length / 2 + 2).toString(16).padStart(2, '0')}${value}`).text(1);
  t.equal(textOf(Buffer.from('иванов').toString('hex')), 'иванов');
  t.equal(textOf('616263'), 'abc');
  t.equal(textOf(''), '');
  t.equal(textOf('616200'), 'ab', 'a NUL at the end is cut');
  t.equal(textOf('610062'), 'a\ufffdb', 'a NUL inside cannot be stored');
  t.not(textOf('ff'), textOf('fe'), 'bad UTF-8 keeps its octets apart');
  t.equal(textOf('c328'), 'Ã(', 'octets as characters');
  t.end();
});

t.test('addresses and prefixes as text', (t) => {
  for (const text of ['::', '::1', '1::', '2001:db8::1', '2001:db8:0:1:1:1:1:1', '1:0:0:2::3', 'fe80::a:b:c:d'])
    t.equal(formatIpv6(parseIpv6(text)!), text, text);
  t.equal(formatIpv6(parseIpv6('2001:0DB8:0:0:8:0:0:1')!), '2001:db8::8:0:0:1', 'the first of two equal runs');
  t.equal(formatIpv6(parseIpv6('::ffff:10.1.2.3')!), '::ffff:a01:203');
  for (let round = 0; round < 500; round++) {
    const octets = randomBytes(16);
    for (let index = 0; index < 16; index++) if (randomBytes(1)[0]! < 100) octets[index] = 0;
    if (!parseIpv6(formatIpv6(octets))?.equals(octets)) t.fail(octets.toString('hex'));
  }
  for (const text of ['', '1.2.3', '1.2.3.256', '::1', '01.2.3.4']) t.equal(parseIpv4(text), undefined, text);
  for (const text of ['', ':', '1.2.3.4', 'fe80::1%eth0', '1::2::3']) t.equal(parseIpv6(text), undefined, text);
  for (const [value, expected] of [
    ['6108 0040 20010db8', undefined],
    ['6108 0020 20010db8', '2001:db8::/32'],
    ['6104 0000', '::/0'],
    ['6103 00', undefined],
    ['6104 0081', undefined],
    ['6114 0081 20010db8000000000000000000000001', undefined],
    ['6114 0080 20010db8000000000000000000000001', '2001:db8::1/128'],
  ] as const)
    t.equal(opened(value).ipv6Prefix(Attribute.framedIpv6Prefix), expected, value);
  t.end();
});
