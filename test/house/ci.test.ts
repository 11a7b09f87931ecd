/**
 * `.ci/run` adds up what its steps say, and its last line and exit code can be believed. The steps here are stand-ins.
 */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const script = fileURLToPath(new URL('../../.ci/run', import.meta.url));

type Tap = typeof t;

interface Steps {
  setUp: string;
  check: string;
  test: string;
  interop: string;
  /** Body of test/run.mjs, which runs the store tests once more. */
  second: string;
}

const green: Steps = {
  setUp: '',
  check: 'true',
  test: 'echo "10 passed, 0 failed"',
  interop: 'echo "3 passed, 0 failed, 2 skipped"',
  second: 'console.log("5 passed, 0 failed")',
};

async function run(t: Pick<Tap, 'teardown'>, changed: Partial<Steps>) {
  const steps = { ...green, ...changed };
  const directory = await mkdtemp(join(tmpdir(), 'sluice-ci-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  for (const folder of ['.ci', 'bin', 'test', 'path']) await mkdir(join(directory, folder));
  await cp(script, join(directory, '.ci', 'run'));
  await writeFile(join(directory, 'bin', 'launch.mjs'), steps.setUp);
  await writeFile(join(directory, 'test', 'run.mjs'), steps.second);
  const scripts = { check: steps.check, test: steps.test, 'test:interop': steps.interop };
  await writeFile(join(directory, 'package.json'), JSON.stringify({ name: 'small', version: '1.0.0', scripts }));
  // Nothing is installed by a test: what the script looks for is there.
  for (const tool of ['radclient', 'setpriv', 'git', 'systemd-analyze', 'apt-get']) {
    await writeFile(join(directory, 'path', tool), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  }
  const { status, stdout } = spawnSync(join(directory, '.ci', 'run'), [], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', PATH: `${join(directory, 'path')}:${process.env['PATH'] ?? ''}` },
  });
  return { status, stdout, lastLine: stdout.trimEnd().split('\n').at(-1) };
}

/** The second database is only there where a distribution's PostgreSQL is. */
const secondRuns = spawnSync('/bin/sh', ['-c', 'ls /usr/lib/postgresql/*/bin/postgres']).status === 0;
const second = secondRuns ? 5 : 0;

t.test('all green: the sum, with the two single steps, and exit code 0', async (t) => {
  const { status, lastLine } = await run(t, {});
  t.equal(lastLine, `${String(2 + 10 + 3 + second)} passed, 0 failed`);
  t.equal(status, 0);
});

const red: [string, Partial<Steps>, number][] = [
  ['a failed check', { check: 'exit 1' }, 1],
  ['failed tests', { test: 'echo "9 passed, 2 failed"; exit 1' }, 2],
  ['tests that end without a count', { interop: 'echo killed; exit 137' }, 1],
  ['tests that say all is well and end badly', { interop: 'echo "3 passed, 0 failed"; exit 1' }, 1],
];
for (const [name, steps, failed] of red) {
  t.test(`${name}: counted, the other steps still run, exit code 1`, async (t) => {
    const { status, stdout, lastLine } = await run(t, steps);
    t.match(lastLine, new RegExp(`^\\d+ passed, ${String(failed)} failed$`));
    t.equal(status, 1);
    if (secondRuns) t.match(stdout, /5 passed, 0 failed/);
  });
}

t.test('a build that fails ends the run at once', async (t) => {
  const { status, lastLine } = await run(t, { setUp: 'process.exit(1)' });
  t.equal(lastLine, '0 passed, 1 failed');
  t.equal(status, 1);
});
