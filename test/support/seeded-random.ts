/**
 * Random numbers that come again. Enters: a seed. Leaves: numbers from 0 up to 1. Invariant: one seed, one sequence, on every machine.
 */

/** Mulberry32: 32 bits of state, enough to choose what a test does next. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The seed of `SLUICE_SEED`, to see a failure again, or a new one. */
export function chooseSeed(): number {
  const given = Number(process.env['SLUICE_SEED']);
  return Number.isInteger(given) && given > 0 ? given : Math.floor(Math.random() * 0x7fff_ffff) + 1;
}
