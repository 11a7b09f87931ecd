/**
 * Lines of a file. Enters: octets in pieces. Leaves: lines, one character for each octet, some at a time. Invariant: no line takes more memory than the longest
 * one that is allowed, however long it is.
 */

/** `uid` and user contexts of a lease take hundreds, octets. */
export const LONGEST_LINE = 65_536;

/** text null: the line is longer than `LONGEST_LINE`. */
export interface FileLine {
  readonly line: number;
  readonly text: string | null;
}

/** @throws the stream's error */
export async function* fileLines(pieces: AsyncIterable<Buffer | string>): AsyncGenerator<readonly FileLine[]> {
  let line = 1;
  let open = '';
  let isTooLong = false;
  const take = (text: string): void => {
    isTooLong ||= open.length + text.length > LONGEST_LINE;
    open = isTooLong ? '' : open + text;
  };
  const close = (): FileLine => {
    const closed = { line, text: isTooLong ? null : open.replace(/\r$/u, '') };
    line += 1;
    open = '';
    isTooLong = false;
    return closed;
  };
  for await (const piece of pieces) {
    const text = typeof piece === 'string' ? piece : piece.toString('latin1');
    const found: FileLine[] = [];
    let from = 0;
    for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
      take(text.slice(from, to));
      found.push(close());
      from = to + 1;
    }
    take(text.slice(from));
    if (found.length > 0) yield found;
  }
  if (open !== '' || isTooLong) yield [close()];
}
