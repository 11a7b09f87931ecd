/**
 * What came of runs, on its way to the database. Enters: ended runs. Leaves: rows, history, and who is to be looked at again. Invariants: an enforcement
 * is in flight until what came of it is written, however long the database is away; one result that cannot be stored holds up no other.
 */
import type { Pool, PoolClient } from 'pg';
import type { Logger } from 'pino';
import { type CommandRecord, insertCommands } from '../store/command-history.js';
import { isAboutRows, withTransaction } from '../store/database.js';
import { type EnforcementWrite, writeAndEndEnforcements } from '../store/enforcement-writes.js';
import { Loop } from './loop.js';
import type { BegunRun, RunOutcome, RunResults } from './run-outcome.js';

/** Results written in one transaction. */
const SLICE = 500;
/** How long a result waits for others when nobody wakes the loop, ms. */
const INTERVAL_MS = 1_000;

/** A run that has ended. */
export interface EndedRun {
  readonly begun: BegunRun;
  readonly results: RunResults;
  readonly outcome: RunOutcome;
  /** ms since 1970 */
  readonly plannedAtMs: number;
}

export interface ResultWriterDeps {
  readonly pool: Pool;
  readonly instance: string;
  readonly log: Logger;
  /** @param isStale the row had moved on: the result changed nothing in it */
  readonly onWritten: (ended: EndedRun, isStale: boolean) => void;
}

export class ResultWriter {
  readonly #deps: ResultWriterDeps;
  readonly #loop: Loop;
  #waiting: EndedRun[] = [];

  constructor(deps: ResultWriterDeps) {
    this.#deps = deps;
    const { log } = deps;
    this.#loop = new Loop({ name: 'enforcement-results', intervalMs: INTERVAL_MS, run: () => this.run(), log });
  }

  get backlog(): number {
    return this.#waiting.length;
  }

  start(): void {
    this.#loop.start();
  }

  /** Writes what it can at last, unless told not to, and stops. */
  async stop(isWriting = true): Promise<void> {
    await this.#loop.stop();
    if (!isWriting) return;
    // What fails now is found as attempted by whoever commands these NASes next.
    while (this.#waiting.length > 0) {
      const before = this.#waiting.length;
      await this.run().catch(() => undefined);
      if (this.#waiting.length >= before) return;
    }
  }

  add(ended: EndedRun): void {
    this.#waiting.push(ended);
    this.#loop.wake();
  }

  /** One slice. @returns whether there is more */
  async run(): Promise<boolean> {
    const slice = this.#waiting.slice(0, SLICE);
    if (slice.length === 0) return false;
    const done = await this.#write(slice);
    this.#waiting.splice(0, slice.length);
    for (const one of slice) this.#deps.onWritten(one, !done.has(one.begun.row.id));
    return this.#waiting.length > 0;
  }

  async #write(slice: readonly EndedRun[]): Promise<Set<number>> {
    const { pool, log } = this.#deps;
    try {
      return await withTransaction(pool, (client) => this.#writeTogether(client, slice));
    } catch (error) {
      if (!isAboutRows(error)) throw error;
      if (slice.length > 1) {
        const middle = slice.length >> 1;
        const first = await this.#write(slice.slice(0, middle));
        return new Set([...first, ...(await this.#write(slice.slice(middle)))]);
      }
      log.error({ err: error, enforcement: slice[0]?.begun.row.id }, 'the result of a command could not be stored');
      return new Set();
    }
  }

  async #writeTogether(client: PoolClient, slice: readonly EndedRun[]): Promise<Set<number>> {
    const writes = slice.flatMap(({ outcome }): EnforcementWrite[] => (outcome.write ? [outcome.write] : []));
    const ends = slice
      .filter(({ outcome }) => outcome.write === undefined)
      .map(({ begun }) => ({ id: begun.row.id, generation: begun.generation }));
    const { written, ended } = await writeAndEndEnforcements(client, writes, ends, true);
    await insertCommands(client, this.#deps.instance, slice.flatMap(recordsOf));
    return new Set([...written, ...ended]);
  }
}

function recordsOf({ begun, results, plannedAtMs }: EndedRun): CommandRecord[] {
  if (results === 'unknown') return [];
  const { row, generation } = begun;
  return results.map((result) => ({
    enforcementId: row.id,
    nasName: row.nasName,
    subscriberId: row.run.subscriberId,
    login: row.subject.subscriber.login,
    generation,
    plannedAtMs,
    result,
  }));
}
