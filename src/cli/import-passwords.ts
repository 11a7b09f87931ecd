/**
 * How the passwords of an import are compared with what is stored, and how they are stored.
 *
 * Enters: cleartexts and stored forms. Leaves: stored forms, cleartexts sealed. Invariants: every comparison takes the same
 * time whatever differs; a password that is stored already is not sealed anew, so nothing changes when nothing changed.
 */
import { storedPasswordKeyId } from '../domain/seal-key-id.js';
import { equalSecrets } from '../radius/constant-time.js';
import { parseStoredPassword, sealPassword } from '../radius/stored-password.js';
import type { SealKeys } from '../radius/stored-password.js';
import type { ImportPasswords } from '../store/import-plan.js';

/** For files without passwords: no key is read. */
export const noPasswords: ImportPasswords = { matches: sameText, store: (given) => given };

/** The passwords of one import, under the key of the configuration. */
export class SealingPasswords implements ImportPasswords {
  private readonly keys: SealKeys;

  /** @param key 32 octets */
  constructor(private readonly key: Buffer) {
    this.keys = new Map([[storedPasswordKeyId, key]]);
  }

  /** Whether a stored text already is this password. */
  readonly matches = (stored: string, given: string): boolean =>
    sameText(stored, given) || sameCleartext(stored, given, this.keys);

  /** The text to store. */
  readonly store = (given: string): string => {
    if (!isStoredForm(given)) return sealPassword(given, storedPasswordKeyId, this.key);
    const parsed = parseStoredPassword(given, this.keys);
    const clear = parsed.ok && parsed.stored.form === 'cleartext' && !/^\{SEALED\}/iu.test(given);
    return clear ? sealPassword(parsed.stored.password.toString('utf8'), storedPasswordKeyId, this.key) : given;
  };

  /** Why a text that begins like a stored form is none; undefined when all is well. */
  unreadable(text: string): string | undefined {
    if (!isStoredForm(text)) return undefined;
    const parsed = parseStoredPassword(text, this.keys);
    return parsed.ok ? undefined : parsed.reason;
  }
}

function isStoredForm(text: string): boolean {
  return text.startsWith('{') || text.startsWith('$2');
}

function sameText(one: string, other: string): boolean {
  return equalSecrets(Buffer.from(one, 'utf8'), Buffer.from(other, 'utf8'));
}

function sameCleartext(stored: string, given: string, keys: SealKeys): boolean {
  const one = parseStoredPassword(stored, keys);
  const other = parseStoredPassword(isStoredForm(given) ? given : `{CLEAR}${given}`, keys);
  if (!one.ok || one.stored.form !== 'cleartext' || !other.ok || other.stored.form !== 'cleartext') return false;
  return equalSecrets(other.stored.password, one.stored.password);
}
