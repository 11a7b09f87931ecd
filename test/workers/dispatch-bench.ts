/**
 * How fast the network follows: npx tsx test/workers/dispatch-bench.ts
 *
 * Enters: a PostgreSQL of its own, fake NASes that answer within a turn of the loop. Leaves: numbers on standard output. Not a test: it judges nothing.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createTemplate, freshDatabase } from '../support/database.js';
import { commandedNas, markAccepted, population, type Server, startServer } from '../support/enforced-network.js';
import { acceptedEntry, FakeNas } from '../support/fake-nas.js';
import { TestPostgres } from '../support/postgres-server.js';
import { addPlan } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const teardowns: (() => unknown)[] = [];
const t = { teardown: (work: () => unknown) => void teardowns.unshift(work) };
// Synced, as a provider's is: commits cost what they cost.
const postgres = await TestPostgres.create({ fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' });
teardowns.push(() => postgres.remove());
await createTemplate(postgres.adminUrl);
process.env['SLUICE_TEST_POSTGRES_URL'] = postgres.adminUrl;

const database = await freshDatabase(t as Parameters<typeof freshDatabase>[0]);
const { pool } = database;
const names = Array.from({ length: 10 }, (_, i) => `bras${String(i)}`);
const nases = names.map((name) => ({ name, nas: new FakeNas({ kind: 'session' }) }));
const { subscriberIds } = await population(pool, { count: 10_000, planId: await addPlan(pool), sessionsOn: names });
const home = { downBps: 50_000_000, upBps: 10_000_000 };
const sessions = await pool.query<{ id: number; nas_name: string }>('SELECT id, nas_name FROM session');
for (const { id, nas_name } of sessions.rows)
  nases.find(({ name }) => name === nas_name)!.nas.entries.set(String(id), acceptedEntry(home));
await markAccepted(pool, home);
await pool.query('VACUUM ANALYZE');
const server: Server = await startServer(
  t as Parameters<typeof startServer>[0],
  database,
  nases.map(({ name, nas }) => commandedNas(name, nas, { commandsPerSecond: 500 })),
);
const quiet = async (): Promise<void> => {
  await until(async () => {
    const { rows } = await pool.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM enforcement WHERE state <> 'converged'`,
    );
    return rows[0]!.n === 0 && server.dispatcher.isIdle;
  });
};
const takenAtMs = performance.now();
await quiet();
console.log(
  `10,000 sessions compared after taking 10 NASes over: ${((performance.now() - takenAtMs) / 1000).toFixed(1)} s`,
);

const wireLength = (): number => nases.reduce((sum, { nas }) => sum + nas.wire.length, 0);

/** @param isShown false for the first ones, in which connections are made and plans are laid */
async function oneByOne(count: number, isShown = true): Promise<void> {
  const delaysMs: number[] = [];
  const usedBefore = process.cpuUsage();
  for (let i = 0; i < count; i++) {
    const before = wireLength();
    await pool.query('UPDATE subscriber SET redirect = NOT redirect WHERE id = $1', [subscriberIds[(i * 7) % 10_000]]);
    const committedAtMs = performance.now();
    while (wireLength() === before) await pause(1);
    const last = Math.max(...nases.map(({ nas }) => nas.wire.at(-1)?.atMs ?? 0));
    delaysMs.push(last - committedAtMs);
    await pause(2);
  }
  delaysMs.sort((a, b) => a - b);
  const used = process.cpuUsage(usedBefore);
  const at = (q: number): string => delaysMs[Math.floor(delaysMs.length * q)]!.toFixed(1);
  if (!isShown) return;
  console.log(
    `one flag, commit to driver, ${String(count)} times: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${delaysMs.at(-1)!.toFixed(1)} ms; own CPU ${((used.user + used.system) / 1000 / count).toFixed(1)} ms each, ours, the change and the watching included; ` +
      `of it from the change feed to the driver: p50 ${server.dispatcher.measures.delayMs(0.5).toFixed(1)} ms, p99 ${server.dispatcher.measures.delayMs(0.99).toFixed(1)} ms`,
  );
}

async function allAtOnce(what: string): Promise<void> {
  const before = wireLength();
  const heapBefore = process.memoryUsage().rss;
  let most = heapBefore;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
  const began = performance.now();
  await pool.query('UPDATE subscriber SET redirect = NOT redirect');
  const committed = performance.now();
  const alive = nases.filter(({ nas }) => !nas.dead);
  const reached = Array<number>(alive.length).fill(0);
  await until(() => {
    alive.forEach(({ nas }, i) => {
      if (reached[i] === 0 && nas.wire.length >= counts[nases.findIndex((n) => n.nas === nas)]! + 1_000)
        reached[i] = performance.now() - committed;
    });
    return reached.every((ms) => ms > 0);
  });
  clearInterval(watch);
  const slowest = Math.max(...reached);
  console.log(
    `${what}: UPDATE ${(committed - began).toFixed(0)} ms, all commands sent ${(slowest / 1000).toFixed(2)} s after, fastest NAS ${(Math.min(...reached) / 1000).toFixed(2)} s, ` +
      `${String(wireLength() - before)} commands, memory +${((most - heapBefore) / 1_048_576).toFixed(0)} MB`,
  );
}

let counts = nases.map(({ nas }) => nas.wire.length);
await oneByOne(200, false);
await oneByOne(1_000);
await quiet();
counts = nases.map(({ nas }) => nas.wire.length);
await allAtOnce('10,000 flags in one UPDATE, 10 NASes');
await quiet();
counts = nases.map(({ nas }) => nas.wire.length);
nases[3]!.nas.dead = true;
await allAtOnce('the same with one NAS dead');
await server.stop();
for (const teardown of teardowns) await teardown();
