/**
 * Which known word was probably meant.
 *
 * Enters: a word nobody knows and the words that are known.
 * Leaves: the nearest known one, or nothing when none is near.
 * Invariant: pure, and bounded by the longest word that is compared.
 */

// Longer keys are no misspelling of ours, and the comparison is quadratic in the length.
const maxComparedLength = 64;

/**
 * The known word nearest to a misspelt one.
 *
 * @param word as written, any case; `-` counts as `_`
 * @param known the words that would have been right
 * @returns the nearest, or `undefined` when even that differs in more than a third of its letters
 */
export function nearestKey(word: string, known: readonly string[]): string | undefined {
  if (word.length > maxComparedLength) return undefined;
  const wanted = word.toLowerCase().replaceAll('-', '_');
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const folded = candidate.toLowerCase();
    // `retention` for `retention_days`: the unit was forgotten, which is nearer than any other word.
    const distance = folded.startsWith(`${wanted}_`) ? 1 : editDistance(wanted, folded);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best !== undefined && bestDistance <= Math.max(1, Math.floor(best.length / 3)) ? best : undefined;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? a.length;
}
