/**
 * One run of the tests: picks the files, starts one PostgreSQL for all of them, runs tap, tells what failed.
 *
 * Enters: command line arguments. Leaves: text on standard output and an exit code. Invariants: the last line is
 * `N passed, N failed` (with `, N skipped` when there are); processes and folders of the run are gone afterwards, those of
 * tests that failed to clean up included.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, readdir, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createTemplate } from './database.js';
import { TestPostgres } from './postgres-server.js';
import { TapTally, type Failure, type FileSummary } from './tap-tally.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Test files at once: a file is a process of its own, and more than two make each other's timings unbelievable. */
const PARALLEL_FILES = 2;

/** Diagnostics of one failure are cut after this many lines. */
const DIAGNOSTIC_LINES = 60;

interface Selection {
  parallel: string[];
  serial: string[];
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** All test files below a path (or the file itself). @throws the system error for a path that is not there */
async function testFilesBelow(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/**
 * Chooses the files of a run.
 *
 * @param args `--interop` chooses test/interop; anything else is a path; without paths everything but test/interop
 */
export async function selectFiles(args: readonly string[]): Promise<Selection> {
  const unknown = args.filter((arg) => arg.startsWith('--') && arg !== '--interop');
  if (unknown.length > 0) throw new Error(`unknown option ${unknown.join(', ')}; known: --interop`);
  const interopDirectory = join(root, 'test', 'interop');
  const interop = args.includes('--interop');
  const paths = args.filter((arg) => !arg.startsWith('--')).map((arg) => resolve(arg));
  const start = paths.length > 0 ? paths : [interop ? interopDirectory : join(root, 'test')];
  const found = new Set<string>();
  for (const path of start) {
    const named = paths.some((given) => given === path && given.startsWith(interopDirectory));
    // Git keeps no empty folders: a release without interop tests has none to run.
    const nothing = paths.length === 0 && !(await isThere(path));
    for (const file of nothing ? [] : await testFilesBelow(path)) {
      if (interop || named || !file.startsWith(interopDirectory + '/')) found.add(relative(root, file));
    }
  }
  const files = [...found].sort();
  const isSerial = (file: string) => file.endsWith('.serial.test.ts');
  return { parallel: files.filter((file) => !isSerial(file)), serial: files.filter(isSerial) };
}

/** Runs tap over files, feeding its output to the tally. */
async function runTap(
  files: string[],
  jobs: number,
  environment: NodeJS.ProcessEnv,
  tally: TapTally,
  started: (child: ChildProcess) => void,
): Promise<void> {
  if (files.length === 0) return;
  const tap = join(root, 'node_modules', '.bin', 'tap');
  const child = spawn(tap, ['--reporter=tap', '--no-color', `--jobs=${String(jobs)}`, ...files], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  started(child);
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout! })) tally.line(line);
  tally.end(files);
  await ended;
}

function tellFile(summary: FileSummary): void {
  const { name, passed, failed, skipped, durationMs } = summary;
  const counts = [
    `${String(passed)} passed`,
    failed > 0 && `${String(failed)} FAILED`,
    skipped > 0 && `${String(skipped)} skipped`,
  ];
  console.log(
    `${failed > 0 ? '✗' : '✓'} ${name}: ${counts.filter(Boolean).join(', ')}, ${(durationMs / 1000).toFixed(1)} s`,
  );
}

function tellFailure(failure: Failure): void {
  console.log(`\n✗ ${failure.path.join(' › ')}`);
  for (const line of failure.diagnostics.slice(0, DIAGNOSTIC_LINES)) console.log(`    ${line}`);
  if (failure.diagnostics.length > DIAGNOSTIC_LINES) console.log('    …');
  console.log('');
}

/** Kills what still works inside the run's folder: a server that a test left behind. */
async function killInside(directory: string): Promise<void> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (!cwd.startsWith(`${directory}/`) && !commandLine.includes(`${directory}/`)) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      continue;
    }
  }
}

/** The whole run. @returns the exit code */
export async function runTests(args: readonly string[]): Promise<number> {
  const { parallel, serial } = await selectFiles(args);
  const directory = await mkdtemp(join(tmpdir(), 'sluice-test-run-'));
  await chmod(directory, 0o755);
  process.env['TMPDIR'] = directory;

  let current: ChildProcess | undefined;
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    try {
      if (current?.pid !== undefined) process.kill(-current.pid, 'SIGKILL');
    } catch {
      // It ended by itself in this moment.
    }
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);

  const tally = new TapTally(tellFile, tellFailure);
  let server: TestPostgres | undefined;
  let fatal: unknown;
  try {
    server = await TestPostgres.create();
    await createTemplate(server.adminUrl);
    console.log(`PostgreSQL ${server.version}; ${String(parallel.length + serial.length)} test files`);
    const environment = { ...process.env, SLUICE_TEST_POSTGRES_URL: server.adminUrl };
    const started = (child: ChildProcess) => {
      current = child;
    };
    await runTap(parallel, PARALLEL_FILES, environment, tally, started);
    if (!interrupted) await runTap(serial, 1, environment, tally, started);
  } catch (error) {
    fatal = error;
  } finally {
    await server?.remove();
    await killInside(directory);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
  if (fatal !== undefined) console.log(fatal);
  if (interrupted) console.log('interrupted');
  const failed = tally.failed + (fatal === undefined && !interrupted ? 0 : 1);
  const skipped = tally.skipped > 0 ? `, ${String(tally.skipped)} skipped` : '';
  console.log(`${String(tally.passed)} passed, ${String(failed)} failed${skipped}`);
  return failed > 0 ? 1 : 0;
}
