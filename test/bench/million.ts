/**
 * What a million subscribers cost: `npm run bench:million [people]`. Enters: a machine with some 6 GB to spare. Leaves: a table on standard output and in
 * docs/million.md, pass or fail per promise. Invariants: everything is measured from outside, on the built program with its embedded
 * PostgreSQL in temporary folders; nothing is left behind; it ends by itself.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { closedLoop } from './closed-loop.js';
import { busyShare, House } from './million-house.js';
import { writeCity } from './million-population.js';
import { MillionReport } from './million-report.js';
import { summarize, type LatencySummary } from './latency.js';
import { openLoop, type OpenLoop, requestOf } from './open-loop.js';
import { linePaths, plugInCity } from './million-lines.js';
import { browse, pagePaths, pageTimes } from './page-times.js';

/** At least as many as one statement changes below, and a half more. */
const PEOPLE = Math.max(100_000, Number(process.argv[2] ?? 1_000_000));
/** Of the house that the large one is compared with. */
const FEW = 10_000;
/** A number without common factors with any third of the people: neighbours in time are no neighbours in memory. */
const STEP = 7_919;
/** Requests of one closed round, and rounds of each kind. */
const ROUND_REQUESTS = 40_000;
const ROUNDS = 9;
/** Before that: code is compiled, passwords are unsealed, and after a million were loaded the collector is still clearing up. */
const WARM_ROUNDS = 3;
/** Requests without an answer at once, in closed rounds: what a few busy NASes have. */
const WINDOW = 256;
/** Requests per second whose answers are timed. */
const RATE = 2_000;
const QUIET_SECONDS = 15;
const PAGE_SECONDS = 20;
const PAGE_CLIENTS = 4;
/** Sessions that begin while answers are timed, per second and for how long: the heap grows, and is collected. */
const STARTS_PER_SECOND = 3_000;
const STARTS_SECONDS = Math.min(60, PEOPLE / 3 / STARTS_PER_SECOND);
/** How long it is looked on after something was set off, s. */
const AFTER_SECONDS = 5;
/** Subscribers changed by one statement: more than the feed reads row by row, so that everything is loaded again. */
const MANY_CHANGES = 60_000;
/** Everything ends before this, whatever hangs, ms. */
const BOUND_MS = 45 * 60_000;

const DOCUMENT = process.env['MILLION_DOCUMENT'] ?? fileURLToPath(new URL('../../docs/million.md', import.meta.url));
const report = new MillionReport(PEOPLE);
const houses: House[] = [];

async function newHouse(name: string, pool: string): Promise<House> {
  const house = await House.make(name);
  houses.push(house);
  await house.run(['pool', 'add', 'main', pool]);
  await house.run(['plan', 'add', 'home', '--down', '50M', '--up', '10M', '--pool', 'main']);
  return house;
}

async function importFile(house: House, path: string, what: string, targetSeconds?: number): Promise<number> {
  report.say(`import: ${what}`);
  const { seconds, output, peakMb, processorSeconds } = await house.run(['subscriber', 'import', path]);
  report.say(output.trim());
  const lines = Number(/ in (\d+) lines/.exec(output)?.[1]);
  const result = `${seconds.toFixed(0)} s, ${Math.round(lines / seconds).toLocaleString('en')} rows/s, importer ${String(peakMb)} MB${processorSeconds > 1 ? `, ${((processorSeconds * 1e6) / lines).toFixed(0)} µs of processor a row` : ''}`;
  const target = targetSeconds === undefined ? undefined : `≤ ${targetSeconds} s`;
  report.line(what, target, result, targetSeconds === undefined ? undefined : seconds <= targetSeconds);
  return seconds;
}

/** PAP in closed rounds, both houses in turn. */
async function rates(few: House, many: House): Promise<void> {
  const kinds = [
    { name: `${FEW.toLocaleString('en')} subscribers`, house: few, count: FEW, step: 1, distinct: FEW / 3 },
    { name: 'the same number of logins out of the many', house: many, count: PEOPLE, step: STEP, distinct: FEW / 3 },
    { name: 'every login once, as after a power cut', house: many, count: PEOPLE, step: STEP, distinct: Infinity },
  ];
  const measured = kinds.map(() => ({ perSecond: [] as number[], cpuMicroseconds: [] as number[], lost: 0 }));
  let next = 0;
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
    for (const [at, { house, count, step, distinct }] of kinds.entries()) {
      const packets = Array.from({ length: ROUND_REQUESTS }, (_, i) =>
        requestOf(distinct === Infinity ? next++ : i % Math.floor(distinct), i % 256, {
          port: house.authPort,
          secret: house.secret,
          kind: 'access',
          count,
          step,
          perSecond: 0,
          seconds: 0,
        }),
      );
      const before = await house.processorSeconds();
      const result = await closedLoop({ port: house.authPort, packets, window: WINDOW });
      const cpu = (await house.processorSeconds()) - before;
      if (round < 0) continue;
      measured[at]!.perSecond.push(result.perSecond);
      measured[at]!.cpuMicroseconds.push((cpu * 1e6) / result.answered);
      measured[at]!.lost += result.lost;
    }
  }
  const medians = measured.map(({ perSecond, cpuMicroseconds, lost }) => ({
    perSecond: median(perSecond),
    cpu: median(cpuMicroseconds),
    lost,
  }));
  for (const [at, { perSecond, cpu, lost }] of medians.entries()) {
    const share = perSecond / medians[0]!.perSecond;
    const text = `${Math.round(perSecond).toLocaleString('en')}/s (${(share * 100).toFixed(0)} %), ${cpu.toFixed(1)} µs of processor each, lost ${lost}`;
    report.line(
      `PAP: ${kinds[at]!.name}`,
      at === 1 ? '≥ 85 %' : undefined,
      text,
      at === 1 ? share >= 0.85 && lost === 0 : undefined,
    );
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? NaN;
}

function load(house: House, count: number, seconds: number, kind: 'access' | 'accounting-start' = 'access'): OpenLoop {
  const perSecond = kind === 'access' ? RATE : STARTS_PER_SECOND;
  const port = kind === 'access' ? house.authPort : house.accountingPort;
  return openLoop({ port, secret: house.secret, perSecond, seconds, count, step: STEP, kind });
}

function latencyLine(what: string, summary: LatencySummary, lateMs: number, more = ''): void {
  const { p50Ms, p99Ms, worstSecondP99Ms, maxMs, lost, refused } = summary;
  const text = `p50 ${p50Ms.toFixed(1)}, p99 ${p99Ms.toFixed(1)}, worst second's p99 ${worstSecondP99Ms.toFixed(0)}, slowest ${maxMs.toFixed(0)} ms; lost ${lost}, refused ${refused}; sender late ${lateMs.toFixed(1)} ms${more}`;
  report.line(`answers ${what}`, 'p99 ≤ 100 ms', text, p99Ms <= 100 && lost === 0 && refused === 0);
}

/** Answers while `work` goes on. */
async function latencyDuring(
  house: House,
  count: number,
  seconds: number,
  what: string,
  work: () => Promise<string | undefined>,
): Promise<void> {
  report.say(`answers ${what}`);
  const loop = load(house, count, seconds);
  const fromMs = Date.now();
  const more = await work();
  loop.stop();
  const result = await loop.result;
  const collections = house.collections.filter(({ atMs }) => atMs >= fromMs);
  const pauses =
    collections.length === 0
      ? ''
      : `, collections ${collections.length} (pause at most ${Math.max(...collections.map((one) => one.pauseMs)).toFixed(0)} ms)`;
  latencyLine(what, summarize(result), result.lateP99Ms, `${pauses}${more === undefined ? '' : `; ${more}`}`);
}

async function quietAndPages(many: House): Promise<void> {
  await latencyDuring(many, PEOPLE, QUIET_SECONDS, 'in peace', async () => {
    await delay(QUIET_SECONDS * 1000);
    return undefined;
  });
  await latencyDuring(many, PEOPLE, PAGE_SECONDS, `while ${PAGE_CLIENTS} people browse all pages`, async () => {
    const shown = await browse(many.statusUrl, PEOPLE, PAGE_CLIENTS, AbortSignal.timeout(PAGE_SECONDS * 1000));
    return `${(shown / PAGE_SECONDS).toFixed(0)} pages/s`;
  });
}

/** Sessions begin by the hundred thousand, so the heap grows and is collected. */
async function growth(many: House): Promise<void> {
  const what = `while ${(STARTS_PER_SECOND * STARTS_SECONDS).toLocaleString('en')} sessions begin`;
  await latencyDuring(many, PEOPLE, STARTS_SECONDS + AFTER_SECONDS, what, async () => {
    const starts = await load(many, PEOPLE, STARTS_SECONDS, 'accounting-start').result;
    const { lost, p99Ms } = summarize(starts);
    const heapMb = Math.max(0, ...many.collections.slice(-1).map((one) => one.heapAfterMb));
    return `Starts: p99 ${p99Ms.toFixed(1)} ms, lost ${lost}; heap ${heapMb.toFixed(0)} MB after the last collection`;
  });
  while ((await many.metric('spool_lag_records')) > 0) await delay(200);
}

async function reloads(many: House): Promise<void> {
  await latencyDuring(many, PEOPLE, 60, 'during a reload of the configuration', async () => {
    await delay(1_000);
    const sinceMs = Date.now();
    many.hangUp();
    const saidMs = await many.heard('configuration reloaded', sinceMs, 30_000);
    await delay(AFTER_SECONDS * 1000);
    return `took ${saidMs - sinceMs} ms`;
  });
  const client = new pg.Client(await many.databaseUrl());
  client.on('error', () => undefined);
  await client.connect();
  await latencyDuring(
    many,
    PEOPLE,
    180,
    `while everybody is read again (${MANY_CHANGES} changed at once)`,
    async () => {
      await delay(1_000);
      const sinceMs = Date.now();
      await client.query(`UPDATE subscriber SET redirect = NOT redirect WHERE id <= $1 AND static_address IS NULL`, [
        MANY_CHANGES * 1.5,
      ]);
      const changedMs = Date.now();
      const saidMs = await many.heard('all subscribers are loaded', sinceMs, 150_000);
      await delay(AFTER_SECONDS * 1000);
      return `UPDATE ${((changedMs - sinceMs) / 1000).toFixed(1)} s, reload ${((saidMs - changedMs) / 1000).toFixed(1)} s`;
    },
  );
  await client.end();
}

/** A million more, imported into the small house while it serves. */
async function importWhileServing(few: House, path: string): Promise<void> {
  const sinceMs = Date.now();
  await latencyDuring(few, FEW, 600, `while ${PEOPLE.toLocaleString('en')} are imported`, async () => {
    const seconds = await importFile(few, path, `import of ${PEOPLE.toLocaleString('en')} into a running server`);
    const endedMs = Date.now();
    while ((await few.metric('directory_subscribers')) < PEOPLE + FEW) await delay(100);
    const knownSeconds = (Date.now() - endedMs) / 1000;
    report.line(
      'all of them known to the server after the import',
      '≤ 5 s',
      `${knownSeconds.toFixed(1)} s`,
      knownSeconds <= 5,
    );
    return `${few.countOf('loading all subscribers', sinceMs)} reloads in ${seconds.toFixed(0)} s`;
  });
  const settledFromMs = Date.now();
  while ((await few.metric('settler_backlog')) > 0) await delay(200);
  report.line('and brought in line after that', undefined, `${((Date.now() - settledFromMs) / 1000).toFixed(0)} s`);
}

async function main(): Promise<void> {
  report.others(await busyShare(5));
  const few = await newHouse('few', '100.64.0.0/24');
  const many = await newHouse('many', '100.64.0.0/12');
  const [fewPath, cityPath, morePath] = ['few.csv', 'city.csv', 'more.csv'].map((name) => join(many.folder, name));
  await writeCity(fewPath!, FEW, { plan: 'home' });
  const bytes = await writeCity(cityPath!, PEOPLE, { plan: 'home' });
  report.say(`${PEOPLE} lines, ${Math.round(bytes / 1e6)} MB`);
  await few.run(['subscriber', 'import', fewPath!]);
  await importFile(many, cityPath!, `import of ${PEOPLE.toLocaleString('en')}`, 90);
  await importFile(many, cityPath!, 'the same file again: nothing changes');

  await few.serve();
  const readySeconds = await many.serve();
  const readyText = `${readySeconds.toFixed(1)} s, ${(await many.processorSeconds()).toFixed(1)} s of processor`;
  report.line('ready after a start', '≤ 30 s', readyText, readySeconds <= 30);
  const loadedMb = await many.residentMb();
  await rates(few, many);
  await quietAndPages(many);
  await growth(many);
  report.pages(await pageTimes(many.statusUrl, pagePaths(PEOPLE)));
  await reloads(many);
  const [usedMb, peakMb] = [await many.residentMb(), await many.peakMb()];
  report.line(
    'memory (resident)',
    '≤ 1,536 MB',
    `${loadedMb} MB after the start, ${usedMb} MB after all this, ${peakMb} MB at most`,
    peakMb <= 1_536,
  );
  report.say('everybody is plugged in, and has a lease');
  await plugInCity(await many.databaseUrl(), PEOPLE);
  await many.stop();
  const againSeconds = await many.serve();
  report.line(
    'ready after another start, with sessions, and everybody at a port with a lease',
    '≤ 30 s',
    `${againSeconds.toFixed(1)} s; ${String(await many.residentMb())} MB`,
    againSeconds <= 30,
  );
  report.pages(await pageTimes(many.statusUrl, linePaths(PEOPLE)), `, with ${PEOPLE.toLocaleString('en')} leases`);
  await many.stop();

  await writeCity(morePath!, PEOPLE, { plan: 'home', first: FEW + 1 });
  await importWhileServing(few, morePath!);
}

async function closeAll(): Promise<void> {
  for (const house of houses) await house.close().catch((error: unknown) => console.error(error));
}

async function giveUp(why: string): Promise<void> {
  console.error(why);
  await closeAll();
  process.exit(1);
}

const bound = setTimeout(() => void giveUp('this took too long'), BOUND_MS);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void giveUp(signal));
try {
  await main();
} finally {
  await closeAll();
  clearTimeout(bound);
}
report.others(await busyShare(5));
await report.finish((text) => writeFile(DOCUMENT, text));
process.exitCode = report.failed ? 1 : 0;
