/**
 * Whether the work is turning, not only the clock. Enters: the loops with the instants of their last turns. Leaves: a heartbeat to the service
 * manager while every one of them turns, and silence, with a line in the log, when one is stuck. Invariants: a database that is
 * away is no stall, because whoever waits for it asks again and again; nor is a full disk, which refuses instead of hanging.
 */

/** One loop that must turn. */
export interface TurningPart {
  readonly name: string;
  /** Monotonic ms (performance.now) of the last sign of progress. */
  readonly turnedAtMs: () => number;
  /** A loop that waits for work need not turn; absent: it always has some. */
  readonly hasWork?: () => boolean;
  /** The longest time between two turns that is no stall, ms. */
  readonly limitMs: number;
}

/** Judges parts; parts may come and go between two looks. */
export class StallJudge {
  /** When a part was last seen without work: time spent idle is no stall. */
  readonly #idleAtMs = new Map<string, number>();

  /** @returns names of the parts that are stuck at this instant */
  stalled(parts: readonly TurningPart[], nowMs: number): string[] {
    const stuck: string[] = [];
    for (const { name, turnedAtMs, hasWork, limitMs } of parts) {
      if (hasWork?.() === false) this.#idleAtMs.set(name, nowMs);
      const sinceMs = Math.max(turnedAtMs(), this.#idleAtMs.get(name) ?? -Infinity);
      if (nowMs - sinceMs > limitMs) stuck.push(name);
    }
    return stuck;
  }
}

export interface WatchdogDeps {
  readonly parts: () => readonly TurningPart[];
  /** The manager's patience, ms. */
  readonly watchdogMs: number;
  readonly alive: () => void;
  readonly onStalled: (names: readonly string[]) => void;
  readonly nowMs?: () => number;
}

/** Beats twice within the manager's patience (sd_watchdog_enabled(3)). A blocked event loop cannot beat at all. */
export class Watchdog {
  readonly #deps: WatchdogDeps;
  readonly #judge = new StallJudge();
  readonly #timer: NodeJS.Timeout;
  #stalled = false;

  constructor(deps: WatchdogDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.beat(), deps.watchdogMs / 2).unref();
    this.beat();
  }

  /** One look; the timer's. */
  beat(): void {
    const { parts, alive, onStalled, nowMs = () => performance.now() } = this.#deps;
    const names = this.#judge.stalled(parts(), nowMs());
    if (names.length === 0) alive();
    else if (!this.#stalled) onStalled(names);
    this.#stalled = names.length > 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
