/**
 * `sluice passwd`: what it prints is accepted by the configuration, opens the page to that password alone, and gives nothing away.
 */
import t from 'tap';
import { parseStatusUser } from '../../src/config/status-user.js';
import { HashGate } from '../../src/radius/hash-gate.js';
import { PapVerifier } from '../../src/radius/pap.js';
import { parseStoredPassword } from '../../src/radius/stored-password.js';
import { until } from '../support/until.js';
import { confFolder } from '../config/conf-folder.js';
import { runIn, TypingInput } from './command-line.js';

const PASSWORD = 'correct horse';

const passwd = (name: string, stdin: string, ...options: string[]) =>
  runIn(['passwd', name, '--password-stdin', ...options], { stdin });

async function isRight(entry: string, password: string): Promise<boolean> {
  const user = parseStatusUser(entry);
  const parsed = parseStoredPassword(user?.passwordHash.text() ?? '');
  if (!parsed.ok) throw new Error(parsed.reason);
  return (await new PapVerifier(new HashGate(1, 1)).check('page/anna', parsed.stored, Buffer.from(password))).ok;
}

t.test('the entry is for this name and this password, and never the same twice', async (t) => {
  const { code, stdout, stderr } = await passwd('anna', `${PASSWORD}\n`);
  t.equal(code, 0);
  const entry = JSON.parse(stdout) as string;
  t.match(entry, /^anna:\{SCRYPT\}32768\$8\$1\$/);
  t.ok(await isRight(entry, PASSWORD));
  t.notOk(await isRight(entry, `${PASSWORD} `));
  t.notMatch(stdout + stderr, PASSWORD);
  t.match(stderr, /status.*reload/);
  t.not((await passwd('anna', `${PASSWORD}\n`)).stdout, stdout, 'salted');
});

t.test('--json has it as a value', async (t) => {
  const { stdout } = await passwd('anna', PASSWORD, '--json');
  t.match(JSON.parse(stdout), { user: /^anna:\{SCRYPT\}/ });
});

t.test('on a terminal it is asked for twice and not shown', async (t) => {
  const stdin = new TypingInput();
  const asking = runIn(['passwd', 'anna'], { stdin });
  for (const changes of [1, 3]) {
    await until(() => stdin.rawModes.length === changes);
    stdin.write(`${PASSWORD}\r`);
  }
  const { code, stdout, stderr } = await asking;
  t.equal(code, 0, stderr);
  t.ok(await isRight(JSON.parse(stdout) as string, PASSWORD));
  t.notMatch(stderr, PASSWORD);
  t.same(stdin.rawModes.at(-1), false, 'the terminal is as before');
});

const refused: [name: string, stdin: string, why: RegExp][] = [
  ['anna', 'short', /fewer than 8 characters; choose a longer one/],
  ['anna', '', /password/],
  ['an:na', PASSWORD, /the name is not of letters/],
  ['-', PASSWORD, /name/],
  ['x'.repeat(64), PASSWORD, /the name is not of letters/],
];
for (const [name, stdin, why] of refused) {
  t.test(`refused: ${JSON.stringify([name.slice(0, 8), stdin])}`, async (t) => {
    const { code, stdout, stderr } = await passwd(name, stdin);
    t.not(code, 0);
    t.equal(stdout, '');
    t.match(stderr, why);
  });
}

t.test('the printed line works in status.users, and in status.users_file with or without its quotes', async (t) => {
  const [anna, boris] = [
    (await passwd('anna', PASSWORD)).stdout.trim(),
    (await passwd('boris', PASSWORD)).stdout.trim(),
  ];
  const folder = await confFolder(t, {
    'conf/sluice.toml': `[status]\nlisten = "10.0.0.1:8080"\nusers = [${anna}]\nusers_file = "status.users"\n`,
    'conf/status.users': `# the night shift\n\n${boris}\n${JSON.parse(boris.replace('boris', 'vera')) as string}\n`,
  });
  const { status, warnings } = await folder.load();
  t.same(
    status.users.map((user) => user.name),
    ['anna', 'boris', 'vera'],
  );
  t.notMatch(JSON.stringify(status), 'SCRYPT', 'a printed configuration shows no hash');
  await folder.write('conf/status.users', `${boris}\n`, 0o644);
  t.match((await folder.load()).warnings, [{ key: 'status.users_file', remedy: /^chmod 600/ }]);
  t.same(
    warnings.filter(({ key }) => key === 'status.users_file'),
    [],
  );
});

const wrongFiles: [content: string | undefined, problem: RegExp, secret?: string][] = [
  [undefined, /does not exist/],
  ['anna:plain-password\n', /line 1 is not NAME:\{SCRYPT\}/, 'plain-password'],
  ['\n\nboris\n', /line 3/],
];
for (const [content, problem, secret] of wrongFiles) {
  t.test(`users_file with ${JSON.stringify(content)}: told by line, never by content`, async (t) => {
    const folder = await confFolder(t, {
      'conf/sluice.toml': '[status]\nusers_file = "status.users"\n',
      ...(content === undefined ? {} : { 'conf/status.users': content }),
    });
    const problems = await folder.problems();
    t.match(problems, [
      { file: 'conf/sluice.toml', line: 2, key: 'status.users_file', problem, remedy: /sluice passwd/ },
    ]);
    if (secret !== undefined) t.notMatch(JSON.stringify(problems), secret);
  });
}
