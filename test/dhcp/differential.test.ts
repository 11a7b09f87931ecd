// Against the `dhcp` package, an independent implementation, both ways over random packets. It is right where there are no pads, no option 82
// and no text with NULs.

import t from 'tap';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { formatIpv4Address } from '../../src/domain/ipv4-address.js';
import { encodePacket, uint32Value } from '../../src/dhcp/encode-packet.js';
import { macOf } from '../../src/dhcp/packet.js';
import { decoded } from './sample-packets.js';

interface PeerPacket {
  readonly op: number;
  readonly htype: number;
  readonly hlen: number;
  readonly hops: number;
  readonly xid: number;
  readonly secs: number;
  readonly flags: number;
  readonly ciaddr: string;
  readonly yiaddr: string;
  readonly siaddr: string;
  readonly giaddr: string;
  readonly chaddr: string;
  readonly sname: string;
  readonly file: string;
  readonly options: Readonly<Record<number, unknown>>;
}
const peer = createRequire(import.meta.url)('dhcp/lib/protocol.js') as {
  parse(octets: Buffer): PeerPacket;
  /** Its buffer is longer than what was written. */
  format(packet: PeerPacket): { readonly _data: Buffer; readonly _w: number };
};

const uint32 = fc.nat(0xffff_ffff);
const address = fc.ipV4();
const text = fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme-ascii' });
const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .filter((octets) => octets.some((octet) => octet !== 0))
  .map((octets) => Buffer.from(octets).toString('hex').match(/../g)!.join('-').toUpperCase());
const packet = fc.record({
  op: fc.constantFrom(1, 2),
  htype: fc.constant(1),
  hlen: fc.constant(6),
  hops: fc.nat(255),
  xid: uint32,
  secs: fc.nat(0xffff),
  flags: fc.nat(0xffff),
  ciaddr: address,
  yiaddr: address,
  siaddr: address,
  giaddr: address,
  chaddr: mac,
  sname: fc.constant(''),
  file: fc.constant(''),
  options: fc.record({
    53: fc.integer({ min: 1, max: 18 }),
    50: address,
    51: uint32,
    54: address,
    12: text,
    55: fc.array(fc.nat(255), { minLength: 1, maxLength: 60 }),
    57: fc.nat(0xffff),
    6: fc.array(address, { minLength: 1, maxLength: 20 }),
  }),
});
const runs = { numRuns: 300 };

t.test('what it writes is read here', async (t) => {
  fc.assert(
    fc.property(packet, (theirs) => {
      const { _data, _w } = peer.format({ ...theirs, options: { ...theirs.options } });
      const ours = decoded(_data.subarray(0, _w));
      const { op, htype, hops, xid, secs, flags, options } = theirs;
      t.match(ours, { op, htype, hops, xid, secs, flags, messageType: options[53] });
      for (const field of ['ciaddr', 'yiaddr', 'siaddr', 'giaddr'] as const)
        t.equal(formatIpv4Address(ours[field]), theirs[field]);
      t.equal(macOf(ours), theirs.chaddr.replaceAll('-', ':').toLowerCase());
      t.equal(formatIpv4Address(ours.options.get(50)!.readUInt32BE(0)), options[50]);
      t.equal(ours.options.get(51)!.readUInt32BE(0), options[51]);
      t.equal(ours.options.get(12)!.toString('latin1'), options[12]);
      t.same([...ours.options.get(55)!], options[55]);
      t.equal(ours.options.get(57)!.readUInt16BE(0), options[57]);
      t.equal(ours.options.get(6)!.length, 4 * options[6].length);
      t.equal(ours.options.size, 8);
      return true;
    }),
    runs,
  );
});

t.test('what is written here is read there', async (t) => {
  const fields = fc.record({
    op: fc.constantFrom(1, 2),
    htype: fc.constant(1),
    hops: fc.nat(255),
    xid: uint32,
    secs: fc.nat(0xffff),
    flags: fc.nat(0xffff),
    ciaddr: uint32,
    yiaddr: uint32,
    siaddr: uint32,
    giaddr: uint32,
  });
  fc.assert(
    fc.property(fields, mac, fc.integer({ min: 1, max: 18 }), uint32, text, (header, chaddr, type, number, name) => {
      const theirs = peer.parse(
        encodePacket({ ...header, chaddr: Buffer.from(chaddr.replaceAll('-', ''), 'hex') }, [
          [53, Buffer.of(type)],
          [51, uint32Value(number)],
          [12, Buffer.from(name, 'latin1')],
          [54, uint32Value(number)],
        ]),
      );
      const { op, htype, hops, xid, secs, flags } = header;
      t.match(theirs, { op, htype, hops, xid, secs, flags, chaddr, sname: '', file: '' });
      for (const field of ['ciaddr', 'yiaddr', 'siaddr', 'giaddr'] as const)
        t.equal(theirs[field], formatIpv4Address(header[field]));
      t.same(theirs.options, { 12: name, 51: number, 53: type, 54: formatIpv4Address(number) });
      return true;
    }),
    runs,
  );
});
