/**
 * The answer to a question that costs too much to be asked for every page. Enters: a question. Leaves: its last answer. Invariants: it is asked
 * once at a time; an answer that is too old is still given while the next one is fetched, so only the first reader waits.
 */
import { setTimeout as delay } from 'node:timers/promises';

export class Remembered<Answer> {
  readonly #ask: () => Promise<Answer>;
  readonly #maxAgeMs: number;
  readonly #nowMs: () => number;
  #answer: { readonly value: Answer; readonly atMs: number } | undefined;
  #asking: Promise<Answer> | undefined;

  constructor(ask: () => Promise<Answer>, maxAgeMs: number, nowMs: () => number) {
    this.#ask = ask;
    this.#maxAgeMs = maxAgeMs;
    this.#nowMs = nowMs;
  }

  /** @throws what the question throws, when there is no answer yet */
  async get(): Promise<Answer> {
    const held = this.#answer;
    if (held === undefined) return await this.#fetch();
    if (this.#nowMs() - held.atMs > this.#maxAgeMs) this.#fetch().catch(() => undefined);
    return held.value;
  }

  /**
   * For a page that can do without.
   * @param ms how long the first reader waits; undefined: as long as it takes
   * @returns undefined: nobody knows it yet
   */
  async soon(ms: number | undefined): Promise<Answer | undefined> {
    if (ms === undefined || this.#answer !== undefined) return await this.get();
    const patience = new AbortController();
    const tooLate = delay(ms, undefined, { signal: patience.signal }).catch(() => undefined);
    try {
      return await Promise.race([this.#fetch(), tooLate]);
    } finally {
      patience.abort();
    }
  }

  /** Asks for what nobody has asked for yet, so that the first reader need not wait. Never throws. */
  async prepare(): Promise<void> {
    if (this.#answer === undefined) await this.#fetch().catch(() => undefined);
  }

  #fetch(): Promise<Answer> {
    this.#asking ??= this.#ask()
      .then((value) => {
        this.#answer = { value, atMs: this.#nowMs() };
        return value;
      })
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }
}
