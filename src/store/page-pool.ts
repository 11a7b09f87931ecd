/**
 * The page's own way to the database: few connections, short statements, no writing.
 *
 * Enters: the URL that the server uses, or one for the role `sluice_page`. Leaves: a pool, and by what it is kept from writing.
 * Invariants: every transaction is read-only from its start; where the role exists and may be used, PostgreSQL itself refuses
 * every write and every look at a password.
 */
import type { Pool } from 'pg';
import { createPool } from './database.js';

/** The role that can only read what the page shows. */
export const PAGE_ROLE = 'sluice_page';

/** Connections: pages are for a few people, and the server's own work comes first. */
const PAGE_CONNECTIONS = 3;

/** A page that takes longer is not waited for, ms; the slowest of ours at a million subscribers takes a tenth. */
const PAGE_STATEMENT_TIMEOUT_MS = 2_000;

/** A database that is up answers within milliseconds, ms. */
const PAGE_CONNECT_TIMEOUT_MS = 2_000;

/** What keeps the page from writing. */
export type PageProtection = 'role' | 'read-only-transactions';

export interface PageDatabase {
  readonly pool: Pool;
  readonly protection: PageProtection;
}

export interface PagePoolOptions {
  readonly instance: string;
  /** The URL of the server's role. */
  readonly url: string;
  /** A URL whose role is `sluice_page` itself, where there is one: the embedded PostgreSQL. */
  readonly pageUrl: string | undefined;
  readonly onConnectionError: (error: Error) => void;
}

/**
 * Opens the page's pool.
 *
 * @param serverPool of the server's role, which owns the tables: it gives the page's role its rights, which later migrations
 *   may have added to
 * @throws the database's error
 */
export async function openPagePool(serverPool: Pool, options: PagePoolOptions): Promise<PageDatabase> {
  const { rows } = await serverPool.query<{ granted: boolean; member: boolean | null }>(
    `SELECT sluice_grant_page() AS granted,
            (SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = $1) AS member`,
    [PAGE_ROLE],
  );
  const granted = rows[0]?.granted === true;
  const ownUrl = granted ? options.pageUrl : undefined;
  const setRole = granted && ownUrl === undefined && rows[0]?.member === true;
  const pool = createPool(ownUrl ?? options.url, {
    instance: `${options.instance}/page`,
    maxConnections: PAGE_CONNECTIONS,
    statementTimeoutMs: PAGE_STATEMENT_TIMEOUT_MS,
    connectTimeoutMs: PAGE_CONNECT_TIMEOUT_MS,
    onConnectionError: options.onConnectionError,
    sessionSettings: {
      default_transaction_read_only: 'on',
      // Compiling a plan costs more than any query of ours.
      jit: 'off',
      // A frequent first name makes the planner expect fifty hits on the first pages of the table; there are none.
      enable_seqscan: 'off',
      ...(setRole && { role: PAGE_ROLE }),
    },
  });
  return { pool, protection: ownUrl !== undefined || setRole ? 'role' : 'read-only-transactions' };
}
