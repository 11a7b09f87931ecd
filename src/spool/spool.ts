/**
 * The spool: append-only files of acknowledged facts. Enters: records (kind, time, payload). Leaves: an answer per record
 * once it is synced, and all durable records again, in order, to whoever reads. Invariant: a record that was answered
 * `ok: true` is read back exactly once per pass, in order and byte for byte, over any number of crashes, power cuts and
 * failing disks; only the loss of the disk itself loses it.
 *
 * A record that was answered `ok: false` must not be acknowledged. It is ruled out for good by the header of the segment that
 * takes the next record, so it never comes back once the same process has acknowledged a later one. If the process dies
 * before that, what is found whole at the next start counts as durable, refused and unanswered records included: the fact is
 * genuine, its sender repeats it, and applying is idempotent.
 *
 * Positions belong to `uuid`. A restart always begins a new segment, so a position that was once handed out never comes to
 * mean another record, even when the end of the last segment was lost to damage.
 */

import { randomUUID } from 'node:crypto';
import { containedAlarm, type RaiseAlarm } from './alarm.js';
import { systemClock, type SpoolClock } from './clock.js';
import { nodeFiles, type FileLayer } from './file-layer.js';
import type { FolderLock } from './folder-lock.js';
import { GroupWriter, type AppendFailure } from './group-writer.js';
import { comparePositions, formatPosition, SpoolPositionError, type Position } from './position.js';
import { SpoolReader, type CorruptRegion, type ReaderSource } from './reader.js';
import type { OnDurable } from './record-group.js';
import { recoverFolder } from './recovery.js';
import { Retention } from './retention.js';
import { SegmentCatalog } from './segment-catalog.js';
import { maxRecordBytes } from './segment-format.js';

const mebibyte = 1024 * 1024;
/** A segment is the unit of retention: some minutes of a large provider's interims, and an hour of a small one's. */
const defaultSegmentBytes = 64 * mebibyte;
/** Offsets are 32 bits wide and a segment may overrun its size by one group. */
const maxSegmentBytes = 1024 * mebibyte;
/** About a second of 300-byte records at full speed: what waits longer has been sent again by its NAS anyway. */
const defaultMaxQueuedBytes = 16 * mebibyte;
const defaultMaxQueuedRecords = 65_536;
/** Seven days: last night's dump of the database plus the spool is nothing lost, a long weekend included. */
const defaultRetentionMs = 7 * 24 * 3_600_000;

export interface SpoolOptions {
  /** Made when it is missing; holds nothing else. */
  readonly directory: string;
  /** Where damaged bytes go. Called while a batch is read, before records from behind the damage are returned. */
  readonly onCorrupt: (region: CorruptRegion) => void;
  readonly onAlarm: RaiseAlarm;
  readonly files?: FileLayer;
  readonly clock?: SpoolClock;
  /** A segment that has reached this is left; 64 MiB. */
  readonly segmentBytes?: number;
  /** Bounds of what is accepted and not yet synced; 16 MiB and 65,536 records. */
  readonly maxQueuedBytes?: number;
  readonly maxQueuedRecords?: number;
  /** How long applied segments stay; seven days. */
  readonly retentionMs?: number;
}

export interface SpoolStatus {
  readonly uuid: string;
  readonly appendable: boolean;
  /** The end of the last durable record. */
  readonly syncedPosition: Position;
  /** As last told by `setApplied`; undefined before. */
  readonly appliedPosition: Position | undefined;
  /** Durable records since the spool was made, and the same with those that still wait for their sync. */
  readonly syncedSequence: number;
  readonly appendedSequence: number;
  readonly queuedRecords: number;
  readonly queuedBytes: number;
  /** Durable and not applied. Records that damage took are counted until the position is past them. */
  readonly backlogRecords: number;
  readonly backlogBytes: number;
  readonly oldestUnappliedReceivedAtMs: number | undefined;
  /** When the write and sync under way began; a disk that hangs shows here. */
  readonly commitStartedAtMs: number | undefined;
  readonly lastError: AppendFailure | undefined;
  readonly segmentCount: number;
  readonly bytesOnDisk: number;
}

interface OpenedParts {
  readonly uuid: string;
  readonly catalog: SegmentCatalog;
  readonly lock: FolderLock;
  readonly highestNumber: number;
}

export class Spool {
  readonly uuid: string;
  readonly #catalog: SegmentCatalog;
  readonly #lock: FolderLock;
  readonly #writer: GroupWriter;
  readonly #retention: Retention;
  readonly #source: ReaderSource;
  readonly #readers = new Set<SpoolReader>();
  readonly #waiters = new Set<() => void>();
  #applied: Position | undefined;
  #closing: Promise<void> | undefined;
  /** The first unapplied record as last looked up, and the position it was looked up for. */
  #oldest: { position: Position; sequence: number; receivedAtMs: number } | undefined;

  /**
   * Opens the folder, alone, and brings it in order. Resolves also when the disk takes no writes at the moment: then
   * `appendable` is false, the backlog can be read, and appending begins by itself.
   * @throws SpoolLockedError, SpoolForeignSegmentError, SpoolVersionError, SpoolReadError, RangeError for an option out of its
   * bounds, or the file layer's error when the folder cannot be made or listed.
   */
  static async open(options: SpoolOptions): Promise<Spool> {
    checkOptions(options);
    const files = options.files ?? nodeFiles;
    await files.makeDirectory(options.directory);
    const lock = await files.lockDirectory(options.directory);
    try {
      const found = await recoverFolder(files, options.directory, containedAlarm(options.onAlarm));
      const catalog = new SegmentCatalog(found.segments, found.nextSequence, found.passedOver);
      const uuid = found.uuid ?? randomUUID();
      const spool = new Spool(options, files, { uuid, catalog, lock, highestNumber: found.highestNumber });
      await spool.#writer.start();
      return spool;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  private constructor(options: SpoolOptions, files: FileLayer, parts: OpenedParts) {
    const { directory, onCorrupt, clock = systemClock } = options;
    const { uuid, catalog } = parts;
    const raise = containedAlarm(options.onAlarm);
    this.uuid = uuid;
    this.#catalog = catalog;
    this.#lock = parts.lock;
    this.#writer = new GroupWriter({
      files,
      directory,
      uuid,
      catalog,
      nextSegment: parts.highestNumber + 1,
      clock,
      segmentBytes: options.segmentBytes ?? defaultSegmentBytes,
      maxQueuedBytes: options.maxQueuedBytes ?? defaultMaxQueuedBytes,
      maxQueuedRecords: options.maxQueuedRecords ?? defaultMaxQueuedRecords,
      raise,
      onSynced: () => this.#wakeWaiters(),
    });
    const retentionMs = options.retentionMs ?? defaultRetentionMs;
    this.#retention = new Retention({ files, directory, catalog, clock, retentionMs, raise });
    this.#source = {
      uuid,
      files,
      catalog,
      raise,
      onCorrupt,
      onceChanged: (wake) => {
        this.#waiters.add(wake);
        return () => this.#waiters.delete(wake);
      },
      isClosed: () => this.#closing !== undefined,
      onReaderClosed: (reader) => this.#readers.delete(reader),
    };
  }

  /** Whether `append` can take a record now; false means that nothing may be acknowledged. */
  get appendable(): boolean {
    return this.#writer.appendable;
  }

  /** The sequence of the last durable record; 0 before the first. */
  get syncedSequence(): number {
    return this.#catalog.nextSequence - 1;
  }

  /** The same with the records that wait for their sync: what is accepted, be it durable or not. */
  get appendedSequence(): number {
    return this.syncedSequence + this.#writer.queuedRecords;
  }

  /**
   * Accepts a record. `onDurable` is called once, later, in the order of acceptance: with `ok: true` after the sync that made
   * the record durable has returned, or with `ok: false`, and then it must not be acknowledged.
   *
   * @param kind 0-255, the caller's own.
   * @param receivedAtMs milliseconds since the epoch; fractions are cut off.
   * @param payload at most 64 KiB; copied, so the buffer can be used again at once.
   * @returns false when the queue is full, the disk fails or the spool is closed: `onDurable` is never called then, and the
   * record must not be acknowledged.
   * @throws RangeError for an argument out of its bounds.
   */
  append(kind: number, receivedAtMs: number, payload: Uint8Array, onDurable: OnDurable): boolean {
    return this.#writer.append(kind, receivedAtMs, payload, onDurable);
  }

  /**
   * A reader that begins at `from`: `'start'`, or where an earlier one stopped (`nextPosition`). A position whose segment has
   * been removed goes on with the oldest one kept.
   * @throws SpoolPositionError when the position lies past the end of this spool.
   */
  reader(from: Position | 'start'): SpoolReader {
    const reader = new SpoolReader(this.#source, from === 'start' ? this.#catalog.startPosition() : from);
    this.#readers.add(reader);
    return reader;
  }

  /**
   * Everything before `position` has been applied and committed; wholly applied segments past their retention are removed. A
   * position below an earlier one is ignored.
   * @throws SpoolPositionError when the position lies past the end of this spool.
   */
  setApplied(position: Position): void {
    if (this.#catalog.isAhead(position)) {
      throw new SpoolPositionError(`position ${formatPosition(position)} lies past the end of spool ${this.uuid}`);
    }
    if (this.#applied === undefined || comparePositions(position, this.#applied) > 0) this.#applied = position;
    if (this.#closing === undefined) this.#retention.consider(this.#applied);
  }

  /**
   * How the spool does. Reads one record from disk when the applied position has moved. Never rejects: while the disk does not
   * answer, the backlog is counted from the start of its segment and the oldest time is unknown.
   */
  async status(): Promise<SpoolStatus> {
    const applied = this.#applied ?? this.#catalog.startPosition();
    const oldest = await this.#oldestUnapplied(applied);
    const writer = this.#writer;
    const syncedSequence = this.#catalog.nextSequence - 1;
    return {
      uuid: this.uuid,
      appendable: writer.appendable,
      syncedPosition: this.#catalog.endPosition(),
      appliedPosition: this.#applied,
      syncedSequence,
      appendedSequence: syncedSequence + writer.queuedRecords,
      queuedRecords: writer.queuedRecords,
      queuedBytes: writer.queuedBytes,
      backlogRecords: oldest === undefined ? 0 : syncedSequence - oldest.sequence + 1,
      backlogBytes: this.#catalog.bytesAfter(applied),
      oldestUnappliedReceivedAtMs: oldest?.receivedAtMs,
      commitStartedAtMs: writer.commitStartedAtMs,
      lastError: writer.lastFailure,
      segmentCount: this.#catalog.segments.length,
      bytesOnDisk: this.#catalog.bytesOnDisk(),
    };
  }

  /** Syncs and answers what was accepted, closes readers and files, lets go of the lock. No timer is left. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer.close();
    await this.#retention.stop();
    this.#wakeWaiters();
    await Promise.all([...this.#readers].map((reader) => reader.close()));
    await this.#lock.release().catch(() => undefined);
  }

  #wakeWaiters(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  async #oldestUnapplied(
    applied: Position,
  ): Promise<{ sequence: number; receivedAtMs: number | undefined } | undefined> {
    const place = this.#catalog.locate(applied);
    if (place === undefined) return undefined;
    if (this.#oldest !== undefined && comparePositions(this.#oldest.position, applied) === 0) return this.#oldest;
    // Damage is reported by whoever replays; this reader only looks.
    const peek = new SpoolReader(
      { ...this.#source, onCorrupt: () => undefined, raise: () => undefined, onReaderClosed: () => undefined },
      applied,
    );
    try {
      const [record] = await peek.readBatch({ maxRecords: 1, maxBytes: maxRecordBytes });
      if (record === undefined) return undefined;
      this.#oldest = { position: applied, sequence: record.sequence, receivedAtMs: record.receivedAtMs };
      return this.#oldest;
    } catch {
      return { sequence: place.segment.header.firstSequence, receivedAtMs: undefined };
    } finally {
      await peek.close();
    }
  }
}

function checkOptions(options: SpoolOptions): void {
  const within = (name: string, value: number | undefined, least: number, most: number): void => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) return;
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}, not ${value}`);
  };
  within('segmentBytes', options.segmentBytes, 2048, maxSegmentBytes);
  within('maxQueuedBytes', options.maxQueuedBytes, maxRecordBytes, maxSegmentBytes);
  within('maxQueuedRecords', options.maxQueuedRecords, 1, 10_000_000);
  within('retentionMs', options.retentionMs, 0, Number.MAX_SAFE_INTEGER);
}
