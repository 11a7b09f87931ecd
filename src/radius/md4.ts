// MD4 (RFC 1320), for NT password hashes only.
// In: octets. Out: a 16-octet digest.
// Invariant: agrees with the vectors of RFC 1320 §A.5. OpenSSL 3 no longer offers it, MS-CHAP still needs it.

/** Octets of an MD4 digest. */
export const md4Octets = 16;

const blockOctets = 64;
const shifts = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
] as const;
// Which message word each step of the second and third round takes (RFC 1320 §3.4).
const secondOrder = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];
const thirdOrder = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

/** The MD4 digest of a message. */
export function md4(message: Uint8Array): Buffer {
  const padded = Buffer.alloc(Math.ceil((message.length + 9) / blockOctets) * blockOctets);
  padded.set(message);
  padded[message.length] = 0x80;
  padded.writeUInt32LE((message.length << 3) >>> 0, padded.length - 8);
  padded.writeUInt32LE(Math.floor(message.length / 0x2000_0000), padded.length - 4);
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  const words = new Int32Array(16);
  for (let offset = 0; offset < padded.length; offset += blockOctets) {
    for (let index = 0; index < 16; index++) words[index] = padded.readInt32LE(offset + index * 4);
    absorb(state, words);
  }
  const digest = Buffer.alloc(md4Octets);
  state.forEach((word, index) => digest.writeInt32LE(word, index * 4));
  return digest;
}

function absorb(state: Int32Array, words: Int32Array): void {
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  for (let step = 0; step < 48; step++) {
    const round = step >> 4;
    const index = step & 15;
    const shift = shifts[round]![index & 3]!;
    let sum = a;
    if (round === 0) sum += ((b & c) | (~b & d)) + words[index]!;
    else if (round === 1) sum += ((b & c) | (b & d) | (c & d)) + words[secondOrder[index]!]! + 0x5a827999;
    else sum += (b ^ c ^ d) + words[thirdOrder[index]!]! + 0x6ed9eba1;
    sum |= 0;
    a = d;
    d = c;
    c = b;
    b = (sum << shift) | (sum >>> (32 - shift));
  }
  state[0] = (state[0]! + a) | 0;
  state[1] = (state[1]! + b) | 0;
  state[2] = (state[2]! + c) | 0;
  state[3] = (state[3]! + d) | 0;
}
