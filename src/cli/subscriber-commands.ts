/**
 * `subscriber add|show|list|set|delete|restore|resync|disconnect|import`: which options there are.
 *
 * Enters: arguments. Leaves: calls of the files that do the work.
 * Invariant: nothing heavy is loaded before one of the commands is chosen.
 */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import type { AddOptions } from './subscriber-add.js';
import type { ImportOptions } from './subscriber-import-command.js';
import { assignableKeys } from './subscriber-keys.js';
import type { ListOptions } from './subscriber-list.js';
import type { PasswordOptions } from './password-input.js';

/** Adds `subscriber` with its subcommands. */
export function registerSubscriberCommands(program: Command, context: CommandContext): void {
  const subscriber = program.command('subscriber').description('subscribers: who may use the network, and how');
  withPassword(
    subscriber
      .command('add <login>')
      .description('make a subscriber, and its account when the contract is new')
      .option('--plan <plan>', 'plan of the account')
      .option('--ip <address>', 'static address')
      .option('--framed-prefix <prefix>', 'static IPv6 prefix of its link')
      .option('--delegated-prefix <prefix>', 'static IPv6 prefix for its network')
      .option('--pool <pool>', 'pool of its dynamic address, instead of the plan’s')
      .option('--mac <mac>', 'hardware address')
      .option('--nas <name>', 'the one NAS where it may log in')
      .option('--device <device>', 'switch or ONU that it is plugged into: name, MAC, serial or address')
      .option('--port <port>', 'port of that device')
      .option(
        '--option82-auth <way>',
        'what a DHCP client is known by: port, port-mac or mac; default: as the NAS is set',
      )
      .option('--contract <contract>', 'contract of the account; default: the login')
      .option('--name <name>', 'who pays')
      .option('--phone <phone>')
      .option('--address <address>', 'where they live'),
  ).action(async (login: string, options: AddOptions) => {
    const { addSubscriber } = await import('./subscriber-add.js');
    await addSubscriber(context, login, options);
  });
  subscriber
    .command('show <login>')
    .description('show a subscriber: flags, addresses, sessions, period')
    .option('--id <id>', 'of several with this login (deleted ones), that with this id')
    .action(async (login: string, options: { id?: string }) => {
      const { showSubscriber } = await import('./subscriber-show.js');
      await showSubscriber(context, login, options);
    });
  subscriber
    .command('list')
    .description('list subscribers')
    .option('--search <text>', 'part of login, contract, name, phone or address; or a whole MAC or IP address')
    .option('--plan <plan>')
    .option('--nas <name>')
    .option('--online', 'only those with a session')
    .option('--offline', 'only those without one')
    .option('--redirect', 'only those in the walled garden')
    .option('--own-disabled', 'only those under a voluntary block')
    .option('--admin-blocked', 'only those blocked by an administrator')
    .option('--deleted', 'only deleted ones')
    .option('--with-deleted', 'deleted ones too')
    .option('--limit <rows>', 'at most so many; 0 for all (default: 200, with --json all)')
    .action(async (options: ListOptions) => {
      const { listAllSubscribers } = await import('./subscriber-list.js');
      await listAllSubscribers(context, options);
    });
  withPassword(
    subscriber
      .command('set <login> [key=value...]')
      .description(`change a subscriber or its account; keys: ${assignableKeys.join(', ')}`),
  ).action(async (login: string, args: string[], options: PasswordOptions) => {
    const { setSubscriber } = await import('./subscriber-set.js');
    await setSubscriber(context, login, args, options);
  });
  subscriber
    .command('delete <login>')
    .description('mark a subscriber deleted; its history stays, its addresses become free when its sessions end')
    .option('--reason <text>', 'why, for those who look later')
    .action(async (login: string, options: { reason?: string }) => {
      const { deleteSubscriber } = await import('./subscriber-set.js');
      await deleteSubscriber(context, login, options);
    });
  subscriber
    .command('restore <login>')
    .description('take a deletion back')
    .option('--id <id>', 'of several deleted ones with this login, that with this id')
    .action(async (login: string, options: { id?: string }) => {
      const { restoreSubscriber } = await import('./subscriber-set.js');
      await restoreSubscriber(context, login, options);
    });
  subscriber
    .command('resync <login>')
    .description('say everything about a subscriber to its NASes again')
    .option('--id <id>', 'of several with this login (deleted ones), that with this id')
    .action(async (login: string, options: { id?: string }) => {
      const { resyncSubscriber } = await import('./subscriber-network.js');
      await resyncSubscriber(context, login, options);
    });
  subscriber
    .command('disconnect <login>')
    .description('end the sessions that a subscriber has now')
    .action(async (login: string) => {
      const { disconnectSubscriber } = await import('./subscriber-network.js');
      await disconnectSubscriber(context, login);
    });
  subscriber
    .command('import <file>')
    .description('add and change many subscribers from a CSV file (- is standard input)')
    .option('--dry-run', 'do everything, tell what would change, and take it all back')
    .option('--stop-on-error', 'write nothing unless every line is right')
    .option('--delimiter <character>', 'what separates the cells', ',')
    .action(async (file: string, options: ImportOptions) => {
      const { importSubscribers } = await import('./subscriber-import-command.js');
      await importSubscribers(context, file, options);
    });
}

function withPassword(command: Command): Command {
  return command
    .option('--password-stdin', 'read the password from the first line of standard input')
    .option('--password <password>', 'the password; visible in the process list')
    .option('--no-password', 'no password: known by MAC or address')
    .option('--nt-hash-only', 'keep only the NT hash: PAP and MS-CHAP work, CHAP does not');
}
