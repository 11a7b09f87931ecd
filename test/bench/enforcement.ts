/**
 * `npm run bench:enforcement`: how fast the network follows PostgreSQL. Enters: options. Leaves: a table on standard output, and exit code 1 when a promise of
 * DESIGN §13 is not kept. Invariants: the server is the built program in a process of its own, PostgreSQL syncs, commands are real datagrams between
 * addresses of loopback; nothing is written but to a temporary folder, and nothing that was started stays behind.
 */
import { parseArgs } from 'node:util';
import { Attribute } from '../../src/radius/attribute-number.js';
import { createTemplate, freshDatabase } from '../support/database.js';
import { ack, CommandNas } from '../support/command-nas.js';
import { waitFor } from '../support/deadline.js';
import { markAccepted, population } from '../support/enforced-network.js';
import { TestPostgres } from '../support/postgres-server.js';
import { knowsSubscribers, scrape } from '../support/scrape.js';
import { TestServer } from '../support/server.js';
import { addPlan } from '../support/subscriber-rows.js';
import { percentile } from './latency.js';
import { bindToProcessors, cpuSeconds, residentOctets } from './process-cost.js';

const USAGE = `npm run bench:enforcement -- [options]
  --quick         1,000 subscribers and 100 changes, for whoever wants to see that it works
  --changes N     single changes (1,000)
  --pinned        the server on one processor, PostgreSQL and this program on the other`;

const NASES = 10;
const SECRET = 'a secret of some length';
const HOME = { downBps: 50_000_000, upBps: 10_000_000 };
/** Nothing here takes longer unless it hangs, ms. */
const PATIENCE_MS = 180_000;
/** After a silence of this length connections and plans are as in the life of a small provider, ms. */
const IDLE_MS = 15_000;
/** Memory is flat when a burst leaves no more than this behind, octets: buffers grow once. */
const FLAT_OCTETS = 64 * 1_048_576;
/** How often it is looked whether all is done, ms: what is measured by it is in seconds. */
const LOOK_MS = 100;
const MEBI = 1_048_576;

interface Options {
  readonly subscribers: number;
  readonly changes: number;
  readonly isPinned: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, changes: { type: 'string' }, pinned: { type: 'boolean' } },
  });
  const isQuick = values.quick === true;
  const changes = Number(values.changes ?? (isQuick ? 100 : 1_000));
  if (!Number.isInteger(changes) || changes < 10 || changes > 1_000_000) throw new Error(USAGE);
  return { subscribers: isQuick ? 1_000 : 10_000, changes, isPinned: values.pinned === true };
}

interface Line {
  readonly what: string;
  readonly target: string;
  readonly result: string;
  readonly isKept: boolean | undefined;
}

/** A NAS that acknowledges, and when it heard what. */
interface Bras {
  readonly name: string;
  readonly host: string;
  readonly nas: CommandNas;
  isDead: boolean;
  /** Datagrams so far, repetitions included. */
  heard: number;
  /** Monotonic ms of the last one. */
  lastAtMs: number;
}

const lines: Line[] = [];
const line = (what: string, target: string, result: string, isKept?: boolean): void => {
  lines.push({ what, target, result, isKept });
  console.error(`${isKept === undefined ? '     ' : isKept ? 'ok   ' : 'FAIL '}${what}: ${result}`);
};
const ms = (value: number): string => `${value.toFixed(1)} ms`;
const pause = (forMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, forMs));
const seconds = (valueMs: number): string => `${(valueMs / 1000).toFixed(2)} s`;

const teardowns: (() => unknown)[] = [];
/** What the supports of tests ask of a test. */
const t = { teardown: (work: () => unknown) => void teardowns.unshift(work) } as Parameters<typeof freshDatabase>[0];

async function main({ subscribers, changes, isPinned }: Options): Promise<void> {
  // Synced, as a provider's is: commits cost what they cost.
  const postgres = await TestPostgres.create({ fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' });
  teardowns.unshift(() => postgres.remove());
  await createTemplate(postgres.adminUrl);
  process.env['SLUICE_TEST_POSTGRES_URL'] = postgres.adminUrl;
  const database = await freshDatabase(t);
  const { pool } = database;

  const brases: Bras[] = [];
  /** The session whose command is waited for. */
  let awaited: { readonly acctSessionId: string; readonly heard: () => void } | undefined;
  for (let i = 0; i < NASES; i++) {
    const host = `127.0.0.${String(11 + i)}`;
    const nas = await CommandNas.open(t, SECRET, undefined, host);
    const bras: Bras = { name: `bras${String(i)}`, host, nas, isDead: false, heard: 0, lastAtMs: 0 };
    nas.behave = (request) => {
      bras.heard += 1;
      bras.lastAtMs = performance.now();
      nas.heard.length = 0;
      if (awaited !== undefined && request.text(Attribute.acctSessionId) === awaited.acctSessionId) awaited.heard();
      return bras.isDead ? [] : [ack];
    };
    brases.push(bras);
  }
  const { subscriberIds } = await population(pool, {
    count: subscribers,
    planId: await addPlan(pool),
    sessionsOn: brases.map(({ name }) => name),
  });
  await markAccepted(pool, HOME);
  await pool.query('VACUUM ANALYZE');
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    isBuilt: true,
    files: Object.fromEntries(
      brases.map(({ name, host, nas }) => [
        `nas.d/${name}.toml`,
        `name = "${name}"\naddress = "${host}"\nsecret = "${SECRET}"\nprofile = "mikrotik-ppp"\n[coa]\naddress = "${host}"\nport = ${String(nas.port)}\n`,
      ]),
    ),
    settings: {
      enforcement: { fuse_subscribers: 1_000_000, fuse_percent: 100, fuse_least_subscribers: 1_000_000 },
      log: { level: 'warn' },
    },
    waitUntilReady: false,
  });
  await waitFor('the status listener', PATIENCE_MS, () => scrape(server.statusUrl).catch(() => undefined));
  await knowsSubscribers(server.statusUrl, subscribers);
  if (isPinned) {
    await bindToProcessors(process.pid, '1');
    await bindToProcessors(server.pid, '0');
  }
  const unsettled = async (): Promise<number> => {
    const { rows } = await pool.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM enforcement e JOIN subscriber s ON s.id = e.subscriber_id
       WHERE e.state <> 'converged' OR e.due_at IS NOT NULL OR (e.applied->>'redirect')::boolean IS DISTINCT FROM s.redirect`,
    );
    return rows[0]!.n;
  };
  const settled = async (left = 0): Promise<void> => {
    const beganAtMs = performance.now();
    // Seldom, since each look reads all rows; one that the machine was too busy for is made again.
    while ((await unsettled().catch(() => Infinity)) > left) {
      if (performance.now() - beganAtMs > PATIENCE_MS)
        throw new Error(`waited ${seconds(PATIENCE_MS)} in vain for all but ${String(left)} to be as PostgreSQL says`);
      await pause(LOOK_MS);
    }
  };
  const owned = async (): Promise<boolean> => {
    const { rows } = await pool.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM nas_owner WHERE released_at IS NULL',
    );
    return rows[0]!.n >= NASES;
  };
  await waitFor('every NAS to have its owner', PATIENCE_MS, owned);
  await settled();
  // The comparison after taking the NASes over is none of what is measured.
  await waitFor('the server to have nothing to do', PATIENCE_MS, async () => {
    return (await scrape(server.statusUrl)).sum('enforcement_backlog') === 0;
  });

  let turn = 0;
  /** Changes one flag. @returns ms from the commit, as billing sees it, to the datagram on the wire */
  const changeOne = async (): Promise<number> => {
    const id = subscriberIds[(turn++ * 7) % subscriberIds.length]!;
    const heardAtMs = new Promise<number>((resolve) => {
      // The population names them so.
      awaited = { acctSessionId: `a${String(id)}`, heard: () => resolve(performance.now()) };
    });
    await pool.query('UPDATE subscriber SET redirect = NOT redirect WHERE id = $1', [id]);
    const committedAtMs = performance.now();
    // Negative: it was on the wire before billing heard that its commit was done.
    return (await heardAtMs) - committedAtMs;
  };
  line('the first flag after the start', '≤ 50 ms', ms(await changeOne()));
  const early: number[] = [];
  for (let i = 0; i < 20; i++) early.push(await changeOne());
  line('the next 20', '', `most ${ms(Math.max(...early))}`);
  await pause(IDLE_MS);
  line(`one after ${String(IDLE_MS / 1000)} s without any`, '≤ 50 ms', ms(await changeOne()));
  await settled();

  const cpuBefore = await cpuSeconds(server.pid);
  const delaysMs: number[] = [];
  for (let i = 0; i < changes; i++) {
    delaysMs.push(await changeOne());
    await pause(2);
  }
  const cpu = ((await cpuSeconds(server.pid)) - cpuBefore) / changes;
  const p99Ms = percentile(delaysMs, 0.99);
  line(
    `one flag by SQL to CoA on the wire, ${String(changes)} times`,
    'p99 ≤ 50 ms',
    `p50 ${ms(percentile(delaysMs, 0.5))}, p99 ${ms(p99Ms)}, most ${ms(Math.max(...delaysMs))}; the server's own ${ms(cpu * 1000)} of processor each`,
    p99Ms <= 50,
  );
  await settled();

  /** All flags in one statement. @returns ms from the commit until all of the living have acknowledged and PostgreSQL says so */
  const changeAll = async (what: string, dead: number): Promise<number> => {
    const each = subscribers / NASES;
    const heardBefore = brases.map(({ heard }) => heard);
    const before = await residentOctets(server.pid);
    let most = before;
    const watch = setInterval(() => void residentOctets(server.pid).then((now) => (most = Math.max(most, now))), 100);
    const beganAtMs = performance.now();
    await pool.query('UPDATE subscriber SET redirect = NOT redirect');
    const committedAtMs = performance.now();
    await settled(dead * each);
    const tookMs = performance.now() - committedAtMs;
    clearInterval(watch);
    const living = brases.filter(({ isDead }) => !isDead);
    const wireMs = living.map(({ lastAtMs }) => lastAtMs - committedAtMs);
    const packets = brases.reduce((sum, { heard }, i) => sum + heard - heardBefore[i]!, 0);
    line(
      what,
      '≤ 10 s',
      `UPDATE ${seconds(committedAtMs - beganAtMs)}, acknowledged and stored ${seconds(tookMs)} after it; last CoA of the slowest NAS at ${seconds(Math.max(...wireMs))}, ` +
        `of the fastest at ${seconds(Math.min(...wireMs))}; ${String(packets)} datagrams; memory ${(before / MEBI).toFixed(0)} MB before, ${(most / MEBI).toFixed(0)} at most`,
      tookMs <= 10_000,
    );
    return tookMs;
  };
  const count = subscribers.toLocaleString('en');
  const wholeMs = await changeAll(`${count} flags in one UPDATE, ${String(NASES)} NASes`, 0);
  const first = await residentOctets(server.pid);
  const dead = brases[3]!;
  dead.isDead = true;
  const withDeadMs = await changeAll('the same with one NAS dead', 1);
  line('how much longer the others took then', 'as fast', `${seconds(withDeadMs - wholeMs)}`);
  dead.isDead = false;
  const wokenAtMs = performance.now();
  await settled();
  line('the dead one is back: until it is whole', '', seconds(performance.now() - wokenAtMs));
  for (let i = 0; i < 3; i++) await changeAll(`once more (${String(i + 3)})`, 0);
  const last = await residentOctets(server.pid);
  line(
    'memory after the first and after the last of them',
    'flat',
    `${(first / MEBI).toFixed(0)} MB, ${(last / MEBI).toFixed(0)} MB`,
    last - first <= FLAT_OCTETS,
  );
}

function table(): string {
  const head: Line = { what: 'what', target: 'promise', result: 'measured', isKept: undefined };
  const widths = (['what', 'target'] as const).map((key) =>
    Math.max(...[head, ...lines].map((one) => one[key].length)),
  );
  return [head, ...lines]
    .map(({ what, target, result, isKept }) =>
      [
        isKept === undefined ? '    ' : isKept ? 'ok  ' : 'FAIL',
        what.padEnd(widths[0]!),
        target.padEnd(widths[1]!),
        result,
      ].join('  '),
    )
    .join('\n');
}

try {
  await main(readOptions());
  console.log(table());
  process.exitCode = lines.some(({ isKept }) => isKept === false) ? 1 : 0;
} finally {
  for (const teardown of teardowns) await teardown();
}
