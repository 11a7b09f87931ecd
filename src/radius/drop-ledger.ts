// Packets that get no answer: counted always, told rarely.
// In: each drop with its reason, group and source. Out: counts for metrics; now and then one call for the log.
// Invariant: memory and the number of labels are bounded whatever arrives; one source and reason is told at most once in
// `quietMs`; sources that nobody configured cannot use up the room of those that somebody did.

/** One report per source and reason in this time, ms. */
export const defaultQuietMs = 5 * 60_000;
/** Sources and reasons remembered as told, for configured NASes. */
const maxToldKnown = 4_096;
/** The same for unknown sources, whose addresses can be forged at will: this many log lines in `quietMs`, no more. */
const maxToldUnknown = 64;
/** Different labels of one kind; what comes after them is counted as `other`. */
const maxGroups = 10_000;
const maxReasonsPerGroup = 64;

/** The group label of a source that no configuration names. */
export const unknownGroup = 'unknown';

/** Told about a drop. `hint` names the configuration key to look at, when there is one. */
export type DropListener = (reason: string, group: string, sourceAddress: string, hint: string | undefined) => void;

/** One count. */
export interface DropCount {
  readonly group: string;
  readonly reason: string;
  readonly count: number;
}

// What an operator changes when the drop is not wanted. Reasons without an entry are the sender's fault alone.
const hints = new Map<string, string>([
  ['unknown-source', 'nas.d: address'],
  ['bad-authenticator', 'secret_file'],
  ['bad-message-authenticator', 'secret_file'],
  ['message-authenticator-missing', 'require_message_authenticator'],
  ['proxy-state-unprotected', 'limit_proxy_state'],
  ['accounting-on-auth-port', 'radius.accounting'],
  ['access-on-accounting-port', 'radius.auth'],
]);

// Normal life: counted, never told.
const quietReasons = new Set(['duplicate-in-hand', 'draining']);

/** Counts drops and decides which are told. */
export class DropLedger {
  readonly #nowMs: () => number;
  readonly #onDrop: DropListener;
  readonly #quietMs: number;
  readonly #counts = new Map<string, Map<string, number>>();
  readonly #toldKnown = new Map<string, number>();
  readonly #toldUnknown = new Map<string, number>();

  constructor(options: { readonly nowMs: () => number; readonly onDrop: DropListener; readonly quietMs?: number }) {
    this.#nowMs = options.nowMs;
    this.#onDrop = options.onDrop;
    this.#quietMs = options.quietMs ?? defaultQuietMs;
  }

  /** Notes a drop. `group` is undefined for an unknown source. */
  drop(reason: string, group: string | undefined, sourceAddress: string): void {
    const label = group ?? unknownGroup;
    this.#count(label, reason);
    if (quietReasons.has(reason)) return;
    const told = group === undefined ? this.#toldUnknown : this.#toldKnown;
    const bound = group === undefined ? maxToldUnknown : maxToldKnown;
    const key = `${reason} ${sourceAddress}`;
    const nowMs = this.#nowMs();
    const last = told.get(key);
    if (last !== undefined && nowMs - last < this.#quietMs) return;
    told.delete(key);
    // Insertion order is time order: what may be forgotten stands in front.
    for (const [oldKey, at] of told) {
      if (nowMs - at < this.#quietMs) break;
      told.delete(oldKey);
    }
    if (told.size >= bound) return;
    told.set(key, nowMs);
    this.#onDrop(reason, label, sourceAddress, hints.get(reason));
  }

  /** All counts since the start. */
  *counts(): Generator<DropCount> {
    for (const [group, reasons] of this.#counts) for (const [reason, count] of reasons) yield { group, reason, count };
  }

  #count(group: string, reason: string): void {
    let groupLabel = group;
    let reasons = this.#counts.get(groupLabel);
    if (reasons === undefined) {
      if (this.#counts.size >= maxGroups) groupLabel = 'other';
      reasons = this.#counts.get(groupLabel) ?? new Map<string, number>();
      this.#counts.set(groupLabel, reasons);
    }
    const reasonLabel = reasons.has(reason) || reasons.size < maxReasonsPerGroup ? reason : 'other';
    reasons.set(reasonLabel, (reasons.get(reasonLabel) ?? 0) + 1);
  }
}
