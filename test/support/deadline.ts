/**
 * Waiting with a deadline of its own. Enters: a condition, how long it may take, and what it means. Leaves: the condition's value.
 * Invariant: a test that waits in vain fails with the words of what it waited for, never by hanging.
 */
import { setTimeout as pause } from 'node:timers/promises';

/** How often a condition is looked at, ms: cheap enough for a loaded machine, fine enough for a measured delay. */
const POLL_MS = 20;

/**
 * Resolves with the first value of `condition` that is neither false nor undefined.
 *
 * @param what completes "waited 10000 ms in vain for …"
 * @throws Error after `timeoutMs`
 */
export async function waitFor<Value>(
  what: string,
  timeoutMs: number,
  condition: () => Value | false | undefined | Promise<Value | false | undefined>,
): Promise<Value> {
  const beganAt = performance.now();
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined) return value;
    if (performance.now() - beganAt > timeoutMs) throw new Error(`waited ${String(timeoutMs)} ms in vain for ${what}`);
    await pause(POLL_MS);
  }
}

/** The value, or an error when it takes longer. */
export async function within<Value>(what: string, timeoutMs: number, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${what} took longer than ${String(timeoutMs)} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
