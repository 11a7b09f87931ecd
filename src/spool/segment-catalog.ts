/**
 * Which segments there are and how much of each counts. Enters: segments found at recovery and made since. Leaves: where
 * reading goes on from a position, what is behind it. Invariant: ascending by number; `endOffset` of a segment is never past
 * what was synced, so whoever reads up to it reads only what lasts.
 */

import { dataStartOffset, type DecodedHeader } from './segment-format.js';
import { comparePositions, type Position } from './position.js';

export interface Segment {
  readonly header: DecodedHeader;
  readonly path: string;
  /** Trusted bytes: durable records end here. */
  endOffset: number;
  /** Bytes that the file takes, of which those past `endOffset` count for nothing. */
  fileBytes: number;
}

export class SegmentCatalog {
  readonly #segments: Segment[];
  /** Of the next record that becomes durable; from 1. */
  nextSequence: number;
  /**
   * Paths of files that a later header passed over. They hold nothing that was acknowledged, and perhaps records that were
   * refused: they have to be gone for good before the header that rules them out may go.
   */
  readonly passedOver: Set<string>;

  constructor(segments: readonly Segment[], nextSequence: number, passedOver: readonly string[] = []) {
    this.#segments = [...segments];
    this.nextSequence = nextSequence;
    this.passedOver = new Set(passedOver);
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get oldest(): Segment | undefined {
    return this.#segments[0];
  }

  /** The one appended to, or the last one that was. */
  get newest(): Segment | undefined {
    return this.#segments.at(-1);
  }

  add(segment: Segment): void {
    this.#segments.push(segment);
  }

  remove(segment: Segment): void {
    const index = this.#segments.indexOf(segment);
    if (index >= 0) this.#segments.splice(index, 1);
  }

  /** The end of the last durable record. */
  endPosition(): Position {
    const newest = this.newest;
    return newest === undefined
      ? { segment: 0, offset: 0 }
      : { segment: newest.header.number, offset: newest.endOffset };
  }

  startPosition(): Position {
    const oldest = this.oldest;
    return oldest === undefined ? this.endPosition() : { segment: oldest.header.number, offset: dataStartOffset };
  }

  /** The segment and offset at which the first durable record at or after `position` is looked for. */
  locate(position: Position): { segment: Segment; offset: number } | undefined {
    for (let index = this.#firstAtOrAfter(position.segment); index < this.#segments.length; index += 1) {
      const segment = this.#segments[index];
      if (segment === undefined) return undefined;
      const offset =
        segment.header.number === position.segment ? Math.max(position.offset, dataStartOffset) : dataStartOffset;
      if (offset < segment.endOffset) return { segment, offset };
    }
    return undefined;
  }

  /** Trusted bytes at or after `position`, headers of segments not counted. */
  bytesAfter(position: Position): number {
    let bytes = 0;
    for (const segment of this.#segments) {
      const from =
        segment.header.number === position.segment
          ? Math.max(position.offset, dataStartOffset)
          : segment.header.number < position.segment
            ? segment.endOffset
            : dataStartOffset;
      bytes += Math.max(0, segment.endOffset - from);
    }
    return bytes;
  }

  bytesOnDisk(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.fileBytes, 0);
  }

  /** Whether `position` lies past everything that this spool ever made durable. */
  isAhead(position: Position): boolean {
    return comparePositions(position, this.endPosition()) > 0;
  }

  /** Binary search: a week of small segments may be thousands, and this runs for every batch. */
  #firstAtOrAfter(number: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle]?.header.number ?? Infinity) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
