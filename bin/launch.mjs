// From a fresh clone to a running program, with nothing but Node and npm.
//
// Enters: a checkout and a command line. Leaves: installed packages, a build, and the program itself, which is imported into
// this very process so that signals and the exit code are its own. Invariants: nothing is installed or built when nothing
// changed; two launches at once do the work once; standard output belongs to the program, progress goes to standard error.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { access, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const packageStamp = join(root, 'node_modules', '.sluice-packages');
const buildStamp = join(root, 'build', '.sluice-build');
const entry = join(root, 'build', 'main.js');

// What package.json asks for in "engines".
const OLDEST_NODE = [20, 19, 0];
// How often progress is written anew, ms.
const PROGRESS_EVERY_MS = process.stderr.isTTY ? 1_000 : 10_000;
// How often a waiting launch looks whether the other one is done, ms.
const LOCK_POLL_MS = 200;
// Output of a failed step that is shown, octets.
const SHOWN_OCTETS = 8_000;

/** A step that failed for a reason that its message explains: no stack trace. */
class LaunchError extends Error {}

function checkNode() {
  const have = process.versions.node.split('.').map(Number);
  const difference = OLDEST_NODE.map((oldest, index) => (have[index] ?? 0) - oldest).find((part) => part !== 0) ?? 0;
  if (difference >= 0) return;
  throw new LaunchError(
    `Node.js ${process.versions.node} is too old: Sluice needs ${OLDEST_NODE.join('.')} or later (24 is recommended); see https://nodejs.org/`,
  );
}

/** Content of the file, or undefined when there is none. */
async function textOf(path) {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

async function exists(path) {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** Changes whenever npm has to work again: the lock file's content, and the ABI that native packages were built for. */
async function wantedPackages() {
  const lock = await readFile(join(root, 'package-lock.json'));
  return `${createHash('sha256').update(lock).digest('hex')} ${process.versions.modules} ${process.platform}-${process.arch}\n`;
}

/** Changes whenever tsc has to work again: names, sizes and times of all sources. */
async function wantedBuild() {
  const digest = createHash('sha256');
  for (const name of ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json']) {
    digest.update(await readFile(join(root, name)));
  }
  const entries = await readdir(join(root, 'src'), { withFileTypes: true, recursive: true });
  const sources = entries.filter((one) => one.isFile() && one.name.endsWith('.ts'));
  const paths = sources.map((one) => join(one.parentPath ?? one.path, one.name)).sort();
  for (const path of paths) {
    const { size, mtimeMs } = await stat(path);
    digest.update(`${path}\0${String(size)}\0${String(mtimeMs)}\n`);
  }
  return `${digest.digest('hex')}\n`;
}

/** Runs a command, showing `label … N s` while it lasts, and its output only when it fails. */
async function step(label, command, args, hintFor) {
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 1000);
  const rewrite = process.stderr.isTTY ? '\r' : '';
  const show = (end) => process.stderr.write(`${rewrite}${label} … ${String(seconds())} s${end}`);
  if (process.stderr.isTTY) show('');
  else process.stderr.write(`${label} …\n`);
  const timer = setInterval(() => show(process.stderr.isTTY ? '' : '\n'), PROGRESS_EVERY_MS);
  let output = '';
  const result = await new Promise((settle) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk) => {
      output = (output + String(chunk)).slice(-SHOWN_OCTETS);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) =>
      settle({ failed: error.code === 'ENOENT' ? `${command} is not installed` : error.message }),
    );
    child.once('close', (code, signal) => settle(code === 0 ? {} : { failed: `exit ${String(signal ?? code)}` }));
  });
  clearInterval(timer);
  show('\n');
  if (result.failed === undefined) return;
  throw new LaunchError(
    [output.trim(), `${label} failed: ${result.failed}`, hintFor(output)].filter(Boolean).join('\n'),
  );
}

function notWritable() {
  return `packages or build are not up to date, and ${root} is not writable for this user: run \`node bin/launch.mjs --setup-only\` there as its owner`;
}

function npmHint(output) {
  // npm prints the system's error code on a line of its own; there is no other way to learn it from outside.
  const code = /npm (?:ERR!|error) (?:code|errno) (\w+)/.exec(output)?.[1];
  if (['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENETUNREACH'].includes(code)) {
    return 'npm does not reach its registry: check the network, or name a mirror with `npm config set registry URL`';
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return notWritable();
  }
  return '';
}

/**
 * Whether somebody's own `npm install` has put exactly the locked versions there. npm keeps a list of what it installed;
 * packages for other platforms are missing from it.
 */
async function installedAsLocked() {
  const listed = await textOf(join(root, 'node_modules', '.package-lock.json'));
  if (listed === undefined) return false;
  const installed = JSON.parse(listed).packages ?? {};
  const locked = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')).packages ?? {};
  return Object.entries(locked).every(([path, wanted]) => {
    if (path === '') return true;
    const have = installed[path];
    return have === undefined ? wanted.optional === true : have.integrity === wanted.integrity;
  });
}

async function install() {
  const wanted = await wantedPackages();
  const stamp = await textOf(packageStamp);
  if (stamp === wanted) return;
  if (stamp === undefined && (await installedAsLocked())) {
    await writeFile(packageStamp, wanted);
    return;
  }
  // Development packages too: the compiler is one of them. Scripts stay on, native packages may need theirs.
  await step('installing packages', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], npmHint);
  await writeFile(packageStamp, wanted);
}

async function build() {
  const wanted = await wantedBuild();
  if ((await textOf(buildStamp)) === wanted && (await exists(entry))) return;
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await mkdir(dirname(buildStamp), { recursive: true });
  await rm(buildStamp, { force: true });
  // Types are checked by `npm run check`; whoever only runs the program need not wait for that.
  await step('building', process.execPath, [compiler, '-p', 'tsconfig.build.json', '--noCheck'], () => '');
  await writeFile(buildStamp, wanted);
}

async function isUpToDate() {
  return (
    (await textOf(packageStamp)) === (await wantedPackages()) &&
    (await textOf(buildStamp)) === (await wantedBuild()) &&
    (await exists(entry))
  );
}

/**
 * Takes the lock of this checkout, waiting for whoever has it. The lock is an abstract Unix socket (Linux), so it ends with
 * its process and leaves nothing behind.
 */
async function takeLock() {
  const { dev, ino } = statSync(root);
  let told = false;
  for (;;) {
    const server = createServer((socket) => socket.destroy());
    const problem = await new Promise((settle) => {
      server.once('error', settle);
      server.listen({ path: `\0sluice-launch-${String(dev)}-${String(ino)}` }, () => settle(undefined));
    });
    if (problem === undefined) return () => new Promise((settle) => server.close(settle));
    if (problem.code !== 'EADDRINUSE') throw problem;
    if (!told) process.stderr.write('waiting for another process that installs or builds here …\n');
    told = true;
    await delay(LOCK_POLL_MS);
  }
}

async function setUp() {
  if (await isUpToDate()) return;
  const release = await takeLock();
  try {
    // Looked at again: the process that was waited for has perhaps done it all.
    await install();
    await build();
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(error.code)) throw new LaunchError(notWritable());
    throw error;
  } finally {
    await release();
  }
}

try {
  checkNode();
  const args = process.argv.slice(2);
  const setUpOnly = args.includes('--setup-only');
  await setUp();
  if (!setUpOnly) {
    // The thread pool serves file syncs, password hashes and name look-ups; it reads this before its first task.
    process.env.UV_THREADPOOL_SIZE ??= '8';
    process.argv = [process.argv[0], entry, ...args];
    await import(pathToFileURL(entry).href);
  }
} catch (error) {
  if (!(error instanceof LaunchError)) throw error;
  process.stderr.write(`sluice: ${error.message}\n`);
  process.exitCode = 1;
}
