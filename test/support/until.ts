// Waiting for a condition, which is how tests wait. Enters: a condition. Leaves: when it holds. Invariant: a test never passes
// or fails by how long something took, except when it never happens.

import { setTimeout as pause } from 'node:timers/promises';

/** Nothing that a test waits for takes this long on the slowest machine, ms. */
const LONGEST_MS = 20_000;

/** Resolves when the condition holds. @throws Error after twenty seconds, with the text of the condition */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const beganAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - beganAt > LONGEST_MS) throw new Error(`waited in vain for ${String(condition)}`);
    await pause(2);
  }
}
