/**
 * A place in the spool. Enters: a segment number and a byte offset, or their text. Leaves: a comparable value, its text.
 * Invariant: places handed out by one spool (one UUID) only ever grow, over restarts too, because a number of a segment
 * that may have held an acknowledged record is never used again.
 */

/**
 * The start of a record, or the end of the last one. Two integers, so that two `bigint` columns hold it; meaningful only
 * together with the spool's UUID.
 */
export interface Position {
  readonly segment: number;
  /** Bytes from the beginning of the segment's file. */
  readonly offset: number;
}

/** A text is not a position, or a position lies past the end of the spool it is used with. */
export class SpoolPositionError extends Error {
  override readonly name = 'SpoolPositionError';
}

/** Negative when `a` comes before `b`, positive when after, 0 when they are the same place. */
export function comparePositions(a: Position, b: Position): number {
  return a.segment - b.segment || a.offset - b.offset;
}

/** `segment:offset` in decimal, as `parsePosition` reads it. */
export function formatPosition(position: Position): string {
  return `${position.segment}:${position.offset}`;
}

// 16 digits hold every safe integer; longer texts are refused before they are converted.
const positionPattern = /^(\d{1,16}):(\d{1,10})$/;

/**
 * Reads what `formatPosition` wrote.
 * @throws SpoolPositionError when the text has another form or a number beyond 2^53 - 1.
 */
export function parsePosition(text: string): Position {
  const match = positionPattern.exec(text);
  const segment = Number(match?.[1]);
  const offset = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(segment) || !Number.isSafeInteger(offset)) {
    throw new SpoolPositionError(`not a spool position: ${JSON.stringify(text.slice(0, 64))}; expected segment:offset`);
  }
  return { segment, offset };
}
