/**
 * How many records per second the applier applies: `npx tsx test/workers/applier-bench.ts [sessions]`. Enters: a number of sessions. Leaves: lines
 * of text. Not a test: PostgreSQL shares the processors, and nothing is synced. A spool is filled first, then applied.
 */
import { cpuUsage } from 'node:process';
import type { Pool } from 'pg';
import type { SessionFact } from '../../src/domain/accounting-fact.js';
import { freshDatabase } from '../support/database.js';
import { fact } from '../support/facts.js';
import { runApplier, type RunningApplier } from '../support/running-applier.js';

const SESSIONS = Number(process.argv[2] ?? 20_000);
const INTERIM_ROUNDS = 5;

const teardowns: (() => unknown)[] = [];
const t = { teardown: (run: () => unknown): void => void teardowns.unshift(run) };

const line = (i: number): Partial<SessionFact> & { offer: number; subscriber: number } => ({
  acctSessionId: `s${i}`,
  login: `user${i}`,
  nasName: `bras${i % 10}`,
  nasBox: `bras${i % 10}`,
  mac: `02:00:00:${[16, 8, 0].map((shift) => ((i >> shift) & 255).toString(16).padStart(2, '0')).join(':')}`,
  callingStation: `02-00-00-${i}`,
  nasPortId: `eth0:${i}`,
  address: `100.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`,
  offer: i + 1,
  subscriber: i + 1,
});

async function population(pool: Pool): Promise<void> {
  await pool.query(`INSERT INTO pool (name) VALUES ('main')`);
  await pool.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id) SELECT 'default', '100.64.0.0'::inet + i, 1 FROM generate_series(0, $1 - 1) i`,
    [SESSIONS],
  );
  await pool.query(`INSERT INTO plan (name, pool_id) VALUES ('home', 1)`);
  await pool.query(`INSERT INTO account (contract, plan_id) SELECT i::text, 1 FROM generate_series(1, $1) i`, [
    SESSIONS,
  ]);
  await pool.query(
    `INSERT INTO subscriber (account_id, login, created_at) SELECT i, 'user' || i - 1, '2026-10-01' FROM generate_series(1, $1) i`,
    [SESSIONS],
  );
  await pool.query('ANALYZE account, subscriber, period, pool_address');
}

async function measure(name: string, running: RunningApplier, facts: readonly SessionFact[]): Promise<void> {
  for (let at = 0; at < facts.length; at += 5000) await running.append(facts.slice(at, at + 5000));
  const cpuBefore = cpuUsage();
  const beganAt = performance.now();
  await running.applier.start();
  await running.applier.caughtUp();
  const seconds = (performance.now() - beganAt) / 1000;
  const { user, system } = cpuUsage(cpuBefore);
  const { setAside, conflicts } = running.applier.status;
  console.log(
    `${name}: ${Math.round(facts.length / seconds)} records/s (${facts.length} in ${seconds.toFixed(1)} s, ` +
      `own processor ${Math.round((user + system) / 10_000 / seconds)} %, set aside ${setAside}, conflicts ${conflicts})`,
  );
  await running.stop();
}

const { pool } = await freshDatabase(t);
await population(pool);
const list = Array.from({ length: SESSIONS }, (_, i) => i);
const begin = (): Promise<RunningApplier> =>
  runApplier(t, pool, (f) => f.class?.subscriberId ?? null, { start: false });
try {
  const starts = list.map((i) => fact('start', { at: i / 1000, ...line(i) }));
  await measure('Start', await begin(), starts);
  await pool.query('VACUUM ANALYZE session');
  const interims: SessionFact[] = [];
  for (let round = 1; round <= INTERIM_ROUNDS; round++) {
    for (const i of list) {
      const at = round * 300 + i / 1000;
      interims.push(fact('interim', { at, sessionSeconds: round * 300, octets: round * 1_000_000 + i, ...line(i) }));
    }
  }
  await measure('Interim-Update', await begin(), interims);
  const stops = list.map((i) => {
    const seconds = (INTERIM_ROUNDS + 1) * 300;
    return fact('stop', { at: seconds + i / 1000, sessionSeconds: seconds, octets: 9_000_000 + i, ...line(i) });
  });
  await measure('Stop', await begin(), stops);
  const pairs = list.flatMap((i) => {
    const again = { ...line(i), acctSessionId: `again${i}`, offer: SESSIONS + i + 1 };
    const at = 10_000 + i / 1000;
    return [fact('start', { at, ...again }), fact('stop', { at: at + 60, sessionSeconds: 60, octets: 5, ...again })];
  });
  await measure('Start and Stop in turn', await begin(), pairs);
} finally {
  for (const run of teardowns) await run();
}
process.exit(0);
