/**
 * `nas trust`: a host key that somebody compared.
 *
 * Enters: a NAS, an answer. Leaves: its fingerprint in the data folder. Invariant: the connection ends before any log-in, and without a yes nothing is stored.
 */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { NasEntry } from '../config/config.js';
import { HostKeyStore } from '../nas/host-keys.js';
import { sshTargetOf } from '../nas/nas-transports.js';
import { SshConnection } from '../nas/ssh-connection.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';

/**
 * Shows what host key a NAS offers and stores its fingerprint after a yes.
 *
 * @throws CommandError when there is nothing to connect to, no answer, or another fingerprint than the one that was given
 */
export async function trustNas(
  context: CommandContext,
  entry: NasEntry,
  options: { readonly yes?: boolean; readonly fingerprint?: string },
): Promise<void> {
  if (entry.ssh.hostKey !== undefined) {
    throw new CommandError(
      `${entry.file}:${String(entry.line)}: ssh.host_key says which key it must be`,
      'change it there',
    );
  }
  const target = sshTargetOf(entry);
  if (target === undefined) {
    throw new CommandError(
      `${entry.name} is not reached over SSH`,
      'give it ssh.key_file or ssh.password_file, and ssh.address when it is a network',
    );
  }
  const opened = await SshConnection.open(target, undefined);
  if (opened.ok) opened.connection.end();
  const offered = opened.ok ? opened.fingerprint : opened.failure.offered;
  if (offered === undefined) {
    const why = opened.ok ? '' : opened.failure.text;
    throw new CommandError(
      `${entry.name} (${target.host} port ${String(target.port)}): ${why}`,
      'see that SSH is on and may be reached from here',
    );
  }
  const store = new HostKeyStore(context.dataDir);
  const known = await store.stored(entry.name);
  if (known === offered) {
    await tell(context, entry.name, offered, `${entry.name}: ${offered} is trusted already`);
    return;
  }
  if (options.fingerprint !== undefined && options.fingerprint !== offered) {
    throw new CommandError(
      `${entry.name} offers ${offered}, not ${options.fingerprint}`,
      'find out why before you trust it',
    );
  }
  context.remark(`${entry.name} (${target.host} port ${String(target.port)}) offers ${offered}`);
  if (known !== undefined)
    context.remark(`until now it was ${known}: either the device or its key was changed, or somebody is in between`);
  if (options.yes !== true && options.fingerprint === undefined && !(await agree(context))) {
    throw new CommandError(
      'nothing was stored',
      'compare it on the device itself, for instance with "ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub"',
    );
  }
  await store.trust(entry.name, offered);
  await tell(context, entry.name, offered, `${entry.name}: ${offered} is trusted from now on`);
}

async function tell(context: CommandContext, nas: string, fingerprint: string, sentence: string): Promise<void> {
  if (context.json) await context.printJson({ nas, fingerprint });
  else await context.print(sentence);
}

async function agree(context: CommandContext): Promise<boolean> {
  const { stdin, stderr } = context.io;
  if (stdin.isTTY !== true) {
    throw new CommandError(
      'there is no terminal to ask on',
      'compare the fingerprint and give it as --fingerprint, or say --yes',
    );
  }
  // readline wants a stream; what commands write to is less than one.
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      stderr.write(chunk.toString());
      done();
    },
  });
  const lines = createInterface({ input: stdin, output });
  try {
    return /^\s*y(es)?\s*$/iu.test(await lines.question('Is it the key of this device? [y/N] '));
  } finally {
    lines.close();
  }
}
