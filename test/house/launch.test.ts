/**
 * From a fresh checkout to a running program. The checkout here is a small one: the real launcher and command, a compiler
 * that copies, and npm at its real work without a network.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const bin = fileURLToPath(new URL('../../bin', import.meta.url));

/** A compiler that counts how often it is called and turns one file into another by copying it. */
const compiler = `
const fs = require('node:fs');
fs.appendFileSync('compiled.log', 'x');
if (fs.readFileSync('src/main.ts', 'utf8').includes('SYNTAX ERROR')) { console.log('src/main.ts(1,1): error'); process.exit(2); }
fs.copyFileSync('src/main.ts', 'build/main.js');
`;

/** Prints its arguments, and with \`serve\` runs until SIGTERM. */
const program = `
console.log(JSON.stringify({ args: process.argv.slice(2), pid: process.pid }));
if (process.argv[2] === 'serve') {
  const timer = setInterval(() => undefined, 1000);
  process.on('SIGTERM', () => { console.log('drained'); clearInterval(timer); });
}
if (process.argv[2] === 'fail') process.exitCode = 7;
`;

async function checkout(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-checkout-'));
  await cp(bin, join(directory, 'bin'), { recursive: true });
  await mkdir(join(directory, 'src'));
  await mkdir(join(directory, 'compiler', 'bin'), { recursive: true });
  const files: Record<string, string> = {
    'src/main.ts': program,
    'compiler/bin/tsc': compiler,
    'compiler/package.json': '{"name":"typescript","version":"1.0.0"}',
    'tsconfig.json': '{}',
    'tsconfig.build.json': '{}',
    'package.json': JSON.stringify({
      name: 'small',
      version: '1.0.0',
      type: 'module',
      scripts: { start: 'exec node bin/launch.mjs serve' },
      devDependencies: { typescript: 'file:compiler' },
    }),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  const made = spawnSync('npm', ['install', '--package-lock-only', '--offline', '--no-audit'], { cwd: directory });
  if (made.status !== 0) throw new Error(String(made.stderr));
  return directory;
}

const directory = await checkout();
t.teardown(() => rm(directory, { recursive: true, force: true }));

/** NODE_OPTIONS of the test's own process (its loaders) are not the user's. */
const environment = { ...process.env, NODE_OPTIONS: '', npm_config_offline: 'true' };

function sluice(args: string[], command = join(directory, 'bin', 'sluice')) {
  const { status, stdout, stderr } = spawnSync(command, args, { env: environment, encoding: 'utf8', cwd: tmpdir() });
  return { status, stdout, stderr };
}

const compiledTimes = async () => (await readFile(join(directory, 'compiled.log'), 'utf8')).length;

t.test('two launches of a fresh checkout at once install and build once', async (t) => {
  const launch = () => {
    const child = spawn(join(directory, 'bin', 'sluice'), ['first'], { env: environment });
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    return once(child, 'close').then(([code]) => ({ code: code as number, stderr }));
  };
  const results = await Promise.all([launch(), launch()]);
  t.same(
    results.map((result) => result.code),
    [0, 0],
  );
  t.equal(results.filter((result) => result.stderr.includes('installing packages')).length, 1);
  t.equal(await compiledTimes(), 1);
});

t.test('when nothing changed nothing is said and nothing is done', async (t) => {
  const before = await compiledTimes();
  const { status, stdout, stderr } = sluice(['subscriber', 'show', 'a b', '--json']);
  t.equal(status, 0);
  t.equal(stderr, '');
  t.same(JSON.parse(stdout).args, ['subscriber', 'show', 'a b', '--json']);
  t.equal(await compiledTimes(), before);
});

t.test('a changed source is built again; progress goes to standard error alone', async (t) => {
  const before = await compiledTimes();
  await writeFile(join(directory, 'src', 'main.ts'), `${program}\n// changed\n`);
  const { stdout, stderr } = sluice(['x']);
  t.same(JSON.parse(stdout).args, ['x']);
  t.match(stderr, /^building … \d+ s$/m);
  t.notMatch(stderr, /installing/);
  t.equal(await compiledTimes(), before + 1);
});

t.test('a changed package-lock.json is installed again', async (t) => {
  const lock = join(directory, 'package-lock.json');
  await writeFile(lock, `${await readFile(lock, 'utf8')}\n`);
  t.match(sluice(['x']).stderr, /^installing packages … \d+ s$/m);
});

t.test('--setup-only sets up and runs nothing', async (t) => {
  await writeFile(join(directory, 'src', 'main.ts'), program);
  const { status, stdout, stderr } = sluice(['--setup-only']);
  t.equal(status, 0);
  t.equal(stdout, '');
  t.match(stderr, /building/);
});

t.test('a build that fails shows why, exits 1, and is tried again', async (t) => {
  await writeFile(join(directory, 'src', 'main.ts'), 'SYNTAX ERROR');
  for (const attempt of [1, 2]) {
    const { status, stdout, stderr } = sluice(['x']);
    t.equal(status, 1, `attempt ${String(attempt)}`);
    t.equal(stdout, '');
    t.match(stderr, /src\/main\.ts\(1,1\): error/);
    t.match(stderr, /building failed: exit 2/);
    t.notMatch(stderr, /at .*launch\.mjs/, 'no stack trace');
  }
  await writeFile(join(directory, 'src', 'main.ts'), program);
  t.equal(sluice(['x']).status, 0);
});

t.test('the exit code is the program’s own', async (t) => {
  t.equal(sluice(['fail']).status, 7);
});

t.test('the command works through symbolic links, relative ones too', async (t) => {
  await symlink(join(directory, 'bin', 'sluice'), join(directory, 'absolute-link'));
  await symlink('../absolute-link', join(directory, 'src', 'relative-link'));
  const { stdout } = sluice(['linked'], join(directory, 'src', 'relative-link'));
  t.same(JSON.parse(stdout).args, ['linked']);
});

t.test('SIGTERM to npm start reaches the program and ends in exit code 0', async (t) => {
  const npm = spawn('npm', ['start', '--', '--conf', 'some where'], { cwd: directory, env: environment });
  let stdout = '';
  npm.stdout.on('data', (chunk) => (stdout += String(chunk)));
  while (!stdout.includes('"args"')) await once(npm.stdout, 'data');
  t.match(stdout, /"args":\["serve","--conf","some where"\]/);
  npm.kill('SIGTERM');
  const [code] = (await once(npm, 'close')) as [number];
  t.equal(code, 0);
  t.match(stdout, /drained/);
});

t.test('an old Node is told what is needed', async (t) => {
  const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'18.20.4'})`;
  const { status, stderr } = spawnSync(process.execPath, ['--import', pretend, join(directory, 'bin', 'launch.mjs')], {
    env: environment,
    encoding: 'utf8',
  });
  t.equal(status, 1);
  t.match(stderr, /Node\.js 18\.20\.4 is too old: Sluice needs 20\.19\.0 or later/);
});

t.test(
  'an installation that this user may not write is explained',
  { skip: process.geteuid?.() === 0 ? false : 'only root can become somebody else here' },
  async (t) => {
    await writeFile(join(directory, 'src', 'main.ts'), `${program}// newer\n`);
    await chmod(directory, 0o755);
    // The test's own loaders, in NODE_OPTIONS, write where another user may not.
    const step = 'unset NODE_OPTIONS; exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"';
    const { status, stderr } = spawnSync(
      '/bin/sh',
      ['-c', step, 'sh', process.execPath, join(directory, 'bin', 'launch.mjs')],
      { env: { ...environment, HOME: tmpdir() }, encoding: 'utf8' },
    );
    t.equal(status, 1);
    t.match(stderr, /not writable for this user: run `node bin\/launch\.mjs --setup-only`/);
  },
);
