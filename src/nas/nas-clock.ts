/** Time as commands to a NAS see it. Enters: nothing. Leaves: wall-clock milliseconds and timers. Invariant: a test decides when something is due. */

export interface NasClock {
  /** ms since 1970 */
  nowMs(): number;
  /** Runs `run` once after `delayMs`; the returned function calls it off. */
  startTimer(delayMs: number, run: () => void): () => void;
}

/** The clock of the machine. */
export const systemNasClock: NasClock = {
  nowMs: () => Date.now(),
  startTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
