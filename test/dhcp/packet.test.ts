// The decoder and the encoder of DHCPv4, by the sections of RFC 2131, 2132 and 3396.

import t from 'tap';
import fc from 'fast-check';
import { encodePacket, uint32Value } from '../../src/dhcp/encode-packet.js';
import { decodePacket, hostAddress, macOf, maxPacketOctets, uint32Option } from '../../src/dhcp/packet.js';
import { decoded, fromHex, packetOf, samples } from './sample-packets.js';

const head = '0101060116df0a28000480006441020a6441020b6441020c6441020102000000c201';
const hex = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString('hex');
const reasonOf = (datagram: Buffer): string => {
  const result = decodePacket(datagram);
  return result.ok ? 'accepted' : result.reason;
};

t.test('every field of the header is where RFC 2131 §2 puts it', async (t) => {
  const { chaddr, options, ...header } = decoded(packetOf(head, '350103ff'));
  t.same(header, {
    op: 1,
    htype: 1,
    hops: 1,
    xid: 0x16df0a28,
    secs: 4,
    flags: 0x8000,
    ciaddr: 0x6441020a,
    yiaddr: 0x6441020b,
    siaddr: 0x6441020c,
    giaddr: 0x64410201,
    messageType: 3,
  });
  t.equal(hex(chaddr), '02000000c201');
  t.equal(options.size, 1);
});

t.test('options of a real DHCPREQUEST', async (t) => {
  const packet = decoded(samples.request());
  t.same([...packet.options].map(([option, value]) => `${String(option)} ${value.toString('hex')}`).slice(0, 6), [
    '53 03',
    '54 0a610001',
    '50 6441020a',
    '12 63706532',
    '55 011c02030f060c',
    '60 706565722d637065',
  ]);
  t.equal(uint32Option(packet, 50), 0x6441020a);
  t.equal(uint32Option(packet, 51), undefined, 'absent');
  t.equal(uint32Option(packet, 12), 0x63706532);
  t.equal(uint32Option(packet, 60), undefined, 'of eight octets');
});

t.test('what is no packet is told with its reason', async (t) => {
  const table: readonly [what: string, datagram: Buffer, reason: string][] = [
    ['nothing', Buffer.alloc(0), 'too-short'],
    ['a header that is cut', packetOf(head, '').subarray(0, 235), 'too-short'],
    ['more than any MTU', Buffer.concat([packetOf(head, '350103'), Buffer.alloc(maxPacketOctets)]), 'too-long'],
    ['op 0', packetOf(`00${head.slice(2)}`, '350103ff'), 'op'],
    ['op 3', packetOf(`03${head.slice(2)}`, '350103ff'), 'op'],
    ['17 octets of hardware address', packetOf('010111', '350103ff'), 'hardware-address-length'],
    ['BOOTP without a vendor field', packetOf(head, '').subarray(0, 236), 'bootp'],
    ['BOOTP with half a cookie', packetOf(head, '').subarray(0, 239), 'bootp'],
    ['BOOTP with 64 zeros for the vendor (RFC 951)', Buffer.concat([packetOf(head, '')], 300).fill(0, 236), 'bootp'],
    ['a cookie that is an octet late', packetOf(head, '53633501').fill(0x63, 236, 237).fill(0x53, 237, 238), 'bootp'],
    ['a cookie and nothing behind it', packetOf(head, ''), 'no-message-type'],
    ['the vendor extensions of BOOTP (RFC 1497)', packetOf(head, '0104ffffff00ff'), 'no-message-type'],
    ['a message type behind the end', packetOf(head, 'ff350103'), 'no-message-type'],
    ['an option without a length', packetOf(head, '35010332'), 'option-overrun'],
    ['an option that is one octet too long', packetOf(head, '350103 3204644102'), 'option-overrun'],
    ['an option of 255 octets at the end', packetOf(head, '350103 0cff'), 'option-overrun'],
    ['a message type of two octets', packetOf(head, '35020303ff'), 'option-length'],
    ['a message type of none', packetOf(head, '3500ff'), 'option-length'],
    ['two message types (RFC 3396 §7)', packetOf(head, '350103 350107 ff'), 'option-length'],
    ['an address of three octets', packetOf(head, '350103 3203644102 ff'), 'option-length'],
    ['two addresses', packetOf(head, '350103 32046441020a 32046441020b ff'), 'option-length'],
    ['a lease time of two octets', packetOf(head, '350105 33020e10 ff'), 'option-length'],
    ['a server of five octets', packetOf(head, '350103 36050a61000100 ff'), 'option-length'],
    ['a subnet mask of five octets', packetOf(head, '350105 0105ffffff0000 ff'), 'option-length'],
    ['a broadcast address of none', packetOf(head, '350105 1c00 ff'), 'option-length'],
    ['a transaction time of one octet', packetOf(head, '35010d 5b0101 ff'), 'option-length'],
    ['an overload of two octets', packetOf(head, '350103 34020303 ff'), 'option-length'],
    ['an overload of none', packetOf(head, '350103 3400 ff'), 'option-length'],
    ['overload 0', packetOf(head, '350103 340100 ff'), 'overload'],
    ['overload 4', packetOf(head, '350103 340104 ff'), 'overload'],
    ['an overrun in file', packetOf(head, '350103 340101 ff', '00'.repeat(190) + '0c02'), 'option-overrun'],
    [
      'an overrun out of sname into file',
      packetOf(head, '350103 340102 ff', '00'.repeat(62) + '0c0100'),
      'option-overrun',
    ],
  ];
  for (const [what, datagram, reason] of table) t.equal(reasonOf(datagram), reason, what);
});

t.test('what looks odd and is right is accepted', async (t) => {
  const table: readonly [what: string, datagram: Buffer][] = [
    ['no padding and no end', packetOf(head, '350103')],
    ['padding to 300 octets', Buffer.concat([packetOf(head, '350103ff')], 300)],
    ['padding that is rubbish', packetOf(head, '350103 ff 0c0c0c0cffff')],
    ['pads before, between and behind', packetOf(head, '0000 350103 00 0c0161 000000 ff')],
    ['pads and no end', packetOf(head, '350103 0000')],
    ['an empty option', packetOf(head, '0c00 350103 ff')],
    ['no hardware address', packetOf('010000', '350103ff')],
    ['an option that nobody reads, of a wrong length', packetOf(head, '350103 390105 ff')],
    ['text in sname and file without option 52', packetOf(head, '350103ff', `${'61'.repeat(64)}${'62'.repeat(128)}`)],
    ['exactly as long as may be', Buffer.concat([packetOf(head, '350103ff')], maxPacketOctets)],
  ];
  for (const [what, datagram] of table) t.equal(reasonOf(datagram), 'accepted', what);
});

t.test('options go on in file and sname, in this order (RFC 2132 §9.3, RFC 3396 §5)', async (t) => {
  const fields = Buffer.concat([
    Buffer.concat([fromHex('0c0163 ff 0c0178')], 64),
    Buffer.concat([fromHex('00 0c0162 0f0179 ff 0c0178')], 128),
  ]).toString('hex');
  const table: readonly [overload: string, hostname: string, domain: string | undefined][] = [
    ['', 'a', undefined],
    ['340101', 'ab', 'y'],
    ['340102', 'ac', undefined],
    ['340103', 'abc', 'y'],
  ];
  for (const [overload, hostname, domain] of table) {
    const { options } = decoded(packetOf(head, `350103 ${overload} 0c0161 ff`, fields));
    t.equal(options.get(12)?.toString(), hostname, `${overload}: option 12`);
    t.equal(options.get(15)?.toString(), domain, `${overload}: option 15`);
  }
  const nested = packetOf(head, '350103 340101 ff', `${'00'.repeat(64)}340102`);
  t.equal(reasonOf(nested), 'option-length', 'option 52 in an overloaded field is a second one');
});

t.test('a split option is joined in its order (RFC 3396 §7)', async (t) => {
  const { options } = decoded(packetOf(head, '0c0161 350103 0c0262 63 00 0c00 0c0164 ff'));
  t.equal(options.get(12)?.toString(), 'abcd');
  t.equal(options.size, 2);
});

t.test('MAC addresses of Ethernet alone', async (t) => {
  const table: readonly [head: string, mac: string | null][] = [
    [head, '02:00:00:00:c2:01'],
    ['010100', null],
    ['010110', null],
    ['01200600' + '00'.repeat(24) + '0200000000aa', null],
    ['01010600' + '00'.repeat(24) + '000000000000', null],
    ['01010600' + '00'.repeat(24) + '0a0b0c0d0e0f', '0a:0b:0c:0d:0e:0f'],
  ];
  for (const [text, mac] of table) t.equal(macOf(decoded(packetOf(text, '350103ff'))), mac, text.slice(0, 6));
});

t.test('addresses that a client can have', async (t) => {
  const table: readonly [address: number | undefined, text: string | undefined][] = [
    [undefined, undefined],
    [0, undefined],
    [0x00ffffff, undefined],
    [0x01000001, '1.0.0.1'],
    [0x6441020a, '100.65.2.10'],
    [0x7f000001, undefined],
    [0x7fffffff, undefined],
    [0x80000000, '128.0.0.0'],
    [0xdfffffff, '223.255.255.255'],
    [0xe0000001, undefined],
    [0xffffffff, undefined],
  ];
  for (const [address, text] of table) t.equal(hostAddress(address), text, String(address));
});

t.test('what is encoded is at least as long as BOOTP, ends, and is padded', async (t) => {
  const datagram = encodePacket({ op: 1, xid: 0xfffffffe, giaddr: 0x0a610902 }, [[53, Buffer.of(10)]]);
  t.equal(datagram.length, 300);
  t.equal(datagram.subarray(0, 28).toString('hex'), `01000000fffffffe${'00'.repeat(16)}0a610902`);
  t.equal(datagram.subarray(236).toString('hex'), `6382536335010aff${'00'.repeat(56)}`);
});

t.test('what cannot be written is refused', async (t) => {
  const header = { op: 1, xid: 1 };
  t.throws(() => encodePacket(header, [[0, Buffer.of(1)]]), RangeError);
  t.throws(() => encodePacket(header, [[255, Buffer.of(1)]]), RangeError);
  t.throws(() => encodePacket({ ...header, chaddr: Buffer.alloc(17) }, []), RangeError);
});

const uint32 = fc.nat(0xffff_ffff);
const header = fc.record({
  op: fc.constantFrom(1, 2),
  htype: fc.nat(255),
  hops: fc.nat(255),
  xid: uint32,
  secs: fc.nat(0xffff),
  flags: fc.nat(0xffff),
  ciaddr: uint32,
  yiaddr: uint32,
  siaddr: uint32,
  giaddr: uint32,
  chaddr: fc.uint8Array({ maxLength: 16 }).map((octets) => Buffer.from(octets)),
});
/** Numbers whose length is free. */
const freeOption = fc.integer({ min: 2, max: 254 }).filter((option) => ![28, 50, 51, 52, 53, 54, 91].includes(option));
const value = fc.uint8Array({ maxLength: 700 }).map((octets) => Buffer.from(octets));
const freeOptions = fc.uniqueArray(fc.tuple(freeOption, value), { selector: ([option]) => option, maxLength: 5 });

t.test('what is written is read back: any header, any options, any length', async (t) => {
  fc.assert(
    fc.property(
      header,
      fc.integer({ min: 1, max: 255 }),
      freeOptions,
      uint32,
      (fields, messageType, options, address) => {
        const all: [number, Buffer][] = [[53, Buffer.of(messageType)], [50, uint32Value(address)], ...options];
        const { options: read, ...rest } = decoded(encodePacket(fields, all));
        t.same(rest, { ...fields, messageType });
        t.same([...read], all);
        return true;
      },
    ),
    { numRuns: 300 },
  );
});

t.test('however a value is cut into options, it is the same', async (t) => {
  fc.assert(
    fc.property(value, fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 9 }), (whole, lengths) => {
      const pieces: [number, Buffer][] = [];
      for (let start = 0, index = 0; start < whole.length; index++) {
        const length = lengths[index % lengths.length]!;
        pieces.push([82, whole.subarray(start, start + length)], [12, Buffer.of(index)]);
        start += length;
      }
      const { options } = decoded(encodePacket({ op: 1, xid: 1 }, [[53, Buffer.of(3)], ...pieces.slice(0, 24)]));
      const expected = Buffer.concat(pieces.slice(0, 24).flatMap(([option, piece]) => (option === 82 ? [piece] : [])));
      t.equal(hex(options.get(82)) ?? '', hex(expected));
      return true;
    }),
    { numRuns: 300 },
  );
});

t.test('a packet that is cut anywhere is a fault or fewer options, never an error', async (t) => {
  const whole = samples.intricate();
  for (let length = 0; length <= whole.length; length++) {
    const result = decodePacket(whole.subarray(0, length));
    if (result.ok) t.ok([...result.packet.options.keys()].every((option) => decoded(whole).options.has(option)));
    else t.match(result.reason, /^(too-short|bootp|option-overrun|no-message-type)$/, String(length));
  }
});

t.test('any octets behind a right header are a fault or options within the datagram', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
      const result = decodePacket(Buffer.concat([packetOf(head, '350103'), octets]));
      const known = result.ok ? [...result.packet.options.values()].reduce((sum, one) => sum + one.length, 0) : 0;
      return known <= octets.length + 192 + 1;
    }),
    { numRuns: 2_000 },
  );
  t.pass('nothing threw');
});
