/**
 * Who may ask at all. Enters: method, Host and Authorization of a request. Leaves: a verdict. Invariants: only reading; a listener on loopback
 * answers to names of this host only; nobody who is not named sees a page once somebody is named.
 */
import { isIPv4 } from 'node:net';
import type { StatusUser } from '../config/status-user.js';

/** What every answer says to the browser. No script at all, nothing from elsewhere, no frame around it. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
};

/**
 * Whether a Host header names this host, for a listener on loopback.
 *
 * @param header as it came
 * @param names further names, lower case
 */
export function hostIsOurs(header: string | undefined, names: readonly string[]): boolean {
  const match = /^(?:\[(?<v6>[0-9a-f:]+)\]|(?<name>[a-z0-9.-]+))(?::\d{1,5})?$/.exec((header ?? '').toLowerCase());
  if (match === null) return false;
  const { v6, name = '' } = match.groups ?? {};
  if (v6 !== undefined) return v6 === '::1';
  if (isIPv4(name)) return name.startsWith('127.');
  return name === 'localhost' || names.includes(name);
}

/** Name and password of HTTP Basic (RFC 7617), or undefined. */
export function readBasicCredentials(
  header: string | undefined,
): { readonly name: string; readonly password: Buffer } | undefined {
  const encoded = /^basic ([A-Za-z0-9+/]{1,1024}={0,2})$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const octets = Buffer.from(encoded, 'base64');
  const colon = octets.indexOf(0x3a);
  if (colon < 1) return undefined;
  return { name: octets.toString('latin1', 0, colon), password: octets.subarray(colon + 1) };
}

/** Compares a password with a stored hash; bounded work, in constant time. */
export type CheckPassword = (
  name: string,
  storedHash: string,
  password: Buffer,
) => Promise<'right' | 'wrong' | 'overloaded'>;

export type PageVisitor =
  | { readonly verdict: 'admitted'; readonly name: string | undefined }
  | { readonly verdict: 'unauthorized' | 'too-many' | 'overloaded' };

/** Wrong passwords from one address for one name before it has to wait. */
const MAX_FAILURES = 10;
/** How long it has to wait, ms. */
const FAILURE_WINDOW_MS = 60_000;
/** Addresses and names whose failures are remembered; the oldest go first. */
const MAX_REMEMBERED = 1_000;
/** Compared against for a name that nobody has, so that it takes as long: scrypt of 32 random octets. */
const NOBODY = '{SCRYPT}32768$8$1$FWnTBv3bYGWmV0GFy0S5Zw==$P9rXYz0Oa0lqk3b8QpJv3mXkB8w6TQe1dLw2yJm6c4Q=';

/** Asks visitors for name and password. */
export class VisitorCheck {
  readonly #check: CheckPassword;
  readonly #nowMs: () => number;
  readonly #failures = new Map<string, { count: number; sinceMs: number }>();

  constructor(check: CheckPassword, nowMs: () => number) {
    this.#check = check;
    this.#nowMs = nowMs;
  }

  /**
   * @param users without any, everybody who reaches the listener is admitted without a name
   * @param remoteAddress of the connection
   */
  async visitor(
    users: readonly StatusUser[],
    authorization: string | undefined,
    remoteAddress: string,
  ): Promise<PageVisitor> {
    if (users.length === 0) return { verdict: 'admitted', name: undefined };
    const given = readBasicCredentials(authorization);
    if (given === undefined) return { verdict: 'unauthorized' };
    const key = `${remoteAddress} ${given.name}`;
    if (this.#tooMany(key)) return { verdict: 'too-many' };
    const user = users.find((one) => one.name === given.name);
    const result = await this.#check(given.name, user?.passwordHash.text() ?? NOBODY, given.password);
    if (result === 'overloaded') return { verdict: 'overloaded' };
    if (result === 'right' && user !== undefined) {
      this.#failures.delete(key);
      return { verdict: 'admitted', name: user.name };
    }
    this.#noteFailure(key);
    return { verdict: 'unauthorized' };
  }

  #tooMany(key: string): boolean {
    const failures = this.#failures.get(key);
    if (failures === undefined) return false;
    if (this.#nowMs() - failures.sinceMs <= FAILURE_WINDOW_MS) return failures.count >= MAX_FAILURES;
    this.#failures.delete(key);
    return false;
  }

  #noteFailure(key: string): void {
    const failures = this.#failures.get(key) ?? { count: 0, sinceMs: this.#nowMs() };
    failures.count += 1;
    this.#failures.delete(key);
    this.#failures.set(key, failures);
    const oldest = this.#failures.keys().next().value;
    if (this.#failures.size > MAX_REMEMBERED && oldest !== undefined) this.#failures.delete(oldest);
  }
}
