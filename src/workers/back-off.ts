/**
 * When to try again. Enters: how often something has failed, a random number. Leaves: a pause. Invariant: pauses grow to a bound and never end, and
 * many that failed together do not come back together. Pure.
 */

/** The first pause, ms: an answer that was lost once is asked for soon. */
const FIRST_MS = 1_000;
/** The longest, ms: a NAS that is mended is whole within five minutes even if nobody notices. */
export const LONGEST_MS = 300_000;
/** A NAS that said no is not asked again as soon as one that was not heard, ms. */
const FIRST_REFUSED_MS = 15_000;

/**
 * The pause after a number of failures in a row.
 *
 * @param failures at least 1
 * @param why `refused`: it answered, and would not
 * @param random from 0 up to 1
 * @returns ms, between half and one and a half of the nominal pause
 */
export function pauseAfterMs(failures: number, why: 'silent' | 'refused', random: number): number {
  const firstMs = why === 'silent' ? FIRST_MS : FIRST_REFUSED_MS;
  const nominalMs = Math.min(firstMs * 2 ** Math.min(failures - 1, 20), LONGEST_MS);
  return Math.round(nominalMs * (0.5 + random));
}
