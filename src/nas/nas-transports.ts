/**
 * The ways to a NAS that need neither RADIUS nor its dictionary: SSH and scripts. Enters: the entry of a NAS and its compiled profile. Leaves: transports, or
 * `undefined` where its configuration has none. Invariant: nothing is connected or started before there is something to say.
 */
import type { NasEntry } from '../config/config.js';
import { compileCommandTemplate } from './command-template.js';
import type { CommandTemplate } from './command-template.js';
import type { CommandNas } from './command-variable.js';
import { compilePatterns, redactor } from './console-text.js';
import { ExecTransport } from './exec-transport.js';
import type { HostKeyStore } from './host-keys.js';
import type { NasClock } from './nas-clock.js';
import type { CompiledProfile } from './profile.js';
import type { SshTarget } from './ssh-connection.js';
import { SshTransport } from './ssh-transport.js';

/** A host key that was not the known one, or the first one seen. */
export interface RefusedHostKey {
  readonly nas: string;
  readonly known: string | undefined;
  readonly offered: string;
}

/** What transports need of the server. */
export interface TransportSurroundings {
  readonly hostKeys: HostKeyStore;
  /** For the alarm: a NAS whose key changed is not commanded until somebody says that the new one is right. */
  readonly onHostKeyRefused: (refused: RefusedHostKey) => void;
  readonly clock: NasClock;
}

/** The NAS as templates know it. */
export function commandNasOf(nas: NasEntry, profile: CompiledProfile): CommandNas {
  return {
    name: nas.name,
    address: nas.addresses[0] ?? '',
    identifier: nas.nasIdentifier,
    profile: nas.profile,
    channel: profile.profile.channel,
    sshUser: nas.ssh.user,
    sshPort: nas.ssh.port,
  };
}

/**
 * Where and as whom SSH goes.
 *
 * @returns `undefined` when the entry has neither a password nor a key, or is a network without `ssh.address`
 */
export function sshTargetOf(nas: NasEntry): SshTarget | undefined {
  const { address, port, user, password, key, connectTimeoutMs } = nas.ssh;
  const [only, ...others] = nas.addresses;
  const host = address ?? (others.length === 0 && only !== undefined && !only.includes('/') ? only : undefined);
  if (host === undefined || (password === undefined && key === undefined)) return undefined;
  return { host, port, user, password, key, connectTimeoutMs };
}

/** The fingerprint that a NAS must show: that of its entry, else the stored one. */
export async function knownHostKey(nas: NasEntry, hostKeys: HostKeyStore): Promise<string | undefined> {
  return nas.ssh.hostKey ?? (await hostKeys.stored(nas.name));
}

/** SSH to a NAS; `undefined` as for `sshTargetOf`. */
export function sshTransportOf(
  nas: NasEntry,
  profile: CompiledProfile,
  around: TransportSurroundings,
): SshTransport | undefined {
  const target = sshTargetOf(nas);
  if (target === undefined) return undefined;
  const { dialect, mode, prompt, prologue, epilogue, batchLines } = profile.profile.ssh;
  const compile = (lines: readonly string[]): CommandTemplate[] =>
    lines.flatMap((line) => {
      const compiled = compileCommandTemplate(line, dialect);
      return compiled.ok ? [compiled.template] : [];
    });
  return new SshTransport(
    {
      dialect,
      mode,
      prompt: prompt === undefined ? undefined : new RegExp(prompt, 'u'),
      prologue: compile(prologue),
      epilogue: compile(epilogue),
      patterns: compilePatterns(profile.profile.ssh),
      batchLines,
    },
    {
      nas: commandNasOf(nas, profile),
      target,
      connections: nas.ssh.connections,
      commandTimeoutMs: nas.ssh.commandTimeoutMs,
      hostKey: () => knownHostKey(nas, around.hostKeys),
      onHostKeyRefused: ({ known, offered }) => around.onHostKeyRefused({ nas: nas.name, known, offered }),
      redact: redactorOf(nas),
      clock: around.clock,
    },
  );
}

/** The script of a NAS, or of its profile; `undefined` when neither names one. */
export function execTransportOf(nas: NasEntry, profile: CompiledProfile, clock: NasClock): ExecTransport | undefined {
  const script = nas.exec.script ?? profile.profile.exec.script;
  if (script === undefined) return undefined;
  return new ExecTransport({
    nas: commandNasOf(nas, profile),
    script,
    timeoutMs: profile.profile.exec.timeoutSeconds * 1_000,
    parallel: nas.parallel,
    redact: redactorOf(nas),
    clock,
  });
}

function redactorOf(nas: NasEntry): (text: string) => string {
  return redactor([...nas.secrets, nas.coa.secret, nas.ssh.password, nas.ssh.key]);
}
