// Rejects are held back, so that guessing passwords is slow and its timing tells nothing.
// In: replies. Out: the same replies, at least `minDelayMs` later and at most that plus jitter and one tick.
// Invariant: never early; bounded: beyond the bound the newest is refused, because sending an older one early would reward
// whoever floods; one timer for all, running only while something is held.

/** Least delay, ms: whoever guesses passwords gets one answer per second and session. */
export const defaultMinDelayMs = 1_000;
/** Most added on top, ms. */
export const defaultJitterMs = 500;
/** Most replies held: 20,000 rejects per second for 1.5 s. */
export const defaultMaxHeld = 30_000;
/** How finely time is cut, ms. */
const tickMs = 20;

/** The timers that a holder needs; tests give their own. */
export interface Timers {
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** The real timers. */
export const systemTimers: Timers = {
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** Options of DelayedReplies. */
export interface DelayedRepliesOptions<Item> {
  /** Monotonic clock, ms. */
  readonly nowMs: () => number;
  readonly timers?: Timers;
  /** Called for each item when its time has come. Must not throw. */
  readonly deliver: (item: Item) => void;
  readonly minDelayMs?: number;
  readonly jitterMs?: number;
  readonly maxHeld?: number;
  /** 0 to below 1; default Math.random. */
  readonly random?: () => number;
}

/** Holds items back. */
export class DelayedReplies<Item> {
  readonly #nowMs: () => number;
  readonly #timers: Timers;
  readonly #deliver: (item: Item) => void;
  readonly #minDelayMs: number;
  readonly #jitterMs: number;
  readonly #maxHeld: number;
  readonly #random: () => number;
  // A tick's number (time ÷ tickMs) to what is due at it.
  readonly #ticks = new Map<number, Item[]>();
  #nextTick = 0;
  #held = 0;
  #refused = 0;
  #timer: unknown;

  constructor(options: DelayedRepliesOptions<Item>) {
    this.#nowMs = options.nowMs;
    this.#timers = options.timers ?? systemTimers;
    this.#deliver = options.deliver;
    this.#minDelayMs = options.minDelayMs ?? defaultMinDelayMs;
    this.#jitterMs = options.jitterMs ?? defaultJitterMs;
    this.#maxHeld = options.maxHeld ?? defaultMaxHeld;
    this.#random = options.random ?? Math.random;
  }

  /** Items held now. */
  get held(): number {
    return this.#held;
  }

  /** Items refused because too many were held. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes an item; false when it was refused. */
  hold(item: Item): boolean {
    if (this.#held >= this.#maxHeld) {
      this.#refused++;
      return false;
    }
    const nowMs = this.#nowMs();
    const dueTick = Math.ceil((nowMs + this.#minDelayMs + this.#random() * this.#jitterMs) / tickMs);
    const due = this.#ticks.get(dueTick);
    if (due === undefined) this.#ticks.set(dueTick, [item]);
    else due.push(item);
    if (this.#held++ === 0) {
      this.#nextTick = Math.floor(nowMs / tickMs);
      this.#arm();
    }
    return true;
  }

  /** Forgets everything that is held and stops the timer. */
  clear(): void {
    this.#ticks.clear();
    this.#held = 0;
    if (this.#timer !== undefined) this.#timers.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#timers.setTimeout(() => this.#onTimer(), tickMs);
  }

  #onTimer(): void {
    this.#timer = undefined;
    const lastTick = Math.floor(this.#nowMs() / tickMs);
    for (; this.#nextTick <= lastTick; this.#nextTick++) {
      const due = this.#ticks.get(this.#nextTick);
      if (due === undefined) continue;
      this.#ticks.delete(this.#nextTick);
      this.#held -= due.length;
      for (const item of due) this.#deliver(item);
    }
    if (this.#held > 0 && this.#timer === undefined) this.#arm();
  }
}
