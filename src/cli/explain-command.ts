/**
 * `explain`: which options there are.
 *
 * Enters: a login. Leaves: a call of the file that does the work.
 * Invariant: nothing heavy is loaded before the command is chosen.
 */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import type { ExplainOptions } from './explain.js';

/** Adds `explain`. */
export function registerExplainCommand(program: Command, context: CommandContext): void {
  program
    .command('explain <login>')
    .description('say what a request of this subscriber would be answered now, what its NASes are told, and why')
    .option(
      '--nas <name>',
      'as that NAS would hear it (default: the NAS of its session, its binding, or the first one)',
    )
    .option('--mac <mac>', 'as if that device asked (default: its own)')
    .option('--circuit-id <hex>', 'as if option 82 said so (default: its own access line)')
    .option('--remote-id <hex>', 'the same for the other part')
    .option(
      '--if <key=value,…>',
      'as if the rows said so: deleted redirect own_disabled admin_blocked account_blocked associate_pppoe_mac associate_vpn_ip plan',
      (text: string, before: string[] = []) => [...before, text],
    )
    .action(async (login: string, options: ExplainOptions) => {
      const { explainSubscriber } = await import('./explain.js');
      await explainSubscriber(context, login, options);
    });
}
