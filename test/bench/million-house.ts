/**
 * One installation on a temporary folder, with the built program, as an operator has it. Enters: a name, free ports. Leaves: commands that were run, a
 * server that is measured from outside: ready, memory, processor time, collections. Invariant: what was started ends with `close`, and the folder goes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isAlive } from '../../src/store/postgres-process.js';
import { freeTcpPort, freeUdpPort } from '../support/free-port.js';
import { INSTALLED_NODE_ARGUMENTS } from './sides.js';

const MAIN = fileURLToPath(new URL('../../build/main.js', import.meta.url));
/** A start beyond this has failed, ms. */
const READY_TIMEOUT_MS = 300_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 20;
/** What is kept of standard error. */
const COMPLAINT_CHARACTERS = 4_000;
/** Clock ticks of /proc/PID/stat per second: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** A collection of the whole heap, as `--trace-gc` tells it. */
export interface Collection {
  /** End, ms since 1970 by the clock of whoever read the line. */
  readonly atMs: number;
  /** The event loop stood still, ms. */
  readonly pauseMs: number;
  readonly heapBeforeMb: number;
  readonly heapAfterMb: number;
}

export interface CommandRun {
  readonly seconds: number;
  readonly output: string;
  /** Most memory that the process had, MB; undefined when it ended before anybody looked. */
  readonly peakMb: number | undefined;
  /** Processor time of the command and of the PostgreSQL that it started, seconds. */
  readonly processorSeconds: number;
}

export class House {
  private server: ChildProcess | undefined;
  private command: ChildProcess | undefined;
  private ended: Promise<unknown> = Promise.resolve();
  /** The last of standard error. */
  private complaints = '';
  readonly collections: Collection[] = [];
  private readonly messages: { readonly atMs: number; readonly msg: string }[] = [];

  private constructor(
    readonly folder: string,
    readonly authPort: number,
    readonly accountingPort: number,
    readonly statusUrl: string,
    readonly secret: string,
  ) {}

  static async make(name: string): Promise<House> {
    const folder = await mkdtemp(join(tmpdir(), `sluice-${name}-`));
    // The database runs as another user when we are root, and has to get through here.
    await chmod(folder, 0o755);
    const [authPort, accountingPort] = [await freeUdpPort(), await freeUdpPort()];
    const [statusPort, databasePort] = [await freeTcpPort(), await freeTcpPort()];
    const secret = randomBytes(18).toString('base64url');
    const files = {
      'sluice.toml': `[server]\ninstance = "${name}"\n[database]\nport = ${databasePort}\n[radius]\nauth = ["127.0.0.1:${authPort}"]\naccounting = ["127.0.0.1:${accountingPort}"]\n[status]\nlisten = "127.0.0.1:${statusPort}"\n`,
      'nas.d/localhost.toml': `name = "localhost"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n`,
    };
    await mkdir(join(folder, 'conf/nas.d'), { recursive: true, mode: 0o700 });
    for (const [file, content] of Object.entries(files))
      await writeFile(join(folder, 'conf', file), content, { mode: 0o600 });
    return new House(folder, authPort, accountingPort, `http://127.0.0.1:${statusPort}`, secret);
  }

  private spawn(nodeArgs: readonly string[], args: readonly string[], stderr: 'inherit' | 'pipe'): ChildProcess {
    return spawn(
      process.execPath,
      [...nodeArgs, MAIN, '--conf', join(this.folder, 'conf'), '--data', join(this.folder, 'data'), ...args],
      { env: { ...process.env, UV_THREADPOOL_SIZE: '8' }, stdio: ['ignore', 'pipe', stderr] },
    );
  }

  /** Runs a command to its end; its progress is shown. @throws Error when it fails */
  async run(args: readonly string[]): Promise<CommandRun> {
    const [beganMs, usedBefore] = [performance.now(), await endedChildrenSeconds()];
    const child = this.spawn([], args, 'inherit');
    this.command = child;
    let output = '';
    child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()));
    let peakMb: number | undefined;
    const look = setInterval(() => {
      void memoryOf(child.pid!).then(({ peakMb: peak }) => (peakMb = peak ?? peakMb));
    }, 250);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearInterval(look);
    if (code !== 0) throw new Error(`sluice ${args.join(' ')} ended in ${String(code)}: ${output}`);
    const seconds = (performance.now() - beganMs) / 1000;
    return { seconds, output, peakMb, processorSeconds: (await endedChildrenSeconds()) - usedBefore };
  }

  /** Starts the server and waits until it is ready. @returns how long that took, seconds */
  async serve(): Promise<number> {
    const beganMs = performance.now();
    const server = this.spawn([...INSTALLED_NODE_ARGUMENTS, '--trace-gc'], ['serve'], 'pipe');
    this.complaints = '';
    server.stderr!.on('data', (chunk: Buffer) => {
      this.complaints = (this.complaints + chunk.toString()).slice(-COMPLAINT_CHARACTERS);
    });
    this.server = server;
    this.ended = new Promise((resolve) => server.once('close', resolve));
    createInterface({ input: server.stdout! }).on('line', (line) => this.read(line));
    while (performance.now() - beganMs < READY_TIMEOUT_MS) {
      const answer = await fetch(`${this.statusUrl}/readyz`).catch(() => undefined);
      await answer?.text();
      if (answer?.status === 200) return (performance.now() - beganMs) / 1000;
      if (server.exitCode !== null || server.signalCode !== null)
        throw new Error(`the server ended (${String(server.signalCode ?? server.exitCode)}): ${this.complaints}`);
      await delay(POLL_MS);
    }
    throw new Error('the server did not become ready');
  }

  private read(line: string): void {
    const atMs = Date.now();
    const collected =
      /Mark-Compact (?:\([^)]*\) )?([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB,(?: pooled: \d+ MB,)? ([\d.]+) \//.exec(
        line,
      );
    if (collected) {
      const [heapBeforeMb, heapAfterMb, pauseMs] = collected.slice(1).map(Number) as [number, number, number];
      this.collections.push({ atMs, pauseMs, heapBeforeMb, heapAfterMb });
    } else if (line.startsWith('{')) {
      const { msg } = JSON.parse(line) as { msg?: string };
      if (msg !== undefined && this.messages.length < 10_000) this.messages.push({ atMs, msg });
    }
  }

  get pid(): number {
    return this.server!.pid!;
  }

  /** SIGHUP: the configuration is read again. */
  hangUp(): void {
    this.server!.kill('SIGHUP');
  }

  /** Waits for a log line after an instant. @returns when it came, ms since 1970 */
  async heard(message: string, sinceMs: number, timeoutMs: number): Promise<number> {
    for (const untilMs = Date.now() + timeoutMs; Date.now() < untilMs; await delay(POLL_MS)) {
      const found = this.messages.find(({ atMs, msg }) => atMs >= sinceMs && msg === message);
      if (found) return found.atMs;
    }
    throw new Error(`the server did not say '${message}' within ${timeoutMs / 1000} s`);
  }

  /** Messages of one kind since an instant. */
  countOf(message: string, sinceMs: number): number {
    return this.messages.filter(({ atMs, msg }) => atMs >= sinceMs && msg === message).length;
  }

  /** One number of /metrics, without its prefix. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.statusUrl}/metrics`)).text();
    const value = new RegExp(`^sluice_${name} (\\S+)`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`there is no metric sluice_${name}`);
    return Number(value);
  }

  /** Memory of the server now, MB. */
  async residentMb(): Promise<number> {
    return (await memoryOf(this.pid)).residentMb ?? 0;
  }

  /** Most memory that the server ever had, MB. */
  async peakMb(): Promise<number> {
    return (await memoryOf(this.pid)).peakMb ?? 0;
  }

  /** Processor time of the server so far, seconds. */
  async processorSeconds(): Promise<number> {
    const fields = await statOf(this.pid);
    return (fields[11]! + fields[12]!) / TICKS_PER_SECOND;
  }

  /** One that a killed command left running: it is made to outlive whoever started it. */
  private async stopDatabase(): Promise<void> {
    const file = await readFile(join(this.folder, 'data/postgres/postmaster.pid'), 'utf8').catch(() => '');
    const pid = Number.parseInt(file, 10);
    if (!(pid > 1) || !isAlive(pid)) return;
    process.kill(pid, 'SIGINT');
    for (const untilMs = Date.now() + STOP_TIMEOUT_MS; isAlive(pid) && Date.now() < untilMs;) await delay(POLL_MS);
  }

  /** For SQL as a billing program would send it. Holds the password: not for output. */
  async databaseUrl(): Promise<string> {
    const read = (path: string): Promise<string> => readFile(join(this.folder, 'data', path), 'utf8');
    const port = (await read('postgres/postmaster.pid')).split('\n')[3];
    return `postgres://sluice:${(await read('secrets/postgres')).trim()}@127.0.0.1:${port}/sluice`;
  }

  async stop(): Promise<void> {
    this.server?.kill('SIGTERM');
    const hung = setTimeout(() => this.server?.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.ended;
    clearTimeout(hung);
    this.server = undefined;
  }

  async close(): Promise<void> {
    this.command?.kill('SIGTERM');
    await this.stop();
    await this.stopDatabase();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Numbers of /proc/PID/stat from the third on, where the state stands (proc(5)). */
async function statOf(pid: number): Promise<number[]> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
}

/** Processor time of our children that have ended, and of theirs. */
async function endedChildrenSeconds(): Promise<number> {
  const fields = await statOf(process.pid);
  return (fields[13]! + fields[14]!) / TICKS_PER_SECOND;
}

/** How busy all processors are, 0 to 1, over some seconds. */
export async function busyShare(seconds: number): Promise<number> {
  const read = async (): Promise<{ idle: number; all: number }> => {
    const line = (await readFile('/proc/stat', 'utf8')).split('\n')[0]!;
    const times = line.split(/\s+/).slice(1, 9).map(Number);
    return { idle: times[3]! + times[4]!, all: times.reduce((sum, one) => sum + one, 0) };
  };
  const before = await read();
  await delay(seconds * 1000);
  const after = await read();
  return 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
}

async function memoryOf(pid: number): Promise<{ residentMb: number | undefined; peakMb: number | undefined }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const of = (name: string): number | undefined => {
    const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
    return kilobytes === undefined ? undefined : Math.round(Number(kilobytes) / 1024);
  };
  return { residentMb: of('VmRSS'), peakMb: of('VmHWM') };
}
