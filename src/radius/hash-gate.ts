// Lets a few slow password hashes run at once.
// In: functions that start a hash. Out: their results, or `overloaded`.
// Invariant: never more than `concurrency` run, never more than `maxWaiting` wait; first come, first served.

/**
 * Two at once: hashes run on the libuv pool of four threads, which name resolution and file work share, and a server that
 * hashes on every core has none left for packets.
 */
export const defaultHashConcurrency = 2;
/** At 50 to 100 ms a hash, whoever is behind a thousand others has long been given up by the NAS. */
export const defaultHashWaiting = 1_000;

/** The answer for whom there is no room. */
export const overloaded: unique symbol = Symbol('overloaded');

/** Bounds concurrent work. */
export class HashGate {
  readonly #concurrency: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(concurrency: number = defaultHashConcurrency, maxWaiting: number = defaultHashWaiting) {
    this.#concurrency = concurrency;
    this.#maxWaiting = maxWaiting;
  }

  /** Hashes that run now. */
  get running(): number {
    return this.#running;
  }

  /** Hashes that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs `work` when its turn comes; `overloaded` at once when too many wait. Passes on what `work` throws. */
  async run<Result>(work: () => Promise<Result>): Promise<Result | typeof overloaded> {
    if (this.#running >= this.#concurrency) {
      if (this.#waiting.length >= this.#maxWaiting) return overloaded;
      // Whoever finishes hands its place over, so `running` does not change in between.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
