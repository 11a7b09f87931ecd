/**
 * One look at an enforcement: what is to be done about it now. Enters: the row with its subject, the NAS, the time. Leaves: one of a closed set of
 * steps. Invariants: nothing is planned for a NAS that is only observed; what was refused is not asked for again until something else is
 * desired; the same row looked at twice gives the same step. Pure.
 */
import { knownFromClass } from '../domain/accepted-service.js';
import { desiredService, type DesiredService } from '../domain/desired-service.js';
import type { RateClock } from '../domain/effective-rate.js';
import { disproved, isCertainlyAbsent, mayBePresent, mayHold, sameRate, sameState } from '../domain/known-service.js';
import { type CommandPlan, planRun } from '../domain/plan-commands.js';
import {
  absent,
  type CommandName,
  type KnownService,
  type PresentService,
  type ServiceRate,
  type ServiceState,
} from '../domain/service-state.js';
import { tendencyOf, type Tendency } from '../domain/tightening.js';
import type { Enforcement, EnforcementState, Parked } from '../store/enforcement-rows.js';
import type { EnforcementWrite } from '../store/enforcement-writes.js';
import type { CommandedNas } from './commanded-nas.js';
import { isStillThere, lookAgainAtMs, pauseAfterDisproofMs, STILL_THERE } from './still-there.js';

/** Updates that a session may miss before it is taken for gone, once its NAS has said that it does not know it: intervals. */
const GONE_INTERVALS = 1.2;

const RESTRICTIONS: ReadonlySet<CommandName> = new Set<CommandName>([
  'usluga_deactivated',
  'user_drop',
  'own_disabled',
  'user_redirect',
  'user_disconnect',
  'user_del',
]);

export interface LookContext {
  readonly rates: RateClock;
  readonly isOwnPool: (name: string) => boolean;
  /** ms since 1970 */
  readonly nowMs: number;
  /** Whether what was refused or failed before is tried again at once: a server has taken the NAS over, or somebody asked for it. */
  readonly isForced: boolean;
}

/** What is to be done. */
export type Look =
  /** Nothing, and the row says so already. */
  | { readonly step: 'none' }
  | { readonly step: 'write'; readonly write: EnforcementWrite }
  /** The NAS had confirmed the end of the session, and it lives on: that is written and told, and what is to be done about it follows. */
  | { readonly step: 'disproved'; readonly write: EnforcementWrite }
  | { readonly step: 'send'; readonly plan: CommandPlan; readonly intent: Intent }
  /** There is nothing left that this enforcement is about. */
  | { readonly step: 'end' }
  /** The NAS does not know the session, and nothing has been heard of it since. */
  | { readonly step: 'close-session' };

/** What a run is for, as its outcome needs it. */
export interface Intent {
  readonly desired: DesiredService;
  /** The order in which it goes to its NAS, and whether it waits while that refuses too much. */
  readonly urgency: Tendency;
  readonly known: KnownService;
  readonly parked: Parked;
  /** Whether the fuse has to be asked. */
  readonly asksFuse: boolean;
  /** Accounting said that the session is over: the NAS is told, once. */
  readonly isFarewell: boolean;
}

/** Looks at one enforcement. */
export function lookAt(row: Enforcement, nas: CommandedNas, context: LookContext): Look {
  if (row.kind === 'session' && (row.session === null || nas.place !== 'session')) return { step: 'end' };
  if (row.kind === 'provisioned' && nas.place !== 'provisioned') return lookAtStray(row);
  const desired = desiredAt(row, nas, context);
  const known = knownOf(row, nas, desired);
  if (row.kind === 'session' && row.session!.isOver) return lookAtFarewell(desired, known);
  if (isDoneWith(row, desired, known)) return { step: 'end' };
  const gone = lookAtGone(row, nas, context);
  if (gone !== undefined) return gone;
  if (isStillThere(row, known)) return lookAtDisproof(row, desired, known, context);
  return lookAtService(row, nas, desired, known, context);
}

/** What is desired at a place at this moment. */
export function desiredAt(
  row: Enforcement,
  nas: Pick<CommandedNas, 'name' | 'answers' | 'words' | 'needsAddress'>,
  { rates, isOwnPool, nowMs }: Pick<LookContext, 'rates' | 'isOwnPool' | 'nowMs'>,
): DesiredService {
  const belongs =
    row.kind === 'session' || row.isFurther
      ? row.isOwnSession
      : row.subject.subscriber.nasName === nas.name || (row.session !== null && row.isOwnSession);
  return desiredService(
    row.subject,
    {
      kind: row.kind,
      isFurther: row.isFurther,
      nasName: nas.name,
      answers: nas.answers,
      belongs,
      needsAddress: nas.needsAddress,
      words: nas.words,
      session: row.session,
      isOwnPool,
    },
    rates,
    nowMs,
  );
}

/** A session of which nothing was ever tried is as its Accept said. */
function knownOf(row: Enforcement, nas: CommandedNas, { data }: DesiredService): KnownService {
  const { known, session, subject } = row;
  const isNew = row.state === 'new' && known.applied === null && known.attempted.length === 0;
  if (row.kind !== 'session' || !isNew || session === null || data === null) return known;
  return knownFromClass(session.policyHash, subject, nas.answers, data.key);
}

/** A row that was made for another kind of profile. Its entries cannot be commanded any more; they are shown until somebody takes them away. */
function lookAtStray(row: Enforcement): Look {
  if (!row.mayBePresent) return { step: 'end' };
  return writeIfNews(row, {
    ...unchanged(row),
    state: 'parked',
    dueAtMs: null,
    lastError: 'the profile of this NAS puts no entries any more',
  });
}

/** An entry that is proven gone and not wanted, or was never there and never will be. */
function isDoneWith(
  { kind, mayBePresent: wasTried }: Enforcement,
  { state, because }: DesiredService,
  known: KnownService,
): boolean {
  if (kind === 'session' || state.present) return false;
  if (because.kind !== 'deleted' && because.kind !== 'elsewhere' && because.kind !== 'no-further-entry') return false;
  return isCertainlyAbsent(known) || (!wasTried && !mayBePresent(known));
}

function lookAtFarewell(desired: DesiredService, known: KnownService): Look {
  if (isCertainlyAbsent(known)) return { step: 'end' };
  const plan = planRun('session', known, absent, { data: desired.data });
  if (plan.commands.length === 0) return { step: 'end' };
  const intent = { desired, urgency: 'neither', known, parked: null, asksFuse: false, isFarewell: true } as const;
  return { step: 'send', plan, intent };
}

/** The NAS has said that it does not know the session: it is believed once the next update has not come either, unless somebody wants it asked again. */
function lookAtGone(row: Enforcement, nas: CommandedNas, { nowMs, isForced }: LookContext): Look | undefined {
  const { goneAtMs, session } = row;
  if (goneAtMs === null || session === null || row.kind !== 'session') return undefined;
  if (session.lastReceivedAtMs > goneAtMs) return undefined;
  const dueAtMs = goneDueAtMs(session, nas, goneAtMs);
  if (nowMs >= dueAtMs) return { step: 'close-session' };
  return isForced ? undefined : writeIfNews(row, { ...unchanged(row), dueAtMs });
}

/** Its word proves nothing any more, and it is told again: the first time at once, then ever more slowly. */
function lookAtDisproof(
  row: Enforcement,
  desired: DesiredService,
  known: KnownService,
  { nowMs }: Pick<LookContext, 'nowMs'>,
): Look {
  const times = row.disproved + 1;
  const write: EnforcementWrite = {
    ...unchanged(row),
    desired: desired.state,
    known: disproved(known),
    state: 'pending',
    dueAtMs: nowMs + pauseAfterDisproofMs(times),
    goneAtMs: null,
    lastError: `user_disconnect: ${STILL_THERE}`,
    disproved: times,
  };
  return { step: 'disproved', write };
}

/** When a session that its NAS does not know has missed an update, ms since 1970. */
export function goneDueAtMs(
  session: { readonly lastReceivedAtMs: number; readonly interimSeconds: number | null },
  nas: Pick<CommandedNas, 'goneIsCertain' | 'interimSeconds'>,
  goneAtMs: number,
): number {
  if (nas.goneIsCertain) return goneAtMs;
  const intervalMs = (session.interimSeconds ?? nas.interimSeconds) * 1000;
  return Math.max(session.lastReceivedAtMs + intervalMs * GONE_INTERVALS, goneAtMs + 1000);
}

function lookAtService(
  row: Enforcement,
  nas: CommandedNas,
  desired: DesiredService,
  known: KnownService,
  context: LookContext,
): Look {
  const parked = stillParked(row, desired.state, context.isForced);
  const aim = parked?.what === 'rate' ? withRate(desired.state, rateInstead(known, parked.rate)) : desired.state;
  const whole = planRun(row.kind, known, aim, desired.planOptions);
  const plan = parked?.what === 'rate' ? withoutRate(whole, parked.rate) : whole;
  const resting = {
    ...unchanged(row),
    desired: desired.state,
    known,
    mayBePresent: mayBePresent(known),
    dueAtMs: lookAgainAtMs(row, known, desired.recheckAtMs, nas.interimSeconds, context.nowMs),
    parked,
    goneAtMs: null,
  };
  if (plan.commands.length === 0) {
    const state: EnforcementState = parked === null ? 'converged' : 'parked';
    const cleared = parked === null ? { attempts: 0, lastError: null, fusePassed: false } : {};
    return writeIfNews(row, { ...resting, ...cleared, state });
  }
  if (nas.driver === undefined) return writeIfNews(row, { ...resting, state: 'observed', attempts: 0 });
  if (parked?.what === 'state') return writeIfNews(row, { ...resting, state: 'parked' });
  const isSameWish = row.desired !== null && sameState(row.desired, desired.state);
  if (!context.isForced && isSameWish && row.state === 'pending' && row.dueAtMs !== null && row.dueAtMs > context.nowMs)
    return { step: 'none' };
  const tendency = tendencyOf(known, desired);
  const asksFuse = tendency === 'tightening' && !(isSameWish && row.fusePassed);
  return {
    step: 'send',
    plan,
    intent: { desired, urgency: urgencyOf(plan, tendency), known, parked, asksFuse, isFarewell: false },
  };
}

/** What was tried once and refused is still a restriction, though it takes nothing a second time. */
function urgencyOf({ commands }: CommandPlan, tendency: Tendency): Tendency {
  if (tendency !== 'neither') return tendency;
  const isMove = commands.some(({ name }) => name === 'user_add');
  return !isMove && commands.some(({ name }) => RESTRICTIONS.has(name)) ? 'tightening' : 'neither';
}

/** What the row already is. */
export function unchanged(row: Enforcement): EnforcementWrite {
  return {
    id: row.id,
    generation: row.generation,
    isAttempt: false,
    desired: row.desired,
    known: row.known,
    mayBePresent: row.mayBePresent,
    state: row.state,
    attempts: row.attempts,
    fusePassed: row.fusePassed,
    dueAtMs: row.dueAtMs,
    parked: row.parked,
    goneAtMs: row.goneAtMs,
    lastOutcome: row.lastOutcome,
    lastError: row.lastError,
    disproved: row.disproved,
  };
}

function writeIfNews(row: Enforcement, write: EnforcementWrite): Look {
  const isNews = JSON.stringify(write) !== JSON.stringify(unchanged(row));
  return isNews ? { step: 'write', write } : { step: 'none' };
}

/** What stays refused: the same rate, or the same state. */
function stillParked({ parked }: Enforcement, desired: ServiceState, isForced: boolean): Parked {
  if (parked === null || isForced) return null;
  if (parked.what === 'state') return sameState(parked.state, desired) ? parked : null;
  return desired.present && sameRate(parked.rate, desired.rate) ? parked : null;
}

/** The rate that a NAS has which refused another. Never the refused one: it would count as had once the rest is done. */
function rateInstead({ applied, attempted }: KnownService, refused: ServiceRate): ServiceRate {
  const states = [...attempted, ...(applied === null ? [] : [applied.state])].filter(isPresent).reverse();
  const candidates = [...states.map(({ rate }) => rate), { downBps: null, upBps: null }];
  return candidates.find((rate) => !sameRate(rate, refused)) ?? { downBps: 1, upBps: 1 };
}

function isPresent(state: ServiceState): state is PresentService {
  return state.present;
}

function withRate(state: ServiceState, rate: ServiceRate): ServiceState {
  return state.present ? { ...state, rate } : state;
}

/**
 * The plan without the rate that the NAS refused, so that everything behind it is done all the same. Which rate it has then is as unknown as before: any
 * that was tried, the refused one too, for a refusal may come after some steps, and none where the entry is new.
 */
function withoutRate(plan: CommandPlan, refused: ServiceRate): CommandPlan {
  const commands = plan.commands.filter(({ name }) => name !== 'user_rate_set' && name !== 'user_rate_set_cancel');
  if (commands.length === 0) return { ...plan, commands, tried: plan.before };
  const had = mayHold(plan.before).flatMap((state) => (state.present ? [state.rate] : []));
  return { ...plan, commands, otherRates: [...had, refused, { downBps: null, upBps: null }] };
}
