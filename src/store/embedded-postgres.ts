/**
 * The PostgreSQL that comes with Sluice: made at the first start, adopted if it still runs, watched, and stopped with us.
 *
 * Enters: the data folder and a port. Leaves: a database URL, and a handle to stop it. Invariants: the cluster appears whole
 * or not at all (initdb works in a staging folder); one server per cluster; it listens on loopback only; the password lives
 * in `<data>/secrets/postgres` and travels in no argument list, environment or log.
 */
import { randomBytes } from 'node:crypto';
import { lchown, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { EmbeddedPostgresError, systemErrorCode } from './postgres-error.js';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.js';
import {
  ADMIN_ROLE,
  LOOPBACK_HOST,
  createOwnedDirectory,
  disarmStalePostmasterFile,
  initializeCluster,
  isAlive,
  isPostmasterOf,
  logTail,
  portProblem,
  readPostmasterFile,
  rotateLog,
  spawnPostmaster,
  stopPostmaster,
  testConnection,
  waitFor,
} from './postgres-process.js';
import { PostgresSupervisor, type AnsweringServer, type EmbeddedPostgresLog } from './postgres-supervisor.js';
import { chooseRunAs, type RunAs } from './postgres-run-as.js';
import { tryFolderLock } from './start-lock.js';

/** The folder of package.json, from src/store as from build/store. */
const checkoutDirectory = fileURLToPath(new URL('../..', import.meta.url));

/** Role and database of Sluice. Not a superuser: whoever gets SQL through us must not get the host. */
const APPLICATION_ROLE = 'sluice';
const APPLICATION_DATABASE = 'sluice';

/** The role of the status page, which migrations give the right to read. Its connections are made by this process too. */
const READING_ROLE = 'sluice_page';

/** Random octets in the password: 256 bits. */
const PASSWORD_OCTETS = 32;

/** Recovery after a crash replays at most max_wal_size of log; on a slow disk that is minutes, ms. */
const READY_TIMEOUT_MS = 15 * 60_000;

/** A server that we started and cannot use is given this long to end, ms. */
const ABANDON_TIMEOUT_MS = 30_000;

/** How often a long step says that it is still at it, ms. */
const PROGRESS_EVERY_MS = 5_000;

/** The server's log is kept below this, plus one older one, octets. */
const LOG_MAX_OCTETS = 10 * 1024 * 1024;

/** Written into postgresql.conf once, where the operator may tune them. Sized for a machine with 1 GB. */
const INITIAL_SETTINGS = {
  max_connections: '100',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // The session table is small and updated all the time; a dead row is best collected soon.
  autovacuum_naptime: '15s',
  log_checkpoints: 'off',
};

/** Given at each start, over whatever the files say: what Sluice promises rests on them. */
function fixedSettings(port: number) {
  return {
    listen_addresses: LOOPBACK_HOST,
    port: String(port),
    unix_socket_directories: '',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    log_destination: 'stderr',
    logging_collector: 'off',
    // A failing statement or row may hold a subscriber's password: neither is logged.
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
  };
}

export interface EmbeddedPostgresOptions {
  /** `<data>`: cluster in `postgres/`, password in `secrets/postgres`, log in `postgres.log`. Made when missing. */
  dataDir: string;
  /** TCP port on loopback (`database.port`). A server that is adopted keeps its own. */
  port: number;
  /** A line for people when a step begins, and every few seconds while it lasts. */
  onProgress?: (line: string) => void;
  log?: EmbeddedPostgresLog;
}

export interface EmbeddedPostgres {
  /** For the role that Sluice works as. Holds the password: not for logs. */
  url: string;
  /** For the role that can only read what the status page shows. Holds the password: not for logs. */
  pageUrl: string;
  /** True when the server was already running. */
  adopted: boolean;
  /** As in `SHOW server_version`. */
  version: string;
  /** Process id of the server at this moment; changes when it had to be started again. */
  pid(): number;
  /**
   * Stops the server, adopted or not, unless another process of Sluice still works with it. Rolls back what is open and ends
   * cleanly. Calling it again does nothing.
   */
  stop(): Promise<'stopped' | 'left-running'>;
}

/** Everything that a start, or a start again, needs to know. */
interface House {
  clusterDirectory: string;
  dataDirectory: string;
  logFile: string;
  port: number;
  password: string;
  binaries: PostgresBinaries;
  runAs: RunAs;
  progress: (line: string) => void;
}

/**
 * Starts the embedded PostgreSQL, or adopts the one that a killed parent left running.
 *
 * @throws EmbeddedPostgresError; `kind` says which case, the message names the remedy
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDirectory = resolve(options.dataDir);
  const clusterDirectory = join(dataDirectory, 'postgres');
  const progress = options.onProgress ?? (() => undefined);
  await mkdir(join(dataDirectory, 'secrets'), { recursive: true, mode: 0o700 });

  const prepared = await alone(dataDirectory, progress, async () => {
    const wanted = await chooseRunAs(clusterDirectory, [dataDirectory, checkoutDirectory]);
    const clusterMajor = await majorVersionOfCluster(clusterDirectory);
    const password = await readOrMakePassword(join(dataDirectory, 'secrets', 'postgres'), clusterMajor !== undefined);
    const staging = `${clusterDirectory}.new`;
    if (clusterMajor === undefined) {
      await rm(staging, { recursive: true, force: true });
      await createOwnedDirectory(staging, wanted);
    }
    const workDirectory = clusterMajor === undefined ? staging : clusterDirectory;
    const found = await findPostgresBinaries(wanted, workDirectory, {
      copyDirectory: join(dataDirectory, 'postgres-binaries'),
    });
    if (clusterMajor === undefined) {
      const label = `making a database cluster (PostgreSQL ${found.binaries.version})`;
      await withProgress(progress, label, () =>
        initializeCluster({ ...found, directory: staging, password, settings: INITIAL_SETTINGS }),
      );
      await rename(staging, clusterDirectory);
    } else if (clusterMajor !== found.binaries.majorVersion) {
      throw new EmbeddedPostgresError(
        'cluster-version',
        `${clusterDirectory} was made by PostgreSQL ${String(clusterMajor)} and this release brings ${found.binaries.version}`,
        `dump it with the release that made it and load the dump into a new data folder, or serve it with PostgreSQL ${String(clusterMajor)} and set database.url`,
      );
    }
    const logFile = join(dataDirectory, 'postgres.log');
    const house: House = { clusterDirectory, dataDirectory, logFile, port: options.port, password, ...found, progress };
    const server = await ensureRunning(house);
    await ensureApplicationDatabase(server.port, password);
    return { house, server };
  });

  const { house, server } = prepared;
  const supervisor = new PostgresSupervisor({
    server,
    clusterDirectory,
    logFile: house.logFile,
    logMaxOctets: LOG_MAX_OCTETS,
    adminUrl: (port) => urlFor(port, ADMIN_ROLE, house.password, 'postgres'),
    // Later starts keep the port of the first: the pools of this process know no other.
    startAgain: () => alone(dataDirectory, progress, () => ensureRunning({ ...house, port: server.port })),
    log: options.log,
  });
  await supervisor.begin();
  return {
    url: urlFor(server.port, APPLICATION_ROLE, house.password, APPLICATION_DATABASE),
    pageUrl: urlFor(server.port, READING_ROLE, house.password, APPLICATION_DATABASE),
    adopted: server.adopted,
    version: server.version,
    pid: () => supervisor.pid,
    stop: () => supervisor.stop(),
  };
}

function urlFor(port: number, role: string, password: string, database: string): string {
  return `postgres://${role}:${password}@${LOOPBACK_HOST}:${String(port)}/${database}`;
}

/** Runs `work` while no other process starts this cluster; then the second one finds a running server and adopts it. */
async function alone<T>(directory: string, progress: (line: string) => void, work: () => Promise<T>): Promise<T> {
  const release = await withProgress(progress, undefined, () =>
    waitFor(() => tryFolderLock(directory, 'postgres-start'), READY_TIMEOUT_MS),
  );
  if (release === undefined) {
    throw new EmbeddedPostgresError(
      'start-failed',
      'another process has been starting this PostgreSQL for 15 minutes',
      `end that process (look for one with the data folder ${directory}) and start again`,
    );
  }
  try {
    return await work();
  } finally {
    await release();
  }
}

/** Says `label` now and every five seconds until `work` is done. */
async function withProgress<T>(
  progress: (line: string) => void,
  label: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const startedAt = performance.now();
  if (label !== undefined) progress(label);
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    progress(`${label ?? 'waiting for another process that starts PostgreSQL'} … ${String(seconds)} s`);
  }, PROGRESS_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Major version of an existing cluster; undefined when there is none yet. */
async function majorVersionOfCluster(directory: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(join(directory, 'PG_VERSION'), 'utf8'), 10);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  const entries = await readdir(directory).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (entries === undefined) return undefined;
  if (entries.length > 0) {
    throw new EmbeddedPostgresError(
      'cluster-unrecognised',
      `${directory} exists and is not a PostgreSQL cluster (it has no PG_VERSION)`,
      'move it away, or name another data folder with --data',
    );
  }
  // An empty folder would stand in the way of the rename.
  await rm(directory, { recursive: true });
  return undefined;
}

async function readOrMakePassword(path: string, clusterExists: boolean): Promise<string> {
  try {
    const password = (await readFile(path, 'utf8')).trim();
    if (password !== '') return password;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== 'ENOENT') {
      throw new EmbeddedPostgresError(
        'password-missing',
        `the password of the embedded PostgreSQL in ${path} cannot be read (${code ?? 'unknown error'})`,
        'start as the user who owns the data folder',
        { cause: error },
      );
    }
  }
  if (clusterExists) {
    throw new EmbeddedPostgresError(
      'password-missing',
      `the password of the existing cluster is not in ${path}`,
      'put the file back from a backup, or move the cluster away to begin with an empty one',
    );
  }
  const made = randomBytes(PASSWORD_OCTETS).toString('base64url');
  await rm(path, { force: true });
  await writeFile(path, `${made}\n`, { mode: 0o600, flag: 'wx' });
  if (process.geteuid?.() === 0) {
    // Root worked in the folder of an ordinary user, who must be able to go on without root.
    const { uid, gid } = await stat(dirname(dirname(path)));
    for (const one of [dirname(path), path]) await lchown(one, uid, gid);
  }
  return made;
}

/** Adopts the running server of the cluster, or starts one and waits for it. Called with the start lock held. */
async function ensureRunning(house: House): Promise<AnsweringServer> {
  const running = await runningPostmaster(house);
  if (running !== undefined) {
    const label = `waiting for the PostgreSQL that runs already (process ${String(running.pid)})`;
    const adopted = await withProgress(house.progress, label, () =>
      waitUntilOurs(house, running.pid, running.port, true),
    );
    if (adopted !== undefined) return adopted;
  }
  const problem = await portProblem(house.port);
  if (problem !== undefined) throw portBusy(house.port, problem);
  await rotateLog(house.logFile, LOG_MAX_OCTETS);
  const started = await spawnPostmaster({ ...house, settings: fixedSettings(house.port) });
  const label = `starting PostgreSQL ${house.binaries.version}`;
  const server = await withProgress(house.progress, label, () =>
    waitUntilOurs(house, started.pid, house.port, false),
  ).catch(async (error: unknown) => {
    await stopPostmaster(started.pid, 'fast', ABANDON_TIMEOUT_MS);
    throw error;
  });
  if (server !== undefined) return server;
  const lateProblem = await portProblem(house.port);
  if (lateProblem !== undefined) throw portBusy(house.port, lateProblem);
  throw new EmbeddedPostgresError(
    'start-failed',
    `PostgreSQL ended while starting: ${await logTail(house.logFile)}`,
    `read ${house.logFile}`,
  );
}

/** The live server named in the cluster's lock file, after one that is stopping has gone. */
async function runningPostmaster(house: House): Promise<{ pid: number; port: number } | undefined> {
  const found = await waitFor(async () => {
    const file = await readPostmasterFile(house.clusterDirectory);
    if (file === undefined) return { pid: undefined };
    if (await isPostmasterOf(file.pid, house.clusterDirectory)) {
      return file.status === 'stopping' || file.port === 0 ? undefined : { pid: file.pid, port: file.port };
    }
    if (isAlive(file.pid)) await disarmStalePostmasterFile(house.clusterDirectory);
    return { pid: undefined };
  }, READY_TIMEOUT_MS);
  return found?.pid === undefined ? undefined : found;
}

function portBusy(port: number, reason: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    'port-busy',
    `the embedded PostgreSQL cannot listen on ${LOOPBACK_HOST}:${String(port)} (${reason}): another program uses the port`,
    'set database.port in sluice.toml to a free one, or stop that program',
  );
}

/** Waits for an answer; undefined when the process ended before it gave one. */
async function waitUntilOurs(
  house: House,
  pid: number,
  port: number,
  adopted: boolean,
): Promise<AnsweringServer | undefined> {
  const answer = await waitFor(async () => {
    // Looked at before the connection: a server that dies while we connect must be seen dead by the next round.
    const alive = (await isPostmasterOf(pid, house.clusterDirectory)) || (!adopted && (await isStarting(pid)));
    const test = await testConnection(port, house.password);
    if (test.answer !== 'not-yet') return test;
    return alive ? undefined : { answer: 'died' as const };
  }, READY_TIMEOUT_MS);

  switch (answer?.answer) {
    case 'ready':
      if (resolve(answer.dataDirectory) !== house.clusterDirectory) {
        throw portBusy(port, `it serves ${answer.dataDirectory}`);
      }
      return { pid, port, version: answer.serverVersion, adopted };
    case 'password-refused':
      if (!(await isPostmasterOf(pid, house.clusterDirectory))) throw portBusy(port, 'another PostgreSQL');
      throw new EmbeddedPostgresError(
        'password-refused',
        'the embedded PostgreSQL does not know the password in secrets/postgres of the data folder',
        'put that file back from a backup of the same day as the cluster',
      );
    case 'stranger':
      throw portBusy(port, answer.reason);
    case 'died':
      return undefined;
    case undefined:
      throw new EmbeddedPostgresError(
        'start-failed',
        `PostgreSQL did not answer within 15 minutes: ${await logTail(house.logFile)}`,
        `read ${house.logFile}`,
      );
  }
}

/** A new process has not yet changed into its cluster: it counts as alive while it exists and is no zombie. */
async function isStarting(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const state = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '');
  return !/\) [ZX] /.test(state);
}

/** Roles and database of Sluice, made once. */
async function ensureApplicationDatabase(port: number, password: string): Promise<void> {
  const client = new pg.Client({ connectionString: urlFor(port, ADMIN_ROLE, password, 'postgres') });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ role: boolean; reading: boolean; database: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role,
              EXISTS (SELECT FROM pg_roles WHERE rolname = $2) AS reading,
              EXISTS (SELECT FROM pg_database WHERE datname = $3) AS database`,
      [APPLICATION_ROLE, READING_ROLE, APPLICATION_DATABASE],
    );
    // The password is base64url: no quoting to get wrong. Only failing statements could reach the log, and they do not.
    if (!rows[0]!.role) await client.query(`CREATE ROLE ${APPLICATION_ROLE} LOGIN PASSWORD '${password}'`);
    if (!rows[0]!.reading) await client.query(`CREATE ROLE ${READING_ROLE} LOGIN PASSWORD '${password}'`);
    if (!rows[0]!.database) await client.query(`CREATE DATABASE ${APPLICATION_DATABASE} OWNER ${APPLICATION_ROLE}`);
  } finally {
    await client.end();
  }
}
