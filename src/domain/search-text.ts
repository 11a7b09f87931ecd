// Enters: what somebody typed into a search field. Leaves: the ways in which it may be meant. Invariant: everything that leaves is
// bounded; words, digits and addresses are made of letters, digits or canonical addresses, so that no query has to quote them.

import { readDeviceReference, readPort, readSerial, type DeviceReference } from './device-reference.js';
import { formatIpv4Address, parseIpv4Address } from './ipv4-address.js';
import { parseIpv6Prefix } from './ipv6-prefix.js';
import { lineFunctions } from './line-functions.js';
import { parseMacAddress } from './mac-address.js';

/** A text as it may be meant; what it cannot mean is undefined or empty. */
export interface SearchText {
  /** Trimmed, as shown again in the field. */
  readonly text: string;
  /** Canonical. */
  readonly mac: string | undefined;
  /** Dotted. */
  readonly address: string | undefined;
  /** An IPv6 address or prefix, canonical: whoever has it, or one that holds it. */
  readonly prefix: string | undefined;
  /** Digits of a telephone number without the country's or trunk prefix, from the last to the first. */
  readonly phoneKey: string | undefined;
  /** Beginnings of words of a name or an address, lower case. */
  readonly words: readonly string[];
  /** A switch or ONU that is called so. */
  readonly device: DeviceReference;
  /** `sw1 5`: a device and a port of it. */
  readonly line: { readonly device: DeviceReference; readonly port: string } | undefined;
}

/** The longest login has 253 octets; nobody types more, characters. */
export const longestSearchCharacters = 253;

/** Five words name any house in any town. */
const mostWords = 6;
/** One letter begins a tenth of all words: that is no search. */
const shortestWordCharacters = 2;
/** Fewer digits are a house number or part of a contract. */
const shortestPhoneDigits = 5;
/** E.164: 15 digits at most. */
const longestPhoneDigits = 15;

/** Reads a search text. */
export function readSearchText(typed: string): SearchText {
  const text = [...typed.normalize('NFC').replaceAll('\0', '').trim()].slice(0, longestSearchCharacters).join('');
  const address = parseIpv4Address(text);
  const mac = parseMacAddress(text);
  const prefix = mac === undefined ? parseIpv6Prefix(text) : undefined;
  const words = text
    .toLowerCase()
    .replaceAll('ё', 'е')
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word.length >= shortestWordCharacters)
    .slice(0, mostWords);
  return {
    text,
    mac,
    address: address === undefined ? undefined : formatIpv4Address(address),
    prefix,
    phoneKey: address === undefined && mac === undefined ? phoneKeyOf(text) : undefined,
    words: address === undefined && prefix === undefined ? words : [],
    device: deviceOf(text),
    line: lineOf(text),
  };
}

/** Terminals print their serial numbers in several ways. */
function deviceOf(text: string): DeviceReference {
  return { ...readDeviceReference(text), serial: readSerial(lineFunctions.onu_serial.apply(text)) ?? null };
}

/** What stands behind the last space is the port: names have spaces, ports that people type have none. */
function lineOf(text: string): SearchText['line'] {
  const [, device, portText = ''] = /^(.*\S)\s+(\S+)$/u.exec(text) ?? [];
  const port = readPort(portText);
  return device === undefined || port === undefined ? undefined : { device: deviceOf(device), port };
}

function phoneKeyOf(text: string): string | undefined {
  if (!/^\+?[\d\s().-]+$/.test(text)) return undefined;
  let digits = text.replace(/\D/g, '');
  if (digits.length < shortestPhoneDigits || digits.length > longestPhoneDigits) return undefined;
  // Within the numbering plan of +7 people write 8 for it: both stand before the ten digits that matter.
  if (digits.length === 11 && /^[78]/.test(digits)) digits = digits.slice(1);
  return [...digits].reverse().join('');
}
