/**
 * A DHCPv4 packet, decoded. Enters: a datagram. Leaves: header fields and whole option values, or the reason why it is none. Invariants: no
 * option is read past the end of its field; nothing throws for any content; values are views of the datagram, which must not change while
 * they are in use; the work is linear in the length of the datagram.
 */
import { formatIpv4Address } from '../domain/ipv4-address.js';
import { parseMacAddress, ZERO_MAC_ADDRESS } from '../domain/mac-address.js';
import { ethernet, ethernetOctets, Op, Option } from './packet-number.js';

/** Octets of the fixed part: everything before the magic cookie (RFC 2131 §2). */
export const headerOctets = 236;
/** What makes the vendor field of BOOTP the options of DHCP (RFC 2131 §3). */
export const magicCookie = 0x63_82_53_63;
/** chaddr (RFC 2131 §2). */
export const maxHardwareAddressOctets = 16;
/** Clients and relays send at most 1,500; beyond this somebody wants to keep us busy. */
export const maxPacketOctets = 4_096;

const snameStart = 44;
const fileStart = 108;

/** Why a datagram is no DHCP packet. */
export type PacketFault =
  | 'too-short'
  | 'too-long'
  /** Neither BOOTREQUEST nor BOOTREPLY. */
  | 'op'
  | 'hardware-address-length'
  /** BOOTP (RFC 951): no magic cookie, so what follows are no options. */
  | 'bootp'
  /** An option that says to be longer than what is left of its field. */
  | 'option-overrun'
  /** An option of fixed length that has another one, or stands there twice (RFC 3396 §7 makes one of the two). */
  | 'option-length'
  /** Option 52 with a value that RFC 2132 §9.3 does not know. */
  | 'overload'
  /** RFC 2131 §3: every DHCP message has option 53. */
  | 'no-message-type';

/** A packet whose structure holds. Addresses are unsigned 32-bit numbers. */
export interface DhcpPacket {
  readonly op: number;
  readonly htype: number;
  readonly hops: number;
  readonly xid: number;
  readonly secs: number;
  readonly flags: number;
  readonly ciaddr: number;
  readonly yiaddr: number;
  readonly siaddr: number;
  readonly giaddr: number;
  /** hlen octets. */
  readonly chaddr: Buffer;
  /** Option 53. */
  readonly messageType: number;
  /** Every option but pad and end, joined where it was split or repeated (RFC 3396). */
  readonly options: ReadonlyMap<number, Buffer>;
}

export type PacketResult =
  { readonly ok: true; readonly packet: DhcpPacket } | { readonly ok: false; readonly reason: PacketFault };

/**
 * Options that are believed here, or that say how to read others, and whose length the standard fixes. What nobody reads is not judged: a
 * device with a wrong option of its own still gets its lease noticed.
 */
const fixedOctets: readonly (readonly [option: number, octets: number])[] = [
  [Option.subnetMask, 4],
  [Option.broadcastAddress, 4],
  [Option.requestedAddress, 4],
  [Option.leaseTime, 4],
  [Option.overload, 1],
  [Option.messageType, 1],
  [Option.serverIdentifier, 4],
  [Option.clientLastTransactionTime, 4],
];

/**
 * Decodes a datagram (RFC 2131 §2, RFC 2132, RFC 3396). What follows the end option is padding, and an option field without one ends where it
 * ends, as some relays send it.
 */
export function decodePacket(datagram: Buffer): PacketResult {
  if (datagram.length < headerOctets) return fault('too-short');
  if (datagram.length > maxPacketOctets) return fault('too-long');
  const op = datagram[0]!;
  if (op !== Op.request && op !== Op.reply) return fault('op');
  const hlen = datagram[2]!;
  if (hlen > maxHardwareAddressOctets) return fault('hardware-address-length');
  if (datagram.length < headerOctets + 4 || datagram.readUInt32BE(headerOctets) !== magicCookie) return fault('bootp');
  const options = readOptions(datagram);
  if (typeof options === 'string') return fault(options);
  const messageType = options.get(Option.messageType)?.[0];
  if (messageType === undefined) return fault('no-message-type');
  return {
    ok: true,
    packet: {
      op,
      htype: datagram[1]!,
      hops: datagram[3]!,
      xid: datagram.readUInt32BE(4),
      secs: datagram.readUInt16BE(8),
      flags: datagram.readUInt16BE(10),
      ciaddr: datagram.readUInt32BE(12),
      yiaddr: datagram.readUInt32BE(16),
      siaddr: datagram.readUInt32BE(20),
      giaddr: datagram.readUInt32BE(24),
      chaddr: datagram.subarray(28, 28 + hlen),
      messageType,
      options,
    },
  };
}

/** The client's MAC address, canonical; null when chaddr holds none (another hardware type, or zeros). */
export function macOf({ htype, chaddr }: DhcpPacket): string | null {
  if (htype !== ethernet || chaddr.length !== ethernetOctets) return null;
  const mac = parseMacAddress(chaddr.toString('hex')) ?? ZERO_MAC_ADDRESS;
  return mac === ZERO_MAC_ADDRESS ? null : mac;
}

/** An option of four octets as a number, or undefined when it is absent or not of four octets. */
export function uint32Option({ options }: DhcpPacket, option: number): number | undefined {
  const value = options.get(option);
  return value?.length === 4 ? value.readUInt32BE(0) : undefined;
}

/**
 * An address that one client can have, dotted; undefined for the unspecified, loopback, multicast and broadcast addresses (RFC 6890), which
 * would name nobody or everybody.
 */
export function hostAddress(address: number | undefined): string | undefined {
  if (address === undefined) return undefined;
  const net = address >>> 24;
  return net === 0 || net === 127 || net > 223 ? undefined : formatIpv4Address(address);
}

function fault(reason: PacketFault): PacketResult {
  return { ok: false, reason };
}

/** All options in the order that RFC 3396 §5 joins them in: the options field, then file, then sname. */
function readOptions(datagram: Buffer): ReadonlyMap<number, Buffer> | PacketFault {
  const found = new FoundOptions(datagram);
  if (!found.read(headerOctets + 4, datagram.length)) return 'option-overrun';
  const overload = found.first(Option.overload);
  if (overload !== undefined) {
    if (overload.length !== 1) return 'option-length';
    const fields = overload[0]!;
    if (fields < 1 || fields > 3) return 'overload';
    if ((fields & 1) !== 0 && !found.read(fileStart, headerOctets)) return 'option-overrun';
    if ((fields & 2) !== 0 && !found.read(snameStart, fileStart)) return 'option-overrun';
  }
  const options = found.joined();
  for (const [option, octets] of fixedOctets) {
    const value = options.get(option);
    if (value !== undefined && value.length !== octets) return 'option-length';
  }
  return options;
}

/** Pieces of options as they are met; nearly always there is one of each. */
class FoundOptions {
  readonly #values = new Map<number, Buffer>();
  #repeated: Map<number, Buffer[]> | undefined;

  constructor(private readonly datagram: Buffer) {}

  first(option: number): Buffer | undefined {
    return this.#values.get(option);
  }

  /** @returns false when an option says to be longer than the field */
  read(start: number, end: number): boolean {
    const { datagram } = this;
    for (let at = start; at < end;) {
      const option = datagram[at]!;
      if (option === Option.end) return true;
      if (option === Option.pad) {
        at++;
        continue;
      }
      const next = at + 1 < end ? at + 2 + datagram[at + 1]! : end + 1;
      if (next > end) return false;
      this.#add(option, datagram.subarray(at + 2, next));
      at = next;
    }
    return true;
  }

  joined(): ReadonlyMap<number, Buffer> {
    for (const [option, pieces] of this.#repeated ?? []) this.#values.set(option, Buffer.concat(pieces));
    return this.#values;
  }

  #add(option: number, piece: Buffer): void {
    const before = this.#values.get(option);
    if (before === undefined) {
      this.#values.set(option, piece);
      return;
    }
    this.#repeated ??= new Map();
    const pieces = this.#repeated.get(option);
    if (pieces === undefined) this.#repeated.set(option, [before, piece]);
    else pieces.push(piece);
  }
}
