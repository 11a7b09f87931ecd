/**
 * Command lines for a POSIX shell. Enters: the pieces of a template. Leaves: whether values may stand where it puts them, and the line. Invariant: a
 * value stands between single quotes, in which the shell reads nothing but the closing quote, and in no place where quotes mean something else
 * (XCU §2.2.2): inside quotes, here-documents, expansions, arithmetic and comments a template may not have one.
 */
import { unsayableAnywhere } from './command-piece.js';
import type { DialectRules, LineResult, TemplatePiece, TemplateProblem, ValuePiece } from './command-piece.js';

type Context = 'plain' | 'single' | 'double' | 'backquote' | 'substitution' | 'expansion';

const bareQuotes: TemplateProblem = {
  problem: 'has a variable inside quotes',
  remedy: 'take the quotes away: a value is quoted by itself, and stands beside other text as $a-$b does',
};

// Programs that read an argument as a program once more. The list is a help, not a proof: docs/nas-commands.md says so.
const readAgain = /(?:^|[\s;|&(])(?:eval|trap|alias|source)\s|(?:^|[\s;|&(/])(?:ba|da|k|z)?sh\s(?:.*\s)?-[a-z]*c\s/u;
const commandPosition = /(?:^|[;|&(){}]|(?:^|\s)(?:then|do|else|elif|if|while|until|!|exec|command))\s*$/u;
// What is read within ${…}; quotes there follow rules that differ between shells.
const simpleExpansion = /[A-Za-z0-9_:=?+%#*@./-]/u;
const quoteAfterDollar = /['"]/u;
const blank = /[\s;|&()]/u;

/** Where in a line the scanner is. */
class Scanner {
  readonly #open: Context[] = ['plain'];
  #escaped = false;
  #atWordStart = true;
  #afterDollar = false;
  #read = '';

  /** Reads on through a literal. */
  literal(text: string): TemplateProblem | undefined {
    for (let at = 0; at < text.length; at += 1) {
      const problem = this.#character(text, at);
      if (problem !== undefined) return problem;
      this.#read += text[at];
    }
    return undefined;
  }

  /** Whether a variable may stand here. */
  variable(): TemplateProblem | undefined {
    const context = this.#context();
    if (this.#escaped) {
      return { problem: 'has a backslash before a variable', remedy: 'take the backslash away: values are quoted' };
    }
    if (this.#afterDollar) {
      return { problem: 'has a $ of the shell right before a variable', remedy: 'put them apart' };
    }
    if (context === 'single' || context === 'double') return bareQuotes;
    if (context === 'backquote') {
      return { problem: 'has a variable between backquotes', remedy: 'write $$(…) in place of backquotes' };
    }
    if (context === 'expansion') {
      return { problem: 'has a variable inside an expansion of the shell', remedy: 'let it stand by itself' };
    }
    if (/[<>]\s*$/u.test(this.#read)) {
      return { problem: 'redirects to a variable', remedy: 'redirect to a file whose name is written out' };
    }
    if (commandPosition.test(this.#read)) {
      return { problem: 'has a variable where a command is named', remedy: 'write the command out' };
    }
    if (readAgain.test(this.#read)) {
      return {
        problem: 'gives a variable to something that reads it as a program',
        remedy: 'run the command without eval, trap or sh -c',
      };
    }
    this.#atWordStart = false;
    this.#read += 'v';
    return undefined;
  }

  /** Whether the line ends as a whole one. */
  end(): TemplateProblem | undefined {
    if (this.#escaped) return { problem: 'ends with a backslash', remedy: 'write each command on one line' };
    if (this.#open.length > 1) {
      return { problem: 'ends inside quotes or a substitution', remedy: 'close it on the same line' };
    }
    return undefined;
  }

  #context(): Context {
    return this.#open.at(-1) ?? 'plain';
  }

  #character(text: string, at: number): TemplateProblem | undefined {
    const character = text[at] ?? '';
    const context = this.#context();
    const afterDollar = this.#afterDollar;
    this.#afterDollar = false;
    if (this.#escaped) {
      this.#escaped = false;
      this.#atWordStart = false;
      return undefined;
    }
    if (context === 'single') {
      if (character === "'") this.#open.pop();
      return undefined;
    }
    if (context === 'expansion') {
      if (character === '}') this.#open.pop();
      else if (!simpleExpansion.test(character)) {
        return {
          problem: 'has an expansion of the shell that is not simple',
          remedy: 'write ${name} or ${name:-word}',
        };
      }
      return undefined;
    }
    if (afterDollar && (character === '[' || (context !== 'double' && quoteAfterDollar.test(character)))) {
      return { problem: `has $${character} of a shell that is not POSIX`, remedy: 'write it in the POSIX way' };
    }
    if (character === '\\') {
      this.#escaped = true;
      return undefined;
    }
    if (character === '`') {
      if (context === 'backquote') this.#open.pop();
      else this.#open.push('backquote');
      return undefined;
    }
    if (context === 'backquote') return undefined;
    if (character === '"') {
      if (context === 'double') this.#open.pop();
      else this.#open.push('double');
      this.#atWordStart = false;
      return undefined;
    }
    if (character === '$') {
      // `$$` is a parameter of its own.
      this.#afterDollar = !afterDollar;
      this.#atWordStart = false;
      return undefined;
    }
    if (afterDollar && character === '{') {
      this.#open.push('expansion');
      return undefined;
    }
    if (afterDollar && character === '(') {
      if (text[at + 1] === '(') return { problem: 'has arithmetic of the shell', remedy: 'let the program compute it' };
      this.#open.push('substitution');
      this.#atWordStart = true;
      return undefined;
    }
    if (context === 'double') return undefined;
    return this.#unquoted(text, at, character);
  }

  #unquoted(text: string, at: number, character: string): TemplateProblem | undefined {
    if (character === "'") {
      this.#open.push('single');
      this.#atWordStart = false;
      return undefined;
    }
    if (character === '#' && this.#atWordStart) {
      return { problem: 'has a comment of the shell', remedy: 'write comments as comments of the file' };
    }
    if (character === '<' && text[at + 1] === '<') {
      return { problem: 'has a here-document', remedy: 'pipe from printf in its place' };
    }
    if (character === '(' && text[at + 1] === '(') {
      return { problem: 'has arithmetic of the shell', remedy: 'let the program compute it' };
    }
    if (character === '[' && text[at + 1] === '[' && this.#atWordStart) {
      return { problem: 'has [[, which reads its operands again', remedy: 'write [' };
    }
    if (character === '(') this.#open.push('substitution');
    if (character === ')') {
      if (this.#context() !== 'substitution') return undefined;
      this.#open.pop();
    }
    this.#atWordStart = blank.test(character);
    return undefined;
  }
}

/** A value as one word, or part of one: `'…'`, with a quote in it as `'\''`. It must not have a NUL. */
export function quotePosix(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** The rules of POSIX shells: sh, dash, bash, busybox. */
export const posixRules: DialectRules = {
  check(pieces: readonly TemplatePiece[]): TemplateProblem | undefined {
    const scanner = new Scanner();
    for (const piece of pieces) {
      const problem = typeof piece === 'string' ? scanner.literal(piece) : scanner.variable();
      if (problem !== undefined) return problem;
    }
    return scanner.end();
  },
  write(pieces: readonly ValuePiece[]): LineResult {
    let line = '';
    for (const piece of pieces) {
      if (typeof piece === 'string') {
        line += piece;
        continue;
      }
      const why = unsayableAnywhere(piece.kind, piece.value);
      if (why !== undefined) return { ok: false, variable: piece.name, why };
      line += quotePosix(piece.value);
    }
    return { ok: true, line };
  },
};
