/**
 * Arrays of numbers as PostgreSQL writes them. Enters: numbers and NULLs. Leaves: text for a parameter of an array type. Invariant: nothing but
 * digits, signs, points, exponents, `NULL`, commas and braces, so nothing has to be quoted. Pure.
 *
 * The driver quotes and searches every element of an array for what must be escaped; for the thousands of numbers of a batch that costs more than all
 * that is done with them before.
 */

/** `{1,NULL,3}`. @throws RangeError for what is no number (NaN, infinity): a database column has no such count */
export function numberArray(values: readonly (number | null)[]): string {
  for (const value of values)
    if (value !== null && !Number.isFinite(value)) throw new RangeError('not a number that a column can hold');
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`;
}
