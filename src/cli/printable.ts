/**
 * Values made safe for a terminal.
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
