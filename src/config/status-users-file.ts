/**
 * People who may see the pages, in a file of their own: a systemd credential, or a file that only the server reads.
 *
 * Enters: the reference in `status.users_file`. Leaves: users. Invariant: a wrong line is told by its number, never by its content.
 */
import { resolvePath } from './load-context.js';
import type { LoadContext, Place } from './load-context.js';
import { parseStatusUser, type StatusUser } from './status-user.js';

/** A thousand users of some 180 octets, and comments. */
const maxFileOctets = 262_144;
const worldReadable = 0o004;

/**
 * Reads one user a line, as `sluice passwd` prints it, with or without its quotes; empty lines and those that begin with `#` are for
 * people.
 *
 * @returns the users; `undefined` after a problem was added
 */
export async function readStatusUsers(
  context: LoadContext,
  reference: string | undefined,
  place: Place,
): Promise<readonly StatusUser[] | undefined> {
  if (reference === undefined) return [];
  const path = resolvePath(context, reference, place);
  if (path === undefined) return undefined;
  const wrong = (problem: string, remedy: string): undefined =>
    void context.problems.push({ ...place, problem, remedy });
  const result = await context.files.read(path, maxFileOctets);
  if (!result.ok) {
    const why = {
      absent: 'does not exist',
      unreadable: 'cannot be read',
      'not-a-file': 'is not a file',
      'too-long': 'is too long',
    };
    return wrong(
      `names ${path}, which ${why[result.reason]}`,
      'create it, one line from `sluice passwd NAME` for each user',
    );
  }
  if ((result.mode & worldReadable) !== 0)
    context.warnings.push({
      ...place,
      problem: `names ${path}, which everybody may read`,
      remedy: `chmod 600 ${path}`,
    });
  const users: StatusUser[] = [];
  for (const [index, raw] of result.octets.toString('utf8').split('\n').entries()) {
    const line = raw.trim().replace(/^"(.*)",?$/u, '$1');
    if (line === '' || line.startsWith('#')) continue;
    const user = parseStatusUser(line);
    if (user === undefined)
      return wrong(
        `names ${path}, whose line ${String(index + 1)} is not NAME:{SCRYPT}…`,
        'write there what `sluice passwd NAME` prints',
      );
    users.push(user);
  }
  return users;
}
