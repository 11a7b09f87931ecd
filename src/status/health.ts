/**
 * Whether the server does its work. Enters: nothing. Leaves: the shape of the answer. Invariant: an unhealthy server names what is wrong.
 */
export interface Health {
  /** Whether the process does its work; false makes /healthz answer 503. */
  readonly healthy: boolean;
  readonly ready: boolean;
  /** What is wrong, in words for the person on call. */
  readonly problems: readonly string[];
}
