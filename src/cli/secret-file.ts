/**
 * A shared secret for a tool.
 *
 * Enters: the name of a file, written as for `secret_file` of a NAS: the secret is its first line. Leaves: its octets.
 * Invariant: the secret is in no message, and never in an argument, which everybody could see.
 */
import { readFile } from 'node:fs/promises';
import { maxSecretOctets } from '../radius/shared-secret.js';
import { CommandError } from './command-error.js';

/**
 * Reads the first line of a file.
 *
 * @throws CommandError when it is empty or longer than a secret can be; the system's error when it cannot be read
 */
export async function readSecretFile(path: string): Promise<Buffer> {
  const content = await readFile(path);
  const end = content.indexOf(0x0a);
  const line = end < 0 ? content : content.subarray(0, end);
  const secret = line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  if (secret.length === 0) throw new CommandError(`${path} has no secret on its first line`, 'write it there');
  if (secret.length > maxSecretOctets)
    throw new CommandError(
      `the first line of ${path} has more than ${String(maxSecretOctets)} octets`,
      'name the file of the secret',
    );
  return secret;
}
