// Enters: the text of a pg_snapshot. Leaves: its parts (PostgreSQL documentation, "Transaction ID and Snapshot Information
// Functions"). Invariant: transaction ids are 64-bit and do not wrap.

/** Which transactions a statement could see. */
export interface Snapshot {
  /** Every transaction below is over. */
  readonly xmin: bigint;
  /** No transaction at or above had begun to write. */
  readonly xmax: bigint;
  /** Those between that were still in progress. */
  readonly inProgress: readonly bigint[];
}

/**
 * Reads `xmin:xmax:xid,xid,…`.
 *
 * @throws RangeError when the text is no snapshot: the server speaks something else
 */
export function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):(\d+(?:,\d+)*)?$/.exec(text);
  if (!match) throw new RangeError(`not a pg_snapshot: ${JSON.stringify(text.slice(0, 100))}`);
  return {
    xmin: BigInt(match[1]!),
    xmax: BigInt(match[2]!),
    inProgress: match[3] === undefined ? [] : match[3].split(',').map(BigInt),
  };
}

/** Whether a later poll saw less than an earlier one: the database was set back to an older state. */
export function snapshotWentBack(earlier: Snapshot, later: Snapshot): boolean {
  return later.xmax < earlier.xmax;
}
