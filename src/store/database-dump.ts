/**
 * The rows of a database, as one instant saw them.
 *
 * Enters: a URL. Leaves: a stream of COPY text for each table, and the manifest. Invariants: one REPEATABLE READ transaction sees
 * everything, so the position of a spool belongs to the sessions beside it; nothing is changed, and nobody waits but who
 * would change a table's form.
 */
import type { Readable } from 'node:stream';
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { BackupError, backupFormat, type BackupManifest } from './backup-manifest.js';
import { backupTables, copiedTables, monthlyPartition } from './backup-tables.js';
import { MIGRATION_TABLE, refuseUnusable, schemaStatus } from './migrate.js';

/** Answer time of a database that is up, ms. */
const CONNECT_TIMEOUT_MS = 15_000;
/** A migration, or the making of a month's partitions, is over by then, ms. */
const LOCK_TIMEOUT_MS = 30_000;

/** Text that means the same to every server, whatever its settings are. */
export const COPY_SETTINGS = [
  'statement_timeout = 0',
  'idle_in_transaction_session_timeout = 0',
  `lock_timeout = ${String(LOCK_TIMEOUT_MS)}`,
  "client_encoding = 'UTF8'",
  "timezone = 'UTC'",
  "datestyle = 'ISO, YMD'",
  "intervalstyle = 'postgres'",
  "bytea_output = 'hex'",
  'extra_float_digits = 1',
] as const;

/** A connection for COPY: without the time limits of the pools. */
export async function copyConnection(url: string, purpose: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: `sluice/cli/${purpose}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  // A broken connection also fails the statement in hand; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    for (const setting of COPY_SETTINGS) await client.query(`SET ${setting}`);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

/** A table and its columns. */
export interface TableColumns {
  readonly name: string;
  readonly columns: readonly string[];
}

/** The columns of our tables that hold something of their own, in their order. */
export async function readColumns(client: pg.Client): Promise<TableColumns[]> {
  const { rows } = await client.query<{ name: string; columns: string[] }>(
    `SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE c.oid = ANY (SELECT to_regclass(t) FROM unnest($1::text[]) AS t)
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' GROUP BY 1`,
    [copiedTables],
  );
  return copiedTables.map((name) => ({ name, columns: rows.find((row) => row.name === name)?.columns ?? [] }));
}

/** What is done with the rows of a table. Resolves when they are safe. */
export type TakeTable = (table: string, rows: Readable) => Promise<void>;

/** What was dumped. */
export interface Dump {
  readonly manifest: BackupManifest;
  /** Tables of the same schema that are not ours, and not in the backup. */
  readonly otherTables: readonly string[];
}

/**
 * Copies everything.
 *
 * @param take called for one table after the other
 * @throws BackupError, SchemaError; the errors of `take` and of the database
 */
export async function dumpDatabase(url: string, take: TakeTable): Promise<Dump> {
  const status = await schemaStatus(url);
  refuseUnusable(status);
  if (status.pending.length > 0)
    throw new BackupError(
      'migration-level',
      `the database is of an earlier release (${status.pending.join(', ')} is missing): migrate it first with sluice migrate`,
    );
  const client = await copyConnection(url, 'backup');
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // Before the snapshot, which the first query takes: no partition can go between the two.
    await client.query(
      `LOCK TABLE ${[MIGRATION_TABLE, ...backupTables.map(({ name }) => name)].join(', ')} IN ACCESS SHARE MODE`,
    );
    const [first] = await rowsOf<{ at: string }>(client, `SELECT to_json(now())#>>'{}' AS at`);
    const columns = await readColumns(client);
    const tables: BackupManifest['tables'] = [];
    for (const table of columns) tables.push(await copyTable(client, table, take));
    const manifest: BackupManifest = {
      format: backupFormat,
      taken_at: first?.at ?? '',
      server_version: status.serverVersion,
      migrations: status.applied,
      tables,
      partitions: await readPartitions(client),
      sequences: await readSequences(client),
      spools: await rowsOf(
        client,
        'SELECT instance, spool_uuid, segment::float8, byte_offset::float8 FROM spool_position ORDER BY 1, 2',
      ),
    };
    const otherTables = await readOtherTables(client);
    await client.query('COMMIT');
    return { manifest, otherTables };
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function rowsOf<Row extends pg.QueryResultRow>(client: pg.Client, text: string, values?: unknown[]) {
  return (await client.query<Row>(text, values)).rows;
}

async function copyTable(
  client: pg.Client,
  { name, columns }: TableColumns,
  take: TakeTable,
): Promise<BackupManifest['tables'][number]> {
  const listed = columns.map((column) => pg.escapeIdentifier(column)).join(', ');
  // A query, because COPY of a partitioned table by its name would be refused.
  const rows = client.query(copyTo(`COPY (SELECT ${listed} FROM ${name}) TO STDOUT`));
  await take(name, rows);
  // The count comes behind the rows, and is there when the next statement is answered.
  await client.query('SELECT 1');
  return { name, columns: [...columns], rows: rows.rowCount };
}

async function readPartitions(client: pg.Client): Promise<string[]> {
  const rows = await rowsOf<{ name: string }>(
    client,
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = ANY (SELECT to_regclass(t) FROM unnest($1::text[]) AS t) AND c.relispartition ORDER BY 1`,
    [copiedTables],
  );
  return rows.map(({ name }) => name).filter((name) => monthlyPartition(name) !== undefined);
}

async function readSequences(client: pg.Client): Promise<BackupManifest['sequences']> {
  const found = await rowsOf<{ table: string; column: string; sequence: string }>(
    client,
    `SELECT c.relname AS table, a.attname AS column, d.objid::regclass::text AS sequence
       FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
       JOIN pg_class c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
      WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('i', 'a')
        AND c.oid = ANY (SELECT to_regclass(t) FROM unnest($1::text[]) AS t) ORDER BY 1, 2`,
    [backupTables.map(({ name }) => name)],
  );
  const sequences: BackupManifest['sequences'] = [];
  for (const { table, column, sequence } of found) {
    // A sequence is not part of the snapshot: it is read behind it, so it is never behind the rows.
    const [state] = await rowsOf<{ last: number | null }>(
      client,
      `SELECT CASE WHEN is_called THEN last_value::float8 END AS last FROM ${sequence}`,
    );
    sequences.push({ table, column, last: state?.last ?? null });
  }
  return sequences;
}

async function readOtherTables(client: pg.Client): Promise<string[]> {
  const rows = await rowsOf<{ name: string }>(
    client,
    `SELECT relname AS name FROM pg_class
      WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND NOT relname = ANY ($1) ORDER BY 1`,
    [[MIGRATION_TABLE, `${MIGRATION_TABLE}_lock`, ...backupTables.map(({ name }) => name)]],
  );
  return rows.map(({ name }) => name);
}
