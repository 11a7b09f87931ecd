/**
 * What systemd does for a service, in small: it holds sockets over restarts, passes them with LISTEN_*, and hears what the service
 * tells of itself. In Perl, whose base is on every Debian, because Node has no Unix datagram sockets and cannot pass a bound one.
 *
 * Enters: addresses to hold, a command. Leaves: the lines of the service, its messages, its exits. Invariant: it is gone, with the
 * service, when its test is.
 */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { waitFor } from './deadline.js';

const script = fileURLToPath(new URL('small-supervisor.pl', import.meta.url));

/** A start or a stop of a server takes seconds; a machine under load several times that, ms. */
const PATIENCE_MS = 60_000;

/** Why the tests that need it cannot run here, or false. */
export const supervisorIsMissing =
  spawnSync('perl', ['-MIO::Socket::INET', '-MPOSIX', '-e', '1']).status !== 0
    ? 'perl is not installed'
    : spawnSync('systemd-notify', ['--version']).status !== 0 && 'systemd-notify is not installed';

export interface SmallSupervisorOptions {
  /** `udp:127.0.0.1:1812` or `tcp:…`, in the order in which they are passed. */
  readonly sockets: readonly string[];
  /** WATCHDOG_USEC; absent: no watchdog. */
  readonly watchdogMs?: number;
  readonly command: readonly string[];
}

export class SmallSupervisor {
  /** Messages of the service, one datagram each, assignments joined by blanks. */
  readonly notices: string[] = [];
  /** Log lines and text of the service. */
  readonly lines: string[] = [];
  /** `exit 0`, `signal 9`. */
  readonly exits: string[] = [];
  /** Of the service of the moment. */
  pid = 0;

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(line));
    createInterface({ input: child.stderr }).on('line', (line) => this.lines.push(line));
  }

  static async open(t: Pick<Test, 'teardown'>, options: SmallSupervisorOptions): Promise<SmallSupervisor> {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-supervisor-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    const child = spawn(
      'perl',
      [
        script,
        join(directory, 'notify'),
        String((options.watchdogMs ?? 0) * 1000),
        options.sockets.join(','),
        ...options.command,
      ],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const supervisor = new SmallSupervisor(child);
    t.teardown(async () => {
      const ended = once(child, 'close');
      child.stdin.end();
      await ended;
    });
    return supervisor;
  }

  /** Starts the service; resolves when it says that it is ready. */
  async start(): Promise<void> {
    const before = this.#readyCount();
    this.child.stdin.write('start\n');
    await waitFor('READY=1', PATIENCE_MS, () => this.#readyCount() > before || this.#throwIfEnded());
  }

  /** Starts the service without waiting for anything. */
  launch(): void {
    this.child.stdin.write('start\n');
  }

  /** Sends it a signal by its name: `TERM`, `HUP`. */
  signal(name: string): void {
    this.child.stdin.write(`${name}\n`);
  }

  /** Ends the service as systemd does. @returns how it ended */
  async stop(signal = 'TERM'): Promise<string> {
    const before = this.exits.length;
    this.signal(signal);
    return await this.ended(before + 1);
  }

  /** How the service ended for the `count`th time. */
  async ended(count: number): Promise<string> {
    return await waitFor('the end of the service', PATIENCE_MS, () => this.exits[count - 1]);
  }

  /** Waits for a message that has this in it. */
  async notice(text: string): Promise<string> {
    return await waitFor(text, PATIENCE_MS, () => this.notices.find((notice) => notice.includes(text)));
  }

  /** Waits for a line of the log with this message. */
  async logged(message: string): Promise<Record<string, unknown>> {
    const found = await waitFor(`"${message}" in the log`, PATIENCE_MS, () =>
      this.lines.find((line) => line.includes(`"msg":${JSON.stringify(message)}`)),
    );
    return JSON.parse(found) as Record<string, unknown>;
  }

  /** Waits until a line with this message was written so many times, over all lives of the service. */
  async loggedTimes(message: string, times: number): Promise<void> {
    await waitFor(`"${message}" ${String(times)} times in the log`, PATIENCE_MS, () => {
      return this.lines.filter((line) => line.includes(`"msg":${JSON.stringify(message)}`)).length >= times;
    });
  }

  #readyCount(): number {
    return this.notices.filter((notice) => notice.includes('READY=1')).length;
  }

  #throwIfEnded(): false {
    const last = this.exits.at(-1);
    if (last === undefined || last === 'exit 0') return false;
    throw new Error(`the service ended (${last}):\n${this.lines.slice(-20).join('\n')}`);
  }

  #read(line: string): void {
    const [, kind, text] = /^@(notice|exit|pid) (.*)$/u.exec(line) ?? [];
    if (kind === 'notice') this.notices.push(text!);
    else if (kind === 'exit') this.exits.push(text!);
    else if (kind === 'pid') this.pid = Number(text);
    else this.lines.push(line);
  }
}
