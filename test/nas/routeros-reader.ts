// Reads a line as the console of RouterOS does, after "Scripting" of the MikroTik documentation, and refuses what that does not clearly allow.
// Enters: octets. Leaves: commands as trees of words. Invariant: written without a look at the writer; it never repairs anything.

/** A word: text as the console would take it, whether it was a string, or nested commands. */
export type Word = { readonly text: string; readonly isString: boolean } | { readonly nested: readonly Command[] };

/** Words of one command; `=` stands by itself. */
export type Command = readonly Word[];

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  n: '\n',
  r: '\r',
  t: '\t',
  $: '$',
  '?': '?',
  _: ' ',
  a: '\u0007',
  b: '\b',
  f: '\f',
  v: '\v',
};

/** @throws Error for whatever is not plainly a command line without substitutions */
export function readRouteros(line: Buffer): readonly Command[] {
  let at = 0;
  const peek = (): string => String.fromCharCode(line[at] ?? 0);
  const string = (): string => {
    const octets: number[] = [];
    for (at += 1; ; at += 1) {
      if (at >= line.length) throw new Error('a string without its end');
      const octet = line[at] ?? 0;
      const character = String.fromCharCode(octet);
      if (character === '"') break;
      if (octet < 0x20 || octet > 0x7e) throw new Error(`octet ${octet} in a string`);
      if (character === '$' || character === '?') throw new Error(`${character} acts in a string`);
      if (character !== '\\') {
        octets.push(octet);
        continue;
      }
      at += 1;
      const next = String.fromCharCode(line[at] ?? 0);
      // Hexadecimal digits are upper case only; \b, \a and \f are letters of lower case.
      const hex = /^[0-9A-F]{2}/u.exec(line.subarray(at, at + 2).toString('latin1'));
      if (hex !== null) {
        octets.push(Number.parseInt(hex[0], 16));
        at += 1;
      } else if (escapes[next] !== undefined) octets.push(...Buffer.from(escapes[next]));
      else throw new Error(`unknown escape \\${next}`);
    }
    at += 1;
    return Buffer.from(octets).toString('utf8');
  };
  const commands = (end: string | undefined): Command[] => {
    const all: Command[] = [];
    let words: Word[] = [];
    for (;;) {
      if (at >= line.length) {
        if (end !== undefined) throw new Error(`no ${end}`);
        break;
      }
      const character = peek();
      if (character === end) {
        at += 1;
        break;
      }
      if (character === ' ') at += 1;
      else if (character === ';') {
        at += 1;
        all.push(words);
        words = [];
      } else if (character === '"') {
        words.push({ text: string(), isString: true });
        if (at < line.length && !/[ ;\])}=]/u.test(peek())) throw new Error('something right behind a string');
      } else if (character === '[' || character === '{') {
        at += 1;
        words.push({ nested: commands(character === '[' ? ']' : '}') });
      } else if (character === '=' || character === '~') {
        at += 1;
        words.push({ text: character, isString: false });
      } else if (/[A-Za-z0-9./:@+,<>*_-]/u.test(character)) {
        const from = at;
        while (at < line.length && /[A-Za-z0-9./:@+,<>*_-]/u.test(peek())) at += 1;
        words.push({ text: line.subarray(from, at).toString('latin1'), isString: false });
      } else throw new Error(`${JSON.stringify(character)} outside a string`);
    }
    all.push(words);
    return all;
  };
  return commands(undefined);
}
