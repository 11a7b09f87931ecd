/**
 * One server over several lives: the same ports, folders and secret each time. Enters: the options of the first start. Leaves: the process of the
 * moment, and the log of all. Invariant: a PostgreSQL that a killed server left behind is gone when the test is.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { waitFor } from './deadline.js';
import { TestServer, type LogLine, type ServerExit, type TestServerOptions } from './server.js';

/** A PostgreSQL that is told to stop at once is gone after this, ms. */
const POSTGRES_STOP_MS = 30_000;

export class ServerSeries {
  readonly #lives: TestServer[];

  private constructor(
    private readonly t: Pick<Test, 'teardown'>,
    private readonly options: TestServerOptions,
    first: TestServer,
  ) {
    this.#lives = [first];
  }

  /** Starts the first one and waits until it is ready, unless told otherwise. */
  static async start(t: Pick<Test, 'teardown'>, options: TestServerOptions = {}): Promise<ServerSeries> {
    const left: { dataDir?: string } = {};
    // Runs after the server's own teardown, which is registered later.
    t.teardown(async () => {
      if (left.dataDir !== undefined) await stopLeftPostgres(left.dataDir);
    });
    const first = await TestServer.start(t, options);
    left.dataDir = first.dataDir;
    return new ServerSeries(t, options, first);
  }

  /** The process of the moment, dead or alive. */
  get current(): TestServer {
    return this.#lives.at(-1)!;
  }

  get authPort(): number {
    return this.first.authPort;
  }

  get accountingPort(): number {
    return this.first.accountingPort;
  }

  get statusUrl(): string {
    return this.first.statusUrl;
  }

  get secret(): string {
    return this.first.secret;
  }

  get confDir(): string {
    return this.first.confDir;
  }

  get dataDir(): string {
    return this.first.dataDir;
  }

  /** Log lines of all lives. */
  get logs(): readonly LogLine[] {
    return this.#lives.flatMap((life) => life.logs);
  }

  /** Ends it as a power switch does: no signal handler runs. */
  async kill(): Promise<ServerExit> {
    return await this.current.kill('SIGKILL');
  }

  /** Starts it again on what the last one left. @returns ms until it was ready */
  async restart(options: { waitUntilReady?: boolean } = {}): Promise<number> {
    const beganAt = performance.now();
    const life = await TestServer.start(this.t, {
      ...this.options,
      ...options,
      again: this.first,
    });
    this.#lives.push(life);
    return performance.now() - beganAt;
  }

  private get first(): TestServer {
    return this.#lives[0]!;
  }
}

/** URL of the embedded PostgreSQL below a data folder, for the role that Sluice works as. */
export async function embeddedDatabaseUrl(dataDir: string): Promise<string> {
  const password = (await readFile(join(dataDir, 'secrets', 'postgres'), 'utf8')).trim();
  const port = (await postmasterFile(dataDir))?.[3];
  if (port === undefined) throw new Error('no PostgreSQL runs below this data folder');
  return `postgres://sluice:${password}@127.0.0.1:${port}/sluice`;
}

/** Process id of the embedded PostgreSQL, while there is one. */
export async function embeddedPostgresPid(dataDir: string): Promise<number | undefined> {
  const pid = Number((await postmasterFile(dataDir))?.[0]);
  return Number.isInteger(pid) && pid > 0 && isAlive(pid) ? pid : undefined;
}

async function postmasterFile(dataDir: string): Promise<string[] | undefined> {
  return await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').then(
    (text) => text.split('\n'),
    () => undefined,
  );
}

async function stopLeftPostgres(dataDir: string): Promise<void> {
  const pid = await embeddedPostgresPid(dataDir);
  if (pid === undefined) return;
  process.kill(pid, 'SIGQUIT');
  await waitFor('the PostgreSQL that a killed server left to end', POSTGRES_STOP_MS, () => !isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
