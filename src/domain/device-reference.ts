/**
 * By what people and programs call a device or a port. Enters: text. Leaves: the ways in which it may be meant, each in the one form in which
 * it is stored. Invariants: two notations of one MAC, address, serial or port are equal; text that could be several things stays all of them,
 * so that whoever looks finds out whether it is ambiguous.
 */
import { formatIpv4Address, parseIpv4Address } from './ipv4-address.js';
import { parseIpv6Prefix } from './ipv6-prefix.js';
import { parseMacAddress, ZERO_MAC_ADDRESS } from './mac-address.js';

/** The longest name, characters: what the schema allows. */
const LONGEST_NAME = 100;

const SERIAL = /^[!-~]{1,64}$/u;
/** Option 82 carries octets; what is no printable ASCII is told as hexadecimal. */
const PORT = /^[!-~](?:[ -~]{0,62}[!-~])?$/u;
const ID = /^id:(\d{1,15})$/u;

/** What one text may mean; all null for text that can name no device. */
export interface DeviceReference {
  readonly id: number | null;
  readonly mac: string | null;
  readonly address: string | null;
  readonly serial: string | null;
  readonly name: string | null;
}

/**
 * Reads what somebody calls a device.
 *
 * @param text a MAC in any notation, an address, a serial in any case, a name, or `id:4711`
 */
export function readDeviceReference(text: string): DeviceReference {
  const id = ID.exec(text)?.[1];
  const mac = parseMacAddress(text);
  return {
    id: id === undefined ? null : Number(id),
    mac: mac === undefined || mac === ZERO_MAC_ADDRESS ? null : mac,
    address: readDeviceAddress(text) ?? null,
    serial: readSerial(text) ?? null,
    name: text === '' || text.includes('\0') || text.length > LONGEST_NAME ? null : text,
  };
}

/** One IPv4 or IPv6 address in canonical form; undefined for anything else. */
export function readDeviceAddress(text: string): string | undefined {
  const number = parseIpv4Address(text);
  if (number !== undefined) return formatIpv4Address(number);
  if (text.includes('/')) return undefined;
  return parseIpv6Prefix(text)?.replace(/\/128$/u, '');
}

/** A serial as it is stored, in upper case; undefined for text that is none: 1 to 64 printable characters of ASCII without spaces. */
export function readSerial(text: string): string | undefined {
  return SERIAL.test(text) ? text.toUpperCase() : undefined;
}

/**
 * A port as it is stored: a number without zeros before it, else as it is.
 *
 * @returns undefined for text that is no port: 1 to 64 printable characters of ASCII that neither begin nor end with a space
 */
export function readPort(text: string): string | undefined {
  if (!PORT.test(text)) return undefined;
  return /^\d+$/u.test(text) ? text.replace(/^0+(?=\d)/u, '') : text;
}
