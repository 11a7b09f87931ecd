/**
 * The bytes of a segment. Enters: headers and records as values. Leaves: the same as bytes, and back. Pure.
 * Invariant: a record is taken for one only where it was written: its checksum is seeded with that of its segment's header
 * (which holds a random salt) and covers its own offset, so neither a payload that looks like a record nor a stale block of
 * another file passes.
 *
 * All integers are little-endian. A segment is
 *
 *     0     header, 128 bytes        magic 8 · version u32 · reserved u32 · spool UUID 16 · salt 16 · number u64 ·
 *                                    first sequence u64 · created at ms u64 · previous number u64 ·
 *                                    previous length u64 · zeros · CRC-32 of the 124 bytes before it
 *     512   the same header again, in another sector
 *     1024  records, one after the other
 *
 * and a record is
 *
 *     0  marker u32      4  CRC-32 of all that follows      8  offset of this record u32
 *     12 payload length (24 bits), kind (8 bits)            16 sequence u64
 *     24 received at ms u64                                 32 payload
 */

import { crc32 } from 'node:zlib';

/** Where the first record of a segment starts: behind both copies of the header. */
export const dataStartOffset = 1024;
const headerCopyOffsets = [0, 512] as const;
const headerBytes = 128;
const headerChecksumOffset = headerBytes - 4;
const headerMagic = Buffer.from('SLUICESP', 'latin1');
const formatVersion = 1;

export const recordHeaderBytes = 32;
/** The largest payload: sixteen times the largest RADIUS packet (RFC 2865 §3), and the most that resynchronising reads. */
export const maxPayloadBytes = 65_536;
export const maxRecordBytes = recordHeaderBytes + maxPayloadBytes;

const marker = 0xd39e5ca7;
/** The marker as it lies in a file, for searching. */
export const markerBytes = Buffer.from([0xa7, 0x5c, 0x9e, 0xd3]);

export interface SegmentHeader {
  /** Of the whole spool, as 8-4-4-4-12 hex digits. */
  readonly uuid: string;
  /** 16 random bytes as hex. */
  readonly salt: string;
  /** From 1. */
  readonly number: number;
  /** The sequence that the first record has, or would have. */
  readonly firstSequence: number;
  readonly createdAtMs: number;
  /**
   * The segment before this one, and how much of it counts: whatever it holds past `previousLength` was never acknowledged.
   * 0 and 0 in the first segment. Segments numbered between the two never held an acknowledged record.
   */
  readonly previousNumber: number;
  readonly previousLength: number;
}

/** A header as read, with the seed of its records' checksums. */
export interface DecodedHeader extends SegmentHeader {
  readonly checksumSeed: number;
}

export type HeaderResult =
  | { readonly ok: true; readonly header: DecodedHeader }
  /** `version` is there when the header is whole but of another format. */
  | { readonly ok: false; readonly version?: number };

const two32 = 2 ** 32;

function writeU64(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32LE(value % two32, offset);
  bytes.writeUInt32LE(Math.floor(value / two32), offset + 4);
}

function readU64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * two32 + bytes.readUInt32LE(offset);
}

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Encodes a header twice, as the first `dataStartOffset` bytes of a segment, and gives the seed of its checksums. */
export function encodeSegmentHeader(header: SegmentHeader): { bytes: Buffer; header: DecodedHeader } {
  const copy = Buffer.alloc(headerBytes);
  headerMagic.copy(copy, 0);
  copy.writeUInt32LE(formatVersion, 8);
  copy.write(header.uuid.replaceAll('-', ''), 16, 16, 'hex');
  copy.write(header.salt, 32, 16, 'hex');
  writeU64(copy, header.number, 48);
  writeU64(copy, header.firstSequence, 56);
  writeU64(copy, header.createdAtMs, 64);
  writeU64(copy, header.previousNumber, 72);
  writeU64(copy, header.previousLength, 80);
  const checksumSeed = crc32(copy.subarray(0, headerChecksumOffset));
  copy.writeUInt32LE(checksumSeed, headerChecksumOffset);
  const bytes = Buffer.alloc(dataStartOffset);
  for (const offset of headerCopyOffsets) copy.copy(bytes, offset);
  return { bytes, header: { ...header, checksumSeed } };
}

/** Reads a header from the first bytes of a segment, from whichever copy is whole. */
export function decodeSegmentHeader(bytes: Buffer): HeaderResult {
  for (const offset of headerCopyOffsets) {
    if (bytes.length < offset + headerBytes) break;
    const copy = bytes.subarray(offset, offset + headerBytes);
    if (!copy.subarray(0, headerMagic.length).equals(headerMagic)) continue;
    const checksumSeed = crc32(copy.subarray(0, headerChecksumOffset));
    if (copy.readUInt32LE(headerChecksumOffset) !== checksumSeed) continue;
    const version = copy.readUInt32LE(8);
    if (version !== formatVersion) return { ok: false, version };
    return {
      ok: true,
      header: {
        uuid: uuidText(copy.subarray(16, 32)),
        salt: copy.toString('hex', 32, 48),
        number: readU64(copy, 48),
        firstSequence: readU64(copy, 56),
        createdAtMs: readU64(copy, 64),
        previousNumber: readU64(copy, 72),
        previousLength: readU64(copy, 80),
        checksumSeed,
      },
    };
  }
  return { ok: false };
}

/**
 * Writes what is known of a record when it is accepted; `stampRecord` completes it when its place is known.
 * Returns the bytes taken. The caller has checked kind (0-255), payload (at most `maxPayloadBytes`) and room.
 */
export function writeRecordBody(
  target: Buffer,
  at: number,
  kind: number,
  receivedAtMs: number,
  payload: Uint8Array,
): number {
  target.writeUInt32LE(((kind << 24) | payload.length) >>> 0, at + 12);
  writeU64(target, receivedAtMs, at + 24);
  target.set(payload, at + recordHeaderBytes);
  return recordHeaderBytes + payload.length;
}

/** Completes the record at `at` for its place in a segment; returns the bytes it takes. */
export function stampRecord(target: Buffer, at: number, seed: number, offset: number, sequence: number): number {
  const end = at + recordHeaderBytes + (target.readUInt32LE(at + 12) & 0xffffff);
  target.writeUInt32LE(marker, at);
  target.writeUInt32LE(offset, at + 8);
  writeU64(target, sequence, at + 16);
  target.writeUInt32LE(crc32(target.subarray(at + 8, end), seed), at + 4);
  return end - at;
}

/** Why bytes are not the record that should be there. */
export type RecordFault = 'marker' | 'offset' | 'length' | 'checksum' | 'sequence' | 'missing-bytes' | 'unreadable';

export type RecordCheck = 'whole' | 'incomplete' | Exclude<RecordFault, 'sequence' | 'missing-bytes' | 'unreadable'>;

/** Judges the bytes at `at`, which lie at `offset` of their segment: a whole record, too few bytes to say, or a fault. */
export function checkRecord(bytes: Buffer, at: number, seed: number, offset: number): RecordCheck {
  if (at + recordHeaderBytes > bytes.length) return 'incomplete';
  if (bytes.readUInt32LE(at) !== marker) return 'marker';
  if (bytes.readUInt32LE(at + 8) !== offset) return 'offset';
  const payloadLength = bytes.readUInt32LE(at + 12) & 0xffffff;
  if (payloadLength > maxPayloadBytes) return 'length';
  const end = at + recordHeaderBytes + payloadLength;
  if (end > bytes.length) return 'incomplete';
  return crc32(bytes.subarray(at + 8, end), seed) === bytes.readUInt32LE(at + 4) ? 'whole' : 'checksum';
}

/** Fields of a record that `checkRecord` found whole. */
export const recordFields = {
  kind: (bytes: Buffer, at: number): number => bytes.readUInt8(at + 15),
  sequence: (bytes: Buffer, at: number): number => readU64(bytes, at + 16),
  receivedAtMs: (bytes: Buffer, at: number): number => readU64(bytes, at + 24),
  recordBytes: (bytes: Buffer, at: number): number => recordHeaderBytes + (bytes.readUInt32LE(at + 12) & 0xffffff),
};
