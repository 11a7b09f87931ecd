/**
 * What `import freeradius` was asked for.
 *
 * Enters: nothing. Leaves: a type. Invariant: everything in it is checked before anything is opened.
 */

/** What was asked for. */
export interface FreeradiusImportOptions {
  readonly source:
    { readonly kind: 'database'; readonly url: string } | { readonly kind: 'users'; readonly file: string };
  readonly dryRun: boolean;
  readonly withSessions: boolean;
  /** Names of NAS entries whose sessions are taken; empty: all. */
  readonly sessionsOf: readonly string[];
  /** NAS-Identifier by NAS-IP-Address, for NASes that send one. */
  readonly identifiers: ReadonlyMap<string, string>;
  readonly defaultSessionLimit: number;
  readonly staleHours: number;
  readonly withoutPools: boolean;
}
