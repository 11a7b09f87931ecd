/**
 * Time as the ways in see it. Enters: nothing. Leaves: wall-clock milliseconds and timers that can be called off. Invariant: it is taken from here
 * alone, so a test decides what is late.
 */

export interface IntakeClock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Runs `run` once after `delayMs`; the returned function calls it off. */
  startTimer(delayMs: number, run: () => void): () => void;
}

/** The clock of the machine. */
export const systemIntakeClock: IntakeClock = {
  nowMs: () => Date.now(),
  startTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
