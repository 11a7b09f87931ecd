/**
 * What systemd is told of us (sd_notify(3)). Enters: NOTIFY_SOCKET and WATCHDOG_USEC of the environment. Leaves: readiness, reloads, a line for
 * `systemctl status`, and heartbeats. Invariants: the server never waits for it; without a manager nothing is started and nothing
 * is said; the variables are gone afterwards, so that no child speaks in our name.
 *
 * Node has no Unix datagram sockets. Forking the server for each heartbeat would stop it for 47 ms at 1.3 GB, so a small shell is started
 * once, while we are small, and runs systemd-notify for each line that it reads.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** Messages that may wait for the shell, octets: some 50. What is beyond is dropped, the next heartbeat says it again. */
const MAX_WAITING_OCTETS = 4096;
/** The longest status line: one line of a terminal or two. */
const MAX_STATUS_CHARACTERS = 200;
/** How long an end waits for the last messages to go out, ms: systemd-notify itself gives up after 5 s. */
const CLOSE_MS = 6_000;

/** One message a line, its assignments parted by tabs. $0 of the loop is `sh`; the end of input ends it. */
const SHELL = `tab=$(printf '\\t')
while IFS=$tab read -r one two three; do
  systemd-notify "$one" \${two:+"$two"} \${three:+"$three"} || echo "systemd-notify ended in $?" >&2
done`;

export interface ManagerLog {
  readonly warn: (fields: object, message: string) => void;
}

/** Speaks to the manager, if there is one. */
export class ServiceManager {
  /** The manager kills a server that says nothing for so long, ms; undefined: it does not. */
  readonly watchdogMs: number | undefined;
  readonly #shell: ChildProcessByStdio<Writable, null, Readable> | undefined;
  readonly #ended: Promise<void>;
  #log: ManagerLog | undefined;
  #told = false;

  /**
   * Takes the variables that are meant for this process, and removes them.
   *
   * @param environment changed: NOTIFY_SOCKET and WATCHDOG_* are deleted
   */
  static take(environment: NodeJS.ProcessEnv, pid: number): ServiceManager {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec = '', WATCHDOG_PID: watchdogPid, PATH: path } = environment;
    delete environment['NOTIFY_SOCKET'];
    delete environment['WATCHDOG_USEC'];
    delete environment['WATCHDOG_PID'];
    const isForUs = watchdogPid === undefined || watchdogPid === String(pid);
    const watchdogMs = isForUs && /^[1-9]\d{0,14}$/.test(usec) ? Number(usec) / 1000 : undefined;
    return new ServiceManager(socket, path, watchdogMs);
  }

  private constructor(socket: string | undefined, path: string | undefined, watchdogMs: number | undefined) {
    if (socket === undefined || socket === '') {
      this.#ended = Promise.resolve();
      return;
    }
    this.watchdogMs = watchdogMs;
    const shell = spawn('/bin/sh', ['-c', SHELL], {
      cwd: '/',
      env: { NOTIFY_SOCKET: socket, PATH: path ?? '/usr/bin:/bin' },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    this.#shell = shell;
    shell.stdin.on('error', () => undefined);
    shell.stderr.on('data', (text: Buffer) => this.#failed(text.toString('utf8').trim()));
    this.#ended = new Promise((resolve) => {
      shell.once('error', (error) => {
        this.#failed(error.message);
        resolve();
      });
      shell.once('close', () => resolve());
    });
  }

  /** Whether somebody listens. */
  get isThere(): boolean {
    return this.#shell !== undefined;
  }

  /** Where it is said that the manager cannot be told anything. */
  useLog(log: ManagerLog): void {
    this.#log = log;
  }

  /** From now on nothing that is sent to us is lost. */
  ready(status: string): void {
    this.#say('READY=1', statusOf(status));
  }

  /** What `systemctl status` shows. */
  status(status: string): void {
    this.#say(statusOf(status));
  }

  /** The configuration is being read again; `ready` ends it. */
  reloading(): void {
    // MONOTONIC_USEC is asked for by Type=notify-reload (systemd 253 and later), and harmless before.
    this.#say('RELOADING=1', `MONOTONIC_USEC=${String(process.hrtime.bigint() / 1000n)}`);
  }

  stopping(status: string): void {
    this.#say('STOPPING=1', statusOf(status));
  }

  /** A heartbeat. */
  alive(status: string): void {
    this.#say('WATCHDOG=1', statusOf(status));
  }

  /** Ends the shell once it has said everything, or after six seconds. */
  async close(): Promise<void> {
    const shell = this.#shell;
    if (shell === undefined) return;
    shell.stdin.end();
    const timer = setTimeout(() => shell.kill('SIGKILL'), CLOSE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #say(...assignments: readonly string[]): void {
    const stdin = this.#shell?.stdin;
    if (stdin === undefined || !stdin.writable || stdin.writableLength > MAX_WAITING_OCTETS) return;
    stdin.write(`${assignments.join('\t')}\n`);
  }

  #failed(reason: string): void {
    if (this.#told) return;
    this.#told = true;
    this.#log?.warn({ reason }, 'systemd could not be told how we are: install systemd-notify, set NotifyAccess=all');
  }
}

/** Control characters would end the line or the assignment. */
function statusOf(text: string): string {
  return `STATUS=${text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, MAX_STATUS_CHARACTERS)}`;
}
