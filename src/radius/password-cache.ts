// The last good password of each subscriber whose stored form is slow to check.
// In: subscriber, stored form, offered password. Out: whether this very password was right before.
// Invariant: holds keyed digests only, under a key made at start that never leaves the process; a changed stored form misses;
// bounded, the longest unused goes first.

import { createHmac, randomBytes } from 'node:crypto';
import { equalOctets } from './constant-time.js';

/** Subscribers remembered by default; each takes some 200 octets. */
export const defaultCachedPasswords = 200_000;

const digestOctets = 16;

/** Remembers successes. */
export class PasswordCache {
  readonly #key = randomBytes(32);
  readonly #digests = new Map<string, Buffer>();
  readonly #maxEntries: number;

  constructor(maxEntries: number = defaultCachedPasswords) {
    this.#maxEntries = maxEntries;
  }

  /** Subscribers held. */
  get size(): number {
    return this.#digests.size;
  }

  /** Whether `password` was accepted for this subscriber against this stored hash. */
  has(subscriber: string, storedHash: Uint8Array | string, password: Uint8Array): boolean {
    const known = this.#digests.get(subscriber);
    if (known === undefined || !equalOctets(this.#digest(subscriber, storedHash, password), 0, known, 0, digestOctets))
      return false;
    // Moves it to the young end.
    this.#digests.delete(subscriber);
    this.#digests.set(subscriber, known);
    return true;
  }

  /** Notes a success. */
  remember(subscriber: string, storedHash: Uint8Array | string, password: Uint8Array): void {
    this.#digests.delete(subscriber);
    if (this.#digests.size >= this.#maxEntries)
      for (const oldest of this.#digests.keys()) {
        this.#digests.delete(oldest);
        break;
      }
    this.#digests.set(subscriber, this.#digest(subscriber, storedHash, password));
  }

  #digest(subscriber: string, storedHash: Uint8Array | string, password: Uint8Array): Buffer {
    const mac = createHmac('sha256', this.#key);
    // Lengths keep the three parts apart.
    mac
      .update(`${Buffer.byteLength(subscriber)} ${storedHash.length} `)
      .update(subscriber)
      .update(storedHash);
    return mac.update(password).digest().subarray(0, digestOctets);
  }
}
