/**
 * A NAS as a command may read it.
 *
 * Enters: its entry and profile. Leaves: what it lists. Invariant: there is no way here by which anything could be changed on it.
 */
import type { NasEntry } from '../config/config.js';
import { HostKeyStore } from '../nas/host-keys.js';
import { listingManner } from '../nas/listed-entries.js';
import { systemNasClock } from '../nas/nas-clock.js';
import { execTransportOf, sshTransportOf } from '../nas/nas-transports.js';
import { type ListAnswer, ProfileDriver } from '../nas/profile-driver.js';
import type { CompiledProfile } from '../nas/profile.js';
import type { CommandContext } from './command-context.js';

/** A NAS that can be asked what it has. */
export interface OpenListing {
  readonly name: string;
  readonly onlyServed: boolean;
  list(): Promise<ListAnswer>;
  stop(): Promise<void>;
}

/** Opens what its lists are read by. Nothing is connected before it is asked. */
export function openListing(
  context: Pick<CommandContext, 'dataDir'>,
  entry: NasEntry,
  profile: CompiledProfile,
): OpenListing {
  const { driver, stop } = openReading(context, entry, profile);
  return {
    name: entry.name,
    onlyServed: profile.profile.listing.onlyServed,
    list: () => driver.list(),
    stop,
  };
}

/** The consoles and scripts that a NAS is read by. */
export function openReading(
  context: Pick<CommandContext, 'dataDir'>,
  entry: NasEntry,
  profile: CompiledProfile,
): { readonly driver: Pick<ProfileDriver, 'list' | 'read'>; readonly stop: () => Promise<void> } {
  const ssh = sshTransportOf(entry, profile, {
    hostKeys: new HostKeyStore(context.dataDir),
    onHostKeyRefused: () => undefined,
    clock: systemNasClock,
  });
  const exec = execTransportOf(entry, profile, systemNasClock);
  const driver = new ProfileDriver(
    profile.commands,
    { ...(ssh !== undefined && { ssh }), ...(exec !== undefined && { exec }) },
    systemNasClock,
    listingManner(profile.profile.listing),
  );
  return { driver, stop: () => driver.stop() };
}
