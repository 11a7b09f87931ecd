/**
 * Records on their way to the disk together. Enters: records as they are accepted. Leaves: one contiguous run of bytes, and
 * later one answer per record, in the order of arrival. Invariant: a group is answered exactly once, wholly one way.
 */

import type { Position } from './position.js';
import { recordHeaderBytes, stampRecord, writeRecordBody } from './segment-format.js';

/** What became of a record: it lasts and lies at `position`, or it must not be acknowledged. */
export type AppendResult =
  { readonly ok: true; readonly position: Position } | { readonly ok: false; readonly error: SpoolAppendError };

export type OnDurable = (result: AppendResult) => void;

/** A record was not made durable. One error is shared by all records that failed together. */
export class SpoolAppendError extends Error {
  override readonly name = 'SpoolAppendError';
  constructor(
    readonly operation: 'write' | 'sync' | 'roll' | 'close',
    /** The errno's name, such as ENOSPC. */
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(`the spool could not ${operation}: ${code}`, options);
  }
}

/**
 * One write. A quarter of a mebibyte costs a disk hardly more than a kibibyte, and 1,024 answers hold the event loop for a
 * few milliseconds, below the 20 ms that nothing may exceed.
 */
const groupBytes = 256 * 1024;
const groupRecords = 1024;

export class RecordGroup {
  /** Records in it. */
  count = 0;
  /** Bytes in it. */
  bytes = 0;
  readonly #buffer = Buffer.allocUnsafeSlow(groupBytes);
  readonly #callbacks = new Array<OnDurable | undefined>(groupRecords).fill(undefined);
  readonly #lengths = new Uint32Array(groupRecords);

  /** Whether a payload of `payloadBytes` still fits. */
  hasRoom(payloadBytes: number): boolean {
    return this.count < groupRecords && this.bytes + recordHeaderBytes + payloadBytes <= groupBytes;
  }

  /** Copies the record in; `payload` is the caller's again. */
  add(kind: number, receivedAtMs: number, payload: Uint8Array, onDurable: OnDurable): void {
    const length = writeRecordBody(this.#buffer, this.bytes, kind, receivedAtMs, payload);
    this.#lengths[this.count] = length;
    this.#callbacks[this.count] = onDurable;
    this.count += 1;
    this.bytes += length;
  }

  /** Gives every record its place and checksum, and returns the bytes to write at `offset`. */
  stamp(seed: number, offset: number, firstSequence: number): Buffer {
    let at = 0;
    for (let index = 0; index < this.count; index += 1) {
      at += stampRecord(this.#buffer, at, seed, offset + at, firstSequence + index);
    }
    return this.#buffer.subarray(0, this.bytes);
  }

  /** Answers every record that it lasts, in order. `onThrow` hears of a callback that threw. */
  succeed(segment: number, offset: number, onThrow: (error: unknown) => void): void {
    let at = offset;
    for (let index = 0; index < this.count; index += 1) {
      this.#answer(index, { ok: true, position: { segment, offset: at } }, onThrow);
      at += this.#lengths[index] ?? 0;
    }
    this.#reset();
  }

  /** Answers every record that it must not be acknowledged, in order. */
  fail(error: SpoolAppendError, onThrow: (error: unknown) => void): void {
    const result: AppendResult = { ok: false, error };
    for (let index = 0; index < this.count; index += 1) this.#answer(index, result, onThrow);
    this.#reset();
  }

  #answer(index: number, result: AppendResult, onThrow: (error: unknown) => void): void {
    const callback = this.#callbacks[index];
    this.#callbacks[index] = undefined;
    try {
      callback?.(result);
    } catch (error) {
      onThrow(error);
    }
  }

  #reset(): void {
    this.count = 0;
    this.bytes = 0;
  }
}

/** Emptied groups kept for use again (4 MiB): a steady load then allocates none, and a burst gives its memory back. */
const maxSpareGroups = 16;

/** Groups that wait, oldest first; the last one gathers. */
export class GroupQueue {
  readonly #waiting: RecordGroup[] = [];
  readonly #spare: RecordGroup[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** The group that takes a payload of `payloadBytes`. */
  gathering(payloadBytes: number): RecordGroup {
    const last = this.#waiting.at(-1);
    if (last?.hasRoom(payloadBytes) === true) return last;
    const group = this.#spare.pop() ?? new RecordGroup();
    this.#waiting.push(group);
    return group;
  }

  /** Takes the oldest group out. */
  take(): RecordGroup | undefined {
    return this.#waiting.shift();
  }

  recycle(group: RecordGroup): void {
    if (this.#spare.length < maxSpareGroups) this.#spare.push(group);
  }
}
