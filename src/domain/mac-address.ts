// Enters: a hardware address as some device, person or file writes it. Leaves: the one form used inside, lower-case
// `aa:bb:cc:dd:ee:ff`, so that two notations of one address are always equal.

const HEX_DIGITS = '0123456789abcdef';

/** The longest notation is `aa:bb:cc:dd:ee:ff`. */
const LONGEST_NOTATION = 17;

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  if (lower >= 97 && lower <= 102) return lower - 87;
  return -1;
}

/**
 * Reads a MAC address in any usual notation: six groups of one or two digits (`0:1:a:2:3:4`, `AA-BB-…`), three groups of
 * four (`aabb.ccdd.eeff`, `aabb-ccdd-eeff`), two of six (`aabbcc-ddeeff`), or twelve digits. Groups of one digit are what
 * ISC dhcpd's `binary-to-ascii` writes.
 *
 * @returns the canonical form, or undefined when the text is not one MAC address
 */
export function parseMacAddress(text: string): string | undefined {
  if (text.length < 11 || text.length > LONGEST_NOTATION) return undefined;
  let separator = 0;
  let groups = 1;
  let groupDigits = 0;
  let groupSize = 0;
  let digits = '';
  let group = '';
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : separator;
    const value = i < text.length ? hexValue(code) : -1;
    if (value >= 0) {
      group += HEX_DIGITS[value];
      groupDigits++;
      continue;
    }
    if (groupDigits === 0) return undefined;
    if (i < text.length) {
      if (code !== 58 && code !== 45 && code !== 46) return undefined;
      if (separator !== 0 && code !== separator) return undefined;
      separator = code;
      groups++;
    }
    if (groupSize !== 0 && groupDigits !== groupSize && (groupDigits > 2 || groupSize > 2)) return undefined;
    groupSize = Math.max(groupSize, groupDigits);
    digits += groupDigits === 1 ? `0${group}` : group;
    group = '';
    groupDigits = 0;
  }
  if (digits.length !== 12) return undefined;
  const wellFormed =
    groups === 1 ||
    (groups === 6 && groupSize <= 2) ||
    (groups === 3 && groupSize === 4) ||
    (groups === 2 && groupSize === 6 && separator === 45);
  if (!wellFormed) return undefined;
  let canonical = digits.slice(0, 2);
  for (let i = 2; i < 12; i += 2) canonical += `:${digits.slice(i, i + 2)}`;
  return canonical;
}

/**
 * Reads the MAC address of a client that a NAS calls by its DHCP client identifier: RouterOS writes `1:0:e1:c:38:c8:f8`, type 1 (Ethernet) before the
 * address (RFC 2132 §9.14). Every other notation is read as well.
 *
 * @returns undefined for identifiers of another kind
 */
export function parseStationMac(text: string): string | undefined {
  const mac = parseMacAddress(text);
  return mac ?? (text.startsWith('1:') ? parseMacAddress(text.slice(2)) : undefined);
}

/** What a device that knows no hardware address puts in its place: it identifies nobody. */
export const ZERO_MAC_ADDRESS = '00:00:00:00:00:00';
