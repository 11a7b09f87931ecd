/**
 * The database of one command.
 *
 * Enters: the settings. Leaves: a pool on a database with the schema, and a way to close it all.
 * Invariant: a server that the command started is stopped again by the command, one that ran before is not.
 */
import type { Pool } from 'pg';
import type { ServerFile } from '../config/server-schema.js';
import { CommandError } from './command-error.js';

/** A pool, and how to leave it. */
export interface CommandDatabase {
  readonly pool: Pool;
  /** For a connection of its own, as COPY needs. Holds the password: not for logs. */
  readonly url: string;
  close(): Promise<void>;
}

/** What is needed to open it. */
export interface DatabaseOptions {
  readonly dataDir: string;
  settings(): Promise<ServerFile>;
  remark(text: string): void;
}

/** Two for the lanes of an import and one to spare, so that a command never waits for itself. */
const connections = 3;

/** Imports and pools of a million addresses run in slices; one slice on a loaded machine is far from this, ms. */
const statementTimeoutMs = 300_000;

/** As whom commands appear in `pg_stat_activity` (`sluice/cli`) and in `changed_by` when nobody is named. */
const instance = 'cli';

/**
 * Opens `database.url`; else the embedded server if it runs; else starts that for as long as the command takes.
 *
 * @throws CommandError when the database has no schema and is not ours to migrate; EmbeddedPostgresError, SchemaError, and
 *   the connection's error
 */
export async function openCommandDatabase(options: DatabaseOptions): Promise<CommandDatabase> {
  const settings = await options.settings();
  const given = settings.database.url;
  if (given !== undefined) {
    const pool = await poolOn(given, settings);
    try {
      if (await schemaIsThere(pool)) return { pool, url: given, close: () => pool.end() };
    } catch (error) {
      await pool.end();
      throw error;
    }
    await pool.end();
    throw new CommandError('the database has no tables of Sluice', 'make them with: sluice migrate');
  }
  return (await openRunning(options, settings)) ?? (await startForThisCommand(options, settings));
}

async function poolOn(url: string, settings: ServerFile): Promise<Pool> {
  const { createPool } = await import('../store/database.js');
  return createPool(url, {
    instance,
    maxConnections: connections,
    statementTimeoutMs,
    connectTimeoutMs: settings.database.connect_timeout_ms,
  });
}

async function schemaIsThere(pool: Pool): Promise<boolean> {
  const { hasSchema } = await import('../store/schema-presence.js');
  return await hasSchema(pool);
}

async function openRunning(options: DatabaseOptions, settings: ServerFile): Promise<CommandDatabase | undefined> {
  const { runningPostgresUrl } = await import('../store/running-postgres.js');
  const url = await runningPostgresUrl(options.dataDir);
  if (url === undefined) return undefined;
  const pool = await poolOn(url, settings);
  try {
    if (await schemaIsThere(pool)) return { pool, url, close: () => pool.end() };
  } catch {
    // A lock file of a server that is gone, or a stranger on its port: the careful way finds out and says so.
  }
  await pool.end();
  return undefined;
}

async function startForThisCommand(options: DatabaseOptions, settings: ServerFile): Promise<CommandDatabase> {
  const { startEmbeddedPostgres } = await import('../store/embedded-postgres.js');
  const server = await startEmbeddedPostgres({
    dataDir: options.dataDir,
    port: settings.database.port,
    onProgress: (line) => options.remark(line),
  });
  try {
    const { migrate } = await import('../store/migrate.js');
    await migrate(server.url, { onProgress: (line) => options.remark(line) });
    const pool = await poolOn(server.url, settings);
    return {
      pool,
      url: server.url,
      close: async () => {
        await pool.end();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
