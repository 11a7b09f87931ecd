/**
 * The configuration put to use: who may speak, and how each NAS wants things said. Enters: conf and data folders. Leaves: a `Policy`, made
 * whole or not at all. Invariant: a wrong configuration never replaces a right one; at the start the last good one stands in, loudly.
 */
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Config, NasEntry } from '../config/config.js';
import { loadLastGood, saveLastGood } from '../config/last-good.js';
import { loadConfigCreatingSecrets, type LoadOptions } from '../config/load-config.js';
import { ConfigError, formatProblem } from '../config/problem.js';
import { buildSourceTable, selectNas, type SourceTable } from '../config/source-table.js';
import { compileLineRules, type LineRules } from '../domain/line-rules.js';
import { checkCommandRequirements } from '../nas/command-requirements.js';
import { dictionaryEncoder } from '../nas/dictionary-encoder.js';
import { type CompiledProfile, compileProfiles } from '../nas/profile.js';
import type { AdmittedRequest } from '../radius/admitted-request.js';
import { Attribute } from '../radius/attribute-number.js';
import type { Dictionary } from '../radius/dictionary.js';
import { loadDictionary } from '../radius/dictionary-file.js';
import { SharedSecret } from '../radius/shared-secret.js';
import { SeenLines } from './seen-lines.js';

/** The checkout or installation: `src/app` and `build/app` are both two folders below it. */
export const installation = fileURLToPath(new URL('../..', import.meta.url));

/** Everything that a reload replaces at once. */
export interface Policy {
  readonly config: Config;
  readonly sources: SourceTable<SharedSecret>;
  readonly profiles: ReadonlyMap<string, CompiledProfile>;
  /** How access lines are recognised. */
  readonly lines: LineRules;
  /** The same, of what NASes tell. */
  readonly seenLines: SeenLines;
}

export interface PolicyFolders {
  readonly confDir: string;
  readonly dataDir: string;
}

export interface LoadedPolicy {
  readonly policy: Policy;
  /** Secrets that were made because they were missing. */
  readonly createdSecrets: readonly string[];
  /** Set when the files are wrong and an earlier copy stands in. */
  readonly fallback: { readonly error: ConfigError; readonly savedAt: Date } | undefined;
}

export function loadOptions(folders: PolicyFolders): LoadOptions {
  return { ...folders, bundledProfilesDir: `${installation}conf/profiles` };
}

export function standardDictionary(): Dictionary {
  return loadDictionary(`${installation}dictionaries/dictionary`).dictionary;
}

/**
 * The policy of the files as they are.
 * @throws ConfigError with every problem
 */
export async function loadPolicy(folders: PolicyFolders, dictionary: Dictionary): Promise<LoadedPolicy> {
  const options = loadOptions(folders);
  const { config, created } = await loadConfigCreatingSecrets(options);
  const policy = compile(config, dictionary);
  await saveLastGood(config, options, new Date());
  return { policy, createdSecrets: created, fallback: undefined };
}

/**
 * The policy of the files, or of the last good ones when the files are wrong.
 * @throws ConfigError when there is no copy either
 */
export async function loadPolicyOrLastGood(folders: PolicyFolders, dictionary: Dictionary): Promise<LoadedPolicy> {
  try {
    return await loadPolicy(folders, dictionary);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const last = await loadLastGood(folders.dataDir);
    if (!last.ok) throw error;
    const policy = compile(last.config, dictionary);
    return { policy, createdSecrets: [], fallback: { error, savedAt: last.savedAt } };
  }
}

/** One log line per problem, each with file, line, key and remedy. */
export function logProblems(log: Logger, error: ConfigError, what: string): void {
  for (const problem of error.problems) log.error({ problem: formatProblem(problem) }, what);
}

/** The NAS entry that a request names among those behind its address. */
export function nasOf(policy: Policy, request: AdmittedRequest): NasEntry | undefined {
  const group = policy.sources.lookup(request.sourceAddress);
  if (group === undefined) return undefined;
  const only = group.entries[0];
  if (group.entries.length === 1 && only?.nasIdentifier === undefined && only?.nasIpAddress === undefined) return only;
  const { packet } = request;
  return selectNas(group, packet.text(Attribute.nasIdentifier), packet.address(Attribute.nasIpAddress));
}

function compile(config: Config, dictionary: Dictionary): Policy {
  const profiles = compileProfiles(config.profiles, dictionaryEncoder(dictionary));
  const problems = checkCommandRequirements(config.nas, profiles);
  if (problems.length > 0) throw new ConfigError(problems);
  const lines = compileLineRules(config.lines);
  return {
    config,
    sources: buildSourceTable(config.nas, (secret) => new SharedSecret(secret.octets())),
    profiles,
    lines,
    seenLines: new SeenLines(config, lines),
  };
}
