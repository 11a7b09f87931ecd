// Enters: the text or the number of one IPv4 address. Leaves: the other form. Inside the program an IPv4 address is an
// unsigned 32-bit number, because a million of them are held; text is for sockets, SQL and people.

const DOT = 46;
const ZERO = 48;

/**
 * Reads a dotted quad.
 *
 * @param text four decimal octets; nothing before, between or after them. Leading zeros are refused: some programs read
 *   them as octal, so `010.0.0.1` is two different addresses.
 * @returns the address as an unsigned 32-bit number, or undefined when the text is not one address
 */
export function parseIpv4Address(text: string): number | undefined {
  if (text.length < 7 || text.length > 15) return undefined;
  let address = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0) return undefined;
      address = address * 256 + octet;
      octet = 0;
      digits = 0;
      dots++;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    if (digits > 0 && octet === 0) return undefined;
    octet = octet * 10 + digit;
    digits++;
    if (octet > 255) return undefined;
  }
  if (dots !== 3 || digits === 0) return undefined;
  return address * 256 + octet;
}

/**
 * Writes a dotted quad.
 *
 * @param address unsigned 32-bit number
 */
export function formatIpv4Address(address: number): string {
  return `${String(address >>> 24)}.${String((address >>> 16) & 255)}.${String((address >>> 8) & 255)}.${String(address & 255)}`;
}
