/**
 * `key=value` arguments and the values of options.
 *
 * Enters: what was typed. Leaves: typed values, or a `UsageError` that says what would have been right.
 * Invariant: an unknown key never passes silently, and no key counts twice.
 */
import { parseIpNetwork } from '../config/ip-network.js';
import { nearestKey } from '../config/nearest-key.js';
import { readPort } from '../domain/device-reference.js';
import { formatIpv4Address, parseIpv4Address } from '../domain/ipv4-address.js';
import { parseIpv6Prefix } from '../domain/ipv6-prefix.js';
import { parseMacAddress } from '../domain/mac-address.js';
import { parseRate } from '../domain/rate.js';
import { UsageError } from './command-error.js';

/** A shorter one is a network of a provider, not of a subscriber; the schema refuses it too. */
const shortestStaticPrefix = 33;

/**
 * Splits `key=value` arguments.
 *
 * @param args as typed; a value may hold further `=`, and may be empty, which clears
 * @param known keys that exist
 * @throws UsageError for an argument without `=`, an unknown key (with the list of keys), or a key given twice
 */
export function parseAssignments<Key extends string>(args: readonly string[], known: readonly Key[]): Map<Key, string> {
  const found = new Map<Key, string>();
  for (const argument of args) {
    const at = argument.indexOf('=');
    if (at < 1) throw new UsageError(`'${argument}' is not key=value`, `the keys are ${known.join(', ')}`);
    const key = knownKey(argument.slice(0, at), known);
    if (found.has(key)) throw new UsageError(`${key} is given twice`, 'give each key once');
    found.set(key, argument.slice(at + 1));
  }
  return found;
}

function knownKey<Key extends string>(written: string, known: readonly Key[]): Key {
  const key = known.find((one) => one === written);
  if (key !== undefined) return key;
  const near = nearestKey(written, known);
  throw new UsageError(
    `there is no key '${written}'`,
    `${near === undefined ? '' : `did you mean ${near}? `}the keys are ${known.join(', ')}`,
  );
}

/** `true` or `false`, nothing else: a flag that somebody meant otherwise takes people off the network. */
export function parseFlag(key: string, text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new UsageError(`${key} is '${text}'`, 'write true or false');
}

/** A rate in bit/s from `50M`; null for `unlimited` or nothing. */
export function parseRateOption(key: string, text: string): number | null {
  if (text === 'unlimited' || text === '') return null;
  const rateBps = parseRate(text);
  if (rateBps === undefined)
    throw new UsageError(`${key} is '${text}', which is no rate`, 'write it like 50M, 512k or unlimited');
  return rateBps;
}

/** One IPv4 address in canonical form. */
export function parseAddress(key: string, text: string): string {
  const address = parseIpv4Address(text);
  if (address === undefined)
    throw new UsageError(`${key} is '${text}', which is no IPv4 address`, 'write it like 100.64.0.7');
  return formatIpv4Address(address);
}

/** One IPv6 prefix of a subscriber in canonical form. */
export function parsePrefix(key: string, text: string): string {
  const network = parseIpNetwork(text);
  if (!network.ok) throw new UsageError(`${key} is '${text}', which ${network.problem}`, network.remedy);
  const prefix = parseIpv6Prefix(text);
  if (prefix === undefined || network.network.prefixLength < shortestStaticPrefix)
    throw new UsageError(
      `${key} is '${text}', which is no IPv6 prefix from /${String(shortestStaticPrefix)} to /128`,
      'write it like 2001:db8:100::/56',
    );
  return prefix;
}

/** An address of either family, or an IPv6 prefix, in canonical form. */
export function parseAddressOrPrefix(key: string, text: string): string {
  if (!text.includes(':')) return parseAddress(key, text);
  const prefix = parseIpv6Prefix(text);
  if (prefix === undefined)
    throw new UsageError(`${key} is '${text}', which is no address`, 'write it like 100.64.0.7 or 2001:db8::1');
  return prefix.endsWith('/128') ? prefix.slice(0, -'/128'.length) : prefix;
}

/** A MAC address in canonical form. */
export function parseMac(key: string, text: string): string {
  const mac = parseMacAddress(text);
  if (mac === undefined)
    throw new UsageError(`${key} is '${text}', which is no MAC address`, 'write it like aa:bb:cc:dd:ee:ff');
  return mac;
}

/** A port of a device as it is stored. */
export function parsePort(key: string, text: string): string {
  const port = readPort(text);
  if (port === undefined)
    throw new UsageError(
      `${key} is '${text}', which is no port`,
      'write 1 to 64 printable characters of ASCII, as the switch tells it',
    );
  return port;
}

/** Ways in which a DHCP client may be known. */
export const option82Ways = ['port', 'port-mac', 'mac'] as const;

/** One of `option82Ways`. */
export function parseOption82Auth(key: string, text: string): string {
  if ((option82Ways as readonly string[]).includes(text)) return text;
  throw new UsageError(`${key} is '${text}'`, `write one of ${option82Ways.join(', ')}`);
}

/** A whole number within bounds. */
export function parseWholeNumber(key: string, text: string, least: number, most: number): number {
  const number = /^\d{1,15}$/u.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most)) {
    throw new UsageError(`${key} is '${text}'`, `write a whole number from ${String(least)} to ${String(most)}`);
  }
  return number;
}

/**
 * Text for the database.
 *
 * @throws UsageError for a NUL, which PostgreSQL cannot store, and for text beyond the bound
 */
export function parseText(key: string, text: string, longestCharacters = 1000): string {
  if (text.includes('\0')) throw new UsageError(`${key} holds a NUL character`, 'leave it out');
  if (text.length > longestCharacters)
    throw new UsageError(`${key} is longer than ${String(longestCharacters)} characters`, 'shorten it');
  return text;
}
