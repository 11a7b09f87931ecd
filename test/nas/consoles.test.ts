// Consoles that are no shells: RouterOS over exec, where a caught error tells no reason, and a router that is typed at.
import t from 'tap';
import type { Test } from 'tap';
import type { ServerChannel } from 'ssh2';
import { compileCommandTemplate } from '../../src/nas/command-template.js';
import type { CommandTemplate, Dialect } from '../../src/nas/command-template.js';
import { compilePatterns, redactor } from '../../src/nas/console-text.js';
import { systemNasClock } from '../../src/nas/nas-clock.js';
import { SshTransport } from '../../src/nas/ssh-transport.js';
import type { SshManner } from '../../src/nas/ssh-transport.js';
import type { StepResult, StepTask } from '../../src/nas/step.js';
import { startSshNas } from '../support/ssh-nas.js';
import type { SshNas } from '../support/ssh-nas.js';
import { nas as commandNas, present, runOf } from './command-context.js';
import { readRouteros } from './routeros-reader.js';
import type { Command } from './routeros-reader.js';

const owner = (): boolean => true;

function templates(lines: readonly string[], dialect: Dialect): CommandTemplate[] {
  return lines.map((line) => {
    const compiled = compileCommandTemplate(line, dialect);
    if (!compiled.ok) throw new Error(`${line}: ${compiled.problem}`);
    return compiled.template;
  });
}

function tasks(lines: readonly string[], dialect: Dialect, logins: readonly string[]): StepTask[] {
  const step = { send: 'ssh', lines: templates(lines, dialect) } as const;
  return logins.map((login, index) => {
    const run = runOf(['user_add'], { enforcementId: index, data: { ...present, key: { ...present.key, login } } });
    return { run, command: run.commands[0]!, step };
  });
}

function transportTo(t: Test, nas: SshNas, manner: Partial<SshManner>): SshTransport {
  const transport = new SshTransport(
    {
      dialect: 'routeros',
      mode: 'exec',
      prompt: undefined,
      prologue: [],
      epilogue: [],
      patterns: compilePatterns({ error: ['^failure:', '^bad command name'], ignore: ['already have'] }),
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
      redact: redactor([]),
      clock: systemNasClock,
    },
  );
  t.teardown(() => transport.stop());
  return transport;
}

const outcomes = (results: readonly StepResult[]): (readonly [string, string])[] =>
  results.map(({ outcome }) => [outcome.outcome, outcome.text]);

/** Thrown by a command of the simulated router. */
class ConsoleError extends Error {}

/** Runs commands as RouterOS does: a `:do` with `on-error` swallows what went wrong, an uncaught error is printed and ends the command. */
function routeros(heard: string[], failing: (login: string) => string | undefined) {
  const plain = (words: Command): string[] => words.map((word) => ('nested' in word ? '[]' : word.text));
  const execute = (commands: readonly Command[], channel: ServerChannel): void => {
    for (const words of commands) {
      const [head, ...rest] = words;
      if (head === undefined) continue;
      const name = 'nested' in head ? '' : head.text;
      if (name === ':put') channel.write(`${plain(rest)[0] ?? ''}\r\n`);
      else if (name === ':do') {
        const [body, , , handler] = rest;
        try {
          if (body !== undefined && 'nested' in body) execute(body.nested, channel);
        } catch (error) {
          if (!(error instanceof ConsoleError) || handler === undefined || !('nested' in handler)) throw error;
          execute(handler.nested, channel);
        }
      } else {
        const text = plain(words).join(' ');
        const failure = failing(text);
        if (failure !== undefined) throw new ConsoleError(failure);
        heard.push(text);
      }
    }
  };
  return (line: string, channel: ServerChannel): void => {
    let code = 0;
    try {
      execute(readRouteros(Buffer.from(line)), channel);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      channel.write(`${error instanceof ConsoleError ? error.message : `syntax error: ${error.message}`}\r\n`);
      code = 1;
    }
    channel.exit(code);
    channel.end();
  };
}

t.test('RouterOS: a batch is one command, each part its own, and the reason of a failure is asked for', async (t) => {
  const heard: string[] = [];
  const failing = (text: string): string | undefined =>
    text.includes('bad')
      ? 'failure: no space'
      : text.includes('twice') && text.includes('/first')
        ? 'failure: already have such entry'
        : undefined;
  const nas = await startSshNas(t, { onExec: routeros(heard, failing) });
  const results = await transportTo(t, nas, {}).exchange(
    tasks(['/first add name=$login', '/second add name=$login'], 'routeros', ['one', 'bad', 'twice', 'иван"; /x']),
    owner,
  );
  t.same(outcomes(results), [
    ['applied', ''],
    ['refused', 'failure: no space'],
    ['applied', 'failure: already have such entry'],
    ['applied', ''],
  ]);
  t.same(heard, [
    '/first add name = one',
    '/second add name = one',
    '/first add name = иван"; /x',
    '/second add name = иван"; /x',
    '/second add name = twice',
  ]);
  t.equal(nas.commands.length, 4, 'the batch, two reasons, and the rest of whom the failure does not concern');
});

t.test('RouterOS: when all fail, the reason is asked for of a few', async (t) => {
  const nas = await startSshNas(t, { onExec: routeros([], () => 'failure: no space') });
  const results = await transportTo(t, nas, {}).exchange(
    tasks(
      ['/x add name=$login'],
      'routeros',
      Array.from({ length: 30 }, (_, index) => `u${index}`),
    ),
    owner,
  );
  t.equal(results.filter(({ outcome }) => outcome.outcome === 'refused').length, 30);
  t.equal(nas.commands.length, 9);
});

t.test('RouterOS: a command that it cannot read is refused with its words', async (t) => {
  const nas = await startSshNas(t, {
    onExec: (_command, channel) => {
      channel.write('bad command name nonsense (line 1 column 7)\r\n');
      channel.exit(1);
      channel.end();
    },
  });
  t.same(outcomes(await transportTo(t, nas, {}).exchange(tasks(['/nonsense'], 'routeros', ['one']), owner)), [
    ['refused', 'bad command name nonsense (line 1 column 7)'],
  ]);
});

/** A router that is typed at: it echoes, answers and shows its prompt, in pieces. */
function terminal(heard: string[], answer: (line: string, channel: ServerChannel) => string | undefined) {
  return (channel: ServerChannel): void => {
    let typed = '';
    channel.write('\r\nWelcome to R1#, which is not the prompt\r\n');
    channel.write('R1');
    channel.write('#');
    channel.on('data', (chunk: Buffer) => {
      for (const character of chunk.toString()) {
        if (character !== '\r') {
          typed += character;
          continue;
        }
        const line = typed.trim();
        typed = '';
        heard.push(line);
        const text = answer(line, channel);
        if (text === undefined) continue;
        channel.write(`${line}\r\n`);
        channel.write(text.replaceAll('\n', '\r\n'));
        channel.write(`${text === '' ? '' : '\r\n'}R1`);
        channel.write('# ');
      }
    });
  };
}

const ios: Partial<SshManner> = {
  dialect: 'ios',
  mode: 'prompt',
  prompt: /[A-Za-z0-9-]+(\([^()\s]+\))?[>#] ?$/u,
  patterns: compilePatterns({ error: ['^% '], ignore: ['^% .*not found'] }),
};

t.test('a prompt: lines one by one, in their order, and each has its own output', async (t) => {
  const heard: string[] = [];
  const onShell = terminal(heard, (line) =>
    line.includes('bad')
      ? "           ^\n% Invalid input detected at '^' marker."
      : line === 'clear gone'
        ? '% entry not found'
        : line.startsWith('show')
          ? `a\n\u001b[1mb\u001b[0m ${line}\nR1 is up`
          : '',
  );
  const nas = await startSshNas(t, { onShell });
  const transport = transportTo(t, nas, { ...ios, prologue: templates(['terminal length 0'], 'ios') });
  const results = await transport.exchange(
    tasks(['clear $login', 'show $login'], 'ios', ['one', 'bad', 'gone', 'two words']),
    owner,
  );
  t.same(outcomes(results), [
    ['applied', 'a | b show one | R1 is up'],
    ['refused', "^ | % Invalid input detected at '^' marker."],
    ['applied', '% entry not found | a | b show gone | R1 is up'],
    ['unsayable', 'the value of $login has characters other than letters, digits and . _ : @ / -'],
  ]);
  t.same(heard, ['terminal length 0', 'clear one', 'show one', 'clear bad', 'clear gone', 'show gone']);
  await transport.exchange(tasks(['clear $login'], 'ios', ['three']), owner);
  t.equal(nas.connections(), 1, 'the terminal stays for the next batch');
});

t.test('a prompt: a page that waits for a key gets one', async (t) => {
  const nas = await startSshNas(t, {
    onShell: (channel) => {
      channel.write('R1#');
      channel.on('data', (chunk: Buffer) => {
        if (chunk.toString() === ' ') channel.write('\r        \rlast\r\nR1#');
        else channel.write(`${chunk.toString()}\nfirst\r\n --More-- `);
      });
    },
  });
  const [result] = await transportTo(t, nas, ios).exchange(tasks(['show $login'], 'ios', ['one']), owner);
  t.match(result?.outcome, { outcome: 'applied', text: /first \| +last$/u });
});

t.test(
  'a prompt that does not come back: what was answered stands, what was typed may have happened, the rest did not',
  async (t) => {
    const nas = await startSshNas(t, {
      onShell: terminal([], (line, channel) => {
        if (!line.includes('two')) return '';
        channel.end();
        return undefined;
      }),
    });
    const results = await transportTo(t, nas, ios).exchange(
      tasks(['clear $login'], 'ios', ['one', 'two', 'three']),
      owner,
    );
    t.match(
      results.map(({ outcome }) => outcome),
      [
        { outcome: 'applied' },
        { outcome: 'unreachable', reached: 'maybe' },
        { outcome: 'unreachable', reached: 'never' },
      ],
    );
  },
);

t.test('what is typed has no control characters, whatever the dialect', async (t) => {
  const heard: string[] = [];
  const nas = await startSshNas(t, { onShell: terminal(heard, () => '') });
  const results = await transportTo(t, nas, { ...ios, dialect: 'posix' }).exchange(
    tasks(['echo $login'], 'posix', ['a\nreboot', 'b']),
    owner,
  );
  t.match(
    results.map(({ outcome }) => outcome),
    [{ outcome: 'unsayable' }, { outcome: 'applied' }],
  );
  t.same(heard, ["echo 'b'"]);
});
