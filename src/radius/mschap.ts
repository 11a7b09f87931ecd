// MS-CHAP versions 1 and 2, the arithmetic (RFC 2433, RFC 2759) and its attributes (RFC 2548 §2.1, §2.3).
// In: a stored password and the attributes of an Access-Request. Out: a result, with what the reply must carry.
// Invariant: responses are compared in constant time; a stored form that cannot serve is a result, not an exception.

import { createHash } from 'node:crypto';
import { MicrosoftAttribute, Vendor } from './attribute-number.js';
import { equalOctets } from './constant-time.js';
import { challengeResponse, challengeResponseOctets, hashNtPasswordHash, ntPasswordHash } from './nt-hash.js';
import type { Packet } from './packet.js';
import { failed, type PasswordFailure } from './password-result.js';
import type { StoredPassword } from './stored-password.js';

/** Octets of MS-CHAP-Response and MS-CHAP2-Response (RFC 2548 §2.1.3, §2.3.2). */
const responseAttributeOctets = 50;
/** Octets of the challenge: version 1, version 2 (RFC 2433 §5, RFC 2759 §4). */
const challengeOctets = { 1: 8, 2: 16 } as const;
const responseOffset = 26;

/** What a client sent, taken apart. */
export interface MsChapRequest {
  readonly version: 1 | 2;
  /** Octet that goes back in MS-CHAP2-Success and MS-CHAP-Error. */
  readonly ident: number;
  readonly challenge: Buffer;
  /** Version 2: the client's own challenge. */
  readonly peerChallenge: Buffer;
  /** The 24-octet NT response. */
  readonly ntResponse: Buffer;
  /** Version 1 may carry only the weak LM response, which is not accepted. */
  readonly hasNtResponse: boolean;
}

/** Result of `checkMsChap`. The NT hash is there for MPPE keys; it is as secret as the password. */
export type MsChapResult =
  | {
      readonly ok: true;
      readonly ntHash: Buffer;
      /** Version 2: value of the MS-CHAP2-Success attribute that must be in the Accept. */
      readonly success: Buffer | undefined;
    }
  | PasswordFailure;

/**
 * Takes the MS-CHAP attributes out of an Access-Request.
 * @returns undefined when there are none; `malformed` when a length is wrong or the challenge is missing
 */
export function readMsChap(packet: Packet): MsChapRequest | 'malformed' | undefined {
  const second = packet.vendorFirst(Vendor.microsoft, MicrosoftAttribute.chap2Response);
  const response = second ?? packet.vendorFirst(Vendor.microsoft, MicrosoftAttribute.chapResponse);
  if (response === undefined) return undefined;
  const version = second === undefined ? 1 : 2;
  const challenge = packet.vendorFirst(Vendor.microsoft, MicrosoftAttribute.chapChallenge);
  if (response.length !== responseAttributeOctets || challenge?.length !== challengeOctets[version]) return 'malformed';
  return {
    version,
    ident: response[0]!,
    challenge,
    peerChallenge: response.subarray(2, 18),
    ntResponse: response.subarray(responseOffset, responseOffset + challengeResponseOctets),
    hasNtResponse: version === 2 || (response[1]! & 1) === 1,
  };
}

/**
 * Checks a response against a stored password (cleartext or NT hash).
 * @param userName the User-Name as sent; version 2 uses what follows a `DOMAIN\`
 */
export function checkMsChap(stored: StoredPassword, request: MsChapRequest, userName: string | Buffer): MsChapResult {
  if (!request.hasNtResponse) return failed('method-unsupported');
  const ntHash = ntHashOf(stored);
  if (ntHash === undefined) return failed('method-needs-cleartext');
  const challenge =
    request.version === 1 ? request.challenge : challengeHash(request.peerChallenge, request.challenge, userName);
  const expected = challengeResponse(challenge, ntHash);
  if (!equalOctets(request.ntResponse, 0, expected, 0, challengeResponseOctets)) return failed('wrong-password');
  if (request.version === 1) return { ok: true, ntHash, success: undefined };
  const text = authenticatorResponse(ntHash, request.ntResponse, challenge);
  return { ok: true, ntHash, success: Buffer.concat([Buffer.of(request.ident), Buffer.from(text, 'latin1')]) };
}

/** The NT hash that a stored form gives, or undefined for a one-way form. */
export function ntHashOf(stored: StoredPassword): Buffer | undefined {
  if (stored.form === 'nt') return stored.hash;
  return stored.form === 'cleartext' ? ntPasswordHash(stored.password.toString('utf8')) : undefined;
}

/**
 * Value of the MS-CHAP-Error attribute of a Reject (RFC 2548 §2.1.5, RFC 2433 §8, RFC 2759 §6): authentication failure,
 * no retry. The challenge is the request's own: with R=0 nobody answers it.
 */
export function msChapError(request: MsChapRequest): Buffer {
  const fields = `E=691 R=0 C=${request.challenge.toString('hex').toUpperCase()} V=${request.version === 2 ? 3 : 2}`;
  const text = request.version === 2 ? `${fields} M=Authentication failed` : fields;
  return Buffer.concat([Buffer.of(request.ident), Buffer.from(text, 'latin1')]);
}

/** ChallengeHash (RFC 2759 §8.2): 8 octets; the name is taken without its domain. */
export function challengeHash(
  peerChallenge: Buffer,
  authenticatorChallenge: Buffer,
  userName: string | Buffer,
): Buffer {
  const name = typeof userName === 'string' ? Buffer.from(userName, 'utf8') : userName;
  const bare = name.subarray(name.lastIndexOf(0x5c) + 1);
  const hash = createHash('sha1').update(peerChallenge).update(authenticatorChallenge).update(bare);
  return hash.digest().subarray(0, 8);
}

const magic1 = Buffer.from('Magic server to client signing constant', 'latin1');
const magic2 = Buffer.from('Pad to make it do more than one iteration', 'latin1');

/** GenerateAuthenticatorResponse (RFC 2759 §8.7): `S=` and 40 upper-case hexadecimal digits. */
export function authenticatorResponse(ntHash: Buffer, ntResponse: Buffer, challenge: Buffer): string {
  const inner = createHash('sha1').update(hashNtPasswordHash(ntHash)).update(ntResponse).update(magic1).digest();
  const outer = createHash('sha1').update(inner).update(challenge).update(magic2).digest();
  return `S=${outer.toString('hex').toUpperCase()}`;
}
