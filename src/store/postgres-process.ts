/**
 * The PostgreSQL processes themselves: make a cluster, start a server, read its lock file, wait for it, stop it.
 *
 * Enters: binaries, the user to run as, folders, settings. Leaves: process ids and connection tests. Invariants: a password
 * is never in an argument list or an environment; a server is detached from us, so that our death is not its death.
 */
import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { randomBytes } from 'node:crypto';
import {
  chown,
  copyFile,
  mkdir,
  open,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  truncate,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { constants as fileConstants } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { EmbeddedPostgresError, systemErrorCode } from './postgres-error.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { commandAs, type RunAs } from './postgres-run-as.js';

/** The bootstrap superuser. Sluice itself works as an ordinary role. */
export const ADMIN_ROLE = 'postgres';

/** The server listens here and nowhere else. */
export const LOOPBACK_HOST = '127.0.0.1';

/** How often a condition of another process is looked at; short beside the 300 ms that a start takes. */
const POLL_MS = 50;

/** One connection attempt; on loopback an answer takes milliseconds, a loaded machine a few seconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/** How much of initdb's or the server's output an error message quotes, octets. */
const QUOTED_OUTPUT_OCTETS = 2_000;

/** A fixed environment: whatever PG* variables or locale the operator has must not change the server. */
const SERVER_ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LANG: 'C', LC_ALL: 'C', TZ: 'UTC' };

export type PostgresSettings = Readonly<Record<string, string>>;

function settingArguments(settings: PostgresSettings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Creates an empty folder that belongs to the user who will run the server. */
export async function createOwnedDirectory(directory: string, runAs: RunAs): Promise<void> {
  await mkdir(directory, { mode: 0o700 });
  if (runAs.kind === 'user') await chown(directory, runAs.userId, runAs.groupId);
}

/**
 * Runs initdb in an empty folder made by `createOwnedDirectory`. Locale: code point order, and upper and lower case of
 * every alphabet (names and streets are searched without regard to case).
 *
 * @param sync false only for clusters that tests throw away
 * @throws EmbeddedPostgresError `initdb-failed`
 */
export async function initializeCluster(given: {
  binaries: PostgresBinaries;
  runAs: RunAs;
  directory: string;
  password: string;
  settings: PostgresSettings;
  sync?: boolean;
}): Promise<void> {
  const { binaries, runAs, directory } = given;
  const passwordFile = join(dirname(directory), `.initdb-${randomBytes(6).toString('hex')}`);
  await writeFile(passwordFile, `${given.password}\n`, { mode: 0o600, flag: 'wx' });
  try {
    if (runAs.kind === 'user') await chown(passwordFile, runAs.userId, runAs.groupId);
    const builtinLocale = binaries.majorVersion >= 17;
    const command = commandAs(runAs, join(binaries.directory, 'initdb'), [
      '--pgdata',
      directory,
      `--username=${ADMIN_ROLE}`,
      `--pwfile=${passwordFile}`,
      '--auth-local=scram-sha-256',
      '--auth-host=scram-sha-256',
      '--encoding=UTF8',
      ...(builtinLocale
        ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
        : ['--locale=C.UTF-8', '--lc-messages=C']),
      '--data-checksums',
      '--no-instructions',
      ...(given.sync === false ? ['--no-sync'] : []),
      ...(binaries.majorVersion >= 16 ? settingArguments(given.settings) : []),
    ]);
    const child = spawn(command.file, command.args, {
      ...command.options,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-QUOTED_OUTPUT_OCTETS);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const ended = await new Promise<string | undefined>((settle) => {
      child.once('error', (error) => {
        settle(error.message);
      });
      child.once('close', (code, signal) => {
        settle(code === 0 ? undefined : `exit ${String(signal ?? code)}`);
      });
    });
    if (ended !== undefined) {
      throw new EmbeddedPostgresError(
        'initdb-failed',
        `initdb could not make a cluster in ${directory} (${ended}): ${output.trim()}`,
        'look for a full disk or a read-only folder; nothing is left behind, so start again',
      );
    }
  } finally {
    await rm(passwordFile, { force: true });
  }
}

export interface RunningPostmaster {
  pid: number;
  /** Settles when the process ends, with how it ended. Never rejects. */
  exited: Promise<string>;
}

/**
 * Starts a server on a cluster. It gets a session of its own and its output goes to `logFile`, so it lives on when we are
 * killed.
 */
export async function spawnPostmaster(given: {
  binaries: PostgresBinaries;
  runAs: RunAs;
  clusterDirectory: string;
  logFile: string;
  settings: PostgresSettings;
}): Promise<RunningPostmaster> {
  const command = commandAs(given.runAs, join(given.binaries.directory, 'postgres'), [
    '-D',
    given.clusterDirectory,
    ...settingArguments(given.settings),
  ]);
  const log = await openLog(given.logFile);
  try {
    const child = spawn(command.file, command.args, {
      ...command.options,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const exited = new Promise<string>((settle) => {
      child.once('error', (error) => {
        settle(error.message);
      });
      child.once('exit', (code, signal) => {
        settle(signal === null ? `exit code ${String(code)}` : `signal ${signal}`);
      });
    });
    child.unref();
    if (child.pid === undefined) {
      throw new EmbeddedPostgresError(
        'binaries-broken',
        `${command.file} cannot be started (${await exited})`,
        'install util-linux (setpriv), or start as an ordinary user, or set database.url',
      );
    }
    lowerPriority(child.pid);
    return { pid: child.pid, exited };
  } finally {
    await log.close();
  }
}

/** Opens a log for appending; made by root in the folder of an ordinary user, it is that user's. */
async function openLog(path: string): Promise<FileHandle> {
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = fileConstants;
  let log: FileHandle;
  try {
    log = await open(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
  } catch (error) {
    throw new EmbeddedPostgresError(
      'start-failed',
      `the log ${path} cannot be written (${systemErrorCode(error) ?? 'unknown error'})`,
      'give it to the user who starts Sluice, or remove it',
      { cause: error },
    );
  }
  if (process.geteuid?.() === 0) {
    const { uid, gid } = await stat(dirname(path));
    await log.chown(uid, gid);
  }
  return log;
}

/** What `postmaster.pid` says (PostgreSQL: storage/lmgr pidfile.h). */
export interface PostmasterFile {
  pid: number;
  port: number;
  /** `starting`, `ready`, `standby`, `stopping`, or empty while the file is being written. */
  status: string;
}

/** Reads the lock file of a cluster; undefined when there is none or it is not (yet) readable as one. */
export async function readPostmasterFile(clusterDirectory: string): Promise<PostmasterFile | undefined> {
  let text: string;
  try {
    text = await readFile(join(clusterDirectory, 'postmaster.pid'), 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const lines = text.split('\n');
  const pid = Number.parseInt(lines[0] ?? '', 10);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number.parseInt(lines[3] ?? '0', 10) || 0, status: (lines[7] ?? '').trim() };
}

/** Whether a process exists, ours to signal or not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}

/**
 * Whether `pid` is the server of this cluster. A server's working folder is its cluster, which tells it from a stranger that
 * got the number of a dead one; when the kernel will not say, the lock file is believed.
 */
export async function isPostmasterOf(pid: number, clusterDirectory: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  try {
    return (await readlink(`/proc/${String(pid)}/cwd`)) === (await realpath(clusterDirectory));
  } catch (error) {
    return systemErrorCode(error) !== 'ENOENT';
  }
}

/**
 * Makes a lock file harmless whose process id now belongs to a stranger, which PostgreSQL itself would take for a running
 * server. The rest of the file stays: it leads to the shared memory that a surviving backend would still hold.
 */
export async function disarmStalePostmasterFile(clusterDirectory: string): Promise<void> {
  /** Beyond the kernel's largest process id (2²² on 64-bit Linux). */
  const impossiblePid = '4194305';
  const path = join(clusterDirectory, 'postmaster.pid');
  const flags = fileConstants.O_RDWR | fileConstants.O_NOFOLLOW;
  const file = await open(path, flags);
  try {
    const text = await file.readFile('utf8');
    const rest = text.indexOf('\n');
    await file.truncate(0);
    await file.write(impossiblePid + (rest === -1 ? '\n' : text.slice(rest)), 0);
  } finally {
    await file.close();
  }
}

export type ConnectionTest =
  /** It answered; `dataDirectory` is what the server says it serves. */
  | { answer: 'ready'; dataDirectory: string; serverVersion: string }
  /** Nobody listens, or it is starting, stopping or full: ask again. */
  | { answer: 'not-yet' }
  /** It is PostgreSQL, and our password is not its. */
  | { answer: 'password-refused' }
  /** Something listens that does not speak PostgreSQL, or not to us. */
  | { answer: 'stranger'; reason: string };

/** Asks the server on a loopback port who it is. Never throws. */
export async function testConnection(port: number, password: string): Promise<ConnectionTest> {
  const client = new pg.Client({
    host: LOOPBACK_HOST,
    port,
    user: ADMIN_ROLE,
    password,
    database: 'postgres',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: CONNECT_TIMEOUT_MS,
    application_name: 'sluice/supervisor',
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ directory: string; version: string }>(
      `SELECT current_setting('data_directory') AS directory, current_setting('server_version') AS version`,
    );
    const row = rows[0];
    if (row === undefined) return { answer: 'not-yet' };
    return { answer: 'ready', dataDirectory: row.directory, serverVersion: row.version };
  } catch (error) {
    const code = systemErrorCode(error) ?? '';
    // Class 28: authorisation. 57P03: starting or stopping. 53300: all connections taken.
    if (code.startsWith('28')) return { answer: 'password-refused' };
    if (code === '57P03' || code === '53300' || code === 'ECONNREFUSED' || code === 'ECONNRESET') {
      return { answer: 'not-yet' };
    }
    return { answer: 'stranger', reason: code === '' ? 'no PostgreSQL answer' : code };
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Why we could not listen on a loopback port at this moment (`EADDRINUSE`, `EACCES`), or undefined when we could. */
export async function portProblem(port: number): Promise<string | undefined> {
  const server = createServer();
  return await new Promise((settle) => {
    server.once('error', (error) => {
      settle(systemErrorCode(error) ?? error.name);
    });
    server.listen({ host: LOOPBACK_HOST, port, exclusive: true }, () => {
      server.close(() => {
        settle(undefined);
      });
    });
  });
}

/**
 * Waits until `condition` answers with something, looking every 50 ms.
 *
 * @returns undefined when `timeoutMs` passed first
 */
export async function waitFor<T>(condition: () => Promise<T | undefined>, timeoutMs: number): Promise<T | undefined> {
  const endsAt = performance.now() + timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer !== undefined) return answer;
    if (performance.now() >= endsAt) return undefined;
    await delay(POLL_MS);
  }
}

/**
 * Stops a server: `fast` rolls back what is open and ends cleanly, `immediate` leaves recovery to the next start. A fast
 * shutdown that takes longer than `timeoutMs` becomes an immediate one, and then a kill.
 *
 * @param stillRuns tells whether the pid is still that server
 */
export async function stopPostmaster(
  pid: number,
  mode: 'fast' | 'immediate',
  timeoutMs: number,
  stillRuns: () => Promise<boolean> = async () => await Promise.resolve(isAlive(pid)),
): Promise<void> {
  const ladder: NodeJS.Signals[] = mode === 'fast' ? ['SIGINT', 'SIGQUIT', 'SIGKILL'] : ['SIGQUIT', 'SIGKILL'];
  for (const signal of ladder) {
    if (!(await stillRuns())) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (systemErrorCode(error) === 'ESRCH') return;
      throw error;
    }
    const gone = await waitFor(async () => ((await stillRuns()) ? undefined : true), timeoutMs);
    if (gone) return;
  }
}

/**
 * Keeps a log bounded: beyond `maxOctets` its content moves to `<path>.1` and it starts empty. Copied rather than renamed,
 * because the running server goes on writing (appending) to the same open file.
 */
export async function rotateLog(path: string, maxOctets: number): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.size <= maxOctets) return;
  await rm(`${path}.1`, { force: true });
  await copyFile(path, `${path}.1`, fileConstants.COPYFILE_EXCL);
  await truncate(path, 0);
}

/** The last octets of a log, for an error message. */
export async function logTail(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - QUOTED_OUTPUT_OCTETS);
    const buffer = Buffer.alloc(size - start);
    await file.read(buffer, 0, buffer.length, start);
    return buffer.toString('utf8').trim();
  } finally {
    await file.close();
  }
}

/** Where processors are short, answers come before what is stored of them: the spool holds it. Backends inherit it. */
const DATABASE_NICENESS = 5;

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, DATABASE_NICENESS);
  } catch {
    // A system that allows it to nobody, or a process that has ended: it says so itself.
  }
}
