// A received RADIUS packet: structure checked once, values read in place.
// In: a datagram. Out: a Packet over the same octets, or the reason why it is none.
// Invariant: after parsing, the attribute chain from octet 20 to `length` is whole, so no reader can leave it; nothing here
// throws for any content; octets after `length` are padding and never looked at.

import { isUtf8 } from 'node:buffer';
import { addressText, ipv6PrefixText } from './address-text.js';
import { Attribute } from './attribute-number.js';
import { standardVendorFormat, vendorSubAttributes, type VendorFormat } from './vendor-format.js';

/** Octets before the first attribute (RFC 2865 §3). */
export const headerOctets = 20;
/** The longest packet (RFC 2865 §3), octets. */
export const maxPacketOctets = 4096;
/** Octets of a Message-Authenticator attribute, header included (RFC 3579 §3.2). */
export const messageAuthenticatorOctets = 18;
/** Octets of a Request or Response Authenticator (RFC 2865 §3). */
export const authenticatorOctets = 16;

/** Why a datagram is not a packet; the drop counter's label. */
export type PacketFault =
  | 'too-short'
  | 'length-too-small'
  | 'length-mismatch'
  | 'too-long'
  | 'attribute-length'
  | 'vendor-length'
  | 'message-authenticator-length'
  | 'message-authenticator-repeated';

/** Result of `parsePacket`. */
export type PacketResult =
  { readonly ok: true; readonly packet: Packet } | { readonly ok: false; readonly reason: PacketFault };

const faults: { readonly [Reason in PacketFault]: PacketResult } = {
  'too-short': { ok: false, reason: 'too-short' },
  'length-too-small': { ok: false, reason: 'length-too-small' },
  'length-mismatch': { ok: false, reason: 'length-mismatch' },
  'too-long': { ok: false, reason: 'too-long' },
  'attribute-length': { ok: false, reason: 'attribute-length' },
  'vendor-length': { ok: false, reason: 'vendor-length' },
  'message-authenticator-length': { ok: false, reason: 'message-authenticator-length' },
  'message-authenticator-repeated': { ok: false, reason: 'message-authenticator-repeated' },
};

/**
 * Checks the structure of a datagram (RFC 2865 §3 and §5; RFC 3579 §3.2 for Message-Authenticator) in one walk.
 * The packet keeps a reference to `datagram`, which the caller must not change while the packet is in use.
 * What a Vendor-Specific attribute carries is its vendor's business: only the vendor number must be there.
 */
export function parsePacket(datagram: Buffer): PacketResult {
  if (datagram.length < headerOctets) return faults['too-short'];
  const length = (datagram[2]! << 8) | datagram[3]!;
  if (length < headerOctets) return faults['length-too-small'];
  if (length > maxPacketOctets) return faults['too-long'];
  if (length > datagram.length) return faults['length-mismatch'];
  let messageAuthenticatorOffset = -1;
  let proxyStateOctets = 0;
  let carriesEap = false;
  let offset = headerOctets;
  while (offset < length) {
    if (offset + 2 > length) return faults['attribute-length'];
    const attributeOctets = datagram[offset + 1]!;
    if (attributeOctets < 2 || offset + attributeOctets > length) return faults['attribute-length'];
    switch (datagram[offset]!) {
      case Attribute.vendorSpecific:
        if (attributeOctets < 6) return faults['vendor-length'];
        break;
      case Attribute.messageAuthenticator:
        if (attributeOctets !== messageAuthenticatorOctets) return faults['message-authenticator-length'];
        if (messageAuthenticatorOffset >= 0) return faults['message-authenticator-repeated'];
        messageAuthenticatorOffset = offset;
        break;
      case Attribute.proxyState:
        proxyStateOctets += attributeOctets;
        break;
      case Attribute.eapMessage:
        carriesEap = true;
        break;
    }
    offset += attributeOctets;
  }
  return { ok: true, packet: new Packet(datagram, length, messageAuthenticatorOffset, proxyStateOctets, carriesEap) };
}

/**
 * A packet whose structure holds. Values are found by walking the chain: a walk over the thirty attributes of a real packet
 * costs less than building an index of them, and nothing is allocated for attributes that nobody asks for.
 */
export class Packet {
  /** The packet code, see `Code`. */
  readonly code: number;
  /** The header octet that matches a reply to its request. */
  readonly identifier: number;
  /** The 16-octet authenticator field, a view: one, because passwords and signatures ask for it several times. */
  readonly authenticator: Buffer;

  /** Made by `parsePacket` only, which has checked what this class relies on. */
  constructor(
    /** The datagram, padding included. */
    readonly bytes: Buffer,
    /** Octets of the packet proper: the Length field. */
    readonly length: number,
    /** Where the Message-Authenticator attribute starts, or -1. */
    readonly messageAuthenticatorOffset: number,
    /** Octets of all Proxy-State attributes together, headers included. */
    readonly proxyStateOctets: number,
    /** Whether there is an EAP-Message, which must not come without a Message-Authenticator (RFC 3579 §3.1). */
    readonly carriesEap: boolean,
  ) {
    this.code = bytes[0]!;
    this.identifier = bytes[1]!;
    this.authenticator = bytes.subarray(4, headerOctets);
  }

  /**
   * Where the next attribute of a type starts (its type octet), or -1.
   * @param from the start of an attribute: `headerOctets`, or `next(offset)` of an earlier answer
   */
  indexOf(type: number, from: number = headerOctets): number {
    const { bytes, length } = this;
    for (let offset = from; offset < length; offset += bytes[offset + 1]!) if (bytes[offset] === type) return offset;
    return -1;
  }

  /** The start of the attribute after the one at `offset`. */
  next(offset: number): number {
    return offset + this.bytes[offset + 1]!;
  }

  /** Whether an attribute of this type is present. */
  has(type: number): boolean {
    return this.indexOf(type) >= 0;
  }

  /** The value of the first attribute of a type, a view, or undefined. */
  first(type: number): Buffer | undefined {
    const offset = this.indexOf(type);
    return offset < 0 ? undefined : this.bytes.subarray(offset + 2, this.next(offset));
  }

  /** The values of all attributes of a type in packet order, views. */
  all(type: number): Buffer[] {
    const values: Buffer[] = [];
    for (let offset = this.indexOf(type); offset >= 0; offset = this.indexOf(type, this.next(offset)))
      values.push(this.bytes.subarray(offset + 2, this.next(offset)));
    return values;
  }

  /** The first attribute of a type as text, see `attributeText`. */
  text(type: number): string | undefined {
    const offset = this.indexOf(type);
    return offset < 0 ? undefined : attributeText(this.bytes, offset + 2, this.next(offset));
  }

  /** The first attribute of a type as an unsigned 32-bit number; undefined when absent or not of 4 octets. */
  uint32(type: number): number | undefined {
    const offset = this.indexOf(type);
    return offset < 0 || this.bytes[offset + 1] !== 6 ? undefined : readUint32(this.bytes, offset + 2);
  }

  /** The first attribute of a type as IPv4 or IPv6 text; undefined when absent or of neither 4 nor 16 octets. */
  address(type: number): string | undefined {
    const offset = this.indexOf(type);
    return offset < 0 ? undefined : addressText(this.bytes, offset + 2, this.bytes[offset + 1]! - 2);
  }

  /** The first attribute of a type as `prefix/length` (RFC 3162 §2.3); undefined when absent or malformed. */
  ipv6Prefix(type: number): string | undefined {
    const value = this.first(type);
    return value === undefined ? undefined : ipv6PrefixText(value);
  }

  /**
   * The value of the first attribute of a vendor, a view, or undefined (RFC 2865 §5.26).
   * @param format how this vendor writes its attributes; `Dictionary.vendorFormat` knows
   */
  vendorFirst(vendor: number, type: number, format: VendorFormat = standardVendorFormat): Buffer | undefined {
    for (let at = this.indexOf(Attribute.vendorSpecific); at >= 0; at = this.#nextVendorSpecific(at)) {
      if (readUint32(this.bytes, at + 2) !== vendor) continue;
      const found = vendorSubAttributes(this.bytes, at + 6, this.next(at), format, type, undefined);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The values of all attributes of a vendor and type in packet order, views. */
  vendorAll(vendor: number, type: number, format: VendorFormat = standardVendorFormat): Buffer[] {
    const values: Buffer[] = [];
    for (let at = this.indexOf(Attribute.vendorSpecific); at >= 0; at = this.#nextVendorSpecific(at))
      if (readUint32(this.bytes, at + 2) === vendor)
        vendorSubAttributes(this.bytes, at + 6, this.next(at), format, type, values);
    return values;
  }

  /** The first attribute of a vendor and type as text, see `attributeText`. */
  vendorText(vendor: number, type: number, format: VendorFormat = standardVendorFormat): string | undefined {
    const value = this.vendorFirst(vendor, type, format);
    return value === undefined ? undefined : attributeText(value, 0, value.length);
  }

  /** The first attribute of a vendor and type as an unsigned number of 4 octets, or undefined. */
  vendorUint32(vendor: number, type: number, format: VendorFormat = standardVendorFormat): number | undefined {
    const value = this.vendorFirst(vendor, type, format);
    return value?.length === 4 ? readUint32(value, 0) : undefined;
  }

  #nextVendorSpecific(offset: number): number {
    return this.indexOf(Attribute.vendorSpecific, this.next(offset));
  }
}

/** Big-endian unsigned 32-bit number at an offset that the caller has checked. */
export function readUint32(bytes: Buffer, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}

/**
 * A `text` value for identity, storage and logs. UTF-8 (RFC 2865 §5) where it is valid; otherwise every octet becomes the
 * character of that number, so that two different values never become the same text as they would with replacement
 * characters. Trailing NULs, which some NASes send, are cut; others become U+FFFD, for PostgreSQL text holds no NUL.
 */
export function attributeText(bytes: Buffer, start: number, end: number): string {
  let last = end;
  while (last > start && bytes[last - 1] === 0) last--;
  let plain = true;
  let hasNul = false;
  for (let offset = start; offset < last; offset++) {
    const octet = bytes[offset]!;
    if (octet > 0x7f) plain = false;
    if (octet === 0) hasNul = true;
  }
  const text =
    plain || !isUtf8(bytes.subarray(start, last))
      ? bytes.toString('latin1', start, last)
      : bytes.toString('utf8', start, last);
  return hasNul ? text.replaceAll('\0', '\ufffd') : text;
}
