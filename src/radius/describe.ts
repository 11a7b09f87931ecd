// A packet as lines of text.
// In: a dictionary and octets. Out: text for a terminal or a log.
// Invariant: never throws, never shows a secret, one attribute per line, no octet of the packet unescaped.

import { codeName } from './code.js';
import { decodeAttributes, type DecodedAttribute } from './decode-attribute.js';
import type { Dictionary } from './dictionary.js';
import { parsePacket } from './packet.js';

/** Octets of a datagram that is no packet which are shown: enough to recognise what it is. */
const maxShownOctets = 64;

/** `Name = value`, with `:tag` after the name where there is one. */
export function describeAttribute(attribute: DecodedAttribute): string {
  return `${attribute.name}${attribute.tag === undefined ? '' : `:${attribute.tag}`} = ${attribute.text}`;
}

/** A line with code, Identifier and length, then one line per attribute, each indented by two spaces. */
export function describePacket(dictionary: Dictionary, bytes: Buffer): string {
  const parsed = parsePacket(bytes);
  if (!parsed.ok) {
    const shown = bytes.subarray(0, maxShownOctets).toString('hex');
    return `not a RADIUS packet (${parsed.reason}), ${bytes.length} octets: ${shown}${bytes.length > maxShownOctets ? '…' : ''}`;
  }
  const { packet } = parsed;
  const lines = [`${codeName(packet.code)} Identifier ${packet.identifier} Length ${packet.length}`];
  for (const attribute of decodeAttributes(dictionary, packet)) lines.push(`  ${describeAttribute(attribute)}`);
  return lines.join('\n');
}
