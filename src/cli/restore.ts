/**
 * `restore`: a backup back into an empty database.
 *
 * Enters: the folder of a backup, a database that was migrated and never used. Leaves: its rows, and what to look at before the start.
 * Invariant: nothing is written before every file was compared with its checksum; conf and secrets are compared, never changed.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { equalSecrets } from '../radius/constant-time.js';
import { parseManifest } from '../store/backup-manifest.js';
import { copiedTables } from '../store/backup-tables.js';
import { restoreDatabase, SKIPPED_IDS } from '../store/database-restore.js';
import { manifestFile, readRows, verifiedManifest } from './backup-files.js';
import type { CommandContext } from './command-context.js';
import { Progress } from './command-io.js';
import { count } from './display.js';
import { printable } from './printable.js';

/** Restores a backup. @param named its folder, or the manifest in it */
export async function restore(context: CommandContext, named: string): Promise<void> {
  const path = resolve(named);
  const folder = basename(path) === manifestFile ? dirname(path) : path;
  const manifest = parseManifest(await verifiedManifest(folder, copiedTables));
  const progress = new Progress(context.io);
  try {
    await restoreDatabase(await context.databaseUrl(), manifest, (table) => {
      progress.update(`restoring ${table}`);
      return readRows(folder, table);
    });
  } finally {
    progress.end();
  }
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  const secrets = await compareSecrets(join(folder, 'secrets'), join(context.dataDir, 'secrets'));
  for (const line of secrets) context.remark(`warning: ${line}`);
  if (context.json) {
    await context.printJson({ folder, taken_at: manifest.taken_at, rows, skipped_ids: SKIPPED_IDS, warnings: secrets });
    return;
  }
  await context.print(
    printable(
      `${count(rows, 'row')} of ${count(manifest.tables.length, 'table')} as of ${manifest.taken_at} are restored; ` +
        'start the servers, which apply what their spools hold since',
    ),
  );
}

/** Secrets of the backup that the data folder has not, or has otherwise. The embedded database's own password may differ. */
async function compareSecrets(saved: string, present: string): Promise<string[]> {
  const warnings: string[] = [];
  for (const name of await readdir(saved).catch(() => [])) {
    if (name === 'postgres' || !(await stat(join(saved, name))).isFile()) continue;
    const before = await readFile(join(saved, name));
    const now = await readFile(join(present, name)).catch(() => undefined);
    if (now === undefined) warnings.push(`${join(present, name)} is missing: cp -a ${join(saved, name)} ${present}/`);
    else if (!equalSecrets(now, before))
      warnings.push(`${join(present, name)} is not that of the backup: cp -a ${join(saved, name)} ${present}/`);
  }
  return warnings;
}
