/** What is kept and for how long: applied segments for their days, unapplied ones for ever. */

import t from 'tap';
import { FaultyDisk, seededRandom } from '../support/faulty-files.js';
import { appendAll, directory, openSpool, readAll, texts, textsOf, turns, type OpenSpool } from './harness.js';

const dayMs = 24 * 3_600_000;

/** A spool with one segment of three records per day. */
async function weekOf(days: number, disk = new FaultyDisk()): Promise<OpenSpool> {
  const opened = await openSpool({ disk, segmentBytes: 2048 });
  for (let day = 0; day < days; day += 1) {
    await appendAll(
      opened.spool,
      texts(`day${day}-`, 3).map((text) => text.padEnd(700, '.')),
    );
    opened.clock.advance(dayMs);
  }
  return opened;
}

const segments = (opened: OpenSpool): number[] =>
  [...opened.disk.contents(directory).keys()].map((name) => Number(name.slice(8, 24)));

t.test('an unapplied segment is never removed, whatever its age', async (t) => {
  const opened = await weekOf(10);
  opened.clock.advance(400 * dayMs);
  const [first] = await readAll(opened.spool);
  opened.spool.setApplied(first?.position ?? { segment: 0, offset: 0 });
  await turns();
  t.same(segments(opened), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await appendAll(opened.spool, ['x']);
  t.equal((await readAll(opened.spool)).length, 31);
  await opened.spool.close();
});

t.test('applied segments stay seven days behind their last record', async (t) => {
  const opened = await weekOf(10);
  const records = await readAll(opened.spool);
  opened.spool.setApplied(records.at(-1)?.nextPosition ?? { segment: 0, offset: 0 });
  await turns();
  // Segment 1 got its last record on day 0; segment 2 was made on day 1, and that is 9 days ago; segment 4's was 7 days ago.
  t.same(segments(opened), [3, 4, 5, 6, 7, 8, 9, 10]);
  t.equal(textsOf(await readAll(opened.spool))[0]?.slice(0, 6), 'day2-0', "'start' is the oldest one kept");
  t.equal((await readAll(opened.spool, records[0]?.position)).length, 24, 'an older position goes on with it');
  opened.clock.advance(1);
  opened.spool.setApplied(records.at(-1)?.nextPosition ?? { segment: 0, offset: 0 });
  await turns();
  t.same(segments(opened), [3, 4, 5, 6, 7, 8, 9, 10].slice(1));
  t.match(await opened.spool.status(), { segmentCount: 7, backlogRecords: 0 });
  await opened.spool.close();
});

t.test('the newest segment stays, however old, and keeps the UUID', async (t) => {
  const opened = await weekOf(3);
  opened.clock.advance(400 * dayMs);
  const records = await readAll(opened.spool);
  opened.spool.setApplied(records.at(-1)?.nextPosition ?? { segment: 0, offset: 0 });
  await turns();
  t.same(segments(opened), [3]);
  await opened.spool.close();
  const again = await openSpool({ disk: opened.disk, clock: opened.clock });
  t.equal(again.spool.uuid, opened.spool.uuid);
  t.same(again.alarms, [], 'removed segments are not missing ones');
  await appendAll(again.spool, ['next']);
  t.equal((await readAll(again.spool)).at(-1)?.sequence, 10);
  await again.spool.close();
});

t.test('a segment that is applied by half stays', async (t) => {
  const opened = await weekOf(5);
  opened.clock.advance(400 * dayMs);
  const records = await readAll(opened.spool);
  opened.spool.setApplied(records[7]?.nextPosition ?? { segment: 0, offset: 0 });
  await turns();
  t.same(segments(opened), [3, 4, 5]);
  opened.spool.setApplied(records[8]?.nextPosition ?? { segment: 0, offset: 0 });
  await turns();
  t.same(segments(opened), [4, 5]);
  await opened.spool.close();
});

t.test('a clock that goes back removes nothing early', async (t) => {
  const opened = await weekOf(3);
  opened.clock.advance(-300 * dayMs);
  const records = await readAll(opened.spool);
  opened.spool.setApplied(records.at(-1)?.nextPosition ?? { segment: 0, offset: 0 });
  await turns();
  t.same(segments(opened), [1, 2, 3]);
  await opened.spool.close();
});

t.test('a removal that fails is an alarm, waits a minute, and is tried again', async (t) => {
  const opened = await weekOf(5);
  opened.clock.advance(400 * dayMs);
  const records = await readAll(opened.spool);
  const end = records.at(-1)?.nextPosition ?? { segment: 0, offset: 0 };
  opened.disk.fault = (call) => (call === 'unlink' ? 'EIO' : undefined);
  for (let batch = 0; batch < 5; batch += 1) {
    opened.spool.setApplied(end);
    await turns();
  }
  t.match(opened.alarms, [{ type: 'retention-failed', segment: 1, code: 'EIO' }], 'one alarm, not five');
  t.equal(opened.alarms.length, 1);
  t.equal((await readAll(opened.spool)).length, 15, 'nothing was lost meanwhile');
  opened.disk.fault = () => undefined;
  opened.clock.advance(60_000);
  opened.spool.setApplied(end);
  await turns();
  t.same(segments(opened), [5]);
  await opened.spool.close();
});

t.test('a power cut between removals leaves a row without a hole', async (t) => {
  for (let cutAfter = 1; cutAfter <= 8; cutAfter += 1) {
    const opened = await weekOf(5);
    opened.clock.advance(400 * dayMs);
    const records = await readAll(opened.spool);
    let calls = 0;
    opened.disk.fault = () => {
      calls += 1;
      if (calls === cutAfter) opened.disk.powerLoss();
      return undefined;
    };
    opened.spool.setApplied(records.at(-1)?.nextPosition ?? { segment: 0, offset: 0 });
    await turns();
    opened.disk.fault = () => undefined;
    const again = await openSpool({ disk: opened.disk, clock: opened.clock });
    t.same(again.alarms, [], `power cut at call ${cutAfter}`);
    await again.spool.close();
  }
});

t.test('a folder that could not be synced is synced before the next removal', async (t) => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const opened = await weekOf(5, new FaultyDisk(seededRandom(seed)));
    opened.clock.advance(400 * dayMs);
    const records = await readAll(opened.spool);
    const end = records.at(-1)?.nextPosition ?? { segment: 0, offset: 0 };
    opened.disk.fault = (call) => (call === 'syncDirectory' ? 'EIO' : undefined);
    opened.spool.setApplied(end);
    await turns();
    opened.disk.fault = (call) => (call === 'syncDirectory' && seed % 2 === 0 ? 'EIO' : undefined);
    opened.clock.advance(60_000);
    opened.spool.setApplied(end);
    await turns();
    opened.disk.fault = () => undefined;
    opened.disk.powerLoss();
    const again = await openSpool({ disk: opened.disk, clock: opened.clock });
    t.same(again.alarms, [], `seed ${seed}`);
    await again.spool.close();
  }
});

t.test('a file with refused records goes before the header that rules them out', async (t) => {
  const opened = await openSpool({ segmentBytes: 2048 });
  const { spool, disk, clock } = opened;
  // The first group fails, its bytes stay, and the file can be neither cut nor removed.
  disk.fault = (call) => (call === 'syncData' || call === 'truncate' || call === 'unlink' ? 'EIO' : undefined);
  await appendAll(spool, ['refused']);
  disk.fault = (call) => (call === 'truncate' || call === 'unlink' ? 'EIO' : undefined);
  clock.advance(10);
  await turns();
  for (let day = 0; day < 3; day += 1) {
    await appendAll(spool, [`day${day}`.padEnd(2_000, '.')]);
    clock.advance(10 * dayMs);
  }
  t.same(segments(opened), [1, 2, 3, 4]);
  const records = await readAll(spool);
  const end = records.at(-1)?.nextPosition ?? { segment: 0, offset: 0 };
  spool.setApplied(end);
  await turns();
  t.same(segments(opened), [1, 2, 3, 4], 'while the one cannot go, neither can the other');
  disk.fault = () => undefined;
  clock.advance(60_000);
  spool.setApplied(end);
  await turns();
  t.same(segments(opened), [4]);
  await spool.close();
  const again = await openSpool({ disk, clock });
  t.same(
    textsOf(await readAll(again.spool)).map((text) => text.slice(0, 4)),
    ['day2'],
  );
  await again.spool.close();
});
