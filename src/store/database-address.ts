/**
 * Where the database is, for programs of PostgreSQL that a command starts.
 *
 * Enters: the URL of the settings, or the data folder of an embedded server that runs. Leaves: a URL without its password, the
 * password apart, the server's major release. Invariant: the URL may be shown and stand in arguments; the password may not.
 */
import type { Pool } from 'pg';
import { runningPostgresUrl } from './running-postgres.js';

/** What such a program is given. */
export interface DatabaseAddress {
  /** Without a password. */
  readonly url: string;
  /** For `PGPASSWORD`; undefined when the URL has none, as with peer authentication. */
  readonly password: string | undefined;
  /** Major release of the server. */
  readonly major: number;
}

/** The embedded server does not run, or its password cannot be read. */
export class NoDatabaseAddressError extends Error {
  override readonly name = 'NoDatabaseAddressError';
}

/**
 * Finds it.
 *
 * @param pool on that very database
 * @param givenUrl `database.url`; undefined for the embedded server
 * @throws NoDatabaseAddressError
 */
export async function databaseAddress(
  pool: Pool,
  dataDir: string,
  givenUrl: string | undefined,
): Promise<DatabaseAddress> {
  const text = givenUrl ?? (await runningPostgresUrl(dataDir));
  if (text === undefined)
    throw new NoDatabaseAddressError(
      'the embedded PostgreSQL of this data folder cannot be found; run it as the user of the server',
    );
  const url = new URL(text);
  const inQuery = url.searchParams.get('password');
  const password = url.password === '' ? (inQuery ?? undefined) : decodeURIComponent(url.password);
  url.password = '';
  url.searchParams.delete('password');
  const { rows } = await pool.query<{ server_version_num: string }>('SHOW server_version_num');
  return { url: url.href, password, major: Math.floor(Number(rows[0]?.server_version_num ?? 0) / 10_000) };
}
