/**
 * Brings a database to the schema of this program, and says how far it is.
 *
 * Enters: a database URL and the files in `migrations/`. Leaves: the applied names, or a `SchemaError`. Invariants: one
 * runner at a time, by an advisory lock that dies with its connection; each migration is a transaction of its own; a database
 * that this program does not understand is never changed.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import knex, { type Knex } from 'knex';
import pg from 'pg';

/** The table of applied migrations. Not knex' default name: a billing program may keep its own knex in this database. */
export const MIGRATION_TABLE = 'sluice_migration';

/** Key of the advisory lock: `sluice` in ASCII, so that `pg_locks` shows something to look for. */
export const MIGRATION_LOCK_KEY = 0x736c75696365n;

/** Oldest server that has what the schema uses (xid8 and pg_current_snapshot, in 13). */
export const OLDEST_SERVER_VERSION_NUMBER = 130_000;

/** How long a migration waits for somebody's table lock before it gives up and lets the others go on, ms. */
const LOCK_TIMEOUT_MS = 30_000;

/** Answer time of a database that is up, ms. */
const CONNECT_TIMEOUT_MS = 15_000;

/** SQLSTATEs of "that name is taken": table, object, function, schema. */
const NAME_TAKEN = new Set(['42P07', '42710', '42723', '42P06']);

export type SchemaErrorKind =
  /** PostgreSQL older than 13. */
  | 'server-too-old'
  /** The database's encoding is not UTF8. */
  | 'encoding'
  /** A later release of Sluice has been here. */
  | 'schema-newer'
  /** Tables of somebody else have our names. */
  | 'foreign-objects'
  /** A migration failed; nothing of it remains. */
  | 'migration-failed';

/** The database cannot be used as it is; `kind` says why, the message also what to do. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';

  constructor(
    readonly kind: SchemaErrorKind,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

export interface SchemaStatus {
  /** As in `SHOW server_version`. */
  serverVersion: string;
  /** 180004 for 18.4. */
  serverVersionNumber: number;
  encoding: string;
  /** Names of migrations that this program knows and the database has. */
  applied: string[];
  /** Known and not yet applied. */
  pending: string[];
  /** Applied and unknown to this program. */
  unknown: string[];
}

/** The folder of the migrations that belong to this program. */
export const MIGRATIONS_DIRECTORY = fileURLToPath(new URL('../../migrations', import.meta.url));

async function knownMigrations(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => name.endsWith('.js')).sort();
}

async function statusOf(client: pg.Client, directory: string): Promise<SchemaStatus> {
  const { rows } = await client.query<{ version: string; number: string; encoding: string; present: boolean }>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number,
            pg_encoding_to_char(encoding) AS encoding, to_regclass($1) IS NOT NULL AS present
       FROM pg_database WHERE datname = current_database()`,
    [MIGRATION_TABLE],
  );
  const server = rows[0]!;
  const applied = server.present
    ? (await client.query<{ name: string }>(`SELECT name FROM ${MIGRATION_TABLE} ORDER BY id`)).rows.map(
        (row) => row.name,
      )
    : [];
  const known = await knownMigrations(directory);
  return {
    serverVersion: server.version,
    serverVersionNumber: Number(server.number),
    encoding: server.encoding,
    applied: applied.filter((name) => known.includes(name)),
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}

/**
 * Refuses a database that this program must not touch.
 *
 * @throws SchemaError `server-too-old`, `encoding`, `schema-newer`
 */
export function refuseUnusable(status: SchemaStatus): void {
  if (status.serverVersionNumber < OLDEST_SERVER_VERSION_NUMBER) {
    throw new SchemaError(
      'server-too-old',
      `the database server is PostgreSQL ${status.serverVersion}; Sluice needs 13 or later: upgrade it, or leave database.url out to use the embedded one`,
    );
  }
  if (status.encoding !== 'UTF8') {
    throw new SchemaError(
      'encoding',
      `the database has encoding ${status.encoding}; Sluice needs UTF8: create one with ENCODING 'UTF8' TEMPLATE template0`,
    );
  }
  if (status.unknown.length > 0) {
    throw new SchemaError(
      'schema-newer',
      `the database has been migrated by a later release of Sluice (${status.unknown.join(', ')}): start that release, or restore a dump from before`,
    );
  }
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'sluice/migrate',
  });
  // A broken connection also rejects the query in hand; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * How far a database is. Changes nothing.
 *
 * @param directory other migrations than this program's (tests)
 * @throws the connection's error when the database cannot be reached
 */
export async function schemaStatus(url: string, directory = MIGRATIONS_DIRECTORY): Promise<SchemaStatus> {
  return await withClient(url, (client) => statusOf(client, directory));
}

interface MigrationModule {
  up(knex: Knex): Promise<unknown>;
  config?: { transaction?: boolean };
}

function isMigrationModule(value: unknown): value is MigrationModule {
  return typeof value === 'object' && value !== null && 'up' in value && typeof value.up === 'function';
}

/** Lists and loads the files as ES modules, whatever knex thinks of their extension. There is no way back down. */
class FolderSource implements Knex.MigrationSource<string> {
  constructor(private readonly directory: string) {}

  async getMigrations(): Promise<string[]> {
    return await knownMigrations(this.directory);
  }

  getMigrationName(name: string): string {
    return name;
  }

  async getMigration(name: string): Promise<Knex.Migration> {
    const module: unknown = await import(pathToFileURL(join(this.directory, name)).href);
    if (!isMigrationModule(module)) {
      throw new SchemaError('migration-failed', `${name} does not export an async function up(knex)`);
    }
    return {
      up: module.up,
      down: () => Promise.reject(new Error(`${name} has no way down`)),
      ...(module.config && { config: module.config }),
    };
  }
}

/** knex puts the statement in front of the server's own words, and a migration is one long statement. */
function withoutStatement(message: string): string {
  const at = message.lastIndexOf(' - ');
  return at < 0 ? message : message.slice(at + 3);
}

function migrationError(name: string, error: unknown): SchemaError {
  if (error instanceof SchemaError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const problem = error instanceof Error ? withoutStatement(error.message) : String(error);
  if (NAME_TAKEN.has(code)) {
    return new SchemaError(
      'foreign-objects',
      `the database holds objects of another program under our names (${name}: ${problem}): give Sluice a database of its own in database.url`,
      { cause: error },
    );
  }
  return new SchemaError(
    'migration-failed',
    `${name} failed and was rolled back: ${problem}${code === '' ? '' : ` (SQLSTATE ${code})`}`,
    { cause: error },
  );
}

/**
 * Applies what is pending, one migration a transaction. Two at once are safe: the second waits and finds nothing to do.
 *
 * @param options.onProgress a line for people per migration
 * @returns the names applied by this call
 * @throws SchemaError
 */
export async function migrate(
  url: string,
  options: { onProgress?: (line: string) => void; directory?: string } = {},
): Promise<{ applied: string[] }> {
  const directory = options.directory ?? MIGRATIONS_DIRECTORY;
  return await withClient(url, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK_KEY.toString()]);
    const status = await statusOf(client, directory);
    refuseUnusable(status);
    const applied: string[] = [];
    if (status.pending.length === 0) return { applied };

    const runner = knex({
      client: 'pg',
      connection: {
        connectionString: url,
        application_name: 'sluice/migrate',
        options: `-c lock_timeout=${String(LOCK_TIMEOUT_MS)} -c statement_timeout=0 -c client_min_messages=warning`,
      },
      pool: { min: 0, max: 1 },
      acquireConnectionTimeout: CONNECT_TIMEOUT_MS,
      // What goes wrong is thrown to the caller, who tells it once, in one line.
      log: { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined },
      migrations: { tableName: MIGRATION_TABLE, migrationSource: new FolderSource(directory) },
    });
    try {
      // Ours is the only lock that counts; knex' own is a row, which a killed runner leaves behind.
      await runner.migrate.forceFreeMigrationsLock();
      for (const [index, name] of status.pending.entries()) {
        options.onProgress?.(
          `migrating the database: ${name} (${String(index + 1)} of ${String(status.pending.length)})`,
        );
        try {
          await runner.migrate.up({ name });
        } catch (error) {
          throw migrationError(name, error);
        }
        applied.push(name);
      }
    } finally {
      await runner.destroy();
    }
    return { applied };
  });
}
