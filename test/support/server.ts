/**
 * The real server as a child process, on ports and folders of its own.
 *
 * Enters: settings that differ from the tests' own, NASes, a database URL. Leaves: ports, the secret, the log lines, and the
 * ways to end it. Invariant: it is gone, with its folders, when its test is.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { freeTcpPort, freeUdpPort } from './free-port.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A start with an embedded PostgreSQL takes seconds; a machine under load several times that, ms. */
const READY_TIMEOUT_MS = 90_000;

/** A drain that takes longer has hung, ms. */
const STOP_TIMEOUT_MS = 60_000;

/** Lines of output kept; a test that needs more should look while it runs. */
const MAX_LINES = 100_000;

type TomlValue = string | number | boolean | readonly string[];

/** `{ radius: { auth: [...] } }` as it stands in sluice.toml. */
export type Settings = Record<string, Record<string, TomlValue>>;

export interface TestServerOptions {
  /** Absent: the server starts an embedded PostgreSQL in its data folder. */
  databaseUrl?: string;
  /** Over the tests' own settings, key by key. */
  settings?: Settings;
  /** More of sluice.toml, at its end: lists of tables. */
  more?: readonly string[];
  /** More files below conf (`nas.d/bras1.toml` …), or others in place of `nas.d/localhost.toml`. */
  files?: Record<string, string>;
  /** Which of the files are programs. */
  executable?: readonly string[];
  /** An ended server whose folders, ports and secret are used again. */
  again?: TestServer;
  /** A conf folder that is written already; ports and secret are then what it says, not what this object says. */
  confDir?: string;
  /** A data folder other than an empty one of its own. */
  dataDir?: string;
  environment?: Record<string, string>;
  /** False: return at once, for starts that must fail. */
  waitUntilReady?: boolean;
  /** Runs what `npm run build` made, as an installation does, instead of the sources. */
  isBuilt?: boolean;
  /** Options of Node.js itself. */
  nodeArguments?: readonly string[];
}

/** One line of the server's log, as pino writes it. */
export interface LogLine {
  level?: number | string;
  msg?: string;
  [field: string]: unknown;
}

export interface ServerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

function tomlOf(settings: Settings): string {
  return Object.entries(settings)
    .map(([table, keys]) => {
      const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
      return [`[${table}]`, ...lines, ''].join('\n');
    })
    .join('\n');
}

function merged(base: Settings, over: Settings): Settings {
  const result: Settings = { ...base };
  for (const [table, keys] of Object.entries(over)) result[table] = { ...result[table], ...keys };
  return result;
}

interface Waiter {
  matches: (line: LogLine) => boolean;
  settle: (line: LogLine) => void;
}

export class TestServer {
  /** Parsed log lines since the start. */
  readonly logs: LogLine[] = [];
  /** Everything written to standard output and standard error, line by line, that is not JSON. */
  readonly text: string[] = [];
  /** Settles when the process has ended. */
  readonly exited: Promise<ServerExit>;
  private readonly waiters = new Set<Waiter>();
  private ended = false;

  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    readonly confDir: string,
    readonly dataDir: string,
    readonly authPort: number,
    readonly accountingPort: number,
    /** `http://127.0.0.1:port` of the status listener. */
    readonly statusUrl: string,
    /** Shared secret of the NAS at 127.0.0.1. */
    readonly secret: string,
  ) {
    const read = (line: string) => {
      this.readLine(line);
    };
    createInterface({ input: child.stdout }).on('line', read);
    createInterface({ input: child.stderr }).on('line', read);
    this.exited = new Promise((settle) => {
      child.once('close', (code, signal) => {
        this.ended = true;
        settle({ code, signal });
      });
    });
  }

  /** Starts a server; the test's teardown ends it. */
  static async start(t: Pick<Test, 'teardown'>, options: TestServerOptions = {}): Promise<TestServer> {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-test-server-'));
    t.teardown(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
    const { again } = options;
    const confDir = again?.confDir ?? options.confDir ?? join(directory, 'conf');
    const dataDir = again?.dataDir ?? options.dataDir ?? join(directory, 'data');
    const authPort = again?.authPort ?? (await freeUdpPort());
    const accountingPort = again?.accountingPort ?? (await freeUdpPort());
    const statusUrl = again?.statusUrl ?? `http://127.0.0.1:${String(await freeTcpPort())}`;
    const secret = again?.secret ?? randomBytes(18).toString('base64url');
    const settings = merged(
      {
        server: { instance: `test-${randomBytes(4).toString('hex')}` },
        database: options.databaseUrl === undefined ? { port: await freeTcpPort() } : { url: options.databaseUrl },
        radius: { auth: [`127.0.0.1:${String(authPort)}`], accounting: [`127.0.0.1:${String(accountingPort)}`] },
        status: { listen: new URL(statusUrl).host },
      },
      options.settings ?? {},
    );
    if (again === undefined && options.confDir === undefined) {
      const files = {
        'sluice.toml': [tomlOf(settings), ...(options.more ?? [])].join('\n'),
        'nas.d/localhost.toml': `name = "localhost"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n`,
        ...options.files,
      };
      for (const [name, content] of Object.entries(files)) {
        await mkdir(dirname(join(confDir, name)), { recursive: true });
        await writeFile(join(confDir, name), content, { mode: options.executable?.includes(name) ? 0o700 : 0o600 });
      }
    }
    const program =
      options.isBuilt === true ? [join(root, 'build', 'main.js')] : ['--import', 'tsx', join(root, 'src', 'main.ts')];
    const child = spawn(
      process.execPath,
      [...(options.nodeArguments ?? []), ...program, '--conf', confDir, '--data', dataDir, 'serve'],
      {
        cwd: root,
        env: { ...process.env, ...options.environment },
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    child.stdin.end();
    const server = new TestServer(child, confDir, dataDir, authPort, accountingPort, statusUrl, secret);
    t.teardown(() => server.stop());
    if (options.waitUntilReady !== false) await server.waitForLog((line) => line.msg === 'ready', READY_TIMEOUT_MS);
    return server;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /**
   * The first log line, past or to come, that matches.
   *
   * @throws Error with the last output when the server ends, or `timeoutMs` pass, before there is one
   */
  async waitForLog(matches: (line: LogLine) => boolean, timeoutMs = READY_TIMEOUT_MS): Promise<LogLine> {
    const past = this.logs.find(matches);
    if (past !== undefined) return past;
    return await new Promise((settle, fail) => {
      const waiter: Waiter = {
        matches,
        settle: (line) => {
          clearTimeout(timer);
          settle(line);
        },
      };
      const giveUp = (why: string) => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
        fail(new Error(`the server ${why} before it logged what the test waits for:\n${this.lastOutput()}`));
      };
      const timer = setTimeout(() => {
        giveUp('took too long');
      }, timeoutMs);
      this.waiters.add(waiter);
      void this.exited.then((exit) => {
        if (this.waiters.has(waiter)) giveUp(`ended (${String(exit.signal ?? exit.code)})`);
      });
    });
  }

  /** Sends a signal and returns when the process has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<ServerExit> {
    if (!this.ended) this.child.kill(signal);
    return await this.exited;
  }

  /** Sends a signal and returns at once: SIGHUP. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Stops it as systemd would; one that does not end is killed, and that is an error. */
  async stop(): Promise<ServerExit> {
    if (this.ended) return await this.exited;
    this.child.kill('SIGTERM');
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      this.child.kill('SIGKILL');
    }, STOP_TIMEOUT_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    if (hung) throw new Error(`the server did not end on SIGTERM:\n${this.lastOutput()}`);
    return exit;
  }

  private lastOutput(): string {
    const logged = this.logs.slice(-20).map((line) => JSON.stringify(line));
    return [...this.text.slice(-20), ...logged].join('\n');
  }

  private readLine(line: string): void {
    if (this.logs.length + this.text.length >= MAX_LINES) return;
    let parsed: LogLine | undefined;
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null) parsed = value as LogLine;
    } catch {
      parsed = undefined;
    }
    if (parsed === undefined) {
      this.text.push(line);
      return;
    }
    this.logs.push(parsed);
    for (const waiter of this.waiters) {
      if (!waiter.matches(parsed)) continue;
      this.waiters.delete(waiter);
      waiter.settle(parsed);
    }
  }
}
