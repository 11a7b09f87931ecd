/**
 * What becomes of the value of a field in an access-line rule. Enters: characters that a pattern found. Leaves: the value, or nothing when it
 * is not of the kind that was expected. Invariant: nothing is guessed: a value that a function does not understand makes its rule not match.
 */
import { ZERO_MAC_ADDRESS, parseMacAddress } from './mac-address.js';

/** Functions by name, with what each of them expects, to be read after "is not". */
export const lineFunctions = {
  hex2text: { expects: 'an even number of hexadecimal digits', apply: hexToText },
  hex2number: { expects: 'a hexadecimal number of at most 12 digits', apply: hexToNumber },
  number: { expects: 'a number of at most 15 digits', apply: plainNumber },
  increment_port: { expects: 'a number, or a path that ends in one', apply: incrementPort },
  mac: { expects: 'a MAC address', apply: macAddress },
  onu_serial: { expects: 'a serial number', apply: onuSerial },
  serial2mac: { expects: 'the serial number of a GPON terminal', apply: serialToMac },
  lower: { expects: 'a text', apply: (value: string) => value.toLowerCase() },
  upper: { expects: 'a text', apply: (value: string) => value.toUpperCase() },
} as const satisfies Record<string, LineFunctionRow>;

interface LineFunctionRow {
  readonly expects: string;
  readonly apply: (value: string) => string | undefined;
}

/** The name of a function. */
export type LineFunction = keyof typeof lineFunctions;

/** Names of all functions, as `convert` of a rule takes them. */
export const lineFunctionNames = Object.keys(lineFunctions) as LineFunction[];

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Text of octets: UTF-8 where they are that, otherwise one character for each octet, so that names in older code pages stay different.
 *
 * @param octets one character for each octet, U+0000 to U+00FF
 */
export function textOfOctets(octets: string): string {
  for (let index = 0; index < octets.length; index++) if (octets.charCodeAt(index) > 0x7f) return decoded(octets);
  return octets;
}

function decoded(octets: string): string {
  try {
    return strictUtf8.decode(Buffer.from(octets, 'latin1'));
  } catch {
    return octets;
  }
}

/** Octets without the zeros at their end, with which programs in C finish a string. */
export function withoutTrailingZeros(octets: string): string {
  let end = octets.length;
  while (end > 0 && octets.charCodeAt(end - 1) === 0) end--;
  return end === octets.length ? octets : octets.slice(0, end);
}

function hexToText(value: string): string | undefined {
  if (value.length % 2 !== 0 || !/^[0-9a-f]*$/iu.test(value)) return undefined;
  return textOfOctets(withoutTrailingZeros(Buffer.from(value, 'hex').toString('latin1')));
}

// 12 digits are 48 bits, which a number holds exactly.
function hexToNumber(value: string): string | undefined {
  return /^[0-9a-f]{1,12}$/iu.test(value) ? String(parseInt(value, 16)) : undefined;
}

/** Without leading zeros: `p02` of a D-Link is port 2. */
function plainNumber(value: string): string | undefined {
  return /^[0-9]{1,15}$/u.test(value) ? String(Number(value)) : undefined;
}

/** For devices that count from 0, while people, labels and databases count from 1. Of `0/7` the last number is the port. */
function incrementPort(value: string): string | undefined {
  const [, before = '', digits] = /^(.*?)([0-9]{1,15})$/su.exec(value) ?? [];
  return digits === undefined ? undefined : `${before}${String(Number(digits) + 1)}`;
}

/** Addresses that nobody has: what a device says for want of one. */
const noMacAddress = new Set([ZERO_MAC_ADDRESS, 'ff:ff:ff:ff:ff:ff']);

function macAddress(value: string): string | undefined {
  const mac = parseMacAddress(value);
  return mac === undefined || noMacAddress.has(mac) ? undefined : mac;
}

/**
 * The serial number of a GPON terminal as labels have it, four letters and eight digits (`HWTC1A2B3C4D`, ITU-T G.984.3 §9.2.4.1): its eight
 * octets may come as 16 digits of hexadecimal, the twelve characters as 24, digits in either case. What is none of these is left as it
 * is: other terminals have serial numbers as well.
 */
function onuSerial(value: string): string {
  if (/^[A-Z]{4}-?[0-9a-f]{8}$/iu.test(value)) return value.replace('-', '').toUpperCase();
  if (/^[0-9a-f]{24}$/iu.test(value)) {
    const text = Buffer.from(value, 'hex').toString('latin1');
    if (/^[A-Z]{4}[0-9a-f]{8}$/iu.test(text)) return text.toUpperCase();
  }
  if (/^[0-9a-f]{16}$/iu.test(value)) {
    const vendor = Buffer.from(value.slice(0, 8), 'hex').toString('latin1');
    if (/^[A-Z]{4}$/u.test(vendor)) return `${vendor}${value.slice(8).toUpperCase()}`;
  }
  return value;
}

/**
 * The MAC address that is made of a GPON serial number: its last six octets, so `HWTC1A2B3C4D` is 54:43:1a:2b:3c:4d. Systems that know
 * devices by MAC address alone know such terminals by that.
 */
function serialToMac(value: string): string | undefined {
  const [, letters, digits] = /^[A-Z]{2}([A-Z]{2})([0-9A-F]{8})$/u.exec(onuSerial(value)) ?? [];
  if (letters === undefined || digits === undefined) return undefined;
  return parseMacAddress(`${Buffer.from(letters, 'latin1').toString('hex')}${digits}`);
}
