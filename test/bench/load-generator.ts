/**
 * The load generator, compiled when a bench starts. Enters: a packet file and how to send it. Leaves: what came back, in numbers. Invariant: it
 * is the same program with the same packets for whoever is measured.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { GENERATOR_SOCKETS } from './packet-file.js';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('udp-load.c', import.meta.url));

/** A compiler is missing or fails: the message says what to install. */
export class GeneratorError extends Error {
  override readonly name = 'GeneratorError';
}

/** How to send. */
export interface Drive {
  readonly packets: string;
  readonly port: number;
  /** Requests without an answer at once, in a closed loop. */
  readonly window?: number;
  /** Packets per second of an open loop, whatever comes back; none: closed loop. */
  readonly ratePerSecond?: number;
  readonly seconds?: number;
  /** The first packet to send, and how many at most. */
  readonly first?: number;
  readonly count?: number;
  /** A request is sent again after this, ms, and is lost after as many tries. */
  readonly timeoutMs?: number;
  readonly tries?: number;
  /** A file for every so manieth answer, and one for all addresses given. */
  readonly samples?: string;
  readonly sampleEvery?: number;
  readonly addresses?: string;
  /** Bind the generator to this processor. */
  readonly processor?: number;
}

/** What came back. */
export interface DriveResult {
  readonly sent: number;
  readonly answered: number;
  /** Requests without any answer after the last try. */
  readonly lost: number;
  /** Retransmissions. */
  readonly repeated: number;
  /** Answers with an unexpected code or length. */
  readonly wrong: number;
  /** Answers that nobody waited for. */
  readonly strays: number;
  /** From the first packet to the last one sent, and what was answered by then. */
  readonly seconds: number;
  readonly answeredInTime: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly generatorCpuSeconds: number;
  /** The packet after the last one sent. */
  readonly next: number;
}

/** A compiled generator. */
export class LoadGenerator {
  private constructor(private readonly program: string) {}

  /**
   * Compiles it.
   * @throws GeneratorError
   */
  static async compile(folder: string): Promise<LoadGenerator> {
    const program = join(folder, 'udp-load');
    await run('cc', ['-O2', '-o', program, SOURCE]).catch((error: unknown) => {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      throw new GeneratorError(
        missing
          ? 'the load generator is written in C and there is no C compiler: apt-get install gcc libc6-dev'
          : `the load generator does not compile: ${String(error)}`,
      );
    });
    return new LoadGenerator(program);
  }

  /** Sends and waits for the end. @throws Error when the generator fails */
  async drive(drive: Drive): Promise<DriveResult> {
    const options: [string, string | number | undefined][] = [
      ['--packets', drive.packets],
      ['--port', drive.port],
      ['--sockets', GENERATOR_SOCKETS],
      ['--window', drive.window],
      ['--rate', drive.ratePerSecond],
      ['--seconds', drive.seconds],
      ['--first', drive.first],
      ['--count', drive.count],
      ['--timeout-ms', drive.timeoutMs],
      ['--tries', drive.tries],
      ['--samples', drive.samples],
      ['--sample-every', drive.sampleEvery],
      ['--addresses', drive.addresses],
    ];
    const args = options.flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
    const [command, all] =
      drive.processor === undefined
        ? [this.program, args]
        : ['taskset', ['-c', String(drive.processor), this.program, ...args]];
    const { stdout } = await run(command, all);
    return JSON.parse(stdout) as DriveResult;
  }

  /** Starts the other side of it: an echo in C. End it with `kill`. */
  async startEcho(port: number): Promise<ChildProcess> {
    const child = spawn(this.program, ['--echo', '--port', String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(createInterface({ input: child.stdout }), 'line');
    return child;
  }
}
