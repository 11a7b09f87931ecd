/**
 * Output that is cut at our own marks. Enters: chunks as they arrive. Leaves: the text before each mark, bounded. Invariants: a mark holds a random word
 * that no output can know; memory is bounded by the limit for one text, however much a NAS prints.
 */
import { randomBytes } from 'node:crypto';

/** Output kept of one part, octets: the beginning of what went wrong is in it, and 500 parts of it still fit into memory. */
export const maxPartOctets = 65_536;
/** Output kept of one command that reads a NAS, octets: some 100,000 entries. */
export const maxReadOctets = 8_388_608;
// A mark with its numbers is shorter than this, octets.
const maxMarkOctets = 96;

/** A word that no output contains by accident or by guessing. */
export function markWord(): string {
  return `sluice-${randomBytes(12).toString('hex')}`;
}

/** One mark: `WORD PART LINE STATUS`, LINE being `e` at the end of a part. */
export interface Mark {
  readonly part: number;
  /** `undefined`: the end of the part. */
  readonly line: number | undefined;
  readonly status: number;
}

/** Cuts one stream. */
export class MarkedOutput {
  readonly #word: string;
  readonly #pattern: RegExp;
  readonly #onMark: (mark: Mark, text: string) => void;
  readonly #maxTextOctets: number;
  /** Latin-1, so that one character is one octet. */
  #pending = '';

  constructor(word: string, maxTextOctets: number, onMark: (mark: Mark, text: string) => void) {
    this.#word = word;
    this.#pattern = new RegExp(`(?:\\r?\\n)?${word} (\\d{1,6}) (\\d{1,6}|e) (\\d{1,6})\\r?\\n`, 'u');
    this.#onMark = onMark;
    this.#maxTextOctets = maxTextOctets;
  }

  /** What came after the last mark. */
  get rest(): string {
    return textOf(this.#pending);
  }

  push(chunk: Buffer): void {
    this.#pending += chunk.toString('latin1');
    for (;;) {
      // Looking for the word first keeps the search linear.
      const at = this.#pending.indexOf(this.#word);
      const match = at < 0 ? null : this.#pattern.exec(this.#pending);
      if (match === null) break;
      const text = textOf(this.#pending.slice(0, Math.min(match.index, this.#maxTextOctets)));
      this.#pending = this.#pending.slice(match.index + match[0].length);
      const [, part, line, status] = match;
      this.#onMark({ part: Number(part), line: line === 'e' ? undefined : Number(line), status: Number(status) }, text);
    }
    if (this.#pending.length <= this.#maxTextOctets + 2 * maxMarkOctets) return;
    this.#pending = this.#pending.slice(0, this.#maxTextOctets) + this.#pending.slice(-maxMarkOctets);
  }
}

function textOf(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}
