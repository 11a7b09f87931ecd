/**
 * A NAS that a command names. Enters: a name. Leaves: its entry and its compiled profile. Invariant: the configuration is the whole one, checked.
 */
import type { Config, NasEntry } from '../config/config.js';
import type { CompiledProfile } from '../nas/profile.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { unknownName } from './unknown-name.js';

/** A NAS of the configuration with its compiled profile. */
export interface NamedNas {
  readonly entry: NasEntry;
  readonly profile: CompiledProfile;
}

/** @throws CommandError with the nearest name when there is none, ConfigError */
export async function entryNamed(context: CommandContext, name: string): Promise<NamedNas> {
  const config = await context.config();
  const entry = config.nas.find((one) => one.name === name);
  if (entry === undefined)
    throw unknownName(
      'NAS',
      name,
      config.nas.map((one) => one.name),
    );
  return { entry, profile: await compiledProfile(config, entry) };
}

async function compiledProfile(config: Config, entry: NasEntry): Promise<CompiledProfile> {
  const { compileAllProfiles } = await import('./configuration-check.js');
  const profile = compileAllProfiles(config).get(entry.profile);
  if (profile === undefined)
    throw new CommandError(`the profile ${entry.profile} is missing`, 'run "sluice check-config"');
  return profile;
}
