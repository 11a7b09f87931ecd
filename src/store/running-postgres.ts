/**
 * The short way to the embedded PostgreSQL while its server runs.
 *
 * Enters: the data folder. Leaves: the URL of the running server, or nothing. Invariant: it only reads; whatever is doubtful
 * is left to `startEmbeddedPostgres`, which looks closely and takes its time.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { LOOPBACK_HOST, readPostmasterFile } from './postgres-process.js';

/** Role and database that `startEmbeddedPostgres` makes. */
const applicationRole = 'sluice';
const applicationDatabase = 'sluice';

/**
 * The URL of the embedded server that runs on this data folder, as its lock file tells it.
 *
 * @returns undefined when none runs, or when its files cannot be read by us; the server may still refuse the connection
 */
export async function runningPostgresUrl(dataDir: string): Promise<string | undefined> {
  try {
    const file = await readPostmasterFile(join(resolve(dataDir), 'postgres'));
    if (file === undefined || file.port === 0 || file.status === 'stopping') return undefined;
    const password = (await readFile(join(dataDir, 'secrets', 'postgres'), 'utf8')).trim();
    if (password === '') return undefined;
    const url = new URL(`postgres://${LOOPBACK_HOST}:${String(file.port)}/${applicationDatabase}`);
    url.username = applicationRole;
    url.password = password;
    return url.href;
  } catch (error) {
    // Absent or unreadable: the slow way says what is wrong, if anything is.
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
