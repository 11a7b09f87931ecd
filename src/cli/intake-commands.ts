/**
 * `deliver`: which options there are.
 *
 * Enters: what was typed. Leaves: calls of the file that does the work.
 * Invariant: nothing heavy is loaded before the command is chosen.
 */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import type { DeliverOptions } from './deliver.js';

/** Adds `deliver`. */
export function registerIntakeCommands(program: Command, context: CommandContext): void {
  program
    .command('deliver')
    .description('post the inbox of the lease hooks on this host to Sluice on another one, until SIGTERM or SIGINT')
    .requiredOption('--inbox <folder>', 'where sluice-lever writes')
    .requiredOption('--to <url>', 'http://HOST:8067/events/lease')
    .requiredOption('--source <name>', 'the name under which that server knows this host')
    .requiredOption('--secret-file <file>', 'its first line is the secret of this host')
    .action(async (options: DeliverOptions) => {
      const { deliver } = await import('./deliver.js');
      await deliver(context, options);
    });
}
