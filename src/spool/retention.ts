/**
 * Removes segments that nobody needs any more. Enters: the applied position and the wall clock. Leaves: a smaller folder.
 * Invariant: a segment goes only when every record in it has been applied, its newest record is older than the retention,
 * and all older segments went before it. The newest segment never goes.
 */

import type { RaiseAlarm } from './alarm.js';
import type { SpoolClock } from './clock.js';
import { errorCode, type FileLayer } from './file-layer.js';
import { comparePositions, type Position } from './position.js';
import type { Segment, SegmentCatalog } from './segment-catalog.js';

/**
 * After a removal that failed, the next attempt waits: every applied batch asks, and a read-only disk would be hammered and
 * alarm each time.
 */
const pauseAfterFailureMs = 60_000;

export interface RetentionOptions {
  readonly files: FileLayer;
  readonly directory: string;
  readonly catalog: SegmentCatalog;
  readonly clock: SpoolClock;
  readonly retentionMs: number;
  readonly raise: RaiseAlarm;
}

export class Retention {
  readonly #options: RetentionOptions;
  #applied: Position | undefined;
  #sweep: Promise<void> | undefined;
  #notBeforeMs = -Infinity;
  #stopped = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Starts a sweep up to `applied` unless one is running. Costs two comparisons when nothing is due. */
  consider(applied: Position): void {
    this.#applied = applied;
    if (this.#sweep !== undefined || this.#stopped || this.#due() === undefined) return;
    this.#sweep = this.#removeDue().finally(() => {
      this.#sweep = undefined;
    });
  }

  /** Stops after the removal that is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#sweep;
  }

  #due(): Segment | undefined {
    const { catalog, clock, retentionMs } = this.#options;
    const [oldest, successor] = catalog.segments;
    if (oldest === undefined || successor === undefined || this.#applied === undefined) return undefined;
    const end = { segment: oldest.header.number, offset: oldest.endOffset };
    if (comparePositions(end, this.#applied) > 0) return undefined;
    const nowMs = clock.nowMs();
    if (nowMs < this.#notBeforeMs) return undefined;
    // The successor was made when the oldest got its last record.
    return nowMs - successor.header.createdAtMs > retentionMs ? oldest : undefined;
  }

  /** One file after the other, each with its own turns of the event loop. */
  async #removeDue(): Promise<void> {
    const { files, directory, catalog, clock, raise } = this.#options;
    for (let due = this.#due(); due !== undefined && !this.#stopped; due = this.#due()) {
      try {
        const passedOver = [...catalog.passedOver];
        for (const path of passedOver) await this.#unlink(path);
        // Whatever went before is gone for good before the next one goes. So a power cut leaves no hole in the row, and no
        // file that was passed over outlives the header that passed it over.
        await files.syncDirectory(directory);
        for (const path of passedOver) catalog.passedOver.delete(path);
        await this.#unlink(due.path);
        catalog.remove(due);
      } catch (error) {
        this.#notBeforeMs = clock.nowMs() + pauseAfterFailureMs;
        const message = error instanceof Error ? error.message : String(error);
        raise({ type: 'retention-failed', segment: due.header.number, code: errorCode(error), message });
        return;
      }
    }
  }

  async #unlink(path: string): Promise<void> {
    await this.#options.files.unlink(path).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
  }
}
