// Enters: a rate as a person writes it. Leaves: bit/s, and back. Rates are bit/s everywhere inside; suffixes are decimal,
// as carriers and vendors mean them. Each vendor's own units are made where its attributes are.

const SUFFIX_BPS = new Map([
  ['', 1],
  ['k', 1e3],
  ['m', 1e6],
  ['g', 1e9],
  ['t', 1e12],
]);

/** 100 Tbit/s: beyond any access line, and far inside what a number holds exactly. */
export const LARGEST_RATE_BPS = 1e14;

/**
 * Reads a rate such as `50M`, `512k`, `2.5G` or `1000000`; a trailing `bps`, `bit/s` or `bit` is understood.
 *
 * @returns bit/s, a whole number from 1 to {@link LARGEST_RATE_BPS}, or undefined when the text is no such rate
 */
export function parseRate(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)(?:bps|bit\/s|bit)?$/i.exec(text.trim());
  if (!match) return undefined;
  const rateBps = Math.round(Number(match[1]) * (SUFFIX_BPS.get((match[2] ?? '').toLowerCase()) ?? Number.NaN));
  return rateBps >= 1 && rateBps <= LARGEST_RATE_BPS ? rateBps : undefined;
}

/**
 * Writes a rate with the largest suffix that keeps it exact: `50M`, `1500k`, `999`. `parseRate` reads it back unchanged.
 *
 * @param rateBps bit/s, a whole number
 */
export function formatRate(rateBps: number): string {
  for (const [suffix, factor] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (rateBps >= factor && rateBps % factor === 0) return `${String(rateBps / factor)}${suffix}`;
  }
  return String(rateBps);
}
