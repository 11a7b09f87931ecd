/**
 * How many lease events per second are taken and applied: `npx tsx test/workers/lease-bench.ts [clients]`. Enters: a number of clients. Leaves: lines of text. Not a
 * test: PostgreSQL shares the processors, and does not sync here; the spool does.
 */
import { cpuUsage } from 'node:process';
import type { Pool } from 'pg';
import type { LeaseEvent } from '../../src/domain/lease-event.js';
import { LeaseIntake } from '../../src/handlers/lease-event.js';
import { analyzeGrown } from '../../src/store/table-statistics.js';
import { freshDatabase } from '../support/database.js';
import { leaseEvent } from '../support/lease-events.js';
import { runApplier } from '../support/running-applier.js';

const CLIENTS = Number(process.argv[2] ?? 20_000);
const PORTS = 48;

const teardowns: (() => unknown)[] = [];
const t = { teardown: (run: () => unknown): void => void teardowns.unshift(run) };

const octets = (i: number): string =>
  [16, 8, 0].map((shift) => ((i >> shift) & 255).toString(16).padStart(2, '0')).join(':');

async function population(pool: Pool): Promise<void> {
  await pool.query(`INSERT INTO pool (name) VALUES ('dhcp')`);
  await pool.query(`INSERT INTO pool_network (pool_id, network) VALUES (1, '100.64.0.0/12')`);
  await pool.query(`INSERT INTO plan (name) VALUES ('home')`);
  await pool.query(
    `INSERT INTO nas (name, profile, place, mode) VALUES ('bras1', 'linux-nft-ssh', 'provisioned', 'enforce')`,
  );
  await pool.query(
    `INSERT INTO device (kind_id, mac) SELECT k.id, ('3c:33:32:' || lpad(to_hex(i >> 16), 2, '0') || ':' || lpad(to_hex((i >> 8) & 255), 2, '0') || ':' ||
       lpad(to_hex(i & 255), 2, '0'))::macaddr FROM device_kind k, generate_series(0, $1::int / ${String(PORTS)}) i WHERE k.name = 'dlink' ORDER BY i`,
    [CLIENTS],
  );
  await pool.query(`INSERT INTO account (contract, plan_id) SELECT i::text, 1 FROM generate_series(1, $1) i`, [
    CLIENTS,
  ]);
  await pool.query(
    `INSERT INTO subscriber (account_id, login, nas_name, device_id, port)
     SELECT i + 1, 'user' || i, 'bras1', d.id, (i % ${String(PORTS)} + 1)::text FROM generate_series(0, $1 - 1) i
     JOIN device d ON d.mac = ('3c:33:32:' || lpad(to_hex((i / ${String(PORTS)}) >> 16), 2, '0') || ':' || lpad(to_hex(((i / ${String(PORTS)}) >> 8) & 255), 2, '0') || ':' ||
       lpad(to_hex((i / ${String(PORTS)}) & 255), 2, '0'))::macaddr`,
    [CLIENTS],
  );
  await pool.query('ANALYZE');
}

const commit = (i: number, at: number): LeaseEvent =>
  leaseEvent('commit', {
    at,
    lasts: 600,
    address: `100.${String(64 + (i >> 16))}.${String((i >> 8) & 255)}.${String(i & 255)}`,
    mac: `02:00:00:${octets(i)}`,
    port: `3c:33:32:${octets(Math.floor(i / PORTS))}/${String((i % PORTS) + 1)}`,
  });

const { pool } = await freshDatabase(t as never);
await population(pool);
const { applier, spool } = await runApplier(t as never, pool, (fact) => fact.whose ?? null);
const intake = new LeaseIntake({ spool, isIgnored: () => false });

async function measure(name: string, events: readonly LeaseEvent[]): Promise<void> {
  const before = cpuUsage();
  const beganAtMs = performance.now();
  for (let i = 0; i < events.length; i += 500)
    await Promise.all(
      events
        .slice(i, i + 500)
        .map(
          (event) =>
            new Promise<void>((resolve, reject) =>
              intake.take(event, (ok) => (ok ? resolve() : reject(new Error('not taken')))),
            ),
        ),
    );
  const durableSeconds = (performance.now() - beganAtMs) / 1000;
  await applier.caughtUp();
  const seconds = (performance.now() - beganAtMs) / 1000;
  const { user, system } = cpuUsage(before);
  console.log(
    `${name}: durable ${String(Math.round(events.length / durableSeconds))}/s, applied ${String(Math.round(events.length / seconds))}/s, ` +
      `own processor ${((user + system) / events.length).toFixed(0)} µs each, conflicts ${String(applier.status.conflicts)}, set aside ${String(applier.status.setAside)}`,
  );
}

const clients = Array.from({ length: CLIENTS }, (_, i) => i);
await measure(
  'first leases',
  clients.map((i) => commit(i, 0)),
);
await measure(
  'renewals',
  clients.map((i) => commit(i, 300)),
);
// What the server does by itself every now and then.
await analyzeGrown(pool);
await measure(
  'releases',
  clients.map((i) => ({ ...commit(i, 400), kind: 'release' as const, line: null, leaseEndsAtMs: null })),
);
const { rows } = await pool.query<{ bound: string; sessions: string; refused: string }>(
  `SELECT (SELECT count(*) FROM lease WHERE state = 'bound') AS bound, (SELECT count(*) FROM session) AS sessions, (SELECT count(*) FROM lease_refusal) AS refused`,
);
console.log(rows[0]);
for (const teardown of teardowns) await teardown();
