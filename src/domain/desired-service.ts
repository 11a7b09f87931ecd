/**
 * What a place should be. Enters: a subscriber with everything that counts for it, a place on a NAS, an instant. Leaves: the state that
 * PostgreSQL wants there, why, and when time alone may change it. Invariants: a session is told what an Access-Request would be answered at
 * the same instant, or it ends; flags stay independent of each other; nothing here knows what the NAS has.
 */
import type { ProfileAnswers } from './access.js';
import { acceptedService, shownState, unlimitedRate, type ShownState } from './accepted-service.js';
import type { RateClock, Turbo } from './effective-rate.js';
import { formatIpv4Address } from './ipv4-address.js';
import type { PlanOptions, Saying } from './plan-commands.js';
import {
  absent,
  type PlaceKind,
  type PresentService,
  type ServiceKey,
  type ServiceRate,
  type ServiceState,
} from './service-state.js';
import {
  policyState,
  type Account,
  type Plan,
  type PolicyState,
  type StaticPrefixes,
  type SubscriberFields,
} from './subscriber.js';

/** A service of a subscriber, on from its start until before its end, ms since 1970; null is since ever, for ever. */
export interface SubjectService {
  readonly name: string;
  readonly startsAtMs: number | null;
  readonly endsAtMs: number | null;
}

/** Who is enforced: everything of the subscriber that a place may depend on. Passwords stay where they are. */
export interface EnforcementSubject {
  readonly subscriber: Omit<SubscriberFields, 'password'>;
  readonly account: Pick<Account, 'adminBlocked'> | undefined;
  readonly plan: Plan | undefined;
  readonly turbo: Turbo | undefined;
  readonly services: readonly SubjectService[];
  /** Absent: none. */
  readonly staticPrefixes?: StaticPrefixes | undefined;
  /** The pool that the subscriber has, else the plan's. */
  readonly poolName: string | null;
  /** Sessions that began before this instant are to end. */
  readonly disconnectBeforeMs: number | null;
  /** Since when login, MAC and static address are what they are, where they were others before: a session that began earlier stands under the old ones. */
  readonly keyChangedAtMs: number | null;
  /** When a portal let the subscriber in; null: no portal did. */
  readonly webLoggedAtMs: number | null;
}

/** A RADIUS session or a bound lease at a place. */
export interface PlaceSession {
  /** User-Name, as the NAS sends it and knows it. */
  readonly login: string;
  readonly startedAtMs: number;
  /** Canonical. */
  readonly mac: string | null;
  /** IPv4, dotted. */
  readonly address: string | null;
  readonly framedPrefix: string | null;
  readonly delegatedPrefix: string | null;
  /** The pool of ours that the address is from; null: of none, or not known. */
  readonly poolName: string | null;
  /** From its Class: what its Accept said; null without one. */
  readonly policyHash: number | null;
}

/** What can be said to a NAS by command. What cannot, is not desired there either. */
export interface PlaceWords {
  readonly rate: boolean;
  readonly services: boolean;
  /** Whether an entry is told of the end of a session (`user_disconnect`); absent: it is. A disconnect that somebody asks for always is. */
  readonly ends?: boolean | undefined;
  /** Whether entries are found by IPv6 prefixes, too. Absent: they are. */
  readonly prefixes?: boolean;
}

/** Where on the network. A place of kind `session` has one. */
export interface EnforcementPlace {
  readonly kind: PlaceKind;
  /** An entry beside the one that the subscriber has there, of one lease more of the same line. Absent: it is not. */
  readonly isFurther?: boolean;
  readonly nasName: string;
  /** What its profile answers in each state. */
  readonly answers: ProfileAnswers;
  /** Whether the subscriber is to be found here: by the NAS that it is bound to, a session or a lease. */
  readonly belongs: boolean;
  /** Whether the commands of its profile cannot be said without an IPv4 address. */
  readonly needsAddress: boolean;
  /** What its profile has commands for; absent: for all. */
  readonly words?: PlaceWords | undefined;
  readonly session: PlaceSession | null;
  /** Whether a pool with this name is ours, so that we know its addresses. */
  readonly isOwnPool: (name: string) => boolean;
}

/** Why the desired state is what it is; a closed set, so that pages word it in any language. */
export type Because =
  | { readonly kind: 'served' }
  | { readonly kind: 'limited'; readonly by: Exclude<PolicyState, 'active' | 'deleted'> }
  | { readonly kind: 'deleted' }
  /** The subscriber belongs to another NAS, or to none. */
  | { readonly kind: 'elsewhere'; readonly nasName: string | null }
  /** The profile finds subscribers by address, and this one has none yet: there is nothing to do. */
  | { readonly kind: 'no-address' }
  /** An entry beside the subscriber's own is not wanted: its lease is over, a static address is served alone, or this NAS finds entries by login. */
  | { readonly kind: 'no-further-entry'; readonly why: 'over' | 'static-address' | 'found-by-login' }
  /** The session began before the instant at which a disconnect was asked for. */
  | { readonly kind: 'disconnect-asked'; readonly beforeMs: number }
  /** The session stands under a login, MAC or address that the subscriber no longer has. */
  | { readonly kind: 'key-changed'; readonly atMs: number }
  /** An Access-Request would be rejected now. */
  | { readonly kind: 'rejected'; readonly by: Exclude<PolicyState, 'deleted'> }
  /** The state wants an address of another pool, which only a new session can get. */
  | {
      readonly kind: 'other-pool';
      readonly from: string | null;
      readonly to: string | null;
      readonly state: ShownState;
    }
  /** The state goes with IPv6 prefixes, or without, other than the Accept; only a new session can get or lose them. */
  | { readonly kind: 'prefixes'; readonly given: boolean; readonly state: ShownState };

/** What is desired at a place. */
export interface DesiredService {
  readonly state: ServiceState;
  /** The nearest instant (ms since 1970) at which time alone may change it; null: never. */
  readonly recheckAtMs: number | null;
  readonly because: Because;
  /** Somebody asked for a disconnect, and that is why `authorised` is false or the session is to end. */
  readonly disconnectAsked: boolean;
  /**
   * What variables of commands are taken from where nothing is known of the place: the subscriber as it would be there. null: it cannot be told, as
   * the profile needs an address that the subscriber does not have.
   */
  readonly data: PresentService | null;
  /** What else `planRun` has to know. */
  readonly planOptions: PlanOptions;
}

/**
 * How long a wish to disconnect somebody whom only a portal let in is taken for the reason that he is out, ms: a day. It is only asked by the fuse, and
 * nobody lets a fuse wait for longer.
 */
const PORTAL_DISCONNECT_MS = 86_400_000;

/**
 * What PostgreSQL wants at a place (DESIGN §6, §8).
 *
 * @param rates of the configured time zone
 * @param nowMs ms since 1970
 */
export function desiredService(
  subject: EnforcementSubject,
  place: EnforcementPlace,
  rates: RateClock,
  nowMs: number,
): DesiredService {
  const state = policyState(subject.subscriber, subject.account, subject.plan, nowMs);
  const isOld = isOlderThan(place.session, subject.disconnectBeforeMs);
  const rate = rates.rateAt(subject.plan, subject.turbo, nowMs);
  const data = presentService(
    subject,
    place,
    state,
    isOld,
    {
      downBps: rate.rateDownBps ?? null,
      upBps: rate.rateUpBps ?? null,
    },
    nowMs,
  );
  const isSayable = !place.needsAddress || data.key.address !== null;
  const gone =
    place.kind === 'session' ? whySessionEnds(subject, place, state) : whyNotProvisioned(subject, place, isSayable);
  const disconnectAsked =
    gone?.kind === 'disconnect-asked' || (gone === undefined && isLoggedOut(subject, place, data, isOld, nowMs));
  const sayable = isSayable ? data : null;
  return {
    state: gone === undefined ? data : absent,
    recheckAtMs: recheckAt(subject, rate.changesAtMs, gone, nowMs),
    because: gone ?? (state === 'active' || state === 'deleted' ? { kind: 'served' } : { kind: 'limited', by: state }),
    disconnectAsked,
    data: sayable,
    planOptions: {
      data: sayable,
      isDeleted: gone?.kind === 'deleted',
      says: { ...sayingOf(place), ends: disconnectAsked || place.words?.ends !== false },
    },
  };
}

/** What there are commands for. A session cannot be in a state that its profile rejects: nothing is ever said of that. */
function sayingOf({ kind, answers, words }: EnforcementPlace): Saying {
  const { rate, services } = words ?? allWords;
  const has = (state: ShownState) => kind === 'provisioned' || answers[state].answer === 'accept';
  return {
    blocked: has('admin_blocked'),
    ownDisabled: has('own_disabled'),
    redirect: has('redirect'),
    rate,
    services,
  };
}

const allWords: PlaceWords = { rate: true, services: true };

/** The rate while a session is in a state: none, where the Accept in that state says none although others do. */
function rateInState(answers: ProfileAnswers, state: ShownState, rate: ServiceRate): ServiceRate {
  return answers[state].rated === false && answers.active.rated !== false ? unlimitedRate : rate;
}

function presentService(
  subject: EnforcementSubject,
  place: EnforcementPlace,
  state: PolicyState,
  isOld: boolean,
  rate: ServiceRate,
  nowMs: number,
): PresentService {
  const { subscriber, account, webLoggedAtMs } = subject;
  const { kind, session } = place;
  const says = sayingOf(place);
  const flags = {
    blocked:
      says.blocked &&
      (subscriber.adminBlocked || account?.adminBlocked === true || state === 'no_plan' || state === 'plan_inactive'),
    redirect: says.redirect && subscriber.redirect,
    ownDisabled: says.ownDisabled && subscriber.ownDisabled,
  };
  const services = says.services ? subject.services.filter((one) => isOn(one, nowMs)) : [];
  const rest = { services: [...new Set(services.map((one) => one.name))].sort() };
  const sayableRate = says.rate ? rate : unlimitedRate;
  const prefixes = { framedPrefix: session?.framedPrefix ?? null, delegatedPrefix: session?.delegatedPrefix ?? null };
  const none = { framedPrefix: null, delegatedPrefix: null };
  if (kind === 'session')
    return {
      present: true,
      // A NAS finds a session by what it told of it, whatever the subscriber is called by now.
      key: {
        login: session?.login ?? subscriber.login,
        mac: session?.mac ?? null,
        address: session?.address ?? null,
        ...prefixes,
      },
      ...flags,
      authorised: true,
      rate: rateInState(place.answers, shownState(flags), sayableRate),
      ...rest,
    };
  const own = subscriber.staticAddress;
  return {
    present: true,
    key: {
      login: subscriber.login,
      // A static address finds its entry alone: a MAC that comes and goes with a session would make it another one each time.
      mac:
        place.isFurther === true
          ? (session?.mac ?? null)
          : (subscriber.mac ?? (own === undefined ? (session?.mac ?? null) : null)),
      address: own === undefined ? (session?.address ?? null) : formatIpv4Address(own),
      // The same holds for prefixes; where nothing is found by them, one that comes late must not make another entry.
      ...(place.words?.prefixes === false ? none : own === undefined ? prefixes : ownPrefixes(subject)),
    },
    ...flags,
    authorised: webLoggedAtMs !== null || (session !== null && !isOld),
    rate: sayableRate,
    ...rest,
  };
}

function ownPrefixes({ staticPrefixes }: EnforcementSubject): Pick<ServiceKey, 'framedPrefix' | 'delegatedPrefix'> {
  return { framedPrefix: staticPrefixes?.framed ?? null, delegatedPrefix: staticPrefixes?.delegated ?? null };
}

function isOn(service: SubjectService, nowMs: number): boolean {
  return (
    (service.startsAtMs === null || nowMs >= service.startsAtMs) &&
    (service.endsAtMs === null || nowMs < service.endsAtMs)
  );
}

function isOlderThan(session: PlaceSession | null, instantMs: number | null): boolean {
  return session !== null && instantMs !== null && session.startedAtMs < instantMs;
}

/** At a provisioned place: whether nobody is let in because somebody asked for that, rather than because a session ended. */
function isLoggedOut(
  subject: EnforcementSubject,
  place: EnforcementPlace,
  data: PresentService,
  isOld: boolean,
  nowMs: number,
): boolean {
  if (data.authorised || subject.disconnectBeforeMs === null) return false;
  return place.session === null ? nowMs - subject.disconnectBeforeMs < PORTAL_DISCONNECT_MS : isOld;
}

function whyNotProvisioned(
  subject: EnforcementSubject,
  place: EnforcementPlace,
  isSayable: boolean,
): Because | undefined {
  if (subject.subscriber.deleted) return { kind: 'deleted' };
  if (place.isFurther === true) return whyNotFurther(subject, place);
  if (!place.belongs) return { kind: 'elsewhere', nasName: subject.subscriber.nasName ?? null };
  return isSayable ? undefined : { kind: 'no-address' };
}

function whyNotFurther({ subscriber }: EnforcementSubject, place: EnforcementPlace): Because | undefined {
  const no = (why: Extract<Because, { kind: 'no-further-entry' }>['why']) =>
    ({ kind: 'no-further-entry', why }) as const;
  if (!place.belongs || place.session === null) return no('over');
  if (subscriber.staticAddress !== undefined) return no('static-address');
  return place.needsAddress ? undefined : no('found-by-login');
}

function whySessionEnds(subject: EnforcementSubject, place: EnforcementPlace, state: PolicyState): Because | undefined {
  const { subscriber, disconnectBeforeMs, keyChangedAtMs } = subject;
  const { session, answers } = place;
  if (state === 'deleted') return { kind: 'deleted' };
  if (!place.belongs || (subscriber.nasName !== undefined && subscriber.nasName !== place.nasName))
    return { kind: 'elsewhere', nasName: subscriber.nasName ?? null };
  if (state === 'no_plan' || state === 'plan_inactive' || answers[state].answer === 'reject')
    return { kind: 'rejected', by: state };
  if (disconnectBeforeMs !== null && isOlderThan(session, disconnectBeforeMs))
    return { kind: 'disconnect-asked', beforeMs: disconnectBeforeMs };
  const otherPool = session === null ? undefined : whyOtherPool(subject, place, session, state);
  if (otherPool !== undefined) return otherPool;
  const prefixes = session === null ? undefined : whyPrefixes(subject, place, session, state);
  if (prefixes !== undefined) return prefixes;
  if (keyChangedAtMs !== null && isOlderThan(session, keyChangedAtMs))
    return { kind: 'key-changed', atMs: keyChangedAtMs };
  return undefined;
}

/**
 * Whether a session sits on an address that its state does not go with: a guest's, when it is to be served, or an ordinary one, when its profile keeps
 * guests apart by their addresses. What its Accept said counts most, since more than that cannot be said to it the next time either, and nobody
 * is disconnected twice for one reason.
 */
function whyOtherPool(
  subject: EnforcementSubject,
  place: EnforcementPlace,
  session: PlaceSession,
  state: ShownState,
): Because | undefined {
  const { answers } = place;
  const wanted = answers[state].pool ?? null;
  const accepted =
    session.policyHash === null ? undefined : acceptedService(session.policyHash, subject, answers)?.state;
  const isOther = { kind: 'other-pool', to: wanted ?? subject.poolName, state } as const;
  if (accepted !== undefined) {
    const had = answers[accepted].pool ?? null;
    return had === wanted ? undefined : { ...isOther, from: had ?? session.poolName };
  }
  const has = session.poolName;
  if (wanted === null)
    return has !== null && has !== subject.poolName && isGuestPool(answers, has)
      ? { ...isOther, from: has }
      : undefined;
  if (has === wanted || (has === null && (session.address === null || !place.isOwnPool(wanted)))) return undefined;
  return { ...isOther, from: has };
}

/**
 * Whether a session has prefixes that its state does not go with, which would lead out of a garden that was made for IPv4, or lacks those that it is to
 * have. Judged by its Accept, like its pool; without a Class, only what it certainly has too much.
 */
function whyPrefixes(
  { plan, turbo, staticPrefixes }: EnforcementSubject,
  { answers }: EnforcementPlace,
  session: PlaceSession,
  state: ShownState,
): Because | undefined {
  const given = answers[state].prefixes === true;
  const has = session.framedPrefix !== null || session.delegatedPrefix !== null;
  const isDue =
    plan?.framedPoolId !== undefined ||
    plan?.delegatedPoolId !== undefined ||
    staticPrefixes?.framed !== undefined ||
    staticPrefixes?.delegated !== undefined;
  // Whoever is given none by us has them of the NAS itself, and would have them again.
  if (!isDue) return undefined;
  const accepted =
    session.policyHash === null ? undefined : acceptedService(session.policyHash, { plan, turbo }, answers);
  const had = accepted === undefined ? has || given : answers[accepted.state].prefixes === true;
  return had === given ? undefined : { kind: 'prefixes', given, state };
}

function isGuestPool(answers: ProfileAnswers, name: string): boolean {
  return Object.values(answers).some((answer) => answer.pool === name);
}

/** The nearest instant to come at which a date of the plan, an hour of day, turbo or a service changes something. */
function recheckAt(
  subject: EnforcementSubject,
  rateChangesAtMs: number | null,
  gone: Because | undefined,
  nowMs: number,
): number | null {
  if (gone?.kind === 'deleted' || gone?.kind === 'elsewhere' || gone?.kind === 'no-further-entry') return null;
  const { plan, services } = subject;
  const instants = [
    plan?.validFromMs,
    plan?.validUntilMs,
    rateChangesAtMs,
    ...services.flatMap((one) => [one.startsAtMs, one.endsAtMs]),
  ].filter((one) => one !== undefined && one !== null && one > nowMs) as number[];
  return instants.length === 0 ? null : Math.min(...instants);
}
