/**
 * The last configuration that worked, kept so that a start with a wrong one still serves.
 *
 * Enters: a `Config` that has been put to use; later the data folder.
 * Leaves: `<data>/last-good/` with every file that was read; later the same `Config` again.
 * Invariant: the copy is complete or not there at all; folders have mode 0700 and files 0600; it is written at every
 * accepted configuration, so it is never older than what last ran.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import type { Config } from './config.js';
import { ConfigSnapshot } from './config-files.js';
import type { SnapshotFile } from './config-files.js';
import { isBelow } from './load-context.js';
import { loadConfig } from './load-config.js';
import type { LoadOptions } from './load-config.js';
import { ConfigError } from './problem.js';
import { syncFolder } from './secret-files.js';

// Written into the manifest; a program that reads another number leaves the copy alone.
const formatVersion = 1;

const manifestSchema = z.strictObject({
  version: z.literal(formatVersion),
  saved_at: z.iso.datetime(),
  conf_dir: z.string(),
  data_dir: z.string(),
  bundled_profiles_dir: z.string(),
  credentials_directory: z.string().nullable(),
  folders: z.record(z.string(), z.array(z.string())),
  files: z.array(z.strictObject({ path: z.string(), stored: z.string(), mode: z.int() })),
});

export type LastGoodResult =
  | { readonly ok: true; readonly config: Config; readonly savedAt: Date }
  | { readonly ok: false; readonly reason: 'absent' | 'damaged' }
  /** The copy was read, but this program does not accept it: the rules have become stricter. */
  | { readonly ok: false; readonly reason: 'refused'; readonly error: ConfigError };

/**
 * Copies everything that a configuration was read from. Call it when the configuration has been put to use.
 *
 * @param config with no secret missing
 * @param options those it was loaded with
 * @param savedAt the present time
 * @throws the file system's error; the earlier copy is then still there
 */
export async function saveLastGood(config: Config, options: LoadOptions, savedAt: Date): Promise<void> {
  const target = join(config.dataDir, 'last-good');
  const draft = `${target}.new`;
  const former = `${target}.old`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true, mode: 0o700 });
  const folders = new Set<string>([draft]);
  const files = [];
  for (const [index, file] of config.snapshot.files().entries()) {
    const stored = storedName(config, file.path, index);
    const path = join(draft, stored);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    folders.add(dirname(path));
    await writeDurably(path, file.octets);
    files.push({ path: file.path, stored, mode: file.mode });
  }
  const environment = options.environment ?? process.env;
  const manifest: z.input<typeof manifestSchema> = {
    version: formatVersion,
    saved_at: savedAt.toISOString(),
    conf_dir: options.confDir,
    data_dir: options.dataDir,
    bundled_profiles_dir: options.bundledProfilesDir,
    credentials_directory: environment['CREDENTIALS_DIRECTORY'] ?? null,
    folders: Object.fromEntries([...config.snapshot.folders()].map(([folder, names]) => [folder, [...names]])),
    files,
  };
  await writeDurably(join(draft, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const folder of folders) await syncFolder(folder);
  await rm(former, { recursive: true, force: true });
  await rename(target, former).catch(ignoreAbsent);
  await rename(draft, target);
  await syncFolder(config.dataDir);
  await rm(former, { recursive: true, force: true });
}

/**
 * Loads the copy again.
 *
 * @param dataDir the data folder it was saved in
 * @returns the configuration and when it was saved, or why there is none
 */
export async function loadLastGood(dataDir: string): Promise<LastGoodResult> {
  // Between the two renames of a save only the former copy has its name.
  for (const folder of [join(dataDir, 'last-good'), join(dataDir, 'last-good.old')]) {
    const result = await loadCopy(folder);
    if (result.ok || result.reason !== 'absent') return result;
  }
  return { ok: false, reason: 'absent' };
}

async function loadCopy(folder: string): Promise<LastGoodResult> {
  const text = await readFile(join(folder, 'manifest.json'), 'utf8').catch(ignoreAbsent);
  if (text === undefined) return { ok: false, reason: 'absent' };
  const manifest = manifestSchema.safeParse(parseJson(text));
  if (!manifest.success) return { ok: false, reason: 'damaged' };
  const { data } = manifest;
  const files = new Map<string, SnapshotFile>();
  for (const { path, stored, mode } of data.files) {
    if (!isBelow(folder, join(folder, stored))) return { ok: false, reason: 'damaged' };
    const octets = await readFile(join(folder, stored)).catch(ignoreAbsent);
    if (octets === undefined) return { ok: false, reason: 'damaged' };
    files.set(path, { path, octets, mode });
  }
  try {
    const config = await loadConfig({
      confDir: data.conf_dir,
      dataDir: data.data_dir,
      bundledProfilesDir: data.bundled_profiles_dir,
      files: new ConfigSnapshot(files, new Map(Object.entries(data.folders))).asFiles(),
      environment: { CREDENTIALS_DIRECTORY: data.credentials_directory ?? undefined },
    });
    return { ok: true, config, savedAt: new Date(data.saved_at) };
  } catch (error) {
    if (error instanceof ConfigError) return { ok: false, reason: 'refused', error };
    throw error;
  }
}

/** Files of the conf folder keep their names, so that a person finds them; others are numbered. */
function storedName(config: Config, path: string, index: number): string {
  return isBelow(config.confDir, path) ? join('conf', relative(config.confDir, path)) : join('other', String(index));
}

async function writeDurably(path: string, content: string | Buffer): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function ignoreAbsent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
    return undefined;
  throw error;
}
