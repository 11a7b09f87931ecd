// HMAC-SHA256 (RFC 2104, RFC 6234) of short messages under one key.
// In: a key, then messages of at most 55 octets, which fill one block with their padding. Out: 32 octets.
// Invariant: the blocks of the key are hashed once, so a message costs two blocks; nothing is allocated for it.
//
// It is written out because a Class is made for every Accept and verified for every accounting packet, and two calls into OpenSSL cost
// more than twice what the two blocks do; test/radius/bench.ts prints both.

import { hash } from 'node:crypto';

/** Octets that one step takes in, and of a digest (RFC 6234 §1). */
const BLOCK_OCTETS = 64;
export const hmacOctets = 32;
/** The longest message, octets: a block without the mark 0x80 and the length of eight octets (RFC 6234 §4.1). */
export const longestMessageOctets = BLOCK_OCTETS - 9;

/** The first 32 bits of the fractional parts of the roots of the first primes: square roots of 8, cube roots of 64 (RFC 6234 §5.1, §6.1). */
const INITIAL = Int32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)));
const ROUND = Int32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)));

const schedule = new Int32Array(64);
const running = new Int32Array(8);
const block = Buffer.alloc(BLOCK_OCTETS);
const words = new DataView(block.buffer, block.byteOffset, BLOCK_OCTETS);

/** One key. */
export class ShortHmac {
  readonly #inner: Int32Array;
  readonly #outer: Int32Array;

  /** @param key a longer one than 64 octets is hashed (RFC 2104 §2) */
  constructor(key: Uint8Array) {
    const short = key.length > BLOCK_OCTETS ? hash('sha256', key, 'buffer') : key;
    this.#inner = stateAfter(short, 0x36);
    this.#outer = stateAfter(short, 0x5c);
  }

  /**
   * @param message at most 55 octets
   * @param target where 32 octets are written, from its beginning
   * @throws RangeError when the message is longer
   */
  digest(message: Uint8Array, target: Buffer): void {
    if (message.length > longestMessageOctets) throw new RangeError('a message of this HMAC has at most 55 octets');
    block.set(message);
    running.set(this.#inner);
    finish(message.length);
    writeState(block);
    running.set(this.#outer);
    finish(hmacOctets);
    writeState(target);
  }
}

function stateAfter(key: Uint8Array, pad: number): Int32Array {
  block.fill(pad);
  for (let i = 0; i < key.length; i++) block[i]! ^= key[i]!;
  running.set(INITIAL);
  step();
  block.fill(0);
  return running.slice();
}

/** Pads the octets in the block, which follow one whole block, and takes it in (RFC 6234 §4.1). */
function finish(octets: number): void {
  block[octets] = 0x80;
  block.fill(0, octets + 1, BLOCK_OCTETS - 4);
  words.setUint32(BLOCK_OCTETS - 4, (BLOCK_OCTETS + octets) * 8);
  step();
}

function writeState(target: Buffer): void {
  for (let word = 0; word < 8; word++) target.writeInt32BE(running[word]!, word * 4);
}

/** Takes the block into the running state (RFC 6234 §6.2). */
function step(): void {
  const w = schedule;
  for (let t = 0; t < 16; t++) w[t] = words.getInt32(t * 4);
  for (let t = 16; t < 64; t++) {
    const x = w[t - 15]!;
    const y = w[t - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = (s1 + w[t - 7]! + s0 + w[t - 16]!) | 0;
  }
  let a = running[0]!;
  let b = running[1]!;
  let c = running[2]!;
  let d = running[3]!;
  let e = running[4]!;
  let f = running[5]!;
  let g = running[6]!;
  let h = running[7]!;
  for (let t = 0; t < 64; t++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[t]! + w[t]!) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  running[0]! += a;
  running[1]! += b;
  running[2]! += c;
  running[3]! += d;
  running[4]! += e;
  running[5]! += f;
  running[6]! += g;
  running[7]! += h;
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate++)
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  return found;
}

/** Doubles hold the integer part of these roots, at most 6, and 49 bits behind the point. */
function fraction(root: number): number {
  return ((root % 1) * 2 ** 32) | 0;
}
