/**
 * How the rows of an import travel: lanes, and the memory for repeated lines.
 *
 * Enters: rows whose writing the test holds back. Leaves: in which batches and order they went.
 * Invariant: rows of one contract never travel side by side.
 */
import t from 'tap';
import { ImportLanes } from '../../src/cli/import-lanes.js';
import { SeenLines } from '../../src/cli/seen-lines.js';
import type { ImportRow } from '../../src/store/import-columns.js';
import type { ImportOutcome } from '../../src/store/subscriber-import.js';

function row(line: number, contract?: string): ImportRow {
  return { line, login: `user${String(line)}`, contract, values: new Map() };
}

const written: ImportOutcome = { added: 0, changed: 0, unchanged: 0, faults: [] };

t.test('rows of one contract are written in their order, whatever else is written at once', async (t) => {
  const order: number[] = [];
  let atOnce = 0;
  let most = 0;
  const lanes = new ImportLanes({
    lanes: 3,
    batchRows: 4,
    write: async (rows) => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      // A later batch may well be done before an earlier one of another lane.
      for (let turns = rows.length + (rows[0]!.line % 7); turns > 0; turns--) await Promise.resolve();
      order.push(...rows.map((one) => one.line));
      atOnce -= 1;
      return written;
    },
    onWritten: () => undefined,
  });
  const rows = Array.from({ length: 500 }, (_, i) => row(i + 1, i % 3 === 0 ? undefined : `C-${String(i % 40)}`));
  for (const one of rows) await lanes.add(one);
  await lanes.end();
  t.same(
    [...order].sort((one, other) => one - other),
    rows.map((one) => one.line),
    'every row once',
  );
  for (let contract = 0; contract < 40; contract++) {
    const lines = order.filter((line) => rows[line - 1]!.contract === `C-${String(contract)}`);
    t.same(
      lines,
      [...lines].sort((one, other) => one - other),
      `C-${String(contract)}`,
    );
  }
  t.ok(most > 1 && most <= 3, `${String(most)} batches at once`);
});

t.test('reading waits when the database is behind: a lane holds one batch and what fills the next', async (t) => {
  const release: (() => void)[] = [];
  const lanes = new ImportLanes({
    lanes: 1,
    batchRows: 2,
    write: () => new Promise((settle) => release.push(() => settle(written))),
    onWritten: () => undefined,
  });
  await lanes.add(row(1));
  await lanes.add(row(2));
  await lanes.add(row(3));
  let added = false;
  const fourth = lanes.add(row(4))!.then(() => (added = true));
  await new Promise(setImmediate);
  t.equal(added, false, 'the first batch is still being written');
  t.equal(release.length, 1);
  release[0]!();
  await fourth;
  t.equal(release.length, 2, 'the second one is on its way');
  release[1]!();
  await lanes.end();
});

t.test('what writing throws comes out, once everything has ended', async (t) => {
  const failure = new Error('the database is gone');
  const lanes = new ImportLanes({
    lanes: 2,
    batchRows: 1,
    write: (rows) => (rows[0]!.line === 1 ? Promise.reject(failure) : Promise.resolve(written)),
    onWritten: () => undefined,
  });
  await lanes.add(row(1));
  await t.rejects(lanes.end(), failure);
});

t.test('a text is told by the line on which it was first, among a hundred thousand', (t) => {
  const seen = new SeenLines();
  const texts = Array.from({ length: 100_000 }, (_, i) => `user${String(i)}@city`);
  t.equal(
    texts.findIndex((text, i) => seen.note(text, i + 2) !== undefined),
    -1,
    'none of them was there before',
  );
  t.equal(
    texts.findIndex((text, i) => seen.note(text, 1_000_000 + i) !== i + 2),
    -1,
    'all of them are, on their first line',
  );
  t.equal(seen.note('user1@City', 5), undefined, 'upper case is another text');
  t.end();
});
