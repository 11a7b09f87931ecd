/**
 * Who may tell us something, as the configuration of the moment says it. Enters: nothing. Leaves: the types that the listener asks. Invariant: a
 * way without a secret or without sources is off.
 */

/** Somebody who proves himself by a secret, from where he is expected. */
export interface Teller {
  /** Two while one is being changed; none: off. */
  readonly secrets: readonly Uint8Array[];
  /** Whether he may be at this address. @param address as a socket tells it */
  readonly admits: (address: string) => boolean;
}

/** A host that signs bodies, by its name. */
export interface NamedTeller extends Teller {
  readonly name: string;
}

export interface IntakeRules {
  /** Requests that say everything in their query. undefined: off */
  readonly lever: Teller | undefined;
  readonly jsonSources: readonly NamedTeller[];
  /** Its secret is the bearer token. undefined: off */
  readonly alertmanager: Teller | undefined;
}
