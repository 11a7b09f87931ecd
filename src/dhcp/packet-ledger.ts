/**
 * Packets that led to nothing: counted always, told rarely. Enters: each with its reason, relay and source. Leaves: counts for metrics; now and
 * then one call for the log. Invariants: reasons are a closed set and relays those of the configuration, so labels and memory are bounded
 * whatever arrives; a relay and reason is told at most once in five minutes; sources that nobody listed cannot use up the room of the others.
 */
import type { StrayAnswer } from './lease-query-client.js';
import type { PacketFault } from './packet.js';
import type { PacketRefusal, QuietMessage } from './packet-event.js';

/** Why a packet, or a question about one, had no effect. */
export type DropReason =
  | PacketFault
  | PacketRefusal
  | QuietMessage
  | StrayAnswer
  /** No relay and no server sends from there. */
  | 'unknown-source'
  /** The relay is known, and its packet has a giaddr that it was not listed with. */
  | 'unknown-giaddr'
  /** As many DHCPREQUESTs wait for a leasequery as may; this one was passed on as a hint. */
  | 'too-many-held'
  /** The same DHCPREQUEST waits already. */
  | 'repeated'
  /** The servers say that the client does not have the address. */
  | 'not-confirmed'
  /** No server said anything of use; the DHCPREQUEST was passed on as a hint. */
  | 'no-answer'
  /** The lease event could not be stored. */
  | 'not-stored'
  /** A fault of ours. */
  | 'error';

/** One report per relay and reason in this time, ms. */
export const quietMs = 5 * 60_000;
/** Unknown sources remembered as told: their addresses can be forged at will, so this is how many log lines there are in `quietMs`. */
const maxToldUnknown = 64;

/** The label of a source that no relay and no server has. */
export const unknownRelay = 'unknown';

/**
 * Told about a drop.
 *
 * @param sourceAddress undefined when it was no packet that was dropped
 * @param hint the key of the configuration to look at, when there is one
 */
export type DropListener = (
  reason: DropReason,
  relay: string,
  sourceAddress: string | undefined,
  hint: string | undefined,
) => void;

/** One count. */
export interface DropCount {
  readonly relay: string;
  readonly reason: DropReason;
  readonly count: number;
}

// What an operator changes when the drop is not wanted.
const hints: { readonly [Reason in DropReason]?: string } = {
  'unknown-source': 'dhcp.relays: source',
  'unknown-giaddr': 'dhcp.relays: giaddr',
  'ack-not-allowed': 'dhcp.relays: acks',
  'too-many-held': 'dhcp.max_held_requests',
  'no-answer': 'dhcp.relays: leasequery_servers',
  'answer-wrong-source': 'dhcp.relays: leasequery_servers',
};

// Normal life: counted, never told.
const quietReasons: ReadonlySet<DropReason> = new Set<DropReason>([
  'discover',
  'offer',
  'nak',
  'inform',
  'other-message',
  'repeated',
  'not-confirmed',
  'answer-unexpected',
]);

/** Counts drops and decides which are told. */
export class PacketLedger {
  readonly #nowMs: () => number;
  readonly #onDrop: DropListener;
  readonly #counts = new Map<string, Map<DropReason, number>>();
  readonly #toldKnown = new Map<string, number>();
  readonly #toldUnknown = new Map<string, number>();

  constructor(options: { readonly nowMs: () => number; readonly onDrop: DropListener }) {
    this.#nowMs = options.nowMs;
    this.#onDrop = options.onDrop;
  }

  /** Notes a drop. @param relay a name from the configuration; undefined for an unknown source */
  drop(reason: DropReason, relay: string | undefined, sourceAddress?: string): void {
    const label = relay ?? unknownRelay;
    let reasons = this.#counts.get(label);
    if (reasons === undefined) this.#counts.set(label, (reasons = new Map()));
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    if (quietReasons.has(reason)) return;
    const told = relay === undefined ? this.#toldUnknown : this.#toldKnown;
    const key = `${reason} ${relay ?? sourceAddress ?? ''}`;
    const nowMs = this.#nowMs();
    if (this.#isRecent(told.get(key), nowMs)) return;
    told.delete(key);
    if (relay === undefined) {
      // Insertion order is time order: what may be forgotten stands in front.
      for (const [oldKey, at] of told) {
        if (this.#isRecent(at, nowMs)) break;
        told.delete(oldKey);
      }
      if (told.size >= maxToldUnknown) return;
    }
    told.set(key, nowMs);
    this.#onDrop(reason, label, sourceAddress, hints[reason]);
  }

  /** All counts since the start. */
  *counts(): Generator<DropCount> {
    for (const [relay, reasons] of this.#counts) for (const [reason, count] of reasons) yield { relay, reason, count };
  }

  /** A clock that was set back must not silence anything for long. */
  #isRecent(toldAtMs: number | undefined, nowMs: number): boolean {
    return toldAtMs !== undefined && nowMs >= toldAtMs && nowMs - toldAtMs < quietMs;
  }
}
