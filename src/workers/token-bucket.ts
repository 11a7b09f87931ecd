/**
 * So many in a second. Enters: a rate and the time. Leaves: whether one more may go now. Invariant: over any stretch of time no more than the rate
 * and one burst pass. Pure but for its own count.
 */

/** The part of a second's worth that may go at once. */
const BURST_SECONDS = 0.2;

export class TokenBucket {
  readonly #perSecond: number;
  readonly #capacity: number;
  #tokens: number;
  #atMs: number;

  /** @param nowMs monotonic, ms */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#capacity = Math.max(1, perSecond * BURST_SECONDS);
    this.#tokens = this.#capacity;
    this.#atMs = nowMs;
  }

  /** Whether something may go now. What costs more than there is goes all the same and is paid for afterwards. */
  has(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#tokens >= 1;
  }

  take(cost: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#tokens -= cost;
  }

  /** How long until something may go, ms. */
  waitMs(nowMs: number): number {
    this.#fill(nowMs);
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
  }

  #fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = Math.max(this.#atMs, nowMs);
    this.#tokens = Math.min(this.#capacity, this.#tokens + (passedMs / 1000) * this.#perSecond);
  }
}
