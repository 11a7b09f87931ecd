// Reads UDP datagrams from capture files.
// In: the octets of a pcap file. Out: datagrams with their addresses and ports, in order.
// Invariant: what is not UDP over IPv4 or IPv6, a fragment, or cut short is left out; a file that is no pcap throws.

import { formatIpv4, formatIpv6 } from '../../src/radius/address-text.js';

/** One datagram. */
export interface CapturedDatagram {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

const fileHeaderOctets = 24;
const recordHeaderOctets = 16;

/** All UDP datagrams of a capture with link type null, Ethernet (VLAN tags included), raw IP or Linux cooked. */
export function readPcap(file: Buffer): CapturedDatagram[] {
  const magic = file.readUInt32LE(0);
  const little = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  if (!little && file.readUInt32BE(0) !== 0xa1b2c3d4) throw new Error('not a pcap file');
  const uint32 = (offset: number): number => (little ? file.readUInt32LE(offset) : file.readUInt32BE(offset));
  const linkType = uint32(20);
  const datagrams: CapturedDatagram[] = [];
  for (let offset = fileHeaderOctets; offset + recordHeaderOctets <= file.length;) {
    const octets = uint32(offset + 8);
    const frame = file.subarray(offset + recordHeaderOctets, offset + recordHeaderOctets + octets);
    const datagram = readIp(networkLayer(frame, linkType));
    if (datagram !== undefined) datagrams.push(datagram);
    offset += recordHeaderOctets + octets;
  }
  return datagrams;
}

function networkLayer(frame: Buffer, linkType: number): Buffer {
  switch (linkType) {
    case 0:
      return frame.subarray(4);
    case 1: {
      let offset = 12;
      while (frame.length >= offset + 4 && [0x8100, 0x88a8].includes(frame.readUInt16BE(offset))) offset += 4;
      return frame.subarray(offset + 2);
    }
    case 113:
      return frame.subarray(16);
    default:
      return frame;
  }
}

function readIp(packet: Buffer): CapturedDatagram | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4 && packet.length >= 28 && packet[9] === 17 && (packet.readUInt16BE(6) & 0x3fff) === 0)
    return readUdp(packet.subarray((packet[0]! & 0x0f) * 4), formatIpv4(packet, 12), formatIpv4(packet, 16));
  if (version === 6 && packet.length >= 48 && packet[6] === 17)
    return readUdp(packet.subarray(40), formatIpv6(packet, 8), formatIpv6(packet, 24));
  return undefined;
}

function readUdp(segment: Buffer, source: string, destination: string): CapturedDatagram | undefined {
  if (segment.length < 8) return undefined;
  const octets = segment.readUInt16BE(4);
  if (octets < 8 || octets > segment.length) return undefined;
  return {
    source,
    sourcePort: segment.readUInt16BE(0),
    destination,
    destinationPort: segment.readUInt16BE(2),
    payload: segment.subarray(8, octets),
  };
}
