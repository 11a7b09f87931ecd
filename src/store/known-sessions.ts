/**
 * Sessions as this server itself stored them last, so that an Interim-Update that only counts is applied without reading what it counts on. Enters: what a
 * committed batch left live. Leaves: records with the version of their row. Invariants: a record is trusted only as far as its row still has that
 * version when it is written, which the write itself checks; whoever is found to have been wrong once is not believed for a while; the number kept is bounded.
 */
import { lineKey } from '../domain/accounting-fact.js';
import type { SessionRecord } from '../domain/session.js';
import type { TouchedSession } from '../domain/session-batch.js';

/** About 80 MB. More live sessions than that are read from the database as they are heard of, the longest silent first. */
const MAX_SESSIONS = 100_000;
/** Batches for which nothing is believed after a row was found changed by somebody else; twice as many each time, up to the most. */
const FIRST_REST_BATCHES = 8;
const MAX_REST_BATCHES = 4096;

/** The transaction that wrote a row last: PostgreSQL's `xmin`. */
export type RowVersion = number;

export interface KnownSession {
  readonly session: SessionRecord;
  readonly version: RowVersion;
}

/** What was found when a batch had been committed. */
export interface Committed {
  /** Everything live of the lines that the batch spoke of, as read or believed. */
  readonly sessions: readonly SessionRecord[];
  readonly lines: ReadonlySet<string>;
  /** Those that were believed, and at which version. */
  readonly believed: ReadonlyMap<SessionRecord, RowVersion>;
  readonly touched: readonly TouchedSession[];
  /** Of the transaction; undefined: it wrote nothing. */
  readonly version: RowVersion | undefined;
}

export class KnownSessions {
  readonly #byLine = new Map<string, KnownSession>();
  readonly #maxSessions: number;
  #restBatches = 0;
  #nextRestBatches = FIRST_REST_BATCHES;

  /** @param maxSessions how many are kept */
  constructor(maxSessions = MAX_SESSIONS) {
    this.#maxSessions = maxSessions;
  }

  get size(): number {
    return this.#byLine.size;
  }

  /** The only live session of a line (`lineKey`), which is given away: it comes back with `keep`, or not at all. */
  take(line: string): KnownSession | undefined {
    if (this.#restBatches > 0) return undefined;
    const known = this.#byLine.get(line);
    if (known !== undefined) this.#byLine.delete(line);
    return known;
  }

  /** Remembers what a committed batch left. */
  keep({ sessions, lines, believed, touched, version }: Committed): void {
    if (this.#restBatches > 0) this.#restBatches -= 1;
    else if (believed.size > 0) this.#nextRestBatches = FIRST_REST_BATCHES;
    // Also what was not taken, while nothing was believed: its rows may be others now.
    for (const line of lines) this.#byLine.delete(line);
    const written = new Set<SessionRecord>();
    const live = new Map<string, SessionRecord | null>();
    const note = (session: SessionRecord): void => {
      if (session.end !== null) return;
      const line = lineKey(session);
      const other = live.get(line);
      live.set(line, other === undefined || other === session ? session : null);
    };
    for (const { session } of touched) {
      written.add(session);
      note(session);
      const line = lineKey(session);
      if (!lines.has(line)) this.#byLine.delete(line);
    }
    for (const session of sessions) note(session);
    for (const [line, session] of live) {
      if (session === null || !lines.has(line)) continue;
      const stored = written.has(session) ? version : believed.get(session);
      if (stored !== undefined) this.#byLine.set(line, { session, version: stored });
    }
    for (const line of this.#byLine.keys()) {
      if (this.#byLine.size <= this.#maxSessions) break;
      this.#byLine.delete(line);
    }
  }

  /** A batch failed: what was taken for it may have been changed in memory, and what a lost answer to COMMIT left nobody knows. */
  clear(): void {
    this.#byLine.clear();
  }

  /** A row was not as it was believed to be: somebody else writes these sessions, and a batch that has to be done again costs more than reading. */
  distrust(): void {
    this.clear();
    this.#restBatches = this.#nextRestBatches;
    this.#nextRestBatches = Math.min(this.#nextRestBatches * 2, MAX_REST_BATCHES);
  }
}
