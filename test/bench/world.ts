/**
 * Who and what is asked about. Enters: a number. Leaves: the login, password, MAC and addresses of the subscriber of that number, in the
 * same words for packets, for tables and for files. Invariant: a pure function, so that all sides serve the same people.
 */

/** Subscribers with a static address. */
export const STATIC_SUBSCRIBERS = 10_000;
/** The pool that addresses are handed out from, and the most that it can have. */
export const POOL_NAME = 'main';
export const POOL_NETWORK = '100.64.0.0/14';
export const POOL_ADDRESSES = 2 ** 18;
export const RATE_DOWN_BPS = 50_000_000;
export const RATE_UP_BPS = 10_000_000;
/** RouterOS' way of writing them, as the profile mikrotik-ppp does. */
export const RATE_LIMIT = `${String(RATE_UP_BPS / 1000)}k/${String(RATE_DOWN_BPS / 1000)}k`;
export const INTERIM_SECONDS = 300;

/** One subscriber. */
export interface Person {
  readonly login: string;
  readonly password: string;
  readonly mac: string;
}

/** A subscriber with a static address. @param n from 1 */
export function staticPerson(n: number): Person & { readonly address: string } {
  return { ...person('u', 0, n), address: `10.0.${String(n >> 8)}.${String(n & 255)}` };
}

/** A subscriber who gets an address of the pool. @param n from 1 */
export function poolPerson(n: number): Person {
  return person('p', 1, n);
}

function person(prefix: string, kind: number, n: number): Person {
  const octets = [2, kind, n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255];
  return {
    login: `${prefix}${String(n)}`,
    password: `${prefix}-secret-${String(n)}`,
    mac: octets.map((octet) => octet.toString(16).padStart(2, '0').toUpperCase()).join(':'),
  };
}
