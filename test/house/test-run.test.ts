/**
 * The test runner counts what tap says: tests, not files, and never fewer failures than there are.
 */
import t from 'tap';
import { TapTally, type Failure, type FileSummary } from '../support/tap-tally.js';
import { selectFiles } from '../support/test-run.js';

function read(tap: string, expected: readonly string[] = []) {
  const files: FileSummary[] = [];
  const failures: Failure[] = [];
  const tally = new TapTally(
    (file) => files.push(file),
    (failure) => failures.push(failure),
  );
  for (const line of tap.split('\n')) tally.line(line);
  tally.end(expected);
  const { passed, failed, skipped } = tally;
  return { files, failures, passed, failed, skipped };
}

t.test('tests at the top level of files are counted, and a failure is told once, with its path', async (t) => {
  const seen = read(`TAP version 14
# Subtest: a.test.ts
    # Subtest: good
        ok 1 - inner assertion
        ok 2 - inner assertion
        1..2
    ok 1 - good # time=5.084ms
    # Subtest: outer
        # Subtest: inner
            not ok 1 - one is two
              ---
              diff: |
                --- expected
                +++ actual
                    not ok 9 - this is only text
              ...
            1..1
        not ok 1 - inner # time=28ms
          ---
          at: here
          ...
    not ok 2 - outer # time=35ms
    ok 3 - skipped # SKIP no radclient
    ok 4 - plain
    1..4
not ok 1 - a.test.ts # time=104.785ms
  ---
  exitCode: 1
  ...
# Subtest: b.test.ts
    ok 1 - fine
    1..1
ok 2 - b.test.ts # time=2ms
1..2`);
  t.same({ passed: seen.passed, failed: seen.failed, skipped: seen.skipped }, { passed: 3, failed: 1, skipped: 1 });
  t.same(seen.failures, [
    {
      path: ['a.test.ts', 'outer', 'inner', 'one is two'],
      diagnostics: ['diff: |', '  --- expected', '  +++ actual', '      not ok 9 - this is only text'],
    },
  ]);
  t.same(seen.files, [
    { name: 'a.test.ts', passed: 2, failed: 1, skipped: 1, durationMs: 104.785 },
    { name: 'b.test.ts', passed: 1, failed: 0, skipped: 0, durationMs: 2 },
  ]);
});

t.test('a file that dies counts as a failure though its tests passed', async (t) => {
  const seen = read(`# Subtest: c.test.ts
    ok 1 - fine
    1..1
not ok 1 - c.test.ts # time=20ms
  ---
  exitCode: 3
  ...
1..1`);
  t.equal(seen.passed, 1);
  t.equal(seen.failed, 1);
  t.same(seen.failures, [{ path: ['c.test.ts'], diagnostics: ['exitCode: 3'] }]);
});

t.test('a file that cannot be loaded counts as a failure; one that skips itself as skipped', async (t) => {
  t.match(read('# Subtest: d.test.ts\n    1..0 # no tests found\nnot ok 1 - d.test.ts # time=1ms'), { failed: 1 });
  t.match(read('# Subtest: e.test.ts\n    1..0 # SKIP\nok 1 - e.test.ts # SKIP no tool'), { failed: 0, skipped: 1 });
  t.match(read('    ok 1 - later # TODO\nok 1 - f.test.ts'), { failed: 0, skipped: 1 });
});

t.test('diagnostics that are cut off swallow nothing of what follows', (t) => {
  const seen = read(`# Subtest: g.test.ts
    # Subtest: breaks its own report
        not ok 1 - wrong
          ---
          diff: |
            --- expected
        1..1
    not ok 1 - breaks its own report # time=1ms
not ok 1 - g.test.ts # time=2ms
# Subtest: h.test.ts
    ok 1 - fine
ok 2 - h.test.ts # time=1ms`);
  t.same([seen.passed, seen.failed], [1, 1]);
  t.same(seen.failures, [
    { path: ['g.test.ts', 'breaks its own report', 'wrong'], diagnostics: ['diff: |', '  --- expected'] },
  ]);
  t.end();
});

t.test('a file that never tells how it ended is a failure', (t) => {
  const seen = read('# Subtest: i.test.ts\n    ok 1 - fine\nok 1 - i.test.ts # time=1ms', ['i.test.ts', 'j.test.ts']);
  t.same([seen.passed, seen.failed], [1, 1]);
  t.match(seen.failures, [{ path: ['j.test.ts'] }]);
  t.end();
});

t.test('the choice of files', async (t) => {
  const all = await selectFiles([]);
  t.ok(all.parallel.includes('test/house/test-run.test.ts'));
  t.ok(all.serial.includes('test/store/embedded-postgres.serial.test.ts'));
  t.notOk(
    [...all.parallel, ...all.serial].some((file) => file.startsWith('test/interop/')),
    'no peers without being asked',
  );
  const part = await selectFiles(['test/house/test-run.test.ts']);
  t.same(part, { parallel: ['test/house/test-run.test.ts'], serial: [] });
  await t.rejects(selectFiles(['--everything']), /unknown option --everything/);
});
