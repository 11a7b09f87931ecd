/**
 * The kinds of work. Enters: a bench, the sides, how long. Leaves: rows, and what was checked. Invariants: within a kind all sides get the same
 * packets from the same generator in turn (A B C, A B C, …); rounds continue where the side stopped, where the work has a memory.
 */
import { join } from 'node:path';
import { Code } from '../../src/radius/code.js';
import { acceptFault, checkSamples, checkUnique } from './answer-check.js';
import { measure, rowOf, type Bench, type Round, type Row } from './measure.js';
import { identifierOf, writePacketFile } from './packet-file.js';
import { papRequest, poolRequest } from './packets.js';
import type { Side } from './sides.js';
import { STATIC_SUBSCRIBERS, staticPerson } from './world.js';

/** Requests without an answer at once: what a busy NAS or a few of them have on their way. */
export const WINDOW = 256;
/** More packets than any side answers in a second. */
const FASTEST_PER_SECOND = 50_000;
/** Before the first round, so that compilers, caches and connections are warm. */
export const WARM_UP_SECONDS = 1.5;
/** The generator keeps one answer in so many for a whole check. */
export const SAMPLE_EVERY = 200;

/** How long to measure. */
export interface Extent {
  readonly rounds: number;
  readonly secondsPerRound: number;
  /** Seconds of an accounting burst; 0: none. */
  readonly burstSeconds: number;
}

/** What a kind of work came to. */
export interface Outcome {
  readonly rows: readonly Row[];
  /** One sentence for each thing that was verified. */
  readonly checks: readonly string[];
}

/** Says how it goes. */
export type Tell = (line: string) => void;

/** Rounds in turn: first, second, third side, and again. */
export async function inTurn(
  sides: readonly Side[],
  rounds: number,
  tell: Tell,
  round: (side: Side, number: number) => Promise<Round>,
): Promise<Row[]> {
  const results = new Map<Side, Round[]>(sides.map((side) => [side, []]));
  for (let number = 0; number < rounds; number++) {
    for (const side of sides) {
      const one = await round(side, number);
      results.get(side)!.push(one);
      tell(`  round ${String(number + 1)}  ${side.name.padEnd(24)} ${describe(one)}`);
    }
  }
  return sides.map((side) => rowOf(side.name, results.get(side)!));
}

function describe({ perSecond, result, sideCpuUs, postgresCpuUs, lagSeconds }: Round): string {
  const lag = lagSeconds > 0 ? `, applied ${lagSeconds.toFixed(2)} s later` : '';
  return (
    `${String(Math.round(perSecond)).padStart(6)}/s, p50 ${(result.p50Us / 1000).toFixed(1)} ms, p99 ${(result.p99Us / 1000).toFixed(1)} ms, ` +
    `lost ${String(result.lost)}, CPU ${sideCpuUs.toFixed(0)} + ${postgresCpuUs.toFixed(0)} µs${lag}`
  );
}

/** Datagrams out and back: what the sockets and the generator allow. */
export async function runEcho(bench: Bench, sides: readonly Side[], extent: Extent, tell: Tell): Promise<Outcome> {
  const packets = join(bench.folder, 'echo.packets');
  const count = Math.ceil(FASTEST_PER_SECOND * 10 * extent.secondsPerRound);
  const few = Array.from({ length: STATIC_SUBSCRIBERS }, (_, index) => papRequest(bench.secret, index).bytes);
  await writePacketFile(
    packets,
    count,
    (index) => {
      const bytes = few[index % few.length]!;
      bytes[1] = identifierOf(index);
      return bytes;
    },
    Code.accessRequest,
  );
  const rows = await inTurn(sides, extent.rounds, tell, (side) =>
    measure(bench, side, { packets, port: side.authPort, window: WINDOW, seconds: extent.secondsPerRound }),
  );
  return { rows, checks: [] };
}

/** PAP of subscribers with static addresses. */
export async function runPap(bench: Bench, sides: readonly Side[], extent: Extent, tell: Tell): Promise<Outcome> {
  const packets = join(bench.folder, 'pap.packets');
  const samples = join(bench.folder, 'pap.samples');
  const count = Math.ceil(FASTEST_PER_SECOND * extent.secondsPerRound);
  await writePacketFile(packets, count, (index) => papRequest(bench.secret, index).bytes, Code.accessAccept);
  const base = { packets, window: WINDOW, sampleEvery: SAMPLE_EVERY, samples };
  for (const side of sides) await bench.generator.drive({ ...base, port: side.authPort, seconds: WARM_UP_SECONDS });
  let checked = 0;
  const rows = await inTurn(sides, extent.rounds, tell, async (side) => {
    const round = await measure(bench, side, { ...base, port: side.authPort, seconds: extent.secondsPerRound });
    checked += await checkSamples(
      side.name,
      samples,
      (packet) => papRequest(bench.secret, packet),
      (reply, packet) => acceptFault(reply, staticPerson((packet % STATIC_SUBSCRIBERS) + 1).address),
    );
    return round;
  });
  return {
    rows,
    checks: [`${String(checked)} answers were opened and compared whole: authenticators, address, rate, interval`],
  };
}

/** First logins of people without an address. @param people how many there are for each side */
export async function runPool(
  bench: Bench,
  sides: readonly Side[],
  extent: Extent,
  people: number,
  tell: Tell,
  first = 0,
): Promise<Outcome & { readonly next: number }> {
  const packets = join(bench.folder, 'pool.packets');
  const samples = join(bench.folder, 'pool.samples');
  const addresses = join(bench.folder, 'pool.addresses');
  await writePacketFile(packets, people, (index) => poolRequest(bench.secret, index).bytes, Code.accessAccept);
  const base = { packets, window: WINDOW, sampleEvery: SAMPLE_EVERY, samples, addresses };
  const given = new Map<Side, Set<number>>(sides.map((side) => [side, new Set()]));
  // The first part is for warming up, the others for one round each.
  const share = Math.floor((people - first) / (extent.rounds + 1));
  for (const side of sides) {
    await bench.generator.drive({ ...base, port: side.authPort, seconds: WARM_UP_SECONDS, first, count: share });
    await checkUnique(side.name, addresses, given.get(side)!);
  }
  let checked = 0;
  const rows = await inTurn(sides, extent.rounds, tell, async (side, number) => {
    const round = await measure(bench, side, {
      ...base,
      port: side.authPort,
      seconds: extent.secondsPerRound,
      first: first + share * (number + 1),
      count: share,
    });
    checked += await checkSamples(
      side.name,
      samples,
      (packet) => poolRequest(bench.secret, packet),
      (reply) => acceptFault(reply, undefined),
    );
    await checkUnique(side.name, addresses, given.get(side)!);
    return round;
  });
  const sum = [...given.values()].reduce((total, set) => total + set.size, 0);
  return {
    rows,
    next: first + share * (extent.rounds + 1),
    checks: [
      `${String(sum)} addresses were given, none twice by one side`,
      `${String(checked)} answers were opened and compared whole`,
    ],
  };
}
