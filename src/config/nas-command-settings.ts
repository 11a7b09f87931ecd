/**
 * How a NAS is commanded, as its entry in `conf/nas.d` says.
 *
 * Enters: a validated entry.
 * Leaves: its settings with paths resolved and secrets read.
 * Invariant: a secret stands in a file of its own; a command line or a log never sees one.
 */
import { camelKeys } from './config.js';
import type { NasEntry } from './config.js';
import { resolvePath } from './load-context.js';
import type { LoadContext, Place } from './load-context.js';
import type { NasFile } from './nas-schema.js';
import { readSecretText, readSharedSecret } from './secret-files.js';

/** The part of an entry that is about commands. */
export type CommandSettings = Pick<
  NasEntry,
  'mode' | 'disconnectOnStop' | 'parallel' | 'commandsPerSecond' | 'coa' | 'ssh' | 'exec'
>;

/**
 * Reads the part of an entry that is about commands.
 *
 * @returns settings; what could not be read has been added to the problems
 */
export async function readCommandSettings(
  context: LoadContext,
  read: NasFile,
  placeOf: (key: string) => Place,
): Promise<CommandSettings> {
  const { secretFile, ...coa } = camelKeys(read.coa);
  const { passwordFile, keyFile, ...ssh } = camelKeys(read.ssh);
  const script = read.exec.script;
  return {
    mode: read.mode,
    disconnectOnStop: read.disconnect_on_stop,
    parallel: read.parallel,
    commandsPerSecond: read.commands_per_second,
    coa: {
      ...coa,
      secret:
        secretFile === undefined
          ? undefined
          : await readSharedSecret(context, secretFile, placeOf('coa.secret_file'), read.name),
    },
    ssh: {
      ...ssh,
      password:
        passwordFile === undefined
          ? undefined
          : await readSecretText(context, passwordFile, placeOf('ssh.password_file'), 'first-line'),
      key: keyFile === undefined ? undefined : await readSecretText(context, keyFile, placeOf('ssh.key_file'), 'whole'),
    },
    exec: { script: script === undefined ? undefined : resolvePath(context, script, placeOf('exec.script')) },
  };
}
