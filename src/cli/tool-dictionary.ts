/**
 * The dictionary that comes with the program, for commands that show packets.
 *
 * Enters: nothing. Leaves: names and types of attributes. Invariant: it is the dictionary of the server.
 */
import { join } from 'node:path';
import type { Dictionary } from '../radius/dictionary.js';
import { loadDictionary } from '../radius/dictionary-file.js';
import { checkoutDirectory } from './command-context.js';

/** Loads it; some milliseconds. */
export function toolDictionary(): Dictionary {
  return loadDictionary(join(checkoutDirectory, 'dictionaries', 'dictionary')).dictionary;
}
