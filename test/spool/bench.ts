/**
 * How fast the spool is on this machine. Enters: `tsx test/spool/bench.ts [seconds] [payload bytes] [in flight] [folder]`.
 * Leaves: a line per phase. Invariant: the sender keeps a bounded number of records unanswered, as NASes do.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Spool } from '../../src/spool/spool.js';

const seconds = Number(process.argv[2] ?? 5);
const payload = Buffer.alloc(Number(process.argv[3] ?? 300), 0x5a);
const inFlight = Number(process.argv[4] ?? 4096);
const directory = await mkdtemp(join(process.argv[5] ?? tmpdir(), 'spool-bench-'));
const spool = await Spool.open({ directory, onAlarm: console.error, onCorrupt: console.error });

let appended = 0;
let durable = 0;
const latencies: number[] = [];
const startMs = performance.now();
const startCpu = process.cpuUsage();
const endMs = startMs + seconds * 1000;
await new Promise<void>((resolve) => {
  const append = (): void => {
    // One in a hundred is timed: the clock costs as much as the append.
    const sentMs = appended % 100 === 0 ? performance.now() : 0;
    const accepted = spool.append(1, Date.now(), payload, (result) => {
      if (!result.ok) throw result.error;
      durable += 1;
      if (sentMs > 0) latencies.push(performance.now() - sentMs);
      if (performance.now() < endMs) append();
      else if (durable === appended) resolve();
    });
    if (!accepted) throw new Error('refused');
    appended += 1;
  };
  for (let index = 0; index < inFlight; index += 1) append();
});
const tookS = (performance.now() - startMs) / 1000;
const cpu = process.cpuUsage(startCpu);
latencies.sort((a, b) => a - b);
const at = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? NaN).toFixed(2);
console.log(
  `append  ${Math.round(durable / tookS)} records/s of ${payload.length} bytes, ${inFlight} in flight, ` +
    `CPU ${((cpu.user + cpu.system) / durable).toFixed(2)} µs/record, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
);

const reader = spool.reader('start');
const readStartMs = performance.now();
let read = 0;
for (;;) {
  const batch = await reader.readBatch({ maxRecords: 1000, maxBytes: 1024 * 1024 });
  if (batch.length === 0) break;
  read += batch.length;
}
console.log(
  `read    ${Math.round(read / ((performance.now() - readStartMs) / 1000))} records/s, ${read} of ${durable}`,
);
const status = await spool.status();
console.log(`disk    ${status.segmentCount} segments, ${(status.bytesOnDisk / 2 ** 20).toFixed(0)} MiB`);
await spool.close();
const openStartMs = performance.now();
const again = await Spool.open({ directory, onAlarm: console.error, onCorrupt: console.error });
console.log(`reopen  ${(performance.now() - openStartMs).toFixed(0)} ms`);
await again.close();
await rm(directory, { recursive: true });
