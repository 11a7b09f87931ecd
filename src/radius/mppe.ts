// MPPE keys for the link after MS-CHAP (RFC 2548 §2.4, RFC 3079).
// In: NT hash, responses, password. Out: key octets and the attributes that carry them.
// Invariant: keys leave only hidden with the shared secret; key arithmetic agrees with the vectors of RFC 3079 §3.5.

import { createHash, randomBytes } from 'node:crypto';
import { MicrosoftAttribute, Vendor } from './attribute-number.js';
import { hashNtPasswordHash, lmPasswordHash } from './nt-hash.js';
import type { MsChapRequest } from './mschap.js';
import type { ReplyBuilder } from './reply.js';
import type { SharedSecret } from './shared-secret.js';
import type { StoredPassword } from './stored-password.js';

/** Octets of a 128-bit key. */
const keyOctets = 16;

/** Values of MS-MPPE-Encryption-Policy (RFC 2548 §2.4.4). */
export const EncryptionPolicy = { allowed: 1, required: 2 } as const;
/** Bits of MS-MPPE-Encryption-Types (RFC 2548 §2.4.5). */
export const EncryptionTypes = { rc4With40Bit: 2, rc4With128Bit: 4, both: 6 } as const;

/** What the profile wants of encryption. */
export interface MppeChoice {
  readonly policy: (typeof EncryptionPolicy)[keyof typeof EncryptionPolicy];
  readonly types: (typeof EncryptionTypes)[keyof typeof EncryptionTypes];
}

/** Both directions of an MS-CHAPv2 session, as the server names them. */
export interface MppeKeys {
  readonly sendKey: Buffer;
  readonly recvKey: Buffer;
}

const magic1 = Buffer.from('This is the MPPE Master Key', 'latin1');
const magic2 = Buffer.from(
  'On the client side, this is the send key; on the server side, it is the receive key.',
  'latin1',
);
const magic3 = Buffer.from(
  'On the client side, this is the receive key; on the server side, it is the send key.',
  'latin1',
);
const shsPad1 = Buffer.alloc(40, 0x00);
const shsPad2 = Buffer.alloc(40, 0xf2);

/** GetMasterKey (RFC 3079 §3.4): 16 octets of SHA-1 over the hashed NT hash, the NT response and a constant. */
export function masterKey(ntHash: Buffer, ntResponse: Buffer): Buffer {
  const hash = createHash('sha1').update(hashNtPasswordHash(ntHash)).update(ntResponse).update(magic1);
  return hash.digest().subarray(0, keyOctets);
}

/** GetAsymmetricStartKey (RFC 3079 §3.4) for both directions at 128 bits, on the server's side. */
export function startKeys(master: Buffer): MppeKeys {
  return { sendKey: asymmetricStartKey(master, magic3), recvKey: asymmetricStartKey(master, magic2) };
}

function asymmetricStartKey(master: Buffer, magic: Buffer): Buffer {
  const hash = createHash('sha1').update(master).update(shsPad1).update(magic).update(shsPad2);
  return hash.digest().subarray(0, keyOctets);
}

/**
 * The plain MS-CHAP-MPPE-Keys of MS-CHAPv1 (RFC 2548 §2.4.1): 8 octets of the LM hash, 16 of the hashed NT hash, 8 zeros.
 * @param lmHash undefined when there is none; 40-bit encryption then fails, 128-bit does not use it
 */
export function version1Keys(ntHash: Buffer, lmHash: Buffer | undefined): Buffer {
  const keys = Buffer.alloc(32);
  lmHash?.copy(keys, 0, 0, 8);
  hashNtPasswordHash(ntHash).copy(keys, 8);
  return keys;
}

/**
 * Adds policy, types and hidden keys to an Access-Accept.
 * @param ntHash of the result of `checkMsChap`
 * @throws PacketBuildError when the reply is full
 */
export function addMppeAttributes(
  reply: ReplyBuilder,
  request: MsChapRequest,
  stored: StoredPassword,
  ntHash: Buffer,
  secret: SharedSecret,
  choice: MppeChoice,
): void {
  const { microsoft } = Vendor;
  reply.addVendorUint32(microsoft, MicrosoftAttribute.mppeEncryptionPolicy, choice.policy);
  reply.addVendorUint32(microsoft, MicrosoftAttribute.mppeEncryptionTypes, choice.types);
  const authenticator = reply.requestAuthenticator;
  if (request.version === 1) {
    const lmHash = stored.form === 'cleartext' ? lmPasswordHash(stored.password.toString('utf8')) : undefined;
    const keys = secret.hidePassword(version1Keys(ntHash, lmHash), authenticator);
    reply.addVendor(microsoft, MicrosoftAttribute.chapMppeKeys, keys);
    return;
  }
  const { sendKey, recvKey } = startKeys(masterKey(ntHash, request.ntResponse));
  // Two salts of one packet must differ (RFC 2868 §3.5): the last bit sees to it.
  const salt = randomBytes(2);
  const sendSalt = Buffer.of(salt[0]! | 0x80, salt[1]! & 0xfe);
  const recvSalt = Buffer.of(salt[0]! | 0x80, salt[1]! | 0x01);
  reply.addVendor(microsoft, MicrosoftAttribute.mppeSendKey, secret.saltEncrypt(sendKey, authenticator, sendSalt));
  reply.addVendor(microsoft, MicrosoftAttribute.mppeRecvKey, secret.saltEncrypt(recvKey, authenticator, recvSalt));
}
