// NT and LM hashes, and the DES response to a challenge that both MS-CHAP versions share.
// In: passwords, hashes, challenges. Out: octets.
// Invariant: pure functions of their arguments, in agreement with the vectors of RFC 2433 §B and RFC 2759 §9.

import { createCipheriv } from 'node:crypto';
import { md4 } from './md4.js';

/** Octets of an NT or LM hash. */
export const ntHashOctets = 16;
/** Octets of a challenge response: three DES blocks. */
export const challengeResponseOctets = 24;

/** NtPasswordHash: MD4 of the password in UTF-16LE (RFC 2759 §8.3). */
export function ntPasswordHash(password: string): Buffer {
  return md4(Buffer.from(password, 'utf16le'));
}

/** HashNtPasswordHash: MD4 of the NT hash (RFC 2759 §8.4). */
export function hashNtPasswordHash(ntHash: Buffer): Buffer {
  return md4(ntHash);
}

/**
 * LmPasswordHash (RFC 2433 §A.2): DES of a constant under the upper-cased password of at most 14 octets.
 * @returns undefined for a password that has none: longer than 14 octets or outside ASCII
 */
export function lmPasswordHash(password: string): Buffer | undefined {
  if (password.length > 14 || !/^[\x20-\x7e]*$/.test(password)) return undefined;
  const key = Buffer.alloc(14);
  key.write(password.toUpperCase(), 'latin1');
  const plain = Buffer.from('KGS!@#$%', 'latin1');
  return Buffer.concat([desEncrypt(plain, key.subarray(0, 7)), desEncrypt(plain, key.subarray(7, 14))]);
}

/** ChallengeResponse (RFC 2433 §A.5, RFC 2759 §8.5): the 8-octet challenge under three DES keys cut from the hash. */
export function challengeResponse(challenge: Buffer, hash: Buffer): Buffer {
  const key = Buffer.alloc(21);
  hash.copy(key, 0, 0, ntHashOctets);
  return Buffer.concat([0, 7, 14].map((offset) => desEncrypt(challenge, key.subarray(offset, offset + 7))));
}

// Single DES is triple DES with the same key three times; OpenSSL 3 offers only the latter without the legacy provider.
function desEncrypt(block: Buffer, key7: Buffer): Buffer {
  const key = desKey(key7);
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

// 56 bits spread over 8 octets, seven in each; DES ignores the parity bit (RFC 2759 §8.6).
function desKey(key7: Buffer): Buffer {
  const key = Buffer.alloc(8);
  for (let index = 0; index < 8; index++) {
    const left = index === 0 ? 0 : key7[index - 1]! << (8 - index);
    const right = index === 7 ? 0 : key7[index]! >> index;
    key[index] = (left | right) & 0xfe;
  }
  return key;
}
