/**
 * Under which user the embedded PostgreSQL runs. PostgreSQL refuses to run as root, so root must pick somebody else.
 *
 * Enters: who we are, who owns the cluster and the checkout, and a probe. Leaves: a `RunAs`, and any command turned into
 * one that runs under it. Invariant: a server is never started with user id 0, and gets no capability that the plain form
 * does without.
 */
import { execFile, type SpawnOptions } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { EmbeddedPostgresError, systemErrorCode } from './postgres-error.js';

const execFileAsync = promisify(execFile);

/** `nobody` where /etc/passwd does not know the name: the kernel's overflow user id. */
const OVERFLOW_USER_ID = 65534;

/** The probe only changes folder and prints a version; longer means a hanging file system. */
const PROBE_TIMEOUT_MS = 20_000;

/**
 * Capability that lets an unprivileged server walk through folders of root with mode 0700. `dac_read_search` can only read;
 * `dac_override` could write as well and is taken last, because containers usually grant root nothing else.
 */
export type PassageCapability = 'none' | 'dac_read_search' | 'dac_override';

/** `self`: as we are (an ordinary user). `user`: we are root and step down to these ids. */
export type RunAs = { kind: 'self' } | { kind: 'user'; userId: number; groupId: number; capability: PassageCapability };

export interface PreparedCommand {
  file: string;
  args: string[];
  options: Pick<SpawnOptions, 'uid' | 'gid'>;
}

/**
 * Turns `file args…` into a command that runs as `runAs`. Without a capability Node steps down by itself (it also clears the
 * supplementary groups); with one, util-linux' `setpriv` has to hand it over as ambient.
 */
export function commandAs(runAs: RunAs, file: string, args: readonly string[]): PreparedCommand {
  if (runAs.kind === 'self') return { file, args: [...args], options: {} };
  if (runAs.capability === 'none') {
    return { file, args: [...args], options: { uid: runAs.userId, gid: runAs.groupId } };
  }
  const step = [
    `--reuid=${String(runAs.userId)}`,
    `--regid=${String(runAs.groupId)}`,
    '--clear-groups',
    `--inh-caps=-all,+${runAs.capability}`,
    `--ambient-caps=-all,+${runAs.capability}`,
    '--',
  ];
  return { file: 'setpriv', args: [...step, file, ...args], options: {} };
}

interface UserIds {
  userId: number;
  groupId: number;
}

/** User and group id of a name in /etc/passwd, or undefined. Network directories are not asked: they may be down. */
async function idsByName(name: string): Promise<UserIds | undefined> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [login, , userId, groupId] = line.split(':');
    if (login === name && userId !== undefined && groupId !== undefined) {
      return { userId: Number(userId), groupId: Number(groupId) };
    }
  }
  return undefined;
}

async function ownerOf(path: string): Promise<UserIds | undefined> {
  try {
    const { uid, gid } = await stat(path);
    return { userId: uid, groupId: gid };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * The ids under which to run: the owner of an existing cluster, else of the first of `relatedDirectories` that is not root's,
 * else the system user `postgres`, else `nobody`. For an ordinary user: itself, or a typed error when the cluster belongs to
 * another.
 *
 * @throws EmbeddedPostgresError `cluster-owner`
 */
export async function chooseRunAs(clusterDirectory: string, relatedDirectories: readonly string[]): Promise<RunAs> {
  const ourUserId = process.geteuid?.() ?? OVERFLOW_USER_ID;
  const clusterOwner = await ownerOf(clusterDirectory);
  if (ourUserId !== 0) {
    if (clusterOwner !== undefined && clusterOwner.userId !== ourUserId) {
      throw new EmbeddedPostgresError(
        'cluster-owner',
        `${clusterDirectory} belongs to user id ${String(clusterOwner.userId)} and this process runs as ${String(ourUserId)}`,
        `start as root again, or give the data folder away with: chown -R ${String(ourUserId)} DATA-FOLDER`,
      );
    }
    return { kind: 'self' };
  }
  const relatedOwners = await Promise.all(relatedDirectories.map(ownerOf));
  const ids = [clusterOwner, ...relatedOwners].find((owner) => owner !== undefined && owner.userId !== 0) ??
    (await idsByName('postgres')) ??
    (await idsByName('nobody')) ?? { userId: OVERFLOW_USER_ID, groupId: OVERFLOW_USER_ID };
  return { kind: 'user', ...ids, capability: 'none' };
}

/** The forms of `runAs` to try, weakest first. */
export function withMoreCapability(runAs: RunAs): RunAs[] {
  if (runAs.kind === 'self') return [runAs];
  return (['none', 'dac_read_search', 'dac_override'] as const).map((capability) => ({ ...runAs, capability }));
}

/**
 * Whether `runAs` can enter `directory` and execute `binary` there. Asking the kernel beats reading mode bits: access lists,
 * mount options and missing capabilities all answer truthfully.
 *
 * @returns what `binary --version` printed, or undefined
 */
export async function probe(runAs: RunAs, directory: string, binary: string): Promise<string | undefined> {
  const command = commandAs(runAs, '/bin/sh', ['-c', 'cd "$1" && exec "$2" --version', 'sh', directory, binary]);
  try {
    const { stdout } = await execFileAsync(command.file, command.args, {
      ...command.options,
      cwd: '/',
      timeout: PROBE_TIMEOUT_MS,
    });
    return stdout;
  } catch {
    return undefined;
  }
}
