/**
 * A backup back into a database.
 *
 * Enters: a manifest and COPY text, an empty database of the same migration level. Leaves: the rows, their partitions, and
 * sequences that go on behind them. Invariants: all of it or nothing, in one transaction; nobody else works in the
 * tables meanwhile; no trigger runs, so a copied period or event is not made twice; no id is given a second time.
 */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { BackupError, type BackupManifest } from './backup-manifest.js';
import { backupTables, copiedTables, monthlyPartition } from './backup-tables.js';
import { copyConnection, readColumns } from './database-dump.js';
import { SPOIL } from './enforcement-births.js';
import { MIGRATION_LOCK_KEY, refuseUnusable, schemaStatus } from './migrate.js';

/** SQLSTATE lock_not_available. */
const LOCK_NOT_AVAILABLE = '55P03';
/** Rows of a COPY that do not fit: data exceptions and violated constraints. */
const ROW_CLASSES = new Set(['22', '23']);

/**
 * Numbers that are skipped: more than anybody gave between the backup and the loss. Somebody who was added after the backup is
 * gone, but his NAS may send his Class, with his id in it, for days: nobody else may get that id.
 */
export const SKIPPED_IDS = 1_000_000;

/** The rows of a table, as `dumpDatabase` gave them. */
export type ReadTable = (table: string) => Readable;

/**
 * Fills a database.
 *
 * @throws BackupError `migration-level`, `not-empty`, `in-use`, `other-schema`, `damaged`; SchemaError; the errors of `read` and
 *   of the database. The database is empty then as before.
 */
export async function restoreDatabase(url: string, manifest: BackupManifest, read: ReadTable): Promise<void> {
  const status = await schemaStatus(url);
  refuseUnusable(status);
  refuseOtherLevel(status.applied, manifest.migrations);
  const client = await copyConnection(url, 'restore');
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK_KEY.toString()]);
    await lockTables(client);
    await refuseRows(client);
    await refuseOtherColumns(client, manifest);
    await makePartitions(client, manifest.partitions);
    const resume = await silenceTriggers(client);
    for (const { name, bornWithRows, leftOut } of backupTables)
      if (bornWithRows && leftOut === undefined) await client.query(`DELETE FROM ${name}`);
    for (const name of copiedTables) {
      const table = manifest.tables.find((one) => one.name === name)!;
      await fillTable(client, table, read);
    }
    // NASes went on after the backup was made: what they have is not known, only under which keys something may be there.
    await client.query(`UPDATE enforcement SET ${SPOIL}`);
    await resume();
    await moveSequences(client, manifest.sequences);
    await client.query('COMMIT');
    // Without statistics the first queries would be planned for empty tables.
    await client.query(`ANALYZE ${copiedTables.join(', ')}`);
  } finally {
    // An open transaction ends with its connection.
    await client.end().catch(() => undefined);
  }
}

function refuseOtherLevel(applied: readonly string[], backup: readonly string[]): void {
  const missing = backup.filter((name) => !applied.includes(name));
  const more = applied.filter((name) => !backup.includes(name));
  if (missing.length > 0)
    throw new BackupError(
      'migration-level',
      `the backup was made by a later release (it has ${missing.join(', ')}): restore it with that release`,
    );
  if (more.length > 0)
    throw new BackupError(
      'migration-level',
      `the backup was made by an earlier release (it lacks ${more.join(', ')}): restore it with that release into an empty database, then start this one, which migrates it`,
    );
}

async function lockTables(client: pg.Client): Promise<void> {
  try {
    await client.query(`LOCK TABLE ${backupTables.map(({ name }) => name).join(', ')} IN ACCESS EXCLUSIVE MODE`);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== LOCK_NOT_AVAILABLE) throw error;
    throw new BackupError('in-use', 'somebody works in the tables of this database: stop every server and try again', {
      cause: error,
    });
  }
}

async function refuseRows(client: pg.Client): Promise<void> {
  const full: string[] = [];
  for (const { name, bornWithRows } of backupTables) {
    if (bornWithRows) continue;
    const { rowCount } = await client.query(`SELECT FROM ${name} LIMIT 1`);
    if ((rowCount ?? 0) > 0) full.push(name);
  }
  if (full.length > 0)
    throw new BackupError(
      'not-empty',
      `the database is not empty (there are rows in ${full.join(', ')}): restore into a new database, or a new data folder, that no server has run on`,
    );
}

async function refuseOtherColumns(client: pg.Client, manifest: BackupManifest): Promise<void> {
  const there = await readColumns(client);
  for (const { name, columns } of there) {
    const table = manifest.tables.find((one) => one.name === name);
    if (table === undefined) throw new BackupError('damaged', `the backup has no table ${name}`);
    const missing = table.columns.filter((column) => !columns.includes(column));
    if (missing.length > 0)
      throw new BackupError(
        'other-schema',
        `the table ${name} of this database has no column ${missing.join(', ')}, which somebody added where the backup was made: add it first`,
      );
  }
}

async function makePartitions(client: pg.Client, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const partition = monthlyPartition(name);
    if (partition === undefined) throw new BackupError('damaged', `${name} is no partition of a month`);
    const { parent, from, to } = partition;
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${name} PARTITION OF ${parent}
         FOR VALUES FROM (${pg.escapeLiteral(from)}) TO (${pg.escapeLiteral(to)})`,
    );
  }
}

/** Turns off the triggers that people made, each as it is. @returns what turns the same ones on again */
async function silenceTriggers(client: pg.Client): Promise<() => Promise<void>> {
  const { rows } = await client.query<{ table: string; trigger: string; enabled: string }>(
    `SELECT tgrelid::regclass::text AS table, quote_ident(tgname) AS trigger, tgenabled AS enabled
       FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgparentid = 0
        AND tgrelid = ANY (SELECT to_regclass(t) FROM unnest($1::text[]) AS t)`,
    [copiedTables],
  );
  for (const { table, trigger } of rows) await client.query(`ALTER TABLE ${table} DISABLE TRIGGER ${trigger}`);
  const how: Readonly<Record<string, string>> = { O: 'ENABLE', A: 'ENABLE ALWAYS', R: 'ENABLE REPLICA' };
  return async () => {
    for (const { table, trigger, enabled } of rows)
      await client.query(`ALTER TABLE ${table} ${how[enabled] ?? 'ENABLE'} TRIGGER ${trigger}`);
  };
}

async function fillTable(
  client: pg.Client,
  { name, columns, rows }: BackupManifest['tables'][number],
  read: ReadTable,
): Promise<void> {
  const listed = columns.map((column) => pg.escapeIdentifier(column)).join(', ');
  const sink = client.query(copyFrom(`COPY ${name} (${listed}) FROM STDIN`));
  try {
    await pipeline(read(name), sink);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || !ROW_CLASSES.has((error.code ?? '').slice(0, 2))) throw error;
    throw new BackupError('damaged', `the rows of ${name} do not fit the table (SQLSTATE ${error.code ?? ''})`, {
      cause: error,
    });
  }
  if (sink.rowCount !== rows)
    throw new BackupError(
      'damaged',
      `the table ${name} of the backup has ${String(sink.rowCount)} rows, and its manifest says ${String(rows)}`,
    );
}

async function moveSequences(client: pg.Client, sequences: BackupManifest['sequences']): Promise<void> {
  const known = new Set(backupTables.map(({ name }) => name));
  for (const { table, column, last } of sequences) {
    if (!known.has(table)) continue;
    await client.query('SELECT setval(pg_get_serial_sequence($1, $2), $3)', [table, column, (last ?? 0) + SKIPPED_IDS]);
  }
}
