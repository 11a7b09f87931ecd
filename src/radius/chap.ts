// CHAP (RFC 1994, RFC 2865 §5.3 and §5.40).
// In: a stored password and an Access-Request. Out: a result.
// Invariant: constant-time comparison; only a password known in clear can serve.

import { Attribute } from './attribute-number.js';
import { equalOctets } from './constant-time.js';
import { md5, md5Octets } from './md5.js';
import type { Packet } from './packet.js';
import { accepted, failed, type PasswordResult } from './password-result.js';
import type { StoredPassword } from './stored-password.js';

/** Octets of a CHAP-Password: identifier and response (RFC 2865 §5.3). */
export const chapPasswordOctets = 17;

/** The CHAP response: MD5 of identifier, password, challenge (RFC 1994 §4.1). */
export function chapResponse(chapIdentifier: number, password: Uint8Array, challenge: Uint8Array): Buffer {
  return md5(Buffer.of(chapIdentifier), password, challenge);
}

/**
 * Checks the CHAP-Password of a request against a stored password. The challenge is CHAP-Challenge if present, otherwise the
 * Request Authenticator (RFC 2865 §5.3).
 */
export function checkChap(stored: StoredPassword, request: Packet): PasswordResult {
  const offered = request.first(Attribute.chapPassword);
  if (offered?.length !== chapPasswordOctets) return failed('malformed');
  const challenge = request.first(Attribute.chapChallenge) ?? request.authenticator;
  if (challenge.length === 0) return failed('malformed');
  if (stored.form !== 'cleartext') return failed('method-needs-cleartext');
  const expected = chapResponse(offered[0]!, stored.password, challenge);
  return equalOctets(offered, 1, expected, 0, md5Octets) ? accepted : failed('wrong-password');
}
