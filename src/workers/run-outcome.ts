/**
 * What follows from a run of commands. Enters: what was planned, what came of it, the time. Leaves: the row as it is to be, and what the NAS's lane
 * learns. Invariants: evidence alone makes something applied; what may have arrived stays attempted; a refused rate is parked and nobody is
 * kicked for it; whatever else failed is tried again without limit. Pure.
 */
import { disproved, isCertainlyAbsent, mayBePresent, sameState } from '../domain/known-service.js';
import { afterRun, type CommandPlan } from '../domain/plan-commands.js';
import type { KnownService } from '../domain/service-state.js';
import type { CommandOutcome, CommandResult } from '../nas/driver.js';
import type { Enforcement, Parked } from '../store/enforcement-rows.js';
import type { EnforcementWrite } from '../store/enforcement-writes.js';
import { storableText } from '../store/command-history.js';
import { pauseAfterMs } from './back-off.js';
import type { CommandedNas } from './commanded-nas.js';
import { goneDueAtMs, type Intent, unchanged } from './enforcement-look.js';
import { lookAgainAtMs, pauseAfterDisproofMs } from './still-there.js';

/** A farewell is a courtesy: a NAS that stays silent for so many tries is spared the rest. */
const MAX_FAREWELLS = 5;
/** Error texts are for a line on a page, characters. */
const MAX_ERROR = 500;

/** A run that was begun. */
export interface BegunRun {
  readonly row: Enforcement;
  /** That of the row since the attempt was committed. */
  readonly generation: number;
  readonly nas: CommandedNas;
  readonly plan: CommandPlan;
  readonly intent: Intent;
}

/** Results of the commands of a run that were begun, in order; unknown: it may have been sent, and nobody can say what came of it. */
export type RunResults = readonly CommandResult[] | 'unknown';

/** What the lane learns: whether the NAS is there, and whether it agrees. `none`: nothing, as nothing was sent or nothing can be said. */
export type LaneLesson = 'answered' | 'refused' | 'silent' | 'none';

export interface RunOutcome {
  /** undefined: the enforcement is done with. */
  readonly write: EnforcementWrite | undefined;
  readonly lesson: LaneLesson;
  /** Whether more is to be done at once. */
  readonly lookAgain: boolean;
  /** Whether the session is to be closed now, for the NAS does not know it. */
  readonly isGone: boolean;
}

/**
 * Judges a run.
 *
 * @param ended none: nothing was sent
 * @param nowMs ms since 1970
 * @param random from 0 up to 1
 */
export function outcomeOfRun(begun: BegunRun, ended: RunResults, nowMs: number, random: number): RunOutcome {
  const { row, plan, intent } = begun;
  const results = ended === 'unknown' ? [] : ended.filter((one) => one.isReadBack !== true);
  const seen = ended === 'unknown' ? undefined : ended.find((one) => one.isReadBack === true)?.outcome;
  const known = ended === 'unknown' ? plan.tried : knownAfter(plan, results, seen);
  const last = results.at(-1);
  const isWhole = results.length === plan.commands.length && results.every((one) => one.outcome.outcome === 'applied');
  const base: EnforcementWrite = {
    ...unchanged(row),
    generation: begun.generation,
    desired: intent.desired.state,
    known,
    mayBePresent: mayBePresent(known),
    fusePassed: true,
    parked: intent.parked,
    goneAtMs: null,
    lastOutcome: last?.outcome.outcome ?? row.lastOutcome,
  };
  if (seen?.outcome === 'disproved' && last !== undefined) return whenDisproved(begun, base, last, seen.text, nowMs);
  if (isWhole && seen?.outcome === 'applied') return whenApplied(begun, { ...base, disproved: 0 }, nowMs);
  if (isWhole) return whenApplied(begun, base, nowMs);
  if (last === undefined) return whenNothingSaid(begun, base, ended, nowMs, random);
  return whenNot(begun, base, last, nowMs, random);
}

/** What was read back is better evidence than the word, for it or against it; what could not be read is neither. */
function knownAfter(
  plan: CommandPlan,
  results: readonly CommandResult[],
  seen: CommandOutcome | undefined,
): KnownService {
  const known = afterRun(
    plan,
    results.map((one) => one.outcome),
  );
  if (seen?.outcome === 'disproved') return disproved(known);
  if (seen?.outcome !== 'applied' || known.applied === null) return known;
  return { ...known, applied: { ...known.applied, evidence: seen.evidence } };
}

/** It said yes and did not: it is told again, the first time at once, then ever more slowly. */
function whenDisproved(
  { row }: BegunRun,
  base: EnforcementWrite,
  last: CommandResult,
  text: string,
  nowMs: number,
): RunOutcome {
  const times = row.disproved + 1;
  const write: EnforcementWrite = {
    ...base,
    state: 'pending',
    attempts: 0,
    dueAtMs: nowMs + pauseAfterDisproofMs(times),
    lastOutcome: 'disproved',
    lastError: storableText(`${last.command.name}: ${text}`, MAX_ERROR),
    disproved: times,
  };
  return { write, lesson: 'answered', lookAgain: false, isGone: false };
}

/** The NAS was not spoken to at all: it stays due, and nothing counts as a failure. Where nobody can say, it is tried again later. */
function whenNothingSaid(
  { row }: BegunRun,
  base: EnforcementWrite,
  ended: RunResults,
  nowMs: number,
  random: number,
): RunOutcome {
  const attempts = ended === 'unknown' ? row.attempts + 1 : row.attempts;
  const pauseMs = ended === 'unknown' ? pauseAfterMs(attempts, 'silent', random) : 0;
  const write: EnforcementWrite = { ...base, state: 'pending', attempts, dueAtMs: nowMs + pauseMs };
  return { write, lesson: 'none', lookAgain: false, isGone: false };
}

function whenApplied({ row, nas, plan, intent }: BegunRun, base: EnforcementWrite, nowMs: number): RunOutcome {
  const outcome = { lesson: 'answered', isGone: false } as const;
  const { desired } = intent;
  const isOver =
    intent.isFarewell || (row.kind === 'provisioned' && !desired.state.present && isCertainlyAbsent(base.known));
  const isWanted = desired.because.kind !== 'deleted' && desired.because.kind !== 'elsewhere';
  if (isOver && (intent.isFarewell || !isWanted)) return { ...outcome, write: undefined, lookAgain: false };
  const isThere = intent.parked !== null || sameState(plan.aim, desired.state);
  const write: EnforcementWrite = {
    ...base,
    state: !isThere ? 'pending' : intent.parked === null ? 'converged' : 'parked',
    attempts: 0,
    fusePassed: !isThere || intent.parked !== null,
    dueAtMs: lookAgainAtMs(row, base.known, desired.recheckAtMs, nas.interimSeconds, nowMs),
    lastError: intent.parked === null ? null : row.lastError,
  };
  return { ...outcome, write, lookAgain: !isThere };
}

function whenNot(
  begun: BegunRun,
  base: EnforcementWrite,
  last: CommandResult,
  nowMs: number,
  random: number,
): RunOutcome {
  const { row, nas, intent } = begun;
  const { outcome } = last;
  const attempts = row.attempts + 1;
  const retry = (pauseMs: number): EnforcementWrite => ({
    ...base,
    state: 'pending',
    attempts,
    dueAtMs: nowMs + pauseMs,
    lastError: storableText(`${last.command.name}: ${outcome.text}`, MAX_ERROR),
  });
  const rest = { lookAgain: false, isGone: false };
  if (intent.isFarewell && (lessonOf(outcome) !== 'silent' || attempts >= MAX_FAREWELLS))
    return { ...rest, write: undefined, lesson: lessonOf(outcome) };
  switch (outcome.outcome) {
    case 'applied':
      // Not everything was begun: the NAS is no longer ours, or was slow to take the rest.
      return { ...rest, write: { ...retry(0), attempts: row.attempts, lastError: row.lastError }, lesson: 'answered' };
    case 'session-gone':
      if (row.session === null || row.kind !== 'session')
        return { ...rest, write: retry(pauseAfterMs(attempts, 'refused', random)), lesson: 'answered' };
      return {
        ...rest,
        write: { ...retry(0), attempts: 0, goneAtMs: nowMs, dueAtMs: goneDueAtMs(row.session, nas, nowMs) },
        lesson: 'answered',
        isGone: nas.goneIsCertain,
      };
    case 'refused': {
      const parked = refusedRate(last);
      if (parked === null)
        return { ...rest, write: retry(pauseAfterMs(attempts, 'refused', random)), lesson: 'refused' };
      // What stands behind the rate in the plan is still to be done.
      return {
        ...rest,
        write: { ...retry(0), state: 'parked', parked, attempts: 0 },
        lesson: 'refused',
        lookAgain: true,
      };
    }
    case 'unreachable':
      return { ...rest, write: retry(pauseAfterMs(attempts, 'silent', random)), lesson: 'silent' };
    case 'later':
      return { ...rest, write: retry(outcome.afterMs), lesson: 'answered' };
    case 'disproved':
      return whenDisproved(begun, base, last, outcome.text, nowMs);
    case 'unsayable': {
      const parked: Parked = { what: 'state', state: intent.desired.state };
      const write: EnforcementWrite = { ...retry(0), state: 'parked', parked, dueAtMs: intent.desired.recheckAtMs };
      return { ...rest, write, lesson: 'none' };
    }
  }
}

function lessonOf({ outcome }: CommandOutcome): LaneLesson {
  switch (outcome) {
    case 'refused':
      return 'refused';
    case 'unreachable':
      return 'silent';
    case 'unsayable':
      return 'none';
    default:
      return 'answered';
  }
}

/** A NAS that will not have a rate keeps the one it has; it is not asked again until another one is desired. */
function refusedRate({ command }: CommandResult): Parked {
  const isRate = command.name === 'user_rate_set' || command.name === 'user_rate_set_cancel';
  return isRate ? { what: 'rate', rate: command.data.rate } : null;
}
