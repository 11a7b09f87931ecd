/**
 * How commands travel to a NAS. Enters: runs, each the commands of one enforcement in order. Leaves: what is known of each command afterwards.
 * Invariants: a driver never throws for what a NAS did; it says `applied` only with evidence, and `unreachable` with `reached: 'never'` only
 * when not one octet of the command can have arrived.
 */
import type { ListedPolicy } from '../domain/reconcile.js';
import type { Evidence, PlannedCommand, ServiceState } from '../domain/service-state.js';

/** Who a run is about, for the variables of templates. */
export interface RunSubject {
  readonly subscriberId: number;
  readonly accountId: number;
  readonly contract: string;
  readonly plan: string | null;
}

/** The RADIUS session of a place, as far as it identifies it to its NAS. */
export interface RunSession {
  readonly sessionId: number;
  readonly acctSessionId: string;
  /** NAS-Identifier, else NAS-IP-Address, else source address. */
  readonly nasBox: string;
  /** Where its packets come from, dotted or IPv6 text; null when that was never recorded. */
  readonly nasAddress: string | null;
  readonly nasPortId: string | null;
  readonly callingStation: string | null;
}

/** The commands of one enforcement, to be carried out in order until one is not applied. */
export interface EnforcementRun {
  readonly enforcementId: number;
  readonly subject: RunSubject;
  /** null at a provisioned place without a session. */
  readonly session: RunSession | null;
  readonly commands: readonly PlannedCommand[];
  /** What holds when all of them are applied. */
  readonly desired: ServiceState;
  /** Of the attempt; absent where nobody can say what the NAS should show, or nothing is enforced. */
  readonly generation?: number | undefined;
  /** Its NAS had confirmed of this place what was not so: it is read back where that can be done. */
  readonly isSuspect?: boolean | undefined;
}

/** What is known after a command. Texts are short, redacted, and fit for logs and pages. */
export type CommandOutcome =
  | { readonly outcome: 'applied'; readonly evidence: Evidence; readonly text: string }
  /** The session is not there (503 to an Acct-Session-Id alone, RFC 5176 §3.5). */
  | { readonly outcome: 'session-gone'; readonly text: string }
  /** The NAS understood and would not. */
  | { readonly outcome: 'refused'; readonly errorCause: number | null; readonly text: string }
  /** No answer, no connection, or one that broke. `maybe`: it may have been carried out. */
  | { readonly outcome: 'unreachable'; readonly reached: 'never' | 'maybe'; readonly text: string }
  /** It asks to be called again later. */
  | { readonly outcome: 'later'; readonly afterMs: number; readonly text: string }
  /** It had been confirmed, and the NAS was read back otherwise. */
  | { readonly outcome: 'disproved'; readonly text: string }
  /** Cannot be said to this NAS at all: a value that its dialect cannot carry, a template without its variable. */
  | { readonly outcome: 'unsayable'; readonly text: string };

/** A command with what came of it; times are ms since 1970. */
export interface CommandResult {
  readonly command: PlannedCommand;
  readonly driver: DriverName;
  /** What was sent, without secrets. */
  readonly sent: string;
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
  readonly attempts: number;
  readonly outcome: CommandOutcome;
  /** It is what reading back said about the command, after all results of its run. */
  readonly isReadBack?: true;
}

export type DriverName = 'coa' | 'ssh' | 'exec';

/** Results of the commands that were begun; those after the first that was not applied are missing. */
export interface RunResult {
  readonly enforcementId: number;
  readonly results: readonly CommandResult[];
}

/** One entry that a NAS says it has. */
export interface ListedEntry {
  /** How our templates name it; entries of others have none of ours. */
  readonly subscriberId: number | null;
  readonly address: string | null;
  readonly text: string;
  /** As far as the list tells it. */
  readonly policy?: ListedPolicy | undefined;
}

/** Speaks to one NAS. */
export interface NasDriver {
  /** Runs that one call may take together: 1 for CoA, some hundreds for SSH. */
  readonly maxBatchRuns: number;
  /**
   * Carries out runs.
   *
   * @param isOwner asked before each exchange: whether this instance still owns the NAS; when not, the rest is `unreachable`, `never`
   */
  run(runs: readonly EnforcementRun[], isOwner: () => boolean): Promise<readonly RunResult[]>;
  /** Ends connections and sockets; runs in hand end as `unreachable`. */
  stop(): Promise<void>;
}
