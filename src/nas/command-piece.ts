/**
 * What a command line is made of, before and after values are known. Enters: nothing. Leaves: the types that the parser of templates and the
 * dialects share. Invariant: a literal was written by the operator in a profile; a value may have been chosen by anybody.
 */

/**
 * What a value may look like. Everything but `text` has a grammar of its own without a character that any dialect reads as more than itself.
 * `flag`: 0 or 1; `word`: one of few words that this program itself chose.
 */
export type ValueKind = 'number' | 'flag' | 'word' | 'address' | 'prefix' | 'mac' | 'text';

/** A literal, or a place for a value. */
export type TemplatePiece = string | { readonly name: string; readonly kind: ValueKind };

/** A literal, or a value for its place. */
export type ValuePiece = string | { readonly name: string; readonly kind: ValueKind; readonly value: string };

/** What is wrong with a template, for `check-config`. */
export interface TemplateProblem {
  readonly problem: string;
  readonly remedy: string;
}

/** A finished line, or the variable whose value cannot be said in this dialect. */
export type LineResult =
  | { readonly ok: true; readonly line: string }
  | { readonly ok: false; readonly variable: string; readonly why: string };

/** How one kind of console reads a line. */
export interface DialectRules {
  /** Whether values can be put into these places so that they arrive as values. */
  check(pieces: readonly TemplatePiece[]): TemplateProblem | undefined;
  /** Writes a line out of a template that `check` let pass. */
  write(pieces: readonly ValuePiece[]): LineResult;
}

/** No login, name or port is longer; what is longer was made to break something. UTF-8 octets. */
export const maxValueOctets = 4_096;

const grammar: Readonly<Record<Exclude<ValueKind, 'text'>, RegExp>> = {
  number: /^[0-9]{1,20}$/u,
  flag: /^[01]$/u,
  word: /^[a-z0-9][a-z0-9_.-]{0,62}$/u,
  address: /^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f:]{2,39})$/u,
  prefix: /^[0-9a-f.:]{2,43}\/[0-9]{1,3}$/u,
  mac: /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/u,
};

/**
 * Why a value can be said in no dialect.
 *
 * @returns the reason, or `undefined` when its dialect may decide
 */
export function unsayableAnywhere(kind: ValueKind, value: string): string | undefined {
  if (Buffer.byteLength(value) > maxValueOctets) return `is longer than ${maxValueOctets} octets`;
  if (/\p{Surrogate}/u.test(value)) return 'is no well-formed text';
  if (value.includes('\0')) return 'has a NUL';
  if (kind !== 'text' && !grammar[kind].test(value)) return `is no ${kind}`;
  return undefined;
}
