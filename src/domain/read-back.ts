/**
 * Evidence that is tried by looking. Enters: what is desired of a place and what its NAS shows of it. Leaves: what differs, in a few words; and which
 * acknowledgements are tried at all. Invariants: what the NAS does not show is not compared; the same attempt of the same place is always in the sample
 * or never, whichever server asks. Pure.
 */
import { policyDifferences, type ListedPolicy } from './reconcile.js';
import type { ServiceState } from './service-state.js';

/** What a NAS shows of one subscriber. */
export interface SeenService {
  readonly isThere: boolean;
  readonly policy: ListedPolicy;
}

/**
 * What a NAS shows otherwise than it acknowledged.
 *
 * @param unitBps what the NAS rounds rates to, bit/s: less than that is no difference
 * @returns none: it is as desired, as far as it is shown
 */
export function readBackDifferences(desired: ServiceState, seen: SeenService, unitBps: number): string[] {
  if (!desired.present) return seen.isThere ? ['it is still there'] : [];
  if (!seen.isThere) return ['it is not there'];
  const rounded = (shown: number | null | undefined, wanted: number | null): number | null | undefined =>
    typeof shown === 'number' && wanted !== null && Math.abs(shown - wanted) < unitBps ? wanted : shown;
  const { downBps, upBps, ...flags } = seen.policy;
  const rates = { downBps: rounded(downBps, desired.rate.downBps), upBps: rounded(upBps, desired.rate.upBps) };
  return policyDifferences({ ...flags, ...withoutUndefined(rates) }, desired);
}

function withoutUndefined({
  downBps,
  upBps,
}: {
  downBps: number | null | undefined;
  upBps: number | null | undefined;
}): ListedPolicy {
  return { ...(downBps !== undefined && { downBps }), ...(upBps !== undefined && { upBps }) };
}

/**
 * Whether the acknowledgement of an attempt is tried by looking.
 *
 * @param generation of the attempt, so that a place which is commanded again has another chance
 * @param percent from 0 to 100
 */
export function isSampled(enforcementId: number, generation: number, percent: number): boolean {
  return mixed(enforcementId, generation) % 100 < percent;
}

/** Two numbers to one of 32 bits, evenly also where both only count up: the finaliser of MurmurHash3 over each in turn. */
function mixed(one: number, other: number): number {
  return finalised(finalised(one >>> 0) ^ (other >>> 0));
}

function finalised(value: number): number {
  let mixing = Math.imul(value ^ (value >>> 16) ^ 0x9e37_79b9, 0x85eb_ca6b);
  mixing = Math.imul(mixing ^ (mixing >>> 13), 0xc2b2_ae35);
  return (mixing ^ (mixing >>> 16)) >>> 0;
}
