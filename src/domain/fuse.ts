/**
 * The fuse: how many subscribers may be tightened before a person is asked. Enters: how many were lately, how many wait, the thresholds, what was allowed.
 * Leaves: how many of those that wait may pass, and whether the rest is held. Invariants: without an allowance no window has more than the limit; once
 * held, nothing passes without one until it is released; nobody asks it about loosening.
 */

/** From the configuration. */
export interface FuseThresholds {
  /** Over how long subscribers are counted, ms. */
  readonly windowMs: number;
  readonly maxSubscribers: number;
  /** Of all subscribers that are not deleted, percent. */
  readonly maxPercent: number;
  /** However few there are, this many may be tightened. */
  readonly leastSubscribers: number;
}

/**
 * An `UPDATE` without WHERE must not put a city off: 500 within 10 minutes, or 5 %, as DESIGN §8 says. A provider of 40 blocks more than two people
 * for the month's bill: 20 is what a person would still undo by hand.
 */
export const defaultFuseThresholds: FuseThresholds = {
  windowMs: 600_000,
  maxSubscribers: 500,
  maxPercent: 5,
  leastSubscribers: 20,
};

/** Subscribers that may be tightened beside the limit: a release, or a run that was announced. */
export interface FuseAllowance {
  readonly subscribers: number;
  /** ms since 1970 */
  readonly untilMs: number;
}

/** What all servers of one database share. */
export interface FuseState {
  /** Since when tightening is held, ms since 1970; null: it is not. */
  readonly heldAtMs: number | null;
  /** When a person last released it, ms since 1970: what was tightened before is not counted again. */
  readonly releasedAtMs: number | null;
  readonly allowance: FuseAllowance | null;
}

export interface FuseQuestion {
  readonly state: FuseState;
  /** All subscribers that are not deleted. */
  readonly totalSubscribers: number;
  /** Different subscribers tightened since `countedFromMs`, those under an allowance left out. */
  readonly tightened: number;
  /** Different subscribers that wait to be, none of which is among those: whoever was counted may be tightened further. */
  readonly waiting: number;
  /** ms since 1970 */
  readonly nowMs: number;
}

/** Why; numbers for a sentence in any language. */
export type FuseReason =
  | { readonly kind: 'below-limit'; readonly limit: number }
  | { readonly kind: 'allowed'; readonly left: number }
  /** The limit was reached now. `by`: which threshold it is. */
  | {
      readonly kind: 'tripped';
      readonly by: 'maxSubscribers' | 'maxPercent' | 'leastSubscribers';
      readonly limit: number;
      readonly tightened: number;
      readonly waiting: number;
    }
  | { readonly kind: 'held'; readonly sinceMs: number; readonly waiting: number };

export interface FuseDecision {
  /** Of those that wait, this many may pass. */
  readonly pass: number;
  /** Of them, this many used up the allowance and are not counted; the first that pass are. */
  readonly allowed: number;
  /** What is to be stored; equal to the state of the question when nothing changes. */
  readonly state: FuseState;
  /** Whether it began to hold now, which is when to raise the alarm. */
  readonly hasTripped: boolean;
  readonly because: FuseReason;
}

/** How many subscribers may be tightened within the window, and which threshold says so. */
export function fuseLimit(
  thresholds: FuseThresholds,
  totalSubscribers: number,
): { readonly limit: number; readonly by: 'maxSubscribers' | 'maxPercent' | 'leastSubscribers' } {
  const share = Math.floor((totalSubscribers * thresholds.maxPercent) / 100);
  if (share >= thresholds.maxSubscribers) return { limit: thresholds.maxSubscribers, by: 'maxSubscribers' };
  const least = Math.min(thresholds.leastSubscribers, thresholds.maxSubscribers);
  return share >= least ? { limit: share, by: 'maxPercent' } : { limit: least, by: 'leastSubscribers' };
}

/** From when on subscribers are counted, ms since 1970. */
export function countedFromMs(thresholds: FuseThresholds, state: FuseState, nowMs: number): number {
  return Math.max(nowMs - thresholds.windowMs, state.releasedAtMs ?? -Infinity);
}

/** Decides about those that wait. */
export function decideFuse(thresholds: FuseThresholds, question: FuseQuestion): FuseDecision {
  const { state, tightened, nowMs } = question;
  const waiting = Math.max(0, question.waiting);
  const left = allowanceLeft(state, nowMs);
  const { limit, by } = fuseLimit(thresholds, question.totalSubscribers);
  const room = state.heldAtMs === null ? Math.max(0, limit - tightened) : 0;
  // What was allowed is used first, so that the limit is still there for what comes of itself.
  const allowed = Math.min(left, waiting);
  const pass = Math.min(waiting, allowed + room);
  const rest = waiting - pass;
  const hasTripped = state.heldAtMs === null && rest > 0;
  const allowance =
    left - allowed > 0 && state.allowance !== null ? { ...state.allowance, subscribers: left - allowed } : null;
  const next: FuseState = { ...state, heldAtMs: hasTripped ? nowMs : state.heldAtMs, allowance };
  return { pass, allowed, state: sameFuse(next, state) ? state : next, hasTripped, because: reason() };

  function reason(): FuseReason {
    if (hasTripped) return { kind: 'tripped', by, limit, tightened: tightened + pass - allowed, waiting: rest };
    if (state.heldAtMs !== null && (rest > 0 || allowed === 0))
      return { kind: 'held', sinceMs: state.heldAtMs, waiting: rest };
    return allowed > 0 ? { kind: 'allowed', left: left - allowed } : { kind: 'below-limit', limit };
  }
}

/**
 * What a person's release makes of the fuse: counting begins anew, and as many as are named may pass whatever the limit says.
 *
 * @param forSubscribers how many: those that wait now, unless somebody says another number
 * @param untilMs ms since 1970; what was not used by then is held again
 */
export function releaseFuse(state: FuseState, forSubscribers: number, untilMs: number, nowMs: number): FuseState {
  return { ...announceRun({ ...state, heldAtMs: null }, forSubscribers, untilMs, nowMs), releasedAtMs: nowMs };
}

/** A run that says beforehand how many it will tighten at most. It adds to what is allowed already; it releases nothing by itself. */
export function announceRun(state: FuseState, subscribers: number, untilMs: number, nowMs: number): FuseState {
  const left = allowanceLeft(state, nowMs);
  const total = left + Math.max(0, Math.floor(subscribers));
  const until = left > 0 && state.allowance !== null ? Math.max(untilMs, state.allowance.untilMs) : untilMs;
  return { ...state, allowance: total > 0 && until > nowMs ? { subscribers: total, untilMs: until } : null };
}

function allowanceLeft({ allowance }: FuseState, nowMs: number): number {
  return allowance === null || nowMs >= allowance.untilMs ? 0 : Math.max(0, allowance.subscribers);
}

function sameFuse(one: FuseState, other: FuseState): boolean {
  return (
    one.heldAtMs === other.heldAtMs &&
    one.releasedAtMs === other.releasedAtMs &&
    one.allowance?.subscribers === other.allowance?.subscribers &&
    one.allowance?.untilMs === other.allowance?.untilMs
  );
}
