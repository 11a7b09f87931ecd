/**
 * What came in and what became of it: counted always, told rarely. Enters: each outcome with its way and reason. Leaves: counts for metrics; now
 * and then one call for the log. Invariants: ways and reasons are closed sets, so labels are bounded whatever arrives; one way, reason and
 * source is told at most once in five minutes; sources that nobody listed cannot use up the room of the others.
 */
import type { HookFault } from './hook-file.js';
import type { JsonFault } from './json-lease.js';

/** How something comes in; `http`: a request of which nobody knows yet what it wanted. */
export type IntakeWay = 'inbox' | 'lever' | 'json-lease' | 'device-query' | 'device-json' | 'alertmanager' | 'http';

/** Why something was not taken. */
export type IntakeFault =
  | HookFault
  | JsonFault
  /** The way has no secret or no sources: it is off. */
  | 'off'
  /** Nobody who is listed sends from there. */
  | 'foreign-source'
  | 'unsigned'
  | 'bad-signature'
  | 'stale-timestamp'
  /** The same request was taken already. */
  | 'replayed'
  /** The same request is being taken. */
  | 'in-hand'
  | 'repeated-parameter'
  | 'unknown-parameter'
  /** Too many requests, connections or signatures at once. */
  | 'overloaded'
  /** A request that HTTP itself does not allow, or that is too long. */
  | 'bad-request'
  /** It could not be stored; its sender has to say it again. */
  | 'not-stored'
  /** The handler of device events would not have it. */
  | 'refused'
  /** Of an inbox: no file, or one of somebody who may not write there. */
  | 'foreign-file'
  /** Of an inbox: it cannot be read now; it stays where it is. */
  | 'unreadable'
  /** Of an inbox: a file that its hook never finished. */
  | 'abandoned'
  /** Of an inbox: taken, and cannot be deleted; it stays where it is and is not taken again by this process. */
  | 'undeletable'
  /** Of an inbox: refused, when as many refused files were kept as may be. */
  | 'not-kept'
  /** Of an inbox: everybody on this host may write there, so nothing in it is believed. */
  | 'open-folder'
  /** A fault of ours. */
  | 'error';

/** Told about something that was not taken. `source` is a name of the configuration or an address. */
export type FaultListener = (way: IntakeWay, fault: IntakeFault, source: string) => void;

/** One count. `outcome` is `taken` or the fault. */
export interface IntakeCount {
  readonly way: IntakeWay;
  readonly outcome: 'taken' | IntakeFault;
  readonly count: number;
}

/** One report per way, fault and source in this time, ms. */
const quietMs = 5 * 60_000;
/** Reports remembered; addresses can be many, and this is how many log lines there are in `quietMs`. */
const maxTold = 64;

/** Normal life: counted, never told. */
const quietFaults: ReadonlySet<IntakeFault> = new Set<IntakeFault>(['in-hand', 'abandoned']);

/** Counts, and decides what is told. */
export class IntakeLedger {
  readonly #nowMs: () => number;
  readonly #onFault: FaultListener;
  readonly #counts = new Map<IntakeWay, Map<'taken' | IntakeFault, number>>();
  readonly #told = new Map<string, number>();

  constructor(options: { readonly nowMs: () => number; readonly onFault: FaultListener }) {
    this.#nowMs = options.nowMs;
    this.#onFault = options.onFault;
  }

  /** Notes events that are durable. */
  taken(way: IntakeWay, count = 1): void {
    this.#count(way, 'taken', count);
  }

  /** Notes something that was not taken. */
  fault(way: IntakeWay, fault: IntakeFault, source: string): void {
    this.#count(way, fault, 1);
    if (quietFaults.has(fault)) return;
    const key = `${way} ${fault} ${source}`;
    const nowMs = this.#nowMs();
    if (this.#isRecent(this.#told.get(key), nowMs)) return;
    this.#told.delete(key);
    // Insertion order is time order: what may be forgotten stands in front.
    for (const [oldKey, at] of this.#told) {
      if (this.#isRecent(at, nowMs)) break;
      this.#told.delete(oldKey);
    }
    if (this.#told.size >= maxTold) return;
    this.#told.set(key, nowMs);
    this.#onFault(way, fault, source);
  }

  /** All counts since the start. */
  *counts(): Generator<IntakeCount> {
    for (const [way, outcomes] of this.#counts) for (const [outcome, count] of outcomes) yield { way, outcome, count };
  }

  #count(way: IntakeWay, outcome: 'taken' | IntakeFault, count: number): void {
    let outcomes = this.#counts.get(way);
    if (outcomes === undefined) this.#counts.set(way, (outcomes = new Map()));
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
  }

  /** A clock that was set back must not silence anything for long. */
  #isRecent(toldAtMs: number | undefined, nowMs: number): boolean {
    return toldAtMs !== undefined && nowMs >= toldAtMs && nowMs - toldAtMs < quietMs;
  }
}
