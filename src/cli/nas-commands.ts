/**
 * `nas list|show|test|trust|resync`: the devices that are commanded.
 *
 * Enters: names of NASes. Leaves: what is configured and how far each has come; whether one can be reached; a host key that is trusted.
 * Invariant: `test` reads and changes nothing on the NAS; `trust` sends nothing secret to it and stores only what somebody agreed to.
 */
import type { Command } from 'commander';
import type { Config, NasEntry } from '../config/config.js';
import type { CompiledProfile } from '../nas/profile.js';
import type { NasCounts } from '../store/nas-progress.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { count } from './display.js';
import { unknownName } from './unknown-name.js';

/** Adds `nas` with its subcommands. */
export function registerNasCommands(program: Command, context: CommandContext): void {
  const nas = program
    .command('nas')
    .description('NASes: what is configured, how far they have come, whether they can be reached');
  nas
    .command('list')
    .description('list all, with what is done and what waits')
    .action(() => list(context));
  nas
    .command('show <name>')
    .description('show one: how it is commanded, who commands it, the last commands and troubles')
    .action(async (name: string) => {
      const { showNas } = await import('./nas-show.js');
      await showNas(context, await entryNamed(context, name));
    });
  nas
    .command('test <name>')
    .description('connect to it, log in, and read what it has; nothing is changed')
    .action(async (name: string) => {
      const { testNas } = await import('./nas-test.js');
      await testNas(context, await entryNamed(context, name));
    });
  nas
    .command('trust <name>')
    .description('show the host key that it offers, and store its fingerprint')
    .option('--yes', 'do not ask')
    .option('--fingerprint <fingerprint>', 'store it only when it is this one')
    .action(async (name: string, options: { yes?: boolean; fingerprint?: string }) => {
      const { trustNas } = await import('./nas-trust.js');
      await trustNas(context, (await entryNamed(context, name)).entry, options);
    });
  nas
    .command('resync <name>')
    .description('say everything to it again, as to one that was wiped')
    .action((name: string) => resync(context, name));
}

/** A NAS of the configuration with its compiled profile. */
export interface NamedNas {
  readonly entry: NasEntry;
  readonly profile: CompiledProfile;
}

async function entryNamed(context: CommandContext, name: string): Promise<NamedNas> {
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

interface NasLine {
  readonly name: string;
  readonly address: string;
  readonly profile: string;
  readonly mode: string;
  readonly enforcements: NasCounts;
}

async function list(context: CommandContext): Promise<void> {
  const config = await context.config();
  const { countsByNas } = await import('../store/nas-progress.js');
  const counts = await countsByNas(await context.pool());
  const lines = config.nas.map((entry): NasLine => {
    const commanded = config.profiles[entry.profile]?.enforcement !== undefined;
    return {
      name: entry.name,
      address: entry.addresses.join(', '),
      profile: entry.profile,
      mode: commanded ? entry.mode : 'not commanded',
      enforcements: counts.get(entry.name) ?? {},
    };
  });
  for (const [name, enforcements] of counts) {
    if (lines.some((line) => line.name === name)) continue;
    // It was removed while something of ours may still be on it.
    lines.push({ name, address: '', profile: '', mode: 'not in the configuration', enforcements });
  }
  if (context.json) {
    await context.printJson(lines);
    return;
  }
  const { drawTable } = await import('./table.js');
  const waiting = ({ enforcements }: NasLine): number => (enforcements.new ?? 0) + (enforcements.pending ?? 0);
  await context.print(
    drawTable<NasLine>(
      [
        { title: 'NAME', value: (line) => line.name },
        { title: 'ADDRESS', value: (line) => line.address },
        { title: 'PROFILE', value: (line) => line.profile },
        { title: 'MODE', value: (line) => line.mode },
        { title: 'CONVERGED', align: 'right', value: (line) => line.enforcements.converged ?? 0 },
        { title: 'PENDING', align: 'right', value: waiting },
        { title: 'PARKED', align: 'right', value: (line) => line.enforcements.parked ?? 0 },
        { title: 'HELD', align: 'right', value: (line) => line.enforcements.held ?? 0 },
      ],
      lines,
      context.columns,
    ),
  );
}

async function resync(context: CommandContext, name: string): Promise<void> {
  await entryNamed(context, name);
  const { requestNasResync } = await import('../store/nas-progress.js');
  const client = await (await context.pool()).connect();
  try {
    const places = await requestNasResync(client, name);
    if (context.json) await context.printJson({ nas: name, enforcements: places });
    else await context.print(`${name}: ${count(places, 'enforcement')} will be said again`);
  } finally {
    client.release();
  }
}
