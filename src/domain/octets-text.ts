/**
 * Octets that a device chose, for people. Enters: hexadecimal digits. Leaves: the characters in quotation marks where all are printable ASCII, else the digits.
 * Invariant: what is shown stands for one row of octets and no other.
 */

/** `"eth 0/2"` for 65746820302f32, `000408770017` for what is no text; anything but pairs of digits is left as it is. */
export function octetsText(hex: string): string {
  if (hex === '' || !/^(?:[0-9a-f]{2})+$/iu.test(hex)) return hex;
  const text = Buffer.from(hex, 'hex').toString('latin1');
  return /^[ -~]+$/u.test(text) ? `"${text}"` : hex;
}
