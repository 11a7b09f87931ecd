/** The spool in real processes on a real disk: killed at any moment, and started twice. */

import t from 'tap';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { nodeFiles } from '../../src/spool/file-layer.js';
import { lockFolder, SpoolLockedError } from '../../src/spool/folder-lock.js';
import { Spool } from '../../src/spool/spool.js';
import { readAll, textsOf } from './harness.js';

const child = fileURLToPath(new URL('append-child.ts', import.meta.url));

/** Runs the child until it has acknowledged `count` records, kills it, and gives back every acknowledgement it printed. */
async function appendAndKill(directory: string, round: number, count: number): Promise<string[]> {
  const writer = spawn(process.execPath, ['--import', 'tsx', child, directory, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let lines = 0;
  writer.stdout.setEncoding('utf8');
  writer.stdout.on('data', (text: string) => {
    output += text;
    lines += text.split('\n').length - 1;
    if (lines > count) writer.kill('SIGKILL');
  });
  await once(writer, 'close');
  // A line without its end was cut by the kill; the ones before it were acknowledged.
  return output.split('\n').slice(1, -1);
}

const openReal = (directory: string, corrupt: unknown[] = []): Promise<Spool> =>
  Spool.open({ directory, onAlarm: () => undefined, onCorrupt: (region) => corrupt.push(region) });

t.test(
  'kill -9 of the writing process, ten times: nothing acknowledged is lost, doubled or out of order',
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'spool-kill-'));
    const acknowledged: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      acknowledged.push(...(await appendAndKill(directory, round, 50 + round * 300)));
    }
    const corrupt: unknown[] = [];
    const spool = await openReal(directory, corrupt);
    const read = textsOf(await readAll(spool)).map((text) => text.replaceAll('.', ''));
    t.ok(acknowledged.length > 10_000, `${acknowledged.length} acknowledged, ${read.length} read`);
    const seen = new Set(read);
    t.equal(seen.size, read.length, 'none comes twice');
    t.same(
      acknowledged.filter((text) => !seen.has(text)),
      [],
      'acknowledged and lost',
    );
    t.same(corrupt, []);
    const order = (text: string): number => Number(text.split('-')[0]) * 1e9 + Number(text.split('-')[1]);
    t.ok(
      read.every((text, index) => index === 0 || order(text) > order(read[index - 1] ?? '')),
      'in order',
    );
    await spool.close();
    await rm(directory, { recursive: true });
  },
);

t.test('a folder is one process’ own, by whatever path, for as long as it lives', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'spool-lock-'));
  const spool = await openReal(directory);
  const error = await openReal(join(directory, '..', directory.split('/').at(-1) ?? '')).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  t.type(error, SpoolLockedError);
  t.match(error, { message: /in use by another running server; stop that one .* or give this server a data folder/ });
  await spool.close();
  const racers = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(directory)));
  const won = racers.flatMap((racer) => (racer.status === 'fulfilled' ? [racer.value] : []));
  t.equal(won.length, 1, 'of twenty at once, one gets it');
  await won[0]?.release();

  await appendAndKill(directory, 0, 1);
  const after = await openReal(directory);
  t.ok(after.appendable, 'a killed process leaves no lock');
  await after.close();
  await rm(directory, { recursive: true });
});

t.test('folders are made with their parents, and are nobody else’s to read', async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'spool-folder-'));
  const directory = join(base, 'a', 'b', 'spool');
  const spool = await openReal(directory);
  t.equal((await stat(directory)).mode & 0o777, 0o700);
  const [name = ''] = await nodeFiles.readDirectory(directory);
  t.equal((await stat(join(directory, name))).mode & 0o777, 0o600);
  await spool.close();
  await rm(base, { recursive: true });
});
