/**
 * What a profile makes of the names in a request: login, MAC, and whether a password is asked for.
 *
 * Enters: User-Name, Calling-Station-Id and User-Password of a request.
 * Leaves: what to look a subscriber up by.
 * Invariant: pure; a login is changed by the realm rules alone, and a MAC comes out as `aa:bb:cc:dd:ee:ff`.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Profile } from '../config/config.js';
import { ZERO_MAC_ADDRESS, parseMacAddress, parseStationMac } from '../domain/mac-address.js';

/** A User-Name taken apart. */
export interface LoginParts {
  readonly login: string;
  readonly realm: string | undefined;
}

/**
 * Applies the realm rules.
 *
 * @param rules `realm` of a profile
 * @param userName as sent
 * @returns the login to look up; the realm that was taken off, if one was. A name that would become empty is kept whole.
 */
export function loginOf(rules: Profile['realm'], userName: string): LoginParts {
  const whole: LoginParts = { login: userName, realm: undefined };
  if (rules.handling === 'keep') return whole;
  const suffixAt = lastOf(userName, rules.suffixSeparators);
  if (suffixAt > 0) {
    const parts = { login: userName.slice(0, suffixAt), realm: userName.slice(suffixAt + 1) };
    if (isListed(rules.only, parts.realm)) return parts;
  }
  const prefixAt = firstOf(userName, rules.prefixSeparators);
  if (prefixAt >= 0 && prefixAt < userName.length - 1) {
    const parts = { login: userName.slice(prefixAt + 1), realm: userName.slice(0, prefixAt) };
    if (isListed(rules.only, parts.realm)) return parts;
  }
  return whole;
}

/**
 * Finds the MAC of a request.
 *
 * @param rules `mac` of a profile
 * @param userName User-Name
 * @param callingStationId Calling-Station-Id (RFC 2865 §5.31)
 * @returns the canonical form, or `undefined` when none of the sources holds one in an allowed format
 */
export function macOf(
  rules: Profile['mac'],
  userName: string | undefined,
  callingStationId: string | undefined,
): string | undefined {
  for (const source of rules.sources) {
    const mac =
      source === 'User-Name'
        ? macIn(rules, userName, parseMacAddress)
        : macIn(rules, callingStationId, parseStationMac);
    if (mac !== undefined) return mac;
  }
  return undefined;
}

/**
 * Whether a request says, as its profile understands it, that the NAS vouches for the line and no password is asked for.
 * To be asked only when there is neither CHAP nor MS-CHAP in the request, and the subscriber was found by MAC or access line.
 *
 * @param rules `macAuthorisation` of a profile
 * @param userPassword User-Password, revealed; `undefined` when there is none
 * @param mac canonical, of the request; `undefined`: it tells none
 * @param userName User-Name, octets
 */
export function isWithoutPassword(
  rules: Profile['macAuthorisation'],
  userPassword: Uint8Array | undefined,
  mac: string | undefined,
  userName: Uint8Array | undefined,
): boolean {
  if (userPassword === undefined) return rules.noPassword.includes('absent');
  if (userPassword.length === 0) return rules.noPassword.includes('empty');
  if (rules.noPassword.includes('user-name') && userName !== undefined && areSame(userPassword, userName)) return true;
  if (mac === undefined || !rules.noPassword.includes('mac')) return false;
  const said = parseMacAddress(Buffer.from(userPassword).toString('latin1'));
  return said !== undefined && timingSafeEqual(Buffer.from(said), Buffer.from(mac));
}

/** Neither is a secret: what the NAS says of the client, twice. */
function areSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

type MacFormat = Profile['mac']['formats'][number];

function macIn(
  rules: Profile['mac'],
  text: string | undefined,
  parse: (text: string) => string | undefined,
): string | undefined {
  if (text === undefined) return undefined;
  const mac = parse(text);
  if (mac === undefined || mac === ZERO_MAC_ADDRESS) return undefined;
  const format: MacFormat = text.includes(':')
    ? 'colon'
    : text.includes('.')
      ? 'dot'
      : text.includes('-')
        ? 'hyphen'
        : 'bare';
  return rules.formats.includes(format) ? mac : undefined;
}

function lastOf(text: string, separators: string): number {
  return Math.max(-1, ...Array.from(separators, (one) => text.lastIndexOf(one)));
}

function firstOf(text: string, separators: string): number {
  const found = Array.from(separators, (one) => text.indexOf(one)).filter((at) => at >= 0);
  return found.length === 0 ? -1 : Math.min(...found);
}

function isListed(only: readonly string[], realm: string): boolean {
  return only.length === 0 || only.some((one) => one.toLowerCase() === realm.toLowerCase());
}
