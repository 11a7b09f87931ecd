/**
 * One session and what an accounting packet does to it. Enters: a session as stored and a fact. Leaves: which session the fact
 * belongs to, and that session advanced. Invariants: octets and seconds never fall; a real Stop is final; applying a
 * fact twice is applying it once. Pure.
 */
import type { OctetCount, SessionFact, SessionLine } from './accounting-fact.js';

/** Why a session ended, when no Stop said so. */
export type SyntheticCause = 'silence' | 'nas-restart' | 'superseded' | 'taken-over' | 'gone';

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
  /** Where its accounting comes from. */
  nasAddress: string | null;
  address: string | null;
  /** IPv6 prefixes, canonical. */
  framedPrefix: string | null;
  delegatedPrefix: string | null;
  interfaceId: string | null;
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
/** Acct-Delay-Time and Acct-Session-Time are whole seconds: two readings of one instant differ by up to this. */
const ROUNDING_MS = 2_000;
/** NASes without Acct-Delay-Time repeat a Start for about this long. */
const START_REPEAT_MS = 120_000;
/** A session that was first seen by an update without Acct-Session-Time began at most one long interim interval before. */
const UNKNOWN_START_MS = 3_600_000;
/** Gaps below this come from packets sent together, not from the interim timer. */
const SHORTEST_INTERIM_SECONDS = 10;
const WORD = 2 ** 32;

/** When the session of this packet began, as the packet itself says; null when it does not say. */
export function claimedStartMs(fact: SessionFact): number | null {
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

function sameOffer(session: SessionRecord, fact: SessionFact): boolean {
  return fact.class !== null && fact.class.offerId === session.offerId;
}

function endedByStopBefore(session: SessionRecord, atMs: number): boolean {
  return session.end?.cause === 'stop' && atMs > session.end.endedAtMs + ROUNDING_MS;
}

/** The Start that opened this session, repeated or late, after the session went on and perhaps changed. */
function isItsOwnStart(session: SessionRecord, fact: SessionFact): boolean {
  if (session.lastEventAtMs <= session.startedAtMs + ROUNDING_MS) return false;
  const awayMs = Math.abs(fact.eventAtMs - session.startedAtMs);
  return awayMs <= (session.startedExactly ? ROUNDING_MS : TOLERANCE_MS);
}

/** Another MAC always, and at a Start another address, is another session (the NAS used its Acct-Session-Id again). */
function contradicts(session: SessionRecord, fact: SessionFact): boolean {
  if (session.mac !== null && fact.mac !== null && session.mac !== fact.mac) return true;
  if (fact.status !== 'start' || session.address === null || fact.address === null) return false;
  if (session.address === fact.address || isItsOwnStart(session, fact)) return false;
  return !(sameOffer(session, fact) && fact.eventAtMs < session.lastEventAtMs);
}

/**
 * Which of the sessions that used this line the fact belongs to.
 * @param candidates sessions of one line, live and closed
 * @returns the session, or undefined: the fact begins another one
 */
export function matchSession(candidates: readonly SessionRecord[], fact: SessionFact): SessionRecord | undefined {
  const possible = candidates.filter((candidate) => !contradicts(candidate, fact));
  if (fact.class !== null) {
    const same = possible.findLast((candidate) => sameOffer(candidate, fact));
    if (same !== undefined) return same;
  }
  // Epochs count in the order of arrival: a session whose packets were late has a higher one than its successor.
  if (possible.length > 1) possible.sort((a, b) => b.startedAtMs - a.startedAtMs || b.epoch - a.epoch);
  let best: SessionRecord | undefined;
  let fallback: SessionRecord | undefined;
  for (const candidate of possible) {
    const verdict = judge(candidate, fact);
    if (verdict === 'later') break;
    if (verdict === 'same-unless-older') fallback ??= candidate;
    else if (verdict === 'same' && (best === undefined || misfitMs(candidate, fact) < misfitMs(best, fact)))
      best = candidate;
  }
  return best ?? fallback;
}

/** How badly the beginnings agree. Lateness makes a claimed beginning later, so a session that began after it fits worst. */
function misfitMs(session: SessionRecord, fact: SessionFact): number {
  const laterMs = (claimedStartMs(fact) ?? fact.eventAtMs) - session.startedAtMs;
  return laterMs >= -ROUNDING_MS ? Math.abs(laterMs) : toleranceMs(fact) + START_REPEAT_MS - laterMs;
}

/** Whether an update belongs to this live session whatever other sessions its line has had. */
export function continuesCertainly(session: SessionRecord, fact: SessionFact): boolean {
  if (fact.status !== 'interim' || contradicts(session, fact)) return false;
  if (sameOffer(session, fact)) return true;
  if (fact.class !== null && session.offerId !== null) return false;
  const claimed = claimedStartMs(fact);
  return claimed !== null && Math.abs(claimed - session.startedAtMs) <= toleranceMs(fact);
}

type Verdict = 'same' | 'same-unless-older' | 'earlier' | 'later';

/** 'later': the fact's session began after this one had its last sign of life. 'earlier': it was over before this one began. */
function judge(session: SessionRecord, fact: SessionFact): Verdict {
  if (fact.class !== null && session.offerId !== null && !sameOffer(session, fact))
    return judgeOtherOffer(session, fact);
  return fact.status === 'start' ? judgeStart(session, fact) : judgeUpdate(session, fact);
}

/** A NAS that authorises again in mid-session goes on with the new Class; then the session time goes on as well. */
function judgeOtherOffer(session: SessionRecord, fact: SessionFact): Verdict {
  const claimed = claimedStartMs(fact);
  if (fact.status === 'start' || claimed === null) {
    if (fact.status === 'start' && isItsOwnStart(session, fact)) return 'same';
    return fact.eventAtMs < session.startedAtMs ? 'earlier' : 'later';
  }
  if (endedByStopBefore(session, claimed)) return 'later';
  if (Math.abs(claimed - session.startedAtMs) <= toleranceMs(fact)) return 'same';
  return claimed < session.startedAtMs ? 'earlier' : 'later';
}

function judgeStart(session: SessionRecord, fact: SessionFact): Verdict {
  const { eventAtMs } = fact;
  if (endedByRestartBefore(session, eventAtMs)) return 'later';
  // A session whose Start and Stop are both known needs no second Start: what comes after the Stop begins another one.
  if ((fact.delayDeclared || session.startedExactly) && endedByStopBefore(session, eventAtMs)) return 'later';
  const startUnknown = !session.startedExactly && session.sessionSeconds === 0;
  if (eventAtMs < session.startedAtMs - (startUnknown ? UNKNOWN_START_MS : START_REPEAT_MS)) return 'earlier';
  const lastSignMs = Math.max(session.lastEventAtMs, session.startedAtMs + START_REPEAT_MS);
  return eventAtMs <= lastSignMs ? 'same' : 'later';
}

function endedByRestartBefore(session: SessionRecord, atMs: number): boolean {
  return session.end?.cause === 'nas-restart' && atMs > session.end.endedAtMs;
}

function judgeUpdate(session: SessionRecord, fact: SessionFact): Verdict {
  const tolerance = toleranceMs(fact);
  if (fact.eventAtMs < session.startedAtMs - tolerance) return 'earlier';
  const claimed = claimedStartMs(fact);
  if (claimed === null) return 'same';
  if (claimed < session.startedAtMs - tolerance) return 'same-unless-older';
  if (endedByRestartBefore(session, claimed)) return 'later';
  if (claimed <= session.startedAtMs + tolerance) return 'same';
  // It says that it began later than this session did. Declared delays make that a fact, undeclared lateness also looks like it.
  if (fact.delayDeclared) {
    const over = endedByStopBefore(session, claimed) || claimed > session.lastEventAtMs + ROUNDING_MS;
    return over || !countersContinue(session, fact) ? 'later' : 'same';
  }
  if (claimed <= session.lastEventAtMs + tolerance) return 'same';
  const alone = session.interimCount === 0 || fact.status === 'stop';
  return session.end === null && alone && countersContinue(session, fact) ? 'same' : 'later';
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
    nasAddress: fact.nasAddress,
    address: fact.address,
    framedPrefix: fact.framedPrefix,
    delegatedPrefix: fact.delegatedPrefix,
    interfaceId: fact.interfaceId,
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
  if (!newerLive && provesLife(session, fact)) session.end = null;
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

  session.lastEventAtMs = Math.max(session.lastEventAtMs, fact.eventAtMs);
  session.lastReceivedAtMs = Math.max(session.lastReceivedAtMs, fact.receivedAtMs);
  if (later) session.suspect = false;
  return {
    inputOctets: session.inputOctets - before.input,
    outputOctets: session.outputOctets - before.output,
    sessionSeconds: session.sessionSeconds - before.seconds,
  };
}

/** An update from after a synthetic end: the session had not ended. Its session time unmasks one that only arrived late. */
function provesLife(session: SessionRecord, fact: SessionFact): boolean {
  const { end } = session;
  if (fact.status !== 'interim' || end === null || !end.synthetic || fact.eventAtMs <= end.endedAtMs) return false;
  if (fact.sessionSeconds === null) return true;
  return session.startedAtMs + fact.sessionSeconds * 1000 + toleranceMs(fact) > end.endedAtMs;
}

function learn(session: SessionRecord, fact: SessionFact, later: boolean): void {
  const claimed = claimedStartMs(fact);
  if (fact.status === 'start') {
    // A Start that was late without saying so is no better than the estimate; one from after the Stop tells nothing of when.
    const afterStop = endedByStopBefore(session, fact.eventAtMs);
    const late = afterStop || session.startedExactly || fact.eventAtMs > session.startedAtMs + TOLERANCE_MS;
    session.startedAtMs = late ? Math.min(session.startedAtMs, fact.eventAtMs) : fact.eventAtMs;
    if (!afterStop) session.startedExactly = true;
  } else if (claimed !== null && (!session.startedExactly || !fact.delayDeclared)) {
    // Without Acct-Delay-Time a Start is an estimate as well.
    session.startedAtMs = Math.min(session.startedAtMs, claimed);
  }
  session.mac ??= fact.mac;
  session.callingStation ??= fact.callingStation;
  session.calledStation ??= fact.calledStation;
  session.nasPortId ??= fact.nasPortId;
  if (fact.nasAddress !== null && (session.nasAddress === null || later)) session.nasAddress = fact.nasAddress;
  if (fact.class !== null && (session.offerId === null || later)) {
    session.offerId = fact.class.offerId;
    session.policyHash = fact.class.policyHash;
  }
  if (fact.address !== null && (session.address === null || (later && session.end === null)))
    session.address = fact.address;
  learnPrefixes(session, fact, later && session.end === null);
  if (session.login === '') session.login = fact.login;
}

/** Prefixes come as the subscriber's router asks for them, often after the Start; what a packet does not name stays (RFC 6911 §2.1). */
function learnPrefixes(session: SessionRecord, fact: SessionFact, mayMove: boolean): void {
  if (fact.framedPrefix !== null && (mayMove || session.framedPrefix === null))
    session.framedPrefix = fact.framedPrefix;
  if (fact.delegatedPrefix !== null && (mayMove || session.delegatedPrefix === null))
    session.delegatedPrefix = fact.delegatedPrefix;
  if (fact.interfaceId !== null && (mayMove || session.interfaceId === null)) session.interfaceId = fact.interfaceId;
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
    // A Stop cannot end a session before its start.
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
