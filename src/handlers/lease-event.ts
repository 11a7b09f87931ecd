/**
 * Lease events on their way in. Enters: events of hooks, levers, relays and files. Leaves: spool records, and word for whoever waits once they are on disk.
 * Invariant: nobody is told that an event was taken before it is durable; what the operator excludes is counted and goes no further.
 */
import type { LeaseEvent, LeaseSink } from '../domain/lease-event.js';
import type { Spool } from '../spool/spool.js';
import { RecordKind } from './accounting-record.js';
import { encodeLeaseRecord } from './lease-record.js';

export interface LeaseIntakeDeps {
  readonly spool: Pick<Spool, 'append'>;
  /** Whether an address is of set-top boxes, management and the like, which nobody logs in with. */
  readonly isIgnored: (address: string) => boolean;
}

/** Counters by what became of an event. */
export interface LeaseIntakeCounters {
  taken: number;
  ignored: number;
  refused: number;
}

export class LeaseIntake implements LeaseSink {
  readonly counters: LeaseIntakeCounters = { taken: 0, ignored: 0, refused: 0 };
  readonly #deps: LeaseIntakeDeps;

  constructor(deps: LeaseIntakeDeps) {
    this.#deps = deps;
  }

  take(event: LeaseEvent, taken: (durable: boolean) => void): void {
    if (this.#deps.isIgnored(event.address)) {
      this.counters.ignored += 1;
      taken(true);
      return;
    }
    const refuse = (): void => {
      this.counters.refused += 1;
      taken(false);
    };
    const queued = this.#deps.spool.append(
      RecordKind.leaseEvent,
      event.receivedAtMs,
      encodeLeaseRecord(event),
      (result) => {
        if (!result.ok) return refuse();
        this.counters.taken += 1;
        taken(true);
      },
    );
    if (!queued) refuse();
  }
}
