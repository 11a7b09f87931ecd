/**
 * A session that lives on after its NAS had confirmed its end. Enters: an enforcement whose absence has a NAS's word for evidence, and what accounting has heard
 * of the session. Leaves: when to look at it again, or that the word was false. Invariants: nothing is held against a NAS that an update under way
 * when it confirmed can explain; whoever repeats a command to a NAS that says yes and does not, repeats it ever more slowly. Pure.
 */
import { isCertainlyAbsent } from '../domain/known-service.js';
import type { Evidence, KnownService } from '../domain/service-state.js';
import type { Enforcement } from '../store/enforcement-rows.js';
import { pauseAfterMs } from './back-off.js';

/**
 * How much later than the confirmation an update must have been made to speak against it, ms: it covers an update that was under way, and two servers and
 * a database whose clocks differ by some seconds. Updates come once a minute at most (RFC 2869 §2.1), so it costs no time.
 */
export const AFTER_CONFIRMATION_MS = 10_000;
/** How often a session that should be over is looked at, ms: four times in an update's interval, within these bounds. */
const LOOKS_PER_INTERVAL = 4;
const SHORTEST_LOOK_MS = 10_000;
const LONGEST_LOOK_MS = 60_000;

/** Words of a NAS, what it showed when it was asked included. What accounting says is more than a word. */
const WORDS: ReadonlySet<Evidence> = new Set<Evidence>(['ack', 'output', 'exit-code', 'read-back']);

/** In errors and history. */
export const STILL_THERE = 'acknowledged, yet the session is still there';

/** Whether the end of a session that is still open is known by nothing but its NAS's word. */
export function isOverByWord({ kind, session }: Pick<Enforcement, 'kind' | 'session'>, known: KnownService): boolean {
  if (kind !== 'session' || session === null || session.isOver || known.applied === null) return false;
  return WORDS.has(known.applied.evidence) && isCertainlyAbsent(known);
}

/** Whether the session was heard of since its NAS had confirmed its end. */
export function isStillThere(row: Pick<Enforcement, 'kind' | 'session' | 'appliedAtMs'>, known: KnownService): boolean {
  if (!isOverByWord(row, known) || row.appliedAtMs === null) return false;
  // An update that was held up says when it was made: event times count.
  return row.session!.lastEventAtMs > row.appliedAtMs + AFTER_CONFIRMATION_MS;
}

/**
 * When to see whether accounting still hears of the session, ms since 1970. A Stop that ends it takes the enforcement with it.
 *
 * @param recheckAtMs when it is to be looked at anyway; null: never
 * @param interimSeconds s between updates, where it is not known of the session
 */
export function lookAgainAtMs(
  row: Pick<Enforcement, 'kind' | 'session'>,
  known: KnownService,
  recheckAtMs: number | null,
  interimSeconds: number,
  nowMs: number,
): number | null {
  if (!isOverByWord(row, known)) return recheckAtMs;
  const intervalMs = ((row.session?.interimSeconds ?? interimSeconds) * 1000) / LOOKS_PER_INTERVAL;
  const lookAtMs = nowMs + Math.min(LONGEST_LOOK_MS, Math.max(SHORTEST_LOOK_MS, intervalMs));
  return Math.min(lookAtMs, recheckAtMs ?? lookAtMs);
}

/**
 * How long to wait before a NAS is told again that has confirmed what was not so, ms: nothing the first time, since an interval has passed already.
 *
 * @param times in a row
 */
export function pauseAfterDisproofMs(times: number): number {
  // Whose updates show it come at different times anyway: no need to spread them.
  return times <= 1 ? 0 : pauseAfterMs(times - 1, 'refused', 0.5);
}
