// Reads UDP datagrams from capture files.
// In: the octets of a pcap or pcapng file. Out: datagrams with their times, addresses and ports, in order, and what was left out.
// Invariant: every frame is a datagram or counted with a reason; a file that ends in the middle of a record gives what came
// before it; nothing but `PcapError` is thrown, for a file that is no capture.

import { formatIpv4, formatIpv6 } from '../radius/address-text.js';

/** One datagram. */
export interface CapturedDatagram {
  /** When it was captured, ms since 1970. */
  readonly atMs: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

/** The file is no capture. */
export class PcapError extends Error {
  override readonly name = 'PcapError';
}

/** A frame as captured. */
interface Frame {
  readonly atMs: number;
  readonly linkType: number;
  readonly octets: Buffer;
}

const fileHeaderOctets = 24;
const recordHeaderOctets = 16;

/** First four octets, read big-endian: pcap with microseconds or nanoseconds, either byte order; a pcapng section. */
const magic = {
  micro: 0xa1b2c3d4,
  microSwapped: 0xd4c3b2a1,
  nano: 0xa1b23c4d,
  nanoSwapped: 0x4d3cb2a1,
  section: 0x0a0d0d0a,
} as const;

/** Whether the octets begin like a pcap or pcapng file. */
export function looksLikeCapture(file: Buffer): boolean {
  return file.length >= fileHeaderOctets && Object.values<number>(magic).includes(file.readUInt32BE(0));
}

/** Why a frame is no datagram. */
export type LeftOut = 'link-type' | 'not-udp' | 'fragment' | 'cut' | 'file-cut' | 'simple-packet';

/** What is in a capture. */
export interface Capture {
  readonly datagrams: readonly CapturedDatagram[];
  readonly leftOut: ReadonlyMap<LeftOut, number>;
}

/**
 * All UDP datagrams of a capture with link type null, Ethernet (VLAN tags included), raw IP or Linux cooked (1 and 2).
 *
 * @throws PcapError when the file is neither pcap nor pcapng
 */
export function readCapture(file: Buffer): Capture {
  if (!looksLikeCapture(file)) throw new PcapError('not a capture file');
  const frames = file.readUInt32BE(0) === magic.section ? pcapngFrames(file) : pcapFrames(file);
  const datagrams: CapturedDatagram[] = [];
  const leftOut = new Map<LeftOut, number>();
  for (const frame of frames) {
    const read = typeof frame === 'string' ? frame : datagramOf(frame);
    if (typeof read === 'string') leftOut.set(read, (leftOut.get(read) ?? 0) + 1);
    else datagrams.push(read);
  }
  return { datagrams, leftOut };
}

/** The datagram in an Ethernet frame or an IP packet, as a dump of one shows it; undefined when there is none. */
export function datagramIn(octets: Buffer): Datagram | undefined {
  for (const linkType of [linkTypes.ethernet, linkTypes.raw]) {
    const read = readIp(networkLayer(octets, linkType) ?? Buffer.alloc(0));
    if (typeof read !== 'string') return read;
  }
  return undefined;
}

function datagramOf({ atMs, linkType, octets }: Frame): CapturedDatagram | LeftOut {
  const packet = networkLayer(octets, linkType);
  if (packet === undefined) return 'link-type';
  const read = readIp(packet);
  return typeof read === 'string' ? read : { atMs, ...read };
}

function* pcapFrames(file: Buffer): Generator<Frame | LeftOut> {
  const first = file.readUInt32BE(0);
  const little = first === magic.microSwapped || first === magic.nanoSwapped;
  const perMs = first === magic.nano || first === magic.nanoSwapped ? 1e6 : 1e3;
  const uint32 = reader(file, little);
  const linkType = uint32(20) & 0xffff;
  let offset = fileHeaderOctets;
  while (offset + recordHeaderOctets <= file.length) {
    const octets = uint32(offset + 8);
    const start = offset + recordHeaderOctets;
    if (start + octets > file.length) return yield 'file-cut';
    const atMs = uint32(offset) * 1000 + Math.floor(uint32(offset + 4) / perMs);
    yield { atMs, linkType, octets: file.subarray(start, start + octets) };
    offset = start + octets;
  }
  if (offset < file.length) yield 'file-cut';
}

/** An interface of a pcapng section. */
interface CaptureInterface {
  readonly linkType: number;
  readonly unitsPerSecond: number;
}

const blockType = { interface: 1, simplePacket: 3, enhancedPacket: 6 } as const;
const littleByteOrder = 0x4d3c2b1a;

/** Frames of enhanced packet blocks; a simple packet block has no time and no interface, and nobody writes it. */
function* pcapngFrames(file: Buffer): Generator<Frame | LeftOut> {
  let little = false;
  let interfaces: CaptureInterface[] = [];
  let offset = 0;
  while (offset + 12 <= file.length) {
    if (file.readUInt32BE(offset) === magic.section) {
      little = file.readUInt32BE(offset + 8) === littleByteOrder;
      interfaces = [];
    }
    const uint32 = reader(file, little);
    const octets = uint32(offset + 4);
    if (octets < 12 || octets % 4 !== 0 || offset + octets > file.length) return yield 'file-cut';
    const type = uint32(offset);
    if (type === blockType.simplePacket) yield 'simple-packet';
    const end = offset + octets - 4;
    if (type === blockType.interface && octets >= 20) {
      const linkType = little ? file.readUInt16LE(offset + 8) : file.readUInt16BE(offset + 8);
      interfaces.push({ linkType, unitsPerSecond: resolutionOf(file.subarray(offset + 16, end), little) });
    }
    const length = type === blockType.enhancedPacket && octets >= 32 ? uint32(offset + 20) : undefined;
    const from = type === blockType.enhancedPacket && octets >= 32 ? interfaces[uint32(offset + 8)] : undefined;
    if (length !== undefined && from !== undefined && offset + 28 + length <= end) {
      const units = uint32(offset + 12) * 2 ** 32 + uint32(offset + 16);
      const atMs = Math.floor((units / from.unitsPerSecond) * 1000);
      yield { atMs, linkType: from.linkType, octets: file.subarray(offset + 28, offset + 28 + length) };
    }
    offset += octets;
  }
  if (offset < file.length) yield 'file-cut';
}

/** The option if_tsresol (9): a power of ten, or of two with the highest bit; microseconds without it. */
function resolutionOf(options: Buffer, little: boolean): number {
  const uint16 = (at: number): number => (little ? options.readUInt16LE(at) : options.readUInt16BE(at));
  for (let at = 0; at + 4 <= options.length;) {
    const code = uint16(at);
    const octets = uint16(at + 2);
    if (code === 0) break;
    const value = options[at + 4];
    if (code === 9 && octets === 1 && value !== undefined)
      return (value & 0x80) === 0 ? 10 ** value : 2 ** (value & 0x7f);
    at += 4 + Math.ceil(octets / 4) * 4;
  }
  return 1e6;
}

function reader(file: Buffer, little: boolean): (offset: number) => number {
  return (offset) => (little ? file.readUInt32LE(offset) : file.readUInt32BE(offset));
}

/** LINKTYPE_ values of pcap files. */
const linkTypes = {
  null: 0,
  ethernet: 1,
  rawOld: 12,
  raw: 101,
  cooked: 113,
  ipv4: 228,
  ipv6: 229,
  cooked2: 276,
} as const;

/** @returns undefined for a link type that is not known */
function networkLayer(frame: Buffer, linkType: number): Buffer | undefined {
  switch (linkType) {
    case linkTypes.null:
      return frame.subarray(4);
    case linkTypes.ethernet: {
      let offset = 12;
      while (frame.length >= offset + 4 && [0x8100, 0x88a8].includes(frame.readUInt16BE(offset))) offset += 4;
      return frame.subarray(offset + 2);
    }
    case linkTypes.cooked:
      return frame.subarray(16);
    case linkTypes.cooked2:
      return frame.subarray(20);
    case linkTypes.raw:
    case linkTypes.rawOld:
    case linkTypes.ipv4:
    case linkTypes.ipv6:
      return frame;
    default:
      return undefined;
  }
}

type Datagram = Omit<CapturedDatagram, 'atMs'>;

/** RFC 791 §3.1 and RFC 8200 §3; extension headers of IPv6 are not followed. */
function readIp(packet: Buffer): Datagram | 'not-udp' | 'fragment' | 'cut' {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4 && packet[9] === 17) {
    if (packet.length < 28) return 'cut';
    // More fragments, or not the first one.
    if ((packet.readUInt16BE(6) & 0x3fff) !== 0) return 'fragment';
    return readUdp(packet.subarray((packet[0]! & 0x0f) * 4), formatIpv4(packet, 12), formatIpv4(packet, 16));
  }
  if (version === 6 && packet[6] === 17) {
    if (packet.length < 48) return 'cut';
    return readUdp(packet.subarray(40), formatIpv6(packet, 8), formatIpv6(packet, 24));
  }
  // 44: a fragment header (RFC 8200 §4.5).
  return version === 6 && packet[6] === 44 ? 'fragment' : 'not-udp';
}

function readUdp(segment: Buffer, source: string, destination: string): Datagram | 'cut' {
  if (segment.length < 8) return 'cut';
  const octets = segment.readUInt16BE(4);
  if (octets < 8 || octets > segment.length) return 'cut';
  return {
    source,
    sourcePort: segment.readUInt16BE(0),
    destination,
    destinationPort: segment.readUInt16BE(2),
    payload: segment.subarray(8, octets),
  };
}
