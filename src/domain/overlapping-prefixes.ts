// Enters: prefixes and whose they are. Leaves: whose prefixes have an address in common with a given one. Invariants: found by halving,
// whatever lengths are mixed; put in order only when somebody asks after a change, since changes come by the thousand and questions one by one.

import { prefixBits, prefixesOverlap, type PrefixBits } from './ipv6-prefix.js';

interface Entry extends PrefixBits {
  readonly owner: number;
}

/** Prefixes of subscribers, which as a rule do not overlap each other. */
export class OverlappingPrefixes {
  readonly #byOwner = new Map<number, readonly Entry[]>();
  #sorted: Entry[] | undefined;

  get size(): number {
    return this.#byOwner.size;
  }

  /** Replaces what somebody has. @param prefixes canonical; none: forgets him */
  set(owner: number, prefixes: readonly string[]): void {
    const entries = prefixes.flatMap((prefix) => {
      const bits = prefixBits(prefix);
      return bits === undefined ? [] : [{ ...bits, owner }];
    });
    if (entries.length > 0) this.#byOwner.set(owner, entries);
    else if (!this.#byOwner.delete(owner)) return;
    this.#sorted = undefined;
  }

  /** Whether somebody else has a part of a prefix, or all of it. */
  isTaken(prefix: string, exceptOwner: number): boolean {
    if (this.#byOwner.size === 0) return false;
    const bits = prefixBits(prefix);
    if (bits === undefined) return false;
    const entries = (this.#sorted ??= sorted(this.#byOwner.values()));
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (entries[middle]!.value < bits.value) low = middle + 1;
      else high = middle;
    }
    const isForeign = (entry: Entry) => entry.owner !== exceptOwner && prefixesOverlap(entry, bits);
    // Those that begin within it, and those before it that reach into it: without overlaps among them, the nearest alone.
    for (let at = low; at < entries.length && prefixesOverlap(entries[at]!, bits); at++)
      if (isForeign(entries[at]!)) return true;
    for (let at = low - 1; at >= 0 && prefixesOverlap(entries[at]!, bits); at--)
      if (isForeign(entries[at]!)) return true;
    return false;
  }
}

function sorted(groups: Iterable<readonly Entry[]>): Entry[] {
  const all: Entry[] = [];
  for (const group of groups) all.push(...group);
  return all.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.length - b.length));
}
