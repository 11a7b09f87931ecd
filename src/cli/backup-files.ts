/**
 * The files of a backup and their checksums.
 *
 * Enters: streams of rows, names of files. Leaves: compressed files, `SHA256SUMS` as `sha256sum -c` reads it. Invariants: a file
 * that is reported as written is on the disk; what is read back is refused unless every octet is as it was written.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createGzip } from 'node:zlib';
import { BackupError } from '../store/backup-manifest.js';

/** The file of checksums, the one that describes the database, and the folder of its rows. */
export const sumsFile = 'SHA256SUMS';
export const manifestFile = 'manifest.json';
export const rowsFolder = 'database';

/** The checksums of more files than any configuration has, octets. */
const longestSums = 64 * 1024 * 1024;
/** The largest manifest: names of tables, columns and partitions of decades, octets. */
const longestManifest = 16 * 1024 * 1024;

/** The rows of a table, relative to the backup. */
export function rowsFile(table: string): string {
  return `${rowsFolder}/${table}.copy.gz`;
}

/** Writes the rows of a table. @param folder the backup */
export async function writeRows(folder: string, table: string, rows: Readable): Promise<void> {
  const path = join(folder, rowsFile(table));
  // The least effort: a busy server has better things to do.
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  await pipeline(rows, gzip, createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }));
}

/** The rows of a table as they were given; damage is an error of the stream. */
export function readRows(folder: string, table: string): Readable {
  const gunzip = createGunzip();
  pipeline(createReadStream(join(folder, rowsFile(table))), gunzip).catch((error: unknown) => {
    gunzip.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  return gunzip;
}

/** Writes a text for the owner's eyes, and syncs it. */
export async function writeOwn(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Writes the checksums of all files that are there. */
export async function writeSums(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
  const lines: string[] = [];
  for (const name of names) lines.push(sumLine(await sha256Of(join(folder, name)), name));
  await writeOwn(join(folder, sumsFile), lines.join(''));
}

// A name with a line end or a backslash is escaped, and its line begins with a backslash (GNU coreutils).
function sumLine(sum: string, name: string): string {
  const escaped = name.replace(/\\/gu, '\\\\').replace(/\n/gu, '\\n').replace(/\r/gu, '\\r');
  return `${escaped === name ? '' : '\\'}${sum}  ${escaped}\n`;
}

/** The text of the manifest, after every file that a restore reads was compared with its checksum. */
export async function verifiedManifest(folder: string, tables: readonly string[]): Promise<string> {
  const sums = new Map<string, string>();
  const text = await readBounded(join(folder, sumsFile), longestSums);
  for (const line of text.split('\n')) {
    const match = /^([0-9a-f]{64}) [ *](.+)$/u.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) sums.set(match[2], match[1]);
  }
  for (const name of [manifestFile, ...tables.map(rowsFile)]) {
    const expected = sums.get(name);
    if (expected === undefined) throw new BackupError('damaged', `${join(folder, sumsFile)} does not name ${name}`);
    if ((await sumOfExisting(folder, name)) !== expected)
      throw new BackupError(
        'damaged',
        `${join(folder, name)} is not as it was written: it is cut short or changed; take another copy of the backup`,
      );
  }
  return await readBounded(join(folder, manifestFile), longestManifest);
}

async function sumOfExisting(folder: string, name: string): Promise<string> {
  try {
    return await sha256Of(join(folder, name));
  } catch (error) {
    throw missing(join(folder, name), error);
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function readBounded(path: string, mostOctets: number): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= mostOctets) return text;
  } catch (error) {
    throw missing(path, error);
  }
  throw new BackupError('damaged', `${path} is larger than it can be`);
}

function missing(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return error;
  return new BackupError('damaged', `${path} is missing: name the folder that sluice backup wrote, all of it`, {
    cause: error,
  });
}
