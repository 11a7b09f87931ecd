/**
 * What the routes of the intake work with. Enters: nothing. Leaves: the type. Invariant: rules are asked for each request, so that a reload counts
 * at once.
 */
import type { LeaseEvent } from '../domain/lease-event.js';
import type { DeviceEventSink } from './device-intake.js';
import type { IntakeClock } from './intake-clock.js';
import type { IntakeLedger } from './intake-ledger.js';
import type { IntakeRules } from './intake-rules.js';

export interface IntakeParts {
  readonly rules: () => IntakeRules;
  readonly ledger: IntakeLedger;
  readonly clock: IntakeClock;
  /** undefined: its paths are not there. */
  readonly devices: DeviceEventSink | undefined;
  /** Whether all of them are on disk. */
  readonly store: (events: readonly LeaseEvent[]) => Promise<boolean>;
  /** The value, or undefined when it takes too long to wait for; the work goes on. */
  readonly inTime: <Value>(work: Promise<Value>) => Promise<Value | undefined>;
}
