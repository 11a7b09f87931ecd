/**
 * What is counted of commanding NASes. Enters: delays and outcomes. Leaves: numbers for metrics. Invariant: bounded, whatever happens.
 */
import type { CommandOutcome, DriverName } from '../nas/driver.js';

/** The delays that percentiles are taken from: the last minutes of a busy server. */
const REMEMBERED = 1_024;

/** By what evidence turned out to be false: accounting heard of the session, or the NAS was read back. */
export type DisproofHow = 'still-there' | 'read-back';

export class DispatcherMeasures {
  readonly #delaysMs: number[] = [];
  /** By driver and outcome, both from fixed sets. */
  readonly #outcomes = new Map<string, { driver: DriverName; outcome: CommandOutcome['outcome']; count: number }>();
  /** By NAS of the configuration. */
  readonly #disproofs = new Map<string, { nas: string; how: DisproofHow; count: number }>();
  #next = 0;
  #count = 0;
  #sumMs = 0;

  /** How many commands came of changes, and how long they took from the change feed to the driver, ms, in sum. */
  get delays(): { readonly count: number; readonly sumMs: number } {
    return { count: this.#count, sumMs: this.#sumMs };
  }

  get outcomes(): Iterable<{
    readonly driver: DriverName;
    readonly outcome: CommandOutcome['outcome'];
    readonly count: number;
  }> {
    return this.#outcomes.values();
  }

  /** How often a NAS had confirmed what was not so. */
  get disproofs(): Iterable<{ readonly nas: string; readonly how: DisproofHow; readonly count: number }> {
    return this.#disproofs.values();
  }

  noteDisproof(nas: string, how: DisproofHow): void {
    const key = `${how} ${nas}`;
    const counted = this.#disproofs.get(key);
    if (counted === undefined) this.#disproofs.set(key, { nas, how, count: 1 });
    else counted.count += 1;
  }

  noteDelay(delayMs: number): void {
    this.#delaysMs[this.#next] = delayMs;
    this.#next = (this.#next + 1) % REMEMBERED;
    this.#count += 1;
    this.#sumMs += delayMs;
  }

  noteOutcome(driver: DriverName, outcome: CommandOutcome['outcome']): void {
    const key = `${driver} ${outcome}`;
    const counted = this.#outcomes.get(key);
    if (counted === undefined) this.#outcomes.set(key, { driver, outcome, count: 1 });
    else counted.count += 1;
  }

  /** A quantile of the last delays, ms; 0 when there were none. @param quantile from 0 to 1 */
  delayMs(quantile: number): number {
    const sorted = [...this.#delaysMs].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0;
  }
}
