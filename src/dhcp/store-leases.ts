/**
 * Handing several events to a sink at once. Enters: events. Leaves: whether all of them are durable. Invariant: it settles once the sink has
 * answered for each.
 */
import type { LeaseEvent, LeaseSink } from '../domain/lease-event.js';

/** @returns true: all are on disk. false: one at least is not, and all have to be said again */
export function storeLeases(sink: LeaseSink, events: readonly LeaseEvent[]): Promise<boolean> {
  return new Promise((resolve) => {
    let open = events.length;
    let all = true;
    if (open === 0) resolve(true);
    for (const event of events) {
      sink.take(event, (durable) => {
        all &&= durable;
        open -= 1;
        if (open === 0) resolve(all);
      });
    }
  });
}
