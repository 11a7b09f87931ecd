/**
 * Walks over the records of one segment. Enters: an open file, its header, where to start and where the trusted bytes end.
 * Leaves: records one by one as views into large reads, or the fault that stands in the place of one and the place where
 * whole records begin again. Invariant: no byte at or past the given end is looked at, and memory is one read window.
 */

import { errorCode, type OpenFile } from './file-layer.js';
import {
  checkRecord,
  markerBytes,
  maxRecordBytes,
  recordFields,
  recordHeaderBytes,
  type DecodedHeader,
  type RecordFault,
} from './segment-format.js';

/** One read of a backlog: large enough that the disk streams, small enough that a batch of it holds the loop for a few ms. */
const windowBytes = 2 * 1024 * 1024;
/** What is read around a bad sector; the page size, below which a disk read cannot fail by halves. */
const blockBytes = 4096;
/** How often a failing read is reported upward (and tried again) before its bytes are taken for lost. */
const readAttempts = 3;

/** A read failed; the same call may be made again. */
export class SpoolReadError extends Error {
  override readonly name = 'SpoolReadError';
  constructor(
    readonly segment: number,
    readonly code: string,
    options: ErrorOptions,
  ) {
    super(`cannot read spool segment ${segment}: ${code}`, options);
  }
}

export type ScanStep = 'record' | 'end' | 'need-bytes' | 'fault';

const nothing = Buffer.alloc(0);

export class SegmentScanner {
  /** Where the next record should be. */
  offset: number;
  /** The record that the last `step` found. */
  kind = 0;
  sequence: number;
  receivedAtMs = 0;
  payload: Buffer = nothing;
  /** Why the last `step` found none. */
  fault: RecordFault = 'marker';
  /** The end of the last read in which blocks could not be read; 0 when there was none. */
  unreadableUntil = 0;

  readonly #file: OpenFile;
  readonly #header: DecodedHeader;
  #window: Buffer = nothing;
  #windowStart = 0;
  /** The file was shorter than it should be. */
  #shortRead = false;
  #unreadableBlocks = false;
  #failedReads = 0;

  constructor(file: OpenFile, header: DecodedHeader, offset: number) {
    this.#file = file;
    this.#header = header;
    this.offset = offset;
    this.sequence = header.firstSequence - 1;
  }

  /** Takes the record at `offset` out of the window, without I/O, and moves behind it. `end` is where trust ends. */
  step(end: number): ScanStep {
    if (this.offset >= end) return 'end';
    const at = this.offset - this.#windowStart;
    const check = checkRecord(this.#window, at, this.#header.checksumSeed, this.offset);
    if (check === 'incomplete') {
      if (!this.#coversRecordAt(this.offset, end)) return 'need-bytes';
      this.fault = this.#shortRead ? 'missing-bytes' : 'length';
      return 'fault';
    }
    if (check !== 'whole') {
      this.fault = this.#unreadableBlocks ? 'unreadable' : check;
      return 'fault';
    }
    const sequence = recordFields.sequence(this.#window, at);
    if (sequence <= this.sequence) {
      this.fault = 'sequence';
      return 'fault';
    }
    const recordBytes = recordFields.recordBytes(this.#window, at);
    this.kind = recordFields.kind(this.#window, at);
    this.sequence = sequence;
    this.receivedAtMs = recordFields.receivedAtMs(this.#window, at);
    this.payload = this.#window.subarray(at + recordHeaderBytes, at + recordBytes);
    this.offset += recordBytes;
    return 'record';
  }

  /** Reads the window again, from `offset` on. @throws SpoolReadError */
  fill(end: number): Promise<void> {
    return this.#fillAt(this.offset, end);
  }

  /**
   * Where the next whole record begins behind the fault at `offset`; `end` when there is none. Linear in the bytes passed
   * over. @throws SpoolReadError
   */
  async findNextRecord(end: number): Promise<number> {
    let from = this.offset + 1;
    while (from < end) {
      const windowEnd = this.#windowStart + this.#window.length;
      if (from < this.#windowStart || from + markerBytes.length > windowEnd) {
        if (windowEnd >= end && from >= this.#windowStart) return end;
        await this.#fillAt(from, end);
        if (this.#window.length < markerBytes.length) return end;
        continue;
      }
      const at = this.#window.indexOf(markerBytes, from - this.#windowStart);
      if (at < 0) {
        from = windowEnd - markerBytes.length + 1;
        if (this.#shortRead || windowEnd >= end) return end;
        continue;
      }
      const candidate = this.#windowStart + at;
      const check = checkRecord(this.#window, at, this.#header.checksumSeed, candidate);
      if (check === 'incomplete' && !this.#coversRecordAt(candidate, end)) {
        await this.#fillAt(candidate, end);
        from = candidate;
        continue;
      }
      if (check === 'whole' && recordFields.sequence(this.#window, at) > this.sequence) return candidate;
      from = candidate + 1;
    }
    return end;
  }

  /** The bytes from `start` to `end` as they are; shorter where the file ends or cannot be read. */
  async rawBytes(start: number, end: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(end - start);
    try {
      return bytes.subarray(0, await this.#read(bytes, start));
    } catch {
      return nothing;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** Whether the window holds as much as there is of a record at `offset`, so that `incomplete` is a fault. */
  #coversRecordAt(offset: number, end: number): boolean {
    if (offset < this.#windowStart || offset > this.#windowStart + this.#window.length) return false;
    if (this.#shortRead) return true;
    return this.#windowStart + this.#window.length >= Math.min(offset + maxRecordBytes, end);
  }

  async #fillAt(start: number, end: number): Promise<void> {
    // A fresh buffer each time: the payloads handed out are views into the one before.
    const bytes = Buffer.allocUnsafeSlow(Math.min(windowBytes, end - start));
    let length: number;
    let unreadableBlocks = false;
    try {
      length = await this.#read(bytes, start);
    } catch (error) {
      this.#failedReads += 1;
      if (this.#failedReads < readAttempts) {
        throw new SpoolReadError(this.#header.number, errorCode(error), { cause: error });
      }
      length = await this.#readByBlocks(bytes, start);
      unreadableBlocks = true;
      this.unreadableUntil = start + length;
    }
    this.#failedReads = 0;
    this.#window = bytes.subarray(0, length);
    this.#windowStart = start;
    this.#shortRead = length < bytes.length;
    this.#unreadableBlocks = unreadableBlocks;
  }

  async #read(bytes: Buffer, start: number): Promise<number> {
    let done = 0;
    while (done < bytes.length) {
      const read = await this.#file.read(done === 0 ? bytes : bytes.subarray(done), start + done);
      if (read <= 0) break;
      done += read;
    }
    return done;
  }

  /** Reads what can be read; a block that fails stays zero, which no record's checksum survives. */
  async #readByBlocks(bytes: Buffer, start: number): Promise<number> {
    bytes.fill(0);
    let at = 0;
    while (at < bytes.length) {
      const end = Math.min(bytes.length, at + blockBytes - ((start + at) % blockBytes));
      try {
        await this.#read(bytes.subarray(at, end), start + at);
      } catch {
        bytes.fill(0, at, end);
      }
      at = end;
    }
    return bytes.length;
  }
}
