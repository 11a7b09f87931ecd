/**
 * A quick look at speed: PAP answers and durable accounting answers per second, sender and server on the same machine. Enters: a server made for
 * it, with its embedded PostgreSQL. Leaves: a table. Run with `npx tsx test/bench/quick-look.ts` after a build.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { runLoad } from './load-sender.js';
import { accessRequest, accountingRequest } from '../support/radius-client.js';
import { TestServer } from '../support/server.js';

const SUBSCRIBERS = 10_000;
const PAP_REQUESTS = 200_000;
const ACCOUNTING_REQUESTS = 150_000;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

async function main(): Promise<void> {
  const teardowns: (() => unknown)[] = [];
  const t = { teardown: (fn: () => unknown) => teardowns.push(fn) };
  const server = await TestServer.start(t as never, { settings: { log: { level: 'warn' } } });
  try {
    const password = (await import('node:fs')).readFileSync(join(server.dataDir, 'secrets/postgres'), 'utf8').trim();
    const file = (await import('node:fs'))
      .readFileSync(join(server.dataDir, 'postgres/postmaster.pid'), 'utf8')
      .split('\n');
    const client = new pg.Client(`postgres://sluice:${password}@127.0.0.1:${file[3]}/sluice`);
    await client.connect();
    await client.query(`INSERT INTO plan (name, rate_down_bps, rate_up_bps) VALUES ('home', 50000000, 10000000)`);
    await client.query(
      `INSERT INTO account (contract, plan_id) SELECT 'c' || i, 1 FROM generate_series(1, $1::int) i`,
      [SUBSCRIBERS],
    );
    await client.query(
      `INSERT INTO subscriber (account_id, login, password, static_address)
       SELECT i, 'u' || i, 'secret' || i, '10.0.0.0'::inet + i FROM generate_series(1, $1::int) i`,
      [SUBSCRIBERS],
    );
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const secret = server.secret;
    const pap = Array.from({ length: PAP_REQUESTS }, (_, i) => {
      const n = (i % SUBSCRIBERS) + 1;
      return accessRequest({
        secret,
        identifier: i % 256,
        userName: `u${n}`,
        password: `secret${n}`,
        callingStationId: mac(n),
      }).bytes;
    });
    const lines: [string, string][] = [];
    for (const round of [1, 2]) {
      const result = await runLoad({
        port: server.authPort,
        packets: pap.slice((round - 1) * 100_000, round * 100_000),
        window: 256,
        sockets: 4,
        timeoutMs: 3000,
      });
      lines.push([`PAP round ${round}`, describe(result)]);
    }
    const accounting = Array.from({ length: ACCOUNTING_REQUESTS }, (_, i) => {
      const n = (i % SUBSCRIBERS) + 1;
      const nth = Math.floor(i / SUBSCRIBERS);
      return accountingRequest({
        secret,
        identifier: i % 256,
        status: nth === 0 ? 'start' : 'interimUpdate',
        userName: `u${n}`,
        acctSessionId: `s${n}`,
        nasIpAddress: '127.0.0.1',
        callingStationId: mac(n),
        framedIpAddress: `10.0.${(n >> 8) & 255}.${n & 255}`,
        sessionSeconds: nth * 300,
        inputOctets: nth * 1_000_000,
        outputOctets: nth * 9_000_000,
      }).bytes;
    });
    for (const [name, from, to] of [
      ['Starts', 0, SUBSCRIBERS],
      ['interims', SUBSCRIBERS, ACCOUNTING_REQUESTS],
    ] as const) {
      const result = await runLoad({
        port: server.accountingPort,
        packets: accounting.slice(from, to),
        window: 512,
        sockets: 4,
        timeoutMs: 5000,
      });
      const behind = await lag(server.statusUrl);
      const drainedAfterMs = await drained(server.statusUrl);
      lines.push([
        `accounting ${name}`,
        `${describe(result)}, lag at the end ${behind} records, drained after ${(drainedAfterMs / 1000).toFixed(1)} s`,
      ]);
    }
    await client.end();
    for (const [name, text] of lines) console.log(name.padEnd(22), text);
  } finally {
    for (const fn of teardowns.reverse()) await fn();
  }
}

function mac(n: number): string {
  return `02:00:00:${[n >> 16, n >> 8, n].map((b) => (b & 255).toString(16).padStart(2, '0')).join(':')}`;
}

function describe(result: Awaited<ReturnType<typeof runLoad>>): string {
  const codes = [...result.codes].map(([code, n]) => `code ${code}: ${n}`).join(', ');
  return `${Math.round(result.perSecond)}/s, p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms, lost ${result.lost}, ${codes}`;
}

async function lag(statusUrl: string): Promise<number> {
  const text = await (await fetch(`${statusUrl}/metrics`)).text();
  return Number(/^sluice_spool_lag_records (\d+)/m.exec(text)?.[1]);
}

async function drained(statusUrl: string): Promise<number> {
  const startedMs = performance.now();
  while ((await lag(statusUrl)) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  return performance.now() - startedMs;
}

execFileSync('node', [join(ROOT, 'bin/launch.mjs'), '--setup-only'], { stdio: 'inherit' });
await main();
