/**
 * A NAS as those who command it need it. Enters: nothing; these are types. Leaves: what the composition root makes of configuration, profile and driver.
 * Invariant: a NAS that is only observed has no driver, so that nothing can be sent to it.
 */
import type { ProfileAnswers } from '../domain/access.js';
import type { PlaceWords } from '../domain/desired-service.js';
import type { PlaceKind } from '../domain/service-state.js';
import type { NasDriver } from '../nas/driver.js';

/** A NAS whose profile enforces something. */
export interface CommandedNas {
  readonly name: string;
  readonly place: PlaceKind;
  /** This, `words` and `needsAddress` are what `wordsOf` reads off the profile. */
  readonly answers: ProfileAnswers;
  readonly words: PlaceWords;
  /** Whether its commands cannot be said without an IPv4 address. */
  readonly needsAddress: boolean;
  /** Whether it is believed when it says that it does not know a session. */
  readonly goneIsCertain: boolean;
  /** s between the updates that it was asked for. */
  readonly interimSeconds: number;
  /** Calls of its driver at once. */
  readonly parallelCalls: number;
  readonly commandsPerSecond: number;
  /** undefined: observed only. */
  readonly driver: NasDriver | undefined;
  /** Two with the same text are commanded in the same way: a reload that changes nothing disturbs nothing. */
  readonly fingerprint: string;
}
