// Enters: keys and values by the million. Leaves: lookups. Invariant: no operation touches more than one shard, so that none
// holds the event loop while a table grows: a Map of a million entries takes some 100 ms to rehash, one of four thousand
// less than one.

const SHARDS = 256;
const SHARD_MASK = SHARDS - 1;

/** Octets of a text that choose its shard: the end, because numbered logins and MAC addresses differ there. */
const HASHED_CHARACTERS = 6;

function shardOf(key: number | string): number {
  if (typeof key === 'number') return key & SHARD_MASK;
  let hash = key.length;
  for (let i = Math.max(0, key.length - HASHED_CHARACTERS); i < key.length; i++)
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & SHARD_MASK;
}

/** A Map in shards. Numbers are whole and non-negative. */
export class ShardedMap<Key extends number | string, Value> {
  private readonly shards = Array.from({ length: SHARDS }, () => new Map<Key, Value>());
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(key: Key): Value | undefined {
    return this.shards[shardOf(key)]!.get(key);
  }

  has(key: Key): boolean {
    return this.shards[shardOf(key)]!.has(key);
  }

  set(key: Key, value: Value): void {
    const shard = this.shards[shardOf(key)]!;
    const before = shard.size;
    shard.set(key, value);
    this.count += shard.size - before;
  }

  delete(key: Key): boolean {
    if (!this.shards[shardOf(key)]!.delete(key)) return false;
    this.count--;
    return true;
  }

  /** The keys of one shard after the other, as copies: what is removed while looking at them disturbs nothing. */
  *keySlices(): Generator<readonly Key[]> {
    for (const shard of this.shards) yield [...shard.keys()];
  }

  *values(): Generator<Value> {
    for (const shard of this.shards) yield* shard.values();
  }
}

const NOTHING: readonly never[] = Object.freeze([]);

/** Several values under one key. The usual case of a single value costs no array. */
export class ShardedMultiMap<Key extends number | string, Value extends object> {
  private readonly entries = new ShardedMap<Key, Value | Value[]>();

  /** Number of keys that have a value. */
  get size(): number {
    return this.entries.size;
  }

  /** All values of a key, in the order in which they were added. */
  get(key: Key): readonly Value[] {
    const entry = this.entries.get(key);
    if (entry === undefined) return NOTHING;
    return Array.isArray(entry) ? entry : [entry];
  }

  add(key: Key, value: Value): void {
    const entry = this.entries.get(key);
    if (entry === undefined) this.entries.set(key, value);
    // A new array each time: a caller may still be looking at the old one.
    else this.entries.set(key, Array.isArray(entry) ? [...entry, value] : [entry, value]);
  }

  /** Puts a value where another of the same key was; the table neither grows nor shrinks. */
  replace(key: Key, old: Value, value: Value): void {
    const entry = this.entries.get(key);
    if (Array.isArray(entry))
      this.entries.set(
        key,
        entry.map((one) => (one === old ? value : one)),
      );
    else if (entry === old) this.entries.set(key, value);
  }

  remove(key: Key, value: Value): void {
    const entry = this.entries.get(key);
    if (entry === value) {
      this.entries.delete(key);
    } else if (Array.isArray(entry)) {
      const rest = entry.filter((one) => one !== value);
      if (rest.length === 0) this.entries.delete(key);
      else this.entries.set(key, rest.length === 1 ? rest[0]! : rest);
    }
  }

  /** Replaces all values of a key. */
  setAll(key: Key, values: readonly Value[]): void {
    if (values.length === 0) this.entries.delete(key);
    else this.entries.set(key, values.length === 1 ? values[0]! : [...values]);
  }

  keySlices(): Generator<readonly Key[]> {
    return this.entries.keySlices();
  }
}
