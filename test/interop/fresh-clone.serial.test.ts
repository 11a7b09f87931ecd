/**
 * The first minutes of a newcomer: clone, `npm start`, the printed lines, SIGTERM; as root and as an ordinary user, in folders that nobody else may
 * enter. Holds: nothing but Node, npm and git is needed, and what is printed works as printed. Needs the npm registry.
 */
import { execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import type { Test } from 'tap';
import { waitFor, within } from '../support/deadline.js';
import { freeTcpPort, freeUdpPort } from '../support/free-port.js';
import { withoutRadclient } from '../support/radclient.js';
import { embeddedPostgresPid } from '../support/server-series.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
/** `nobody` of every Debian: PostgreSQL wants a user with a name. */
const ORDINARY_ID = 65_534;
/** Download of the packages included, ms. */
const READY_MS = 240_000;
const STOP_MS = 30_000;
/** tap's own loader is not the newcomer's. */
const environment = { ...process.env, NODE_OPTIONS: '' };

const noRadclient = await withoutRadclient();
const isRoot = process.getuid?.() === 0;

async function firstMinutes(t: Test, user: number | undefined): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'sluice-newcomer-'));
  t.teardown(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));
  await chmod(home, 0o700);
  const as =
    user === undefined ? [] : ['setpriv', `--reuid=${String(user)}`, `--regid=${String(user)}`, '--clear-groups'];
  if (user !== undefined) await chown(home, user, user);
  const env = { ...environment, HOME: home, TMPDIR: home, npm_config_cache: join(home, '.npm'), NO_COLOR: '1' };
  const command = async (argv: readonly string[], cwd: string): Promise<string> => {
    const [program, ...rest] = [...as, ...argv];
    return (await run(program!, rest, { cwd, env, timeout: 120_000 })).stdout;
  };

  // The checkout belongs to somebody else than the ordinary user, so the copy is made by us and handed over.
  const clone = join(home, 'sluice');
  await run('git', ['clone', '--quiet', '--no-hardlinks', root, clone]);
  const [conf, data] = [join(home, 'conf'), join(home, 'data')];
  await mkdir(conf);
  const [auth, accounting] = [await freeUdpPort(), await freeUdpPort()];
  const [status, postgres, intake] = [await freeTcpPort(), await freeTcpPort(), await freeTcpPort()];
  await writeFile(
    join(conf, 'sluice.toml'),
    [
      `[database]\nport = ${String(postgres)}`,
      `[radius]\nauth = ["127.0.0.1:${String(auth)}"]\naccounting = ["127.0.0.1:${String(accounting)}"]`,
      `[status]\nlisten = "127.0.0.1:${String(status)}"`,
      `[intake]\nlisten = "127.0.0.1:${String(intake)}"\n`,
    ].join('\n'),
  );
  if (user !== undefined) await run('chown', ['-R', `${String(user)}:${String(user)}`, home]);

  const beganAt = performance.now();
  const [program, ...rest] = [...as, 'npm', 'start', '--', '--conf', conf, '--data', data];
  const npm = spawn(program!, rest, { cwd: clone, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const ended = new Promise<number | null>((settle) => npm.once('close', (code) => settle(code)));
  t.teardown(() => {
    try {
      process.kill(-npm.pid!, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  });
  const lines: string[] = [];
  for (const stream of [npm.stdout, npm.stderr])
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  await waitFor('"msg":"ready"', READY_MS, async () => {
    const done = await Promise.race([ended, Promise.resolve('runs' as const)]);
    if (done !== 'runs') throw new Error(`npm start ended with ${String(done)}:\n${lines.slice(-30).join('\n')}`);
    return lines.some((line) => line.includes('"msg":"ready"'));
  });
  t.comment(`ready ${((performance.now() - beganAt) / 1000).toFixed(0)} s after npm start, installation included`);
  t.ok(
    lines.some((line) => /installing packages/.test(line)),
    'what takes seconds shows progress',
  );
  t.equal((await fetch(`http://127.0.0.1:${String(status)}/readyz`)).status, 200);

  await waitFor('the lines to try', 10_000, () => lines.some((line) => line.includes('radclient')));
  const from = lines.findIndex((line) => line.startsWith('Try it'));
  const to = lines.findIndex((line) => line.includes('radclient'));
  const printed = lines.slice(from + 1, to + 1).filter((line) => !line.startsWith('{'));
  const pasted = (noRadclient === false ? printed : printed.filter((line) => !/User-Name|radclient/.test(line))).join(
    '\n',
  );
  const out = await command(['sh', '-ec', pasted], clone);
  t.match(out, /alice/, 'the printed lines work as printed');
  if (noRadclient === false)
    t.match(out, /Received Access-Accept[^]*Framed-IP-Address = 100\.64\./, 'the radclient line too');
  const show = await command(
    ['bin/sluice', '--conf', conf, '--data', data, 'subscriber', 'show', 'alice', '--json'],
    clone,
  );
  t.match(JSON.parse(show), { login: 'alice', state: 'active' });

  const owner = user ?? 0;
  const postgresPid = await embeddedPostgresPid(data);
  t.ok(postgresPid, 'PostgreSQL runs below the data folder');
  if (user !== undefined) {
    const postgresStatus = await readFile(`/proc/${String(postgresPid)}/status`, 'utf8');
    t.match(postgresStatus, new RegExp(`^Uid:\\s+${String(owner)}\\s`, 'm'), 'as the user himself');
  }
  npm.kill('SIGTERM');
  t.equal(await within('the stop', STOP_MS, ended), 0, 'SIGTERM: exit code 0');
  t.equal(await embeddedPostgresPid(data), undefined, 'and PostgreSQL has stopped with it');
}

t.test('as the user who runs the tests', { timeout: 290_000 }, (t) => firstMinutes(t, undefined));

t.test('as an ordinary user', { timeout: 290_000, skip: isRoot ? false : 'needs root to become somebody else' }, (t) =>
  firstMinutes(t, ORDINARY_ID),
);
