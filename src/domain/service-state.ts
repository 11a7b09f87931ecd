// Enters: nothing; these are the values that enforcement is about. Leaves: what one enforcement should be, is known to be, or may be.
// Invariant: two states are the same exactly when every dimension is; nothing in them is an order, all of it is a level.

/** Where a subscriber's policy is enforced: a session on a NAS, or an entry that we put there. */
export type PlaceKind = 'session' | 'provisioned';

/** bit/s; null is unlimited. */
export interface ServiceRate {
  readonly downBps: number | null;
  readonly upBps: number | null;
}

/** What a NAS finds a subscriber by. A change of any of it is a change of key data: the old entry goes, a new one comes. */
export interface ServiceKey {
  readonly login: string;
  /** Canonical, `aa:bb:cc:dd:ee:ff`. */
  readonly mac: string | null;
  /** IPv4, dotted. */
  readonly address: string | null;
  /** IPv6 prefixes, canonical CIDR text. */
  readonly framedPrefix: string | null;
  readonly delegatedPrefix: string | null;
}

/** Policy at a place where the subscriber is. */
export interface PresentService {
  readonly present: true;
  readonly key: ServiceKey;
  /** Administrative block of the subscriber or account, or a plan that does not serve: `user_drop`. */
  readonly blocked: boolean;
  /** Walled garden: no money, or a limit reached. */
  readonly redirect: boolean;
  /** Voluntary block. */
  readonly ownDisabled: boolean;
  /** `logged`: by RADIUS or by a portal. */
  readonly authorised: boolean;
  readonly rate: ServiceRate;
  /** Names of the services that are on, sorted, each once. */
  readonly services: readonly string[];
}

/** Nothing of the subscriber is to be there, or is. */
export interface AbsentService {
  readonly present: false;
}

export type ServiceState = PresentService | AbsentService;

export const absent: AbsentService = { present: false };

/**
 * Why a state is believed.
 * `class`: what the Accept said, as its Class tells; `ack`: the NAS acknowledged; `output`: its output was what a success looks like; `exit-code`: a
 * script's; `read-back`: it was listed; `session-over`: accounting said that the session ended; `not-applicable`: the profile has nothing to do there.
 */
export type Evidence = 'class' | 'ack' | 'output' | 'exit-code' | 'read-back' | 'session-over' | 'not-applicable';

/** What is known of a place: what has evidence, and what was tried since and may have happened. */
export interface KnownService {
  /** null: nothing is known, as after a session whose Accept we did not give. */
  readonly applied: { readonly state: ServiceState; readonly evidence: Evidence } | null;
  /** States that commands aimed at, whose outcome is not proven; oldest first, each once. */
  readonly attempted: readonly ServiceState[];
}

/** The named things that are done to a NAS about one subscriber, in the words that other systems use. */
export const commandNames = [
  'usluga_deactivated',
  'user_drop',
  'own_disabled',
  'user_redirect',
  'user_disconnect',
  'user_del',
  'user_add',
  'user_accept',
  'own_disabled_cancel',
  'user_redirect_cancel',
  'user_rate_set',
  'user_rate_set_cancel',
  'user_auth',
  'usluga_activated',
] as const;

export type CommandName = (typeof commandNames)[number];

/** Commands about an account, for profiles that define them. */
export const accountCommandNames = ['account_add', 'account_enable', 'account_disable', 'account_del'] as const;

export type AccountCommandName = (typeof accountCommandNames)[number];

/** Commands that read a NAS and change nothing. */
export const readingCommandNames = ['user_info', 'user_test', 'users_from_nas'] as const;

export type ReadingCommandName = (typeof readingCommandNames)[number];

/** One command that is to be carried out at one place, after those before it in the plan. */
export interface PlannedCommand {
  readonly name: CommandName;
  /** What its variables are taken from: for a `user_del` the data under which the entry may exist, else what is desired. */
  readonly data: PresentService;
  /** The service that begins or ends; null for every other command. */
  readonly service: string | null;
}
