/**
 * Whether a NAS is spoken to at all. Enters: answers and silences, the time. Leaves: closed, open, or half-open. Invariants: it opens after silences
 * in a row, lets one probe through when its time has come, and closes only by an answer.
 */

/** Silences in a row after which a NAS counts as dead. */
const MAX_SILENCES = 3;
/** How long it is left alone at first and at most, ms: each probe that fails doubles it. */
const FIRST_OPEN_MS = 1_000;
const LONGEST_OPEN_MS = 60_000;

export type BreakerState = 'closed' | 'open' | 'half-open';

export class CircuitBreaker {
  readonly #random: () => number;
  #silences = 0;
  #openMs = FIRST_OPEN_MS;
  #openUntilMs: number | undefined;
  #openedAtMs = 0;
  #probing = false;

  /** @param random from 0 up to 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** @param nowMs monotonic, ms, as everywhere here */
  state(nowMs: number): BreakerState {
    if (this.#openUntilMs === undefined) return 'closed';
    return nowMs < this.#openUntilMs ? 'open' : 'half-open';
  }

  /** Whether a command may be sent: all when closed, one probe when half-open. */
  mayBegin(nowMs: number): boolean {
    const state = this.state(nowMs);
    return state === 'closed' || (state === 'half-open' && !this.#probing);
  }

  /** A command is being sent. */
  began(nowMs: number): void {
    if (this.state(nowMs) === 'half-open') this.#probing = true;
  }

  /** How long it stays open, ms; 0 when a command may be sent or a probe is under way. */
  waitMs(nowMs: number): number {
    return this.#openUntilMs === undefined ? 0 : Math.max(0, this.#openUntilMs - nowMs);
  }

  /**
   * The NAS answered something, be it no.
   *
   * @returns for how long it had been silent, ms, when it had counted as dead; else undefined
   */
  answered(nowMs: number): number | undefined {
    this.#silences = 0;
    this.#probing = false;
    if (this.#openUntilMs === undefined) return undefined;
    this.#openUntilMs = undefined;
    this.#openMs = FIRST_OPEN_MS;
    return nowMs - this.#openedAtMs;
  }

  /** Nothing was heard. @returns whether the NAS counts as dead from now on, and did not before */
  silent(nowMs: number): boolean {
    this.#silences += 1;
    const wasOpen = this.#openUntilMs !== undefined;
    // Those that were under way when it opened say nothing new.
    if (wasOpen && !this.#probing) return false;
    if (!wasOpen && this.#silences < MAX_SILENCES) return false;
    if (wasOpen) this.#openMs = Math.min(this.#openMs * 2, LONGEST_OPEN_MS);
    else this.#openedAtMs = nowMs;
    this.#probing = false;
    this.#openUntilMs = nowMs + this.#openMs * (0.5 + this.#random());
    return !wasOpen;
  }

  /** A probe came to nothing without saying anything about the NAS. */
  abandoned(): void {
    this.#probing = false;
  }
}
