/**
 * The loops that must turn for the server to be of use. Enters: the running parts. Leaves: what the watchdog looks at. Invariant: every limit is
 * longer than the slowest right answer, so a slow database is no stall.
 */
import type { Config } from '../config/config.js';
import type { Spool } from '../spool/spool.js';
import type { DatabaseSide } from './database-side.js';
import type { TurningPart } from './watchdog.js';

/** One write and sync; a disk that takes longer has hung or is being replaced, ms. */
const SYNC_LIMIT_MS = 20_000;
/** A turn may be a few statements, each up to its timeout, as many as a transaction runs into before it is given up. */
const STATEMENTS_PER_TURN = 4;

/** Notes when the spool last came forward: it has no loop, its turn is a sync. */
export class SpoolTurns {
  readonly #spool: Spool;
  #synced = -1;
  #turnedAtMs = performance.now();

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** Something waits for its sync, and the disk takes writes: a full one refuses, which is no stall. */
  get part(): TurningPart {
    const { appendable, appendedSequence, syncedSequence } = this.#spool;
    if (syncedSequence !== this.#synced) this.#turnedAtMs = performance.now();
    this.#synced = syncedSequence;
    return {
      name: 'spool',
      turnedAtMs: () => this.#turnedAtMs,
      hasWork: () => appendable && appendedSequence > syncedSequence,
      limitMs: SYNC_LIMIT_MS,
    };
  }
}

/** @param side undefined while the database has not been reached yet: whoever tries has limits of his own */
export function turningParts(
  config: Config,
  spool: Spool,
  spoolTurns: SpoolTurns,
  side: DatabaseSide | undefined,
): readonly TurningPart[] {
  if (side === undefined) return [spoolTurns.part];
  const { database, applier, changeFeed } = config;
  const turnMs = STATEMENTS_PER_TURN * database.statementTimeoutMs + database.connectTimeoutMs;
  return [
    spoolTurns.part,
    {
      name: 'applier',
      turnedAtMs: () => side.applier.turnedAtMs,
      hasWork: () => spool.syncedSequence > side.applier.status.appliedSequence,
      limitMs: turnMs + applier.retryMaxSeconds * 1000,
    },
    { name: 'change feed', turnedAtMs: () => side.feedTurnedAtMs, limitMs: turnMs + changeFeed.pollMs },
    { name: 'settler', turnedAtMs: () => side.settler.turnedAtMs, limitMs: turnMs },
    { name: 'heartbeat', turnedAtMs: () => side.heartbeat.turnedAtMs, limitMs: turnMs },
  ];
}
