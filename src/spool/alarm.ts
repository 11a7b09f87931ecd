/**
 * What the spool has to say to the people on call. Enters: an event of one of the kinds below. Leaves: the same event, at
 * the handler that `app` passed. Invariant: an event holds no payload bytes (they may carry passwords), and a handler that
 * throws never disturbs the spool.
 */

export type SpoolAlarm =
  /** Records are refused from now on; the next attempt to go on comes after `retryInMs`. `attempt` counts from 1. */
  | {
      readonly type: 'append-failed';
      readonly operation: AppendOperation;
      readonly code: string;
      readonly message: string;
      readonly attempt: number;
      readonly refusedRecords: number;
      readonly retryInMs: number;
    }
  /** Records are accepted again, into a new segment. */
  | {
      readonly type: 'append-recovered';
      readonly segment: number;
      readonly outageMs: number;
      readonly attempts: number;
    }
  /** The last segment ended in bytes that are no whole record: what a power cut leaves of an unsynced group. */
  | { readonly type: 'torn-tail'; readonly segment: number; readonly offset: number; readonly length: number }
  /** The bytes were set aside (see `onCorrupt`) and reading went on behind them. */
  | {
      readonly type: 'corrupt-region';
      readonly segment: number;
      readonly offset: number;
      readonly length: number;
      readonly reason: string;
    }
  /** Segment `missing` should stand before `before` and is not in the folder: its records are gone. */
  | { readonly type: 'segment-missing'; readonly missing: number; readonly before: number }
  /** Neither copy of the header can be read; the file is kept under another name and not replayed. */
  | { readonly type: 'segment-damaged'; readonly segment: number; readonly keptAs: string }
  /** A newest segment without a whole header, which never held an acknowledged record, was removed. */
  | { readonly type: 'segment-repaired'; readonly segment: number; readonly fileBytes: number }
  | { readonly type: 'recovery-sync-failed'; readonly segment: number; readonly code: string }
  | { readonly type: 'retention-failed'; readonly segment: number; readonly code: string; readonly message: string }
  /** A caller's `onDurable` or `onCorrupt` threw: a defect of the caller, contained here. */
  | { readonly type: 'callback-failed'; readonly message: string };

/** The step of the write path that failed. */
export type AppendOperation = 'write' | 'sync' | 'roll';

export type RaiseAlarm = (alarm: SpoolAlarm) => void;

/** Wraps a handler so that it can throw without harm: an alarm has nobody above it who could be told. */
export function containedAlarm(onAlarm: RaiseAlarm): RaiseAlarm {
  return (alarm) => {
    try {
      onAlarm(alarm);
    } catch {
      // The handler is the last instance; the spool's own work must go on.
    }
  };
}
