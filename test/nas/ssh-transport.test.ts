// Commands over SSH: whose output is whose, what is proven and what is not, and to whom a password is never sent.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { SecretValue } from '../../src/config/secret-value.js';
import type { PresentService } from '../../src/domain/service-state.js';
import type { EnforcementRun } from '../../src/nas/driver.js';
import { compileCommandTemplate } from '../../src/nas/command-template.js';
import type { CommandTemplate, Dialect } from '../../src/nas/command-template.js';
import { compilePatterns, redactor } from '../../src/nas/console-text.js';
import { systemNasClock } from '../../src/nas/nas-clock.js';
import { SshTransport } from '../../src/nas/ssh-transport.js';
import type { SshManner, SshSurroundings } from '../../src/nas/ssh-transport.js';
import type { StepResult, StepTask } from '../../src/nas/step.js';
import { startSshNas } from '../support/ssh-nas.js';
import type { SshNas } from '../support/ssh-nas.js';
import { until } from '../support/until.js';
import { nas as commandNas, present, runOf } from './command-context.js';

export function templates(lines: readonly string[], dialect: Dialect): CommandTemplate[] {
  return lines.map((line) => {
    const compiled = compileCommandTemplate(line, dialect);
    if (!compiled.ok) throw new Error(`${line}: ${compiled.problem}`);
    return compiled.template;
  });
}

interface Setting {
  readonly manner?: Partial<SshManner>;
  readonly around?: Partial<SshSurroundings>;
}

function transportTo(t: Test, nas: SshNas, { manner = {}, around = {} }: Setting = {}): SshTransport {
  const transport = new SshTransport(
    {
      dialect: 'posix',
      mode: 'exec',
      prompt: undefined,
      prologue: [],
      epilogue: [],
      patterns: compilePatterns({ error: [], ignore: [] }),
      batchLines: 500,
      ...manner,
    },
    {
      nas: commandNas,
      target: nas.target,
      connections: 1,
      commandTimeoutMs: 20_000,
      hostKey: async () => nas.fingerprint,
      onHostKeyRefused: () => undefined,
      redact: redactor([nas.target.password]),
      clock: systemNasClock,
      ...around,
    },
  );
  t.teardown(() => transport.stop());
  return transport;
}

function tasks(
  lines: readonly string[],
  count: number,
  dialect: Dialect = 'posix',
  dataOf: (index: number) => PresentService = () => present,
): StepTask[] {
  const step = { send: 'ssh', lines: templates(lines, dialect) } as const;
  return Array.from({ length: count }, (_, index) => {
    const run = runOf(['user_add'], {
      enforcementId: index,
      subject: { subscriberId: index, accountId: 1, contract: 'C', plan: null },
      data: dataOf(index),
    });
    return { run, command: run.commands[0]!, step };
  });
}

const owner = (): boolean => true;
const outcomes = (results: readonly StepResult[]): string[] => results.map(({ outcome }) => outcome.outcome);

t.test('a batch is one exchange, and each enforcement gets its own answer', async (t) => {
  const nas = await startSshNas(t);
  const results = await transportTo(t, nas).exchange(
    tasks(
      [
        'echo one $subscriber_id',
        'test $subscriber_id -ne 3 || { echo no three >&2; exit 7; }',
        'echo two $subscriber_id',
      ],
      6,
    ),
    owner,
  );
  t.equal(nas.commands.length, 1);
  t.same(outcomes(results), ['applied', 'applied', 'applied', 'refused', 'applied', 'applied']);
  t.match(results[0]?.outcome, { evidence: 'output', text: 'one 0 | two 0' });
  t.match(results[3]?.outcome, { text: 'no three' });
  t.match(results[5]?.outcome, { text: 'one 5 | two 5' });
  t.equal(results[1]?.sent, "echo one '1'\ntest '1' -ne 3 || { echo no three >&2; exit 7; }\necho two '1'");
});

t.test('one part cannot act on another', async (t) => {
  const table: readonly [what: string, line: string, outcome: string, text: RegExp][] = [
    ['reads the rest of the batch', 'cat', 'applied', /^$/u],
    ['ends the shell', 'exit 0', 'refused', /ended the shell, exit status 0/u],
    ['ends the shell in anger', 'exit 9', 'refused', /ended the shell, exit status 9/u],
    ['kills its shell', "sh -c 'kill -9 $$PPID'; true", 'refused', /Killed|137/iu],
    ['changes the folder', 'cd / && x=1', 'applied', /^$/u],
    ['prints what looks like a mark', 'echo sluice-0123 1 0 0', 'applied', /^sluice-0123 1 0 0$/u],
    ['prints escapes', "printf '\\033[2J\\007\\033]0;title\\007red'", 'applied', /^red$/u],
    ['prints without an end', 'head -c 300000 /dev/zero | tr "\\0" x', 'applied', /^x{499}…$/u],
    ['prints nothing and fails', 'false', 'refused', /^exit status 1$/u],
    ['is not there', 'no-such-program 2>/dev/null', 'refused', /^exit status 127$/u],
  ];
  const nas = await startSshNas(t);
  const transport = transportTo(t, nas);
  for (const [what, line, outcome, text] of table) {
    const [bad] = tasks([line], 1);
    const good = tasks(['test "$$(pwd)" != / && echo fine'], 2);
    const results = await transport.exchange([good[0]!, bad!, good[1]!], owner);
    t.same(outcomes(results), ['applied', outcome, 'applied'], what);
    t.match(results[1]?.outcome.text, text, what);
    t.equal(results[2]?.outcome.text, 'fine', what);
  }
});

t.test('patterns of the profile', async (t) => {
  const nas = await startSshNas(t);
  const judge = (line: string, patterns: { error?: string[]; ignore?: string[]; success?: string }) =>
    transportTo(t, nas, { manner: { patterns: compilePatterns({ error: [], ignore: [], ...patterns }) } }).exchange(
      tasks([line, 'echo after'], 1),
      owner,
    );
  const table: readonly [
    what: string,
    line: string,
    patterns: Parameters<typeof judge>[1],
    outcome: string,
    text: RegExp,
  ][] = [
    ['an error with exit status 0', 'echo "% Invalid input"', { error: ['^% Invalid'] }, 'refused', /Invalid input/u],
    [
      'a failure that means it is so already',
      'echo "File exists"; false',
      { ignore: ['File exists'] },
      'applied',
      /after/u,
    ],
    ['an error that is ignored', 'echo "error: exists"', { error: ['error'], ignore: ['exists'] }, 'applied', /after/u],
    ['another failure', 'echo "Device busy"; false', { ignore: ['File exists'] }, 'refused', /busy/u],
    ['success that is missing', 'echo hm', { success: '^done' }, 'refused', /no sign of success in: hm/u],
    ['success that is there', 'echo done', { success: '^done' }, 'applied', /done/u],
  ];
  for (const [what, line, patterns, outcome, text] of table) {
    const [result] = await judge(line, patterns);
    t.equal(result?.outcome.outcome, outcome, what);
    t.match(result?.outcome.text, text, what);
  }
});

t.test('lines around a batch, and one that fails', async (t) => {
  const nas = await startSshNas(t);
  const good = transportTo(t, nas, {
    manner: { prologue: templates(['greeting=hello'], 'posix'), epilogue: templates(['true'], 'posix') },
  });
  t.match(await good.exchange(tasks(['echo "$$greeting" $subscriber_id'], 1), owner), [
    { outcome: { text: 'hello 0' } },
  ]);
  const bad = transportTo(t, nas, { manner: { prologue: templates(['echo no rights >&2; false'], 'posix') } });
  const results = await bad.exchange(tasks(['echo never'], 2), owner);
  t.same(outcomes(results), ['refused', 'refused']);
  t.equal(results[0]?.outcome.text, 'before the batch: no rights');
});

t.test('a template that the shell cannot read is a refusal with its words', async (t) => {
  const nas = await startSshNas(t);
  const [result] = await transportTo(t, nas).exchange(tasks(['if true; then echo x'], 1), owner);
  t.equal(result?.outcome.outcome, 'refused');
  t.match(result?.outcome.text, /syntax error/iu);
});

t.test('later steps of a run wait for the earlier ones, and stop where one fails', async (t) => {
  const nas = await startSshNas(t);
  const run = runOf(['user_del', 'user_add']);
  const step = (line: string) => ({ send: 'ssh', lines: templates([line], 'posix') }) as const;
  const [del, add] = run.commands;
  const results = await transportTo(t, nas).exchange(
    [
      { run, command: del!, step: step('echo first') },
      { run, command: del!, step: step('false') },
      { run, command: add!, step: step('echo never') },
      ...tasks(['echo other'], 1),
    ],
    owner,
  );
  t.same(outcomes(results), ['applied', 'refused', 'applied']);
  t.equal(results.at(-1)?.outcome.text, 'other');
});

t.test('what a value, a template or an owner keeps from being sent', async (t) => {
  const nas = await startSshNas(t);
  const transport = transportTo(t, nas);
  const hostile = tasks(['echo $login'], 2, 'posix', (index) => ({
    ...present,
    key: { ...present.key, login: index === 0 ? 'a\0b' : 'fine' },
  }));
  const results = await transport.exchange(hostile, owner);
  t.same(outcomes(results), ['unsayable', 'applied']);
  t.equal(results[0]?.sent, '');
  const [nothing] = await transport.exchange(tasks(['${!ip} echo no address'], 1), owner);
  t.match(nothing?.outcome, { outcome: 'applied', evidence: 'not-applicable' });
  const said = nas.commands.length;
  t.match(await transport.exchange(tasks(['echo x'], 2), () => false), [
    { outcome: { outcome: 'unreachable', reached: 'never' } },
    { outcome: { outcome: 'unreachable', reached: 'never' } },
  ]);
  t.equal(nas.commands.length, said);
});

t.test('the owner is asked before every exchange', async (t) => {
  const nas = await startSshNas(t);
  let asked = 0;
  const results = await transportTo(t, nas, { manner: { batchLines: 2 } }).exchange(
    tasks(['echo x'], 6),
    () => (asked += 1) <= 2,
  );
  t.same(outcomes(results), ['applied', 'applied', 'applied', 'applied', 'unreachable', 'unreachable']);
  t.match(results.at(-1)?.outcome, { reached: 'never' });
});

t.test('host keys', async (t) => {
  const nas = await startSshNas(t);
  const refused: unknown[] = [];
  const around = { onHostKeyRefused: (one: unknown) => refused.push(one) };
  t.test('none known: refused with the remedy, and no credential is sent', async (t) => {
    const [result] = await transportTo(t, nas, { around: { ...around, hostKey: async () => undefined } }).exchange(
      tasks(['echo x'], 1),
      owner,
    );
    t.match(result?.outcome, { outcome: 'unreachable', reached: 'never', text: /not trusted yet.*sluice nas trust/u });
    t.same(refused.splice(0), [{ known: undefined, offered: nas.fingerprint }]);
    t.same(nas.attempts, []);
  });
  t.test('changed: blocked with both fingerprints, no credential is sent; trusted: goes on', async (t) => {
    let known = nas.fingerprint;
    const transport = transportTo(t, nas, { around: { ...around, hostKey: async () => known } });
    t.same(outcomes(await transport.exchange(tasks(['echo x'], 1), owner)), ['applied']);
    nas.attempts.splice(0);
    nas.changeHostKey();
    nas.breakOff();
    await until(() => nas.open() === 0);
    const results = await transport.exchange(tasks(['echo x'], 3), owner);
    for (const { outcome } of results) {
      t.match(outcome, { outcome: 'unreachable', reached: 'never' });
      t.match(outcome.text, known);
      t.match(outcome.text, nas.fingerprint);
    }
    t.same(nas.attempts, []);
    t.same(refused.splice(0), [{ known, offered: nas.fingerprint }], 'one connect tells for all');
    known = nas.fingerprint;
    t.same(outcomes(await transport.exchange(tasks(['echo x'], 1), owner)), ['applied']);
  });
});

t.test('who cannot be reached, or will not have us', async (t) => {
  const nas = await startSshNas(t, { password: 'another one' });
  const target = { ...nas.target, password: SecretValue.of('wrong horse') };
  const [password] = await transportTo(t, nas, { around: { target } }).exchange(tasks(['echo x'], 1), owner);
  t.match(password?.outcome, { outcome: 'unreachable', reached: 'never', text: /refused the password or key/u });
  t.notMatch(JSON.stringify(password), 'wrong horse');
  const [closed] = await transportTo(t, nas, { around: { target: { ...nas.target, port: 1 } } }).exchange(
    tasks(['echo x'], 1),
    owner,
  );
  t.match(closed?.outcome, { outcome: 'unreachable', reached: 'never', text: 'no connection: ECONNREFUSED' });
  const key = { ...nas.target, password: undefined, key: SecretValue.of('no key at all') };
  const [broken] = await transportTo(t, nas, { around: { target: key } }).exchange(tasks(['echo x'], 1), owner);
  t.match(broken?.outcome, { outcome: 'unreachable', reached: 'never', text: /private key cannot be read/u });
});

t.test('a password by keyboard-interactive', async (t) => {
  const nas = await startSshNas(t, { isKeyboard: true });
  t.same(outcomes(await transportTo(t, nas).exchange(tasks(['echo x'], 1), owner)), ['applied']);
});

t.test('a connection that breaks in the middle: what was answered stands, the rest may have happened', async (t) => {
  const nas = await startSshNas(t);
  const transport = transportTo(t, nas);
  const sleeper = tasks(['test $subscriber_id -ne 1 || exec sleep 600'], 3);
  const running = transport.exchange(sleeper, owner);
  await until(() => nas.commands.length === 1);
  // The first part has answered once the second one holds the shell; there is no outside sign of it, so the break comes after an answer of the first.
  nas.breakOff();
  const results = await running;
  t.equal(results.length, 3);
  t.match(results[1]?.outcome, { outcome: 'unreachable', reached: 'maybe' });
  t.match(results[2]?.outcome, { outcome: 'unreachable', reached: 'maybe' });
  t.same(
    outcomes(await transport.exchange(tasks(['echo back'], 1), owner)),
    ['applied'],
    'and the next call connects again',
  );
  t.equal(nas.connections(), 2);
});

t.test('an exchange that takes too long is broken off', async (t) => {
  const nas = await startSshNas(t);
  const timers: (() => void)[] = [];
  const clock = { nowMs: () => 0, startTimer: (_: number, run: () => void) => (timers.push(run), () => undefined) };
  const running = transportTo(t, nas, { around: { clock, commandTimeoutMs: 1_234 } }).exchange(
    tasks(['sleep 600'], 1),
    owner,
  );
  await until(() => nas.commands.length === 1);
  timers[0]?.();
  t.match((await running)[0]?.outcome, { outcome: 'unreachable', reached: 'maybe', text: 'no answer in 1234 ms' });
});

t.test('stop ends what runs', async (t) => {
  const nas = await startSshNas(t);
  const transport = transportTo(t, nas);
  const running = transport.exchange(tasks(['sleep 600'], 1), owner);
  await until(() => nas.commands.length === 1);
  await transport.stop();
  t.match((await running)[0]?.outcome, { outcome: 'unreachable', reached: 'maybe' });
  t.match((await transport.exchange(tasks(['echo x'], 1), owner))[0]?.outcome, { reached: 'never' });
});

t.test('several connections share the work, never more than configured', async (t) => {
  const nas = await startSshNas(t);
  const transport = transportTo(t, nas, { around: { connections: 3 }, manner: { batchLines: 5 } });
  t.equal(transport.maxBatchRuns, 15);
  const results = await transport.exchange(tasks(['echo x'], 40), owner);
  t.equal(results.filter(({ outcome }) => outcome.outcome === 'applied').length, 40);
  t.equal(nas.connections(), 3);
  t.equal(nas.commands.length, 8);
});

t.test('a secret that a NAS repeats is not shown', async (t) => {
  const nas = await startSshNas(t);
  const [result] = await transportTo(t, nas).exchange(tasks(['echo you said correct horse'], 1), owner);
  t.equal(result?.outcome.text, 'you said <secret>');
  t.match(result?.sent, 'echo you said <secret>');
});

t.test('reading gives the whole output', async (t) => {
  const nas = await startSshNas(t);
  const transport = transportTo(t, nas);
  const read = (lines: readonly string[], about?: EnforcementRun) =>
    transport.read(templates(lines, 'posix'), 'user_info', about);
  const answer = await read(['seq 1 40000', 'echo end']);
  t.ok(answer.ok && answer.output.endsWith('39999\n40000\nend') && answer.output.startsWith('1\n2\n'));
  t.match(await read(['echo $ip'], runOf(['user_add'])), { ok: true, output: '100.64.3.7' });
  t.match(await read(['echo no; false']), { ok: false, outcome: { outcome: 'refused', text: 'no' } });
  t.match(await read(['echo $ip']), { ok: false, outcome: { outcome: 'unsayable' } });
});

t.test(
  'lines that a program reads go into one run of it; when it refuses them, whose they were is found',
  async (t) => {
    const nas = await startSshNas(t);
    // Like nft: all of what it reads, or none.
    const program = `${process.execPath} -e 'const all = require("fs").readFileSync(0, "utf8"); if (/bad|twice/.test(all)) { console.log("error: " + all.match(/bad.*|twice.*/)[0]); process.exit(1); } require("fs").appendFileSync(process.argv[1], all);' `;
    const file = join(await mkdtemp(join(tmpdir(), 'sluice-gather-')), 'done');
    t.teardown(() => rm(dirname(file), { recursive: true, force: true }));
    const step = (source: string) =>
      ({ send: 'ssh', into: program + file, lines: templates([source, 'end $subscriber_id'], 'ios') }) as const;
    const given = (words: readonly string[]): StepTask[] =>
      words.map((word, index) => ({ ...tasks(['x'], index + 1)[index]!, step: step(`${word} $subscriber_id`) }));
    const transport = transportTo(t, nas, { manner: { patterns: compilePatterns({ error: [], ignore: ['twice'] }) } });
    const done = async (): Promise<string[]> => (await readFile(file, 'utf8')).trim().split('\n');

    t.same(outcomes(await transport.exchange(given(['a', 'b', 'c', 'd']), owner)), Array(4).fill('applied'));
    t.equal(nas.commands.length, 1);
    t.same(await done(), ['a 0', 'end 0', 'b 1', 'end 1', 'c 2', 'end 2', 'd 3', 'end 3']);

    await rm(file);
    const results = await transport.exchange(given(['a', 'b', 'bad', 'd', 'twice', 'f', 'g', 'h']), owner);
    t.same(outcomes(results), ['applied', 'applied', 'refused', 'applied', 'applied', 'applied', 'applied', 'applied']);
    t.equal(results[2]?.outcome.text, 'error: bad 2');
    t.match(results[2]?.sent, /\nbad 2\nend 2$/u);
    t.same((await done()).filter((line) => !line.startsWith('end')).sort(), ['a 0', 'b 1', 'd 3', 'f 5', 'g 6', 'h 7']);
    t.equal(nas.commands.length, 5, 'in as many exchanges as halving takes');

    const before = nas.commands.length;
    let asked = 0;
    const lost = await transport.exchange(given(['a', 'bad']), () => (asked += 1) === 1);
    t.match(
      lost.map(({ outcome }) => outcome),
      [
        { outcome: 'unreachable', reached: 'maybe' },
        { outcome: 'unreachable', reached: 'maybe' },
      ],
      'an owner no more does not go on halving',
    );
    t.equal(nas.commands.length, before + 1);
  },
);
