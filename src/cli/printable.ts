/**
 * Values made safe for a terminal, and the widths they take there.
 *
 * Enters: any text, written by whoever. Leaves: text without anything that a terminal obeys or that reorders a line.
 * Invariant: no octet below 0x20, no DEL, no C1 control and no invisible or bidirectional mark reaches the screen.
 */

// C0, DEL, C1; soft hyphen; Arabic letter mark; zero-width characters and direction marks; line and paragraph separators;
// embeddings, overrides and isolates; invisible operators; the byte order mark; interlinear anchors; tag characters. Lone
// surrogates cannot be encoded.
const unsafe =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text with every unsafe character written as `\n`, `\t`, `\x1b` or `\u{202e}`. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => {
    const short = shortEscapes[character];
    if (short !== undefined) return short;
    const code = character.codePointAt(0) ?? 0;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** JSON text with the same characters as `\uXXXX`, which changes nothing for a parser (RFC 8259 §7). */
export function printableJson(json: string): string {
  return json.replace(unsafe, (character) =>
    character === '\n'
      ? character
      : [...Array(character.length).keys()]
          .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
          .join(''),
  );
}

// East Asian Wide and Fullwidth blocks and the emoji planes (Unicode TR11), coarsely: too wide is harmless, too narrow
// breaks the table.
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** How many terminal columns a printable text takes. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += /\p{M}/u.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}
