/**
 * What a folder of segments is worth. Enters: the folder as a crash, a power cut or a failing disk left it. Leaves: the
 * segments that count, each with its trusted length, and what is next. Invariant: every record that was ever acknowledged
 * and is still readable is inside a trusted length; nothing that a later header ruled out is.
 *
 * The newest header is the authority: it names the segment before it and how much of that one counts, and so on backwards.
 * Only the newest segment, which no header rules, is scanned: its trusted length ends with its last whole record.
 */

import type { RaiseAlarm } from './alarm.js';
import { errorCode, type FileLayer } from './file-layer.js';
import type { Segment } from './segment-catalog.js';
import { damagedPath, parseSegmentName, segmentPath } from './segment-files.js';
import { dataStartOffset, decodeSegmentHeader, recordHeaderBytes, type DecodedHeader } from './segment-format.js';
import { SegmentScanner, SpoolReadError } from './segment-scanner.js';

/** A segment in the folder belongs to another spool. */
export class SpoolForeignSegmentError extends Error {
  override readonly name = 'SpoolForeignSegmentError';
  constructor(
    readonly path: string,
    readonly foundUuid: string,
    readonly expectedUuid: string,
  ) {
    super(
      `${path} belongs to spool ${foundUuid}, the rest of the folder to ${expectedUuid}; ` +
        'two spools were mixed: move the segments of one of them to a folder of its own',
    );
  }
}

/** A segment was written by another release in a format that this one cannot read. */
export class SpoolVersionError extends Error {
  override readonly name = 'SpoolVersionError';
  constructor(
    readonly path: string,
    readonly version: number,
  ) {
    super(`${path} has spool format ${version}, which this release cannot read; start the release that wrote it`);
  }
}

export interface RecoveredFolder {
  /** Undefined in a folder that has no segment yet. */
  readonly uuid: string | undefined;
  /** Ascending; what does not count is not among them. */
  readonly segments: readonly Segment[];
  /** Paths of files that a later header passed over; removed, but perhaps not for good yet. */
  readonly passedOver: readonly string[];
  /** The highest number that any file ever had here, so that none is used twice. */
  readonly highestNumber: number;
  readonly nextSequence: number;
}

interface FoundSegment {
  readonly path: string;
  readonly header: DecodedHeader;
  readonly fileBytes: number;
}

/**
 * Looks through `directory`, repairs what a crash leaves behind, and says what counts. Files with other names are left alone.
 * @throws SpoolForeignSegmentError, SpoolVersionError, or the file layer's error when the folder cannot be read.
 */
export async function recoverFolder(files: FileLayer, directory: string, raise: RaiseAlarm): Promise<RecoveredFolder> {
  const { found, highestNumber } = await readHeaders(files, directory, raise);
  const first = found[0];
  if (first === undefined) {
    return { uuid: undefined, segments: [], passedOver: [], highestNumber, nextSequence: 1 };
  }
  const uuid = first.header.uuid;
  for (const { header, path } of found) {
    if (header.uuid !== uuid) throw new SpoolForeignSegmentError(path, header.uuid, uuid);
  }
  const { segments, passedOver } = await followChain(files, found, raise);
  const newest = segments.at(-1);
  const nextSequence = newest === undefined ? 1 : await scanNewest(files, newest, raise);
  return { uuid, segments, passedOver, highestNumber, nextSequence };
}

async function readHeaders(
  files: FileLayer,
  directory: string,
  raise: RaiseAlarm,
): Promise<{ found: FoundSegment[]; highestNumber: number }> {
  const numbers: number[] = [];
  let highestNumber = 0;
  for (const name of await files.readDirectory(directory)) {
    const parsed = parseSegmentName(name);
    if (parsed === undefined) continue;
    highestNumber = Math.max(highestNumber, parsed.number);
    if (!parsed.damaged) numbers.push(parsed.number);
  }
  numbers.sort((a, b) => a - b);
  const found: FoundSegment[] = [];
  for (const number of numbers) {
    const path = segmentPath(directory, number);
    const { bytes, fileBytes } = await readHeaderBytes(files, path, number);
    const result = decodeSegmentHeader(bytes);
    if (result.ok && result.header.number === number) {
      found.push({ path, header: result.header, fileBytes });
    } else if (!result.ok && result.version !== undefined) {
      throw new SpoolVersionError(path, result.version);
    } else if (fileBytes < dataStartOffset && number === numbers.at(-1)) {
      // Too short to hold a record: the disk lost a file that was being made.
      await files.unlink(path).catch(() => undefined);
      raise({ type: 'segment-repaired', segment: number, fileBytes });
    } else {
      const keptAs = damagedPath(directory, number);
      await files.rename(path, keptAs).catch(() => undefined);
      raise({ type: 'segment-damaged', segment: number, keptAs });
    }
  }
  return { found, highestNumber };
}

async function readHeaderBytes(
  files: FileLayer,
  path: string,
  number: number,
): Promise<{ bytes: Buffer; fileBytes: number }> {
  const file = await files.open(path, 'read');
  try {
    const bytes = Buffer.alloc(dataStartOffset);
    let length = 0;
    while (length < bytes.length) {
      const read = await file.read(bytes.subarray(length), length);
      if (read <= 0) break;
      length += read;
    }
    return { bytes: bytes.subarray(0, length), fileBytes: await file.size() };
  } catch (error) {
    // Not the same as a damaged header: the disk may answer at the next start.
    throw new SpoolReadError(number, errorCode(error), { cause: error });
  } finally {
    await file.close().catch(() => undefined);
  }
}

/** From the newest header backwards: which segments count, and how much of each. */
async function followChain(
  files: FileLayer,
  found: FoundSegment[],
  raise: RaiseAlarm,
): Promise<{ segments: Segment[]; passedOver: string[] }> {
  const chain: Segment[] = [];
  const passedOver: string[] = [];
  let successor: DecodedHeader | undefined;
  for (const { path, header, fileBytes } of found.toReversed()) {
    if (successor !== undefined && header.number > successor.previousNumber) {
      // Nothing in it had been acknowledged when its successor was made.
      passedOver.push(path);
      await files.unlink(path).catch(() => undefined);
      continue;
    }
    const ruled = successor !== undefined && header.number === successor.previousNumber;
    if (successor !== undefined && !ruled) {
      raise({ type: 'segment-missing', missing: successor.previousNumber, before: successor.number });
    }
    chain.push({ header, path, endOffset: ruled ? (successor?.previousLength ?? 0) : fileBytes, fileBytes });
    successor = header;
  }
  return { segments: chain.reverse(), passedOver };
}

/** Finds the end of the newest segment's last whole record; returns the sequence that comes next. */
async function scanNewest(files: FileLayer, newest: Segment, raise: RaiseAlarm): Promise<number> {
  const { header } = newest;
  const file = await files.open(newest.path, 'update');
  const scanner = new SegmentScanner(file, header, dataStartOffset);
  try {
    // A process that was killed may have left whole records that were never synced; they are about to be trusted.
    await file
      .syncData()
      .catch((error: unknown) =>
        raise({ type: 'recovery-sync-failed', segment: header.number, code: errorCode(error) }),
      );
    newest.endOffset = await scanToLastRecord(scanner, newest.fileBytes);
  } finally {
    await scanner.close().catch(() => undefined);
  }
  const length = newest.fileBytes - newest.endOffset;
  if (scanner.unreadableUntil > newest.endOffset) {
    // A disk that does not answer now may answer later: nothing is ruled out, and no sequence that may be in there is used
    // again. The reader passes over what stays unreadable.
    newest.endOffset = newest.fileBytes;
    return scanner.sequence + 1 + Math.ceil(length / recordHeaderBytes);
  }
  if (length > 0) {
    raise({ type: 'torn-tail', segment: header.number, offset: newest.endOffset, length });
  }
  return scanner.sequence + 1;
}

async function scanToLastRecord(scanner: SegmentScanner, fileBytes: number): Promise<number> {
  let end = dataStartOffset;
  for (;;) {
    switch (scanner.step(fileBytes)) {
      case 'record':
        end = scanner.offset;
        break;
      case 'need-bytes':
        await persistently(() => scanner.fill(fileBytes));
        break;
      case 'fault': {
        // Damage with whole records behind it is the reader's to report; damage with none behind it is the torn tail.
        scanner.offset = await persistently(() => scanner.findNextRecord(fileBytes));
        break;
      }
      case 'end':
        return end;
    }
  }
}

/** Reads on over bad sectors: nobody is there to call again later, and the scanner gives up on a block by itself. */
async function persistently<T>(read: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof SpoolReadError)) throw error;
    }
  }
}
