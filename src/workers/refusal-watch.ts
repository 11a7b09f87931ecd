/**
 * Whether a NAS refuses too much. Enters: answers, the time. Leaves: whether tightening it is paused. Invariant: it pauses when most of enough answers
 * of a stretch of time were refusals, and for a stretch of time; then it is tried again with a clean sheet.
 */

/** Fewer answers than this say nothing. */
const MIN_ANSWERS = 20;
/** This part of refusals is a wrong profile or a NAS that was reconfigured, not a few odd sessions. */
const MAX_REFUSED_SHARE = 0.5;
/** Stretch of time over which answers count, and for which tightening is paused then, ms. */
const WINDOW_MS = 60_000;
const PAUSE_MS = 60_000;

export class RefusalWatch {
  #answers = 0;
  #refused = 0;
  #sinceMs = 0;
  #pausedUntilMs = -Infinity;

  /** @param nowMs monotonic, ms, as everywhere here */
  isPaused(nowMs: number): boolean {
    return nowMs < this.#pausedUntilMs;
  }

  /** How long it stays paused, ms. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#pausedUntilMs - nowMs);
  }

  /** @returns whether tightening is paused from now on, and was not before */
  note(isRefused: boolean, nowMs: number): boolean {
    if (nowMs - this.#sinceMs > WINDOW_MS) {
      // Half of what was counted counts on, so that the end of a window is no amnesty.
      this.#answers = nowMs - this.#sinceMs > 2 * WINDOW_MS ? 0 : this.#answers / 2;
      this.#refused = nowMs - this.#sinceMs > 2 * WINDOW_MS ? 0 : this.#refused / 2;
      this.#sinceMs = nowMs;
    }
    this.#answers += 1;
    if (isRefused) this.#refused += 1;
    if (this.isPaused(nowMs) || this.#answers < MIN_ANSWERS) return false;
    if (this.#refused / this.#answers <= MAX_REFUSED_SHARE) return false;
    this.#pausedUntilMs = nowMs + PAUSE_MS;
    this.#answers = 0;
    this.#refused = 0;
    return true;
  }
}
