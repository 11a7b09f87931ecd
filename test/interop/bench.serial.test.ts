/**
 * The bench still runs: a quick one, whose numbers mean nothing, but whose checks of answers and databases do.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { withoutFreeradius } from '../support/freeradius-server.js';
import type { Section } from '../bench/report.js';

const BENCH = fileURLToPath(new URL('../bench/bench.ts', import.meta.url));
const run = promisify(execFile);
const compiler = await run('cc', ['--version']).then(
  () => false as const,
  () => 'there is no C compiler (Debian: gcc libc6-dev)',
);
const freeradius = await withoutFreeradius();

/** Half a minute on a quiet machine; one that runs other tests takes several times that, ms. */
const TIMEOUT_MS = 280_000;

t.test('a quick bench measures every side and checks what it answered', { skip: compiler }, async (test) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-test-'));
  test.teardown(() => rm(folder, { recursive: true, force: true }));
  const json = join(folder, 'bench.json');
  const args = ['--import', 'tsx', BENCH, '--quick', '--json', json];
  const { stdout } = await run(process.execPath, args, { timeout: TIMEOUT_MS });
  const { sections } = JSON.parse(await readFile(json, 'utf8')) as { sections: readonly Section[] };
  test.same(
    sections.map(({ id }) => id),
    ['echo', 'pap', 'accounting', 'pool', 'burst'],
  );
  const theirs = freeradius === false ? 1 : 0;
  for (const { id, outcome } of sections) {
    test.equal(
      outcome.rows.length,
      { echo: 2, pap: 1 + 2 * theirs, accounting: 1 + theirs, pool: 1 + theirs, burst: 1 + theirs }[id],
      id,
    );
    for (const row of outcome.rows) {
      test.ok(row.answered > 0, `${id}: ${row.side} answers`);
      test.equal(row.wrong, 0, `${id}: ${row.side} answers rightly`);
    }
  }
  const ours = sections.filter(({ id }) => id !== 'echo').map(({ outcome }) => outcome.rows[0]!);
  test.same([...new Set(ours.map((row) => row.side))], ['Sluice']);
  test.equal(
    ours.reduce((sum, row) => sum + row.lost, 0),
    0,
    'Sluice loses nothing',
  );
  test.match(stdout, /octets exact/);
});
