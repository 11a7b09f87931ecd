/**
 * The last hour in memory, for small charts. Enters: readings of counters and gauges, one every ten seconds. Leaves: series of rates and values,
 * oldest first. Invariants: bounded; a counter that fell (a restart of the part that counts) never makes a negative rate.
 */

/** What one look at the server reads; counters only grow. */
export interface Reading {
  readonly accepts: number;
  readonly rejects: number;
  readonly accounting: number;
  /** Gauges. */
  readonly sessions: number;
  readonly spoolLagRecords: number;
}

/** How often readings are taken, ms: a newcomer sees movement within a minute, and an hour is 360 points. */
export const SAMPLE_INTERVAL_MS = 10_000;
/** An hour of readings and one more, for rates are differences. */
const CAPACITY = 361;

/** What charts show: counters per second, gauges as they were. */
export interface Series {
  /** Instants of the points, ms since 1970. */
  readonly atMs: readonly number[];
  readonly acceptsPerSecond: readonly number[];
  readonly rejectsPerSecond: readonly number[];
  readonly accountingPerSecond: readonly number[];
  readonly sessions: readonly number[];
  readonly spoolLagRecords: readonly number[];
}

/** A ring of readings. */
export class SampleRing {
  readonly #samples: { readonly atMs: number; readonly reading: Reading }[] = [];

  /** Keeps a reading. @param atMs our clock, ms since 1970; one that went backwards starts the hour anew */
  take(atMs: number, reading: Reading): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && atMs <= last.atMs) this.#samples.length = 0;
    this.#samples.push({ atMs, reading });
    if (this.#samples.length > CAPACITY) this.#samples.shift();
  }

  /** The hour as series; empty until there are two readings. */
  series(): Series {
    const points = this.#samples.slice(1).map((sample, index) => ({ before: this.#samples[index]!, sample }));
    const rate = (key: 'accepts' | 'rejects' | 'accounting'): number[] =>
      points.map(({ before, sample }) => {
        const seconds = (sample.atMs - before.atMs) / 1000;
        return Math.max(0, sample.reading[key] - before.reading[key]) / seconds;
      });
    return {
      atMs: points.map(({ sample }) => sample.atMs),
      acceptsPerSecond: rate('accepts'),
      rejectsPerSecond: rate('rejects'),
      accountingPerSecond: rate('accounting'),
      sessions: points.map(({ sample }) => sample.reading.sessions),
      spoolLagRecords: points.map(({ sample }) => sample.reading.spoolLagRecords),
    };
  }
}
