/**
 * `nas show`: one NAS as it is configured and as it goes.
 *
 * Enters: a NAS. Leaves: a description, its troubles and its last commands. Invariant: no secret is among what is told.
 */
import type { Pool } from 'pg';
import { commandNames, readingCommandNames } from '../domain/service-state.js';
import { HostKeyStore } from '../nas/host-keys.js';
import { knownHostKey, sshTargetOf } from '../nas/nas-transports.js';
import { driverOf } from '../nas/profile-driver.js';
import type { CompiledCommand } from '../nas/step.js';
import { commandsOfNas } from '../store/command-history.js';
import type { CommandRow } from '../store/command-history.js';
import { commanderOf, countsByNas, disproofsOf, troublesOf } from '../store/nas-progress.js';
import type { NasCommander, NasCounts, NasTrouble } from '../store/nas-progress.js';
import { lastRun, type ReconcileRunRow } from '../store/reconcile-rows.js';
import type { CommandContext } from './command-context.js';
import { count, showDuration, showTime } from './display.js';
import type { NamedNas } from './named-nas.js';
import { printable } from './printable.js';

/** Commands and reasons that fit beside one another on a page. */
const shownCommands = 10;
const shownTroubles = 5;

/** Prints one NAS. */
export async function showNas(context: CommandContext, { entry, profile }: NamedNas): Promise<void> {
  const pool = await context.pool();
  const { counts, commander, troubles, commands } = await progressOf(pool, entry.name);
  const disproofs = await disproofsOf(pool, entry.name);
  const compared = await lastRun(pool, entry.name);
  const target = sshTargetOf(entry);
  const hostKey = target === undefined ? undefined : await knownHostKey(entry, new HostKeyStore(context.dataDir));
  const ways = [...commandNames, ...readingCommandNames].flatMap((name) => {
    const command = profile.commands.get(name);
    return command === undefined ? [] : [[name, describe(command)] as const];
  });
  if (context.json) {
    await context.printJson({
      name: entry.name,
      addresses: entry.addresses,
      profile: entry.profile,
      mode: entry.mode,
      place: profile.profile.enforcement?.place ?? null,
      ssh:
        target === undefined
          ? null
          : { host: target.host, port: target.port, user: target.user, host_key: hostKey ?? null },
      enforcements: counts,
      commander: commander ?? null,
      troubles,
      disproved: disproofs,
      commands: Object.fromEntries(ways),
      last_commands: commands,
      last_reconcile: compared ?? null,
    });
    return;
  }
  const zone = await context.timeZone();
  const lines: (readonly [string, string])[] = [
    ['name', entry.name],
    ['address', entry.addresses.join(', ')],
    ['profile', `${entry.profile}: ${profile.profile.description}`],
    [
      'mode',
      profile.profile.enforcement === undefined
        ? 'not commanded'
        : `${entry.mode}, ${profile.profile.enforcement.place}`,
    ],
    ['limits', `${String(entry.parallel)} at once, ${String(entry.commandsPerSecond)} a second`],
    ...(target === undefined ? [] : [['ssh', `${target.user}@${target.host} port ${String(target.port)}`] as const]),
    ...(target === undefined ? [] : [['host key', hostKey ?? 'none is trusted: "sluice nas trust"'] as const]),
    ['enforcements', countsText(counts)],
    ['commanded by', commanderText(commander, zone)],
    ...(commander === undefined || commander.breaker === 'closed'
      ? []
      : [['stopped', `${commander.breaker}: ${commander.breaker_reason ?? ''}`] as const]),
    ...(commander?.converge_seconds == null
      ? []
      : [['converged in', showDuration(commander.converge_seconds)] as const]),
    ...(compared === undefined
      ? []
      : [['compared', `${showTime(compared.at, zone)} by ${compared.by}: ${comparedText(compared)}`] as const]),
    ...(disproofs === 0
      ? []
      : [['disproved', `${count(disproofs, 'place')} where it had confirmed what was not so`] as const]),
    ...troubleLines(troubles),
  ];
  await printPairs(context, lines);
  await context.print(`\ncommands:\n${ways.map(([name, way]) => `  ${name.padEnd(22)}${printable(way)}`).join('\n')}`);
  await printCommands(context, commands, zone);
}

/**
 * Prints what is known of a NAS that was taken out of the configuration.
 *
 * @returns false: there is nothing of it, and never was
 */
export async function showAbandonedNas(context: CommandContext, name: string): Promise<boolean> {
  const { counts, commander, troubles, commands } = await progressOf(await context.pool(), name);
  if (Object.keys(counts).length === 0 && commander === undefined) return false;
  const mode = 'not in the configuration';
  if (context.json) {
    await context.printJson({
      name,
      mode,
      enforcements: counts,
      commander: commander ?? null,
      troubles,
      last_commands: commands,
    });
    return true;
  }
  const zone = await context.timeZone();
  await printPairs(context, [
    ['name', name],
    ['mode', `${mode}: nothing is sent to it, and what it has of ours stays, until it is there again`],
    ['enforcements', countsText(counts)],
    ['commanded by', commanderText(commander, zone)],
    ...troubleLines(troubles),
  ]);
  await printCommands(context, commands, zone);
  return true;
}

interface Progress {
  readonly counts: NasCounts;
  readonly commander: NasCommander | undefined;
  readonly troubles: readonly NasTrouble[];
  readonly commands: readonly CommandRow[];
}

async function progressOf(pool: Pool, name: string): Promise<Progress> {
  return {
    counts: (await countsByNas(pool)).get(name) ?? {},
    commander: await commanderOf(pool, name),
    troubles: await troublesOf(pool, name, shownTroubles),
    commands: await commandsOfNas(pool, name, shownCommands),
  };
}

function countsText(counts: NasCounts): string {
  const parts = Object.entries(counts).map(([state, number]) => `${String(number)} ${state}`);
  return parts.join(', ') || 'none';
}

function commanderText(commander: NasCommander | undefined, zone: string): string {
  if (commander === undefined || commander.released_at !== null) return 'no server';
  return `${commander.instance} since ${showTime(commander.since, zone)}`;
}

function troubleLines(troubles: readonly NasTrouble[]): (readonly [string, string])[] {
  return troubles.map(({ error, count }) => ['trouble', `${String(count)} × ${error}`]);
}

async function printPairs(context: CommandContext, lines: readonly (readonly [string, string])[]): Promise<void> {
  await context.print(lines.map(([key, value]) => `${`${key}:`.padEnd(15)}${printable(value)}`).join('\n'));
}

async function printCommands(context: CommandContext, commands: readonly CommandRow[], zone: string): Promise<void> {
  if (commands.length === 0) return;
  const { drawTable } = await import('./table.js');
  await context.print('');
  await context.print(
    drawTable<CommandRow>(
      [
        { title: 'AT', value: (row) => showTime(row.at, zone) },
        { title: 'LOGIN', value: (row) => row.login },
        { title: 'COMMAND', value: (row) => row.command },
        { title: 'OUTCOME', value: (row) => row.outcome },
        { title: 'ANSWER', value: (row) => row.detail },
      ],
      commands,
      context.columns,
    ),
  );
}

function comparedText({ error, listed, wanted, counts, mended, beyond_limit: beyond }: ReconcileRunRow): string {
  if (error !== null) return error;
  const kinds = Object.entries(counts).flatMap(([kind, number]) => (number === 0 ? [] : [`${String(number)} ${kind}`]));
  const rest = beyond === 0 ? '' : `, ${String(beyond)} beyond the limit`;
  return `${String(listed)} listed, ${String(wanted)} wanted; ${kinds.join(', ') || 'nothing differs'}; ${String(mended)} mended${rest}`;
}

function describe({ steps, fallback, notApplicable }: CompiledCommand): string {
  if (notApplicable !== undefined) return `nothing: ${notApplicable}`;
  const way = steps.map((step) => (step.send === 'disconnect' ? 'disconnect' : driverOf(step))).join(', then ');
  const otherwise = fallback
    .map((step) => (step.send === 'disconnect' ? 'disconnect' : driverOf(step)))
    .join(', then ');
  return otherwise === '' ? way : `${way}; when refused: ${otherwise}`;
}
