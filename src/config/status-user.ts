/**
 * Who may see the pages: a name and a slow hash of a password.
 *
 * Enters: `anna:{SCRYPT}…`, as `sluice passwd anna` prints it. Leaves: a name and the hash, which nothing prints.
 * Invariant: a password itself is never accepted here, only a scrypt hash whose cost is bounded.
 */
import { z } from 'zod';
import { SecretValue } from './secret-value.js';

/** One person who may see the pages. */
export interface StatusUser {
  readonly name: string;
  /** `{SCRYPT}N$r$p$salt$hash`, salt and hash in base64. */
  readonly passwordHash: SecretValue;
}

/** Names travel in HTTP Basic (RFC 7617 §2: no colon) and in log lines. */
const userPattern =
  /^(?<name>[A-Za-z0-9][A-Za-z0-9._@-]{0,62}):(?<hash>\{SCRYPT\}\d{4,8}\$\d{1,2}\$\d{1,2}\$[A-Za-z0-9+/=]{16,}\$[A-Za-z0-9+/=]{24,})$/u;

/** Reads one entry; undefined when it is none. */
export function parseStatusUser(text: string): StatusUser | undefined {
  const groups = userPattern.exec(text)?.groups;
  return groups && { name: groups['name']!, passwordHash: SecretValue.of(groups['hash']!) };
}

/** One entry of `status.users`; comes out parsed. */
export function statusUser() {
  return z.string().transform((text, context): StatusUser => {
    const user = parseStatusUser(text);
    if (user !== undefined) return user;
    context.addIssue({
      code: 'custom',
      message: 'is not NAME:{SCRYPT}…',
      params: { remedy: 'run `sluice passwd NAME` and write the line that it prints' },
    });
    return z.NEVER;
  });
}
