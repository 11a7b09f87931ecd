/** Patterns of LIKE. Enters: text. Leaves: a pattern. Invariant: what has a meaning in patterns stands for itself. */

/** `100%_a` as a pattern that begins with itself. */
export function beginning(text: string): string {
  return `${text.replace(/[\\%_]/gu, '\\$&')}%`;
}
