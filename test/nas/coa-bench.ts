// How fast CoA goes: 10 NASes, 1,000 sessions each, 16 commands at once to each. Not a test: npx tsx test/nas/coa-bench.ts
// The NASes run in the same process, so the numbers are those of both sides together.
import { systemClock } from '../../src/spool/clock.js';
import { CoaTransport } from '../../src/nas/coa-transport.js';
import { CoaClient } from '../../src/radius/coa-client.js';
import { dictionary, commandBench, session } from './command-bench.js';

const nases = 10;
const commandsPerNas = 1_000;
const parallel = 16;

const ends: (() => unknown)[] = [];
const scope = { teardown: (end: () => unknown) => void ends.push(end) };

async function main(): Promise<void> {
  const client = new CoaClient({ clock: systemClock });
  const nowMs = (): number => performance.timeOrigin + performance.now();
  const benches = await Promise.all(Array.from({ length: nases }, () => commandBench(scope as never)));
  const tookMs: number[] = [];
  const outcomes = new Map<string, number>();
  const before = { cpu: process.cpuUsage(), memory: process.memoryUsage().heapUsed, atMs: performance.now() };
  await Promise.all(
    benches.map(async (bench) => {
      const transport = new CoaTransport({ nas: bench.entry, profile: bench.profile, dictionary, client, nowMs });
      let next = 0;
      await Promise.all(
        Array.from({ length: parallel }, async () => {
          while (next < commandsPerNas) {
            const number = next++;
            const run = { enforcementId: number, session: { ...session, acctSessionId: `81a${String(number)}` } };
            const beganAtMs = performance.now();
            const [result] = await transport.exchange(bench.tasks(['user_redirect'], run), () => true);
            tookMs.push(performance.now() - beganAtMs);
            const key = result?.outcome.outcome ?? 'nothing';
            outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
          }
        }),
      );
    }),
  );
  const wallMs = performance.now() - before.atMs;
  const cpu = process.cpuUsage(before.cpu);
  tookMs.sort((a, b) => a - b);
  const at = (part: number): string => (tookMs[Math.floor(tookMs.length * part)] ?? 0).toFixed(2);
  process.stdout.write(
    `${String(tookMs.length)} commands to ${String(nases)} NASes in ${(wallMs / 1000).toFixed(2)} s: ${(tookMs.length / (wallMs / 1000)).toFixed(0)}/s, ` +
      `CPU ${((cpu.user + cpu.system) / tookMs.length).toFixed(0)} µs each (both sides), p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ` +
      `sockets ${String(client.portCount)}, outcomes ${JSON.stringify([...outcomes])}\n`,
  );
  await client.stop();
  for (const end of ends.reverse()) await end();
}

void main();
