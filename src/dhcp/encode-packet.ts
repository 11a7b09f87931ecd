/**
 * Writes a DHCPv4 packet. Enters: header fields and option values. Leaves: a datagram that `decodePacket` reads back to the same. Invariants:
 * a value of more than 255 octets is split (RFC 3396 §6); the end option is there, and the packet is never shorter than BOOTP allows.
 */
import { headerOctets, magicCookie, maxHardwareAddressOctets, type DhcpPacket } from './packet.js';
import { Option } from './packet-number.js';

/** The shortest BOOTP message (RFC 1542 §2.1); some relays and servers drop shorter ones. */
const leastOctets = 300;
/** RFC 3396 §6: what does not fit in one option goes on in the next one of the same number. */
const maxPieceOctets = 255;

/** Fields of the header; those that are left out are zero. */
export type PacketHeader = Pick<DhcpPacket, 'op' | 'xid'> & Partial<Omit<DhcpPacket, 'options' | 'messageType'>>;

/**
 * @param options numbers and values in the order in which they are written; an option that comes twice is joined by its reader
 * @throws RangeError when a field does not fit: more than 16 octets of hardware address, or an option numbered 0 or 255
 */
export function encodePacket(
  header: PacketHeader,
  options: Iterable<readonly [option: number, value: Uint8Array]>,
): Buffer {
  const { chaddr = Buffer.alloc(0) } = header;
  if (chaddr.length > maxHardwareAddressOctets) throw new RangeError('a hardware address has at most 16 octets');
  const fixed = Buffer.alloc(headerOctets + 4);
  fixed[0] = header.op;
  fixed[1] = header.htype ?? 0;
  fixed[2] = chaddr.length;
  fixed[3] = header.hops ?? 0;
  fixed.writeUInt32BE(header.xid, 4);
  fixed.writeUInt16BE(header.secs ?? 0, 8);
  fixed.writeUInt16BE(header.flags ?? 0, 10);
  fixed.writeUInt32BE(header.ciaddr ?? 0, 12);
  fixed.writeUInt32BE(header.yiaddr ?? 0, 16);
  fixed.writeUInt32BE(header.siaddr ?? 0, 20);
  fixed.writeUInt32BE(header.giaddr ?? 0, 24);
  fixed.set(chaddr, 28);
  fixed.writeUInt32BE(magicCookie, headerOctets);
  const pieces: Uint8Array[] = [fixed];
  for (const [option, value] of options) pieces.push(...encodeOption(option, value));
  pieces.push(Buffer.of(Option.end));
  const packet = Buffer.concat(pieces);
  return packet.length >= leastOctets ? packet : Buffer.concat([packet], leastOctets);
}

/** An address, or any unsigned number of 32 bits, as the value of an option. */
export function uint32Value(value: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
}

function* encodeOption(option: number, value: Uint8Array): Generator<Uint8Array> {
  if (!(option > Option.pad && option < Option.end)) throw new RangeError(`no option has the number ${String(option)}`);
  let start = 0;
  do {
    const piece = value.subarray(start, start + maxPieceOctets);
    yield Buffer.of(option, piece.length);
    yield piece;
    start += maxPieceOctets;
  } while (start < value.length);
}
