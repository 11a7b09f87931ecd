/**
 * One session and what an accounting packet does to it. Enters: a session as stored and a fact. Leaves: which session the fact
 * belongs to, and that session advanced. Invariants: octets and seconds never fall; a real Stop is final; applying a
 * fact twice is applying it once. Pure.
 */
import type { OctetCount, SessionFact, SessionLine } from './accounting-fact.js';

/** Why a session ended, when no Stop said so. */
export type SyntheticCause = 'silence' | 'nas-restart' | 'superseded' | 'taken-over';

export interface SessionEnd {
  endedAtMs: number;
  /** 'stop' for a real one. */
  cause: 'stop' | SyntheticCause;
  terminateCause: number | null;
  synthetic: boolean;
  amended: boolean;
}

export interface SessionRecord extends SessionLine {
  /** null until it is stored. */
  id: number | null;
  epoch: number;
  subscriberId: number | null;
  login: string;
  routingDomain: string;
  mac: string | null;
  callingStation: string | null;
  calledStation: string | null;
  nasPortId: string | null;
  address: string | null;
  slot: number;
  offerId: number | null;
  policyHash: number | null;
  startedAtMs: number;
  /** True when a Start was seen; otherwise the start is an estimate that can only be too late. */
  startedExactly: boolean;
  lastEventAtMs: number;
  lastReceivedAtMs: number;
  sessionSeconds: number;
  inputOctets: number;
  outputOctets: number;
  octetsEstimated: boolean;
  interimCount: number;
  /** The last gap between two interims: what this NAS really uses. */
  interimSeconds: number | null;
  suspect: boolean;
  conflict: string | null;
  end: SessionEnd | null;
}

/** Rounding of Acct-Session-Time, queueing in the NAS, and drift of its clock: one minute and a thousandth. */
const TOLERANCE_MS = 60_000;
const DRIFT_PER_SECOND_MS = 1;
/** NASes without Acct-Delay-Time repeat a Start for about this long. */
const START_REPEAT_MS = 120_000;
/** Gaps below this come from packets sent together, not from the interim timer. */
const SHORTEST_INTERIM_SECONDS = 10;
const WORD = 2 ** 32;

/** When the session of this packet began, as the packet itself says; null when it does not say. */
function claimedStartMs(fact: SessionFact): number | null {
  if (fact.status === 'start') return fact.eventAtMs;
  return fact.sessionSeconds === null ? null : fact.eventAtMs - fact.sessionSeconds * 1000;
}

function toleranceMs(fact: SessionFact): number {
  return TOLERANCE_MS + (fact.sessionSeconds ?? 0) * DRIFT_PER_SECOND_MS;
}

function countersContinue(session: SessionRecord, fact: SessionFact): boolean {
  return (
    (fact.sessionSeconds ?? 0) >= session.sessionSeconds &&
    (fact.input?.octets ?? session.inputOctets) >= session.inputOctets &&
    (fact.output?.octets ?? session.outputOctets) >= session.outputOctets
  );
}

/** Another MAC always, and at a Start another address, is another session (the NAS used its Acct-Session-Id again). */
function contradicts(session: SessionRecord, fact: SessionFact): boolean {
  if (session.mac !== null && fact.mac !== null && session.mac !== fact.mac) return true;
  return (
    fact.status === 'start' && session.address !== null && fact.address !== null && session.address !== fact.address
  );
}

/**
 * Which of the sessions that used this line the fact belongs to.
 * @param candidates sessions of one line, by ascending epoch, live and closed
 * @returns the session, or undefined: the fact begins another one
 */
export function matchSession(candidates: readonly SessionRecord[], fact: SessionFact): SessionRecord | undefined {
  const possible = candidates.filter((candidate) => !contradicts(candidate, fact));
  if (fact.class !== null) {
    const offerId = fact.class.offerId;
    const same = possible.findLast((candidate) => candidate.offerId === offerId);
    if (same !== undefined) return same;
  }
  let fallback: SessionRecord | undefined;
  for (const candidate of possible.toReversed()) {
    const verdict = judge(candidate, fact);
    if (verdict === 'same') return candidate;
    if (verdict === 'later') return fallback;
    if (verdict === 'same-unless-older') fallback ??= candidate;
  }
  return fallback;
}

type Verdict = 'same' | 'same-unless-older' | 'earlier' | 'later';

/** 'later': the fact's session began after this one had its last sign of life. 'earlier': it was over before this one began. */
function judge(session: SessionRecord, fact: SessionFact): Verdict {
  const claimed = claimedStartMs(fact);
  const tolerance = toleranceMs(fact);
  if (fact.class !== null && session.offerId !== null) {
    // Another Class. A NAS that authorises again in mid-session goes on with the new one; then the session time goes on as well.
    if (fact.status === 'start' || claimed === null) return fact.eventAtMs < session.startedAtMs ? 'earlier' : 'later';
    if (Math.abs(claimed - session.startedAtMs) <= tolerance) return 'same';
    return claimed < session.startedAtMs ? 'earlier' : 'later';
  }
  const restarted = session.end?.cause === 'nas-restart' && fact.eventAtMs > session.end.endedAtMs;
  if (fact.status === 'start') {
    if (restarted) return 'later';
    if (fact.eventAtMs < session.startedAtMs - START_REPEAT_MS) return 'earlier';
    const lastSign = Math.max(session.lastEventAtMs, session.startedAtMs + START_REPEAT_MS);
    return fact.eventAtMs <= lastSign ? 'same' : 'later';
  }
  if (fact.eventAtMs < session.startedAtMs - tolerance) return 'earlier';
  if (claimed === null) return 'same';
  if (claimed > session.lastEventAtMs + tolerance) {
    // Undeclared lateness moves the claimed start forward. A lone Start, or a Stop, is taken for that when nothing else speaks against it.
    const alone = session.interimCount === 0 || fact.status === 'stop';
    return !restarted && session.end === null && alone && countersContinue(session, fact) ? 'same' : 'later';
  }
  if (restarted && claimed > session.end!.endedAtMs) return 'later';
  return claimed >= session.startedAtMs - tolerance ? 'same' : 'same-unless-older';
}

/** What a fact adds, for the period: never negative. */
export interface UsageDelta {
  readonly inputOctets: number;
  readonly outputOctets: number;
  readonly sessionSeconds: number;
}

/** A session as its first packet shows it, with nothing counted yet: `advance` counts. */
export function newSession(fact: SessionFact, epoch: number, subscriberId: number | null): SessionRecord {
  const startedAtMs = claimedStartMs(fact) ?? fact.eventAtMs;
  return {
    id: null,
    epoch,
    nasName: fact.nasName,
    nasBox: fact.nasBox,
    acctSessionId: fact.acctSessionId,
    subscriberId,
    login: fact.login,
    routingDomain: fact.routingDomain,
    mac: fact.mac,
    callingStation: fact.callingStation,
    calledStation: fact.calledStation,
    nasPortId: fact.nasPortId,
    address: fact.address,
    slot: 0,
    offerId: fact.class?.offerId ?? null,
    policyHash: fact.class?.policyHash ?? null,
    startedAtMs,
    startedExactly: fact.status === 'start',
    lastEventAtMs: startedAtMs,
    lastReceivedAtMs: fact.receivedAtMs,
    sessionSeconds: 0,
    inputOctets: 0,
    outputOctets: 0,
    octetsEstimated: false,
    interimCount: 0,
    interimSeconds: null,
    suspect: false,
    conflict: null,
    end: null,
  };
}

/**
 * Applies a fact to the session it belongs to, in place.
 * @param newerLive whether a later session of this line is live: then this one is never opened again
 * @returns what the fact added
 */
export function advance(session: SessionRecord, fact: SessionFact, newerLive: boolean): UsageDelta {
  const later = fact.eventAtMs > session.lastEventAtMs;
  const newer = fact.sessionSeconds === null ? later : fact.sessionSeconds > session.sessionSeconds;
  const before = { input: session.inputOctets, output: session.outputOctets, seconds: session.sessionSeconds };

  session.inputOctets = counted(session, session.inputOctets, fact.input, newer);
  session.outputOctets = counted(session, session.outputOctets, fact.output, newer);
  session.sessionSeconds = Math.max(session.sessionSeconds, fact.sessionSeconds ?? 0);
  learn(session, fact, later);

  if (fact.status === 'interim' && later) {
    const gapSeconds = Math.round((fact.eventAtMs - session.lastEventAtMs) / 1000);
    if (gapSeconds >= SHORTEST_INTERIM_SECONDS) {
      // The gap before the very first sign of life is the session's age, not the interim timer.
      if (session.startedExactly || session.interimCount > 0) session.interimSeconds = gapSeconds;
      session.interimCount += 1;
    }
  }
  if (fact.status === 'stop') stop(session, fact);
  else if (fact.status === 'interim' && later && session.end?.synthetic === true && !newerLive) session.end = null;

  session.lastEventAtMs = Math.max(session.lastEventAtMs, fact.eventAtMs);
  session.lastReceivedAtMs = Math.max(session.lastReceivedAtMs, fact.receivedAtMs);
  if (later) session.suspect = false;
  return {
    inputOctets: session.inputOctets - before.input,
    outputOctets: session.outputOctets - before.output,
    sessionSeconds: session.sessionSeconds - before.seconds,
  };
}

function learn(session: SessionRecord, fact: SessionFact, later: boolean): void {
  const claimed = claimedStartMs(fact);
  if (fact.status === 'start') {
    session.startedAtMs = session.startedExactly ? Math.min(session.startedAtMs, fact.eventAtMs) : fact.eventAtMs;
    session.startedExactly = true;
  } else if (!session.startedExactly && claimed !== null) {
    session.startedAtMs = Math.min(session.startedAtMs, claimed);
  }
  session.mac ??= fact.mac;
  session.callingStation ??= fact.callingStation;
  session.calledStation ??= fact.calledStation;
  session.nasPortId ??= fact.nasPortId;
  if (fact.class !== null && (session.offerId === null || later)) {
    session.offerId = fact.class.offerId;
    session.policyHash = fact.class.policyHash;
  }
  if (fact.address !== null && (session.address === null || (later && session.end === null)))
    session.address = fact.address;
  if (session.login === '') session.login = fact.login;
}

/** Octets after this packet: never fewer, and past a wrap of 32 bits when the NAS sends no Gigawords. */
function counted(session: SessionRecord, known: number, count: OctetCount | null, newer: boolean): number {
  if (count === null || count.octets === known) return known;
  if (count.gigawords || count.octets > known) return Math.max(known, count.octets);
  const sixtyFourBit = known >= WORD && !session.octetsEstimated;
  if (!newer || sixtyFourBit) return known;
  const sameWord = known - (known % WORD) + count.octets;
  if (sameWord >= known) return sameWord;
  session.octetsEstimated = true;
  return sameWord + WORD;
}

function stop(session: SessionRecord, fact: SessionFact): void {
  const end = session.end;
  if (end !== null && !end.synthetic) {
    end.terminateCause ??= fact.terminateCause;
    return;
  }
  session.end = {
    // A Stop cannot end a session before its last sign of life or its start.
    endedAtMs: Math.max(fact.eventAtMs, session.startedAtMs),
    cause: 'stop',
    terminateCause: fact.terminateCause,
    synthetic: false,
    amended: end !== null,
  };
}

/** Closes a session that no Stop closed. */
export function closeSynthetically(session: SessionRecord, cause: SyntheticCause, atMs: number): void {
  session.end = {
    endedAtMs: Math.max(atMs, session.startedAtMs),
    cause,
    terminateCause: null,
    synthetic: true,
    amended: false,
  };
}
