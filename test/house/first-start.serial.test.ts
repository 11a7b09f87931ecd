/**
 * The server as `npm start` runs it on an empty data folder: PostgreSQL is made, adopted after a kill, and gone after a stop.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { TestServer } from '../support/server.js';

async function postmasterPid(dataDir: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number.parseInt(text, 10);
}

t.test('start, kill, start again, stop', async (t) => {
  const first = await TestServer.start(t);
  t.equal((await fetch(`${first.statusUrl}/readyz`)).status, 200);
  t.equal((await fetch(`${first.statusUrl}/healthz`)).status, 200);
  const pid = await postmasterPid(first.dataDir);
  t.ok(pid);

  await first.kill('SIGKILL');
  const second = await TestServer.start(t, { again: first });
  t.equal(await postmasterPid(first.dataDir), pid, 'PostgreSQL survived the server and is used again');
  t.equal((await fetch(`${second.statusUrl}/readyz`)).status, 200);

  t.same(await second.stop(), { code: 0, signal: null });
  t.equal(await postmasterPid(first.dataDir), undefined, 'PostgreSQL ended with the server');
  t.ok((await readdir(first.dataDir)).includes('secrets'));
  const output = [...first.text, ...first.logs, ...second.text, ...second.logs]
    .map((line) => JSON.stringify(line))
    .join('\n');
  const password = (await readFile(join(first.dataDir, 'secrets', 'postgres'), 'utf8')).trim();
  t.notOk(output.includes(password), 'no password in any log');
  t.notOk(output.includes(first.secret), 'no secret in any log');
});
