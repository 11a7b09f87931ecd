/** The spool on a disk that works: answers, order, bounds, reading, waiting, status, closing. */

import t from 'tap';
import { comparePositions, formatPosition, parsePosition, SpoolPositionError } from '../../src/spool/position.js';
import type { AppendResult } from '../../src/spool/record-group.js';
import { SpoolLockedError } from '../../src/spool/folder-lock.js';
import { FaultyDisk, type FileCall } from '../support/faulty-files.js';
import { appendAll, openSpool, readAll, texts, textsOf, turns } from './harness.js';

t.test('a record is read back as it was given', async (t) => {
  const { spool } = await openSpool();
  const payload = Buffer.from([0, 255, 1, 254]);
  const answer = await new Promise<AppendResult>((resolve) => {
    t.ok(spool.append(255, 1_763_750_000_123.9, payload, resolve));
    payload.fill(7);
  });
  const [record, ...others] = await readAll(spool);
  t.same(others, []);
  t.match(record, { kind: 255, receivedAtMs: 1_763_750_000_123, sequence: 1 });
  t.same(record?.payload, Buffer.from([0, 255, 1, 254]), 'the payload was copied when it was accepted');
  t.same(answer, { ok: true, position: record?.position });
  await spool.close();
});

t.test('payloads from nothing to 64 KiB', async (t) => {
  const { spool } = await openSpool();
  const sizes = [0, 1, 4096, 65_535, 65_536, 0, 65_536, 65_536, 65_536, 65_536, 65_536];
  const answers = await appendAll(
    spool,
    sizes.map((size) => 'x'.repeat(size)),
  );
  t.ok(answers.every((answer) => answer !== false && answer.ok));
  t.same(
    (await readAll(spool)).map((record) => record.payload.length),
    sizes,
  );
  t.throws(() => spool.append(1, 0, Buffer.alloc(65_537), () => undefined), RangeError);
  for (const kind of [-1, 256, 1.5, NaN]) {
    t.throws(() => spool.append(kind, 0, Buffer.alloc(1), () => undefined), RangeError, `kind ${kind}`);
  }
  for (const instant of [-1, NaN, Infinity]) {
    t.throws(() => spool.append(1, instant, Buffer.alloc(1), () => undefined), RangeError, `received at ${instant}`);
  }
  await spool.close();
});

t.test('no answer before the sync of the write that holds the record has returned', async (t) => {
  const disk = new FaultyDisk();
  const { spool } = await openSpool({ disk, segmentBytes: 2048 });
  const trace: (FileCall | 'answer')[] = [];
  disk.onCall = (call) => trace.push(call);
  for (let round = 0; round < 20; round += 1) {
    for (let index = 0; index < 5; index += 1) {
      spool.append(1, 0, Buffer.alloc(100), () => trace.push('answer'));
      if (index % 2 === 0) await Promise.resolve();
    }
    await turns(1);
  }
  await turns();
  t.equal(trace.filter((entry) => entry === 'answer').length, 100);
  let unsyncedWrite = false;
  let unsyncedName = false;
  for (const [index, entry] of trace.entries()) {
    if (entry === 'write') unsyncedWrite = true;
    if (entry === 'syncData') unsyncedWrite = false;
    if (entry === 'rename') unsyncedName = true;
    if (entry === 'syncDirectory') unsyncedName = false;
    if (entry === 'answer' && (unsyncedWrite || unsyncedName)) t.fail(`call ${index} answers what is not synced`);
  }
  t.ok(trace.includes('rename'), 'segments were rolled meanwhile');
  await spool.close();
});

t.test('while a sync hangs nothing is answered, and what comes meanwhile goes together', async (t) => {
  const disk = new FaultyDisk();
  const { spool } = await openSpool({ disk });
  const files: FileCall[] = [];
  let releaseSync: () => void = () => undefined;
  disk.hold = (call) =>
    call === 'syncData' ? new Promise<void>((resolve) => (releaseSync = resolve)) : Promise.resolve();
  disk.onCall = (call) => files.push(call);
  const answered: number[] = [];
  const append = (id: number): boolean => spool.append(1, 0, Buffer.alloc(8), () => answered.push(id));
  append(0);
  await turns();
  for (let id = 1; id <= 50; id += 1) append(id);
  await turns();
  t.same(answered, []);
  t.equal((await readAll(spool)).length, 0, 'a reader sees nothing either');
  t.type((await spool.status()).commitStartedAtMs, 'number', 'the hanging disk shows');
  t.equal((await spool.status()).queuedRecords, 51);
  releaseSync();
  await turns();
  t.same(answered, [0]);
  releaseSync();
  await turns();
  t.same(answered, [...Array(51).keys()], 'in the order of arrival');
  t.equal(files.filter((call) => call === 'syncData').length, 2, 'fifty records, one sync');
  await spool.close();
});

t.test('a group is bounded in bytes and records', async (t) => {
  const disk = new FaultyDisk();
  const { spool } = await openSpool({ disk });
  let writes = 0;
  disk.onCall = (call) => (writes += call === 'write' ? 1 : 0);
  await appendAll(spool, texts('r', 3000));
  t.equal(writes, 3, '1,024 records at most');
  t.same(textsOf(await readAll(spool)), texts('r', 3000));
  await spool.close();
});

t.test('the queue is bounded: what does not fit is refused at once', async (t) => {
  const byRecords = await openSpool({ maxQueuedRecords: 10 });
  const answers = await appendAll(byRecords.spool, texts('r', 15));
  t.equal(answers.filter((answer) => answer === false).length, 5);
  t.same(textsOf(await readAll(byRecords.spool)), texts('r', 10));
  t.not((await appendAll(byRecords.spool, ['next']))[0], false, 'and accepted again when the queue has gone');
  await byRecords.spool.close();

  const byBytes = await openSpool({ maxQueuedBytes: 100_000 });
  const large = await appendAll(byBytes.spool, ['x'.repeat(60_000), 'y'.repeat(60_000), 'z']);
  t.same(
    large.map((answer) => answer !== false),
    [true, false, true],
  );
  await byBytes.spool.close();
  for (const options of [{ segmentBytes: 1 }, { maxQueuedBytes: 100 }, { maxQueuedRecords: 0 }, { retentionMs: -1 }]) {
    await t.rejects(openSpool(options), RangeError, JSON.stringify(options));
  }
});

t.test('a callback that throws disturbs nobody', async (t) => {
  const { spool, alarms } = await openSpool();
  let answers = 0;
  for (let index = 0; index < 3; index += 1) {
    spool.append(1, 0, Buffer.alloc(1), () => {
      answers += 1;
      if (index === 1) throw new Error('a defect of the caller');
    });
  }
  await turns();
  t.equal(answers, 3);
  t.match(alarms, [{ type: 'callback-failed', message: 'a defect of the caller' }]);
  await spool.close();
});

t.test('a record appended from an answer, or from a promise that an answer settles, is not forgotten', async (t) => {
  const { spool } = await openSpool();
  const chain = async (left: number): Promise<void> => {
    if (left === 0) return;
    await new Promise<void>((resolve) => spool.append(1, 0, Buffer.from(`p${left}`), () => resolve()));
    await chain(left - 1);
  };
  const direct = (left: number): Promise<void> =>
    new Promise((resolve) => {
      const next = (n: number): void => {
        if (n === 0) resolve();
        else spool.append(1, 0, Buffer.from(`d${n}`), () => next(n - 1));
      };
      next(left);
    });
  await Promise.all([chain(20), direct(20)]);
  t.equal((await readAll(spool)).length, 40);
  await spool.close();
});

t.test('segments follow one another and positions grow', async (t) => {
  const { spool, disk, clock } = await openSpool({ segmentBytes: 2048 });
  for (let round = 0; round < 10; round += 1)
    await appendAll(
      spool,
      texts(`r${round}-`, 10).map((x) => x.padEnd(90, '.')),
    );
  const records = await readAll(spool, 'start', 3);
  t.equal(records.length, 100);
  t.ok(new Set(records.map((record) => record.position.segment)).size > 3, 'over several segments');
  for (const [index, record] of records.entries()) {
    const next = records[index + 1];
    t.ok(comparePositions(record.position, record.nextPosition) < 0);
    if (next !== undefined && comparePositions(record.nextPosition, next.position) > 0) t.fail('positions fall');
    t.equal(record.sequence, index + 1);
  }
  const half = records[49]?.nextPosition;
  t.same(textsOf(await readAll(spool, half)), textsOf(records.slice(50)), 'a reader goes on where another stopped');
  await spool.close();
  disk.kill();
  const again = await openSpool({ disk, clock });
  t.equal(again.spool.uuid, spool.uuid);
  t.same(textsOf(await readAll(again.spool, half)), textsOf(records.slice(50)), 'after a restart too');
  await appendAll(again.spool, ['later']);
  const last = (await readAll(again.spool)).at(-1);
  t.equal(last?.sequence, 101);
  t.ok(
    comparePositions(
      last?.position ?? { segment: 0, offset: 0 },
      records[99]?.nextPosition ?? { segment: 0, offset: 0 },
    ) > 0,
  );
  await again.spool.close();
});

t.test('batches keep their limits, and a record larger than the limit comes alone', async (t) => {
  const { spool } = await openSpool();
  await appendAll(spool, ['a'.repeat(5_000), 'b'.repeat(100), 'c'.repeat(100), 'd'.repeat(100)]);
  const reader = spool.reader('start');
  const sizes: number[][] = [];
  for (;;) {
    const batch = await reader.readBatch({ maxRecords: 10, maxBytes: 300 });
    if (batch.length === 0) break;
    sizes.push(batch.map((record) => record.payload.length));
  }
  t.same(sizes, [[5_000], [100, 100], [100]]);
  const one = spool.reader('start').readBatch({ maxRecords: 1, maxBytes: 1 });
  t.equal((await one).length, 1);
  const busy = spool.reader('start');
  const first = busy.readBatch({ maxRecords: 1, maxBytes: 1 });
  await t.rejects(busy.readBatch({ maxRecords: 1, maxBytes: 1 }), TypeError, 'one batch at a time');
  await first;
  await spool.close();
});

t.test('waiting ends with records, with the signal, or with the spool', async (t) => {
  const { spool } = await openSpool();
  const reader = spool.reader('start');
  const abort = new AbortController();
  const aborted = reader.waitForRecords(abort.signal);
  const arrived = reader.waitForRecords();
  abort.abort();
  t.equal(await aborted, 'aborted');
  t.equal(await reader.waitForRecords(abort.signal), 'aborted', 'a signal that fired before');
  await appendAll(spool, ['x']);
  t.equal(await arrived, 'records');
  t.equal(await reader.waitForRecords(), 'records', 'at once when there are some');
  await reader.readBatch({ maxRecords: 10, maxBytes: 1000 });
  const closed = reader.waitForRecords();
  const closedReader = spool.reader('start');
  await closedReader.close();
  t.equal(await closedReader.waitForRecords(), 'closed');
  await spool.close();
  t.equal(await closed, 'closed');
  t.same(await reader.readBatch({ maxRecords: 1, maxBytes: 1 }), []);
});

t.test('closing answers what was accepted, refuses the rest, and leaves no timer', async (t) => {
  const { spool, clock, disk } = await openSpool();
  const answers = appendAll(spool, texts('r', 2000));
  const closing = spool.close();
  t.notOk(spool.append(1, 0, Buffer.alloc(1), () => t.fail('answered after closing')));
  await closing;
  t.ok((await answers).every((answer) => answer !== false && answer.ok));
  t.equal(spool.close(), closing, 'closing twice is closing once');
  t.equal(clock.pending, 0);
  disk.powerLoss();
  const again = await openSpool({ disk });
  t.equal((await readAll(again.spool)).length, 2000);
  await again.spool.close();
});

t.test('the status tells the backlog', async (t) => {
  const { spool } = await openSpool({ segmentBytes: 2048 });
  t.match(await spool.status(), { backlogRecords: 0, backlogBytes: 0, appliedPosition: undefined, segmentCount: 1 });
  for (let at = 1; at <= 50; at += 1) {
    await new Promise<AppendResult>((resolve) => spool.append(1, at, Buffer.alloc(68), resolve));
  }
  t.match(await spool.status(), {
    uuid: spool.uuid,
    appendable: true,
    syncedSequence: 50,
    appendedSequence: 50,
    queuedRecords: 0,
    queuedBytes: 0,
    backlogRecords: 50,
    backlogBytes: 5_000,
    oldestUnappliedReceivedAtMs: 1,
    commitStartedAtMs: undefined,
    lastError: undefined,
  });
  const records = await readAll(spool);
  spool.setApplied(records[29]?.nextPosition ?? { segment: 0, offset: 0 });
  t.match(await spool.status(), { backlogRecords: 20, backlogBytes: 2_000, oldestUnappliedReceivedAtMs: 31 });
  spool.setApplied(records[9]?.nextPosition ?? { segment: 0, offset: 0 });
  t.match(await spool.status(), { backlogRecords: 20 }, 'what has been applied stays applied');
  spool.setApplied(records[49]?.nextPosition ?? { segment: 0, offset: 0 });
  t.match(await spool.status(), { backlogRecords: 0, backlogBytes: 0, oldestUnappliedReceivedAtMs: undefined });
  await spool.close();
});

t.test('a position past the end belongs to another copy of the spool', async (t) => {
  const { spool } = await openSpool();
  await appendAll(spool, ['x']);
  const { syncedPosition } = await spool.status();
  const ahead = { ...syncedPosition, offset: syncedPosition.offset + 1 };
  t.throws(() => spool.reader(ahead), SpoolPositionError);
  t.throws(() => spool.setApplied({ segment: 99, offset: 0 }), SpoolPositionError);
  t.ok(spool.reader(syncedPosition));
  await spool.close();
});

t.test('positions as text', async (t) => {
  for (const position of [
    { segment: 1, offset: 1024 },
    { segment: Number.MAX_SAFE_INTEGER, offset: 4_294_967_295 },
  ]) {
    t.same(parsePosition(formatPosition(position)), position);
  }
  for (const text of [
    '',
    '1',
    '1:',
    ':1',
    '1:2:3',
    '-1:2',
    '1:2 ',
    '1.5:2',
    '9999999999999999:1',
    '1:99999999999',
    'a:b',
  ]) {
    t.throws(() => parsePosition(text), SpoolPositionError, JSON.stringify(text));
  }
});

t.test('a folder that is in use is refused', async (t) => {
  const disk = new FaultyDisk();
  const { spool } = await openSpool({ disk });
  await t.rejects(openSpool({ disk }), SpoolLockedError);
  await spool.close();
  const again = await openSpool({ disk });
  t.ok(again.spool.appendable, 'and free again after closing');
  await again.spool.close();
});
