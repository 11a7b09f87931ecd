/**
 * On which line of a file a text was seen first.
 *
 * Enters: texts by the million. Leaves: the line of the same text before, if there was one. Invariant: an entry takes some
 * twenty octets, however long its text is: only 64 bits of a digest are kept, which two different texts of ten million share
 * in one file of 300,000.
 */
import { hash } from 'node:crypto';

/** Places at first; doubled whenever three of four are taken. */
const FIRST_PLACES = 1 << 12;

/** Remembers texts and lines. */
export class SeenLines {
  private places = FIRST_PLACES;
  private count = 0;
  private high = new Uint32Array(FIRST_PLACES);
  private low = new Uint32Array(FIRST_PLACES);
  /** Zero: nothing here; lines count from one. */
  private lines = new Uint32Array(FIRST_PLACES);

  /**
   * Notes a text, unless it was seen before.
   *
   * @param line from one on
   * @returns the line on which it was seen first, when it was
   */
  note(text: string, line: number): number | undefined {
    const digest = hash('sha1', text, 'buffer');
    const high = digest.readUInt32LE(0);
    const low = digest.readUInt32LE(4);
    const place = this.placeOf(high, low);
    const earlier = this.lines[place]!;
    if (earlier !== 0) return earlier;
    this.put(place, high, low, line);
    this.count += 1;
    if (this.count * 4 > this.places * 3) this.grow();
    return undefined;
  }

  /** Where an entry stands, or the free place where it belongs. */
  private placeOf(high: number, low: number): number {
    const mask = this.places - 1;
    let place = low & mask;
    while (this.lines[place] !== 0 && (this.high[place] !== high || this.low[place] !== low))
      place = (place + 1) & mask;
    return place;
  }

  private put(place: number, high: number, low: number, line: number): void {
    this.high[place] = high;
    this.low[place] = low;
    this.lines[place] = line;
  }

  private grow(): void {
    const { high, low, lines } = this;
    this.places *= 2;
    this.high = new Uint32Array(this.places);
    this.low = new Uint32Array(this.places);
    this.lines = new Uint32Array(this.places);
    for (const [i, line] of lines.entries())
      if (line !== 0) this.put(this.placeOf(high[i]!, low[i]!), high[i]!, low[i]!, line);
  }
}
