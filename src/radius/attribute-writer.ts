// Writes attributes into a growing packet.
// In: numbers, text, octets. Out: type-length-value octets after a 20-octet header.
// Invariant: the packet never exceeds 4096 octets and no attribute exceeds 255; what would is a typed error and leaves the
// packet as it was.

import { parseIpv4, parseIpv6 } from './address-text.js';
import { Attribute } from './attribute-number.js';
import { headerOctets, maxPacketOctets, messageAuthenticatorOctets } from './packet.js';
import { standardVendorFormat, vendorHeaderOctets, type VendorFormat } from './vendor-format.js';

/** The longest value of one attribute, octets (RFC 2865 §5). */
export const maxValueOctets = 253;

/** Room a packet starts with: nearly every reply fits, and growing doubles it. */
const initialOctets = 256;

/** An attribute or packet that the protocol has no room for. */
export class PacketBuildError extends Error {
  override readonly name = 'PacketBuildError';
  constructor(
    readonly reason: 'packet-too-long' | 'value-too-long' | 'value-invalid' | 'finished',
    message: string,
  ) {
    super(message);
  }
}

/** The part that replies and requests share. */
export class AttributeWriter {
  #bytes: Buffer;
  #length = headerOctets;
  #finished = false;
  #messageAuthenticatorOffset = -1;

  constructor(
    readonly code: number,
    readonly identifier: number,
  ) {
    this.#bytes = Buffer.allocUnsafe(initialOctets);
    this.#bytes[0] = code;
    this.#bytes[1] = identifier;
    this.#bytes.fill(0, 4, headerOctets);
  }

  /** Octets so far, header included. */
  get length(): number {
    return this.#length;
  }

  /** Adds an attribute (RFC 2865 §5). Throws PacketBuildError when it does not fit. */
  addOctets(type: number, value: Uint8Array): this {
    this.#open(type, value.length);
    this.#bytes.set(value, this.#length - value.length);
    return this;
  }

  /** Adds UTF-8 text. Throws PacketBuildError when it does not fit. */
  addText(type: number, value: string): this {
    const octets = Buffer.byteLength(value, 'utf8');
    this.#open(type, octets);
    this.#bytes.write(value, this.#length - octets, 'utf8');
    return this;
  }

  /** Adds an unsigned 32-bit number. Throws PacketBuildError when it is none or does not fit. */
  addUint32(type: number, value: number): this {
    requireUint32(value);
    this.#open(type, 4);
    this.#bytes.writeUInt32BE(value, this.#length - 4);
    return this;
  }

  /** Adds an IPv4 (4 octets) or IPv6 (16 octets) address. Throws PacketBuildError when it is neither or does not fit. */
  addAddress(type: number, value: string): this {
    const octets = parseIpv4(value) ?? parseIpv6(value);
    if (octets === undefined) throw new PacketBuildError('value-invalid', 'not an IP address');
    return this.addOctets(type, octets);
  }

  /**
   * Adds a vendor attribute in a Vendor-Specific of its own (RFC 2865 §5.26).
   * @param format how this vendor writes its attributes
   */
  addVendor(vendor: number, type: number, value: Uint8Array, format: VendorFormat = standardVendorFormat): this {
    this.addEncoded(encodeVendorAttribute(vendor, type, value, format));
    return this;
  }

  /** Adds a vendor attribute with UTF-8 text. */
  addVendorText(vendor: number, type: number, value: string, format: VendorFormat = standardVendorFormat): this {
    return this.addVendor(vendor, type, Buffer.from(value, 'utf8'), format);
  }

  /** Adds a vendor attribute with an unsigned 32-bit number. */
  addVendorUint32(vendor: number, type: number, value: number, format: VendorFormat = standardVendorFormat): this {
    requireUint32(value);
    const octets = Buffer.allocUnsafe(4);
    octets.writeUInt32BE(value);
    return this.addVendor(vendor, type, octets, format);
  }

  /**
   * Adds whole attributes that were encoded before (`encodeAttribute`), one or several in a row.
   * @throws PacketBuildError when they do not fit or are not whole attributes
   */
  addEncoded(attributes: Uint8Array): this {
    for (let offset = 0; offset < attributes.length; offset += attributes[offset + 1]!) {
      const octets = attributes[offset + 1];
      if (octets === undefined || octets < 2 || offset + octets > attributes.length)
        throw new PacketBuildError('value-invalid', 'not a row of whole attributes');
    }
    this.#reserve(attributes.length);
    this.#bytes.set(attributes, this.#length);
    this.#length += attributes.length;
    return this;
  }

  /** Adds a Message-Authenticator whose value signing fills in (RFC 3579 §3.2). A second call does nothing. */
  addMessageAuthenticator(): this {
    if (this.#messageAuthenticatorOffset >= 0) return this;
    const offset = this.#length;
    this.#open(Attribute.messageAuthenticator, messageAuthenticatorOctets - 2);
    this.#bytes.fill(0, offset + 2, this.#length);
    this.#messageAuthenticatorOffset = offset;
    return this;
  }

  /** Ends writing: the packet in a buffer of exactly its size, ready to be signed. */
  protected seal(): { readonly bytes: Buffer; readonly messageAuthenticatorOffset: number } {
    if (this.#finished) throw new PacketBuildError('finished', 'this packet was finished before');
    this.#finished = true;
    this.#bytes.writeUInt16BE(this.#length, 2);
    const bytes = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(bytes, 0, 0, this.#length);
    return { bytes, messageAuthenticatorOffset: this.#messageAuthenticatorOffset };
  }

  #open(type: number, valueOctets: number): void {
    if (valueOctets > maxValueOctets)
      throw new PacketBuildError(
        'value-too-long',
        `attribute ${type}: ${valueOctets} octets, the most is ${maxValueOctets}`,
      );
    this.#reserve(valueOctets + 2);
    this.#bytes[this.#length] = type;
    this.#bytes[this.#length + 1] = valueOctets + 2;
    this.#length += valueOctets + 2;
  }

  #reserve(octets: number): void {
    if (this.#finished) throw new PacketBuildError('finished', 'this packet was finished before');
    const needed = this.#length + octets;
    if (needed > maxPacketOctets)
      throw new PacketBuildError(
        'packet-too-long',
        `the packet would have ${needed} octets, the most is ${maxPacketOctets}`,
      );
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.min(maxPacketOctets, Math.max(needed, this.#bytes.length * 2)));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/**
 * One vendor attribute inside a Vendor-Specific attribute (RFC 2865 §5.26).
 * @returns the whole attribute, type octet 26 included
 * @throws PacketBuildError when it does not fit
 */
export function encodeVendorAttribute(vendor: number, type: number, value: Uint8Array, format: VendorFormat): Buffer {
  const header = vendorHeaderOctets(format);
  const octets = 6 + header + value.length;
  if (octets > 255)
    throw new PacketBuildError(
      'value-too-long',
      `vendor ${vendor} attribute ${type}: ${value.length} octets, the most is ${255 - 6 - header}`,
    );
  if (type >= 256 ** format.typeOctets)
    throw new PacketBuildError('value-invalid', `vendor ${vendor} attribute ${type}: the type does not fit the format`);
  const encoded = Buffer.alloc(octets);
  encoded[0] = Attribute.vendorSpecific;
  encoded[1] = octets;
  encoded.writeUInt32BE(vendor, 2);
  encoded.writeUIntBE(type, 6, format.typeOctets);
  if (format.lengthOctets > 0) encoded.writeUIntBE(header + value.length, 6 + format.typeOctets, format.lengthOctets);
  encoded.set(value, 6 + header);
  return encoded;
}

function requireUint32(value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw new PacketBuildError('value-invalid', 'not an unsigned 32-bit number');
}
