/**
 * How fast a subscriber is at an instant. Enters: the plan with its hours of day, the turbo rate, the time zone, an instant. Leaves: the rate, and
 * when it may be another. Invariants: the rate stays the same until the instant that is told; hours of day are those that a
 * clock on the wall shows, also on the days on which it is put forward or back; what a plan costs to judge is paid once per change.
 */
import { Temporal } from 'temporal-polyfill';

/** A rate of a plan at some hours of some weekdays. bit/s; undefined is unlimited. */
export interface RateWindow {
  readonly id: number;
  /** ISO 8601: 1 is Monday, 7 Sunday. The day on which the window begins. */
  readonly weekdays: readonly number[];
  /** Minute of the day, 0 to 1439: from its beginning. */
  readonly fromMinute: number;
  /** Minute of the day, 1 to 1440: until its beginning. At or below `fromMinute` it is one of the next day. */
  readonly untilMinute: number;
  readonly rateDownBps: number | undefined;
  readonly rateUpBps: number | undefined;
}

/** A rate of one subscriber that goes before that of the plan. bit/s; a direction that is undefined stays as the plan has it. */
export interface Turbo {
  readonly rateDownBps: number | undefined;
  readonly rateUpBps: number | undefined;
  /** Before this instant (ms since 1970); undefined: until it is taken away. */
  readonly untilMs: number | undefined;
}

/** bit/s; undefined is unlimited. */
export interface EffectiveRate {
  readonly rateDownBps: number | undefined;
  readonly rateUpBps: number | undefined;
  /** The rate stays as it is before this instant (ms since 1970); null: for as long as nobody changes a row. */
  readonly changesAtMs: number | null;
}

/** What a plan's rate is made of. bit/s; undefined is unlimited. */
export interface RatedPlan {
  readonly rateDownBps: number | undefined;
  readonly rateUpBps: number | undefined;
  readonly rateWindows?: readonly RateWindow[] | undefined;
}

const MINUTES_PER_DAY = 1_440;

/**
 * How far ahead a change is looked for, days. Two weeks: a window that falls into the hour which the clock skips this Sunday is there again the next. A
 * plan in which nothing changes for so long is asked again then.
 */
const HORIZON_DAYS = 14;

/** Time zones change their clocks some twice a year; this many in two weeks is a zone that makes no sense. */
const MAX_TRANSITIONS = 8;

const unlimited: EffectiveRate = { rateDownBps: undefined, rateUpBps: undefined, changesAtMs: null };

interface Judged {
  readonly fromMs: number;
  readonly rate: EffectiveRate;
}

/** Judges rates in one time zone. */
export class RateClock {
  readonly #timeZone: string;
  readonly #judged = new WeakMap<RatedPlan, Judged>();

  /** @param timeZone IANA name, as the configuration has it */
  constructor(timeZone: string) {
    this.#timeZone = timeZone;
  }

  /**
   * The rate of a subscriber: turbo over the plan's hours of day over the plan. Of several windows the narrowest counts, then the lowest id.
   *
   * @param nowMs ms since 1970
   */
  rateAt(plan: RatedPlan | undefined, turbo: Turbo | undefined, nowMs: number): EffectiveRate {
    const ofPlan = plan === undefined ? unlimited : this.#planRateAt(plan, nowMs);
    if (turbo === undefined || !isTurboOn(turbo, nowMs)) return ofPlan;
    const { rateDownBps, rateUpBps, untilMs } = turbo;
    const hidesPlan = rateDownBps !== undefined && rateUpBps !== undefined;
    return {
      rateDownBps: rateDownBps ?? ofPlan.rateDownBps,
      rateUpBps: rateUpBps ?? ofPlan.rateUpBps,
      changesAtMs: earliest(untilMs ?? null, hidesPlan ? null : ofPlan.changesAtMs),
    };
  }

  #planRateAt(plan: RatedPlan, nowMs: number): EffectiveRate {
    const judged = this.#judged.get(plan);
    if (judged !== undefined && nowMs >= judged.fromMs && nowMs < (judged.rate.changesAtMs ?? Infinity))
      return judged.rate;
    const rate = judgePlan(plan, this.#timeZone, nowMs);
    this.#judged.set(plan, { fromMs: rate.changesAtMs === null ? -Infinity : nowMs, rate });
    return rate;
  }
}

/** Whether a turbo rate counts. One that names no rate is none. */
function isTurboOn(turbo: Turbo, nowMs: number): boolean {
  if (turbo.rateDownBps === undefined && turbo.rateUpBps === undefined) return false;
  return turbo.untilMs === undefined || nowMs < turbo.untilMs;
}

/** Every rate that a plan and a turbo rate may come to at some hour; equal ones stand for themselves. */
export function possibleRates(
  plan: RatedPlan | undefined,
  turbo: Turbo | undefined,
): readonly Omit<EffectiveRate, 'changesAtMs'>[] {
  const ofPlan = plan === undefined ? [unlimited] : [plan, ...(plan.rateWindows ?? [])];
  if (turbo === undefined) return ofPlan;
  const ofTurbo = ofPlan.map((rate) => ({
    rateDownBps: turbo.rateDownBps ?? rate.rateDownBps,
    rateUpBps: turbo.rateUpBps ?? rate.rateUpBps,
  }));
  return [...ofPlan, ...ofTurbo];
}

function earliest(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.min(one, other);
}

function judgePlan(plan: RatedPlan, timeZone: string, nowMs: number): EffectiveRate {
  const windows = plan.rateWindows ?? [];
  if (windows.length === 0) return { rateDownBps: plan.rateDownBps, rateUpBps: plan.rateUpBps, changesAtMs: null };
  const now = Temporal.Instant.fromEpochMilliseconds(Math.floor(nowMs)).toZonedDateTimeISO(timeZone);
  const { rateDownBps, rateUpBps } = rateOnTheWall(plan, windows, now);
  const boundaries = boundaryMinutes(windows);
  const transitions = clockChanges(now);
  for (let day = 0; day <= HORIZON_DAYS; day++) {
    const date = now.toPlainDate().add({ days: day });
    for (const atMs of instantsOf(date, boundaries, transitions, timeZone)) {
      if (atMs <= nowMs) continue;
      const then = Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timeZone);
      const rate = rateOnTheWall(plan, windows, then);
      if (rate.rateDownBps !== rateDownBps || rate.rateUpBps !== rateUpBps)
        return { rateDownBps, rateUpBps, changesAtMs: atMs };
    }
  }
  const horizonMs = now.startOfDay().add({ days: HORIZON_DAYS }).epochMilliseconds;
  return { rateDownBps, rateUpBps, changesAtMs: horizonMs };
}

type Rate = Pick<EffectiveRate, 'rateDownBps' | 'rateUpBps'>;

/** The rate while a clock in the zone shows this. */
function rateOnTheWall(plan: Rate, windows: readonly RateWindow[], wall: Temporal.ZonedDateTime): Rate {
  const minute = wall.hour * 60 + wall.minute;
  let best: RateWindow | undefined;
  for (const window of windows) {
    if (!covers(window, wall.dayOfWeek, minute)) continue;
    if (best === undefined || widthOf(window) < widthOf(best)) best = window;
    else if (widthOf(window) === widthOf(best) && window.id < best.id) best = window;
  }
  return best ?? plan;
}

function covers(window: RateWindow, weekday: number, minute: number): boolean {
  const { fromMinute, untilMinute, weekdays } = window;
  if (untilMinute > fromMinute) return weekdays.includes(weekday) && minute >= fromMinute && minute < untilMinute;
  if (minute >= fromMinute) return weekdays.includes(weekday);
  const dayBefore = weekday === 1 ? 7 : weekday - 1;
  return minute < untilMinute && weekdays.includes(dayBefore);
}

/** Minutes from the beginning to the end of a window. */
function widthOf({ fromMinute, untilMinute }: RateWindow): number {
  return untilMinute > fromMinute ? untilMinute - fromMinute : untilMinute - fromMinute + MINUTES_PER_DAY;
}

/** The minutes of the day at which any window begins or ends; midnight too, at which the weekday changes. */
function boundaryMinutes(windows: readonly RateWindow[]): readonly number[] {
  const minutes = new Set([0]);
  for (const { fromMinute, untilMinute } of windows) minutes.add(fromMinute).add(untilMinute % MINUTES_PER_DAY);
  return [...minutes];
}

/** When the clocks of the zone are put forward or back within the horizon. */
function clockChanges(now: Temporal.ZonedDateTime): readonly Temporal.ZonedDateTime[] {
  const end = now.add({ days: HORIZON_DAYS + 1 });
  const changes: Temporal.ZonedDateTime[] = [];
  let next = now.getTimeZoneTransition('next');
  while (next !== null && changes.length < MAX_TRANSITIONS && Temporal.ZonedDateTime.compare(next, end) <= 0) {
    changes.push(next);
    next = next.getTimeZoneTransition('next');
  }
  return changes;
}

/**
 * The instants of a day at which the rate may change, in order. An hour that a day has twice gives two; for one that it
 * skips the change of the clock stands, at which everything that lies in it happens.
 */
function instantsOf(
  date: Temporal.PlainDate,
  minutes: readonly number[],
  changes: readonly Temporal.ZonedDateTime[],
  timeZone: string,
): readonly number[] {
  const instants = new Set<number>();
  for (const change of changes) {
    const before = change.subtract({ nanoseconds: 1 });
    const isToday = change.toPlainDate().equals(date) || before.toPlainDate().equals(date);
    if (isToday) instants.add(change.epochMilliseconds);
  }
  for (const minute of minutes) {
    const wall = date.toPlainDateTime({ hour: Math.floor(minute / 60), minute: minute % 60 });
    for (const disambiguation of EITHER_TIME) {
      const at = wall.toZonedDateTime(timeZone, { disambiguation });
      if (at.toPlainDateTime().equals(wall)) instants.add(at.epochMilliseconds);
    }
  }
  return [...instants].sort((a, b) => a - b);
}

/** Equal on all days but one or two of a year. */
const EITHER_TIME = ['earlier', 'later'] as const;
