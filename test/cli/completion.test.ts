/**
 * `completion`: what shells complete, asked of the shells themselves.
 *
 * Enters: the tree of commands, words on a line. Leaves: what bash, zsh and fish would offer. Invariants: every command and option
 * completes, and no other; a description is never run.
 */
import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import t from 'tap';
import { completionScript, type Shell } from '../../src/cli/completion.js';
import { runIn } from './command-line.js';

/** A shell's answer. @throws Error for anything on its standard error */
function ask(shell: string, argv: readonly string[], script: string): string[] {
  const ended = spawnSync(shell, [...argv, script], { encoding: 'utf8' });
  if (ended.error !== undefined) throw ended.error;
  if (ended.stderr !== '') throw new Error(`${shell}: ${ended.stderr}`);
  return ended.stdout.split('\n');
}

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).error === undefined;

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** What bash offers for each line, through the function that `complete` names for `sluice`. */
function bashCompletions(script: string, lines: readonly (readonly string[])[]): string[][] {
  const asked = lines.map(
    (words) => `COMPREPLY=(); COMP_WORDS=(sluice ${words.map(quoted).join(' ')}); COMP_CWORD=${String(words.length)}
$(complete -p sluice | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "\${COMPREPLY[@]}" '--end--'`,
  );
  const answers: string[][] = [[]];
  for (const line of ask('bash', ['--norc', '--noprofile', '-c'], [script, ...asked].join('\n'))) {
    if (line === '--end--') answers.push([]);
    else if (line !== '') answers.at(-1)!.push(line);
  }
  return answers.slice(0, lines.length);
}

/** Every place of the tree as help shows it: the words that lead there, commands and options that may follow. */
async function places(path: readonly string[] = []): Promise<{ path: readonly string[]; words: string[] }[]> {
  const { stdout } = await runIn([...path, '--help'], { columns: 10_000 });
  const section = (title: string): string[] =>
    (new RegExp(`^${title}:\\n((?: .*\\n|\\n(?= ))*)`, 'mu').exec(stdout)?.[1] ?? '').split('\n');
  const options = ['Options', 'Global Options']
    .flatMap(section)
    .flatMap((line) => /^ {2}(?:-\w, )?(--[\w-]+)/u.exec(line)?.[1] ?? []);
  const commands = section('Commands')
    .flatMap((line) => /^ {2}([\w-]+)/u.exec(line)?.[1] ?? [])
    .filter((name) => name !== 'help');
  const below = await Promise.all(commands.map((name) => places([...path, name])));
  return [{ path, words: [...commands, ...options] }, ...below.flat()];
}

t.test('bash completes every command and option, and nothing else', async (t) => {
  const { code, stdout: script } = await runIn(['completion', 'bash']);
  t.equal(code, 0);
  const all = await places();
  t.ok(all.length > 40, `${String(all.length)} places`);
  t.ok(all.some(({ path }) => path.join(' ') === 'subscriber add'));
  const offered = bashCompletions(
    script,
    all.map(({ path }) => [...path, '']),
  );
  for (const [index, { path, words }] of all.entries())
    t.same([...(offered[index] ?? [])].sort(), [...words].sort(), `sluice ${path.join(' ')}`);
});

t.test('bash steps over options and their values', async (t) => {
  const { stdout: script } = await runIn(['completion', 'bash']);
  const table: [words: string[], offered: string[]][] = [
    [['subs'], ['subscriber']],
    [
      ['subscriber', 're'],
      ['restore', 'resync'],
    ],
    [['--conf', 'x', 'subscriber', 'se'], ['set']],
    [['--conf', 'plan', 'subscriber', 'se'], ['set']],
    [['--json', 'subscriber', 'se'], ['set']],
    [['radtest', 'alice', '--me'], ['--method']],
    [['explain', 'alice', '--i'], ['--if']],
    [['subscriber', 'list', '--da'], ['--data']],
    [['decode', '--secret-file', ''], []],
    [['nonsense', 'pl'], ['plan']],
    [['plan', 'list', 'x; echo run', '--j'], ['--json']],
  ];
  const offered = bashCompletions(
    script,
    table.map(([words]) => words),
  );
  for (const [index, [words, expected]] of table.entries()) t.same(offered[index], expected, words.join(' '));
});

/** A command whose descriptions would be run by a shell that does not quote them. */
const hostile = new Command('sluice');
const hostileText = `it's $(touch run) \`touch run\` "; touch run; ' \\ \\' touch run`;
hostile.command('one').description(hostileText).option('--two <three>', hostileText).option('--four', hostileText);

t.test('a description is text to every shell', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish'] as const satisfies readonly Shell[]) {
    if (!has(shell)) {
      t.comment(`there is no ${shell} here`);
      continue;
    }
    const script = completionScript(hostile, shell);
    const touch = shell === 'fish' ? 'function touch; echo run; end' : 'touch() { echo run; }';
    const lines = [touch, ...(shell === 'zsh' ? ['compdef() { : }'] : []), script];
    const ended = spawnSync(shell, ['-c', lines.join('\n')], { encoding: 'utf8' });
    t.match(ended, { status: 0, stdout: '', stderr: '' }, shell);
  }
});

t.test('zsh offers what it should', { skip: has('zsh') ? false : 'there is no zsh here' }, async (t) => {
  const { stdout: script } = await runIn(['completion', 'zsh']);
  t.match(script, /^#compdef sluice\n/u);
  const offered = (words: readonly string[]): string[] =>
    ask(
      'zsh',
      ['-f', '-c'],
      `compdef() { : }; _files() { print files }; _describe() { print -l -- \${(P)2} }
${script}
words=(sluice ${words.map(quoted).join(' ')}); CURRENT=${String(words.length + 1)}; _sluice`,
    ).filter((line) => line !== '');
  const names = (words: readonly string[]): string[] => offered(words).map((line) => line.split(':', 1)[0]!);
  t.ok(names(['']).includes('subscriber'));
  t.ok(names(['subscriber', '']).includes('restore'));
  t.ok(names(['--conf', 'x', 'subscriber', '']).includes('set'));
  t.ok(names(['radtest', 'alice', '']).includes('--method'));
  t.same(offered(['decode', '--secret-file', '']), ['files']);
});

t.test('fish offers what it should', { skip: has('fish') ? false : 'there is no fish here' }, async (t) => {
  const { stdout: script } = await runIn(['completion', 'fish']);
  const offered = (line: string): string[] =>
    ask('fish', ['--no-config', '-c'], `${script}\ncomplete -C ${quoted(line)}`)
      .filter((one) => one !== '')
      .map((one) => one.split('\t', 1)[0]!);
  t.same(offered('sluice subs'), ['subscriber']);
  t.same(offered('sluice subscriber re'), ['restore']);
  t.same(offered('sluice --conf x subscriber se'), ['set']);
  t.same(offered('sluice radtest alice --me'), ['--method']);
  t.same(offered('sluice subscriber list --da'), ['--data']);
  t.ok(offered('sluice ').includes('completion'));
});

t.test('another shell is told which ones there are', async (t) => {
  t.match(await runIn(['completion', 'tcsh']), { code: 2, stdout: '', stderr: /write bash, zsh, fish/u });
});
