/**
 * The status listener over a database of a test, without the rest of the server. Enters: what a test cares about. Leaves: requests and answers without a socket.
 * Invariant: it reads through the page's own role.
 */
import type { Test } from 'tap';
import type { LightMyRequestResponse } from 'fastify';
import type { Pool } from 'pg';
import type { AccessDecision } from '../../src/domain/access.js';
import { metricsRegistry, type Measure } from '../../src/status/metrics.js';
import type { LookUp } from '../../src/status/page-context.js';
import type { CheckPassword } from '../../src/status/request-guard.js';
import { SampleRing } from '../../src/status/sample-ring.js';
import { type AccessRules, statusServer } from '../../src/status/server.js';
import { openPagePool, PAGE_ROLE } from '../../src/store/page-pool.js';
import { type FreshDatabase, freshDatabase } from './database.js';
import { asClient } from './postgres-server.js';

export interface PageHouse {
  readonly database: FreshDatabase;
  /** As the role `sluice_page`. */
  readonly pagePool: Pool;
  readonly lookUps: LookUp[];
  readonly errors: unknown[];
  /** Asks for everything that is remembered between pages. */
  readonly prepare: () => Promise<void>;
  /** Opens a real listener. @returns `http://127.0.0.1:PORT` */
  listen(): Promise<string>;
  get(path: string, headers?: Record<string, string>): Promise<LightMyRequestResponse>;
  ask(method: string, path: string, headers?: Record<string, string>): Promise<LightMyRequestResponse>;
}

export interface PageHouseOptions {
  readonly rules?: Partial<AccessRules>;
  readonly checkPassword?: CheckPassword;
  readonly measures?: readonly Measure[];
  readonly decision?: AccessDecision;
  readonly billingUrl?: string;
  /** No database at all. */
  readonly away?: boolean;
}

/** The role is the server's, not the database's: made once, with the password that all roles of tests have. */
export async function makePageRole(database: FreshDatabase): Promise<string> {
  const { password } = new URL(database.adminUrl);
  await asClient(database.adminUrl, async (client) => {
    await client.query(
      `DO $$ BEGIN CREATE ROLE ${PAGE_ROLE} LOGIN PASSWORD '${password}'; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`,
    );
  });
  const url = new URL(database.url);
  url.username = PAGE_ROLE;
  return url.href;
}

export async function pageHouse(t: Pick<Test, 'teardown'>, options: PageHouseOptions = {}): Promise<PageHouse> {
  const database = await freshDatabase(t);
  const pageUrl = await makePageRole(database);
  const { pool: pagePool } = await openPagePool(database.pool, {
    instance: 'test',
    url: database.url,
    pageUrl,
    onConnectionError: () => undefined,
  });
  const lookUps: LookUp[] = [];
  const errors: unknown[] = [];
  const measures = options.measures ?? [];
  let prepare = async (): Promise<void> => undefined;
  const app = statusServer({
    health: () => ({ healthy: true, ready: true, problems: [] }),
    registry: metricsRegistry(measures),
    rules: () => ({ onLoopback: true, hostNames: [], users: [], metricsOpen: false, ...options.rules }),
    checkPassword: options.checkPassword ?? (async () => 'wrong'),
    pages: {
      instance: 'test',
      timeZone: 'Europe/Moscow',
      billingUrl: () => options.billingUrl,
      database: () => (options.away === true ? undefined : pagePool),
      health: () => ({ healthy: true, ready: true, problems: [] }),
      measures,
      lastHour: new SampleRing(),
      onPrepare: (given) => (prepare = given),
      judge: () => options.decision,
      onLookUp: (lookUp) => lookUps.push(lookUp),
      onError: (error) => errors.push(error),
      nowMs: Date.now,
    },
  });
  t.teardown(async () => {
    await app.close();
    await pagePool.end();
  });
  const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
    app.inject({ method: method as 'GET', url: path, headers: { host: 'localhost', ...headers } });
  const listen = () => app.listen({ host: '127.0.0.1', port: 0 });
  await app.ready();
  return {
    database,
    pagePool,
    lookUps,
    errors,
    prepare,
    ask,
    listen,
    get: (path, headers) => ask('GET', path, headers),
  };
}
