/**
 * Databases for tests, each with the whole schema, each gone at the end of its test.
 *
 * Enters: the test. Leaves: a URL and a pool on a database of its own. Invariant: tests share a server, never a database.
 * The server is the run's (`SLUICE_TEST_POSTGRES_URL`, set by test/run.mjs), or this process' own when a file runs alone.
 */
import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import type pg from 'pg';
import { createPool } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';
import { APPLICATION_ROLE, TestPostgres, asClient } from './postgres-server.js';

/** The database that `freshDatabase` clones: migrated once, connected to by nobody. */
export const TEMPLATE_DATABASE = 'sluice_template';

/** Small: a test has few connections, and many tests share one server. */
const TEST_POOL_SIZE = 5;

type TestContext = Pick<Test, 'teardown'>;

export interface FreshDatabase {
  /** URL for the role that Sluice works as. */
  url: string;
  /** URL of the same database for the superuser. */
  adminUrl: string;
  name: string;
  /** A pool on it, as the server makes one; ended at teardown. */
  pool: pg.Pool;
}

/** Makes the template on a new server. */
export async function createTemplate(adminUrl: string): Promise<void> {
  await asClient(adminUrl, (client) => client.query(`CREATE DATABASE ${TEMPLATE_DATABASE} OWNER ${APPLICATION_ROLE}`));
  await migrate(withDatabase(adminUrl, TEMPLATE_DATABASE, APPLICATION_ROLE));
}

let ownServer: Promise<string> | undefined;

async function adminUrlOfServer(): Promise<string> {
  const given = process.env['SLUICE_TEST_POSTGRES_URL'];
  if (given !== undefined && given !== '') return given;
  ownServer ??= (async () => {
    const server = await TestPostgres.create();
    await createTemplate(server.adminUrl);
    return server.adminUrl;
  })();
  return await ownServer;
}

function withDatabase(adminUrl: string, database: string, role?: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  if (role !== undefined) url.username = role;
  return url.href;
}

/**
 * A database of its own for one test.
 *
 * @param options.migrated false for an empty one; the default has the whole schema
 */
export async function freshDatabase(t: TestContext, options: { migrated?: boolean } = {}): Promise<FreshDatabase> {
  const adminUrl = await adminUrlOfServer();
  const name = `test_${randomBytes(8).toString('hex')}`;
  const template = options.migrated === false ? 'template0' : TEMPLATE_DATABASE;
  await asClient(adminUrl, (client) =>
    client.query(`CREATE DATABASE ${name} TEMPLATE ${template} OWNER ${APPLICATION_ROLE}`),
  );
  const url = withDatabase(adminUrl, name, APPLICATION_ROLE);
  const pool = createPool(url, { instance: 'test', maxConnections: TEST_POOL_SIZE });
  t.teardown(async () => {
    if (!pool.ended) await pool.end();
    await asClient(adminUrl, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  });
  return { url, adminUrl: withDatabase(adminUrl, name), name, pool };
}

export interface PrivatePostgres {
  /** URL of a database with the whole schema (or empty), for the role that Sluice works as. */
  url: string;
  adminUrl: string;
  port: number;
  /** A clean stop. */
  stop(): Promise<void>;
  /** Starts it again on the same port and waits until it answers. */
  start(): Promise<void>;
  /** A crash. */
  kill(): Promise<void>;
}

/**
 * A server of its own for one test, which may stop it, crash it and start it again.
 *
 * @param options.settings server settings that differ, for instance `fsync: 'on'`
 */
export async function startPrivatePostgres(
  t: TestContext,
  options: { migrated?: boolean; settings?: Record<string, string> } = {},
): Promise<PrivatePostgres> {
  const server = await TestPostgres.create(options.settings);
  t.teardown(() => server.remove());
  await server.asAdmin((client) => client.query(`CREATE DATABASE sluice OWNER ${APPLICATION_ROLE}`));
  const url = server.urlFor('sluice');
  if (options.migrated !== false) await migrate(url);
  return {
    url,
    adminUrl: server.urlFor('sluice', 'postgres'),
    port: server.port,
    stop: () => server.stop(),
    start: () => server.start(),
    kill: () => server.kill(),
  };
}
