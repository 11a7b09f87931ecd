/** The bytes of a segment, fixed: files of today must be readable by every later release. */

import t from 'tap';
import fc from 'fast-check';
import {
  checkRecord,
  dataStartOffset,
  decodeSegmentHeader,
  encodeSegmentHeader,
  maxRecordBytes,
  recordFields,
  recordHeaderBytes,
  stampRecord,
  writeRecordBody,
} from '../../src/spool/segment-format.js';

const header = {
  uuid: '12345678-9abc-4def-8123-456789abcdef',
  salt: '000102030405060708090a0b0c0d0e0f',
  number: 7,
  firstSequence: 2 ** 40 + 5,
  createdAtMs: 1_763_750_000_123,
  previousNumber: 6,
  previousLength: 67_108_900,
};

t.test('a header, byte for byte', async (t) => {
  const { bytes } = encodeSegmentHeader(header);
  t.equal(bytes.length, dataStartOffset);
  t.equal(
    bytes.toString('hex', 0, 88),
    '534c554943455350' + // magic
      '0100000000000000' + // version, reserved
      '123456789abc4def8123456789abcdef' +
      '000102030405060708090a0b0c0d0e0f' +
      '0700000000000000' +
      '0500000000010000' +
      'fb35b1a79a010000' +
      '0600000000000000' +
      '2400000400000000',
  );
  t.equal(bytes.toString('hex', 88, 128), '00'.repeat(36) + 'd203b63f');
  t.same(bytes.subarray(512, 640), bytes.subarray(0, 128), 'twice');
  t.match(decodeSegmentHeader(bytes), { ok: true, header });
});

t.test('a record, byte for byte', async (t) => {
  const bytes = Buffer.alloc(40);
  t.equal(writeRecordBody(bytes, 0, 0xfe, 1_763_750_000_123, Buffer.from('abc')), 35);
  t.equal(stampRecord(bytes, 0, 0, 1024, 2 ** 32 + 1), 35);
  // The checksums of this file were computed with another implementation of CRC-32.
  t.equal(bytes.toString('hex', 0, 8), 'a75c9ed3' + '8b07f704');
  t.equal(bytes.toString('hex', 8, 35), '00040000' + '030000fe' + '0100000001000000' + 'fb35b1a79a010000' + '616263');
});

t.test('whatever is written is read back', async (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.integer({ min: 0, max: 255 }),
      fc.maxSafeNat(),
      fc.maxSafeNat(),
      fc.nat({ max: 0xffffffff }),
      fc.nat({ max: 0xffffffff }),
      (payload, kind, receivedAtMs, sequence, seed, offset) => {
        const bytes = Buffer.alloc(maxRecordBytes);
        const length = writeRecordBody(bytes, 3, kind, receivedAtMs, payload);
        return (
          stampRecord(bytes, 3, seed, offset, sequence) === length &&
          checkRecord(bytes, 3, seed, offset) === 'whole' &&
          recordFields.kind(bytes, 3) === kind &&
          recordFields.receivedAtMs(bytes, 3) === receivedAtMs &&
          recordFields.sequence(bytes, 3) === sequence &&
          recordFields.recordBytes(bytes, 3) === length &&
          bytes.subarray(3 + recordHeaderBytes, 3 + length).equals(payload)
        );
      },
    ),
  );
  t.pass();
});

t.test('a record is one only in its own place and its own segment', async (t) => {
  const bytes = Buffer.alloc(64);
  writeRecordBody(bytes, 0, 1, 0, Buffer.alloc(20));
  stampRecord(bytes, 0, 99, 1024, 1);
  t.equal(checkRecord(bytes, 0, 99, 1024), 'whole');
  t.equal(checkRecord(bytes, 0, 98, 1024), 'checksum', 'another segment');
  t.equal(checkRecord(bytes, 0, 99, 1025), 'offset', 'another place');
  t.equal(checkRecord(bytes.subarray(0, 51), 0, 99, 1024), 'incomplete');
  t.equal(checkRecord(bytes.subarray(0, 31), 0, 99, 1024), 'incomplete');
  t.equal(checkRecord(bytes, 1, 99, 1024), 'marker');
  bytes.writeUInt32LE(0x00010001, 12);
  t.equal(checkRecord(bytes, 0, 99, 1024), 'length', '65,537 bytes');
});

t.test('two headers differ in the seed of their checksums, by their salt alone', async (t) => {
  const a = encodeSegmentHeader(header).header.checksumSeed;
  const b = encodeSegmentHeader({ ...header, salt: 'ff'.repeat(16) }).header.checksumSeed;
  t.not(a, b);
});

t.test('no bytes make the header decoder throw', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1_100 }), (noise) => !decodeSegmentHeader(Buffer.from(noise)).ok));
  t.same(decodeSegmentHeader(Buffer.alloc(0)), { ok: false });
});
