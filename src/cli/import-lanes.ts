/**
 * Rows of an import on their way to the database, several batches at once.
 *
 * Enters: rows in the order of the file. Leaves: batches, and what became of them. Invariants: rows of one contract take one
 * lane, in their order, so that of several the last one counts; a lane writes one batch at a time; no more is held than a
 * batch being written and one being filled for each lane.
 */
import type { ImportRow } from '../store/import-columns.js';
import type { ImportOutcome } from '../store/subscriber-import.js';

/** How rows travel. */
export interface LaneOptions {
  /** Batches that are written at once. */
  readonly lanes: number;
  /** Rows of one batch. */
  readonly batchRows: number;
  readonly write: (rows: readonly ImportRow[]) => Promise<ImportOutcome>;
  /** Told when a batch is written. */
  readonly onWritten: (outcome: ImportOutcome, rows: readonly ImportRow[]) => void;
}

interface Lane {
  filling: ImportRow[];
  writing: Promise<void>;
}

/** Takes rows to the database. */
export class ImportLanes {
  private readonly lanes: readonly Lane[];

  constructor(private readonly options: LaneOptions) {
    this.lanes = Array.from({ length: options.lanes }, () => ({ filling: [], writing: Promise.resolve() }));
  }

  /**
   * Takes one row.
   *
   * @returns a promise when the row filled a batch: it settles when that batch is on its way
   * @throws what writing threw, for this batch or an earlier one of its lane
   */
  add(row: ImportRow): Promise<void> | undefined {
    const lane = this.lanes[laneOf(row.contract ?? row.login, this.lanes.length)]!;
    return lane.filling.push(row) < this.options.batchRows ? undefined : this.send(lane);
  }

  /** Writes what is left and waits for everything. */
  async end(): Promise<void> {
    for (const lane of this.lanes) await this.send(lane);
    await this.settled();
  }

  /** Waits until nothing is being written. @throws what the first lane that failed threw */
  async settled(): Promise<void> {
    const ends = await Promise.allSettled(this.lanes.map((lane) => lane.writing));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  private async send(lane: Lane): Promise<void> {
    await lane.writing;
    const rows = lane.filling;
    if (rows.length === 0) return;
    lane.filling = [];
    lane.writing = this.options.write(rows).then((outcome) => {
      this.options.onWritten(outcome, rows);
    });
    // Heard here too, so that a failure while lines are still being read is not an unhandled one.
    lane.writing.catch(() => undefined);
  }
}

/** FNV-1a, 32 bits: neighbours in the file must not all take the same lane. */
function laneOf(key: string, lanes: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % lanes;
}
