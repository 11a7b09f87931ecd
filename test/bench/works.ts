/**
 * The kinds of work. Enters: a bench, the sides, how long. Leaves: rows, and what was checked. Invariants: within a kind all sides get the same
 * packets from the same generator in turn (A B C, A B C, …); rounds continue where the side stopped, where the work has a memory.
 */
import { join } from 'node:path';
import { Code } from '../../src/radius/code.js';
import { acceptFault, checkSamples, checkUnique } from './answer-check.js';
import { checkAccounting } from './accounting-check.js';
import type { DriveResult } from './load-generator.js';
import { measure, rowOf, type Bench, type Round, type Row } from './measure.js';
import { identifierOf, writePacketFile } from './packet-file.js';
import { accountingPacket, LIVE_SESSIONS, papRequest, poolRequest } from './packets.js';
import type { Side } from './sides.js';
import { STATIC_SUBSCRIBERS, staticPerson } from './world.js';

/** Requests without an answer at once: what a busy NAS or a few of them have on their way. */
const WINDOW = 256;
/** More packets than any side answers in a second. */
const FASTEST_PER_SECOND = 50_000;
const FASTEST_ACCOUNTING_PER_SECOND = 30_000;
/** Before the first round, so that compilers, caches and connections are warm. */
const WARM_UP_SECONDS = 1.5;
/** After a power cut everybody speaks at once. */
const BURST_WINDOW = 1024;
/** Fewer at once there, so that nobody begins with a backlog. */
const WARM_UP_WINDOW = 32;
/** The generator keeps one answer in so many for a whole check. */
const SAMPLE_EVERY = 200;

/** How late acknowledged accounting may be applied when a round ends, s. */
export const LAG_SECONDS = 2;
/** What Sluice is offered first, in multiples of what the others sustain, and how that changes. */
const FIRST_MULTIPLE = 5.5;
const MORE = 1.2;
const LESS = 0.8;

function keptUp({ result, lagSeconds }: Round): boolean {
  return result.lost === 0 && lagSeconds <= LAG_SECONDS;
}

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

type Tell = (line: string) => void;

/** Rounds in turn: first, second, third side, and again. */
async function inTurn(
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

/** Where each side is in the stream of accounting. */
export type Cursors = Map<Side, number>;

/** Starts, Interim-Updates and Stops, and a burst. */
export class AccountingWork {
  private readonly cursors: Cursors = new Map();
  private readonly packets: string;

  constructor(
    private readonly bench: Bench,
    private readonly sides: readonly Side[],
    private readonly tell: Tell,
  ) {
    this.packets = join(bench.folder, 'accounting.packets');
  }

  /** Writes the stream and brings every side to the state that it keeps: all sessions live. @param extents everything that will be run */
  async prepare(extents: readonly Extent[]): Promise<void> {
    const { secret } = this.bench;
    const seconds = extents.reduce((sum, one) => sum + one.rounds * one.secondsPerRound + one.burstSeconds, 0);
    const count = LIVE_SESSIONS + Math.ceil(FASTEST_ACCOUNTING_PER_SECOND * (seconds + WARM_UP_SECONDS));
    await writePacketFile(
      this.packets,
      count,
      (index) => accountingPacket(secret, index).bytes,
      Code.accountingResponse,
    );
    for (const side of this.sides) {
      await this.drive(side, { first: 0, count: LIVE_SESSIONS });
      await this.drive(side, { seconds: WARM_UP_SECONDS, window: WARM_UP_WINDOW });
    }
  }

  /**
   * Rounds in turn. The others run in a closed loop. Sluice, which acknowledges before it applies, gets a fixed rate instead, a multiple of what
   * the slowest of the others has just sustained: more in the next round when it kept up, less when it did not.
   */
  async run(extent: Extent): Promise<Outcome> {
    const samples = join(this.bench.folder, 'accounting.samples');
    const [sluice, ...others] = this.sides;
    let checked = 0;
    let multiple = FIRST_MULTIPLE;
    let sustained = 0;
    const ours: Round[] = [];
    const rows = await inTurn([...others, sluice!], extent.rounds, this.tell, async (side) => {
      const isOurs = side === sluice;
      const ratePerSecond = isOurs && others.length > 0 ? { ratePerSecond: Math.round(sustained * multiple) } : {};
      const drive = { seconds: extent.secondsPerRound, samples, sampleEvery: SAMPLE_EVERY, ...ratePerSecond };
      const round = await this.drive(side, drive);
      if (isOurs) {
        ours.push(round);
        if (!keptUp(round)) multiple *= LESS;
        else if (round.lagSeconds < LAG_SECONDS / 2) multiple *= MORE;
      } else sustained = round.perSecond;
      checked += await checkSamples(
        side.name,
        samples,
        (packet) => accountingPacket(this.bench.secret, packet),
        () => undefined,
      );
      return round;
    });
    const kept = ours.filter(keptUp);
    const checks = [
      `${String(checked)} answers had the right Response Authenticator`,
      `Sluice kept up (nothing lost, all applied within ${String(LAG_SECONDS)} s) in ${String(kept.length)} of ${String(ours.length)} rounds; its row is of those`,
    ];
    for (const side of this.sides)
      checks.push(await checkAccounting(this.bench.databases, side, this.cursors.get(side)!));
    return { rows: [rowOf(sluice!.name, kept.length > 0 ? kept : ours), ...rows.slice(0, -1)], checks };
  }

  /** As much as is answered, for a while; what is not applied yet may wait. */
  async burst(seconds: number): Promise<Outcome> {
    const rows = await inTurn(this.sides, 1, this.tell, (side) => this.drive(side, { seconds, window: BURST_WINDOW }));
    return { rows, checks: [] };
  }

  private async drive(side: Side, drive: Partial<Parameters<typeof measure>[2]>): Promise<Round> {
    const first = this.cursors.get(side) ?? 0;
    const round = await measure(this.bench, side, {
      packets: this.packets,
      port: side.accountingPort,
      window: WINDOW,
      first,
      ...drive,
    });
    this.cursors.set(side, (round.result satisfies DriveResult).next);
    return round;
  }
}
