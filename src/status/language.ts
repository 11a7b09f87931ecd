/**
 * Which language a browser asks for. Enters: Accept-Language. Leaves: one of the languages of the pages. Invariant: whatever the header says, there
 * is an answer; without a known language it is English.
 */
import { english, type Language } from './english.js';
import { russian } from './russian.js';

const languages: ReadonlyMap<string, Language> = new Map([
  ['en', english],
  ['ru', russian],
]);

/** Preferences that are looked at; browsers send fewer than ten. */
const MAX_PREFERENCES = 32;

/** The known language with the highest weight (RFC 9110 §12.5.4); of equals the one named first. */
export function languageFor(acceptLanguage: string | undefined): Language {
  let best: Language = english;
  let bestWeight = 0;
  for (const preference of (acceptLanguage ?? '').split(',', MAX_PREFERENCES)) {
    const match = /^\s*([A-Za-z]{2})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*$/.exec(preference);
    const language = languages.get(match?.[1]?.toLowerCase() ?? '');
    const weight = match?.[2] === undefined ? 1 : Number(match[2]);
    if (language === undefined || weight <= bestWeight) continue;
    best = language;
    bestWeight = weight;
  }
  return best;
}
