/**
 * A job that runs again and again. Enters: what to do and how often. Leaves: runs, one at a time. Invariants: a run that fails is
 * logged once per outage and tried again; `stop` waits for the run in hand; no timer is left behind.
 */
import type { Logger } from 'pino';
import { classifyDatabaseError } from '../store/database.js';

/** Pause after a failed run, ms: an outage is not made shorter by asking more often. */
const FAILED_PAUSE_MS = 1000;

export interface LoopOptions {
  readonly name: string;
  readonly intervalMs: number;
  /** @returns true to run again at once (there was more than one slice) */
  readonly run: () => Promise<boolean>;
  readonly log: Logger;
}

export class Loop {
  readonly #options: LoopOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = true;
  #failing = false;
  #turnedAtMs = performance.now();

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** When a run last began or ended, monotonic ms: a loop that turns does either within its interval and its work. */
  get turnedAtMs(): number {
    return this.#turnedAtMs;
  }

  start(): void {
    this.#stopped = false;
    this.wake();
  }

  /** Runs as soon as possible, and once more when a run is under way. */
  wake(): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#running = this.#once().finally(() => {
      this.#running = undefined;
      if (!this.#stopped) this.#schedule();
    });
  }

  /** One run, directly: what tests and start-up call. */
  runNow(): Promise<boolean> {
    return this.#options.run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(): void {
    const delayMs = this.#failing ? FAILED_PAUSE_MS : this.#again ? 0 : this.#options.intervalMs;
    this.#again = false;
    this.#timer = setTimeout(() => this.wake(), delayMs);
  }

  async #once(): Promise<void> {
    const { run, log, name } = this.#options;
    this.#turnedAtMs = performance.now();
    try {
      if (await run()) this.#again = true;
      this.#failing = false;
    } catch (error) {
      // While the database is away the applier says so; ten loops need not say it as well.
      const level = classifyDatabaseError(error) === 'unreachable' || this.#failing ? 'debug' : 'error';
      log[level]({ err: error, loop: name }, 'a periodic job failed; trying again');
      this.#failing = true;
    }
    this.#turnedAtMs = performance.now();
  }
}
