/**
 * A batch of accounting facts, folded. Enters: the facts in the order of the spool and everything stored that they may touch.
 * Leaves: the sessions, assignments, usage and restarts to store. Invariants: folding the same facts again over the result
 * changes nothing; a session of another box is never closed by a restart; a hold is let go by its holder only. Pure.
 */
import {
  type AccountingFact,
  boxKey,
  isRestart,
  lineKey,
  type RestartFact,
  type SessionFact,
  type SessionLine,
} from './accounting-fact.js';
import { LEASE_BOX } from './lease.js';
import { addressKey, addressOf, AssignmentBook, type AssignmentRecord, isWaiting, PREFIX_HELD } from './assignment.js';
import { type AddressKind, addressKinds, prefixKinds } from './pool-address.js';
import {
  advance,
  closeSynthetically,
  matchSession,
  newSession,
  type SessionRecord,
  type SyntheticCause,
  type UsageDelta,
} from './session.js';

const AMBIGUOUS_IDENTITY = 'ambiguous-identity';

export interface BatchWorld {
  /** All sessions of the lines in the batch, live and closed, and the live rivals for subscribers and addresses. */
  readonly sessions: readonly SessionRecord[];
  readonly assignments: readonly AssignmentRecord[];
  /** Event times of Accounting-On and -Off per box (`boxKey`). */
  readonly restarts: ReadonlyMap<string, readonly number[]>;
}

/** Whose session it is. 'ambiguous' is nobody's, and is shown. */
export type Resolve = (fact: SessionFact) => number | 'ambiguous' | null;

export interface Usage {
  readonly subscriberId: number;
  readonly eventAtMs: number;
  readonly inputOctets: number;
  readonly outputOctets: number;
  readonly sessionSeconds: number;
}

export type StoredAs = 'absent' | 'live' | 'closed';

export interface TouchedSession {
  readonly session: SessionRecord;
  /** As what the store has it now; what it becomes is told by `session.end`. */
  readonly storedAs: StoredAs;
  /** Nothing but counters and times of the last sign of life differs from what is stored: so it is with nearly every Interim-Update. */
  readonly countersOnly: boolean;
}

/** A Stop that came after a synthetic end: the use of the address ended when the session did. */
export interface AmendedEnd {
  readonly session: SessionRecord;
  readonly formerlyMs: number;
}

export interface BatchOutcome {
  readonly touched: readonly TouchedSession[];
  readonly assignments: readonly AssignmentRecord[];
  readonly amendedEnds: readonly AmendedEnd[];
  readonly usage: readonly Usage[];
  readonly restarts: readonly RestartFact[];
}

/** Folds the facts over the world, whose records it changes in place. */
export function foldBatch(world: BatchWorld, facts: readonly AccountingFact[], resolve: Resolve): BatchOutcome {
  const fold = new Fold(world, resolve);
  for (const fact of facts) fold.add(fact);
  return fold.outcome();
}

/**
 * Folds synthetic ends that no packet asked for (silence, a restart), with the same care for holds.
 * @param ends sessions of `world.sessions` and when they are taken to have ended
 */
export function foldEnds(
  world: BatchWorld,
  ends: readonly { session: SessionRecord; cause: SyntheticCause; atMs: number }[],
): BatchOutcome {
  const fold = new Fold(world, () => null);
  for (const { session, cause, atMs } of ends) fold.end(session, cause, atMs);
  return fold.outcome();
}

class Fold {
  readonly #byLine = new Map<string, SessionRecord[]>();
  readonly #bySubscriber = new Map<number, Set<SessionRecord>>();
  readonly #byAddress = new Map<string, Set<SessionRecord>>();
  readonly #storedAs = new Map<SessionRecord, StoredAs>();
  readonly #touched = new Set<SessionRecord>();
  /** Those of them of which more than counters changed. */
  readonly #altered = new Set<SessionRecord>();
  readonly #usage: Usage[] = [];
  readonly #amendedEnds: AmendedEnd[] = [];
  readonly #restartTimes = new Map<string, number[]>();
  readonly #restarts: RestartFact[] = [];
  readonly #book: AssignmentBook;
  readonly #resolve: Resolve;

  constructor(world: BatchWorld, resolve: Resolve) {
    this.#resolve = resolve;
    this.#book = new AssignmentBook(world.assignments);
    for (const [box, times] of world.restarts) this.#restartTimes.set(box, [...times]);
    for (const session of [...world.sessions].sort((a, b) => a.epoch - b.epoch)) {
      this.#storedAs.set(session, session.end === null ? 'live' : 'closed');
      this.#line(session).push(session);
      this.#index(session);
    }
  }

  outcome(): BatchOutcome {
    return {
      touched: [...this.#touched].map((session) => ({
        session,
        storedAs: this.#storedAs.get(session) ?? 'absent',
        countersOnly: !this.#altered.has(session),
      })),
      assignments: [...this.#book.changed],
      amendedEnds: this.#amendedEnds,
      usage: this.#usage,
      restarts: this.#restarts,
    };
  }

  add(fact: AccountingFact): void {
    if (isRestart(fact)) this.#restart(fact);
    else this.#session(fact);
  }

  end(session: SessionRecord, cause: SyntheticCause, atMs: number): void {
    if (session.end !== null) return;
    closeSynthetically(session, cause, atMs);
    this.#alter(session);
    this.#letGo(session);
  }

  #alter(session: SessionRecord): void {
    this.#touched.add(session);
    this.#altered.add(session);
  }

  #restart(fact: RestartFact): void {
    this.#restarts.push(fact);
    const box = boxKey(fact);
    const times = this.#restartTimes.get(box);
    if (times === undefined) this.#restartTimes.set(box, [fact.eventAtMs]);
    else if (!times.includes(fact.eventAtMs)) times.push(fact.eventAtMs);
    // The rest of the box's sessions are closed in slices by the sweeper; these are in hand.
    for (const sessions of this.#byLine.values()) for (const session of sessions) this.#applyRestarts(session);
  }

  /** A restart ends what had begun and was last heard of before it, and nothing else. */
  #applyRestarts(session: SessionRecord): void {
    if (session.end !== null) return;
    const times = this.#restartTimes.get(boxKey(session));
    if (times === undefined) return;
    const after = times.filter((atMs) => atMs > session.startedAtMs && atMs > session.lastEventAtMs);
    if (after.length > 0) this.end(session, 'nas-restart', Math.min(...after));
  }

  #session(fact: SessionFact): void {
    const sessions = this.#line(fact);
    for (const session of sessions) this.#applyRestarts(session);
    const known = matchSession(sessions, fact);
    const session = known ?? this.#open(fact, sessions);
    const endBefore = session.end;
    const wasLive = known !== undefined && endBefore === null;
    const newerLive = sessions.some(
      (other) => other !== session && other.end === null && other.startedAtMs > session.startedAtMs,
    );
    const before = { ...session };
    const delta = advance(session, fact, newerLive);
    this.#touched.add(session);
    const identified = session.subscriberId === null && this.#identify(session, fact);
    this.#index(session);
    this.#collect(session, fact, identified ? session : delta);
    this.#applyRestarts(session);
    if (known === undefined && session.end === null) this.#displace(session, sessions);
    if (session.end === null) {
      // A session that lives on with its address holds it already, and its assignment need not have been loaded.
      const moved = addressKinds.some((kind) => addressOf(session, kind) !== addressOf(before, kind));
      const settled = wasLive && !moved && !isWaiting(session) && !identified;
      const since = known === undefined ? session.startedAtMs : (endBefore?.endedAtMs ?? fact.eventAtMs);
      if (!settled) this.#takeHold(session, since);
    } else if (wasLive) this.#letGo(session);
    else if (known === undefined) this.#book.recordPast(session, session.end);
    else if (endBefore!.synthetic && !session.end.synthetic && session.end.endedAtMs !== endBefore!.endedAtMs) {
      this.#amendedEnds.push({ session, formerlyMs: endBefore!.endedAtMs });
    }
    if (isAltered(before, session)) this.#altered.add(session);
  }

  /** What was used before anybody knew by whom counts when it is known. */
  #collect(session: SessionRecord, fact: SessionFact, used: UsageDelta): void {
    const { inputOctets, outputOctets, sessionSeconds } = used;
    if (session.subscriberId === null || inputOctets + outputOctets + sessionSeconds === 0) return;
    const { subscriberId } = session;
    this.#usage.push({ subscriberId, eventAtMs: fact.eventAtMs, inputOctets, outputOctets, sessionSeconds });
  }

  #open(fact: SessionFact, sessions: SessionRecord[]): SessionRecord {
    const epoch = sessions.reduce((highest, other) => Math.max(highest, other.epoch), -1) + 1;
    const session = newSession(fact, epoch, null);
    sessions.push(session);
    return session;
  }

  #identify(session: SessionRecord, fact: SessionFact): boolean {
    const whose = this.#resolve(fact);
    if (whose === 'ambiguous') session.conflict ??= AMBIGUOUS_IDENTITY;
    else session.subscriberId = whose;
    if (session.subscriberId !== null && session.conflict === AMBIGUOUS_IDENTITY) session.conflict = null;
    return session.subscriberId !== null;
  }

  /**
   * A new session proves others dead: an older one of its line, one of the same subscriber and MAC (or port, without MACs), one
   * with its address on the same box. When the new one is the older of the two, it is the one that is over.
   */
  #displace(session: SessionRecord, line: readonly SessionRecord[]): void {
    const rivals = new Map<SessionRecord, SyntheticCause>();
    for (const other of line) rivals.set(other, 'superseded');
    if (session.address !== null) {
      for (const other of this.#byAddress.get(addressKey(session.routingDomain, session.address)) ?? []) {
        if (boxKey(other) === boxKey(session)) rivals.set(other, 'superseded');
      }
    }
    if (session.subscriberId !== null) {
      for (const other of this.#bySubscriber.get(session.subscriberId) ?? []) {
        if (sameEnd(other, session) && isOneUse(other, session)) rivals.set(other, 'taken-over');
      }
    }
    for (const [other, cause] of rivals) {
      if (other === session || other.end !== null || session.end !== null) continue;
      if (other.startedAtMs <= session.startedAtMs) this.end(other, cause, session.startedAtMs);
      else this.end(session, cause, other.startedAtMs);
    }
  }

  /** Takes hold of what the session has now, and lets go of what it had, or had under another name. IPv4 comes first: prefixes follow its slot. */
  #takeHold(session: SessionRecord, sinceMs: number): void {
    for (const kind of addressKinds) {
      const address = addressOf(session, kind);
      const held = this.#book.heldBy(session, kind);
      if (held !== undefined) {
        if (held.address === address && held.subscriberId === session.subscriberId) continue;
        this.#release(session, kind, sinceMs, held.address === address ? 'identified' : 'moved');
      }
      if (address !== null) this.#book.acquire(session, kind, sinceMs);
    }
    // Getting the one prefix clears what was said of the other.
    if (prefixKinds.some((kind) => addressOf(session, kind) !== null && this.#book.heldBy(session, kind) === undefined))
      session.conflict ??= PREFIX_HELD;
  }

  #letGo(session: SessionRecord): void {
    for (const kind of addressKinds) this.#release(session, kind, session.end!.endedAtMs, session.end!.cause);
  }

  #release(session: SessionRecord, kind: AddressKind, atMs: number, cause: string): void {
    const ended = this.#book.release(session, kind, atMs, cause);
    if (ended === undefined) return;
    // Somebody who was refused the address may have been sitting on it all the while.
    for (const waiting of this.#byAddress.get(addressKey(ended.routingDomain, ended.address)) ?? []) {
      if (waiting === session || waiting.end !== null || !isWaiting(waiting)) continue;
      if (addressOf(waiting, kind) === ended.address && this.#book.acquire(waiting, kind, ended.end!.endedAtMs))
        this.#alter(waiting);
    }
  }

  #line(line: SessionLine): SessionRecord[] {
    const key = lineKey(line);
    let sessions = this.#byLine.get(key);
    if (sessions === undefined) this.#byLine.set(key, (sessions = []));
    return sessions;
  }

  #index(session: SessionRecord): void {
    if (session.subscriberId !== null) setIn(this.#bySubscriber, session.subscriberId).add(session);
    for (const kind of addressKinds) {
      const address = addressOf(session, kind);
      if (address !== null) setIn(this.#byAddress, addressKey(session.routingDomain, address)).add(session);
    }
  }
}

/** What a session is, apart from what it counts. */
const IDENTITY = [
  'subscriberId',
  'login',
  'mac',
  'callingStation',
  'calledStation',
  'nasPortId',
  'nasAddress',
  'address',
  'framedPrefix',
  'delegatedPrefix',
  'interfaceId',
  'slot',
  'offerId',
  'policyHash',
  'startedAtMs',
  'startedExactly',
  'conflict',
  'end',
] as const satisfies readonly (keyof SessionRecord)[];

function isAltered(before: SessionRecord, after: SessionRecord): boolean {
  return IDENTITY.some((key) => before[key] !== after[key]);
}

function setIn<K>(map: Map<K, Set<SessionRecord>>, key: K): Set<SessionRecord> {
  let set = map.get(key);
  if (set === undefined) map.set(key, (set = new Set()));
  return set;
}

/** A router that dials in may have a lease beside that, for something else; with one address they are the same line seen both ways. */
function isOneUse(a: SessionRecord, b: SessionRecord): boolean {
  return (a.nasBox === LEASE_BOX) === (b.nasBox === LEASE_BOX) || a.address === b.address;
}

/** The same equipment at the subscriber's end: by MAC, or without MACs by the port of the box. */
function sameEnd(a: SessionRecord, b: SessionRecord): boolean {
  if (a.mac !== null && b.mac !== null) return a.mac === b.mac;
  return (
    a.mac === null && b.mac === null && a.nasPortId !== null && a.nasPortId === b.nasPortId && boxKey(a) === boxKey(b)
  );
}
