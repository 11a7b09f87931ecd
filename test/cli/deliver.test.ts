/**
 * `deliver` as a process: it needs no configuration and no database, delivers until it is stopped, and says what is wrong.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { jsonSecret, startIntake } from '../support/intake.js';
import { hookFile } from '../support/lease-inbox.js';
import { until } from '../support/until.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

async function folderOf(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-deliver-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function start(t: Test, argv: readonly string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src', 'main.ts'), 'deliver', ...argv], {
    cwd: root,
    env: { PATH: process.env['PATH'], SLUICE_CONF: '/nonexistent', SLUICE_DATA: '/nonexistent' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, ended, output: () => output };
}

t.test('it delivers until SIGTERM, over absences of the folder and of Sluice', async (t) => {
  const folder = await folderOf(t);
  const inbox = join(folder, 'inbox');
  const { port, leases } = await startIntake(t);
  await writeFile(join(folder, 'secret'), `${jsonSecret.toString()}\n`);
  const to = `http://127.0.0.1:${String(port)}/events/lease`;
  const options = ['--inbox', inbox, '--to', to, '--source', 'dhcp2', '--secret-file', join(folder, 'secret')];
  leases.answer = false;
  const { child, ended, output } = start(t, options);
  await until(() => output().includes('is waited for'));
  await mkdir(inbox);
  await writeFile(join(inbox, '1-a'), hookFile('release', '10.0.0.1'));
  await writeFile(join(inbox, '2-b'), 'rubbish');
  await until(() => output().includes('does not take events: answer 503'));
  leases.answer = true;
  await until(async () => (await readdir(inbox)).join() === 'rejected');
  await until(() => output().includes(`${to} takes events`));
  child.kill('SIGTERM');
  t.equal(await ended, 0);
  t.match(output(), /not-of-the-hook/);
  t.match(output(), /stopped; 1 events were delivered/);
  t.notMatch(output(), jsonSecret.toString());
  t.match(leases.events.at(-1), { kind: 'release', source: 'dhcp2' });
});

t.test('what cannot be used as it is', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'secret'), 'a secret of dhcp2');
  await writeFile(join(folder, 'empty'), '\n');
  const good = {
    inbox: folder,
    to: 'http://127.0.0.1:9/events/lease',
    source: 'dhcp2',
    'secret-file': join(folder, 'secret'),
  };
  for (const [change, code, text] of [
    [{ to: 'sluice.example' }, 2, /--to is not an address/],
    [{ to: 'ftp://sluice.example/' }, 2, /not an address of HTTP/],
    [{ to: 'http://dhcp2:s3cret@sluice.example/' }, 1, /has a password in it/],
    [{ source: 'DHCP 2' }, 2, /lower-case letters/],
    [{ 'secret-file': join(folder, 'empty') }, 1, /no secret on its first line/],
    [{ 'secret-file': join(folder, 'nowhere') }, 1, /nowhere/],
  ] as const) {
    const options = Object.entries({ ...good, ...change }).flatMap(([name, value]) => [`--${name}`, value]);
    const { ended, output } = start(t, options);
    t.equal(await ended, code, output());
    t.match(output(), text);
    t.notMatch(output(), /s3cret|\n\s+at /);
  }
  const { ended, output } = start(t, ['--inbox', folder]);
  t.equal(await ended, 2);
  t.match(output(), /required option/);
});
