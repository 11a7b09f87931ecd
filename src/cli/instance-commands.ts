/**
 * `instance list|forget`.
 *
 * Enters: the name of a server that will not come back. Leaves: its reserved addresses, free for others.
 * Invariant: a server that may still be alive is not forgotten: it could be giving those addresses out.
 */
import type { Command } from 'commander';
import { listInstances } from '../store/catalogue.js';
import type { InstanceRow } from '../store/catalogue.js';
import { forgetStoppedInstance } from '../store/instance-forget.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { count, showDuration, showTime } from './display.js';
import { printable } from './printable.js';
import { unknownName } from './unknown-name.js';

/** A server writes a heartbeat every few seconds; one that has been silent for this long is not running, ms. */
const aliveWithinMs = 60_000;

/** Adds `instance` with its subcommands. */
export function registerInstanceCommands(program: Command, context: CommandContext): void {
  const instance = program.command('instance').description('servers that work on this database');
  instance
    .command('list')
    .description('list them')
    .action(() => list(context));
  instance
    .command('forget <name>')
    .description('free what a server that will never come back has reserved')
    .option('--force', 'although facts that it acknowledged may be lost with its spool')
    .action((name: string, options: { force?: boolean }) => forget(context, name, options));
}

async function list(context: CommandContext): Promise<void> {
  const rows = await listInstances(await context.pool());
  if (context.json) {
    await context.printJson(rows);
    return;
  }
  const { drawTable } = await import('./table.js');
  const zone = await context.timeZone();
  const nowMs = context.io.nowMs();
  await context.print(
    drawTable<InstanceRow>(
      [
        { title: 'INSTANCE', value: (row) => row.name },
        { title: 'STATE', value: (row) => stateOf(row, nowMs) },
        { title: 'STARTED', value: (row) => showTime(row.started_at, zone) },
        { title: 'HEARTBEAT', value: (row) => showTime(row.heartbeat_at, zone) },
        { title: 'CAUGHT UP', value: (row) => showTime(row.caught_up_at, zone) },
        { title: 'RESERVED', align: 'right', value: (row) => row.reserved_addresses },
      ],
      rows,
      context.columns,
    ),
  );
}

function stateOf(row: InstanceRow, nowMs: number): string {
  if (row.stopped_at !== null) return 'stopped';
  return nowMs - row.heartbeat_at.getTime() < aliveWithinMs ? 'running' : 'silent';
}

async function forget(context: CommandContext, name: string, options: { force?: boolean }): Promise<void> {
  const pool = await context.pool();
  const rows = await listInstances(pool);
  const row = rows.find((one) => one.name === name);
  if (row === undefined)
    throw unknownName(
      'instance',
      name,
      rows.map((one) => one.name),
    );
  const state = stateOf(row, context.io.nowMs());
  if (state === 'running') {
    const ago = showDuration((context.io.nowMs() - row.heartbeat_at.getTime()) / 1000);
    throw new CommandError(`${name} is running (last heartbeat ${ago} ago)`, 'stop it first');
  }
  if (state === 'silent' && options.force !== true) {
    throw new CommandError(
      `${name} has not ended in order, so its spool may hold facts that are not in the database`,
      'start it once more to apply them, or say --force if its disk is lost',
    );
  }
  const outcome = await forgetStoppedInstance(pool, name);
  if (!outcome.ok) throw new CommandError(`${name} is running: it holds its name in the database`, 'stop it first');
  const { freedAddresses } = outcome;
  if (context.json) await context.printJson({ name, freed_addresses: freedAddresses });
  else await context.print(printable(`${name} is forgotten; ${count(freedAddresses, 'address', 'addresses')} freed`));
}
