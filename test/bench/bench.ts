/**
 * `npm run bench`: Sluice beside FreeRADIUS on one machine, one PostgreSQL, one generator. Enters: options. Leaves: a table, and after a whole
 * run docs/benchmarks.md and docs/benchmarks.svg. Invariants: rounds of all sides alternate; what is compared was measured in this run;
 * nothing that was started stays behind.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { withoutFreeradius } from '../support/freeradius-server.js';
import { AccountingWork } from './accounting-work.js';
import { chart } from './chart.js';
import { kernel, machine, versions } from './circumstances.js';
import { accountingMix } from './packets.js';
import { makeDatabases, POSTGRES_SETTINGS, type Databases } from './databases.js';
import { LoadGenerator } from './load-generator.js';
import { bindToProcessors } from './process-cost.js';
import type { Bench } from './measure.js';
import { readOptions, UsageError, type BenchOptions } from './options.js';
import { markdown, terminalTable, titleOf, verdicts, withMeasured, type Section, type SectionId } from './report.js';
import { startFreeradius, startGeneratorEcho, startNodeEcho, startSluice, type Side } from './sides.js';
import { runEcho, runPap, runPool, type Extent, type Outcome } from './works.js';

interface Plan {
  readonly echo: Extent;
  readonly free: Extent;
  readonly accounting: Extent;
  readonly pinned: Extent | undefined;
  /** People without an address for each part. */
  readonly poolPeople: number;
}

function planOf({ isQuick, rounds, isPinned }: BenchOptions): Plan {
  const extent = (count: number, secondsPerRound: number, burstSeconds = 0): Extent => ({
    rounds: count,
    secondsPerRound,
    burstSeconds,
  });
  if (isQuick)
    return {
      echo: extent(1, 0.5),
      free: extent(rounds, 1),
      accounting: extent(rounds, 1, 1),
      pinned: undefined,
      poolPeople: 15_000 * (rounds + 1),
    };
  return {
    echo: extent(3, 2),
    free: extent(rounds, 4),
    accounting: extent(rounds, 5, 10),
    pinned: isPinned ? extent(Math.min(rounds, 3), 4) : undefined,
    poolPeople: 100_000,
  };
}

interface Stage {
  readonly bench: Bench;
  readonly sluice: Side;
  readonly files: Side | undefined;
  readonly sql: Side | undefined;
  readonly pool: Side | undefined;
}

const present = (...sides: (Side | undefined)[]): Side[] => sides.filter((side) => side !== undefined);
const tell = (line: string): void => console.log(line);

async function runAll(stage: Stage, plan: Plan, options: BenchOptions, sections: Section[]): Promise<void> {
  const { bench, sluice } = stage;
  const accounting = new AccountingWork(bench, accountingMix(options.interims), present(sluice, stage.sql), tell);
  const add = async (id: SectionId, run: () => Promise<Outcome>): Promise<void> => {
    tell(`\n${titleOf({ id, isPinned: bench.isPinned })}`);
    const outcome = await run();
    sections.push({ id, isPinned: bench.isPinned, outcome });
  };
  let poolNext = 0;
  const parts = async (extent: Extent, accountingExtent: Extent, people: number): Promise<void> => {
    if (options.works.includes('pap'))
      await add('pap', () => runPap(bench, present(sluice, stage.files, stage.sql), extent, tell));
    if (options.works.includes('accounting')) await add('accounting', () => accounting.run(accountingExtent));
    if (options.works.includes('pool'))
      await add('pool', async () => {
        const outcome = await runPool(bench, present(sluice, stage.pool), extent, people, tell, poolNext);
        poolNext = outcome.next;
        return outcome;
      });
  };
  await parts(plan.free, plan.accounting, plan.poolPeople);
  if (plan.pinned !== undefined) {
    bench.isPinned = true;
    await parts(plan.pinned, plan.pinned, plan.poolPeople * 2);
    bench.isPinned = false;
    const all = `0-${String(cpus().length - 1)}`;
    for (const pid of [sluice.pid, ...present(stage.files, stage.sql, stage.pool).map((side) => side.pid)])
      await bindToProcessors(pid, all);
    await bindToProcessors(bench.databases.postgres.pid!, all);
  }
  if (options.works.includes('accounting')) {
    await add('burst', () => accounting.burst(plan.accounting.burstSeconds));
  }
}

async function runEchoes(bench: Bench, plan: Plan, sections: Section[]): Promise<void> {
  const sides: Side[] = [];
  try {
    sides.push(await startNodeEcho(), await startGeneratorEcho(bench.generator));
    tell(`\n${titleOf({ id: 'echo', isPinned: false })}`);
    sections.push({ id: 'echo', isPinned: false, outcome: await runEcho(bench, sides, plan.echo, tell) });
  } finally {
    for (const side of sides) await side.stop();
  }
}

async function main(): Promise<number> {
  const beganAtMs = performance.now();
  const options = readOptions(process.argv.slice(2));
  const plan = planOf(options);
  const missing = await withoutFreeradius();
  if (missing !== false) tell(`${missing}: Sluice alone is measured`);
  // Debian's PostgreSQL where it is installed, as FreeRADIUS is Debian's.
  process.env['SLUICE_TEST_DATABASE'] ??= missing === false ? 'debian' : 'embedded';
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const ends: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const sections: Section[] = [];
  try {
    const generator = await LoadGenerator.compile(folder);
    tell('making the databases');
    const people = plan.poolPeople * (plan.pinned === undefined ? 1 : 2);
    const databases: Databases = await makeDatabases(options.works.includes('pool') ? people : 0, missing === false);
    ends.push(() => databases.postgres.remove());
    const text = randomBytes(18).toString('base64url');
    const bench: Bench = { generator, databases, secret: new SharedSecret(text), folder, isPinned: false };
    await runEchoes(bench, plan, sections);
    const started = async (side: Promise<Side>): Promise<Side> => {
      const one = await side;
      ends.push(one.stop);
      return one;
    };
    const { radiusUrl, sluiceUrl } = databases;
    const needs = (...works: string[]): boolean => options.works.some((work) => works.includes(work));
    const theirs = async (kind: 'files' | 'sql' | 'sqlippool', isNeeded: boolean): Promise<Side | undefined> =>
      radiusUrl === undefined || !isNeeded ? undefined : await started(startFreeradius(kind, radiusUrl, text));
    await runAll(
      {
        bench,
        sluice: await started(startSluice(sluiceUrl, text, options.profileFolder)),
        files: await theirs('files', needs('pap')),
        sql: await theirs('sql', needs('pap', 'accounting')),
        pool: await theirs('sqlippool', needs('pool')),
      },
      plan,
      options,
      sections,
    );
    tell(terminalTable(sections));
    const circumstances = {
      date: new Date().toISOString().slice(0, 10),
      command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
      machine: machine(),
      kernel: kernel(),
      versions: await versions(databases.postgres.version, missing === false),
      settings: Object.entries(POSTGRES_SETTINGS)
        .map(([name, value]) => `${name} = ${value}`)
        .join(', '),
      seconds: (performance.now() - beganAtMs) / 1000,
    };
    if (options.json !== undefined) {
      const all = { circumstances, sections, verdicts: verdicts(sections) };
      await writeFile(options.json, `${JSON.stringify(all, undefined, 2)}\n`);
    }
    if (options.writesDocs && missing === false) {
      const document = new URL('../../docs/benchmarks.md', import.meta.url);
      await writeFile(document, withMeasured(await readFile(document, 'utf8'), markdown(sections, circumstances)));
      const drawn = sections.filter((one) => one.id !== 'echo' && !one.isPinned);
      await writeFile(new URL('../../docs/benchmarks.svg', import.meta.url), chart(drawn));
      tell('\ndocs/benchmarks.md and docs/benchmarks.svg are written');
    }
    return 0;
  } finally {
    for (const stop of ends.reverse()) await stop();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
