/**
 * A name that is not there.
 *
 * Enters: the kind of thing, the name, the names that there are. Leaves: an error with the nearest name.
 * Invariant: the answer stays one line, however many names there are.
 */
import { nearestKey } from '../config/nearest-key.js';
import { CommandError } from './command-error.js';

/** Beyond this many the list is no help on one line. */
const mostListed = 10;

/**
 * @param kind `plan`, `pool`, `NAS`
 * @param known names that exist
 * @param maker the command that would make it; empty when there is none
 */
export function unknownName(kind: string, name: string, known: Iterable<string>, maker = ''): CommandError {
  const names = [...known];
  const near = nearestKey(name, names);
  const suggestions = [
    near === undefined ? '' : `did you mean ${near}?`,
    near === undefined && names.length > 0 && names.length <= mostListed ? `there are ${names.sort().join(', ')}` : '',
    maker === '' ? '' : `make it with: ${maker}`,
  ].filter((part) => part !== '');
  return new CommandError(`there is no ${kind} '${name}'`, suggestions.join('; '));
}
