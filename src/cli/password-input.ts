/**
 * How a subscriber's password comes in, and the form in which it is kept.
 *
 * Enters: a terminal, standard input, or an argument. Leaves: text for the column `password`.
 * Invariant: what is typed is never shown; a password appears in no message.
 */
import { StringDecoder } from 'node:string_decoder';
import { ntPasswordHash } from '../radius/nt-hash.js';
import { sealPassword } from '../radius/stored-password.js';
import { storedPasswordKeyId } from '../domain/seal-key-id.js';
import { CommandError, UsageError } from './command-error.js';
import type { CommandContext } from './command-context.js';
import type { CommandIo } from './command-io.js';

/** User-Password carries 128 octets at most (RFC 2865 §5.2). */
export const longestPasswordOctets = 128;

/** A line on standard input longer than this is no password, octets. */
const longestInputOctets = 4096;

/** The options of commands that take a password. */
export interface PasswordOptions {
  readonly password?: string | false;
  readonly passwordStdin?: boolean;
  readonly ntHashOnly?: boolean;
}

/**
 * Takes a password from where the options say.
 *
 * @param options `password` is false for `--no-password`
 * @param ask whether to ask on the terminal when no option says anything
 * @returns text to store, null for no password, undefined when none was given and none asked for
 */
export async function takePassword(
  context: CommandContext,
  options: PasswordOptions,
  ask: boolean,
): Promise<string | null | undefined> {
  const password = await readPassword(context, options, ask);
  if (password === null || password === undefined) return password;
  const octets = Buffer.byteLength(password, 'utf8');
  if (octets === 0) throw new CommandError('the password is empty', 'give one, or say --no-password');
  if (octets > longestPasswordOctets) {
    throw new CommandError(
      `the password has ${String(octets)} octets, and RADIUS carries ${String(longestPasswordOctets)}`,
      'choose a shorter one',
    );
  }
  if (options.ntHashOnly === true) return `{NT}${ntPasswordHash(password).toString('hex')}`;
  return await seal(context, password);
}

/** Seals a cleartext with the key of the configuration, so that CHAP still works and a dump of the database tells nothing. */
export async function seal(context: CommandContext, password: string): Promise<string> {
  const config = await context.config();
  return sealPassword(password, storedPasswordKeyId, config.radius.passwordKey.octets());
}

/** The password itself, from where the options say; null for `--no-password`, undefined when none is given and none asked for. */
export async function readPassword(
  context: CommandContext,
  options: PasswordOptions,
  ask: boolean,
): Promise<string | null | undefined> {
  if (typeof options.password === 'string' && options.passwordStdin === true) {
    throw new UsageError('--password and --password-stdin are both given', 'choose one');
  }
  if (options.password === false) return null;
  if (typeof options.password === 'string') {
    context.remark('warning: everybody on this machine can see --password in the process list; use --password-stdin');
    return options.password;
  }
  if (options.passwordStdin === true) return await readPasswordLine(context.io);
  if (!ask) return undefined;
  if (context.io.stdin.isTTY !== true) {
    throw new CommandError(
      'there is no terminal to ask for the password on',
      'use --password-stdin, or --no-password for a subscriber who is known by MAC',
    );
  }
  const first = await askHidden(context.io, 'Password: ');
  const second = await askHidden(context.io, 'Again: ');
  if (first !== second) throw new CommandError('the two passwords differ', 'try again');
  return first;
}

/** The first line of standard input, without its end. */
export async function readPasswordLine(io: CommandIo): Promise<string> {
  const [line = ''] = await readInputLines(io, 1);
  return line;
}

/** The first lines of standard input, without their ends; fewer when there are no more. What follows is not read. */
export async function readInputLines(io: CommandIo, lines: number): Promise<string[]> {
  const decoder = new StringDecoder('utf8');
  let text = '';
  for await (const chunk of io.stdin) {
    text += typeof chunk === 'string' ? chunk : decoder.write(chunk as Buffer);
    if (text.split('\n').length > lines || text.length > lines * longestInputOctets) break;
  }
  return text
    .split('\n')
    .slice(0, lines)
    .map((line) => line.replace(/\r$/u, ''));
}

const enter = new Set(['\r', '\n']);
const interrupt = '\u0003';
const endOfInput = '\u0004';
const erase = new Set(['\u007f', '\b']);
const eraseLine = '\u0015';

/**
 * Asks for one line without showing what is typed.
 *
 * @throws CommandError when Ctrl-C or the end of the input comes instead
 */
export async function askHidden(io: CommandIo, question: string): Promise<string> {
  const { stdin, stderr } = io;
  stderr.write(question);
  stdin.setRawMode?.(true);
  stdin.resume();
  try {
    return await new Promise<string>((resolve, reject) => {
      const decoder = new StringDecoder('utf8');
      let typed: string[] = [];
      const finish = (end: () => void) => {
        stdin.off('data', onData);
        stdin.off('end', onEnd);
        end();
      };
      const stopped = () => {
        finish(() => {
          reject(new CommandError('no password was given'));
        });
      };
      const onEnd = stopped;
      const onData = (chunk: Buffer | string) => {
        for (const character of typeof chunk === 'string' ? chunk : decoder.write(chunk)) {
          if (enter.has(character)) {
            finish(() => {
              resolve(typed.join(''));
            });
            return;
          }
          if (character === interrupt || character === endOfInput) {
            stopped();
            return;
          }
          if (erase.has(character)) typed.pop();
          else if (character === eraseLine) typed = [];
          else if (typed.length < longestInputOctets) typed.push(character);
        }
      };
      stdin.on('data', onData);
      stdin.on('end', onEnd);
    });
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write('\n');
  }
}
