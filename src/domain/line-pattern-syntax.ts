/**
 * How a pattern of an access-line rule is written. Enters: the text of a pattern and the form that it is for. Leaves: a tree, or what is wrong
 * and what to write instead. Invariants: what is accepted means the same as in a regular expression of JavaScript that is matched against the
 * whole value; nothing is accepted that needs more than one way through a value to be remembered (no backward reference, no look-around).
 */

/** What a pattern runs over: the octets as two lower-case digits each, or one character for each octet. */
export type PatternForm = 'hex' | 'text';

/** A part of a pattern. */
export type PatternNode =
  /** One character; `accepts` has a 1 for each of the 256 that may stand there. */
  | { readonly kind: 'character'; readonly accepts: Uint8Array }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly parts: readonly PatternNode[] }
  | {
      readonly kind: 'repeat';
      readonly part: PatternNode;
      readonly min: number;
      readonly max: number;
      readonly lazy: boolean;
    }
  | { readonly kind: 'field'; readonly name: string; readonly part: PatternNode };

/** What is wrong with a pattern, to be read after its key, and what to do. */
export class PatternFault extends Error {
  override readonly name = 'PatternFault';
  constructor(
    readonly problem: string,
    readonly remedy: string,
  ) {
    super(problem);
  }
}

/** The longest pattern, characters: several times the longest that a known format needs. */
export const maxPatternLength = 512;

/** How deep brackets may stand in brackets: each level is one call of the parser and of the compiler. */
const maxDepth = 16;

/** The largest count in `{…}`: a value has at most this many octets. */
const maxRepeat = 255;

const fieldName = /^[a-z][a-z0-9_]{0,31}$/u;
const hexDigits = '0123456789abcdefABCDEF';

/**
 * Parses a pattern.
 *
 * @param pattern as written
 * @param form in `hex` blanks are for people, digits may be of either case, and what is no digit is refused, since it could never match
 * @throws PatternFault
 */
export function parsePattern(pattern: string, form: PatternForm): PatternNode {
  if (pattern.length > maxPatternLength)
    throw new PatternFault(
      `is longer than ${String(maxPatternLength)} characters`,
      'make two rules of it, or match less exactly',
    );
  // The whole value is matched in any case, so the marks of its beginning and end, which people write by habit, say nothing.
  const body = pattern.replace(/^\^/u, '').replace(/(?<=(?:^|[^\\])(?:\\\\)*)\$$/u, '');
  if (body === '') throw new PatternFault('is empty', 'write what the value looks like');
  return new PatternParser(body, form).parse();
}

class PatternParser {
  readonly #characters: readonly string[];
  readonly #form: PatternForm;
  #at = 0;
  #depth = 0;
  readonly #fields = new Set<string>();

  constructor(pattern: string, form: PatternForm) {
    this.#characters = Array.from(pattern);
    this.#form = form;
  }

  parse(): PatternNode {
    const node = this.#choice();
    if (this.#at < this.#characters.length)
      throw new PatternFault('has a ")" too many', 'remove it, or write \\) for the character');
    return node;
  }

  #peek(ahead = 0): string | undefined {
    return this.#characters[this.#at + ahead];
  }

  #take(text: string): boolean {
    if (this.#characters.slice(this.#at, this.#at + text.length).join('') !== text) return false;
    this.#at += text.length;
    return true;
  }

  #choice(): PatternNode {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      if (this.#form === 'hex' && next === ' ') {
        this.#at++;
        continue;
      }
      parts.push(this.#repeated(this.#atom(next)));
    }
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
  }

  #atom(next: string): PatternNode {
    switch (next) {
      case '(':
        return this.#group();
      case '[':
        return this.#class();
      case '.':
        this.#at++;
        return { kind: 'character', accepts: new Uint8Array(256).fill(1) };
      case '\\':
        return this.#useful(this.#escape());
      case '*':
      case '+':
      case '?':
        throw new PatternFault(`has a "${next}" with nothing before it`, `write \\${next} for the character`);
      case '{':
      case '}':
      case ']':
        throw new PatternFault(`has a "${next}" that belongs to nothing`, `write \\${next} for the character`);
      case '^':
      case '$':
        throw new PatternFault(
          `has a "${next}" inside`,
          `remove it, since the whole value is matched, or write \\${next} for the character`,
        );
      default:
        this.#at++;
        return this.#literal(next);
    }
  }

  /** What is beyond ASCII is the octets that UTF-8 writes it with. */
  #literal(character: string): PatternNode {
    const octets = [...Buffer.from(character, 'utf8')];
    const parts = octets.map((octet) => this.#useful(setOf([octet])));
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
  }

  /** A character of the form; in hexadecimal, digits match in either case. */
  #useful(accepts: Uint8Array): PatternNode {
    if (this.#form === 'hex') {
      for (const digit of 'ABCDEF') if (accepts[digit.charCodeAt(0)] === 1) accepts[digit.charCodeAt(0) + 32] = 1;
      if (!Array.from(hexDigits).some((digit) => accepts[digit.charCodeAt(0)] === 1))
        throw new PatternFault(
          'has a character that is no hexadecimal digit, so that it never matches',
          'write two digits for each octet, or use text in place of hex',
        );
    }
    return { kind: 'character', accepts };
  }

  #group(): PatternNode {
    this.#at++;
    let name: string | undefined;
    if (this.#peek() === '?' && !this.#take('?:')) {
      const isField = this.#peek(1) === '<' && this.#peek(2) !== '=' && this.#peek(2) !== '!';
      if (!isField)
        throw new PatternFault(
          'has a group that looks around',
          'write (?:…) for a group, (?<name>…) for a field, and what stands there in its place',
        );
      this.#at += 2;
      name = this.#fieldName();
    }
    if (++this.#depth > maxDepth)
      throw new PatternFault(`has brackets more than ${String(maxDepth)} deep`, 'write it with fewer');
    const part = this.#choice();
    this.#depth--;
    if (!this.#take(')')) throw new PatternFault('has a "(" that is not closed', 'close it, or write \\(');
    return name === undefined ? part : { kind: 'field', name, part };
  }

  #fieldName(): string {
    const end = this.#characters.indexOf('>', this.#at);
    const name = end < 0 ? '' : this.#characters.slice(this.#at, end).join('');
    if (!fieldName.test(name))
      throw new PatternFault('has a field without a name', 'write (?<port>…), a name in lower-case letters');
    if (this.#fields.has(name))
      throw new PatternFault(`names the field ${name} twice`, 'name it once; make two patterns of it, or two rules');
    this.#fields.add(name);
    this.#at = end + 1;
    return name;
  }

  #repeated(part: PatternNode): PatternNode {
    const count = this.#count();
    if (count === undefined) return part;
    const lazy = this.#take('?');
    const next = this.#peek();
    if (next === '*' || next === '+' || next === '?' || next === '{')
      throw new PatternFault('repeats what is repeated already', 'write one repetition, or (?:…) around the inner one');
    if (count.max > 1 && hasField(part))
      throw new PatternFault('repeats a field, which could then have several values', 'repeat inside the field');
    // With nothing to match in a repetition, there would be two opinions of how often it was repeated.
    if (mayBeEmpty(part)) throw new PatternFault('repeats what may be nothing', 'let what is repeated match something');
    return { kind: 'repeat', part, ...count, lazy };
  }

  #count(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Infinity };
    if (this.#take('+')) return { min: 1, max: Infinity };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (this.#peek() !== '{') return undefined;
    const end = this.#characters.indexOf('}', this.#at);
    const inside = end < 0 ? '' : this.#characters.slice(this.#at + 1, end).join('');
    const [, from, comma, to] = /^(\d{1,3})(,(\d{1,3})?)?$/u.exec(inside) ?? [];
    if (from === undefined) throw new PatternFault('has a "{" that is no count', 'write {4} or {1,3}, or \\{');
    const min = Number(from);
    const max = comma === undefined ? min : to === undefined ? Infinity : Number(to);
    if (max < min || min > maxRepeat || (max !== Infinity && max > maxRepeat) || max === 0)
      throw new PatternFault(
        `has the count {${inside}}`,
        `count from 0 to ${String(maxRepeat)}, the smaller number first`,
      );
    this.#at = end + 1;
    return { min, max };
  }

  #class(): PatternNode {
    this.#at++;
    const negated = this.#take('^');
    const accepts = new Uint8Array(256);
    if (this.#peek() === ']')
      throw new PatternFault('has brackets [] with nothing in them', 'write what may stand there');
    while (!this.#take(']')) {
      const first = this.#classPart();
      if (this.#peek() === '-' && this.#peek(1) !== ']' && this.#peek(1) !== undefined) {
        this.#at++;
        const last = this.#classPart();
        const [from, to] = [only(first), only(last)];
        if (from === undefined || to === undefined || from > to)
          throw new PatternFault('has a range that is none', 'write it from the lower to the higher, such as [0-9]');
        for (let one = from; one <= to; one++) accepts[one] = 1;
      } else for (const [one, accepted] of first.entries()) if (accepted === 1) accepts[one] = 1;
    }
    if (!negated) return this.#useful(accepts);
    if (this.#form === 'hex') for (const digit of 'ABCDEF') copy(accepts, digit.charCodeAt(0), 32);
    return this.#useful(accepts.map((accepted) => 1 - accepted));
  }

  #classPart(): Uint8Array {
    const next = this.#peek();
    if (next === undefined) throw new PatternFault('has a "[" that is not closed', 'close it, or write \\[');
    if (next === '\\') return this.#escape();
    if (next === '[') throw new PatternFault('has a "[" inside brackets', 'write \\[ for the character');
    this.#at++;
    const code = next.codePointAt(0) ?? 0;
    if (code > 0x7f)
      throw new PatternFault(
        'has a character in brackets that is several octets',
        'write (?:a|b) in place of [ab], or octets as \\xHH',
      );
    return setOf([code]);
  }

  #escape(): Uint8Array {
    this.#at++;
    const next = this.#peek();
    if (next === undefined) throw new PatternFault('ends in a single \\', 'write \\\\ for the character');
    this.#at++;
    const named = characterClasses[next.toLowerCase()];
    if (named !== undefined) return next === next.toLowerCase() ? setOf(named) : setOf(named).map((one) => 1 - one);
    const control = controls[next];
    if (control !== undefined) return setOf([control]);
    if (next === 'x') {
      const digits = this.#characters.slice(this.#at, this.#at + 2).join('');
      if (!/^[0-9a-f]{2}$/iu.test(digits))
        throw new PatternFault('has a \\x without two digits', 'write \\x and two hexadecimal digits, such as \\x01');
      if (this.#form === 'hex') throw new PatternFault('has \\x in hexadecimal', `write ${digits} alone`);
      this.#at += 2;
      return setOf([parseInt(digits, 16)]);
    }
    if (/^[!-/:-@[-`{-~ ]$/u.test(next)) return setOf([next.charCodeAt(0)]);
    throw new PatternFault(
      `has \\${next}, which there is not`,
      'use \\d \\w \\s \\D \\W \\S \\t \\n \\r \\0 \\xHH, or \\ before a character that is no letter or digit',
    );
  }
}

const range = (from: string, to: string): number[] =>
  Array.from({ length: to.charCodeAt(0) - from.charCodeAt(0) + 1 }, (_, index) => from.charCodeAt(0) + index);

const characterClasses: Readonly<Record<string, readonly number[]>> = {
  d: range('0', '9'),
  w: [...range('0', '9'), ...range('A', 'Z'), ...range('a', 'z'), '_'.charCodeAt(0)],
  s: [9, 10, 11, 12, 13, 32],
};

const controls: Readonly<Record<string, number>> = { 0: 0, t: 9, n: 10, r: 13 };

function setOf(octets: readonly number[]): Uint8Array {
  const accepts = new Uint8Array(256);
  for (const octet of octets) accepts[octet] = 1;
  return accepts;
}

/** The one character that a set has; undefined for several. */
function only(accepts: Uint8Array): number | undefined {
  const first = accepts.indexOf(1);
  return accepts.lastIndexOf(1) === first ? first : undefined;
}

/** What is said of one case of a digit is said of the other. */
function copy(accepts: Uint8Array, upper: number, distance: number): void {
  const either = accepts[upper] === 1 || accepts[upper + distance] === 1 ? 1 : 0;
  accepts[upper] = either;
  accepts[upper + distance] = either;
}

function hasField(node: PatternNode): boolean {
  switch (node.kind) {
    case 'character':
      return false;
    case 'field':
      return true;
    case 'repeat':
      return hasField(node.part);
    default:
      return node.parts.some(hasField);
  }
}

function mayBeEmpty(node: PatternNode): boolean {
  switch (node.kind) {
    case 'character':
      return false;
    case 'repeat':
      return node.min === 0 || mayBeEmpty(node.part);
    case 'field':
      return mayBeEmpty(node.part);
    case 'sequence':
      return node.parts.every(mayBeEmpty);
    case 'choice':
      return node.parts.some(mayBeEmpty);
  }
}
