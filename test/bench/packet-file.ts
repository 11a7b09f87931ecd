/**
 * The files between the bench and its generator. Enters: built requests in the order in which they are to be sent; what the generator wrote
 * down. Leaves: a packet file (see udp-load.c); sampled answers; addresses. Invariant: the Identifier of packet number i is
 * `identifierOf(i)`, so that its signature holds and no two packets that wait at once share a socket and an Identifier.
 */
import { open, readFile } from 'node:fs/promises';

/** Sockets of the generator: 65,536 requests may wait at once before an Identifier is wanted again. */
export const GENERATOR_SOCKETS = 256;
/** Consecutive packets that share a socket; RUN in udp-load.c. */
const RUN = 8;
const MAGIC = 0x31504c53;
/** Written at a time, octets. */
const CHUNK_OCTETS = 4 * 1024 * 1024;

/** The Identifier that packet number `index` must be made with. */
export function identifierOf(index: number): number {
  return (Math.floor(index / (RUN * GENERATOR_SOCKETS)) % (256 / RUN)) * RUN + (index % RUN);
}

/**
 * Writes a packet file.
 * @param packets called in order, once for each index
 * @param expectedCode of every answer; 0 takes any
 */
export async function writePacketFile(
  path: string,
  count: number,
  packets: (index: number) => Buffer,
  expectedCode: number | ((index: number) => number),
): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    let chunk = Buffer.alloc(CHUNK_OCTETS);
    chunk.writeUInt32LE(MAGIC, 0);
    chunk.writeUInt32LE(count, 4);
    let at = 8;
    for (let index = 0; index < count; index++) {
      const packet = packets(index);
      if (at + 4 + packet.length > CHUNK_OCTETS) {
        await file.write(chunk, 0, at);
        chunk = Buffer.alloc(CHUNK_OCTETS);
        at = 0;
      }
      chunk.writeUInt16LE(packet.length, at);
      chunk.writeUInt16LE(typeof expectedCode === 'number' ? expectedCode : expectedCode(index), at + 2);
      packet.copy(chunk, at + 4);
      at += 4 + packet.length;
    }
    await file.write(chunk, 0, at);
  } finally {
    await file.close();
  }
}

/** An answer that the generator kept whole. */
export interface SampledAnswer {
  readonly packet: number;
  readonly bytes: Buffer;
}

/** Reads what `--samples` wrote. */
export async function readSamples(path: string): Promise<SampledAnswer[]> {
  const bytes = await readFile(path);
  const samples: SampledAnswer[] = [];
  for (let at = 0; at + 6 <= bytes.length;) {
    const length = bytes.readUInt16LE(at + 4);
    samples.push({ packet: bytes.readUInt32LE(at), bytes: bytes.subarray(at + 6, at + 6 + length) });
    at += 6 + length;
  }
  return samples;
}

/** Reads what `--addresses` wrote: the Framed-IP-Address of every answer that had one, unsigned 32-bit. */
export async function readAddresses(path: string): Promise<number[]> {
  const bytes = await readFile(path);
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(index * 4));
}
