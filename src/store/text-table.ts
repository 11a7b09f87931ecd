// Enters: values that carry their own key, a text, by the million. Leaves: lookups. Invariants: a value is found exactly by the text that `keyOf` gives for
// it; no operation touches more than one shard, so that none holds the event loop while a table grows; nothing is kept of a key but its hash.
//
// A Map compares the keys of a whole chain on each lookup, and each of them is somewhere else in a heap of a gigabyte: of a login's answer that was a tenth.
// Here a line of the processor's cache has sixteen hashes, and the one key that is looked at is that of the value which is wanted.

import { randomInt } from 'node:crypto';
import type { KeyedTable } from './sharded-index.js';

/** So that a shard of a table of a million doubles within half a millisecond. */
const SHARDS = 256;
const SHARD_SHIFT = 24;
const FIRST_CAPACITY = 8;
/** Beyond this share of its places a shard doubles: runs of taken places stay some three long. */
const MOST_TAKEN = 0.6;

/** Chosen anew by each process: nobody outside can prepare texts that all fall into one place. */
const SEED = randomInt(2 ** 32);

/** FNV-1a over the characters, and a finish that spreads its last ones over all bits. Never 0, which marks a free place. */
function hashOf(text: string): number {
  let hash = SEED ^ text.length;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 13), 0x297a2d39);
  return (hash ^ (hash >>> 16)) >>> 0 || 1;
}

/** Linear probing: a place is where its hash says, or behind it with nothing free between. */
class Shard<Value> {
  hashes = new Uint32Array(FIRST_CAPACITY);
  values: (Value | undefined)[] = new Array<Value | undefined>(FIRST_CAPACITY).fill(undefined);
  count = 0;
}

/** A table by texts. Values of one text are one value: `ShardedMultiMap` puts several together. */
export class TextTable<Value extends object> implements KeyedTable<string, Value> {
  private readonly shards = Array.from({ length: SHARDS }, () => new Shard<Value>());
  private count = 0;

  /** @param keyOf the text of a value, always the same while it is in here */
  constructor(private readonly keyOf: (value: Value) => string | undefined) {}

  get size(): number {
    return this.count;
  }

  get(key: string): Value | undefined {
    const hash = hashOf(key);
    const shard = this.shards[hash >>> SHARD_SHIFT]!;
    const at = this.placeOf(shard, hash, key);
    return shard.values[at];
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: Value): void {
    const hash = hashOf(key);
    const shard = this.shards[hash >>> SHARD_SHIFT]!;
    const at = this.placeOf(shard, hash, key);
    const isNew = shard.values[at] === undefined;
    shard.hashes[at] = hash;
    shard.values[at] = value;
    if (!isNew) return;
    shard.count += 1;
    this.count += 1;
    if (shard.count > shard.hashes.length * MOST_TAKEN) resize(shard, shard.hashes.length * 2);
  }

  delete(key: string): boolean {
    const hash = hashOf(key);
    const shard = this.shards[hash >>> SHARD_SHIFT]!;
    const at = this.placeOf(shard, hash, key);
    if (shard.values[at] === undefined) return false;
    closeGap(shard, at);
    shard.count -= 1;
    this.count -= 1;
    return true;
  }

  *keySlices(): Generator<readonly string[]> {
    for (const { values } of this.shards)
      yield values.flatMap((value) => (value === undefined ? [] : [this.keyOf(value)!]));
  }

  /** Where the key stands, or the free place where it would. */
  private placeOf({ hashes, values }: Shard<Value>, hash: number, key: string): number {
    const mask = hashes.length - 1;
    let at = hash & mask;
    for (let found = hashes[at]; found !== 0; found = hashes[at]) {
      if (found === hash && this.keyOf(values[at]!) === key) return at;
      at = (at + 1) & mask;
    }
    return at;
  }
}

function resize<Value>(shard: Shard<Value>, capacity: number): void {
  const { hashes, values } = shard;
  shard.hashes = new Uint32Array(capacity);
  shard.values = new Array<Value | undefined>(capacity).fill(undefined);
  for (let from = 0; from < hashes.length; from++) {
    const hash = hashes[from]!;
    if (hash === 0) continue;
    let at = hash & (capacity - 1);
    while (shard.hashes[at] !== 0) at = (at + 1) & (capacity - 1);
    shard.hashes[at] = hash;
    shard.values[at] = values[from];
  }
}

/** Frees a place, and moves up whoever stands behind it and belongs at or before it, so that nobody is cut off from his place. */
function closeGap<Value>({ hashes, values }: Shard<Value>, place: number): void {
  const mask = hashes.length - 1;
  let gap = place;
  for (let at = (gap + 1) & mask; hashes[at] !== 0; at = (at + 1) & mask) {
    const home = hashes[at]! & mask;
    const wouldPassHome = ((at - home) & mask) < ((at - gap) & mask);
    if (wouldPassHome) continue;
    hashes[gap] = hashes[at]!;
    values[gap] = values[at];
    gap = at;
  }
  hashes[gap] = 0;
  values[gap] = undefined;
}
