/**
 * Accounting. Enters: sides, how long. Leaves: rows of rounds at a rate that must be kept up with, and of a burst. Invariant: the stream of a side goes on
 * where it stopped, and every packet tells the session time that is true when it is sent.
 */
import { join } from 'node:path';
import { Code } from '../../src/radius/code.js';
import { checkAccounting } from './accounting-check.js';
import { checkSamples } from './answer-check.js';
import { measure, rowOf, type Bench, type Round } from './measure.js';
import { identifierOf, writePacketFile } from './packet-file.js';
import { accountingPacket, accountingStep, liveSessions, type AccountingMix } from './packets.js';
import type { Side } from './sides.js';
import type { BuiltRequest } from '../support/radius-client.js';
import { inTurn, SAMPLE_EVERY, WARM_UP_SECONDS, WINDOW, type Extent, type Outcome, type Tell } from './works.js';

/** More packets than any side answers in a second, for who has not been measured yet. */
const FASTEST_PER_SECOND = 30_000;
/** Packets are made for so many times what a side did before. */
const ROOM = 2.5;
/** After a power cut everybody speaks at once. */
const BURST_WINDOW = 1024;
/** Fewer at once while warming up, so that nobody begins with a backlog. */
const WARM_UP_WINDOW = 32;
/** How late acknowledged accounting may be applied when a round ends, s. */
export const LAG_SECONDS = 2;
/** What Sluice is offered first, in multiples of what the others sustain, and how that changes. */
const FIRST_MULTIPLE = 5.5;
const MORE = 1.2;
const LESS = 0.8;

function keptUp({ result, lagSeconds }: Round): boolean {
  return result.lost === 0 && lagSeconds <= LAG_SECONDS;
}

interface AccountingDrive {
  readonly seconds?: number;
  readonly count?: number;
  readonly window?: number;
  readonly ratePerSecond?: number;
  readonly samples?: string;
}

/** One side's way through the stream. */
class Stream {
  /** The next packet. */
  cursor = 0;
  /** Answers per second in the last drive. */
  private perSecond = FASTEST_PER_SECOND / ROOM;
  /** When sessions began, ms since 1970. */
  private readonly startedAtMs = new Map<number, number>();
  private first = 0;
  private madeAtMs = 0;

  constructor(
    private readonly bench: Bench,
    private readonly mix: AccountingMix,
    readonly side: Side,
  ) {}

  /** The packet at a place of the present file. */
  packet(place: number): BuiltRequest {
    const step = accountingStep(this.mix, this.first + place);
    const startedAtMs = this.startedAtMs.get(step.session) ?? this.madeAtMs;
    const sessionSeconds = Math.round((this.madeAtMs - startedAtMs) / 1000) + step.step;
    return accountingPacket(this.mix, this.bench.secret, step, identifierOf(place), sessionSeconds);
  }

  async drive(drive: AccountingDrive): Promise<Round> {
    const packets = join(this.bench.folder, 'accounting.packets');
    const rate = drive.ratePerSecond ?? this.perSecond * ROOM;
    const count = drive.count ?? Math.ceil(rate * (drive.seconds ?? 0)) + WINDOW;
    this.first = this.cursor;
    this.madeAtMs = Date.now();
    await writePacketFile(packets, count, (place) => this.packet(place).bytes, Code.accountingResponse);
    const beganAtMs = Date.now();
    const { samples, ...rest } = drive;
    const round = await measure(this.bench, this.side, {
      packets,
      port: this.side.accountingPort,
      window: WINDOW,
      ...rest,
      ...(samples === undefined ? {} : { samples, sampleEvery: SAMPLE_EVERY }),
    });
    const sent = round.result.next;
    if (samples !== undefined)
      await checkSamples(
        this.side.name,
        samples,
        (place) => this.packet(place),
        () => undefined,
      );
    for (let place = 0; place < sent; place++) {
      const { session, step } = accountingStep(this.mix, this.first + place);
      if (step === 0) this.startedAtMs.set(session, beganAtMs + (round.result.seconds * 1000 * place) / sent);
    }
    this.cursor += sent;
    this.perSecond = Math.max(round.perSecond, 1_000);
    return round;
  }
}

/** Starts, Interim-Updates and Stops, and a burst. */
export class AccountingWork {
  private readonly streams: ReadonlyMap<Side, Stream>;

  constructor(
    private readonly bench: Bench,
    private readonly mix: AccountingMix,
    private readonly sides: readonly Side[],
    private readonly tell: Tell,
  ) {
    this.streams = new Map(sides.map((side) => [side, new Stream(bench, mix, side)]));
  }

  /** Brings every side to the state that it keeps: all sessions live, everything warm. */
  private async prepare(): Promise<void> {
    for (const stream of this.streams.values()) {
      if (stream.cursor > 0) continue;
      await stream.drive({ count: liveSessions(this.mix) });
      await stream.drive({ seconds: WARM_UP_SECONDS, window: WARM_UP_WINDOW });
    }
  }

  /**
   * Rounds in turn. The others run in a closed loop. Sluice, which acknowledges before it applies, gets a fixed rate instead, a multiple of what
   * the other has just sustained: more in the next round when it kept up, less when it did not.
   */
  async run(extent: Extent): Promise<Outcome> {
    await this.prepare();
    const samples = join(this.bench.folder, 'accounting.samples');
    const [sluice, ...others] = this.sides;
    let multiple = FIRST_MULTIPLE;
    let sustained = 0;
    const ours: Round[] = [];
    const rows = await inTurn([...others, sluice!], extent.rounds, this.tell, async (side) => {
      const isOurs = side === sluice;
      const round = await this.streams.get(side)!.drive({
        seconds: extent.secondsPerRound,
        samples,
        ...(isOurs && others.length > 0 ? { ratePerSecond: Math.round(sustained * multiple) } : {}),
      });
      if (!isOurs) sustained = round.perSecond;
      else {
        ours.push(round);
        if (!keptUp(round)) multiple *= LESS;
        else if (round.lagSeconds < LAG_SECONDS / 2) multiple *= MORE;
      }
      return round;
    });
    const kept = ours.filter(keptUp);
    const checks = [
      `One answer in ${String(SAMPLE_EVERY)} was opened: its Response Authenticator is right`,
      `Sluice kept up (nothing lost, all applied within ${String(LAG_SECONDS)} s) in ${String(kept.length)} of ${String(ours.length)} rounds; its row is of those`,
    ];
    for (const [side, { cursor }] of this.streams)
      checks.push(await checkAccounting(this.bench.databases, this.mix, side, cursor));
    return { rows: [rowOf(sluice!.name, kept.length > 0 ? kept : ours), ...rows.slice(0, -1)], checks };
  }

  /** As much as is answered, for a while; what is not applied yet may wait. */
  async burst(seconds: number): Promise<Outcome> {
    const rows = await inTurn(this.sides, 1, this.tell, (side) =>
      this.streams.get(side)!.drive({ seconds, window: BURST_WINDOW }),
    );
    return { rows, checks: [] };
  }
}
