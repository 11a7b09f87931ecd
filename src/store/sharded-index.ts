// Enters: keys and values by the million. Leaves: lookups. Invariant: no operation touches more than one shard or block, so that
// none holds the event loop while a table grows: a Map of a million entries takes some 100 ms to rehash, one of four thousand
// less than one.

/** What the tables of this file have in common. */
export interface KeyedTable<Key, Value> {
  readonly size: number;
  get(key: Key): Value | undefined;
  has(key: Key): boolean;
  set(key: Key, value: Value): void;
  delete(key: Key): boolean;
  /** The keys of one part after the other, as copies: what is removed while looking at them disturbs nothing. */
  keySlices(): Generator<readonly Key[]>;
}

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
export class ShardedMap<Key extends number | string, Value> implements KeyedTable<Key, Value> {
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

  *keySlices(): Generator<readonly Key[]> {
    for (const shard of this.shards) yield [...shard.keys()];
  }

  *values(): Generator<Value> {
    for (const shard of this.shards) yield* shard.values();
  }
}

/** Ids of one block: a few lines of the processor's cache; keys that lie far apart cost a block each, some 300 octets. */
const BLOCK_IDS = 32;

interface Block<Value> {
  readonly values: (Value | undefined)[];
  count: number;
}

/**
 * Values under whole numbers that mostly follow one another, as ids and addresses do. Blocks stand where single entries would, so what
 * has to be looked through is a thirtieth of a Map's: at a million entries most lookups of a Map wait for memory.
 */
export class DenseMap<Value extends object> implements KeyedTable<number, Value> {
  private readonly blocks = new ShardedMap<number, Block<Value>>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(key: number): Value | undefined {
    return this.blocks.get(Math.floor(key / BLOCK_IDS))?.values[key % BLOCK_IDS];
  }

  has(key: number): boolean {
    return this.get(key) !== undefined;
  }

  set(key: number, value: Value): void {
    const number = Math.floor(key / BLOCK_IDS);
    let block = this.blocks.get(number);
    if (block === undefined) {
      block = { values: new Array<Value | undefined>(BLOCK_IDS).fill(undefined), count: 0 };
      this.blocks.set(number, block);
    }
    const at = key % BLOCK_IDS;
    if (block.values[at] === undefined) {
      block.count++;
      this.count++;
    }
    block.values[at] = value;
  }

  delete(key: number): boolean {
    const number = Math.floor(key / BLOCK_IDS);
    const block = this.blocks.get(number);
    const at = key % BLOCK_IDS;
    if (block?.values[at] === undefined) return false;
    block.values[at] = undefined;
    block.count--;
    this.count--;
    if (block.count === 0) this.blocks.delete(number);
    return true;
  }

  *keySlices(): Generator<readonly number[]> {
    for (const numbers of this.blocks.keySlices()) {
      const keys: number[] = [];
      for (const number of numbers) {
        const { values } = this.blocks.get(number) ?? { values: [] };
        for (const [at, value] of values.entries()) if (value !== undefined) keys.push(number * BLOCK_IDS + at);
      }
      yield keys;
    }
  }
}

const NOTHING: readonly never[] = Object.freeze([]);

/** Several values under one key. The usual case of a single value costs no array. */
export class ShardedMultiMap<Key extends number | string, Value extends object> {
  /** @param entries where they stand: a `DenseMap` for keys that follow one another */
  constructor(private readonly entries: KeyedTable<Key, Value | Value[]> = new ShardedMap<Key, Value | Value[]>()) {}

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
