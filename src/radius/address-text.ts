// IP addresses between octets and text.
// In: octets or text. Out: canonical text (RFC 5952 for IPv6) or octets.
// Invariant: parse(format(x)) equals x, and text that is not an address gives undefined, never a guess.

import { isIPv4, isIPv6 } from 'node:net';

/** Dotted decimal text of four octets. */
export function formatIpv4(octets: Uint8Array, offset = 0): string {
  return `${octets[offset]!}.${octets[offset + 1]!}.${octets[offset + 2]!}.${octets[offset + 3]!}`;
}

/** Four octets of dotted decimal text, or undefined. */
export function parseIpv4(text: string): Buffer | undefined {
  return isIPv4(text) ? Buffer.from(text.split('.').map(Number)) : undefined;
}

/** Text of sixteen octets, lower case, the longest run of zero groups shortened (RFC 5952 §4). */
export function formatIpv6(octets: Uint8Array, offset = 0): string {
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) groups.push((octets[offset + index]! << 8) | octets[offset + index + 1]!);
  let bestStart = -1;
  // A single zero group is not shortened (RFC 5952 §4.2.2).
  let bestCount = 1;
  for (let start = 0; start < 8; start++) {
    let count = 0;
    while (start + count < 8 && groups[start + count] === 0) count++;
    if (count > bestCount) {
      bestStart = start;
      bestCount = count;
    }
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (bestStart < 0) return hex(groups);
  return `${hex(groups.slice(0, bestStart))}::${hex(groups.slice(bestStart + bestCount))}`;
}

/** Sixteen octets of IPv6 text (embedded dotted decimal allowed, a zone is not), or undefined. */
export function parseIpv6(text: string): Buffer | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined;
  let groupsText = text;
  const dotted = /(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1];
  if (dotted !== undefined) {
    const four = parseIpv4(dotted)!;
    groupsText = `${text.slice(0, -dotted.length)}${four.readUInt16BE(0).toString(16)}:${four.readUInt16BE(2).toString(16)}`;
  }
  const [head = '', tail] = groupsText.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const octets = Buffer.alloc(16);
  before.forEach((group, index) => octets.writeUInt16BE(parseInt(group, 16), index * 2));
  after.forEach((group, index) => octets.writeUInt16BE(parseInt(group, 16), 16 - (after.length - index) * 2));
  return octets;
}

/** IPv4 or IPv6 text by the number of octets; undefined for any other number. */
export function addressText(octets: Uint8Array, offset: number, count: number): string | undefined {
  if (count === 4) return formatIpv4(octets, offset);
  return count === 16 ? formatIpv6(octets, offset) : undefined;
}

/** `prefix/length` of a reserved octet, a length and 0 to 16 octets (RFC 3162 §2.3, RFC 4818 §3); undefined if malformed. */
export function ipv6PrefixText(value: Buffer): string | undefined {
  if (value.length < 2 || value.length > 18 || value[1]! > 128) return undefined;
  if ((value.length - 2) * 8 < value[1]!) return undefined;
  const prefix = Buffer.alloc(16);
  value.copy(prefix, 0, 2);
  return `${formatIpv6(prefix)}/${value[1]!}`;
}
