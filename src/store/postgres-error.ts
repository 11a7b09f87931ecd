/**
 * What can go wrong with the embedded PostgreSQL, as one typed error.
 *
 * Enters: a kind from a closed list, a sentence for people, the remedy. Leaves: an Error that callers tell apart by `kind`.
 * Invariant: neither the message nor the remedy ever holds a password.
 */

export type EmbeddedPostgresErrorKind =
  /** The npm package with the binaries is absent, or there is none for this processor. */
  | 'binaries-missing'
  /** The binaries do not run: wrong architecture, missing library, folder mounted noexec. */
  | 'binaries-broken'
  /** We are root and no unprivileged user can reach the cluster and the binaries. */
  | 'no-unprivileged-user'
  /** The cluster folder belongs to somebody else and we are not root. */
  | 'cluster-owner'
  /** The cluster folder holds something that is no PostgreSQL cluster. */
  | 'cluster-unrecognised'
  /** The cluster was made by another major version. */
  | 'cluster-version'
  /** Another program listens on the port. */
  | 'port-busy'
  /** The server of this cluster refuses our password. */
  | 'password-refused'
  /** The password file is missing or cannot be read, while the cluster exists. */
  | 'password-missing'
  /** initdb failed. */
  | 'initdb-failed'
  /** The server ended, or did not answer in time. */
  | 'start-failed';

/** Thrown by `startEmbeddedPostgres`; `kind` says which case, `remedy` what the operator does about it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';

  constructor(
    readonly kind: EmbeddedPostgresErrorKind,
    problem: string,
    readonly remedy: string,
    options?: { cause?: unknown },
  ) {
    super(`${problem}; ${remedy}`, options);
  }
}

/** The `code` of a Node system error (`ENOENT`, `EACCES` …), or undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
