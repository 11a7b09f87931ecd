// Enters: the text of an IPv6 prefix or address. Leaves: its canonical text (RFC 5952 with a length), the n-th prefix of a network, and
// whether one holds another. Invariant: inside the program a prefix is its canonical text, as PostgreSQL writes it too, so equal
// prefixes are equal texts.

import ipaddr from 'ipaddr.js';

const ADDRESS_BITS = 128;
const LONGEST_TEXT = 'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128'.length;

/** A prefix as numbers. */
export interface PrefixBits {
  /** 128 bits; those after the prefix are zero. */
  readonly value: bigint;
  readonly length: number;
}

/**
 * Reads a prefix, and clears what stands after it: some NASes tell an address of the link with the length of its prefix.
 *
 * @param text `2001:db8:0:100::/56`; without a length it is one address, /128
 * @returns canonical text; undefined when it is none, or none that anybody can be given: link-local (fe80::/10), multicast (ff00::/8), or of
 *   ::/8, where mapped IPv4 addresses are (RFC 4291 §2.4)
 */
export function parseIpv6Prefix(text: string): string | undefined {
  const bits = readPrefix(text);
  return bits === undefined ? undefined : formatPrefix(bits);
}

/** The same as `parseIpv6Prefix`, as numbers. */
export function prefixBits(prefix: string): PrefixBits | undefined {
  return readPrefix(prefix);
}

function readPrefix(text: string): PrefixBits | undefined {
  if (text.length > LONGEST_TEXT || text.includes('%')) return undefined;
  const [address = '', lengthText = String(ADDRESS_BITS), ...rest] = text.split('/');
  if (rest.length > 0 || !/^\d{1,3}$/u.test(lengthText) || !address.includes(':')) return undefined;
  const length = Number(lengthText);
  if (length < 1 || length > ADDRESS_BITS || !ipaddr.IPv6.isValid(address)) return undefined;
  const hostBits = BigInt(ADDRESS_BITS - length);
  const value = (valueOf(address) >> hostBits) << hostBits;
  const firstOctet = value >> 120n;
  const isLinkLocal = value >> 118n === 0x3fan;
  return firstOctet === 0n || firstOctet === 0xffn || isLinkLocal ? undefined : { value, length };
}

function valueOf(address: string): bigint {
  return ipaddr.IPv6.parse(address).parts.reduce((value, part) => (value << 16n) | BigInt(part), 0n);
}

function formatValue(value: bigint): string {
  const parts = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - 16 * index)) & 0xffffn));
  return new ipaddr.IPv6(parts).toRFC5952String();
}

function formatPrefix({ value, length }: PrefixBits): string {
  return `${formatValue(value)}/${String(length)}`;
}

/**
 * The n-th prefix that a network is cut into.
 *
 * @param network canonical
 * @param length of what is cut out of it, bits
 * @param index from 0, below 2^(length - length of the network)
 */
export function nthPrefix(network: string, length: number, index: number): string {
  const bits = readPrefix(network);
  if (bits === undefined) throw new RangeError('a network of a pool is an IPv6 prefix');
  return formatPrefix({ value: bits.value + (BigInt(index) << BigInt(ADDRESS_BITS - length)), length });
}

/** Whether two prefixes have an address in common. */
export function prefixesOverlap(one: PrefixBits, other: PrefixBits): boolean {
  const hostBits = BigInt(ADDRESS_BITS - Math.min(one.length, other.length));
  return one.value >> hostBits === other.value >> hostBits;
}

/** The first address of a prefix that a device may have: ::1 of it, or itself when it is one address (RFC 4291 §2.6.1). */
export function firstAddressOf(prefix: string): string | undefined {
  const bits = readPrefix(prefix);
  if (bits === undefined) return undefined;
  return formatValue(bits.length === ADDRESS_BITS ? bits.value : bits.value + 1n);
}

/**
 * The interface identifier that a device with this MAC gives itself: modified EUI-64 (RFC 4291 appendix A).
 *
 * @param mac canonical, `aa:bb:cc:dd:ee:ff`
 * @returns four groups, as RFC 3162 §2.2 writes Framed-Interface-Id
 */
export function interfaceIdOfMac(mac: string): string {
  const octets = mac.split(':').map((octet) => Number.parseInt(octet, 16));
  const eui = [octets[0]! ^ 2, octets[1]!, octets[2]!, 0xff, 0xfe, octets[3]!, octets[4]!, octets[5]!];
  return [0, 2, 4, 6].map((at) => (eui[at]! * 256 + eui[at + 1]!).toString(16)).join(':');
}
