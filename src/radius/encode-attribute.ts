// Attributes by name and value, as profiles and tools write them.
// In: a dictionary, a name, a value. Out: the whole attribute in octets, Vendor-Specific header included.
// Invariant: what is returned is one or more whole attributes; a value that does not fit its type is a typed error that names
// the attribute and never contains the value (it may be a password).

import { randomBytes } from 'node:crypto';
import { parseIpv4, parseIpv6 } from './address-text.js';
import { encodeVendorAttribute, maxValueOctets } from './attribute-writer.js';
import type { Dictionary, DictionaryAttribute } from './dictionary.js';
import type { SharedSecret } from './shared-secret.js';

/** Why a value cannot be encoded. */
export type EncodeFault =
  'unknown-attribute' | 'value-invalid' | 'value-too-long' | 'tag-invalid' | 'secret-needed' | 'type-unsupported';

/** A name or value that cannot be encoded. */
export class EncodeError extends Error {
  override readonly name = 'EncodeError';
  constructor(
    readonly reason: EncodeFault,
    readonly attributeName: string,
    problem: string,
  ) {
    super(`${attributeName}: ${problem}`);
  }
}

/** What encoding may need beside the value. */
export interface EncodeOptions {
  /** 1 to 31 (RFC 2868 §3.1); also as `Name:1`. */
  readonly tag?: number;
  /** For attributes that travel hidden (`encrypt=`). */
  readonly hiding?: {
    readonly secret: SharedSecret;
    /** Of the request that is answered, or of the request being built. */
    readonly requestAuthenticator: Buffer;
    /** Two octets, highest bit set, different for each attribute of a packet; random when not given. */
    readonly salt?: Buffer;
  };
}

/** A value as text, number or octets. Text of a number may be a VALUE name. */
export type AttributeValue = string | number | bigint | Uint8Array;

/**
 * Encodes one attribute.
 * @param name of the dictionary, in any case; `Name:3` sets a tag
 * @returns the attribute, type and length octets included, or several in a row when the dictionary says `concat`
 * @throws EncodeError
 */
export function encodeAttribute(
  dictionary: Dictionary,
  name: string,
  value: AttributeValue,
  options: EncodeOptions = {},
): Buffer {
  const suffix = /^(.+):(\d{1,2})$/.exec(name);
  const attribute = dictionary.attribute(name) ?? dictionary.attribute(suffix?.[1] ?? '');
  if (attribute === undefined) throw new EncodeError('unknown-attribute', name, 'not in the dictionary');
  const tag = options.tag ?? (suffix !== null && suffix[1]!.length < name.length ? Number(suffix[2]) : undefined);
  const plain = encodeValue(dictionary, attribute, value);
  return wrap(dictionary, attribute, addTag(attribute, hide(attribute, plain, options, tag), tag));
}

/**
 * Encodes only the value, without header, tag or hiding.
 * @throws EncodeError
 */
export function encodeValue(dictionary: Dictionary, attribute: DictionaryAttribute, value: AttributeValue): Buffer {
  if (value instanceof Uint8Array) return fixedLength(attribute, Buffer.from(value));
  switch (attribute.type) {
    case 'string':
      return Buffer.from(String(value), 'utf8');
    case 'octets':
    case 'tlv':
    case 'abinary':
      return fixedLength(attribute, octetsOf(attribute, String(value)));
    case 'byte':
      return integerOctets(attribute, numberOf(dictionary, attribute, value), 1, 0n);
    case 'short':
      return integerOctets(attribute, numberOf(dictionary, attribute, value), 2, 0n);
    case 'integer':
      return integerOctets(attribute, numberOf(dictionary, attribute, value), 4, 0n);
    case 'integer64':
      return integerOctets(attribute, numberOf(dictionary, attribute, value), 8, 0n);
    case 'signed':
      return integerOctets(attribute, numberOf(dictionary, attribute, value), 4, -0x8000_0000n);
    case 'date':
      return integerOctets(attribute, secondsOf(attribute, value), 4, 0n);
    case 'ipaddr':
      return parseIpv4(String(value)) ?? invalid(attribute, 'not an IPv4 address');
    case 'ipv6addr':
      return parseIpv6(String(value)) ?? invalid(attribute, 'not an IPv6 address');
    case 'combo-ip':
      return parseIpv4(String(value)) ?? parseIpv6(String(value)) ?? invalid(attribute, 'not an IP address');
    case 'ipv4prefix':
      return prefixOctets(attribute, String(value), 4);
    case 'ipv6prefix':
      return prefixOctets(attribute, String(value), 16);
    case 'ether':
      return groupedHex(
        attribute,
        String(value),
        /^(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{12})$/i,
      );
    case 'ifid':
      return interfaceIdOctets(attribute, String(value));
    default:
      throw new EncodeError('type-unsupported', attribute.name, `values of type ${attribute.type} are not encoded`);
  }
}

function invalid(attribute: DictionaryAttribute, problem: string): never {
  throw new EncodeError('value-invalid', attribute.name, problem);
}

function fixedLength(attribute: DictionaryAttribute, octets: Buffer): Buffer {
  const { type, fixedOctets } = attribute;
  const allowed: readonly number[] | undefined =
    fixedOctets !== undefined
      ? [fixedOctets]
      : {
          ipaddr: [4],
          ipv6addr: [16],
          'combo-ip': [4, 16],
          byte: [1],
          short: [2],
          integer: [4],
          signed: [4],
          date: [4],
          integer64: [8],
          ifid: [8],
          ether: [6],
        }[type as string];
  if (allowed !== undefined && !allowed.includes(octets.length))
    invalid(attribute, `${octets.length} octets where ${allowed.join(' or ')} belong`);
  return octets;
}

function octetsOf(attribute: DictionaryAttribute, text: string): Buffer {
  if (!/^0x/i.test(text)) return Buffer.from(text, 'utf8');
  if (!/^0x(?:[0-9a-f]{2})*$/i.test(text)) invalid(attribute, 'not hexadecimal octets');
  return Buffer.from(text.slice(2), 'hex');
}

function numberOf(dictionary: Dictionary, attribute: DictionaryAttribute, value: string | number | bigint): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number')
    return Number.isInteger(value) ? BigInt(value) : invalid(attribute, 'not a whole number');
  const named = dictionary.valueNumber(attribute, value);
  if (named !== undefined) return BigInt(named);
  if (/^-\d{1,20}$/.test(value)) return BigInt(value);
  if (!/^(?:\d{1,20}|0x[0-9a-f]{1,16})$/i.test(value))
    invalid(attribute, 'neither a number nor a name of the dictionary');
  return BigInt(value);
}

function secondsOf(attribute: DictionaryAttribute, value: string | number | bigint): bigint {
  if (typeof value === 'bigint') return value;
  const seconds = typeof value === 'number' ? value : /^\d+$/.test(value) ? Number(value) : Date.parse(value) / 1000;
  return Number.isFinite(seconds) ? BigInt(Math.floor(seconds)) : invalid(attribute, 'not a time');
}

function integerOctets(attribute: DictionaryAttribute, value: bigint, octets: number, least: bigint): Buffer {
  const bits = BigInt(octets * 8);
  const most = least < 0n ? -least - 1n : (1n << bits) - 1n;
  // The tag takes the first octet of a tagged number (RFC 2868 §3.1).
  const limit = attribute.hasTag && octets === 4 ? 0xff_ffffn : most;
  if (value < least || value > limit) invalid(attribute, `not a number from ${least} to ${limit}`);
  const encoded = Buffer.alloc(octets);
  let rest = BigInt.asUintN(octets * 8, value);
  for (let index = octets - 1; index >= 0; index--, rest >>= 8n) encoded[index] = Number(rest & 0xffn);
  return encoded;
}

// A reserved octet, the length in bits, the address (RFC 3162 §2.3); IPv4 always with all octets (RFC 8044 §3.11).
function prefixOctets(attribute: DictionaryAttribute, text: string, addressOctets: 4 | 16): Buffer {
  const [addressText = '', bitsText = String(addressOctets * 8), ...rest] = text.split('/');
  const address = addressOctets === 4 ? parseIpv4(addressText) : parseIpv6(addressText);
  const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : NaN;
  if (address === undefined || rest.length > 0 || !(bits <= addressOctets * 8))
    invalid(attribute, 'not address/length');
  for (let bit = bits; bit < addressOctets * 8; bit++)
    if ((address[bit >> 3]! & (0x80 >> (bit & 7))) !== 0)
      invalid(attribute, 'bits are set beyond the length of the prefix');
  return Buffer.concat([Buffer.of(0, bits), addressOctets === 4 ? address : address.subarray(0, Math.ceil(bits / 8))]);
}

function groupedHex(attribute: DictionaryAttribute, text: string, shape: RegExp): Buffer {
  return shape.test(text)
    ? Buffer.from(text.replace(/[^0-9a-f]/gi, ''), 'hex')
    : invalid(attribute, 'not a MAC address');
}

// Four groups of up to four hexadecimal digits (RFC 3162 §2.2).
function interfaceIdOctets(attribute: DictionaryAttribute, text: string): Buffer {
  if (!/^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){3}$/i.test(text)) invalid(attribute, 'not an interface identifier');
  return Buffer.from(
    text
      .split(':')
      .map((group) => group.padStart(4, '0'))
      .join(''),
    'hex',
  );
}

function hide(attribute: DictionaryAttribute, plain: Buffer, options: EncodeOptions, tag: number | undefined): Buffer {
  if (attribute.encryption === 0) return plain;
  if (options.hiding === undefined)
    throw new EncodeError('secret-needed', attribute.name, 'this attribute is hidden with the shared secret');
  const { secret, requestAuthenticator } = options.hiding;
  if (attribute.encryption === 3) {
    if (plain.length > 16) tooLong(attribute, plain.length, 16);
    return secret.ascendSecret(plain, requestAuthenticator);
  }
  if (attribute.encryption === 1) {
    if (plain.length > 128) tooLong(attribute, plain.length, 128);
    return secret.hidePassword(plain, requestAuthenticator);
  }
  // A tagged password has one octet less, which costs a whole block (RFC 2868 §3.5).
  const most = attribute.hasTag || tag !== undefined || attribute.vendor !== 0 ? 223 : 239;
  if (plain.length > most) tooLong(attribute, plain.length, most);
  let { salt } = options.hiding;
  if (salt === undefined) {
    salt = randomBytes(2);
    salt[0]! |= 0x80;
  }
  return secret.saltEncrypt(plain, requestAuthenticator, salt);
}

function addTag(attribute: DictionaryAttribute, value: Buffer, tag: number | undefined): Buffer {
  if (!attribute.hasTag) {
    if (tag !== undefined) throw new EncodeError('tag-invalid', attribute.name, 'this attribute takes no tag');
    return value;
  }
  if (tag !== undefined && !(tag >= 0 && tag <= 31))
    throw new EncodeError('tag-invalid', attribute.name, 'a tag is 1 to 31');
  if (attribute.type === 'integer') {
    value[0] = tag ?? 0;
    return value;
  }
  // Without a tag octet, a first octet of 31 or less would be taken for one (RFC 2868 §3.3); Tunnel-Password always has one.
  const needed = tag !== undefined || attribute.encryption === 2 || (value[0] ?? 0) <= 0x1f;
  return needed ? Buffer.concat([Buffer.of(tag ?? 0), value]) : value;
}

function wrap(dictionary: Dictionary, attribute: DictionaryAttribute, value: Buffer): Buffer {
  if (attribute.isExtended)
    throw new EncodeError('type-unsupported', attribute.name, 'extended attributes are not encoded');
  // From the innermost TLV outwards; the outermost number belongs to the packet or the vendor.
  let octets = value;
  for (const number of attribute.path.slice(1).toReversed()) {
    if (octets.length > maxValueOctets) tooLong(attribute, octets.length, maxValueOctets);
    octets = Buffer.concat([Buffer.of(number, octets.length + 2), octets]);
  }
  if (attribute.vendor !== 0) {
    const format = dictionary.vendorFormat(attribute.vendor);
    const most = 255 - 6 - format.typeOctets - format.lengthOctets - (format.continuation ? 1 : 0);
    if (octets.length > most) tooLong(attribute, octets.length, most);
    return encodeVendorAttribute(attribute.vendor, attribute.path[0]!, octets, format);
  }
  if (attribute.path[0]! > 255)
    throw new EncodeError('type-unsupported', attribute.name, 'this attribute never travels');
  if (octets.length > maxValueOctets && !attribute.isConcatenated) tooLong(attribute, octets.length, maxValueOctets);
  const pieces: Buffer[] = [];
  for (let offset = 0; offset === 0 || offset < octets.length; offset += maxValueOctets) {
    const piece = octets.subarray(offset, offset + maxValueOctets);
    pieces.push(Buffer.of(attribute.path[0]!, piece.length + 2), piece);
  }
  return Buffer.concat(pieces);
}

function tooLong(attribute: DictionaryAttribute, octets: number, most: number): never {
  throw new EncodeError('value-too-long', attribute.name, `${octets} octets, the most is ${most}`);
}
