/**
 * DHCP packets for tests. Enters: nothing, or hexadecimal. Leaves: datagrams that dhclient, dhcrelay, ISC dhcpd and Kea sent, and any packet
 * from its octets. Invariant: a test changes no sample, for each is made anew.
 */
import { decodePacket, type DhcpPacket } from '../../src/dhcp/packet.js';

/**
 * @param head up to 44 octets: the header as far as chaddr; the rest is zero
 * @param options what follows the magic cookie
 * @param fields sname and file, 192 octets; zero where they end early
 */
export function packetOf(head: string, options: string, fields = ''): Buffer {
  const octets = (hex: string, length: number): Buffer => Buffer.concat([fromHex(hex)], length);
  return Buffer.concat([octets(head, 44), octets(fields, 192), fromHex('63825363'), fromHex(options)]);
}

/** Hexadecimal with spaces between its parts. */
export function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

/** Option 82 of a client behind olt7: circuit-id `olt7/0/4/2:11`, remote-id `0200000077bb`, subscriber-id `SUB-7711`. */
export const olt7 = {
  circuitId: Buffer.from('olt7/0/4/2:11').toString('hex'),
  remoteId: '0200000077bb',
  subscriberId: Buffer.from('SUB-7711').toString('hex'),
  switchMac: null,
  switchPort: null,
} as const;
const option82 = '5221 010d6f6c74372f302f342f323a3131 02060200000077bb 06085355422d37373131';

/** Addresses in the samples: the relay 10.97.0.2 sends for giaddr 100.65.2.1; the server is 10.97.0.1. */
export const samples = {
  discover: () =>
    packetOf(
      '0101060116df0a28000000000000000000000000000000006441020102000000c201',
      `350101 0c0463706532 3707011c02030f060c 3c08706565722d637065 ${option82} ff`,
    ),
  /** Asks for 100.65.2.10, option 50. */
  request: () =>
    packetOf(
      '0101060116df0a28000000000000000000000000000000006441020102000000c201',
      `350103 36040a610001 32046441020a 0c0463706532 3707011c02030f060c 3c08706565722d637065 ${option82} ff`,
    ),
  /** The answer to it: 20 s. */
  ack: () =>
    packetOf(
      '0201060116df0a2800000000000000006441020a000000006441020102000000c201',
      `350105 36040a610001 330400000014 0104ffffff00 030464410201 ${option82} ff`,
    ),
  /** Renews 100.65.2.10, ciaddr, through the relay. */
  renewal: () =>
    packetOf(
      '0101060116df0a28000000006441020a00000000000000006441020102000000c201',
      `350103 0c0463706532 3707011c02030f060c 3c08706565722d637065 ${option82} ff`,
    ),
  /** The same as it went to the server directly: no giaddr, no option 82. */
  directRenewal: () =>
    packetOf(
      '0101060016df0a28000000006441020a00000000000000000000000002000000c201',
      '350103 0c0463706532 3707011c02030f060c 3c08706565722d637065 ff',
    ),
  release: () =>
    packetOf(
      '010106013484aa04000000006441020a00000000000000006441020102000000c201',
      `350107 36040a610001 0c0463706532 3c08706565722d637065 ${option82} ff`,
    ),
  decline: () =>
    packetOf(
      '010106013484aa05000000000000000000000000000000006441020102000000c201',
      `350104 36040a610001 32046441020a ${option82} ff`,
    ),
  inform: () =>
    packetOf('010106013484aa06000000006441020a00000000000000006441020102000000c201', `350108 ${option82} ff`),
  offer: () =>
    packetOf(
      '0201060116df0a2800000000000000006441020a000000006441020102000000c201',
      `350102 36040a610001 330400000014 ${option82} ff`,
    ),
  nak: () =>
    packetOf(
      '0201060116df0a28000000000000000000000000000000006441020102000000c201',
      `350106 36040a610001 ${option82} ff`,
    ),
  /** What ISC dhcpd was asked about 100.65.3.77, and what it said. */
  leaseQuery: () =>
    packetOf('01000000c41361e9000000006441034d00000000000000000a610902', '35010a 3708333a3b3d525b5c3c ff'),
  leaseActive: () =>
    packetOf(
      '02010600c41361e9000000006441034d00000000000000000a61090202000000c301',
      '35010d 36040a610901 330400000014 3a040000000a 3b0400000011 5b0400000000 3c08706565722d637065 5216010c6f6c74392f302f312f313a3502060200000077cc ff',
    ),
  leaseUnassigned: () => packetOf('02000000bcf86b2a000000006441019600000000000000000a610902', '35010b 36040a610901 ff'),
  /** Everything that a packet can be: overloaded, split, padded, with every sub-option of option 82. */
  intricate: () =>
    packetOf(
      '0101060116df0a28000000000000000000000000000000006441020102000000c202',
      '00 350103 340103 000000 5206 010361626302 5207 06020000007788 32046441020b ff 0000',
      // sname, then file.
      `${'0a04c0000201ff'.padEnd(64 * 2, '0')} 5229 050464401400 0a0180 0b04c0000205 97020170 9800 090a0000118b050102030405 0706580661626364 ff`,
    ),
} as const;

/** The packet in a datagram that has one. @throws Error when it has none */
export function decoded(datagram: Buffer): DhcpPacket {
  const result = decodePacket(datagram);
  if (!result.ok) throw new Error(`no packet: ${result.reason}`);
  return result.packet;
}
