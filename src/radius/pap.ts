// PAP: a password in hand against any stored form.
// In: the revealed User-Password and a stored password. Out: a result, at once or, for slow hashes, later.
// Invariant: cleartext, NT, SHA, MD5 and remembered passwords are answered without a turn of the event loop; slow hashes never
// run on it, and only a few of them at once.

import { createHash, scrypt } from 'node:crypto';
import bcrypt from 'bcrypt';
import { equalOctets, equalSecrets } from './constant-time.js';
import { HashGate, overloaded } from './hash-gate.js';
import { ntHashOctets, ntPasswordHash } from './nt-hash.js';
import { PasswordCache } from './password-cache.js';
import { accepted, failed, type PasswordResult } from './password-result.js';
import { maxScryptOctets, type StoredPassword } from './stored-password.js';

type SlowPassword = Extract<StoredPassword, { form: 'scrypt' | 'bcrypt' }>;

/** Checks PAP passwords; one for the whole process. */
export class PapVerifier {
  readonly #gate: HashGate;
  readonly #cache: PasswordCache;

  constructor(gate: HashGate = new HashGate(), cache: PasswordCache = new PasswordCache()) {
    this.#gate = gate;
    this.#cache = cache;
  }

  /** Slow hashes that run or wait. */
  get pending(): number {
    return this.#gate.running + this.#gate.waiting;
  }

  /**
   * Checks a password.
   * @param subscriber key of the cache: an id that never changes hands
   * @param password as revealed, without padding; undefined when it could not be revealed
   * @returns a promise only for scrypt and bcrypt that were not remembered; it never rejects
   */
  check(
    subscriber: string,
    stored: StoredPassword,
    password: Buffer | undefined,
  ): PasswordResult | Promise<PasswordResult> {
    if (password === undefined) return failed('malformed');
    switch (stored.form) {
      case 'cleartext':
        return verdict(equalSecrets(password, stored.password));
      case 'nt':
        return verdict(equalOctets(ntPasswordHash(password.toString('utf8')), 0, stored.hash, 0, ntHashOctets));
      case 'digest': {
        const digest = createHash(stored.algorithm).update(password).update(stored.salt).digest();
        return verdict(equalSecrets(digest, stored.hash));
      }
      default: {
        // bcrypt ends at the first NUL and scrypt pads with them: `x` and `x\0` would be the same password.
        if (password.includes(0)) return failed('wrong-password');
        const hash = stored.form === 'bcrypt' ? stored.text : stored.hash;
        return this.#cache.has(subscriber, hash, password)
          ? accepted
          : this.#checkSlowly(subscriber, stored, hash, password);
      }
    }
  }

  async #checkSlowly(
    subscriber: string,
    stored: SlowPassword,
    hash: string | Buffer,
    password: Buffer,
  ): Promise<PasswordResult> {
    const matches = await this.#gate.run(() =>
      stored.form === 'bcrypt' ? bcryptMatches(stored, password) : scryptMatches(stored, password),
    );
    if (matches === overloaded) return failed('overloaded');
    if (matches) this.#cache.remember(subscriber, hash, password);
    return verdict(matches);
  }
}

function verdict(matches: boolean): PasswordResult {
  return matches ? accepted : failed('wrong-password');
}

async function bcryptMatches(stored: Extract<StoredPassword, { form: 'bcrypt' }>, password: Buffer): Promise<boolean> {
  return bcrypt.compare(password, stored.text);
}

function scryptMatches(stored: Extract<StoredPassword, { form: 'scrypt' }>, password: Buffer): Promise<boolean> {
  const { cost, blockSize, parallelization, salt, hash } = stored;
  return new Promise((resolve) => {
    // A few blocks of work memory beside the main one (RFC 7914 §5).
    const maxmem = maxScryptOctets + 128 * blockSize * (parallelization + 2);
    // The limits were checked when the text was parsed; an error is memory that cannot be had, and never a match.
    try {
      scrypt(password, salt, hash.length, { N: cost, r: blockSize, p: parallelization, maxmem }, (error, derived) =>
        resolve(error === null && equalSecrets(derived, hash)),
      );
    } catch {
      resolve(false);
    }
  });
}
