/**
 * One seeded life of a spool on a disk that fails. Enters: a seed. Leaves: what the spool promised and did not keep, as
 * sentences; none when it is sound. Invariant: the same seed lives the same life.
 *
 * The model knows every record that was offered, what was said about it, and when. After every crash, and at the end, the
 * whole spool is read on a healthy disk and compared.
 */

import { Spool } from '../../src/spool/spool.js';
import type { SpoolAlarm } from '../../src/spool/alarm.js';
import type { Position } from '../../src/spool/position.js';
import { comparePositions } from '../../src/spool/position.js';
import { segmentPath } from '../../src/spool/segment-files.js';
import type { CorruptRegion } from '../../src/spool/reader.js';
import { FaultyDisk, seededRandom, type FileCall } from '../support/faulty-files.js';
import { ManualClock } from '../support/manual-clock.js';

interface OfferedRecord {
  readonly id: number;
  readonly kind: number;
  readonly receivedAtMs: number;
  readonly payload: Buffer;
  answer: 'none' | 'durable' | 'refused';
  /** The process that it was offered to. */
  readonly process: number;
  /** It was refused, and then the same process acknowledged a later one. */
  ruledOut: boolean;
  position?: Position;
}

export interface LifeReport {
  readonly broken: string[];
  readonly acknowledged: number;
  readonly refused: number;
  readonly crashes: number;
  readonly faults: number;
}

const directory = '/spool';
const retentionMs = 60_000;
const faultyCalls: readonly FileCall[] = [
  'open',
  'write',
  'read',
  'size',
  'syncData',
  'truncate',
  'close',
  'rename',
  'unlink',
  'syncDirectory',
  'readDirectory',
];

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lives through `steps` random steps. */
export async function liveOnce(seed: number, steps = 30): Promise<LifeReport> {
  return new Life(seed).run(steps);
}

class Life {
  readonly #random: () => number;
  readonly #disk: FaultyDisk;
  readonly #clock = new ManualClock();
  readonly #segmentBytes: number;
  readonly #offered: OfferedRecord[] = [];
  readonly #broken: string[] = [];
  readonly #alarms: SpoolAlarm[] = [];
  #spool: Spool | undefined;
  /** Reader position as a database would keep it: set only after the records were taken. */
  #applied: Position | undefined;
  #lastDurable = 0;
  #crashes = 0;
  #processes = 0;
  #faults = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#disk = new FaultyDisk(this.#random);
    this.#segmentBytes = this.#chance(0.5) ? 2048 : 2048 + this.#below(20_000);
  }

  async run(steps: number): Promise<LifeReport> {
    for (let step = 0; step < steps; step += 1) {
      if (this.#spool === undefined) await this.#open();
      else await this.#step(this.#spool);
    }
    this.#healthy();
    if (this.#spool !== undefined && this.#chance(0.5)) await this.#close(this.#spool);
    this.#crash();
    await this.#verify();
    const count = (answer: OfferedRecord['answer']): number =>
      this.#offered.filter((record) => record.answer === answer).length;
    return {
      broken: this.#broken,
      acknowledged: count('durable'),
      refused: count('refused'),
      crashes: this.#crashes,
      faults: this.#faults,
    };
  }

  async #step(spool: Spool): Promise<void> {
    const dice = this.#random();
    if (dice < 0.45) {
      this.#appendBurst(spool);
      if (this.#chance(0.8)) await this.#turns();
    } else if (dice < 0.6) {
      this.#planFaults();
    } else if (dice < 0.7) {
      this.#healthy();
      this.#clock.advance(this.#below(3_000));
      await this.#turns();
    } else if (dice < 0.8) {
      await this.#apply(spool);
    } else if (dice < 0.85) {
      // Time enough for retention, and now and then for a removal that failed to be tried again.
      this.#clock.advance(this.#below(3 * retentionMs));
      await this.#apply(spool);
    } else if (dice < 0.88) {
      this.#disk.capacityBytes = this.#below(40_000);
    } else if (dice < 0.92) {
      await this.#close(spool);
    } else {
      this.#crash();
      this.#healthy();
      await this.#verify();
    }
  }

  #appendBurst(spool: Spool): void {
    for (let left = 1 + this.#below(20); left > 0; left -= 1) {
      const length = this.#chance(0.05) ? this.#below(9_000) : this.#below(300);
      const payload = Buffer.alloc(length, this.#below(256));
      const record: OfferedRecord = {
        id: this.#offered.length,
        kind: this.#below(256),
        receivedAtMs: this.#clock.nowMs(),
        payload,
        answer: 'none',
        process: this.#processes,
        ruledOut: false,
      };
      if (payload.length >= 4) payload.writeUInt32LE(record.id, 0);
      const life = this.#crashes;
      const accepted = spool.append(record.kind, record.receivedAtMs, payload, (result) => {
        if (life !== this.#crashes) this.#broken.push(`record ${record.id} was answered by a dead process`);
        if (record.answer !== 'none') this.#broken.push(`record ${record.id} was answered twice`);
        record.answer = result.ok ? 'durable' : 'refused';
        if (!result.ok) return;
        record.position = result.position;
        if (record.id < this.#lastDurable) this.#broken.push(`record ${record.id} was answered out of order`);
        this.#lastDurable = record.id;
        this.#ruleOutRefused();
        this.#checkDurable(record, result.position);
      });
      if (accepted) this.#offered.push(record);
    }
  }

  #ruleOutRefused(): void {
    for (const record of this.#offered.toReversed()) {
      if (record.process !== this.#processes) return;
      if (record.answer === 'refused') record.ruledOut = true;
    }
  }

  /** The strongest form of "the sync precedes the answer": the bytes are where no power loss can take them. */
  #checkDurable(record: OfferedRecord, position: Position): void {
    const bytes = this.#disk.durableBytes(segmentPath(directory, position.segment));
    const start = position.offset + 32;
    const found = bytes?.subarray(start, start + record.payload.length);
    if (found?.equals(record.payload) !== true) {
      this.#broken.push(`record ${record.id} was acknowledged before it was durable`);
    }
  }

  #planFaults(): void {
    const probability = this.#chance(0.3) ? 1 : this.#random() * 0.5;
    const only = this.#chance(0.6) ? faultyCalls[this.#below(faultyCalls.length)] : undefined;
    let left = 1 + this.#below(12);
    let untilCrash = this.#chance(0.4) ? 1 + this.#below(15) : Infinity;
    this.#disk.fault = (call) => {
      untilCrash -= 1;
      if (untilCrash <= 0) {
        this.#crash();
        return undefined;
      }
      if (left <= 0 || (only !== undefined && call !== only) || !faultyCalls.includes(call)) return undefined;
      if (this.#random() >= probability) return undefined;
      left -= 1;
      this.#faults += 1;
      return call === 'write' && this.#chance(0.3) ? 'short' : this.#chance(0.5) ? 'EIO' : 'ENOSPC';
    };
  }

  #healthy(): void {
    this.#disk.fault = () => undefined;
    this.#disk.capacityBytes = Infinity;
  }

  #crash(): void {
    this.#crashes += 1;
    this.#spool = undefined;
    if (this.#chance(0.3)) this.#disk.kill();
    else this.#disk.powerLoss();
  }

  /** Closes in good order; a planned crash may come in the middle, and then the promise never settles. */
  async #close(spool: Spool): Promise<void> {
    await Promise.race([spool.close(), this.#turns(6)]);
    if (this.#spool !== spool) return;
    this.#spool = undefined;
    this.#disk.kill();
  }

  async #open(): Promise<void> {
    const corrupt: CorruptRegion[] = [];
    this.#processes += 1;
    const opening = Spool.open({
      directory,
      files: this.#disk.mount(),
      clock: this.#clock,
      segmentBytes: this.#segmentBytes,
      maxQueuedRecords: 100,
      retentionMs,
      onAlarm: (alarm) => this.#alarms.push(alarm),
      onCorrupt: (region) => corrupt.push(region),
    }).catch(() => undefined);
    // A crash in the middle of opening leaves a promise that never settles.
    const spool = await Promise.race([opening, this.#turns(6).then(() => undefined)]);
    if (spool === undefined) {
      this.#crash();
      this.#healthy();
      return;
    }
    this.#spool = spool;
    if (this.#applied !== undefined) spool.setApplied(this.#applied);
  }

  async #apply(spool: Spool): Promise<void> {
    const reader = spool.reader(this.#applied ?? 'start');
    const ended = Promise.race([
      (async () => {
        for (let left = this.#below(8); left > 0; left -= 1) {
          const batch = await reader.readBatch({ maxRecords: 1 + this.#below(10), maxBytes: 4096 }).catch(() => []);
          const end = (await spool.status()).syncedPosition;
          for (const record of batch) {
            if (comparePositions(record.nextPosition, end) > 0) this.#broken.push('read past the synced end');
            if (comparePositions(record.position, this.#applied ?? record.position) < 0) {
              this.#broken.push('read before the applied position');
            }
            this.#applied = record.nextPosition;
          }
        }
        await reader.close();
      })(),
      this.#turns(10),
    ]);
    await ended;
    if (this.#applied !== undefined && this.#spool === spool) spool.setApplied(this.#applied);
    await this.#turns();
  }

  /** Reads everything on a healthy disk and holds it against the model. */
  async #verify(): Promise<void> {
    this.#healthy();
    this.#processes += 1;
    const corrupt: CorruptRegion[] = [];
    const spool = await Spool.open({
      directory,
      files: this.#disk.mount(),
      clock: this.#clock,
      segmentBytes: this.#segmentBytes,
      retentionMs,
      onAlarm: (alarm) => this.#alarms.push(alarm),
      onCorrupt: (region) => corrupt.push(region),
    });
    this.#spool = spool;
    if (!spool.appendable) this.#broken.push('not appendable on a healthy disk');
    const reader = spool.reader('start');
    const seen = new Set<number>();
    let nextId = 0;
    let lastSequence = 0;
    for (;;) {
      const batch = await reader.readBatch({ maxRecords: 7, maxBytes: 8192 });
      if (batch.length === 0) break;
      for (const record of batch) {
        if (record.sequence <= lastSequence) this.#broken.push(`sequence ${record.sequence} after ${lastSequence}`);
        lastSequence = record.sequence;
        const match = this.#matchFrom(nextId, record.payload, record.kind, record.receivedAtMs, record.position);
        if (match === undefined) {
          this.#broken.push(`sequence ${record.sequence} was never appended, or comes again or out of order`);
          continue;
        }
        seen.add(match.id);
        nextId = match.id + 1;
      }
    }
    await reader.close();
    this.#compare(seen, corrupt);
    if (this.#applied !== undefined) spool.setApplied(this.#applied);
    await this.#turns();
  }

  /** The first record from `id` on that looks like this one. Short payloads may look alike; positions tell them apart. */
  #matchFrom(id: number, payload: Buffer, kind: number, receivedAtMs: number, at: Position): OfferedRecord | undefined {
    for (const record of this.#offered.slice(id)) {
      if (record.kind !== kind || record.receivedAtMs !== receivedAtMs || !record.payload.equals(payload)) continue;
      if (record.position === undefined || comparePositions(record.position, at) === 0) return record;
    }
    return undefined;
  }

  #compare(seen: ReadonlySet<number>, corrupt: readonly CorruptRegion[]): void {
    for (const record of this.#offered) {
      if (record.ruledOut && seen.has(record.id)) {
        this.#broken.push(`record ${record.id} was refused and came back after a later one had been acknowledged`);
      }
      if (record.answer !== 'durable') continue;
      const { position } = record;
      if (position === undefined) continue;
      const removable = this.#applied !== undefined && comparePositions(position, this.#applied) < 0;
      if (!seen.has(record.id) && !removable) this.#broken.push(`record ${record.id} was acknowledged and is lost`);
      for (const region of corrupt) {
        if (region.segment !== position.segment) continue;
        if (region.offset <= position.offset && position.offset < region.offset + region.length) {
          this.#broken.push(`record ${record.id} was acknowledged and set aside as damage`);
        }
      }
    }
    const missing = this.#alarms.find((alarm) => alarm.type === 'segment-missing' || alarm.type === 'segment-damaged');
    if (missing !== undefined) this.#broken.push(`false alarm: ${JSON.stringify(missing)}`);
    const defect = this.#alarms.find((alarm) => alarm.type === 'callback-failed');
    if (defect !== undefined) this.#broken.push(JSON.stringify(defect));
  }

  async #turns(count = 2): Promise<void> {
    for (let left = count; left > 0; left -= 1) await turn();
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }
}
