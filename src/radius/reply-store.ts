// Replies that were sent, for retransmissions to come.
// In: octets. Out: a copy of them by the position that they were given.
// Invariant: octets lie in chunks outside of the heap, so that remembering makes no garbage; a chunk is written anew when all that it
// holds is past, or when the bound is reached; a position never comes to mean another reply.

/** One chunk, octets: some 8,000 replies. Larger than the largest packet, 4,096. */
const CHUNK_OCTETS = 1024 * 1024;

interface Chunk {
  readonly octets: Buffer;
  /** Counts chunks as they were begun. */
  number: number;
  /** When the last reply was written into it, ms. */
  writtenAtMs: number;
}

/** Remembers octets for a while. */
export class ReplyStore {
  readonly #lifetimeMs: number;
  readonly #maxChunks: number;
  /** The oldest first; the last is being written. */
  readonly #chunks: Chunk[] = [];
  #used = CHUNK_OCTETS;
  #begun = 0;

  /**
   * @param lifetimeMs how long a reply is needed after it was written
   * @param maxOctets beyond it the oldest go before their time
   */
  constructor(lifetimeMs: number, maxOctets: number) {
    this.#lifetimeMs = lifetimeMs;
    this.#maxChunks = Math.max(1, Math.ceil(maxOctets / CHUNK_OCTETS));
  }

  /** Octets of memory that are held. */
  get octets(): number {
    return this.#chunks.length * CHUNK_OCTETS;
  }

  /** Keeps a copy of at most 4,096 octets. @returns its position, for `read` */
  write(reply: Buffer, nowMs: number): number {
    if (this.#used + reply.length > CHUNK_OCTETS) this.#begin(nowMs);
    const chunk = this.#chunks.at(-1)!;
    chunk.octets.set(reply, this.#used);
    chunk.writtenAtMs = nowMs;
    const position = chunk.number * CHUNK_OCTETS + this.#used;
    this.#used += reply.length;
    return position;
  }

  /** Whether what was written there is still held. */
  has(position: number): boolean {
    const oldest = this.#chunks[0];
    return oldest !== undefined && position >= oldest.number * CHUNK_OCTETS;
  }

  /** A copy of what was written there, or undefined when it is not held any more. */
  read(position: number, length: number): Buffer | undefined {
    if (!this.has(position)) return undefined;
    const number = Math.floor(position / CHUNK_OCTETS);
    const chunk = this.#chunks[number - this.#chunks[0]!.number]!;
    const offset = position - number * CHUNK_OCTETS;
    return Buffer.from(chunk.octets.subarray(offset, offset + length));
  }

  #begin(nowMs: number): void {
    const oldest = this.#chunks[0];
    const isPast = oldest !== undefined && oldest.writtenAtMs + this.#lifetimeMs <= nowMs;
    const again = isPast || this.#chunks.length >= this.#maxChunks ? this.#chunks.shift() : undefined;
    const chunk = again ?? { octets: Buffer.allocUnsafeSlow(CHUNK_OCTETS), number: 0, writtenAtMs: 0 };
    chunk.number = this.#begun++;
    this.#chunks.push(chunk);
    this.#used = 0;
  }
}
