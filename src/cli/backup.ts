/**
 * `backup`: everything that a server needs to be the same server again, in one new folder.
 *
 * Enters: the database, the configuration, the data folder. Leaves: rows, manifest, copies of conf and secrets, checksums, and how to
 * restore. Invariants: the folder is new and for its owner's eyes only, modes are kept; a backup that is not whole ends in an
 * error and says so in its folder's name.
 */
import { constants } from 'node:fs';
import { access, cp, mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve, sep } from 'node:path';
import type { ServerFile } from '../config/server-schema.js';
import type { BackupManifest } from '../store/backup-manifest.js';
import { dumpDatabase } from '../store/database-dump.js';
import { manifestFile, rowsFolder, writeOwn, writeRows, writeSums } from './backup-files.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { Progress } from './command-io.js';
import { count, showOctets } from './display.js';
import { printable } from './printable.js';

/** Makes a backup. */
export async function backup(context: CommandContext, folder: string): Promise<void> {
  const settings = await context.settings();
  const target = resolve(folder);
  const partial = `${target}.partial`;
  const secrets = join(context.dataDir, 'secrets');
  refuseWithin(target, [context.confDir, secrets]);
  await makeFolder(target, partial);
  const manifest = await dump(context, partial);
  const copied = [
    ...(await copyFolder(context.confDir, join(partial, 'conf'))),
    ...(await copyFolder(secrets, join(partial, 'secrets'))),
  ];
  const elsewhere = await outside(context, settings, copied);
  const steps = restoreSteps(context, settings, target, manifest, elsewhere);
  await writeOwn(join(partial, 'RESTORE.txt'), `${steps.join('\n')}\n`);
  await writeSums(partial);
  await syncFolder(partial);
  await rename(partial, target);
  await syncFolder(resolve(target, '..'));
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  const octets = await sizeOf(join(target, rowsFolder));
  if (context.json) {
    await context.printJson({
      folder: target,
      taken_at: manifest.taken_at,
      rows,
      database_octets: octets,
      copied,
      not_copied: elsewhere,
      keep: spoolOf(context, settings),
      restore: steps,
    });
    return;
  }
  context.remark(
    `${count(rows, 'row')} of ${count(manifest.tables.length, 'table')}, ${showOctets(octets)} compressed`,
  );
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
  await mkdir(join(partial, rowsFolder), { mode: 0o700 });
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function dump(context: CommandContext, partial: string): Promise<BackupManifest> {
  const progress = new Progress(context.io);
  try {
    const { manifest, otherTables } = await dumpDatabase(await context.databaseUrl(), async (table, rows) => {
      progress.update(`copying ${table}`);
      await writeRows(partial, table, rows);
    });
    await writeOwn(join(partial, manifestFile), `${JSON.stringify(manifest, undefined, 1)}\n`);
    progress.end();
    if (otherTables.length > 0)
      context.remark(`not in the backup, because they are not tables of Sluice: ${otherTables.join(', ')}`);
    return manifest;
  } finally {
    progress.end();
  }
}

async function copyFolder(from: string, to: string): Promise<string[]> {
  if (!(await exists(from))) return [];
  // Owners are those of who runs this; modes are kept, so that a secret stays one. What a link points to is copied in its place.
  await cp(from, to, {
    recursive: true,
    dereference: true,
    errorOnExist: true,
    force: false,
    preserveTimestamps: true,
    mode: constants.COPYFILE_FICLONE,
    // Sockets, and links to nothing, are no configuration.
    filter: async (path) => {
      const found = await stat(path).catch(() => undefined);
      return found !== undefined && (found.isFile() || found.isDirectory());
    },
  });
  return [from];
}

/** Keys that the configuration has elsewhere: a restore without them opens no password and knows no session by its Class. */
async function outside(context: CommandContext, settings: ServerFile, copied: readonly string[]): Promise<string[]> {
  const { class_key_file: classKey, password_key_file: passwordKey } = settings.radius;
  const missing: string[] = [];
  for (const reference of [classKey, passwordKey]) {
    const path = pathOf(context, reference);
    const isCopied = path !== undefined && copied.some((folder) => path.startsWith(`${folder}${sep}`));
    // One that is not there yet is made by the server when it is needed.
    if (!isCopied && (path === undefined || (await exists(path)))) missing.push(path ?? reference);
  }
  return missing;
}

/** A path as sluice.toml writes it; undefined for one that only the server's own start can find. */
function pathOf(context: CommandContext, reference: string): string | undefined {
  if (reference.startsWith('${data}/')) return join(context.dataDir, reference.slice('${data}/'.length));
  if (reference.includes('${')) return undefined;
  return isAbsolute(reference) ? reference : join(context.confDir, reference);
}

function spoolOf(context: CommandContext, settings: ServerFile): string {
  return pathOf(context, settings.spool.directory) ?? settings.spool.directory;
}

async function sizeOf(folder: string): Promise<number> {
  let octets = 0;
  for (const name of await readdir(folder)) octets += (await stat(join(folder, name))).size;
  return octets;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function restoreSteps(
  context: CommandContext,
  settings: ServerFile,
  target: string,
  manifest: BackupManifest,
  elsewhere: readonly string[],
): string[] {
  const spool = spoolOf(context, settings);
  const embedded = settings.database.url === undefined;
  const cluster = join(context.dataDir, 'postgres');
  return [
    `This backup is in ${target}: the database (${rowsFolder}, ${manifestFile}), the configuration (conf), the secrets (secrets).`,
    `Keep beside it the spool: ${spool}. What was acknowledged after ${manifest.taken_at}`,
    `is there for ${String(settings.spool.retention_days)} days, and a server that starts on the restored database applies it again.`,
    'Without it, that much accounting is lost.',
    ...manifest.spools.map(({ instance, spool_uuid }) => `  spool of ${instance}: ${spool_uuid}`),
    ...elsewhere.map((path) => `NOT IN THIS BACKUP, and needed: ${path}`),
    'To restore:',
    '1. stop every server on this database, and leave each spool where it is (or move it to the new data folder)',
    `2. cp -a ${join(target, 'conf')}/. ${context.confDir}/`,
    `3. mkdir -p ${context.dataDir} && cp -a ${join(target, 'secrets')} ${context.dataDir}/`,
    embedded
      ? `4. mv ${cluster} ${cluster}.old, if it is there: the restore makes a new cluster`
      : '4. make an empty database for the user of database.url (createdb), then: sluice migrate',
    `5. sluice restore ${target}`,
    '6. start the servers: each applies what its spool holds since the backup',
  ];
}
