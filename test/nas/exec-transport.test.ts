// Commands by a local script: what it is given, what its exit code means, and that it never outlives its time.
import { chmod, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { SecretValue } from '../../src/config/secret-value.js';
import { redactor } from '../../src/nas/console-text.js';
import { ExecTransport } from '../../src/nas/exec-transport.js';
import type { ExecSettings } from '../../src/nas/exec-transport.js';
import { systemNasClock } from '../../src/nas/nas-clock.js';
import type { StepTask } from '../../src/nas/step.js';
import { until } from '../support/until.js';
import { nas, present, runOf } from './command-context.js';

async function transportWith(t: Test, script: string, settings: Partial<ExecSettings> = {}) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'sluice-exec-')));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'session');
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  const transport = new ExecTransport({
    nas,
    script: file,
    timeoutMs: 20_000,
    parallel: 4,
    redact: redactor([SecretValue.of('correct horse')]),
    clock: systemNasClock,
    ...settings,
  });
  t.teardown(() => transport.stop());
  return { folder, file, transport };
}

function task(enforcementId = 1, login = 'ivanov', session: 'with-session' | 'without' = 'without'): StepTask {
  const run = runOf(['user_redirect'], {
    enforcementId,
    data: { ...present, key: { ...present.key, login } },
    ...(session === 'without' ? {} : {}),
  });
  return { run, command: run.commands[0]!, step: { send: 'exec' } };
}

const owner = (): boolean => true;
const outcomeOf = async (transport: ExecTransport, one = task()) =>
  (await transport.exchange([one], owner))[0]?.outcome;

t.test('the command is the argument, the variables are the environment, the folder is its own', async (t) => {
  const { folder, file, transport } = await transportWith(
    t,
    'printf "%s\\n" "$#" "$1" "$(pwd)" "$login" "$subacc_username" "$ip" "$rate_in"; env -0 > environment',
  );
  process.env['SLUICE_OF_THE_SERVICE'] = 'not for scripts';
  t.teardown(() => delete process.env['SLUICE_OF_THE_SERVICE']);
  const login = "o'hara\n$(reboot)";
  const [result] = await transport.exchange([task(1, login)], owner);
  t.equal(result?.sent, `${file} user_redirect`);
  const environment = await readFile(join(folder, 'environment'), 'utf8');
  const variables = new Map(
    environment.split('\0').map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  );
  t.equal(variables.get('login'), login);
  t.equal(variables.get('nas_name'), 'bras1');
  t.notOk(variables.has('SLUICE_OF_THE_SERVICE'), 'the environment of the service stays with it');
  // What is named by the shell, the test runner or the machine itself is not ours to answer for.
  const named = [...variables.keys()].filter((name) => /^[a-z]/u.test(name) && /password|secret|psw/u.test(name));
  t.same(named, [], 'no name of a secret');
  t.same(result?.outcome, {
    outcome: 'applied',
    evidence: 'exit-code',
    text: ['1', 'user_redirect', folder, ...Array(2).fill("o'hara | $(reboot)"), '100.64.3.7', '50000'].join(' | '),
  });
});

t.test('exit codes', async (t) => {
  const table: readonly [script: string, outcome: object][] = [
    ['exit 0', { outcome: 'applied', evidence: 'exit-code' }],
    ['echo no such user; exit 1', { outcome: 'refused', text: 'exit code 1 no such user' }],
    [
      'echo the password is correct horse >&2; exit 2',
      { outcome: 'refused', text: 'exit code 2 the password is <secret>' },
    ],
    ['exit 254', { outcome: 'later', afterMs: 61_200 }],
    ['exit 143', { outcome: 'later', afterMs: 61_200 }],
    ['kill -9 $$', { outcome: 'unreachable', reached: 'maybe', text: 'ended by SIGKILL' }],
    ['printf "\\033[2Jhello\\007"', { outcome: 'applied', text: 'hello' }],
    ['head -c 1000000 /dev/zero | tr "\\0" x', { outcome: 'applied', text: /^x{499}…$/u }],
  ];
  for (const [script, outcome] of table) {
    const { transport } = await transportWith(t, script);
    t.match(await outcomeOf(transport), outcome, script);
  }
});

t.test('later grows with each time, ends after ten, and starts anew after a success', async (t) => {
  const { folder, transport } = await transportWith(t, 'exit "$(cat code)"');
  const codeIs = (code: number): Promise<void> => writeFile(join(folder, 'code'), String(code));
  await codeIs(254);
  for (let time = 1; time <= 10; time += 1) {
    t.match(await outcomeOf(transport), { outcome: 'later', afterMs: 61_200 * time });
  }
  t.match(await outcomeOf(transport, task(2)), { afterMs: 61_200 }, 'each enforcement for itself');
  t.match(await outcomeOf(transport), { outcome: 'refused', text: /10 times/u });
  await codeIs(0);
  t.match(await outcomeOf(transport, task(2)), { outcome: 'applied' });
  await codeIs(254);
  t.match(await outcomeOf(transport, task(2)), { afterMs: 61_200 });
});

t.test('a script that hangs is ended with its children, also when they will not hear', async (t) => {
  const timers: { delayMs: number; run: () => void }[] = [];
  const clock = {
    nowMs: () => 0,
    startTimer: (delayMs: number, run: () => void) => {
      timers.push({ delayMs, run });
      return () => undefined;
    },
  };
  const { folder, transport } = await transportWith(
    t,
    'trap "" TERM; sh -c \'trap "" TERM; echo $$ > child; sleep 600\' & echo $! > other; wait; sleep 600',
    { clock, timeoutMs: 1_234 },
  );
  const running = outcomeOf(transport);
  const child = async (): Promise<string> => readFile(join(folder, 'child'), 'utf8').catch(() => '');
  await until(async () => (await child()).endsWith('\n'));
  timers.find(({ delayMs }) => delayMs === 1_234)?.run();
  timers.find(({ delayMs }) => delayMs === 2_000)?.run();
  t.match(await running, { outcome: 'unreachable', reached: 'maybe', text: 'killed after 1234 ms' });
  const pid = Number(await child());
  await until(async () => !(await isRunning(pid)));
  t.pass('the child is gone');
});

t.test('what a script leaves running is ended with it', async (t) => {
  const { folder, transport } = await transportWith(t, 'sleep 600 & echo $! > child; exit 0');
  t.match(await outcomeOf(transport), { outcome: 'applied' });
  const pid = Number(await readFile(join(folder, 'child'), 'utf8'));
  await until(async () => !(await isRunning(pid)));
  t.pass('it is gone');
});

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && !/\) Z /u.test(stat);
}

t.test('what is never started', async (t) => {
  const { transport } = await transportWith(t, 'exit 0', { script: '/nowhere/session' });
  t.match(await outcomeOf(transport), { outcome: 'unreachable', reached: 'never', text: /cannot be run: ENOENT/u });
  const { folder, transport: good } = await transportWith(t, 'echo x >> ran');
  t.match(await outcomeOf(good, task(1, 'a\0b')), {
    outcome: 'unsayable',
    text: /\$\w+ cannot stand in an environment/u,
  });
  t.match((await good.exchange([task()], () => false))[0]?.outcome, { outcome: 'unreachable', reached: 'never' });
  await good.stop();
  t.match(await outcomeOf(good), { outcome: 'unreachable', reached: 'never', text: 'this server is stopping' });
  await t.rejects(readFile(join(folder, 'ran')));
});

t.test('never more at once than allowed, and all of them in the end', async (t) => {
  const { folder, transport } = await transportWith(t, 'echo + >> log; cat gate > /dev/null; echo - >> log', {
    parallel: 3,
  });
  const { execFileSync } = await import('node:child_process');
  execFileSync('mkfifo', [join(folder, 'gate')]);
  const running = transport.exchange(
    Array.from({ length: 7 }, (_, index) => task(index)),
    owner,
  );
  const log = async (): Promise<string> =>
    (await readFile(join(folder, 'log'), 'utf8').catch(() => '')).replaceAll('\n', '');
  await until(async () => (await log()) === '+++');
  let isOver = false;
  const results = running.finally(() => (isOver = true));
  // Each opening of the gate lets those through that stand before it.
  await until(async () => {
    if (!isOver) await writeFile(join(folder, 'gate'), '', { flag: 'r+' });
    return isOver;
  });
  t.equal((await results).filter(({ outcome }) => outcome.outcome === 'applied').length, 7);
  let atOnce = 0;
  const most = [...(await log())].map((sign) => (atOnce += sign === '+' ? 1 : -1));
  t.equal(Math.max(...most), 3);
});
