// What a function throws, for tests that look at the parts of a typed error.
// In: a function. Out: what it threw, or undefined.

/** Runs `work` and returns what it threw; undefined when it returned. */
export function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
