/**
 * Words of `dhcpd.leases`. Enters: one line, one character for each octet. Leaves: words, texts and marks, or what is wrong with the line. Invariant: escapes are
 * undone, so that octets that clients sent are octets, and never marks.
 */

/** `text`: between quotes. `mark`: a brace or a semicolon. */
export interface LeaseToken {
  readonly kind: 'word' | 'text' | 'mark';
  readonly text: string;
}

// What stands alone, a text between quotes, or a word.
const TOKEN = /[\t ]*(?:([{};])|"((?:[^"\\]|\\.)*)"|(#.*)|([^\t {};"#]+))/uy;
const ESCAPE = /\\(?:([0-3][0-7]{2})|(x[0-9a-f]{2})|(.))/giu;
const LETTERS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b' };

/** @returns tokens; or a problem */
export function leaseTokens(line: string): LeaseToken[] | string {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/u.test(line)) return 'has octets that no lease file has: is it damaged?';
  const tokens: LeaseToken[] = [];
  const end = line.trimEnd().length;
  let at = 0;
  while (at < end) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(line);
    if (found === null) return 'opens a quote that is never closed';
    at = TOKEN.lastIndex;
    const [, mark, text, , word] = found;
    if (mark !== undefined) tokens.push({ kind: 'mark', text: mark });
    else if (text !== undefined) tokens.push({ kind: 'text', text: unescaped(text) });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word });
  }
  return tokens;
}

/** What dhcpd escapes, and what its own reader understands besides (`dhcpd.leases(5)`, `dhcp-eval(5)`). */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replaceAll(ESCAPE, (_all, octal: string | undefined, hex: string | undefined, plain: string) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex.slice(1), 16));
    return LETTERS[plain] ?? plain;
  });
}
