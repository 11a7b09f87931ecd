/**
 * Whether a change takes something from a subscriber, or gives something. Enters: what is known of a place and what is desired there. Leaves: one of
 * three words. Invariants: what takes anything is tightening, whatever it gives beside that; what was tried once is not taken a second time; moving an
 * entry from one key to another is neither.
 */
import type { DesiredService } from './desired-service.js';
import { isCertainlyAbsent, mayHold } from './known-service.js';
import type { KnownService, PresentService, ServiceRate } from './service-state.js';

/** `tightening` passes the fuse; `loosening` goes first. */
export type Tendency = 'tightening' | 'loosening' | 'neither';

type Wish = Pick<DesiredService, 'state' | 'because' | 'disconnectAsked'>;

/**
 * What a change means to the subscriber.
 *
 * Tightening: blocked, redirected, voluntarily blocked, deleted, a service off, slower while served, disconnected because somebody asked for it
 * or because an Access-Request would be rejected now. Of a place of which nothing is known, what is desired must restrict to count.
 */
export function tendencyOf(known: KnownService, desired: Wish): Tendency {
  if (isTightening(known, desired)) return 'tightening';
  return loosens(known, desired) ? 'loosening' : 'neither';
}

/** Whether a change takes anything from the subscriber that it had, for all we know. */
export function isTightening(known: KnownService, desired: Wish): boolean {
  const { state, because, disconnectAsked } = desired;
  const states = mayHold(known);
  const present = states.filter((one) => one.present);
  if (isCertainlyAbsent(known)) return false;
  if (!state.present) {
    // Taking away was begun before: then it has been counted.
    if (states.some((one) => !one.present)) return false;
    return takesAway(because, present);
  }
  // With nothing applied and nothing tried, a restriction is news; what was tried before, has been counted.
  const isNew = (restricts: (one: PresentService) => boolean) => present.every((one) => !restricts(one));
  if (state.blocked && isNew((one) => one.blocked)) return true;
  if (state.redirect && isNew((one) => one.redirect)) return true;
  if (state.ownDisabled && isNew((one) => one.ownDisabled)) return true;
  if (present.length === 0) return false;
  if (disconnectAsked && !state.authorised && isNew((one) => !one.authorised)) return true;
  if (isServed(state) && present.every((one) => isServed(one) && isSlower(state.rate, one.rate))) return true;
  return present.some((one) =>
    one.services.some((name) => !state.services.includes(name) && isNew((other) => !other.services.includes(name))),
  );
}

/** Whether a change only gives. */
export function isLoosening(known: KnownService, desired: Wish): boolean {
  return tendencyOf(known, desired) === 'loosening';
}

/** Whether ending a session or removing an entry takes service from somebody. */
function takesAway(because: Wish['because'], present: readonly PresentService[]): boolean {
  switch (because.kind) {
    case 'deleted':
    case 'disconnect-asked':
    case 'rejected':
      return true;
    case 'other-pool':
    case 'prefixes':
      // Into the garden from service. From one garden into another nobody loses anything.
      return because.state !== 'active' && present.every((one) => isServed(one));
    default:
      return false;
  }
}

function loosens(known: KnownService, { state, because }: Wish): boolean {
  if (!state.present)
    return (
      (because.kind === 'other-pool' || because.kind === 'prefixes') &&
      because.state === 'active' &&
      !isCertainlyAbsent(known)
    );
  const states = mayHold(known);
  if (known.applied === null || states.some((one) => !one.present)) return isServed(state);
  return states.some(
    (one) =>
      one.present &&
      ((one.blocked && !state.blocked) ||
        (one.redirect && !state.redirect) ||
        (one.ownDisabled && !state.ownDisabled) ||
        (!one.authorised && state.authorised) ||
        (isServed(state) && isSlower(one.rate, state.rate)) ||
        state.services.some((name) => !one.services.includes(name))),
  );
}

/** In no garden and not blocked: a rate matters. */
function isServed(state: PresentService): boolean {
  return !state.blocked && !state.redirect && !state.ownDisabled;
}

/** Whether one is slower than the other in either direction; null is unlimited. */
function isSlower(one: ServiceRate, other: ServiceRate): boolean {
  const below = (a: number | null, b: number | null) => a !== null && (b === null || a < b);
  return below(one.downBps, other.downBps) || below(one.upBps, other.upBps);
}
