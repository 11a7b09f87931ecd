// Enters: everything that is known about one Access-Request and the subscriber it names. Leaves: the answer. Invariants: a
// total function of its input; a deleted subscriber is never accepted; a slot is below the session limit and nobody else's.

import type { RejectReason } from './access-reason.js';
import type { PrefixKind } from './pool-address.js';
import {
  kindOfPool,
  policyState,
  type Account,
  type Option82Auth,
  type Plan,
  type PolicyState,
  type Pool,
  type StaticPrefixes,
  type SubscriberFields,
} from './subscriber.js';

/** The states that a profile has an answer for. */
export type AnswerState = 'active' | 'redirect' | 'own_disabled' | 'admin_blocked' | 'unknown';

/** What a profile wants in one state. */
export interface StateAnswer {
  readonly answer: 'accept' | 'reject';
  /** Name of the pool for this state, instead of that of the subscriber or plan. */
  readonly pool?: string | undefined;
  /** False: the answer in this state says nothing of the rate, so that none is in force there. Absent: it does say it. */
  readonly rated?: boolean | undefined;
  /** Whether IPv6 prefixes go with the answer. Absent: they do not, so that nobody leaves a garden over IPv6 that was made for IPv4. */
  readonly prefixes?: boolean | undefined;
}

export type ProfileAnswers = Readonly<Record<AnswerState, StateAnswer>>;

/** Who was found under the identity of the request. */
export type AccessIdentity =
  | {
      readonly found: 'one';
      readonly subscriber: SubscriberFields;
      readonly account: Account | undefined;
      readonly plan: Plan | undefined;
      /** Absent: the profile does not look at access lines. */
      readonly line?: LineStanding | undefined;
    }
  | { readonly found: 'several' }
  | { readonly found: 'none'; readonly soughtBy: SoughtBy };

/**
 * What somebody was sought by in vain: the access line, where the request tells one; `untold-line`: he is known by his line, and the request tells none;
 * else what the request offered first.
 */
export type SoughtBy = 'login' | 'mac' | 'line' | 'untold-line' | 'address' | 'nothing';

/** What the access line of a request means for the subscriber who was found. */
export interface LineStanding {
  /** What he is known by here; undefined: by whatever names him. */
  readonly auth: Option82Auth | undefined;
  /** Whether it is his line. `untold`: the request does not say, and no session tells. */
  readonly where: 'own' | 'other' | 'untold';
}

/** How the password check ended. */
export type PasswordOutcome =
  | 'verified'
  /** The profile trusts the NAS for this kind of request (MAC authorisation). */
  | 'not-required'
  | 'wrong-password'
  | 'no-password'
  | 'no-stored-password'
  | 'method-needs-cleartext'
  | 'method-unsupported'
  | 'malformed-password'
  | 'stored-password-unreadable';

/** Who asks: the device as the NAS sees it. */
export interface Requester {
  readonly nasName: string;
  /** One physical NAS behind the entry. */
  readonly nasBox: string;
  readonly routingDomain: string;
  /** Canonical. */
  readonly mac: string | undefined;
  readonly nasPortId: string | undefined;
  readonly callingStation: string | undefined;
  /** Calling-Station-Id where it is an IPv4 address, as L2TP and PPTP servers send it: unsigned 32-bit. */
  readonly callingAddress: number | undefined;
}

/** A session that accounting says is alive. */
export interface LiveSession {
  readonly nasName: string;
  readonly nasBox: string;
  readonly acctSessionId: string;
  readonly subscriberId: number | undefined;
  readonly slot: number;
  readonly mac: string | undefined;
  readonly nasPortId: string | undefined;
  readonly address: number | undefined;
  readonly routingDomain: string;
  readonly startedAtMs: number;
}

/** A promise made in an Accept whose session has not started yet. */
export interface OutstandingOffer {
  readonly offerId: number;
  readonly slot: number;
  /** See {@link requesterKey}. */
  readonly requesterKey: string;
  readonly offeredAtMs: number;
  readonly expiresAtMs: number;
}

export interface AccessInput {
  readonly identity: AccessIdentity;
  readonly password: PasswordOutcome;
  readonly answers: ProfileAnswers;
  readonly requester: Requester;
  /** The subscriber's, on whatever NAS. */
  readonly sessions: readonly LiveSession[];
  /** The subscriber's; expired ones count for nothing. */
  readonly offers: readonly OutstandingOffer[];
  /** Live sessions, of anybody, on the subscriber's static address in the routing domain of this NAS. */
  readonly staticHolders: readonly LiveSession[];
  /** The subscriber's own prefixes; absent: none. */
  readonly staticPrefixes?: StaticPrefixes | undefined;
  /** Live sessions, of anybody, that hold one of the static prefixes in the routing domain of this NAS; absent: none. */
  readonly prefixHolders?: readonly LiveSession[] | undefined;
  /** The pool with this id, if there is one. */
  readonly poolById: (poolId: number) => Pool | undefined;
  /** The pool with this name, if we have one; otherwise a guest pool is the NAS's own. */
  readonly poolByName: (name: string) => Pool | undefined;
  readonly nowMs: number;
}

/** Where the address of an Accept comes from. */
export type AddressSource =
  | { readonly from: 'static'; readonly address: number }
  | { readonly from: 'sticky-or-reserve'; readonly poolId: number }
  /** The NAS gives one from its pool of this name (Framed-Pool). */
  | { readonly from: 'nas-pool'; readonly name: string }
  /** The NAS gives one as it is set up to. */
  | { readonly from: 'none' };

/** Where a prefix of an Accept comes from. */
export type PrefixSource = { readonly kind: PrefixKind } & (
  { readonly from: 'static'; readonly prefix: string } | { readonly from: 'sticky-or-reserve'; readonly poolId: number }
);

export interface AccessAccept<
  Session extends LiveSession = LiveSession,
  Offer extends OutstandingOffer = OutstandingOffer,
> {
  readonly answer: 'accept';
  readonly state: AnswerState;
  readonly slot: number;
  /** The requester's own old session, whose slot it gets. */
  readonly takesOver?: Session;
  /** The oldest session, which the plan gives up for this one. */
  readonly replaces?: Session;
  /** The requester's own outstanding offer: it gets that one again. */
  readonly repeats?: Offer;
  /** The oldest offer, which the plan gives up for this one. */
  readonly supersedes?: Offer;
  readonly address: AddressSource;
  /** One of each kind at most; absent: none. */
  readonly prefixes?: readonly PrefixSource[];
}

export type AccessDecision = AccessAccept | { readonly answer: 'reject'; readonly reason: RejectReason };

/** What a subscriber without a plan (in a walled garden) is limited to. */
const SESSION_LIMIT_WITHOUT_PLAN = 1;

const PASSWORD_REASON: Readonly<Record<Exclude<PasswordOutcome, 'verified' | 'not-required'>, RejectReason>> = {
  'wrong-password': 'wrong-password',
  'no-password': 'no-password',
  'no-stored-password': 'no-stored-password',
  'method-needs-cleartext': 'method-needs-cleartext',
  'method-unsupported': 'method-unsupported',
  'malformed-password': 'malformed-password',
  'stored-password-unreadable': 'stored-password-unreadable',
};

const SOUGHT_REASON: Readonly<Record<SoughtBy, RejectReason>> = {
  login: 'unknown-login',
  mac: 'unknown-mac',
  line: 'unknown-line',
  'untold-line': 'untold-line',
  address: 'unknown-address',
  nothing: 'no-identity',
};

const STATE_REASON: Readonly<Record<'redirect' | 'own_disabled' | 'admin_blocked' | 'active', RejectReason>> = {
  redirect: 'redirect',
  own_disabled: 'own-disabled',
  admin_blocked: 'admin-blocked',
  // A profile that rejects everybody is refused by check-config; this only keeps the function total.
  active: 'plan-inactive',
};

/**
 * Decides one Access-Request (DESIGN §6, "What a subscriber's state means at Access-Request").
 *
 * Order: identity, deleted, password, bindings, state, session limit, address. So whoever does not know the password learns
 * nothing about the state, and whoever is on the wrong line gets nothing, a walled garden included.
 */
export function decideAccess(input: AccessInput): AccessDecision {
  const { identity, answers } = input;
  if (identity.found === 'several') return reject('ambiguous');
  if (identity.found === 'none') {
    if (answers.unknown.answer === 'reject') return reject(SOUGHT_REASON[identity.soughtBy]);
    const pool = answers.unknown.pool;
    // Nobody to promise an address of ours to: a guest's address is the NAS's business.
    const address: AddressSource = pool === undefined ? { from: 'none' } : { from: 'nas-pool', name: pool };
    return { answer: 'accept', state: 'unknown', slot: 0, address };
  }
  const { subscriber, account, plan, line } = identity;
  const state = policyState(subscriber, account, plan, input.nowMs);
  if (state === 'deleted') return reject('deleted');
  if (input.password !== 'verified' && input.password !== 'not-required')
    return reject(PASSWORD_REASON[input.password]);
  const broken = brokenBinding(subscriber, input.requester, line);
  if (broken) return reject(broken);
  const answerState = answerStateOf(state);
  if (answerState === undefined) return reject(state === 'no_plan' ? 'no-plan' : 'plan-inactive');
  const answer = answers[answerState];
  if (answer.answer === 'reject') return reject(STATE_REASON[answerState]);

  const place = choosePlace(
    input,
    plan?.sessionLimit ?? SESSION_LIMIT_WITHOUT_PLAN,
    plan?.sessionLimitAction ?? 'reject',
    line !== undefined && isKnownByLine(line),
  );
  if (!place) return reject('session-limit');
  const address = chooseAddress(input, subscriber, plan, answer, place.slot);
  if (typeof address === 'string') return reject(address);
  if (answer.prefixes !== true) return { answer: 'accept', state: answerState, ...place, address };
  const prefixes = choosePrefixes(input, subscriber, plan, place.slot);
  if (typeof prefixes === 'string') return reject(prefixes);
  return { answer: 'accept', state: answerState, ...place, address, ...(prefixes.length > 0 && { prefixes }) };
}

function reject(reason: RejectReason): AccessDecision {
  return { answer: 'reject', reason };
}

function answerStateOf(state: PolicyState): Exclude<AnswerState, 'unknown'> | undefined {
  switch (state) {
    case 'active':
    case 'redirect':
    case 'own_disabled':
    case 'admin_blocked':
      return state;
    default:
      return undefined;
  }
}

/** A binding that is asked for but names nothing cannot be kept, so it is broken. */
function brokenBinding(
  subscriber: SubscriberFields,
  requester: Requester,
  line: LineStanding | undefined,
): RejectReason | undefined {
  if (subscriber.nasName !== undefined && subscriber.nasName !== requester.nasName) return 'nas-binding';
  if (line?.auth === 'port-mac' && line.where !== 'own') return 'line-binding';
  const isBoundToMac = subscriber.associatePppoeMac || line?.auth === 'port-mac';
  if (isBoundToMac && (requester.mac === undefined || requester.mac !== subscriber.mac)) return 'mac-binding';
  if (
    subscriber.associateVpnIp &&
    (requester.callingAddress === undefined || requester.callingAddress !== subscriber.staticAddress)
  )
    return 'address-binding';
  return undefined;
}

/**
 * The text that is equal for two requests of one device: its MAC, or without one its access line (NAS and NAS-Port-Id), or
 * without that whatever the NAS calls it. A box that says none of these has one requester.
 */
export function requesterKey(requester: Requester): string {
  if (requester.mac !== undefined) return requester.mac;
  const box = `${requester.nasName}\u0000${requester.nasBox}`;
  if (requester.nasPortId !== undefined) return `${box}\u0000port\u0000${requester.nasPortId}`;
  return `${box}\u0000station\u0000${requester.callingStation ?? ''}`;
}

/** Whether a live session is this requester's own: the same MAC, or where one of them has none the same access line. */
export function isOwnSession(session: LiveSession, requester: Requester): boolean {
  if (session.mac !== undefined && requester.mac !== undefined) return session.mac === requester.mac;
  return (
    session.nasPortId !== undefined &&
    session.nasPortId === requester.nasPortId &&
    session.nasName === requester.nasName &&
    session.nasBox === requester.nasBox
  );
}

/** Whoever asks there is this subscriber, whatever device he has plugged in. */
function isKnownByLine({ auth, where }: LineStanding): boolean {
  return where === 'own' && auth !== undefined && auth !== 'mac';
}

type Place = Pick<AccessAccept, 'slot' | 'takesOver' | 'replaces' | 'repeats' | 'supersedes'>;

/** What occupies a slot for somebody else. */
interface Occupant {
  readonly slot: number;
  readonly sinceMs: number;
  readonly session?: LiveSession;
  readonly offer?: OutstandingOffer;
}

function choosePlace(
  input: AccessInput,
  limit: number,
  action: 'reject' | 'replace',
  isByLine: boolean,
): Place | undefined {
  const { sessions, offers, requester, nowMs } = input;
  if (sessions.length === 0 && offers.length === 0) return { slot: 0 };

  const key = requesterKey(requester);
  const others: Occupant[] = [];
  let own: LiveSession | undefined;
  let repeats: OutstandingOffer | undefined;
  for (const session of sessions) {
    if (!isOwnSession(session, requester)) others.push({ slot: session.slot, sinceMs: session.startedAtMs, session });
    else if (!own || session.slot < own.slot) own = session;
  }
  for (const offer of offers) {
    if (offer.expiresAtMs <= nowMs) continue;
    if (offer.requesterKey !== key) others.push({ slot: offer.slot, sinceMs: offer.offeredAtMs, offer });
    else if (!repeats || offer.slot < repeats.slot) repeats = offer;
  }
  const isFree = (slot: number) => slot < limit && !others.some((other) => other.slot === slot);

  // An offer is younger than any session of the same device: the device asked again before it began to use it.
  if (repeats && isFree(repeats.slot)) return { slot: repeats.slot, repeats, ...(own && { takesOver: own }) };
  if (own && isFree(own.slot)) return { slot: own.slot, takesOver: own };

  const free = lowestFreeSlot(isFree, limit);
  if (free !== undefined && (own || others.length < limit)) return { slot: free, ...(own && { takesOver: own }) };
  // An earlier device of the same line must not keep its owner's new one out.
  const isOfLine = ({ session }: Occupant) => isByLine && (!session || session.nasName === requester.nasName);
  const ofLine = others.filter(isOfLine);
  const place = replaceOldest(
    ofLine,
    others.filter((one) => !isOfLine(one)),
    free,
    limit,
    own,
  );
  return place ?? (action === 'reject' ? undefined : replaceOldest(others, others, free, limit, own));
}

function lowestFreeSlot(isFree: (slot: number) => boolean, limit: number): number | undefined {
  for (let slot = 0; slot < limit; slot++) if (isFree(slot)) return slot;
  return undefined;
}

/**
 * When no slot is free, nobody else who stays may be on the one given up, or two would share it afterwards.
 *
 * @param candidates who may be given up
 * @param staying whom nothing but being given up ends
 */
function replaceOldest(
  candidates: readonly Occupant[],
  staying: readonly Occupant[],
  free: number | undefined,
  limit: number,
  own: LiveSession | undefined,
): Place | undefined {
  let oldest: Occupant | undefined;
  for (const other of candidates) {
    if (free === undefined) {
      if (other.slot >= limit) continue;
      if (staying.some((another) => another !== other && another.slot === other.slot)) continue;
    }
    if (!oldest || other.sinceMs < oldest.sinceMs) oldest = other;
  }
  if (!oldest) return undefined;
  return {
    slot: free ?? oldest.slot,
    ...(own && { takesOver: own }),
    ...(oldest.session && { replaces: oldest.session }),
    ...(oldest.offer && { supersedes: oldest.offer }),
  };
}

function chooseAddress(
  input: AccessInput,
  subscriber: SubscriberFields,
  plan: Plan | undefined,
  answer: StateAnswer,
  slot: number,
): AddressSource | RejectReason {
  if (answer.pool !== undefined) {
    const guestPool = input.poolByName(answer.pool);
    if (!guestPool) return { from: 'nas-pool', name: answer.pool };
    return inDomain(guestPool, input.requester);
  }
  const poolId = subscriber.poolId ?? plan?.poolId;
  if (subscriber.staticAddress !== undefined) {
    // One address serves one session: further ones of the same subscriber need a pool.
    if (slot > 0) return poolId === undefined ? 'address-in-use' : inDomain(input.poolById(poolId), input.requester);
    const taken = input.staticHolders.some((holder) => isForeignHolder(holder, subscriber, input.requester));
    return taken ? 'address-in-use' : { from: 'static', address: subscriber.staticAddress };
  }
  return poolId === undefined ? { from: 'none' } : inDomain(input.poolById(poolId), input.requester);
}

/** A session that nobody was recognised in may be the requester's own; anybody else's is not. */
function isForeignHolder(holder: LiveSession, subscriber: SubscriberFields, requester: Requester): boolean {
  if (holder.subscriberId === subscriber.id) return false;
  return holder.subscriberId !== undefined || !isOwnSession(holder, requester);
}

function inDomain(pool: Pool | undefined, requester: Requester): AddressSource | 'no-pool' {
  if (!pool || pool.routingDomain !== requester.routingDomain || kindOfPool(pool) !== 'ipv4') return 'no-pool';
  return { from: 'sticky-or-reserve', poolId: pool.id };
}

/** All that are due, or none and the reason: half of what a plan promises would be found out by the subscriber, not by the provider. */
function choosePrefixes(
  input: AccessInput,
  subscriber: SubscriberFields,
  plan: Plan | undefined,
  slot: number,
): readonly PrefixSource[] | RejectReason {
  const { staticPrefixes, requester } = input;
  // One prefix serves one session: further ones of the same subscriber need a pool, or go without.
  const own = slot > 0 ? undefined : staticPrefixes;
  const hasOwn = own?.framed !== undefined || own?.delegated !== undefined;
  if (hasOwn && input.prefixHolders?.some((holder) => isForeignHolder(holder, subscriber, requester)))
    return 'address-in-use';
  const sources: PrefixSource[] = [];
  for (const [kind, prefix, poolId] of [
    ['framed-prefix', own?.framed, plan?.framedPoolId],
    ['delegated-prefix', own?.delegated, plan?.delegatedPoolId],
  ] as const) {
    if (prefix !== undefined) {
      sources.push({ kind, from: 'static', prefix });
      continue;
    }
    if (poolId === undefined) continue;
    const pool = input.poolById(poolId);
    if (!pool || pool.routingDomain !== requester.routingDomain || kindOfPool(pool) !== kind) return 'no-pool';
    sources.push({ kind, from: 'sticky-or-reserve', poolId });
  }
  return sources;
}
