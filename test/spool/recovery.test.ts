/** What a crash, a power cut, a bad sector or a clumsy hand leaves behind, and what the spool makes of it. */

import t from 'tap';
import { join } from 'node:path';
import { SpoolForeignSegmentError, SpoolVersionError } from '../../src/spool/recovery.js';
import { segmentPath } from '../../src/spool/segment-files.js';
import {
  dataStartOffset,
  decodeSegmentHeader,
  encodeSegmentHeader,
  stampRecord,
  writeRecordBody,
} from '../../src/spool/segment-format.js';
import { SpoolReadError } from '../../src/spool/segment-scanner.js';
import { FaultyDisk } from '../support/faulty-files.js';
import { appendAll, directory, openSpool, readAll, texts, textsOf, turns } from './harness.js';

/** The files of a closed spool that holds `contents`, one group and so one segment per inner list. */
async function filesOf(contents: readonly (readonly string[])[]): Promise<Map<string, Buffer>> {
  const { spool, disk } = await openSpool({ segmentBytes: 2048 });
  for (const group of contents) {
    await appendAll(
      spool,
      group.map((text) => text.padEnd(1_100, '.')),
    );
  }
  await spool.close();
  return new Map([...disk.contents(directory)].map(([name, bytes]) => [name, Buffer.from(bytes)]));
}

function diskOf(files: Iterable<readonly [string, Buffer]>): Promise<FaultyDisk> {
  const disk = new FaultyDisk();
  return disk
    .mount()
    .makeDirectory(directory)
    .then(() => {
      for (const [name, bytes] of files) disk.place(join(directory, name), Buffer.from(bytes));
      return disk;
    });
}

async function smallSpool(records: readonly string[]): Promise<{ name: string; bytes: Buffer; ends: number[] }> {
  const { spool, disk } = await openSpool();
  await appendAll(spool, records);
  const ends = (await readAll(spool)).map((record) => record.nextPosition.offset);
  await spool.close();
  const [entry] = disk.contents(directory);
  if (entry === undefined) throw new Error('no segment was made');
  return { name: entry[0], bytes: Buffer.from(entry[1]), ends };
}

t.test('the last segment cut at every byte: all whole records before the cut survive', async (t) => {
  const records = ['first', '', 'the third one', 'x'.repeat(40), 'last'];
  const { name, bytes, ends } = await smallSpool(records);
  for (let length = 0; length <= bytes.length; length += 1) {
    const disk = await diskOf([[name, bytes.subarray(0, length)]]);
    const { spool, corrupt, alarms } = await openSpool({ disk });
    const survivors = records.slice(0, ends.filter((end) => end <= length).length);
    const read = textsOf(await readAll(spool));
    if (JSON.stringify(read) !== JSON.stringify(survivors)) t.fail(`cut at ${length}`, { read, survivors });
    if (corrupt.length > 0) t.fail(`cut at ${length}: a torn tail is no damage`);
    const torn = length > dataStartOffset && !ends.includes(length);
    if (torn !== alarms.some((alarm) => alarm.type === 'torn-tail')) t.fail(`cut at ${length}: torn tail`, { alarms });
    const [answer] = await appendAll(spool, ['after']);
    if (answer === false || answer?.ok !== true) t.fail(`cut at ${length}: not appendable`);
    if (textsOf(await readAll(spool)).join() !== [...survivors, 'after'].join()) t.fail(`cut at ${length}: after`);
    await spool.close();
  }
  t.pass(`${bytes.length + 1} cuts`);
});

t.test('each byte of a segment flipped: nothing false is read, all other records survive', async (t) => {
  const records = ['first', 'second', 'the third one', 'last'];
  const { name, bytes, ends } = await smallSpool(records);
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
    const disk = await diskOf([[name, flipped]]);
    const { spool, corrupt, alarms } = await openSpool({ disk });
    const hit = at < dataStartOffset ? -1 : ends.findIndex((end) => at < end);
    const survivors = records.filter((_, index) => index !== hit);
    const read = textsOf(await readAll(spool));
    if (JSON.stringify(read) !== JSON.stringify(survivors)) t.fail(`flip at ${at}`, { read, survivors });
    const lastHit = hit === records.length - 1;
    if (corrupt.length !== (hit >= 0 && !lastHit ? 1 : 0)) t.fail(`flip at ${at}: set aside`, { corrupt });
    if (lastHit !== alarms.some((alarm) => alarm.type === 'torn-tail')) t.fail(`flip at ${at}: torn tail`);
    const [region] = corrupt;
    const start = ends[hit - 1] ?? dataStartOffset;
    if (region !== undefined) {
      const original = flipped.subarray(start, ends[hit]);
      if (region.offset !== start || !region.bytes.equals(original)) t.fail(`flip at ${at}: region`, { region });
    }
    await spool.close();
  }
  t.pass(`${bytes.length} flips`);
});

t.test('damage in the middle is set aside with its bytes, and replay goes on', async (t) => {
  const files = await filesOf([texts('a', 3), texts('b', 3), texts('c', 3)]);
  const name = [...files.keys()].find((key) => files.get(key)?.includes('b1'));
  const damaged = files.get(name ?? '');
  damaged?.fill(0xee, dataStartOffset + 100, dataStartOffset + 1_200);
  const { spool, corrupt, alarms } = await openSpool({ disk: await diskOf(files) });
  const read = textsOf(await readAll(spool)).map((text) => text.slice(0, 2));
  t.same(read, ['a0', 'a1', 'a2', 'b2', 'c0', 'c1', 'c2']);
  t.match(corrupt, [{ uuid: spool.uuid, segment: 2, offset: 1024, length: 2 * 1132, reason: 'checksum' }]);
  t.same(corrupt[0]?.bytes, damaged?.subarray(1024, 1024 + 2 * 1132));
  t.match(alarms, [{ type: 'corrupt-region', segment: 2, offset: 1024, length: 2 * 1132 }]);
  await spool.close();
});

t.test('a sealed segment that lost its end: what is missing is set aside, not passed over in silence', async (t) => {
  const files = await filesOf([texts('a', 3), texts('b', 3)]);
  const [first] = files.keys();
  files.set(first ?? '', files.get(first ?? '')?.subarray(0, 2_500) ?? Buffer.alloc(0));
  const { spool, corrupt } = await openSpool({ disk: await diskOf(files) });
  t.same(
    textsOf(await readAll(spool)).map((text) => text.slice(0, 2)),
    ['a0', 'b0', 'b1', 'b2'],
  );
  t.match(corrupt, [{ segment: 1, offset: 2156, length: 2 * 1132, reason: 'missing-bytes' }]);
  t.equal(corrupt[0]?.bytes.length, 2_500 - 2_156, 'what is left of it');
  await spool.close();
});

t.test('a large region comes in pieces', async (t) => {
  const { spool, disk } = await openSpool();
  await appendAll(spool, ['head', ...Array<string>(40).fill('x'.repeat(65_000)), 'tail']);
  await spool.close();
  for (const bytes of disk.contents(directory).values()) bytes.fill(1, 1_100, 1_024 + 40 * 65_032);
  const again = await openSpool({ disk });
  t.same(textsOf(await readAll(again.spool)), ['head', 'tail']);
  t.ok(again.corrupt.length > 30 && again.corrupt.every((piece) => piece.bytes.length <= 65_536));
  let offset = again.corrupt[0]?.offset ?? 0;
  for (const piece of again.corrupt) {
    if (piece.offset !== offset) t.fail('pieces leave a gap');
    offset += piece.length;
  }
  await again.spool.close();
});

t.test('a payload that looks like a record is never taken for one', async (t) => {
  const { spool, disk } = await openSpool();
  await appendAll(spool, ['inner one', 'inner two']);
  const [stolen] = disk.contents(directory).values();
  const inner = Buffer.from(stolen ?? '').subarray(dataStartOffset);
  const padded = Buffer.concat([inner, inner, inner]);
  await new Promise((resolve) => spool.append(1, 0, padded, resolve));
  await appendAll(spool, ['behind']);
  await spool.close();
  for (const bytes of disk.contents(directory).values()) {
    // Damage the header of the record that carries the stolen ones: resynchronising now walks through its payload.
    bytes.fill(0, dataStartOffset + inner.length, dataStartOffset + inner.length + 20);
  }
  const again = await openSpool({ disk });
  t.same(textsOf(await readAll(again.spool)), ['inner one', 'inner two', 'behind']);
  await again.spool.close();
});

t.test('a missing segment in the middle is an alarm, not an exit', async (t) => {
  const files = await filesOf([texts('a', 3), texts('b', 3), texts('c', 3)]);
  files.delete('segment-0000000000000002.spool');
  const { spool, alarms } = await openSpool({ disk: await diskOf(files) });
  t.match(alarms, [{ type: 'segment-missing', missing: 2, before: 3 }]);
  const read = await readAll(spool);
  t.same(
    textsOf(read).map((text) => text.slice(0, 2)),
    ['a0', 'a1', 'a2', 'c0', 'c1', 'c2'],
  );
  t.same(
    read.map((record) => record.sequence),
    [1, 2, 3, 7, 8, 9],
    'the sequence shows how many are gone',
  );
  await spool.close();
});

t.test('a segment that disappears while the server runs is an alarm, not an exit', async (t) => {
  const files = await filesOf([texts('a', 3), texts('b', 3), texts('c', 3)]);
  const { spool, alarms, disk } = await openSpool({ disk: await diskOf(files) });
  disk.remove(segmentPath(directory, 2));
  t.equal((await readAll(spool)).length, 6);
  t.match(alarms, [{ type: 'segment-missing', missing: 2 }]);
  await spool.close();
});

t.test('files of others are left alone', async (t) => {
  const files = await filesOf([texts('a', 3)]);
  const foreign = ['README', 'segment-1.spool', 'segment-0000000000000002.spool.bak', 'lost+found', '.nfs0001'];
  for (const name of foreign) files.set(name, Buffer.from('not ours'));
  const { spool, disk, alarms } = await openSpool({ disk: await diskOf(files) });
  t.equal((await readAll(spool)).length, 3);
  t.same(alarms, []);
  for (const name of foreign) t.same(disk.contents(directory).get(name), Buffer.from('not ours'), name);
  await spool.close();
});

t.test('a segment of another spool is refused by name', async (t) => {
  const files = await filesOf([texts('a', 3)]);
  const others = await filesOf([texts('b', 3), texts('c', 3)]);
  files.set('segment-0000000000000002.spool', others.get('segment-0000000000000002.spool') ?? Buffer.alloc(0));
  const disk = await diskOf(files);
  const error = await openSpool({ disk }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  t.type(error, SpoolForeignSegmentError);
  t.match(error, { message: /segment-0000000000000002\.spool belongs to spool .* move the segments/ });
  disk.remove(segmentPath(directory, 2));
  const { spool } = await openSpool({ disk });
  t.equal((await readAll(spool)).length, 3, 'the lock was let go, nothing was changed');
  await spool.close();
});

t.test('a segment of another format is refused by name', async (t) => {
  const files = await filesOf([texts('a', 3)]);
  const bytes = files.get('segment-0000000000000001.spool') ?? Buffer.alloc(0);
  const header = decodeSegmentHeader(bytes);
  if (!header.ok) throw new Error('unreadable header');
  const { crc32 } = await import('node:zlib');
  for (const copy of [0, 512]) {
    bytes.writeUInt32LE(2, copy + 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(copy, copy + 124)), copy + 124);
  }
  await t.rejects(openSpool({ disk: await diskOf(files) }), SpoolVersionError);
});

t.test('the newest segment without a whole header is made anew', async (t) => {
  const files = await filesOf([texts('a', 3), texts('b', 3)]);
  for (const length of [0, 1, 127, 128, 511, 1023]) {
    const { bytes } = encodeSegmentHeader({
      uuid: '00000000-0000-4000-8000-000000000000',
      salt: '00'.repeat(16),
      number: 3,
      firstSequence: 7,
      createdAtMs: 0,
      previousNumber: 2,
      previousLength: 4420,
    });
    bytes.fill(0, 0, 128);
    const disk = await diskOf([...files, ['segment-0000000000000003.spool', bytes.subarray(0, Math.min(length, 500))]]);
    const { spool, alarms } = await openSpool({ disk });
    t.match(alarms, [{ type: 'segment-repaired', segment: 3 }], `${length} bytes`);
    t.equal((await readAll(spool)).length, 6);
    await appendAll(spool, ['c']);
    t.equal((await readAll(spool)).length, 7);
    await spool.close();
  }
});

t.test('a segment whose header is gone twice is kept for a person, and its number is not used again', async (t) => {
  const files = await filesOf([texts('a', 3), texts('b', 3)]);
  files.get('segment-0000000000000002.spool')?.fill(0, 0, 1024);
  const disk = await diskOf(files);
  const { spool, alarms } = await openSpool({ disk });
  t.match(alarms[0], { type: 'segment-damaged', segment: 2, keptAs: `${segmentPath(directory, 2)}.damaged` });
  t.equal((await readAll(spool)).length, 3);
  await appendAll(spool, ['c']);
  t.equal((await readAll(spool)).at(-1)?.position.segment, 3);
  t.ok(disk.contents(directory).get('segment-0000000000000002.spool.damaged')?.includes('b1'));
  await spool.close();
});

t.test('a number that a damaged file had is not used again either', async (t) => {
  const files = await filesOf([texts('a', 3)]);
  files.set('segment-0000000000000005.spool.damaged', Buffer.from('kept by an earlier start that went no further'));
  const { spool } = await openSpool({ disk: await diskOf(files) });
  t.equal((await spool.status()).syncedPosition.segment, 6);
  await spool.close();
});

t.test('the only record of a segment is damaged: its bytes stay on the disk', async (t) => {
  const { name, bytes } = await smallSpool(['the only one']);
  bytes.writeUInt8(bytes.readUInt8(dataStartOffset + 40) ^ 1, dataStartOffset + 40);
  const disk = await diskOf([[name, bytes]]);
  const { spool, alarms } = await openSpool({ disk });
  t.match(alarms, [{ type: 'torn-tail', segment: 1, offset: 1024, length: 44 }]);
  t.same(await readAll(spool), []);
  t.same(disk.contents(directory).get(name), bytes);
  await spool.close();
});

t.test('a record whose sequence does not grow is none', async (t) => {
  const header = {
    uuid: '00000000-0000-4000-8000-000000000000',
    salt: '00'.repeat(16),
    number: 1,
    firstSequence: 10,
    createdAtMs: 0,
    previousNumber: 0,
    previousLength: 0,
  };
  const encoded = encodeSegmentHeader(header);
  const sequences = [10, 11, 11, 9, 12];
  const records = Buffer.alloc(40 * sequences.length);
  for (const [index, sequence] of sequences.entries()) {
    writeRecordBody(records, 40 * index, 1, 0, Buffer.from(`record ${index}`));
    stampRecord(records, 40 * index, encoded.header.checksumSeed, dataStartOffset + 40 * index, sequence);
  }
  const disk = await diskOf([['segment-0000000000000001.spool', Buffer.concat([encoded.bytes, records])]]);
  const { spool, corrupt } = await openSpool({ disk });
  t.same(textsOf(await readAll(spool)), ['record 0', 'record 1', 'record 4']);
  t.match(corrupt, [{ offset: 1104, length: 80, reason: 'sequence' }]);
  await spool.close();
});

t.test('a position of the last run never comes to mean another record', async (t) => {
  const { name, bytes, ends } = await smallSpool(['one', 'two', 'three']);
  const applied = { segment: 1, offset: ends[2] ?? 0 };
  const disk = await diskOf([[name, bytes.subarray(0, (ends[0] ?? 0) + 5)]]);
  const { spool } = await openSpool({ disk });
  await appendAll(spool, ['new']);
  spool.setApplied(applied);
  t.same(textsOf(await readAll(spool, applied)), ['new'], 'although the applied end of the segment was lost');
  await spool.close();
});

t.test('restarts without records leave one empty segment, not many', async (t) => {
  const disk = new FaultyDisk();
  for (let restart = 0; restart < 10; restart += 1) {
    const { spool } = await openSpool({ disk });
    await spool.close();
    if (restart % 2 === 0) disk.powerLoss();
    else disk.kill();
  }
  t.equal(disk.contents(directory).size, 1);
});

t.test('a disk that does not answer at the start rules nothing out', async (t) => {
  const { name, bytes } = await smallSpool(texts('r', 5));
  const disk = await diskOf([[name, bytes]]);
  disk.fault = (call) => (call === 'read' ? 'EIO' : undefined);
  await t.rejects(openSpool({ disk }), SpoolReadError, 'no header can be read');
  let reads = 0;
  disk.fault = (call) => (call === 'read' && (reads += 1) > 1 ? 'EIO' : undefined);
  const first = await openSpool({ disk });
  t.same(first.alarms, [], 'the records could not be looked at: neither torn nor damaged');
  disk.fault = () => undefined;
  t.same(textsOf(await readAll(first.spool)), texts('r', 5));
  await appendAll(first.spool, ['later']);
  await first.spool.close();
  disk.kill();
  const second = await openSpool({ disk });
  const read = await readAll(second.spool);
  t.same(textsOf(read), [...texts('r', 5), 'later']);
  t.ok(read.every((record, index) => record.sequence > (read[index - 1]?.sequence ?? 0)));
  await second.spool.close();
});

t.test('a bad sector under the reader: tried again, then set aside, and the rest is read', async (t) => {
  const { spool, disk, corrupt } = await openSpool();
  await appendAll(
    spool,
    texts('r', 100).map((text) => text.padEnd(1_000, '.')),
  );
  const badFrom = 40_960;
  disk.readFault = (_path, offset, length) =>
    offset < badFrom + 4096 && offset + length > badFrom ? 'EIO' : undefined;
  const reader = spool.reader('start');
  const limits = { maxRecords: 1000, maxBytes: 10_000_000 };
  await t.rejects(reader.readBatch(limits), SpoolReadError);
  await t.rejects(reader.readBatch(limits), { name: 'SpoolReadError', code: 'EIO' });
  const read: string[] = [];
  for (let batch = await reader.readBatch(limits); batch.length > 0; batch = await reader.readBatch(limits)) {
    read.push(...textsOf(batch).map((text) => text.replaceAll('.', '')));
  }
  const gone = texts('r', 100).filter((text) => !read.includes(text));
  t.ok(gone.length >= 4 && gone.length <= 6, `${gone.join()} lay on the bad sector`);
  t.ok(corrupt.every((region) => region.reason === 'unreadable'));
  t.same((await readAll(spool).catch((error: Error) => error.name)) as unknown, 'SpoolReadError', 'each reader tries');
  await spool.close();
});

t.test('what a killed process wrote and never synced is synced before it is trusted', async (t) => {
  const disk = new FaultyDisk();
  const first = await openSpool({ disk });
  disk.fault = (call) => {
    if (call === 'syncData') disk.kill();
    return undefined;
  };
  first.spool.append(1, 0, Buffer.from('unsynced'), () => t.fail('answered'));
  await turns();
  disk.fault = () => undefined;
  const second = await openSpool({ disk });
  t.same(textsOf(await readAll(second.spool)), ['unsynced']);
  disk.powerLoss();
  const third = await openSpool({ disk });
  t.same(textsOf(await readAll(third.spool)), ['unsynced']);
  await third.spool.close();
});
