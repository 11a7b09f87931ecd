/**
 * A look at the whole configuration, as the server's start would take it.
 *
 * Enters: the folders. Leaves: problems and warnings, and the names of what there is.
 * Invariant: nothing is created: a missing secret that the server would make is reported, not made.
 */
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { loadConfig } from '../config/load-config.js';
import { ConfigError } from '../config/problem.js';
import type { ConfigProblem } from '../config/problem.js';
import { checkCommandRequirements } from '../nas/command-requirements.js';
import { dictionaryEncoder } from '../nas/dictionary-encoder.js';
import { compileProfiles } from '../nas/profile.js';
import type { CompiledProfile } from '../nas/profile.js';
import { loadDictionary } from '../radius/dictionary-file.js';
import { checkoutDirectory } from './command-context.js';

/** What `check-config` tells. */
export interface ConfigurationCheck {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
  /** Names of the NAS entries. */
  readonly nas: readonly string[];
  /** Names of the profiles that were read. */
  readonly profiles: readonly string[];
  /** Paths of secrets that the server's start would make. */
  readonly missingSecrets: readonly string[];
}

/**
 * The profiles of a configuration, compiled with the dictionary that comes with the program.
 *
 * @throws ConfigError for attributes that do not exist, and for states in which nothing would change for the subscriber
 */
export function compileAllProfiles(config: Pick<Config, 'profiles'>): ReadonlyMap<string, CompiledProfile> {
  const { dictionary } = loadDictionary(join(checkoutDirectory, 'dictionaries', 'dictionary'));
  return compileProfiles(config.profiles, dictionaryEncoder(dictionary));
}

/** Reads everything; a wrong configuration is a result here, not an error. */
export async function checkConfiguration(options: {
  readonly confDir: string;
  readonly dataDir: string;
  readonly bundledProfilesDir: string;
  readonly io: { readonly environment: Readonly<Record<string, string | undefined>> };
}): Promise<ConfigurationCheck> {
  try {
    const config = await loadConfig({
      confDir: options.confDir,
      dataDir: options.dataDir,
      bundledProfilesDir: options.bundledProfilesDir,
      environment: options.io.environment,
    });
    const problems = checkCommandRequirements(config.nas, compileAllProfiles(config));
    if (problems.length > 0) throw new ConfigError(problems);
    return {
      problems: [],
      warnings: config.warnings,
      nas: config.nas.map((entry) => entry.name),
      profiles: Object.keys(config.profiles).sort(),
      missingSecrets: config.missingSecrets.map((missing) => missing.path),
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { problems: error.problems, warnings: [], nas: [], profiles: [], missingSecrets: [] };
  }
}
