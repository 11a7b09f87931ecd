/**
 * The write path: group commit, and what follows an error. Enters: records. Leaves: synced bytes, then one answer per
 * record, in order. Invariant: a record is answered `ok` only after the sync of the write that holds it has returned, and
 * once a write or sync has failed, that segment is never appended to again: the next segment's header names how much of it
 * counts.
 */

import { randomBytes } from 'node:crypto';
import type { AppendOperation, RaiseAlarm } from './alarm.js';
import type { SpoolClock } from './clock.js';
import { errorCode, writeFully, type FileLayer, type OpenFile } from './file-layer.js';
import { GroupQueue, SpoolAppendError, type OnDurable, type RecordGroup } from './record-group.js';
import { createSegment, cutUntrustedTail } from './segment-files.js';
import type { Segment, SegmentCatalog } from './segment-catalog.js';
import { dataStartOffset, maxPayloadBytes, recordHeaderBytes } from './segment-format.js';

// The first retry comes soon, because one bad write is often alone; the last ones keep well within the 5 s in which a freed
// disk must be noticed.
const firstRetryMs = 10;
const maxRetryMs = 2_000;

export interface GroupWriterOptions {
  readonly files: FileLayer;
  readonly directory: string;
  readonly uuid: string;
  readonly catalog: SegmentCatalog;
  /** The number that the next segment gets. */
  readonly nextSegment: number;
  readonly clock: SpoolClock;
  readonly segmentBytes: number;
  readonly maxQueuedBytes: number;
  readonly maxQueuedRecords: number;
  readonly raise: RaiseAlarm;
  /** Called when more records are durable, before they are answered. */
  readonly onSynced: () => void;
}

export interface AppendFailure {
  readonly atMs: number;
  readonly operation: AppendOperation;
  readonly code: string;
  readonly message: string;
}

type WriterState = 'appending' | 'failing' | 'closed';

export class GroupWriter {
  lastFailure: AppendFailure | undefined;
  /** Records accepted and not yet answered, and their bytes as they lie in a segment. */
  queuedRecords = 0;
  queuedBytes = 0;
  /** When the write that is under way began; a disk that hangs shows here. */
  commitStartedAtMs: number | undefined;

  readonly #options: GroupWriterOptions;
  readonly #queue = new GroupQueue();
  #state: WriterState = 'failing';
  #file: OpenFile | undefined;
  #live: Segment | undefined;
  #nextSegment: number;
  /** The commit loop while it runs; never rejects. */
  #pump: Promise<void> | undefined;
  #scheduled: NodeJS.Immediate | undefined;
  #cancelRetry: (() => void) | undefined;
  /** The attempt to go on while it runs; never rejects. */
  #retry: Promise<void> | undefined;
  #attempts = 0;
  #failingSinceMs = 0;

  constructor(options: GroupWriterOptions) {
    this.#options = options;
    this.#nextSegment = options.nextSegment;
  }

  get appendable(): boolean {
    return this.#state === 'appending';
  }

  /** Makes the first segment of this run. When that fails the writer is not appendable yet, and tries on by itself. */
  async start(): Promise<void> {
    this.#failingSinceMs = this.#options.clock.nowMs();
    try {
      await this.#openNextSegment();
      this.#state = 'appending';
    } catch (error) {
      this.#beginFailing(new SpoolAppendError('roll', errorCode(error), { cause: error }), 'roll');
    }
  }

  /**
   * Takes a record for the next group; false when the queue is full or the disk fails. The payload is copied.
   * @throws RangeError for a kind beyond a byte, a payload beyond 64 KiB, or a time that is no instant.
   */
  append(kind: number, receivedAtMs: number, payload: Uint8Array, onDurable: OnDurable): boolean {
    if (this.#state !== 'appending') return false;
    if (payload.length > maxPayloadBytes) throw new RangeError(`payload of ${payload.length} bytes is too large`);
    if (!(kind >= 0 && kind <= 255 && Number.isInteger(kind))) throw new RangeError(`kind ${kind} is not a byte`);
    if (!(receivedAtMs >= 0 && receivedAtMs <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(`receivedAtMs ${receivedAtMs} is not an instant`);
    }
    const bytes = recordHeaderBytes + payload.length;
    if (this.queuedRecords >= this.#options.maxQueuedRecords) return false;
    if (this.queuedBytes + bytes > this.#options.maxQueuedBytes) return false;
    this.#queue.gathering(payload.length).add(kind, Math.trunc(receivedAtMs), payload, onDurable);
    this.queuedRecords += 1;
    this.queuedBytes += bytes;
    // Deferred to the end of the poll phase, so that all packets that one wake-up of the socket brings share a sync.
    if (this.#pump === undefined && this.#scheduled === undefined) {
      this.#scheduled = setImmediate(() => {
        this.#scheduled = undefined;
        this.#startPump();
      });
    }
    return true;
  }

  /** Answers everything accepted, then lets go of the file. No timer is left. Never rejects. */
  async close(): Promise<void> {
    if (this.#scheduled !== undefined) {
      clearImmediate(this.#scheduled);
      this.#scheduled = undefined;
    }
    const wasAppending = this.#state === 'appending';
    this.#state = 'closed';
    if (wasAppending && this.#pump === undefined) this.#startPump();
    await this.#pump;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    await this.#retry;
    await this.#closeFile();
  }

  #startPump(): void {
    if (!this.#queue.isEmpty) this.#pump = this.#commitGroups();
  }

  /** Commits group after group. The answers of one are given while the next is on its way to the disk. */
  async #commitGroups(): Promise<void> {
    let answerDurable: (() => void) | undefined;
    for (;;) {
      const group = this.#queue.take();
      const commit = group === undefined ? undefined : this.#commit(group);
      answerDurable?.();
      answerDurable = undefined;
      if (commit !== undefined) answerDurable = await commit;
      else if (this.#queue.isEmpty) {
        // In the same turn as the look at the queue: whoever appends next sees that it has to start the loop again.
        this.#pump = undefined;
        return;
      }
    }
  }

  /** Writes and syncs one group. Resolves to what answers its records, or to undefined when they have been refused. */
  async #commit(group: RecordGroup): Promise<(() => void) | undefined> {
    const { catalog, clock, segmentBytes, onSynced } = this.#options;
    let operation: AppendOperation = 'roll';
    this.commitStartedAtMs = clock.nowMs();
    try {
      if (this.#live === undefined || this.#live.endOffset >= segmentBytes) await this.#openNextSegment();
      const file = this.#file;
      const live = this.#live;
      if (file === undefined || live === undefined) throw new TypeError('no segment is open');
      operation = 'write';
      const offset = live.endOffset;
      const bytes = group.stamp(live.header.checksumSeed, offset, catalog.nextSequence);
      live.fileBytes = offset + bytes.length;
      await writeFully(file, bytes, offset);
      operation = 'sync';
      await file.syncData();
      live.endOffset = offset + bytes.length;
      catalog.nextSequence += group.count;
      this.#attempts = 0;
      onSynced();
      return () => this.#answerDurable(group, live.header.number, offset);
    } catch (error) {
      this.#beginFailing(new SpoolAppendError(operation, errorCode(error), { cause: error }), operation, group);
      return undefined;
    } finally {
      this.commitStartedAtMs = undefined;
    }
  }

  #answerDurable(group: RecordGroup, segment: number, offset: number): void {
    this.#forget(group);
    group.succeed(segment, offset, this.#onThrow);
    this.#queue.recycle(group);
  }

  /** Everything accepted and not synced is refused, and an attempt to go on is due after a pause. */
  #beginFailing(error: SpoolAppendError, operation: AppendOperation, group?: RecordGroup): void {
    const { clock, raise } = this.#options;
    if (this.#state === 'appending') {
      this.#state = 'failing';
      this.#failingSinceMs = clock.nowMs();
    }
    this.lastFailure = { atMs: clock.nowMs(), operation, code: error.code, message: error.message };
    let refusedRecords = 0;
    for (let refused = group ?? this.#queue.take(); refused !== undefined; refused = this.#queue.take()) {
      refusedRecords += refused.count;
      this.#forget(refused);
      refused.fail(error, this.#onThrow);
      this.#queue.recycle(refused);
    }
    const retryInMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(this.#attempts, 16));
    this.#attempts += 1;
    const { code, message } = error;
    raise({ type: 'append-failed', operation, code, message, attempt: this.#attempts, refusedRecords, retryInMs });
    if (this.#state === 'closed') return;
    this.#cancelRetry = clock.startTimer(retryInMs, () => {
      this.#cancelRetry = undefined;
      this.#retry = this.#goOn().then(() => {
        this.#retry = undefined;
      });
    });
  }

  /** Leaves the segment that failed and opens the next one; when that fails too, waits longer. */
  async #goOn(): Promise<void> {
    const { clock, raise } = this.#options;
    try {
      await this.#closeFile();
      if (this.#live !== undefined) await cutUntrustedTail(this.#options.files, this.#live);
      await this.#openNextSegment();
    } catch (error) {
      this.#beginFailing(new SpoolAppendError('roll', errorCode(error), { cause: error }), 'roll');
      return;
    }
    if (this.#state === 'closed') return;
    this.#state = 'appending';
    const outageMs = clock.nowMs() - this.#failingSinceMs;
    raise({ type: 'append-recovered', segment: this.#nextSegment - 1, outageMs, attempts: this.#attempts });
  }

  /** Seals the newest segment with the header of the next one, and appends there from now on. */
  async #openNextSegment(): Promise<void> {
    const { files, directory, uuid, catalog, clock } = this.#options;
    const newest = catalog.newest;
    // A segment in which nothing was ever acknowledged is passed over, so that a full disk is not filled with headers.
    const passedOver = newest !== undefined && this.#holdsNothing(newest) ? newest : undefined;
    const { file, segment } = await createSegment(files, directory, {
      uuid,
      salt: randomBytes(16).toString('hex'),
      number: this.#nextSegment,
      firstSequence: catalog.nextSequence,
      createdAtMs: Math.max(0, Math.trunc(clock.nowMs())),
      previousNumber: passedOver?.header.previousNumber ?? newest?.header.number ?? 0,
      previousLength: passedOver?.header.previousLength ?? newest?.endOffset ?? 0,
    });
    await this.#closeFile();
    this.#file = file;
    this.#live = segment;
    this.#nextSegment += 1;
    catalog.add(segment);
    if (passedOver !== undefined) {
      catalog.remove(passedOver);
      catalog.passedOver.add(passedOver.path);
      // Recovery passes it over too, should it stay; retention sees to it that it does not.
      await files.unlink(passedOver.path).catch(() => undefined);
    }
  }

  /**
   * In this run: no group was synced into it. After a restart the file must be a bare header, because a record that was
   * acknowledged and then damaged may lie where no whole record is left.
   */
  #holdsNothing(segment: Segment): boolean {
    if (segment === this.#live) return segment.endOffset === dataStartOffset;
    return segment.fileBytes <= dataStartOffset;
  }

  #forget(group: RecordGroup): void {
    this.queuedRecords -= group.count;
    this.queuedBytes -= group.bytes;
  }

  readonly #onThrow = (error: unknown): void => {
    this.#options.raise({ type: 'callback-failed', message: error instanceof Error ? error.message : String(error) });
  };

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    // Everything that counts is synced already; an error here says nothing about it.
    await file?.close().catch(() => undefined);
  }
}
