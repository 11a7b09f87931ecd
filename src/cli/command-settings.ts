/**
 * The configuration as commands need it: quickly and in part, or whole.
 *
 * Enters: the folders. Leaves: the server's own settings, or the complete `Config`.
 * Invariant: reading a part never fails because of another part.
 */
import { chown, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { diskFiles } from '../config/config-files.js';
import type { Config } from '../config/config.js';
import { readLinesFile } from '../config/lines-file.js';
import { loadConfigCreatingSecrets } from '../config/load-config.js';
import { openDocument } from '../config/load-context.js';
import type { LoadContext } from '../config/load-context.js';
import { ConfigError } from '../config/problem.js';
import { validate } from '../config/schema-problems.js';
import { serverSchema } from '../config/server-schema.js';
import type { ServerFile } from '../config/server-schema.js';
import type { LineRule } from '../domain/line-rule.js';

/**
 * Reads and validates `sluice.toml` alone.
 *
 * @returns its settings, all defaults when there is none
 * @throws ConfigError with the problems of that file
 */
export async function readServerSettings(confDir: string): Promise<ServerFile> {
  const context = contextOfOneFile(confDir);
  const file = join(confDir, 'sluice.toml');
  const opened = await openDocument(context, file);
  if (opened.outcome === 'wrong') throw new ConfigError(context.problems);
  const document = opened.outcome === 'read' ? opened.document : { value: {}, lineOf: () => 0 };
  const result = validate(serverSchema, document, file);
  if (!result.ok) throw new ConfigError(result.problems);
  return result.value;
}

/**
 * Reads `lines.toml` alone.
 *
 * @returns its rules, presets written out; without it, those that count by default
 * @throws ConfigError with the problems of that file
 */
export async function readLineRules(confDir: string): Promise<readonly LineRule[]> {
  const context = contextOfOneFile(confDir);
  const rules = await readLinesFile(context);
  if (rules === undefined) throw new ConfigError(context.problems);
  return rules;
}

function contextOfOneFile(confDir: string): LoadContext {
  return {
    confDir,
    dataDir: '',
    bundledProfilesDir: '',
    files: diskFiles,
    environment: {},
    problems: [],
    warnings: [],
    missingSecrets: [],
  };
}

/**
 * Reads everything and makes the secrets that are missing. Made by root, they go to the owner of the data folder, who is the
 * user of the server.
 *
 * @throws ConfigError with the problems of all files
 */
export async function readWholeConfig(options: {
  readonly confDir: string;
  readonly dataDir: string;
  readonly bundledProfilesDir: string;
  readonly io: { readonly environment: Readonly<Record<string, string | undefined>> };
}): Promise<Config> {
  const { config, created } = await loadConfigCreatingSecrets({
    confDir: options.confDir,
    dataDir: options.dataDir,
    bundledProfilesDir: options.bundledProfilesDir,
    environment: options.io.environment,
  });
  if (created.length > 0 && process.getuid?.() === 0) {
    const owner = await stat(options.dataDir);
    for (const path of new Set(created.flatMap((file) => [dirname(file), file])))
      await chown(path, owner.uid, owner.gid);
  }
  return config;
}
