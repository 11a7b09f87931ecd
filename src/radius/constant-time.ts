// Comparison of secrets.
// In: two ranges of octets. Out: whether they are equal.
// Invariant: the time depends on lengths only, never on where the first difference is.

/**
 * Compares `length` octets without an early exit.
 *
 * A loop rather than `crypto.timingSafeEqual`, which needs two views of equal length made for each call and costs several
 * times the comparison of sixteen octets. Octets past the end of a buffer count as different.
 */
export function equalOctets(
  left: Uint8Array,
  leftOffset: number,
  right: Uint8Array,
  rightOffset: number,
  length: number,
): boolean {
  if (leftOffset + length > left.length || rightOffset + length > right.length) return false;
  let difference = 0;
  for (let index = 0; index < length; index++) difference |= left[leftOffset + index]! ^ right[rightOffset + index]!;
  return difference === 0;
}

/**
 * Compares two secrets of any length. The time depends on the length of `offered`, which its sender knows anyway.
 */
export function equalSecrets(offered: Uint8Array, expected: Uint8Array): boolean {
  let difference = offered.length ^ expected.length;
  for (let index = 0; index < offered.length; index++) difference |= offered[index]! ^ (expected[index] ?? 0);
  return difference === 0;
}
