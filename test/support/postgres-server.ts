/**
 * A real PostgreSQL for tests: the embedded one, or a distribution's with `SLUICE_TEST_DATABASE=debian`.
 *
 * Enters: nothing. Leaves: a server on a free loopback port in a temporary folder, without syncing. Invariant: server and
 * folder are gone when this process is gone, however it ends: a guardian shell waits for the end of its standard input.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { findPostgresBinaries, type PostgresBinaries } from '../../src/store/postgres-binaries.js';
import {
  ADMIN_ROLE,
  LOOPBACK_HOST,
  createOwnedDirectory,
  initializeCluster,
  isAlive,
  logTail,
  spawnPostmaster,
  stopPostmaster,
  testConnection,
  waitFor,
  type RunningPostmaster,
} from '../../src/store/postgres-process.js';
import { chooseRunAs, type RunAs } from '../../src/store/postgres-run-as.js';
import { freeTcpPort } from './free-port.js';

/** The role that Sluice works as: no superuser, so that tests see what a provider's database allows. */
export const APPLICATION_ROLE = 'sluice';

/** A start without recovery takes half a second; a loaded machine ten. */
const START_TIMEOUT_MS = 60_000;

/** Nothing is synced and nothing is big: these servers live for a minute. */
const TEST_SETTINGS = {
  listen_addresses: LOOPBACK_HOST,
  unix_socket_directories: '',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  shared_buffers: '64MB',
  max_connections: '200',
  max_wal_size: '2GB',
  log_checkpoints: 'off',
  timezone: 'UTC',
};

/** Folder of Debian's binaries, the newest version that is there. */
async function debianBinDirectory(): Promise<string> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => []);
  const newest = versions.map(Number).sort((a, b) => b - a)[0];
  if (newest === undefined) throw new Error('SLUICE_TEST_DATABASE=debian needs: apt-get install postgresql');
  return `/usr/lib/postgresql/${String(newest)}/bin`;
}

/** When its standard input ends (our death included), the server is stopped and the folder removed. */
function guard(directory: string): () => Promise<void> {
  const script = `
    read -r line
    pid=$(head -n 1 "$1/cluster/postmaster.pid" 2>/dev/null)
    if [ -n "$pid" ]; then
      kill -QUIT "$pid" 2>/dev/null
      tries=0
      while [ -e "/proc/$pid/cwd" ] && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
    fi
    rm -rf "$1"`;
  const guardian = spawn('/bin/sh', ['-c', script, 'sh', directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  const ended = new Promise<void>((settle) => guardian.once('exit', () => settle()));
  guardian.unref();
  const input = guardian.stdin as typeof guardian.stdin & { unref(): void };
  input.on('error', () => undefined);
  input.unref();
  return async () => {
    guardian.ref();
    input.end();
    await ended;
  };
}

/** One server of its own. `stop`, `start` and `kill` may be called in any order, as an outage test likes. */
export class TestPostgres {
  private running: RunningPostmaster | undefined;

  private constructor(
    readonly port: number,
    readonly password: string,
    readonly version: string,
    private readonly binaries: PostgresBinaries,
    private readonly runAs: RunAs,
    private readonly directory: string,
    private readonly settings: Record<string, string>,
    private readonly release: () => Promise<void>,
  ) {}

  /** Makes a cluster and starts it. @param settings more server settings, or others than the tests' own */
  static async create(settings: Record<string, string> = {}): Promise<TestPostgres> {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-test-postgres-'));
    await chmod(directory, 0o755);
    const cluster = join(directory, 'cluster');
    const wanted = await chooseRunAs(cluster, [fileURLToPath(new URL('../..', import.meta.url))]);
    await createOwnedDirectory(cluster, wanted);
    const { binaries, runAs } = await findPostgresBinaries(wanted, cluster, {
      copyDirectory: join(directory, 'binaries'),
      binDirectory: process.env['SLUICE_TEST_DATABASE'] === 'debian' ? await debianBinDirectory() : undefined,
    });
    const password = randomBytes(18).toString('base64url');
    await initializeCluster({ binaries, runAs, directory: cluster, password, settings: {}, sync: false });
    const port = await freeTcpPort();
    const server = new TestPostgres(
      port,
      password,
      binaries.version,
      binaries,
      runAs,
      directory,
      { ...TEST_SETTINGS, ...settings, port: String(port) },
      guard(directory),
    );
    await server.start();
    await server.asAdmin((client) => client.query(`CREATE ROLE ${APPLICATION_ROLE} LOGIN PASSWORD '${password}'`));
    return server;
  }

  /** URL of the superuser. */
  get adminUrl(): string {
    return this.urlFor('postgres', ADMIN_ROLE);
  }

  /** URL of a database for a role; all roles share the password. */
  urlFor(database: string, role: string = APPLICATION_ROLE): string {
    return `postgres://${role}:${this.password}@${LOOPBACK_HOST}:${String(this.port)}/${database}`;
  }

  /** Process id of the server while it runs. */
  get pid(): number | undefined {
    return this.running?.pid;
  }

  async asAdmin<T>(use: (client: pg.Client) => Promise<T>): Promise<T> {
    return await asClient(this.adminUrl, use);
  }

  /** Starts the server again on the same port, and waits until it answers. */
  async start(): Promise<void> {
    if (this.running !== undefined) throw new Error('the server runs already');
    const logFile = join(this.directory, 'postgres.log');
    const running = await spawnPostmaster({
      binaries: this.binaries,
      runAs: this.runAs,
      clusterDirectory: join(this.directory, 'cluster'),
      logFile,
      settings: this.settings,
    });
    const ended = running.exited.then((how) => ({ ended: how }));
    const ready = await waitFor(async () => {
      const how = await Promise.race([ended, testConnection(this.port, this.password)]);
      if ('ended' in how) return how;
      return how.answer === 'ready' ? how : undefined;
    }, START_TIMEOUT_MS);
    if (ready === undefined || 'ended' in ready) {
      throw new Error(`PostgreSQL for tests did not start: ${await logTail(logFile)}`);
    }
    this.running = running;
  }

  /** A clean stop: clients are told, everything is on disk. */
  async stop(): Promise<void> {
    await this.end('fast');
  }

  /** A crash: no process of the server survives, nothing is flushed. */
  async kill(): Promise<void> {
    await this.end('immediate');
  }

  private async end(mode: 'fast' | 'immediate'): Promise<void> {
    const running = this.running;
    if (running === undefined) return;
    this.running = undefined;
    const stillRuns = () => Promise.resolve(isAlive(running.pid));
    await stopPostmaster(running.pid, mode, START_TIMEOUT_MS, stillRuns);
    await running.exited;
  }

  /** Ends server, guardian and folder. */
  async remove(): Promise<void> {
    await this.kill();
    await this.release();
  }
}

/** Runs `use` on one connection and closes it. */
export async function asClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
