/**
 * A bounded memory of values that were computed before.
 *
 * Enters: keys and values.
 * Leaves: the value of a key that was used lately.
 * Invariant: never more than `capacity` entries; the one that goes first was not used for longest, as far as uses while half of it was empty count as none.
 */
export class RecentValues<Value> {
  readonly #values = new Map<string, Value>();
  readonly #capacity: number;

  /** @param capacity entries kept at most, at least 1 */
  constructor(capacity: number) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) throw new RangeError('capacity is not a whole number from 1');
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): Value | undefined {
    const value = this.#values.get(key);
    // A map keeps the order of insertion, so that inserting again makes an entry the youngest. With room for as many again that can wait.
    if (value !== undefined && this.#values.size > this.#capacity / 2) {
      this.#values.delete(key);
      this.#values.set(key, value);
    }
    return value;
  }

  set(key: string, value: Value): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size <= this.#capacity) return;
    const oldest = this.#values.keys().next();
    if (oldest.done !== true) this.#values.delete(oldest.value);
  }
}
