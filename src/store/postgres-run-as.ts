/**
 * Under which user the embedded PostgreSQL runs. PostgreSQL refuses to run as root, so root must pick somebody else.
 *
 * Enters: who we are, who owns the cluster and the checkout, and a probe. Leaves: a `RunAs`, and any command turned into
 * one that runs under it. Invariant: a server is never started with user id 0, and gets no capability that the plain form
 * does without.
 */
import { execFile, type SpawnOptions } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
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
    // Without this access(2), by which PostgreSQL looks for its own programs, forgets the capability (capabilities(7)).
    '--securebits=+no_setuid_fixup',
    '--',
  ];
  return { file: 'setpriv', args: [...step, file, ...args], options: {} };
}

interface UserIds {
  userId: number;
  groupId: number;
}

/** The local users. Network directories are not asked: they may be down. */
async function localUsers(): Promise<(UserIds & { name: string })[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [name, , userId, groupId] = line.split(':');
    return name === undefined || userId === undefined || groupId === undefined
      ? []
      : [{ name, userId: Number(userId), groupId: Number(groupId) }];
  });
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
  const users = await localUsers();
  const relatedOwners = await Promise.all(relatedDirectories.map(ownerOf));
  // initdb refuses to work for a user id without a name.
  const named = relatedOwners.filter((owner) => users.some((user) => user.userId === owner?.userId));
  const { userId, groupId } = [
    clusterOwner,
    ...named,
    users.find((user) => user.name === 'postgres'),
    users.find((user) => user.name === 'nobody'),
  ].find((owner) => owner !== undefined && owner.userId !== 0) ?? {
    userId: OVERFLOW_USER_ID,
    groupId: OVERFLOW_USER_ID,
  };
  return { kind: 'user', userId, groupId, capability: 'none' };
}

/** The same user with another capability; somebody who is not stepping down needs none. */
export function withCapability(runAs: RunAs, capability: PassageCapability): RunAs {
  return runAs.kind === 'self' ? runAs : { ...runAs, capability };
}

/**
 * Whether `runAs` can enter `workDirectory` and use the programs in `binDirectory`. Asking beats reading mode bits: access
 * lists, mount options and missing capabilities all answer truthfully. `initdb --show` looks for everything that a real
 * initdb needs, and writes nothing.
 *
 * @returns what `postgres --version` printed, or undefined
 */
export async function probe(runAs: RunAs, workDirectory: string, binDirectory: string): Promise<string | undefined> {
  const script = 'cd "$1" && "$2/initdb" --show --pgdata="$1" >/dev/null 2>&1 && exec "$2/postgres" --version';
  const command = commandAs(runAs, '/bin/sh', ['-c', script, 'sh', workDirectory, binDirectory]);
  return await firstOutput(command);
}

/** What `postgres --version` prints when we run it ourselves, whoever we are. */
export async function versionOf(binDirectory: string): Promise<string | undefined> {
  return await firstOutput({ file: join(binDirectory, 'postgres'), args: ['--version'], options: {} });
}

async function firstOutput(command: PreparedCommand): Promise<string | undefined> {
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
