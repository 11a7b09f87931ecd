/**
 * `decode`, `radtest`, `trace`, `backup`, `restore`, `completion`: which options there are.
 *
 * Enters: what was typed. Leaves: calls of the files that do the work.
 * Invariant: nothing heavy is loaded before the command is chosen.
 */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import { UsageError } from './command-error.js';
import type { DecodeOptions } from './decode.js';
import type { RadtestOptions } from './radtest.js';
import type { TraceOptions } from './trace.js';

/** Adds the tools. */
export function registerToolCommands(program: Command, context: CommandContext): void {
  program
    .command('decode [input]')
    .description(
      'show RADIUS packets as text: of octets in hex, of a dump or capture (pcap, pcapng), or of standard input (-)',
    )
    .option('--secret-file <file>', 'say whether the signatures are right; the secret is the first line of the file')
    .option('--show-passwords', 'show what User-Password hides, where the secret is right')
    .action(async (input: string | undefined, options: DecodeOptions) => {
      const { decodePackets } = await import('./decode.js');
      await decodePackets(context, input, options);
    });
  registerRadtest(program, context);
  program
    .command('trace <login|mac>')
    .description('show live what arrives of a subscriber, what is decided and why, what is answered; Ctrl-C ends it')
    .option('--count <number>', 'end after that many events')
    .action(async (whom: string, options: TraceOptions) => {
      const { traceSubscriber } = await import('./trace.js');
      await traceSubscriber(context, whom, options);
    });
  program
    .command('backup <folder>')
    .description('write the database, the configuration and the secrets into a new folder, and say how to restore them')
    .action(async (folder: string) => {
      const { backup } = await import('./backup.js');
      await backup(context, folder);
    });
  program
    .command('restore <folder>')
    .description('fill an empty database from a backup; the servers must not run')
    .action(async (folder: string) => {
      const { restore } = await import('./restore.js');
      await restore(context, folder);
    });
  program
    .command('completion <shell>')
    .description('print what makes bash, zsh or fish complete commands: source <(sluice completion bash)')
    .action(async (shell: string) => {
      const { completionScript, shells } = await import('./completion.js');
      const known = shells.find((one) => one === shell);
      if (known === undefined)
        throw new UsageError(`there is no completion for '${shell}'`, `write ${shells.join(', ')}`);
      await context.print(completionScript(program, known).trimEnd());
    });
}

function registerRadtest(program: Command, context: CommandContext): void {
  program
    .command('radtest <login>')
    .description('ask a RADIUS server as a NAS would; exit code 0: accepted, 1: rejected, 3: no answer')
    .option('--server <host:port>', 'whom to ask (default: this configuration over loopback)')
    .option('--method <method>', 'pap, chap, mschap or mschapv2 (default: pap)')
    .option('--secret-file <file>', 'its first line is the secret (default over loopback: that of nas.d)')
    .option('--secret-stdin', 'read the secret from the first line of standard input, before the password')
    .option('--secret <text>', 'the secret, for everybody on this machine to see')
    .option('--password-stdin', 'read the password from standard input instead of asking for it')
    .option('--password <text>', 'the password, for everybody on this machine to see')
    .option('--no-password', 'send none, as for a subscriber who is known by MAC')
    .option('--nas-identifier <text>', 'who asks (default: radtest)')
    .option('--nas-ip-address <address>', 'NAS-IP-Address')
    .option('--nas-port-id <text>', 'NAS-Port-Id')
    .option('--calling-station <mac>', 'Calling-Station-Id: the device')
    .option('--called-station <text>', 'Called-Station-Id')
    .option('--framed-address <address>', 'Framed-IP-Address: the address of the session')
    .option('--circuit-id <hex>', 'Agent-Circuit-Id: what a relay says of the line, as in option 82')
    .option('--remote-id <hex>', 'Agent-Remote-Id: the same for the other part')
    .option('--accounting <kind>', 'send an Accounting-Request instead: start, interim or stop')
    .option('--session-id <text>', 'Acct-Session-Id (default: made of the login)')
    .option('--session-time <seconds>', 'Acct-Session-Time')
    .option('--input-octets <octets>', 'from the subscriber, as the NAS counts')
    .option('--output-octets <octets>', 'to the subscriber')
    .option('--timeout <seconds>', 'wait for each attempt (default: 3)')
    .option('--attempts <number>', 'times that the request is sent (default: 3)')
    .action(async (login: string, options: RadtestOptions) => {
      const { radtest } = await import('./radtest.js');
      await radtest(context, login, options);
    });
}
