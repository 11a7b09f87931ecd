/**
 * What monitoring says of a device, and what it changes. Enters: a word, an event, what is stored. Leaves: what to store. Invariants: of two
 * events the one with the later event time counts, in whatever order they come; what is older than what is stored changes nothing. Pure.
 */

/** `unknown`: monitoring never spoke of it. */
export type DeviceStatus = 'up' | 'down' | 'unreachable' | 'unknown';

/** What monitoring can say. `unreachable`: something before it is down, so nobody knows. */
export type MonitoredStatus = Exclude<DeviceStatus, 'unknown'>;

/** The words that Nagios and its relatives use for hosts. */
export const STATUS_WORDS = ['UP', 'DOWN', 'UNREACHABLE'] as const;

/** Reads one of `STATUS_WORDS` in any case; undefined for every other word. */
export function parseStatusWord(text: string): MonitoredStatus | undefined {
  switch (text.toUpperCase()) {
    case 'UP':
      return 'up';
    case 'DOWN':
      return 'down';
    case 'UNREACHABLE':
      return 'unreachable';
    default:
      return undefined;
  }
}

/** One thing that monitoring said. */
export interface DeviceEvent {
  /** What it calls the device: address, MAC, name or serial. */
  readonly device: string;
  readonly status: MonitoredStatus;
  /** When monitoring saw it, ms since 1970; never later than `receivedAtMs`. */
  readonly eventAtMs: number;
  readonly receivedAtMs: number;
  /** Who said so, for the history. */
  readonly source: string;
  /** What else it said, for people. */
  readonly note: string | null;
}

/** What is stored of a device's status. */
export interface StoredStatus {
  readonly status: DeviceStatus;
  /** Event time at which it got it; null: never. */
  readonly sinceMs: number | null;
  /** Event time of the newest event; null: there was none. */
  readonly lastEventAtMs: number | null;
}

/** `late`: something newer is known already. */
export type StatusEffect = 'changed' | 'unchanged' | 'late';

/** What an event does to what is stored. */
export function foldDeviceStatus(
  stored: StoredStatus,
  event: Pick<DeviceEvent, 'status' | 'eventAtMs'>,
): StoredStatus & { readonly effect: StatusEffect } {
  if (stored.lastEventAtMs !== null && event.eventAtMs < stored.lastEventAtMs) return { ...stored, effect: 'late' };
  if (event.status === stored.status) return { ...stored, lastEventAtMs: event.eventAtMs, effect: 'unchanged' };
  return { status: event.status, sinceMs: event.eventAtMs, lastEventAtMs: event.eventAtMs, effect: 'changed' };
}

/** An event time that a source declared: nothing that is told has happened later than now. */
export function eventTimeMs(declaredMs: number | undefined, receivedAtMs: number): number {
  return declaredMs === undefined ? receivedAtMs : Math.min(declaredMs, receivedAtMs);
}
