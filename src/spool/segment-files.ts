/**
 * Segments as files: their names, how one is born, how its untrusted tail goes. Enters: a folder and a header. Leaves: an
 * open file whose header and name last. Invariant: a name `segment-N.spool` never stands for a file without a whole header,
 * because the header is synced under another name first, and no record is written before the folder has been synced.
 */

import { join } from 'node:path';
import { writeFully, type FileLayer, type OpenFile } from './file-layer.js';
import { dataStartOffset, encodeSegmentHeader, type SegmentHeader } from './segment-format.js';
import type { Segment } from './segment-catalog.js';

// 16 digits: every number that fits a safe integer, and `ls` shows them in order.
const namePattern = /^segment-(\d{16})\.spool(\.damaged)?$/;
const unfinishedName = 'segment.unfinished';

/** The path of segment `number` in `directory`. */
export function segmentPath(directory: string, number: number): string {
  return join(directory, `segment-${String(number).padStart(16, '0')}.spool`);
}

/** The path under which an unreadable segment is kept for a person to look at. */
export function damagedPath(directory: string, number: number): string {
  return `${segmentPath(directory, number)}.damaged`;
}

/** Reads a file's name; undefined for a file that is not ours. */
export function parseSegmentName(name: string): { number: number; damaged: boolean } | undefined {
  const match = namePattern.exec(name);
  const number = Number(match?.[1]);
  if (match === null || number < 1 || !Number.isSafeInteger(number)) return undefined;
  return { number, damaged: match[2] !== undefined };
}

/**
 * Makes a segment. When this resolves, the file, its header and its name last.
 * @throws the file layer's error; what is left behind holds no record and is replaced by the next attempt.
 */
export async function createSegment(
  files: FileLayer,
  directory: string,
  header: SegmentHeader,
): Promise<{ file: OpenFile; segment: Segment }> {
  const unfinished = join(directory, unfinishedName);
  const path = segmentPath(directory, header.number);
  const encoded = encodeSegmentHeader(header);
  await files.unlink(unfinished).catch(() => undefined);
  const file = await files.open(unfinished, 'create');
  try {
    await writeFully(file, encoded.bytes, 0);
    await file.syncData();
    await files.rename(unfinished, path);
    await files.syncDirectory(directory);
  } catch (error) {
    await file.close().catch(() => undefined);
    // On a full disk this gives the block back; when it fails too, the next attempt removes it.
    await files.unlink(unfinished).catch(() => undefined);
    throw error;
  }
  return {
    file,
    segment: { header: encoded.header, path, endOffset: dataStartOffset, fileBytes: dataStartOffset },
  };
}

/**
 * Tries to cut what was written past the trusted end, through a descriptor of its own, to give the space back. Whether it
 * works does not matter to what counts: the next segment's header names the trusted length.
 */
export async function cutUntrustedTail(files: FileLayer, segment: Segment): Promise<void> {
  try {
    const file = await files.open(segment.path, 'update');
    try {
      await file.truncate(segment.endOffset);
      await file.syncData();
      segment.fileBytes = segment.endOffset;
    } finally {
      await file.close();
    }
  } catch {
    // See above.
  }
}
