/**
 * The signature of requests that say everything in their query: `sign` is the SHA-256, in hexadecimal, of the values in the order of their
 * octets, empty ones left out, and the secret behind them, joined by `_`. Enters: a query. Leaves: its parameters, once each, and whether
 * the signature is right. Invariants: every value is under the signature, names are not; compared in constant time.
 *
 * It has no nonce and no time, so whoever hears a request can repeat it: it is for networks that nobody else hears.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export type QueryReading =
  | { readonly ok: true; readonly parameters: ReadonlyMap<string, string>; readonly sign: string }
  | { readonly ok: false; readonly fault: 'repeated-parameter' };

/** Takes a query apart. @param query what stands behind the question mark */
export function readQuery(query: string): QueryReading {
  const parameters = new Map<string, string>();
  let sign = '';
  for (const [name, value] of new URLSearchParams(query)) {
    // Which of two counts is nothing that a signer and a reader would agree on.
    if (parameters.has(name) || (name === 'sign' && sign !== '')) return { ok: false, fault: 'repeated-parameter' };
    if (name === 'sign') sign = value;
    else parameters.set(name, value);
  }
  return { ok: true, parameters, sign };
}

/** The signature of these values. */
export function signQuery(values: Iterable<string>, secret: Uint8Array): Buffer {
  const told = [...values].filter((value) => value !== '').map((value) => Buffer.from(value));
  const hash = createHash('sha256');
  for (const value of told.sort(Buffer.compare)) hash.update(value).update('_');
  return hash.update(secret).digest();
}

/** Whether a signature is that of the values under one of the secrets; two while one is being changed. */
export function isSignedQuery(values: Iterable<string>, sign: string, secrets: readonly Uint8Array[]): boolean {
  if (!/^[0-9a-f]{64}$/iu.test(sign)) return false;
  const given = Buffer.from(sign, 'hex');
  const told = [...values];
  return secrets.filter((secret) => timingSafeEqual(given, signQuery(told, secret))).length > 0;
}
