/**
 * Time as the spool sees it. Enters: nothing. Leaves: wall-clock milliseconds and timers that can be called off.
 * Invariant: the spool takes time from here alone, so a test decides when a retry or a retention sweep is due.
 */

export interface SpoolClock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Runs `run` once after `delayMs`; the returned function calls it off. */
  startTimer(delayMs: number, run: () => void): () => void;
}

/** The clock of the machine. Its timers keep the process alive only while a retry is due. */
export const systemClock: SpoolClock = {
  nowMs: () => Date.now(),
  startTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
