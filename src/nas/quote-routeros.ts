/**
 * Command lines for the console of MikroTik RouterOS. Enters: the pieces of a template. Leaves: whether values may stand where it puts them, and the
 * line. Invariant: a word with a text in it becomes one string in double quotes, in which `"`, `\`, `$` and `?` and every octet outside printable
 * ASCII are escaped; words of numbers and addresses alone stay bare, so that a comparison keeps its type.
 */
import { unsayableAnywhere } from './command-piece.js';
import type {
  DialectRules,
  LineResult,
  TemplatePiece,
  TemplateProblem,
  ValueKind,
  ValuePiece,
} from './command-piece.js';

// What may stand beside a variable in one word without meaning anything to the console, bare or in a string.
const besideValue = /^[A-Za-z0-9._:/@+,<>*-]*$/u;
// Ends a word; `=` too, because what comes before it is the name of an argument.
const wordEnd = /[\s;=[\](){}"]/u;

/** A stretch of a line: text as it is, a word with variables, or a string in quotes with variables. */
type Stretch<Piece> =
  | { readonly form: 'text'; readonly text: string }
  | { readonly form: 'word' | 'string'; readonly pieces: readonly Piece[] };

type SplitResult<Piece> =
  { readonly ok: true; readonly stretches: readonly Stretch<Piece>[] } | ({ readonly ok: false } & TemplateProblem);

/** The rules of RouterOS 6.43 and 7. */
export const routerosRules: DialectRules = {
  check(pieces: readonly TemplatePiece[]): TemplateProblem | undefined {
    const split = splitLine(pieces);
    return split.ok ? checkWords(split.stretches) : split;
  },
  write(pieces: readonly ValuePiece[]): LineResult {
    const split = splitLine(pieces);
    // A template comes here only after `check`, which splits in the same way whatever the values are.
    if (!split.ok) return { ok: false, variable: '', why: split.problem };
    let line = '';
    for (const stretch of split.stretches) {
      if (stretch.form === 'text') {
        line += stretch.text;
        continue;
      }
      const written = writeWord(stretch.pieces, stretch.form);
      if (!written.ok) return written;
      line += written.line;
    }
    return { ok: true, line };
  },
};

/** The text inside a RouterOS string for a value: printable ASCII as it is or after a backslash, everything else as `\XX`, one for each octet of UTF-8. */
export function escapeRouteros(value: string): string {
  let escaped = '';
  for (const octet of Buffer.from(value)) {
    const character = String.fromCharCode(octet);
    if (octet < 0x20 || octet > 0x7e) escaped += `\\${octet.toString(16).toUpperCase().padStart(2, '0')}`;
    else if ('"\\$?'.includes(character)) escaped += `\\${character}`;
    else escaped += character;
  }
  return escaped;
}

function writeWord(pieces: readonly ValuePiece[], form: 'word' | 'string'): LineResult {
  let bare = '';
  let quoted = '';
  let hasText = false;
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      bare += piece;
      quoted += piece;
      continue;
    }
    const why = unsayableAnywhere(piece.kind, piece.value);
    if (why !== undefined) return { ok: false, variable: piece.name, why };
    hasText ||= piece.kind === 'text';
    bare += piece.value;
    quoted += escapeRouteros(piece.value);
  }
  if (form === 'string' || hasText) return { ok: true, line: `"${quoted}"` };
  return { ok: true, line: bare };
}

type AnyPiece = string | { readonly name: string; readonly kind: ValueKind };

/** Splits a line into text, words with variables and strings with variables; the quotes around a string with variables are not in its pieces. */
function splitLine<Piece extends AnyPiece>(pieces: readonly Piece[]): SplitResult<Piece> {
  const stretches: Stretch<Piece>[] = [];
  const nested: string[] = [];
  let text = '';
  let current: Piece[] = [];
  let inString = false;
  const hasVariable = (): boolean => current.some((piece) => typeof piece !== 'string');
  const close = (form: 'word' | 'string'): void => {
    if (hasVariable()) {
      if (text !== '') stretches.push({ form: 'text', text });
      text = '';
      stretches.push({ form, pieces: current });
    } else {
      const plain = current.join('');
      text += form === 'string' ? `"${plain}"` : plain;
    }
    current = [];
  };
  const append = (character: string): void => {
    const last = current.at(-1);
    // A literal is part of `Piece` in both of its uses.
    if (typeof last === 'string') current[current.length - 1] = (last + character) as Piece;
    else current.push(character as Piece);
  };
  for (const piece of pieces) {
    if (typeof piece !== 'string') {
      current.push(piece);
      continue;
    }
    for (let at = 0; at < piece.length; at += 1) {
      const character = piece[at] ?? '';
      if (inString) {
        if (character === '"') {
          close('string');
          inString = false;
          continue;
        }
        append(character);
        if (character !== '\\') continue;
        const escaped = piece[at + 1];
        if (escaped === undefined)
          return {
            ok: false,
            problem: 'has a backslash before a variable',
            remedy: 'take the backslash away: values are escaped',
          };
        append(escaped);
        at += 1;
        continue;
      }
      if (character === '\\')
        return { ok: false, problem: 'has a backslash outside a string', remedy: 'write the text as a string: "…"' };
      if (character === '#' && current.length === 0 && (text + (stretches.length > 0 ? 'v' : '')).trim() === '') {
        return { ok: false, problem: 'is a comment of the console', remedy: 'write comments as comments of the file' };
      }
      if (!wordEnd.test(character)) {
        append(character);
        continue;
      }
      if (character === '"') {
        if (current.length > 0 && hasVariable())
          return { ok: false, problem: 'has a string right beside a variable', remedy: 'write it all in one string' };
        close('word');
        inString = true;
        continue;
      }
      close('word');
      if (!nest(nested, character))
        return { ok: false, problem: 'has brackets that do not match', remedy: 'close them in their order' };
      text += character;
    }
  }
  if (inString || nested.length > 0)
    return { ok: false, problem: 'ends inside a string or brackets', remedy: 'close it on the same line' };
  close('word');
  if (text !== '') stretches.push({ form: 'text', text });
  return { ok: true, stretches };
}

const closing: Readonly<Record<string, string>> = { '[': ']', '(': ')', '{': '}' };

function nest(nested: string[], character: string): boolean {
  const end = closing[character];
  if (end !== undefined) nested.push(end);
  else if (character === ']' || character === ')' || character === '}') return nested.pop() === character;
  return true;
}

function checkWords(stretches: readonly Stretch<TemplatePiece>[]): TemplateProblem | undefined {
  let before = '';
  for (const stretch of stretches) {
    if (stretch.form === 'text') {
      before += stretch.text;
      continue;
    }
    if (/(?:^|[;[{])\s*$/u.test(before)) {
      return { problem: 'has a variable where a command is named', remedy: 'write the command out' };
    }
    if (/"$/u.test(before)) {
      return { problem: 'has a string right beside a variable', remedy: 'write it all in one string' };
    }
    for (const piece of stretch.pieces) {
      if (typeof piece !== 'string') continue;
      if (stretch.form === 'word' && !besideValue.test(piece)) {
        return {
          problem: 'has a character beside a variable that means something to the console',
          remedy: 'write the word as a string: "…"',
        };
      }
      if (stretch.form === 'string' && /(?<!\\)\$/u.test(piece)) {
        return {
          problem: 'has a $ of the console in a string with a variable',
          remedy: 'put them into strings of their own',
        };
      }
    }
    before += 'v';
  }
  return undefined;
}
