/**
 * Two servers on one database, as a provider runs them: one NAS, one secret, one key for Class and one for passwords. Enters: a database.
 * Leaves: both, ready. Invariant: they share nothing but the database and the copied secrets.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { ServerSeries } from './server-series.js';
import type { Settings } from './server.js';

export interface ServerPair {
  readonly first: ServerSeries;
  readonly second: ServerSeries;
}

/** Names of the two instances. */
export const PAIR_INSTANCES = ['pair-a', 'pair-b'] as const;

export async function startPair(
  t: Pick<Test, 'teardown'>,
  databaseUrl: string,
  settings: Settings = {},
): Promise<ServerPair> {
  const first = await ServerSeries.start(t, {
    databaseUrl,
    settings: { ...settings, server: { instance: PAIR_INSTANCES[0] } },
  });
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-test-pair-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }));
  await cp(join(first.dataDir, 'secrets'), join(dataDir, 'secrets'), { recursive: true });
  const second = await ServerSeries.start(t, {
    databaseUrl,
    dataDir,
    settings: { ...settings, server: { instance: PAIR_INSTANCES[1] } },
    files: { 'nas.d/localhost.toml': nasFile(first.secret) },
  });
  return { first, second };
}

/** The NAS at 127.0.0.1 with a given secret. */
export function nasFile(secret: string, more = ''): string {
  return `name = "localhost"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n${more}`;
}
