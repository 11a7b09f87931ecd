// Values as text for people.
// In: octets and their type. Out: text that is safe on a terminal, in a log, in a page.
// Invariant: never throws; octets that do not fit their type are shown as hexadecimal; controls, bidirectional overrides and
// bad UTF-8 are escaped.

import { isUtf8 } from 'node:buffer';
import { addressText, formatIpv4, ipv6PrefixText } from './address-text.js';
import type { Dictionary, DictionaryAttribute } from './dictionary.js';

/** Octets as `0x…`. */
export function hexText(octets: Buffer): string {
  return `0x${octets.toString('hex')}`;
}

/**
 * Octets as quoted text. Valid UTF-8 stays readable; quotes and backslashes are escaped with a backslash, controls and
 * octets that are no UTF-8 as `\xHH`, characters that reorder or hide text as `\u{H}`.
 */
export function quotedText(octets: Buffer): string {
  if (!isUtf8(octets)) {
    let text = '"';
    for (const octet of octets)
      text += octet >= 0x20 && octet < 0x7f ? escapePlain(String.fromCharCode(octet)) : hexEscape(octet);
    return `${text}"`;
  }
  const escaped = octets
    .toString('utf8')
    // C0, DEL and C1; then format characters (bidirectional controls, zero width, tags) and the line separators.
    .replace(/["\\]|[\p{Cc}]|[\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
      const point = character.codePointAt(0)!;
      if (point < 0xa0) return point === 0x22 || point === 0x5c ? escapePlain(character) : hexEscape(point);
      return `\\u{${point.toString(16)}}`;
    });
  return `"${escaped}"`;
}

/** A value by its type; VALUE names where the dictionary has them. */
export function valueText(dictionary: Dictionary, attribute: DictionaryAttribute, octets: Buffer): string {
  switch (attribute.type) {
    case 'string':
      return quotedText(octets);
    case 'ipaddr':
      return octets.length === 4 ? formatIpv4(octets) : hexText(octets);
    case 'ipv6addr':
      return octets.length === 16 ? addressText(octets, 0, 16)! : hexText(octets);
    case 'combo-ip':
      return addressText(octets, 0, octets.length) ?? hexText(octets);
    case 'ipv6prefix':
      return ipv6PrefixText(octets) ?? hexText(octets);
    case 'ipv4prefix':
      return octets.length === 6 && octets[1]! <= 32 ? `${formatIpv4(octets, 2)}/${octets[1]!}` : hexText(octets);
    case 'byte':
      return numberText(dictionary, attribute, octets, 1);
    case 'short':
      return numberText(dictionary, attribute, octets, 2);
    case 'integer':
      return numberText(dictionary, attribute, octets, 4);
    case 'integer64':
      return numberText(dictionary, attribute, octets, 8);
    case 'signed':
      return octets.length === 4 ? String(octets.readInt32BE(0)) : hexText(octets);
    case 'date':
      return octets.length === 4
        ? new Date(octets.readUInt32BE(0) * 1000).toISOString().replace('.000Z', 'Z')
        : hexText(octets);
    case 'ether':
      return octets.length === 6 ? octets.toString('hex').replace(/(..)(?!$)/g, '$1:') : hexText(octets);
    case 'ifid':
      return octets.length === 8 ? octets.toString('hex').replace(/(....)(?!$)/g, '$1:') : hexText(octets);
    default:
      return hexText(octets);
  }
}

function numberText(
  dictionary: Dictionary,
  attribute: DictionaryAttribute,
  octets: Buffer,
  width: 1 | 2 | 4 | 8,
): string {
  if (octets.length !== width) return hexText(octets);
  const value = width === 8 ? octets.readBigUInt64BE(0) : octets.readUIntBE(0, width);
  return dictionary.valueName(attribute, value) ?? String(value);
}

function escapePlain(character: string): string {
  return character === '"' || character === '\\' ? `\\${character}` : character;
}

function hexEscape(octet: number): string {
  return `\\x${octet.toString(16).padStart(2, '0')}`;
}
