/**
 * Work on many things at once, with a bound. Enters: things, and what to do with one. Leaves: the results in the order of the things. Invariant:
 * never more at once than lanes.
 */

/** @param lanes at least 1. @throws what `work` throws first; the others come to their end unseen */
export async function inLanes<Thing, Result>(
  things: readonly Thing[],
  lanes: number,
  work: (thing: Thing) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(things.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < things.length) {
      const index = next;
      next += 1;
      results[index] = await work(things[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, things.length) }, lane));
  return results;
}
