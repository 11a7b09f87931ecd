// One shared secret and every signature and disguise that RADIUS builds on it.
// In: packets and plain values. Out: verdicts, signatures, hidden and revealed values.
// Invariant: the secret itself leaves this object only as MD5 input; printing or serialising the object shows `<hidden>`;
// every comparison is constant-time.

import { inspect } from 'node:util';
import { Code, isSignedRequest } from './code.js';
import { equalOctets } from './constant-time.js';
import {
  md5Absorb,
  md5BlockOctets,
  md5Finish,
  md5InitialState,
  md5Octets,
  md5,
  md5Work,
  type Md5State,
} from './md5.js';
import { authenticatorOctets, headerOctets, type Packet } from './packet.js';

/** The longest secret taken, octets: what the MD5 work area has room for beside a whole packet. */
export const maxSecretOctets = 512;
/** The longest User-Password, octets (RFC 2865 §5.2). */
export const maxPasswordOctets = 128;
/** The longest plain value that fits one salt-encrypted attribute: 253 − 2 salt, whole blocks, 1 length octet. */
export const maxSaltedOctets = 239;

/** A secret that cannot be used; the message never contains it. */
export class SharedSecretError extends Error {
  override readonly name = 'SharedSecretError';
  constructor(readonly reason: 'empty' | 'too-long') {
    super(
      reason === 'empty' ? 'the shared secret is empty' : `the shared secret is longer than ${maxSecretOctets} octets`,
    );
  }
}

const digest = Buffer.alloc(md5Octets);

/** A shared secret with its HMAC-MD5 key states computed once. */
export class SharedSecret {
  readonly #octets: Buffer;
  readonly #inner: Md5State = md5InitialState();
  readonly #outer: Md5State = md5InitialState();

  /**
   * @param secret text (taken as UTF-8) or octets; copied
   * @throws SharedSecretError when empty or longer than 512 octets
   */
  constructor(secret: string | Uint8Array) {
    this.#octets = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : Buffer.from(secret);
    if (this.#octets.length === 0) throw new SharedSecretError('empty');
    if (this.#octets.length > maxSecretOctets) throw new SharedSecretError('too-long');
    // HMAC key block (RFC 2104 §2).
    const key = this.#octets.length > md5BlockOctets ? md5(this.#octets) : this.#octets;
    const block = Buffer.alloc(md5BlockOctets);
    for (const [state, pad] of [
      [this.#inner, 0x36],
      [this.#outer, 0x5c],
    ] as const) {
      for (let index = 0; index < md5BlockOctets; index++) block[index] = (key[index] ?? 0) ^ pad;
      md5Absorb(state, block);
    }
    block.fill(0);
  }

  /** Octets of the secret; short ones deserve a warning at start (12 or fewer can be searched offline). */
  get octetCount(): number {
    return this.#octets.length;
  }

  /** Whether two objects hold the same secret. */
  equals(other: SharedSecret): boolean {
    return (
      this.#octets.length === other.#octets.length &&
      equalOctets(this.#octets, 0, other.#octets, 0, this.#octets.length)
    );
  }

  /**
   * Whether the Request Authenticator is the signature that Accounting-Request, CoA-Request and Disconnect-Request carry:
   * MD5(Code+Identifier+Length+16 zero octets+attributes+secret) (RFC 2866 §3, RFC 5176 §2.3).
   */
  requestAuthenticatorMatches(packet: Packet): boolean {
    packet.bytes.copy(md5Work, 0, 0, packet.length);
    md5Work.fill(0, 4, headerOctets);
    this.#digestWithSecret(packet.length, digest, 0);
    return equalOctets(digest, 0, packet.bytes, 4, md5Octets);
  }

  /**
   * Whether a reply's Response Authenticator is MD5(Code+Identifier+Length+RequestAuth+attributes+secret)
   * (RFC 2865 §3, RFC 2866 §3).
   */
  responseAuthenticatorMatches(reply: Packet, requestAuthenticator: Buffer): boolean {
    reply.bytes.copy(md5Work, 0, 0, reply.length);
    requestAuthenticator.copy(md5Work, 4, 0, authenticatorOctets);
    this.#digestWithSecret(reply.length, digest, 0);
    return equalOctets(digest, 0, reply.bytes, 4, md5Octets);
  }

  /**
   * Whether the Message-Authenticator is HMAC-MD5 over the packet with that attribute's value zeroed (RFC 3579 §3.2).
   * The authenticator field counts as: the packet's own for Access-Request and Status-Server (RFC 5997 §4.2); zeros for
   * Accounting-, CoA- and Disconnect-Request (RFC 5176 §3.6); the request's for a reply.
   * @param requestAuthenticator of the request that `packet` answers; undefined for a request
   * @returns false also when there is no Message-Authenticator
   */
  messageAuthenticatorMatches(packet: Packet, requestAuthenticator?: Buffer): boolean {
    const offset = packet.messageAuthenticatorOffset;
    if (offset < 0) return false;
    packet.bytes.copy(md5Work, 0, 0, packet.length);
    md5Work.fill(0, offset + 2, offset + 2 + md5Octets);
    if (requestAuthenticator !== undefined) requestAuthenticator.copy(md5Work, 4, 0, authenticatorOctets);
    else if (isSignedRequest(packet.code)) md5Work.fill(0, 4, headerOctets);
    this.#hmac(packet.length, digest, 0);
    return equalOctets(digest, 0, packet.bytes, offset + 2, md5Octets);
  }

  /**
   * Signs a reply in place: Message-Authenticator first, then the Response Authenticator over it.
   * @param bytes a whole packet with its Length field set; a Message-Authenticator has its value zeroed
   * @param messageAuthenticatorOffset where that attribute starts, or -1 when there is none
   */
  signReply(bytes: Buffer, length: number, messageAuthenticatorOffset: number, requestAuthenticator: Buffer): void {
    requestAuthenticator.copy(bytes, 4, 0, authenticatorOctets);
    bytes.copy(md5Work, 0, 0, length);
    this.#placeMessageAuthenticator(bytes, length, messageAuthenticatorOffset);
    this.#digestWithSecret(length, bytes, 4);
  }

  /**
   * Signs a request in place. Access-Request and Status-Server keep the random authenticator that is already there;
   * the others get a Request Authenticator as described at `requestAuthenticatorMatches`.
   * @param bytes a whole packet with its Length field set; a Message-Authenticator has its value zeroed
   */
  signRequest(bytes: Buffer, length: number, messageAuthenticatorOffset: number): void {
    const signed = isSignedRequest(bytes[0]!);
    if (signed) bytes.fill(0, 4, headerOctets);
    bytes.copy(md5Work, 0, 0, length);
    this.#placeMessageAuthenticator(bytes, length, messageAuthenticatorOffset);
    if (signed) this.#digestWithSecret(length, bytes, 4);
  }

  /**
   * Hides a User-Password (RFC 2865 §5.2): padded with NULs to whole blocks of 16, XORed with an MD5 chain.
   * @throws RangeError when longer than 128 octets
   */
  hidePassword(password: Uint8Array, requestAuthenticator: Buffer): Buffer {
    if (password.length > maxPasswordOctets)
      throw new RangeError(`a User-Password has at most ${maxPasswordOctets} octets`);
    const hidden = Buffer.alloc(Math.max(16, Math.ceil(password.length / 16) * 16));
    hidden.set(password);
    this.#chain(hidden, requestAuthenticator, true);
    return hidden;
  }

  /**
   * Reveals a User-Password without its padding (RFC 2865 §5.2).
   * @returns undefined when the hidden value is not 1 to 8 whole blocks, which no correct client sends
   */
  revealPassword(hidden: Buffer, requestAuthenticator: Buffer): Buffer | undefined {
    if (hidden.length === 0 || hidden.length > maxPasswordOctets || hidden.length % 16 !== 0) return undefined;
    const password = Buffer.from(hidden);
    this.#chain(password, requestAuthenticator, false);
    let length = password.length;
    while (length > 0 && password[length - 1] === 0) length--;
    return password.subarray(0, length);
  }

  /**
   * Salt-encrypts a value for Tunnel-Password or MS-MPPE-*-Key (RFC 2868 §3.5, RFC 2548 §2.4.2): the two salt octets, then
   * length octet + value + padding XORed with an MD5 chain that begins with RequestAuth+salt.
   * @param salt two octets with the highest bit set, different for each attribute of a packet
   * @throws RangeError when the value is longer than 239 octets or the salt is not as described
   */
  saltEncrypt(plain: Uint8Array, requestAuthenticator: Buffer, salt: Uint8Array): Buffer {
    if (plain.length > maxSaltedOctets)
      throw new RangeError(`a salt-encrypted value has at most ${maxSaltedOctets} octets`);
    if (salt.length !== 2 || (salt[0]! & 0x80) === 0)
      throw new RangeError('a salt is two octets with the highest bit set');
    const hidden = Buffer.alloc(2 + Math.ceil((plain.length + 1) / 16) * 16);
    hidden.set(salt);
    hidden[2] = plain.length;
    hidden.set(plain, 3);
    this.#chain(hidden.subarray(2), Buffer.concat([requestAuthenticator.subarray(0, 16), salt]), true);
    return hidden;
  }

  /** Undoes `saltEncrypt`; undefined when the value is not salt + whole blocks, or its length octet does not fit. */
  saltDecrypt(hidden: Buffer, requestAuthenticator: Buffer): Buffer | undefined {
    if (hidden.length < 18 || (hidden.length - 2) % 16 !== 0) return undefined;
    const plain = Buffer.from(hidden.subarray(2));
    this.#chain(plain, Buffer.concat([requestAuthenticator.subarray(0, 16), hidden.subarray(0, 2)]), false);
    return plain[0]! < plain.length ? plain.subarray(1, 1 + plain[0]!) : undefined;
  }

  /**
   * Hides or reveals an Ascend-Send-Secret (dictionary `encrypt=3`): up to 16 octets XORed with MD5(RequestAuth+secret).
   * The operation undoes itself.
   */
  ascendSecret(value: Uint8Array, requestAuthenticator: Buffer): Buffer {
    const mask = md5(requestAuthenticator.subarray(0, 16), this.#octets);
    for (let index = 0; index < md5Octets; index++) mask[index]! ^= value[index] ?? 0;
    return mask;
  }

  /** What `JSON.stringify` shows. */
  toJSON(): string {
    return '<hidden>';
  }

  /** What string conversion shows. */
  toString(): string {
    return '<hidden>';
  }

  /** What `console.log` and error formatters show. */
  [inspect.custom](): string {
    return 'SharedSecret <hidden>';
  }

  #placeMessageAuthenticator(bytes: Buffer, length: number, offset: number): void {
    if (offset < 0) return;
    this.#hmac(length, digest, 0);
    digest.copy(bytes, offset + 2);
    digest.copy(md5Work, offset + 2);
  }

  // MD5 of the first `length` octets of the work area followed by the secret.
  #digestWithSecret(length: number, target: Buffer, targetOffset: number): void {
    this.#octets.copy(md5Work, length);
    md5Finish(undefined, 0, length + this.#octets.length, target, targetOffset);
  }

  // HMAC-MD5 of the first `length` octets of the work area, which keep their content.
  #hmac(length: number, target: Buffer, targetOffset: number): void {
    md5Finish(this.#inner, md5BlockOctets, length, target, targetOffset);
    const saved = hmacSaved;
    md5Work.copy(saved, 0, 0, md5BlockOctets);
    target.copy(md5Work, 0, targetOffset, targetOffset + md5Octets);
    md5Finish(this.#outer, md5BlockOctets, md5Octets, target, targetOffset);
    saved.copy(md5Work, 0, 0, md5BlockOctets);
  }

  // c(1) = p(1) xor MD5(secret+seed), c(i) = p(i) xor MD5(secret+c(i-1)); decrypting reads the same chain.
  #chain(value: Buffer, seed: Buffer, encrypting: boolean): void {
    const secretOctets = this.#octets.length;
    const previous = chainLink;
    for (let offset = 0; offset < value.length; offset += md5Octets) {
      this.#octets.copy(md5Work, 0);
      const seedOctets = offset === 0 ? seed.copy(md5Work, secretOctets) : previous.copy(md5Work, secretOctets);
      md5Finish(undefined, 0, secretOctets + seedOctets, digest, 0);
      if (!encrypting) value.copy(previous, 0, offset, offset + md5Octets);
      for (let index = 0; index < md5Octets; index++) value[offset + index]! ^= digest[index]!;
      if (encrypting) value.copy(previous, 0, offset, offset + md5Octets);
    }
  }
}

// The hidden block that the next one is hidden with.
const chainLink = Buffer.alloc(md5Octets);

// The head of the work area while the outer HMAC step needs its place.
const hmacSaved = Buffer.alloc(md5BlockOctets);

/** Whether a reply to such a request carries a Message-Authenticator, as its first attribute. */
export function replyNeedsMessageAuthenticator(requestCode: number): boolean {
  return requestCode === Code.accessRequest || requestCode === Code.statusServer;
}
