/**
 * Many subscribers at once.
 *
 * Enters: batches of validated rows. Leaves: added and changed rows, and what is wrong with each row that could not be
 * written. Invariants: a batch costs a handful of statements, however many rows it has; a row that the database refuses does
 * not take the others with it; what already is as the file says is not written, so nobody is told of a change that is none.
 */
import type { Pool, PoolClient } from 'pg';
import pg from 'pg';
import { withActor } from './actor.js';
import { classifyDatabaseError } from './database.js';
import type { ImportColumn, ImportRow } from './import-columns.js';
import { planBatch, readBatch } from './import-plan.js';
import type { ImportPasswords, RowFault } from './import-plan.js';
import { writeBatch } from './import-write.js';

/** Why a row was not written: known beforehand, or refused by the database (SQLSTATE, constraint). */
export type ImportFault =
  | { readonly line: number; readonly login: string; readonly fault: RowFault }
  | {
      readonly line: number;
      readonly login: string;
      readonly refused: { code: string | undefined; constraint: string | undefined };
    };

/** What became of some rows. */
export interface ImportOutcome {
  added: number;
  changed: number;
  unchanged: number;
  faults: ImportFault[];
}

/** How an import runs. */
export interface ImportSettings {
  /** Who is recorded as having changed things. */
  readonly actor: string;
  /** The columns of the file. */
  readonly columns: readonly ImportColumn[];
  readonly passwords: ImportPasswords;
}

/** Deadlocks and lock timeouts pass; a batch that meets more than so many has met something else. */
const mostAttempts = 4;

/**
 * Writes batches, each in a transaction of its own: what is written stays, whatever comes later.
 *
 * @returns a function that writes one batch; batches may overlap in time when they have no login and no contract in common
 */
export function batchImporter(
  pool: Pool,
  settings: ImportSettings,
): (rows: readonly ImportRow[]) => Promise<ImportOutcome> {
  return async (rows) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await withActor(pool, settings.actor, (client) => writeWithoutTheBad(client, settings, rows));
      } catch (error) {
        if (classifyDatabaseError(error) !== 'transient' || attempt === mostAttempts) throw error;
      }
    }
  };
}

/** Thrown by `importAsOne` to take everything back: what was asked for, not a failure. */
class TakeBack extends Error {
  override readonly name = 'TakeBack';
}

/**
 * Writes all batches in one transaction, which is taken back at the end unless `keep` says otherwise.
 *
 * @param work calls the function it is given with one batch after the other
 * @param keep asked at the end, inside the transaction
 */
export async function importAsOne(
  pool: Pool,
  settings: ImportSettings,
  work: (write: (rows: readonly ImportRow[]) => Promise<ImportOutcome>) => Promise<void>,
  keep: () => boolean,
): Promise<void> {
  try {
    await withActor(pool, settings.actor, async (client) => {
      await work((rows) => writeWithoutTheBad(client, settings, rows));
      if (!keep()) throw new TakeBack();
    });
  } catch (error) {
    if (!(error instanceof TakeBack)) throw error;
  }
}

/** Writes rows in the caller's transaction; when the database refuses, halves them until the refused ones stand alone. */
export async function writeWithoutTheBad(
  client: PoolClient,
  settings: ImportSettings,
  rows: readonly ImportRow[],
): Promise<ImportOutcome> {
  const [first] = rows;
  if (first === undefined) return { added: 0, changed: 0, unchanged: 0, faults: [] };
  await client.query('SAVEPOINT import_rows');
  try {
    const plan = planBatch(await readBatch(client, rows, settings), rows, settings);
    await writeBatch(client, plan, settings.columns);
    await client.query('RELEASE SAVEPOINT import_rows');
    return { added: plan.added, changed: plan.changed, unchanged: plan.unchanged, faults: [...plan.faults] };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || classifyDatabaseError(error) !== 'permanent') throw error;
    await client.query('ROLLBACK TO SAVEPOINT import_rows');
    if (rows.length === 1) {
      const refused = { code: error.code, constraint: error.constraint };
      return { added: 0, changed: 0, unchanged: 0, faults: [{ line: first.line, login: first.login, refused }] };
    }
    const half = Math.ceil(rows.length / 2);
    const one = await writeWithoutTheBad(client, settings, rows.slice(0, half));
    const two = await writeWithoutTheBad(client, settings, rows.slice(half));
    return {
      added: one.added + two.added,
      changed: one.changed + two.changed,
      unchanged: one.unchanged + two.unchanged,
      faults: [...one.faults, ...two.faults],
    };
  }
}
