// What a hostile value does to a command line: nothing. 10,000 values for each dialect, read back by the program that would read them, or by a reader
// that was written from its documents.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import t from 'tap';
import { maxValueOctets } from '../../src/nas/command-piece.js';
import { compileCommandTemplate, renderCommandLine } from '../../src/nas/command-template.js';
import type { CommandTemplate, Dialect } from '../../src/nas/command-template.js';
import { hostileValues } from '../support/hostile-values.js';
import { chooseSeed, seededRandom } from '../support/seeded-random.js';
import { contextWith } from './command-context.js';
import { readRouteros } from './routeros-reader.js';
import type { Command, Word } from './routeros-reader.js';

const seed = chooseSeed();
const values = hostileValues(10_000, seededRandom(seed));
t.comment(`SLUICE_SEED=${seed}`);

function compiled(source: string, dialect: Dialect): CommandTemplate {
  const result = compileCommandTemplate(source, dialect);
  if (!result.ok) throw new Error(result.problem);
  return result.template;
}

const isWellFormed = (value: string): boolean => !/\p{Surrogate}/u.test(value);
const isSayable = (value: string): boolean =>
  !value.includes('\0') && isWellFormed(value) && Buffer.byteLength(value) <= maxValueOctets;

for (const shell of ['/bin/sh', '/bin/bash']) {
  t.test(
    `${shell} gives programs the very octets of each value`,
    { skip: existsSync(shell) ? false : 'not installed' },
    async (t) => {
      const template = compiled('printf "%s\\0" a-$login-b $login x=$login "$$(printf %s $login; printf .)"', 'posix');
      const expected: string[] = [];
      const script: string[] = [];
      let refused = 0;
      for (const value of values) {
        const line = renderCommandLine(template, contextWith({ login: value }));
        if (!isSayable(value)) {
          t.equal(line.outcome, 'unsayable', 'what a shell cannot carry is not said');
          refused += 1;
          continue;
        }
        if (line.outcome !== 'line') throw new Error(`${JSON.stringify(value)}: ${line.outcome}`);
        script.push(line.line);
        expected.push(`a-${value}-b`, value, `x=${value}`, `${value}.`);
      }
      const ran = spawnSync(shell, ['-s'], {
        input: script.join('\n'),
        maxBuffer: 1 << 28,
        env: { PATH: '/usr/bin:/bin' },
      });
      t.equal(ran.stderr.toString(), '');
      const printed = ran.stdout.toString('utf8').split('\0');
      t.equal(printed.pop(), '');
      t.equal(printed.length, expected.length, 'as many arguments as were meant');
      t.equal(
        printed.findIndex((one, index) => one !== expected[index]),
        -1,
        'each is the value',
      );
      t.ok(refused > 100 && expected.length > 20_000);
    },
  );
}

t.test('RouterOS reads each value as one string, and the same commands around it', async (t) => {
  const template = compiled(
    '/ip firewall address-list add list=users address=$ip comment=$login; /queue simple remove [find name="q $login"]; /ppp active remove [find name=<$access_type-$login>]',
    'routeros',
  );
  const benign = 'BENIGN';
  const lineOf = (login: string): Buffer | undefined => {
    const line = renderCommandLine(template, contextWith({ login }));
    return line.outcome === 'line' ? Buffer.from(line.line) : undefined;
  };
  const meant = readRouteros(lineOf(benign) ?? Buffer.alloc(0));
  t.equal(meant.length, 3);
  const withValue = (commands: readonly Command[], value: string): readonly Command[] =>
    commands.map((words) =>
      words.map((word): Word =>
        'nested' in word
          ? { nested: withValue(word.nested, value) }
          : { ...word, text: word.text.replace(benign, () => value) },
      ),
    );
  let read = 0;
  let wrong = 0;
  for (const value of values) {
    const line = lineOf(value);
    if (!isSayable(value)) {
      if (line !== undefined) wrong += 1;
      continue;
    }
    read += 1;
    if (line === undefined || JSON.stringify(readRouteros(line)) !== JSON.stringify(withValue(meant, value)))
      wrong += 1;
  }
  t.equal(wrong, 0);
  t.ok(read > 5_000);
});

t.test('IOS gets a value of harmless characters, or the line is not made', async (t) => {
  const template = compiled('clear ip subscriber username $login now', 'ios');
  let said = 0;
  let wrong = 0;
  for (const value of [...values, 'ivanov', 'ivanov@isp.example', '02:00:00:00:00:01']) {
    const line = renderCommandLine(template, contextWith({ login: value }));
    const isHarmless = /^[A-Za-z0-9._:@/-]{1,128}$/u.test(value);
    if (isHarmless) said += 1;
    const right = isHarmless
      ? line.outcome === 'line' && line.line === `clear ip subscriber username ${value} now`
      : line.outcome === 'unsayable';
    if (!right) wrong += 1;
  }
  t.equal(wrong, 0);
  t.ok(said >= 3);
});

t.test('the reason of an unsayable line never repeats the value', async (t) => {
  const line = renderCommandLine(compiled('show $login', 'ios'), contextWith({ login: '\u001b[2Jhaha' }));
  t.same(line, {
    outcome: 'unsayable',
    text: 'the value of $login has characters other than letters, digits and . _ : @ / -',
  });
});
