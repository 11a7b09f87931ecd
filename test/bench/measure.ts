/**
 * One round of one side, and what many rounds say together. Enters: a side and what to send. Leaves: rates, times, losses, processor time per
 * answer, memory. Invariant: what a side owes when the last answer is in (records not applied yet) is waited for, timed, and paid from the
 * same account.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { SharedSecret } from '../../src/radius/shared-secret.js';
import { waitFor } from '../support/deadline.js';
import type { Databases } from './databases.js';
import type { Drive, DriveResult, LoadGenerator } from './load-generator.js';
import { bindToProcessors, cpuSeconds, residentOctets } from './process-cost.js';
import type { Side } from './sides.js';

/** What is applied after a round must be in within this, ms. */
const DRAIN_TIMEOUT_MS = 300_000;
/** How often that is asked, ms. */
const LOOK_MS = 100;

/** What all kinds of work share. */
export interface Bench {
  readonly generator: LoadGenerator;
  readonly databases: Databases;
  readonly secret: SharedSecret;
  /** For files. */
  readonly folder: string;
  /** Server and PostgreSQL on the first processor, generator on the second. */
  isPinned: boolean;
}

/** One round of one side. */
export interface Round {
  readonly result: DriveResult;
  readonly perSecond: number;
  /** Processor time of the side, and of PostgreSQL, for each answer, µs. */
  readonly sideCpuUs: number;
  readonly postgresCpuUs: number;
  readonly residentOctets: number;
  /** From the last answer until everything that was acknowledged was applied, s. */
  readonly lagSeconds: number;
}

/** Drives a side once. */
export async function measure(
  bench: Bench,
  side: Side,
  drive: Omit<Drive, 'port' | 'processor'> & { readonly port: number },
): Promise<Round> {
  const { databases, generator, isPinned } = bench;
  const postgres = databases.postgres.pid!;
  await databases.checkpoint();
  if (isPinned) for (const pid of [side.pid, postgres]) await bindToProcessors(pid, '0');
  const sideBefore = await cpuSeconds(side.pid);
  const postgresBefore = await cpuSeconds(postgres);
  const result = await generator.drive({ ...drive, ...(isPinned ? { processor: 1 } : {}) });
  const lagSeconds = await drained(side);
  // Paid by this side, but not timed: nobody waits for it, and it must not run on while the next side is measured.
  if ((await side.unsettled()) > 0) await zero(`${side.name} to be at rest`, side.unsettled);
  const sideCpu = (await cpuSeconds(side.pid)) - sideBefore;
  const postgresCpu = (await cpuSeconds(postgres)) - postgresBefore;
  const answers = Math.max(1, result.answered);
  return {
    result,
    perSecond: result.seconds > 0 ? result.answeredInTime / result.seconds : 0,
    sideCpuUs: (sideCpu / answers) * 1e6,
    postgresCpuUs: (postgresCpu / answers) * 1e6,
    residentOctets: await residentOctets(side.pid),
    lagSeconds,
  };
}

async function drained(side: Side): Promise<number> {
  const beganAtMs = performance.now();
  if ((await side.lag()) === 0) return 0;
  await zero(`${side.name} to apply what it acknowledged`, side.lag);
  return (performance.now() - beganAtMs) / 1000;
}

async function zero(what: string, count: () => Promise<number>): Promise<void> {
  await waitFor(what, DRAIN_TIMEOUT_MS, async () => {
    await pause(LOOK_MS);
    return (await count()) === 0;
  });
}

/** Many rounds of one side of one kind of work. */
export interface Row {
  readonly side: string;
  readonly rounds: number;
  readonly perSecond: number;
  readonly slowestPerSecond: number;
  readonly fastestPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  readonly repeated: number;
  readonly wrong: number;
  readonly sideCpuUs: number;
  readonly postgresCpuUs: number;
  readonly residentOctets: number;
  readonly lagSeconds: number;
  /** Share of its processor that the generator used. */
  readonly generatorLoad: number;
}

/** Medians over rounds; counts are sums, lag and memory the worst. */
export function rowOf(side: string, rounds: readonly Round[]): Row {
  const middle = (pick: (round: Round) => number): number => median(rounds.map(pick));
  const sum = (pick: (round: Round) => number): number => rounds.reduce((total, round) => total + pick(round), 0);
  const rates = rounds.map((round) => round.perSecond);
  return {
    side,
    rounds: rounds.length,
    perSecond: median(rates),
    slowestPerSecond: Math.min(...rates),
    fastestPerSecond: Math.max(...rates),
    p50Ms: middle((round) => round.result.p50Us) / 1000,
    p99Ms: middle((round) => round.result.p99Us) / 1000,
    sent: sum((round) => round.result.sent),
    answered: sum((round) => round.result.answered),
    lost: sum((round) => round.result.lost),
    repeated: sum((round) => round.result.repeated),
    wrong: sum((round) => round.result.wrong),
    sideCpuUs: middle((round) => round.sideCpuUs),
    postgresCpuUs: middle((round) => round.postgresCpuUs),
    residentOctets: Math.max(...rounds.map((round) => round.residentOctets)),
    lagSeconds: Math.max(...rounds.map((round) => round.lagSeconds)),
    generatorLoad: middle((round) => round.result.generatorCpuSeconds / Math.max(0.001, round.result.seconds)),
  };
}

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
}
