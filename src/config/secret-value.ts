/**
 * A secret that cannot be printed by accident, and the judgement whether it is any good.
 *
 * Enters: the octets of a shared secret, key or connection string.
 * Leaves: the same octets, only to who asks for them by name; everything else sees `<secret>`.
 * Invariant: neither inspection, nor JSON, nor string conversion, nor an enumeration of properties shows the octets.
 */
import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

/** Thrown when the octets of a secret are asked for whose file does not exist yet. */
export class SecretMissingError extends Error {
  override readonly name = 'SecretMissingError';
  readonly code = 'secret-missing';
}

const shown = '<secret>';

/** Holds a secret. Frozen; compare with `equals`, never through text. */
export class SecretValue {
  readonly #octets: Buffer | undefined;

  private constructor(octets: Buffer | undefined) {
    this.#octets = octets;
    Object.freeze(this);
  }

  /** @param octets text (taken as UTF-8) or octets, which are copied */
  static of(octets: string | Uint8Array): SecretValue {
    return new SecretValue(Buffer.from(octets as string));
  }

  /** Stands for a secret whose file has yet to be made; asking for its octets throws `SecretMissingError`. */
  static readonly missing: SecretValue = new SecretValue(undefined);

  get isMissing(): boolean {
    return this.#octets === undefined;
  }

  /** Length in octets; 0 when missing. */
  get length(): number {
    return this.#octets?.length ?? 0;
  }

  /**
   * The octets themselves.
   *
   * @returns a copy
   * @throws SecretMissingError when the file of this secret does not exist yet
   */
  octets(): Buffer {
    if (this.#octets === undefined) throw new SecretMissingError('the file of this secret has not been created yet');
    return Buffer.from(this.#octets);
  }

  /** The octets read as UTF-8; throws as `octets` does. */
  text(): string {
    return this.octets().toString('utf8');
  }

  /** Whether both hold the same octets, in a time that depends on the length alone. Missing secrets equal nothing. */
  equals(other: SecretValue): boolean {
    const mine = this.#octets;
    const theirs = other.#octets;
    if (mine === undefined || theirs === undefined || mine.length !== theirs.length) return false;
    return timingSafeEqual(mine, theirs);
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}

/** Shorter shared secrets are refused: eight characters fall in GPU-minutes, fewer in seconds. Octets. */
export const minSecretOctets = 8;
/** Up to this length a shared secret is accepted with a warning. Octets. */
export const weakSecretOctets = 12;
/** What a warning recommends, octets: beyond any search of an MD5-based signature. */
export const recommendedSecretOctets = 24;
/** Upper bound of a secret and of a secret file, octets. */
export const maxSecretOctets = 65_536;

export type SecretJudgement =
  | { readonly verdict: 'good' }
  | { readonly verdict: 'weak' | 'refused'; readonly problem: string; readonly remedy: string };

// Secrets printed in documentation and sample configurations, which an attacker tries first. Compared in lower case and
// without anything but letters, after digits at the end are taken off.
const wellKnown: ReadonlySet<string> = new Set([
  'testing',
  'secret',
  'radius',
  'password',
  'changeme',
  'sharedsecret',
  'radiussecret',
  'mysecret',
  'supersecret',
  'example',
  'default',
  'admin',
  'mikrotik',
  'cisco',
  'sluice',
]);

const remedy = `use at least ${minSecretOctets}, better ${recommendedSecretOctets} random ones`;

/**
 * Judges a RADIUS shared secret by its length and by whether it is one that everybody knows.
 *
 * @param secret not missing
 * @returns a verdict whose text never repeats the secret
 * @see draft-ietf-radext-deprecating-radius §5 for the lengths
 */
export function judgeSharedSecret(secret: SecretValue): SecretJudgement {
  if (secret.length < minSecretOctets) {
    return { verdict: 'refused', problem: `is ${secret.length} octets long`, remedy };
  }
  const octets = secret.octets();
  const bare = octets
    .toString('latin1')
    .toLowerCase()
    .replace(/[^a-z]/gu, '');
  if (wellKnown.has(bare) || new Set(octets).size < 4) {
    return { verdict: 'refused', problem: 'is one of the first that an attacker tries', remedy };
  }
  if (secret.length <= weakSecretOctets) {
    return { verdict: 'weak', problem: `is only ${secret.length} octets long`, remedy };
  }
  return { verdict: 'good' };
}
