/**
 * `nas list|show|test|trust|resync|adopt|forget`: the devices that are commanded.
 *
 * Enters: names of NASes. Leaves: what is configured and how far each has come; whether one can be reached; a host key that is trusted.
 * Invariant: `test` reads and changes nothing on the NAS; `trust` sends nothing secret to it and stores only what somebody agreed to.
 */
import type { Command } from 'commander';
import type { NasCounts } from '../store/nas-progress.js';
import type { CommandContext } from './command-context.js';
import { count, showTime } from './display.js';
import { entryNamed } from './named-nas.js';

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
      const { showAbandonedNas, showNas } = await import('./nas-show.js');
      const { nas: entries } = await context.config();
      const isConfigured = entries.some((entry) => entry.name === name);
      if (!isConfigured && (await showAbandonedNas(context, name))) return;
      await showNas(context, await entryNamed(context, name));
    });
  nas
    .command('test <name>')
    .description('connect to it, log in, and read what it has; nothing is changed')
    .option('--login <login>', 'ask it for a sign of this subscriber as well (user_test of its profile)')
    .action(async (name: string, options: { login?: string }) => {
      const { testNas } = await import('./nas-test.js');
      await testNas(context, await entryNamed(context, name), options);
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
  nas
    .command('adopt <name> [addresses...]')
    .description('take entries of others on it for ours; without addresses: show them')
    .option('--all', 'all of them')
    .action(async (name: string, addresses: string[], options: { all?: boolean }) => {
      const { adoptNasEntries } = await import('./nas-adopt.js');
      await adoptNasEntries(context, await entryNamed(context, name), addresses, options);
    });
  nas
    .command('forget <name>')
    .description('forget what is known of a NAS that is in no configuration any more')
    .option('--yes', 'do so; without it only what would be lost is told')
    .action(async (name: string, options: { yes?: boolean }) => {
      const { forgetNamedNas } = await import('./nas-forget.js');
      await forgetNamedNas(context, name, options);
    });
}

interface NasLine {
  readonly name: string;
  readonly address: string;
  readonly profile: string;
  readonly mode: string;
  readonly enforcements: NasCounts;
  /** null: no server commands it. */
  readonly instance: string | null;
  readonly breaker: string | null;
  readonly last_packet_at: Date | null;
}

async function list(context: CommandContext): Promise<void> {
  const config = await context.config();
  const { countsByNas, nasSights } = await import('../store/nas-progress.js');
  const pool = await context.pool();
  const [counts, sights] = [await countsByNas(pool), await nasSights(pool)];
  const sightOf = (name: string) => sights.get(name) ?? { instance: null, breaker: null, last_packet_at: null };
  const lines = config.nas.map((entry): NasLine => {
    const commanded = config.profiles[entry.profile]?.enforcement !== undefined;
    return {
      name: entry.name,
      address: entry.addresses.join(', '),
      profile: entry.profile,
      mode: commanded ? entry.mode : 'not commanded',
      enforcements: counts.get(entry.name) ?? {},
      ...sightOf(entry.name),
    };
  });
  for (const [name, enforcements] of counts) {
    if (lines.some((line) => line.name === name)) continue;
    // It was removed while something of ours may still be on it.
    const mode = 'not in the configuration';
    lines.push({ name, address: '', profile: '', mode, enforcements, ...sightOf(name) });
  }
  if (context.json) {
    await context.printJson(lines);
    return;
  }
  const { drawTable } = await import('./table.js');
  const zone = await context.timeZone();
  const waiting = ({ enforcements }: NasLine): number => (enforcements.new ?? 0) + (enforcements.pending ?? 0);
  await context.print(
    drawTable<NasLine>(
      [
        { title: 'NAME', value: (line) => line.name },
        { title: 'PROFILE', value: (line) => line.profile },
        { title: 'MODE', value: (line) => line.mode },
        { title: 'CONVERGED', align: 'right', value: (line) => line.enforcements.converged ?? 0 },
        { title: 'PENDING', align: 'right', value: waiting },
        { title: 'PARKED', align: 'right', value: (line) => line.enforcements.parked ?? 0 },
        { title: 'HELD', align: 'right', value: (line) => line.enforcements.held ?? 0 },
        { title: 'SERVER', value: (line) => line.instance },
        { title: 'BREAKER', value: (line) => line.breaker },
        { title: 'LAST PACKET', value: (line) => showTime(line.last_packet_at, zone) },
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
