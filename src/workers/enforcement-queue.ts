/**
 * What is to be looked at. Enters: ids from the change feed, from the clock, from results, and whole scans. Leaves: slices of them. Invariants: each id
 * is held once, however often it is named; memory is bounded, and what does not fit becomes a scan.
 */
import type { MissingPlaces, Scan } from '../store/enforcement-work.js';

/** Ids that are held one by one: some 20 MB. More than this at once is everything, and is scanned. */
const MAX_IDS = 200_000;
/** Ids of accounts or plans in one scan. */
const MAX_SCAN_IDS = 1_000;

/** A scan under way. */
export interface RunningScan {
  readonly scan: Scan;
  readonly isForced: boolean;
  afterId: number;
}

export class EnforcementQueue {
  /** Subscriber, and when it was first named (monotonic, ms). */
  readonly #subscribers = new Map<number, number>();
  /** Enforcement, and whether what failed before is tried at once. */
  readonly #ids = new Map<number, boolean>();
  readonly #scans: RunningScan[] = [];
  readonly #missing: MissingPlaces[] = [];
  #overflowed = false;

  get size(): number {
    return this.#subscribers.size + this.#ids.size;
  }

  get isEmpty(): boolean {
    return this.size === 0 && this.#scans.length === 0 && this.#missing.length === 0;
  }

  /** Whether more was named than fits. Asking forgets it: everything is to be scanned now. */
  takeOverflow(): boolean {
    const overflowed = this.#overflowed;
    this.#overflowed = false;
    return overflowed;
  }

  /** @param nowMs monotonic */
  noteSubscribers(ids: Iterable<number>, nowMs: number): void {
    for (const id of ids) {
      if (this.#subscribers.size >= MAX_IDS) this.#overflowed = true;
      else if (!this.#subscribers.has(id)) this.#subscribers.set(id, nowMs);
    }
  }

  noteIds(ids: Iterable<number>, isForced: boolean): void {
    for (const id of ids) {
      if (this.#ids.size >= MAX_IDS) this.#overflowed = true;
      else this.#ids.set(id, isForced || this.#ids.get(id) === true);
    }
  }

  noteScan(scan: Scan, isForced: boolean): void {
    if ('ids' in scan && scan.ids.length > MAX_SCAN_IDS) {
      for (let at = 0; at < scan.ids.length; at += MAX_SCAN_IDS)
        this.noteScan({ of: scan.of, ids: scan.ids.slice(at, at + MAX_SCAN_IDS) }, isForced);
      return;
    }
    // One that is asked for again begins again, and is not done twice.
    const same = this.#scans.findIndex((one) => isSameScan(one.scan, scan));
    if (same >= 0) isForced = this.#scans.splice(same, 1)[0]!.isForced || isForced;
    this.#scans.push({ scan, isForced, afterId: 0 });
  }

  noteMissing(missing: MissingPlaces): void {
    this.#missing.push(missing);
  }

  /** A NAS is no longer ours: whoever takes it looks at all of it. */
  forgetNas(nasName: string): void {
    keep(this.#scans, ({ scan }) => !('nasName' in scan) || scan.nasName !== nasName);
    keep(this.#missing, (one) => one.nasName !== nasName);
  }

  takeSubscribers(limit: number): Map<number, number> {
    return takeEntries(this.#subscribers, limit);
  }

  takeIds(limit: number): Map<number, boolean> {
    return takeEntries(this.#ids, limit);
  }

  /** The scan whose turn it is; they take turns by the page. */
  nextScan(): RunningScan | undefined {
    const scan = this.#scans.shift();
    if (scan !== undefined) this.#scans.push(scan);
    return scan;
  }

  endScan(scan: RunningScan): void {
    keep(this.#scans, (one) => one !== scan);
  }

  takeMissing(): MissingPlaces | undefined {
    return this.#missing.shift();
  }
}

function isSameScan(one: Scan, other: Scan): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function keep<Item>(list: Item[], wanted: (item: Item) => boolean): void {
  list.splice(0, list.length, ...list.filter(wanted));
}

function takeEntries<Value>(map: Map<number, Value>, limit: number): Map<number, Value> {
  const taken = new Map<number, Value>();
  for (const [id, value] of map) {
    if (taken.size >= limit) break;
    taken.set(id, value);
    map.delete(id);
  }
  return taken;
}
