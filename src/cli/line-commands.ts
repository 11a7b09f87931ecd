/**
 * `line test`: which options there are.
 *
 * Enters: what was typed. Leaves: a call of the file that does the work. Invariant: nothing heavy is loaded before the command is chosen.
 */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import type { LineTestOptions } from './line-sample.js';

/** Adds `line` with its subcommand. */
export function registerLineCommands(program: Command, context: CommandContext): void {
  program
    .command('line')
    .description('access lines: what option 82 and NAS-Port-Id are read as')
    .command('test [octets]')
    .description(
      'show what each rule of conf/lines.toml makes of a whole option 82 in hex, or of its parts; exit code 1: none matches',
    )
    .option('--circuit-id <octets>', 'sub-option 1')
    .option('--remote <octets>', 'sub-option 2; OCTETS are then the circuit-id')
    .option('--subscriber-id <octets>', 'sub-option 6')
    .option('--text', 'the parts are given as text, not in hex')
    .option('--nas-port-id <text>', 'NAS-Port-Id, as text')
    .action(async (octets: string | undefined, options: LineTestOptions) => {
      const { testLine } = await import('./line-test.js');
      await testLine(context, octets, options);
    });
}
