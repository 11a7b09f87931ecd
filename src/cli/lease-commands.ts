/**
 * `lease …`: which options there are.
 *
 * Enters: arguments. Leaves: calls of the files that do the work. Invariant: nothing heavy is loaded before one of the commands is chosen.
 */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import type { LeaseListOptions, RefusedOptions } from './lease-list.js';

/** Adds `lease` with its subcommands. */
export function registerLeaseCommands(program: Command, context: CommandContext): void {
  const lease = program.command('lease').description('DHCP leases: who has which address, and what was not followed');
  lease
    .command('list')
    .description('list bound leases, the newest first')
    .option('--subscriber <login>')
    .option('--address <address>')
    .option('--mac <mac>')
    .option('--device <device>', 'of those who are plugged into it: by name, MAC, serial, address, or id:NUMBER')
    .option('--overdue', 'that should be over, and nobody said that they are')
    .option('--limit <rows>', 'at most so many; 0 for all')
    .action(async (options: LeaseListOptions) => {
      const { listBoundLeases } = await import('./lease-list.js');
      await listBoundLeases(context, options);
    });
  lease
    .command('refused')
    .description('list events that changed nothing, the last first, and why')
    .option('--reason <reason>', 'one reason, as the list names it')
    .option('--limit <rows>', 'at most so many; 0 for all')
    .action(async (options: RefusedOptions) => {
      const { listRefusedLeases } = await import('./lease-list.js');
      await listRefusedLeases(context, options);
    });
  lease
    .command('show <address>')
    .description('show the newest lease of an address, and which events about it were not followed')
    .action(async (address: string) => {
      const { showLease } = await import('./lease-show.js');
      await showLease(context, address);
    });
}
