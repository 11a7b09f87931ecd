/** A lease file as a text. Enters: a reader and what it reads. Leaves: everything that it tells. */
import type { LeaseFileItem, LeaseFileReader } from '../../src/dhcp/lease-file.js';
import { fileLines, LONGEST_LINE } from '../../src/dhcp/lease-file-lines.js';

export function readThrough(reader: LeaseFileReader, text: string): LeaseFileItem[] {
  const lines = text.replace(/\n$/u, '').split('\n');
  return [...lines.flatMap((one, i) => reader.add(one.replace(/\r$/u, ''), i + 1)), ...reader.end()];
}

/** Lines of pieces, as `fileLines` finds them. */
export async function linesOf(pieces: readonly Buffer[]): Promise<(string | null)[]> {
  const found: (string | null)[] = [];
  async function* given(): AsyncGenerator<Buffer> {
    for (const piece of pieces) yield await Promise.resolve(piece);
  }
  for await (const some of fileLines(given())) for (const { text } of some) found.push(text);
  return found;
}

export const tooLong = 'x'.repeat(LONGEST_LINE + 1);
