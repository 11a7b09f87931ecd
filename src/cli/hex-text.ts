/**
 * Octets out of hexadecimal text, as people paste it.
 *
 * Enters: a row of digits, or a dump with offsets (tshark -x, Wireshark, tcpdump -x and -X, xxd, hexdump -C). Leaves: octets.
 * Invariant: every octet of the text is accounted for: text that is only partly hexadecimal is none.
 */

/** Octets of one line of a dump at most; programs write 16, some 32. */
const mostInLine = 32;

/** An offset, then pairs of digits. `0x0010:  4500 …`, `0010  45 00 …`, `00000010: 4500 …`. */
const dumpLine = /^\s*(?:0x)?(?<offset>[0-9a-f]{4,8})(?::\s*|\s{2,})(?<rest>.*)$/iu;

/**
 * Octets of a row of digits, with blanks, line ends, `0x`, `\x`, `:`, `,` and `-` between.
 *
 * @returns undefined for anything else, and for nothing
 */
export function hexRow(text: string): Buffer | undefined {
  const digits = text.replace(/0x|\\x|[\s:,-]/giu, '');
  if (digits === '' || digits.length % 2 !== 0 || !/^[0-9a-f]+$/iu.test(digits)) return undefined;
  return Buffer.from(digits, 'hex');
}

/**
 * Octets of each dump in a text: a new one begins at every offset 0. Other lines (what tcpdump says of a packet) are headings.
 *
 * @returns undefined when there is no dump, or an offset is not where the line before ended
 */
export function hexDumps(text: string): Buffer[] | undefined {
  const lines = text.split('\n').flatMap((line) => {
    const groups = dumpLine.exec(line)?.groups;
    return groups === undefined ? [] : [{ offset: parseInt(groups['offset']!, 16), rest: groups['rest']! }];
  });
  const dumps: Buffer[][] = [];
  let octets = 0;
  for (const [index, { offset, rest }] of lines.entries()) {
    const next = lines[index + 1]?.offset;
    // The next offset says where this line ends, however much its text at the right looks like digits.
    const most = next === undefined || next === 0 ? mostInLine : next - offset;
    const line = leadingOctets(rest, most);
    if (offset === 0) {
      dumps.push([]);
      octets = 0;
    }
    // hexdump ends with the offset of the end alone.
    if (offset !== octets || (line.length === 0 && next !== undefined && next !== 0)) return undefined;
    dumps.at(-1)?.push(line);
    octets += line.length;
  }
  const whole = dumps.map((parts) => Buffer.concat(parts)).filter((dump) => dump.length > 0);
  return whole.length === 0 ? undefined : whole;
}

/** Pairs of digits until the column of characters: two blanks, except for the gap in the middle of a line. */
function leadingOctets(text: string, most: number): Buffer {
  let digits = '';
  let rest = text;
  for (;;) {
    const match = /^(?<pairs>(?:[0-9a-f]{2}){1,16})(?<gap>\s+|$)/iu.exec(rest)?.groups;
    if (match === undefined) break;
    digits += match['pairs']!;
    const gap = match['gap']!;
    rest = rest.slice(match['pairs']!.length + gap.length);
    if (digits.length / 2 >= most || rest === '') break;
    const isMiddle = gap.length === 2 && digits.length === 16;
    if (gap.length > 1 && !isMiddle) break;
  }
  return Buffer.from(digits, 'hex').subarray(0, most);
}
