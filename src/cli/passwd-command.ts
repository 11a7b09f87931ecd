/**
 * `passwd`: the line that lets somebody see the pages.
 *
 * Enters: a name, and a password from the terminal or standard input. Leaves: an entry for `status.users`.
 * Invariant: only a slow hash leaves; nothing is written to any file.
 */
import { randomBytes, scrypt } from 'node:crypto';
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';

/** N of scrypt (RFC 7914 §2): with r = 8, 32 MiB and some 80 ms a guess. */
const scryptCost = 32_768;
const scryptBlockSize = 8;
const scryptParallelization = 1;
/** Octets beside the main block of work memory. */
const scryptMemoryMargin = 4096;
const saltOctets = 16;
const hashOctets = 32;

/** Pages are looked at by people over a network; shorter ones are guessed, characters. */
const shortestPasswordCharacters = 8;

/** Adds `passwd`. */
export function registerPasswdCommand(program: Command, context: CommandContext): void {
  program
    .command('passwd <name>')
    .description('print the line for status.users that lets somebody see the pages')
    .option('--password-stdin', 'read the password from the first line of standard input')
    .action(async (name: string, options: { passwordStdin?: boolean }) => {
      await printUser(context, name, options);
    });
}

async function printUser(context: CommandContext, name: string, options: { passwordStdin?: boolean }): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/u.test(name)) {
    throw new CommandError(
      'the name is not of letters, digits, dots, hyphens, underscores and @',
      'use one such as "anna"',
    );
  }
  const { readPassword } = await import('./password-input.js');
  const password = (await readPassword(context, options, true)) ?? '';
  if (password.length < shortestPasswordCharacters) {
    throw new CommandError(
      `the password has fewer than ${String(shortestPasswordCharacters)} characters`,
      'choose a longer one',
    );
  }
  const user = `${name}:${await hashed(password)}`;
  if (context.json) await context.printJson({ user });
  else await context.print(`"${user}"`);
  context.remark('write it into the list users under [status] in sluice.toml, and tell the server to reload');
}

/** `{SCRYPT}N$r$p$salt$hash`, salt and hash in base64. */
async function hashed(password: string): Promise<string> {
  const salt = randomBytes(saltOctets);
  const hash = await new Promise<Buffer>((settle, fail) => {
    scrypt(
      password,
      salt,
      hashOctets,
      {
        N: scryptCost,
        r: scryptBlockSize,
        p: scryptParallelization,
        maxmem: 128 * scryptCost * scryptBlockSize + 128 * scryptBlockSize * scryptMemoryMargin,
      },
      (error, derived) => (error === null ? settle(derived) : fail(error)),
    );
  });
  const cost = [scryptCost, scryptBlockSize, scryptParallelization].join('$');
  return `{SCRYPT}${cost}$${salt.toString('base64')}$${hash.toString('base64')}`;
}
