/**
 * What the spool's tests share. Enters: a disk and options. Leaves: an open spool with all that it said, and the two
 * everyday acts: append and wait, read to the end. Invariant: nothing here sleeps; a turn of the event loop is all that a
 * disk in memory needs.
 */

import type { SpoolAlarm } from '../../src/spool/alarm.js';
import type { Position } from '../../src/spool/position.js';
import type { CorruptRegion, SpoolRecord } from '../../src/spool/reader.js';
import type { AppendResult } from '../../src/spool/record-group.js';
import { Spool, type SpoolOptions } from '../../src/spool/spool.js';
import { FaultyDisk } from '../support/faulty-files.js';
import { ManualClock } from '../support/manual-clock.js';

export const directory = '/spool';

export interface OpenSpool {
  readonly spool: Spool;
  readonly disk: FaultyDisk;
  readonly clock: ManualClock;
  readonly alarms: SpoolAlarm[];
  readonly corrupt: CorruptRegion[];
}

type Overrides = Partial<Omit<SpoolOptions, 'clock'>> & { disk?: FaultyDisk; clock?: ManualClock };

/** Opens a spool on a disk in memory (a new one unless given) with a clock that stands still. */
export async function openSpool(overrides: Overrides = {}): Promise<OpenSpool> {
  const { disk = new FaultyDisk(), clock = new ManualClock(), ...options } = overrides;
  const alarms: SpoolAlarm[] = [];
  const corrupt: CorruptRegion[] = [];
  const spool = await Spool.open({
    directory,
    files: disk.mount(),
    clock,
    onAlarm: (alarm) => alarms.push(alarm),
    onCorrupt: (region) => corrupt.push(region),
    ...options,
  });
  return { spool, disk, clock, alarms, corrupt };
}

/** Appends one record of kind 1 per text; resolves when all are answered. `false` stands for one that was not accepted. */
export function appendAll(spool: Spool, texts: readonly string[]): Promise<(AppendResult | false)[]> {
  const answers = texts.map(
    (text) =>
      new Promise<AppendResult | false>((resolve) => {
        if (!spool.append(1, 1_000, Buffer.from(text), resolve)) resolve(false);
      }),
  );
  return Promise.all(answers);
}

/** Reads all durable records, `maxRecords` at a time. */
export async function readAll(
  spool: Spool,
  from: Position | 'start' = 'start',
  maxRecords = 100,
): Promise<SpoolRecord[]> {
  const reader = spool.reader(from);
  const records: SpoolRecord[] = [];
  for (;;) {
    const batch = await reader.readBatch({ maxRecords, maxBytes: 1024 * 1024 });
    if (batch.length === 0) break;
    records.push(...batch);
  }
  await reader.close();
  return records;
}

/** The payloads as text. */
export function textsOf(records: readonly SpoolRecord[]): string[] {
  return records.map((record) => record.payload.toString());
}

/** `a0, a1, …`: as many distinct texts as asked for. */
export function texts(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

/** Lets everything that is ready happen. */
export async function turns(count = 4): Promise<void> {
  for (let left = count; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when `condition` holds, looking once per turn of the event loop; fails after `limitMs` of real time. */
export async function until(condition: () => boolean, limitMs = 10_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`still not so after ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
