// Measures the directory at a million subscribers: time to load, memory, and how long the event loop is held. Not a test.
// Usage: node --expose-gc --import=tsx test/store/directory-bench.ts [subscribers]

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Directory } from '../../src/store/directory.js';
import { DirectoryLoader } from '../../src/store/directory-loader.js';
import { freshDatabase } from '../support/database.js';

const count = Number(process.argv[2] ?? 1_000_000);
const teardowns: (() => unknown)[] = [];
const database = await freshDatabase({ teardown: (done: () => unknown) => void teardowns.push(done) } as never);
const { pool } = database;

async function timed<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const beganAt = performance.now();
  const cpu = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(cpu);
  delay.disable();
  const seconds = (performance.now() - beganAt) / 1000;
  global.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  console.log(
    `${what}: ${seconds.toFixed(1)} s, cpu ${((user + system) / 1e6).toFixed(1)} s, loop p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms, worst ${(delay.max / 1e6).toFixed(1)} ms, ` +
      `heap ${(heapUsed / 1e6).toFixed(0)} MB, rss ${(rss / 1e6).toFixed(0)} MB`,
  );
  return value;
}

await timed('insert', async () => {
  const client = await pool.connect();
  await client.query('SET statement_timeout = 0');
  await client.query("INSERT INTO plan (name, rate_down_bps) VALUES ('home', 50000000)");
  for (let from = 1; from <= count; from += 50_000) {
    const to = Math.min(count, from + 49_999);
    await client.query(
      "INSERT INTO account (contract, plan_id) SELECT 'C-' || n, 1 FROM generate_series($1::int, $2::int) n",
      [from, to],
    );
    await client.query(
      `INSERT INTO subscriber (account_id, login, password, mac, static_address, nas_name)
       SELECT n, 'subscriber' || n, '{SEALED}AQ' || repeat('x', 52), ('02:00:00:' || lpad(to_hex(n / 65536), 2, '0') || ':' ||
         lpad(to_hex(n / 256 % 256), 2, '0') || ':' || lpad(to_hex(n % 256), 2, '0'))::macaddr, inet '100.64.0.0' + n, 'bras' || n % 10
       FROM generate_series($1::int, $2::int) n`,
      [from, to],
    );
  }
  client.release();
});
const directory = new Directory();
const loader = new DirectoryLoader(pool, directory);
await timed(`load ${String(count)}`, () => loader.loadAll());
await timed('reload', () => loader.loadAll());
const ids = Array.from({ length: Math.min(10_000, count) }, (_, i) => i + 1);
await timed('apply 10,000', () =>
  loader.apply({ subscribers: ids, accounts: [], plans: [], pools: [], devices: [], sessions: [], addresses: [] }),
);
let found = 0;
const beganAt = performance.now();
for (let i = 0; i < 1_000_000; i++)
  found += directory.subscribersByLogin(`subscriber${String((i * 7919) % count)}`).length;
console.log(
  `lookup by login: ${(((performance.now() - beganAt) * 1000) / 1e6).toFixed(2)} µs each, ${String(found)} found`,
);
for (const done of teardowns.reverse()) await done();
process.exit(0);
