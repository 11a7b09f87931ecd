/** A disk that fails or is full: nothing is acknowledged, it is said aloud, and work goes on by itself when it can. */

import t from 'tap';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpoolAlarm } from '../../src/spool/alarm.js';
import { Spool } from '../../src/spool/spool.js';
import { FaultyDisk, type FileCall } from '../support/faulty-files.js';
import { appendAll, directory, openSpool, readAll, texts, textsOf, turns, until } from './harness.js';

const failed = (alarms: readonly SpoolAlarm[]): string[] =>
  alarms.flatMap((alarm) => (alarm.type === 'append-failed' ? [`${alarm.operation} ${alarm.code}`] : []));

for (const { call, operation } of [
  { call: 'write', operation: 'write' },
  { call: 'syncData', operation: 'sync' },
] as const) {
  t.test(`a ${call} that fails once: its group is refused, the next goes to a new segment`, async (t) => {
    const { spool, disk, clock, alarms } = await openSpool();
    await appendAll(spool, ['before']);
    disk.fault = (name) => {
      if (name !== call) return undefined;
      disk.fault = () => undefined;
      return 'EIO';
    };
    const answers = appendAll(spool, texts('refused', 1500));
    t.ok((await answers).every((answer) => answer !== false && !answer.ok && answer.error.code === 'EIO'));
    t.notOk(spool.appendable);
    t.same(await appendAll(spool, ['too early']), [false]);
    t.match(alarms, [
      { type: 'append-failed', operation, code: 'EIO', attempt: 1, refusedRecords: 1500, retryInMs: 10 },
    ]);
    t.match((await spool.status()).lastError, { operation, code: 'EIO', atMs: clock.nowMs() });
    clock.advance(10);
    await turns();
    t.match(alarms[1], { type: 'append-recovered', segment: 2, outageMs: 10, attempts: 1 });
    t.notOk(
      disk.contents(directory).get('segment-0000000000000001.spool')?.includes('refused'),
      'its space is given back',
    );
    await appendAll(spool, ['after']);
    const read = await readAll(spool);
    t.same(textsOf(read), ['before', 'after']);
    t.equal(
      (await spool.status()).bytesOnDisk,
      [...disk.contents(directory).values()].reduce((sum, { length }) => sum + length, 0),
    );
    t.same(
      read.map((record) => [record.position.segment, record.sequence]),
      [
        [1, 1],
        [2, 2],
      ],
    );
    await spool.close();
    disk.powerLoss();
    const again = await openSpool({ disk });
    t.same(textsOf(await readAll(again.spool)), ['before', 'after'], 'what was refused is gone for good');
    await again.spool.close();
  });
}

t.test('a segment that cannot even be cut: the header of the next one rules its tail out', async (t) => {
  const { spool, disk, clock } = await openSpool();
  await appendAll(spool, ['before']);
  disk.fault = (call) => (call === 'syncData' || call === 'truncate' ? 'EIO' : undefined);
  await appendAll(spool, ['refused']);
  disk.fault = (call, path) =>
    call === 'truncate' || (call === 'syncData' && path.includes('01.spool')) ? 'EIO' : undefined;
  clock.advance(10);
  await turns();
  await appendAll(spool, ['after']);
  t.ok(
    disk.contents(directory).get('segment-0000000000000001.spool')?.includes('refused'),
    'its bytes are still there',
  );
  t.same(textsOf(await readAll(spool)), ['before', 'after']);
  disk.kill();
  disk.fault = () => undefined;
  const again = await openSpool({ disk });
  t.same(textsOf(await readAll(again.spool)), ['before', 'after']);
  t.same(again.corrupt, []);
  await again.spool.close();
});

t.test('a full disk: refused until there is room, then on by itself, with one alarm per attempt', async (t) => {
  const { spool, disk, clock, alarms } = await openSpool();
  await appendAll(spool, ['before']);
  disk.capacityBytes = 4_000;
  await appendAll(spool, ['x'.repeat(8_000)]);
  t.same(failed(alarms), ['write ENOSPC']);
  disk.capacityBytes = 1_100;
  const waits: number[] = [];
  for (let round = 0; round < 14; round += 1) {
    const last = alarms.at(-1);
    const waitMs = last?.type === 'append-failed' ? last.retryInMs : 0;
    waits.push(waitMs);
    clock.advance(waitMs);
    await turns();
    if (spool.appendable) t.fail(`appendable on a full disk in round ${round}`);
    if (disk.contents(directory).size !== 1) t.fail(`round ${round} left a file behind`);
  }
  t.same(waits, [10, 20, 40, 80, 160, 320, 640, 1280, 2000, 2000, 2000, 2000, 2000, 2000], 'bounded back-off');
  t.equal(clock.pending, 1, 'one timer');
  disk.capacityBytes = 1_000_000;
  clock.advance(2_000);
  await turns();
  t.match(alarms.at(-1), { type: 'append-recovered' });
  await appendAll(spool, ['after']);
  t.same(textsOf(await readAll(spool)), ['before', 'after']);
  disk.fault = (call) => (call === 'write' ? 'EIO' : undefined);
  await appendAll(spool, ['refused']);
  t.match(alarms.at(-1), { attempt: 1, retryInMs: 10 }, 'a good group ends the back-off');
  await spool.close();
  t.equal(clock.pending, 0);
});

for (const canCut of [true, false]) {
  t.test(`room for a header and no more: no heap of empty segments, ${canCut ? 'cut' : 'uncut'}`, async (t) => {
    const { spool, disk, clock } = await openSpool();
    await appendAll(spool, ['before']);
    disk.fault = (call) => (call === 'truncate' && !canCut ? 'EIO' : undefined);
    disk.capacityBytes = canCut ? 4_500 : 100_000;
    for (let round = 0; round < 40; round += 1) {
      if (!canCut) disk.fault = (call) => (call === 'truncate' || call === 'syncData' ? 'EIO' : undefined);
      await appendAll(spool, ['x'.repeat(8_000)]);
      if (!canCut) disk.fault = (call) => (call === 'truncate' ? 'EIO' : undefined);
      clock.advance(2_000);
      await turns();
    }
    t.ok(disk.contents(directory).size <= 3, `${disk.contents(directory).size} files`);
    disk.capacityBytes = Infinity;
    clock.advance(2_000);
    await turns();
    await appendAll(spool, ['after']);
    t.same(textsOf(await readAll(spool)), ['before', 'after']);
    await spool.close();
  });
}

t.test('a full disk at the start: the backlog can be read, and appending begins by itself', async (t) => {
  const disk = new FaultyDisk();
  const first = await openSpool({ disk });
  await appendAll(first.spool, texts('r', 10));
  await first.spool.close();
  disk.kill();
  disk.capacityBytes = 0;
  const { spool, clock, alarms } = await openSpool({ disk });
  t.notOk(spool.appendable);
  t.same(failed(alarms), ['roll ENOSPC']);
  t.equal((await readAll(spool)).length, 10);
  t.match(await spool.status(), { appendable: false, backlogRecords: 10, uuid: first.spool.uuid });
  disk.capacityBytes = Infinity;
  clock.advance(10);
  await turns();
  t.ok(spool.appendable);
  await appendAll(spool, ['more']);
  t.equal((await readAll(spool)).length, 11);
  await spool.close();

  const empty = new FaultyDisk();
  empty.capacityBytes = 0;
  const fresh = await openSpool({ disk: empty });
  t.notOk(fresh.spool.appendable);
  t.same(await readAll(fresh.spool), []);
  t.match(await fresh.spool.status(), { backlogRecords: 0, segmentCount: 0 });
  await fresh.spool.close();
  t.equal(fresh.clock.pending, 0, 'closed while it failed: no timer is left');
});

t.test('short writes are gone on with', async (t) => {
  const { spool, disk } = await openSpool();
  disk.fault = (call) => (call === 'write' ? 'short' : undefined);
  await appendAll(spool, texts('r', 200));
  t.equal((await readAll(spool)).length, 200);
  await spool.close();
});

t.test('every single call of a short life fails in turn, and nothing acknowledged is lost', async (t) => {
  const calls = new Set<FileCall>();
  let failures = 0;
  for (let nth = 1; nth < 400; nth += 1) {
    const disk = new FaultyDisk();
    let seen = 0;
    let hit = false;
    disk.fault = (call) => {
      seen += 1;
      if (seen !== nth) return undefined;
      hit = true;
      calls.add(call);
      return nth % 2 === 0 ? 'EIO' : 'ENOSPC';
    };
    const acknowledged: string[] = [];
    for (let run = 0; run < 3; run += 1) {
      const opened = await openSpool({ disk, segmentBytes: 2048 }).catch(() => undefined);
      if (opened === undefined) continue;
      for (let round = 0; round < 4; round += 1) {
        opened.clock.advance(10);
        await turns(1);
        const group = texts(`run${run} round${round} `, 3).map((text) => text.padEnd(500, '.'));
        const answers = await appendAll(opened.spool, group);
        acknowledged.push(
          ...group.filter((_, index) => {
            const answer = answers[index];
            return answer !== undefined && answer !== false && answer.ok;
          }),
        );
      }
      if (run === 1) await opened.spool.close();
      if (run === 0) disk.powerLoss();
      else disk.kill();
    }
    disk.fault = () => undefined;
    const { spool } = await openSpool({ disk });
    const read = textsOf(await readAll(spool));
    if (acknowledged.some((text) => !read.includes(text))) t.fail(`lost when call ${nth} failed`);
    if (new Set(read).size !== read.length) t.fail(`doubled when call ${nth} failed`);
    await spool.close();
    if (!hit) break;
    failures += 1;
  }
  t.ok(failures > 60, `${failures} calls, each failed once`);
  for (const call of ['open', 'write', 'syncData', 'rename', 'syncDirectory', 'readDirectory', 'close'] as const) {
    t.ok(calls.has(call), call);
  }
});

t.test('a real full disk, 1 MiB of tmpfs: acknowledged is what is read, and work resumes', async (t) => {
  const mountPoint = await mkdtemp(join(tmpdir(), 'spool-full-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mountPoint]).status === 0;
  if (!mounted) {
    await rm(mountPoint, { recursive: true });
    t.comment('skipped: mounting a tmpfs needs root');
    return;
  }
  const alarms: SpoolAlarm[] = [];
  const open = (): Promise<Spool> =>
    Spool.open({
      directory: join(mountPoint, 'spool'),
      onAlarm: (alarm) => alarms.push(alarm),
      onCorrupt: (region) => t.fail(`corrupt at ${region.offset}`),
    });
  let spool = await open();
  try {
    await writeFile(join(mountPoint, 'ballast'), Buffer.alloc(300_000));
    const acknowledged: string[] = [];
    const offer = async (prefix: string, count: number): Promise<number> => {
      const group = texts(prefix, count).map((text) => text.padEnd(300, '.'));
      const answers = await appendAll(spool, group);
      const good = group.filter((_, index) => {
        const answer = answers[index];
        return answer !== undefined && answer !== false && answer.ok;
      });
      acknowledged.push(...good);
      return good.length;
    };
    for (let round = 0; round < 100 && spool.appendable; round += 1) await offer(`fill${round}-`, 100);
    t.ok(acknowledged.length > 1000, `${acknowledged.length} acknowledged before the disk was full`);
    t.same(new Set(failed(alarms)), new Set(['write ENOSPC']));
    await rm(join(mountPoint, 'ballast'));
    const freedMs = performance.now();
    await until(() => spool.appendable);
    t.ok(performance.now() - freedMs < 5_000, 'resumed within 5 s');
    t.equal(await offer('after', 100), 100);
    t.same(textsOf(await readAll(spool)), acknowledged);
    await spool.close();
    spool = await open();
    t.same(textsOf(await readAll(spool)), acknowledged, 'after a restart too');
  } finally {
    await spool.close();
    spawnSync('umount', [mountPoint]);
    await rm(mountPoint, { recursive: true });
  }
});
