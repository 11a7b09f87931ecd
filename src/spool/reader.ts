/**
 * Reads durable records in order. Enters: a position. Leaves: batches of records, and damaged bytes through a callback.
 * Invariant: no record past the synced end is ever seen, none is passed over in silence, and damage stops nothing: what is
 * not a record is handed to `onCorrupt` and reading goes on at the next whole record.
 */

import type { RaiseAlarm } from './alarm.js';
import { errorCode, type FileLayer } from './file-layer.js';
import { SpoolPositionError, formatPosition, type Position } from './position.js';
import type { Segment, SegmentCatalog } from './segment-catalog.js';
import { recordHeaderBytes, type RecordFault } from './segment-format.js';
import { SegmentScanner, SpoolReadError } from './segment-scanner.js';

/** The largest piece of damage handed over at once: what a database row or a log entry can still hold. */
const corruptPieceBytes = 64 * 1024;

export interface SpoolRecord {
  /** What the caller gave: 0-255. */
  readonly kind: number;
  readonly receivedAtMs: number;
  /** Counts durable records over the whole life of the spool, from 1, without gaps. */
  readonly sequence: number;
  readonly position: Position;
  /** Where reading goes on behind this record; what is stored once the record has been applied. */
  readonly nextPosition: Position;
  /** A view into a larger read: copy it to keep it for long, because it keeps the read in memory. */
  readonly payload: Buffer;
}

/**
 * Bytes between two records that are none. A long region comes in pieces of at most 64 KiB, in order. A region is reported
 * each time that a reader passes it, so (UUID, segment, offset) is its key.
 */
export interface CorruptRegion {
  readonly uuid: string;
  readonly segment: number;
  readonly offset: number;
  /** How much of the segment this piece stands for. */
  readonly length: number;
  /** The bytes as they are; fewer than `length` where the file has lost them. They may hold passwords. */
  readonly bytes: Buffer;
  readonly reason: RecordFault;
}

export interface BatchLimits {
  /** At least 1. */
  readonly maxRecords: number;
  /** Of records as they lie in a segment. A first record that is larger is returned alone. */
  readonly maxBytes: number;
}

export interface ReaderSource {
  readonly uuid: string;
  readonly files: FileLayer;
  readonly catalog: SegmentCatalog;
  readonly raise: RaiseAlarm;
  readonly onCorrupt: (region: CorruptRegion) => void;
  /** Calls `wake` once, when more records are durable or the spool closes. The result calls it off. */
  readonly onceChanged: (wake: () => void) => () => void;
  readonly isClosed: () => boolean;
  readonly onReaderClosed: (reader: SpoolReader) => void;
}

export class SpoolReader {
  #position: Position;
  readonly #source: ReaderSource;
  #segment: Segment | undefined;
  #scanner: SegmentScanner | undefined;
  #busy = false;
  #closed = false;

  /** @throws SpoolPositionError when `position` lies past the end of the spool: it belongs to another copy of it. */
  constructor(source: ReaderSource, position: Position) {
    if (source.catalog.isAhead(position)) {
      throw new SpoolPositionError(
        `position ${formatPosition(position)} lies past the end of spool ${source.uuid} ` +
          `(${formatPosition(source.catalog.endPosition())}): the folder is an older copy than the one that the position ` +
          "was taken from; read from 'start', since applying a record again changes nothing",
      );
    }
    this.#source = source;
    this.#position = position;
  }

  /** Where the next batch begins. */
  get position(): Position {
    return this.#position;
  }

  /**
   * The next durable records, at least one if there is any; empty when there is none, or when only damage was passed over.
   * One call at a time.
   * @throws SpoolReadError when the disk does not answer: nothing was passed over, call again after a pause. A disk that keeps
   * failing at one place has those bytes reported as `unreadable`, and reading goes on.
   */
  async readBatch(limits: BatchLimits): Promise<SpoolRecord[]> {
    if (this.#busy) throw new TypeError('a batch is being read already');
    this.#busy = true;
    try {
      return await this.#readBatch(limits);
    } finally {
      this.#busy = false;
      if (this.#isOver()) await this.#closeScanner();
    }
  }

  /**
   * Resolves to `records` when there is something to read at once or later, to `aborted` when `signal` fires and to `closed`
   * when the reader or the spool closes. Never rejects.
   */
  waitForRecords(signal?: AbortSignal): Promise<'records' | 'aborted' | 'closed'> {
    return new Promise((resolve) => {
      let cancel: (() => void) | undefined;
      const onAbort = (): void => finish('aborted');
      const finish = (outcome: 'records' | 'aborted' | 'closed'): void => {
        cancel?.();
        signal?.removeEventListener('abort', onAbort);
        resolve(outcome);
      };
      const look = (): void => {
        cancel = undefined;
        if (this.#isOver()) finish('closed');
        else if (signal?.aborted === true) finish('aborted');
        else if (this.#source.catalog.locate(this.#position) !== undefined) finish('records');
        else cancel = this.#source.onceChanged(look);
      };
      signal?.addEventListener('abort', onAbort);
      look();
    });
  }

  /** Lets go of the file. A batch that is being read comes to its end first. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#source.onReaderClosed(this);
    if (!this.#busy) await this.#closeScanner();
  }

  #isOver(): boolean {
    return this.#closed || this.#source.isClosed();
  }

  async #readBatch(limits: BatchLimits): Promise<SpoolRecord[]> {
    const records: SpoolRecord[] = [];
    let bytes = 0;
    while (!this.#isOver()) {
      const place = this.#source.catalog.locate(this.#position);
      if (place === undefined) break;
      const scanner = await this.#scannerAt(place.segment, place.offset);
      if (scanner === undefined) continue;
      const end = place.segment.endOffset;
      bytes = this.#takeRecords(scanner, place.segment.header.number, end, limits, records, bytes);
      // Whatever needs the disk again waits for the next call, so that a batch is one read at most.
      if (records.length > 0) break;
      const step = scanner.step(end);
      if (step === 'need-bytes') await scanner.fill(end);
      else if (step === 'fault') await this.#passOver(scanner, place.segment, end);
    }
    return records;
  }

  /** Takes what the window holds, up to the limits; returns the bytes of all `records`. */
  #takeRecords(
    scanner: SegmentScanner,
    segment: number,
    end: number,
    limits: BatchLimits,
    records: SpoolRecord[],
    bytesBefore: number,
  ): number {
    let bytes = bytesBefore;
    while (records.length < limits.maxRecords) {
      const previousSequence = scanner.sequence;
      if (scanner.step(end) !== 'record') break;
      const length = recordHeaderBytes + scanner.payload.length;
      if (records.length > 0 && bytes + length > limits.maxBytes) {
        scanner.offset -= length;
        scanner.sequence = previousSequence;
        break;
      }
      const nextPosition: Position = { segment, offset: scanner.offset };
      const position: Position = records.length > 0 ? this.#position : { segment, offset: scanner.offset - length };
      records.push({
        kind: scanner.kind,
        receivedAtMs: scanner.receivedAtMs,
        sequence: scanner.sequence,
        position,
        nextPosition,
        payload: scanner.payload,
      });
      bytes += length;
      this.#position = nextPosition;
    }
    return bytes;
  }

  /** The scanner of `segment`, standing at `offset`; undefined when the file is gone, which moves the position behind it. */
  async #scannerAt(segment: Segment, offset: number): Promise<SegmentScanner | undefined> {
    const { files, raise } = this.#source;
    if (this.#scanner !== undefined && this.#segment === segment) return this.#scanner;
    await this.#closeScanner();
    const { number } = segment.header;
    try {
      this.#scanner = new SegmentScanner(await files.open(segment.path, 'read'), segment.header, offset);
      this.#segment = segment;
      return this.#scanner;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw new SpoolReadError(number, errorCode(error), { cause: error });
      raise({ type: 'segment-missing', missing: number, before: number + 1 });
      this.#position = { segment: number, offset: segment.endOffset };
      return undefined;
    }
  }

  /** Hands the bytes that are no record to `onCorrupt` and moves to the next whole record, or to the end. */
  async #passOver(scanner: SegmentScanner, segment: Segment, end: number): Promise<void> {
    const { uuid, raise, onCorrupt } = this.#source;
    const { number } = segment.header;
    const reason = scanner.fault;
    const start = scanner.offset;
    const next = await scanner.findNextRecord(end);
    raise({ type: 'corrupt-region', segment: number, offset: start, length: next - start, reason });
    for (let offset = start; offset < next; offset += corruptPieceBytes) {
      const length = Math.min(corruptPieceBytes, next - offset);
      const bytes = await scanner.rawBytes(offset, offset + length);
      try {
        onCorrupt({ uuid, segment: number, offset, length, bytes, reason });
      } catch (error) {
        raise({ type: 'callback-failed', message: error instanceof Error ? error.message : String(error) });
      }
    }
    scanner.offset = next;
    this.#position = { segment: number, offset: next };
  }

  async #closeScanner(): Promise<void> {
    const scanner = this.#scanner;
    this.#scanner = undefined;
    this.#segment = undefined;
    await scanner?.close().catch(() => undefined);
  }
}
