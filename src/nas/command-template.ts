/**
 * Command lines with variables. Enters: a template of a profile and a dialect. Leaves: the line for one subscriber. Invariant: a value arrives as
 * that value and nothing else, or the line is not made at all.
 *
 * `$name` and `${name}` are variables, `$$` is a dollar sign, `${name-text}` is the text when there is no value, and a line that begins with `${?name}` or
 * `${!name}` is left out unless there is, or is not, a value.
 */
import { nearestKey } from '../config/nearest-key.js';
import type { DialectRules, TemplatePiece, TemplateProblem, ValuePiece } from './command-piece.js';
import { valueText } from './command-variable.js';
import type { CommandContext, CommandVariable } from './command-variable.js';
import { commandVariables } from './command-variables.js';
import { iosRules } from './quote-ios.js';
import { posixRules } from './quote-posix.js';
import { routerosRules } from './quote-routeros.js';

/** How a NAS reads a command line. */
export type Dialect = 'posix' | 'routeros' | 'ios';

/** A literal, or a variable with what stands in when it has no value. */
type TemplatePart =
  string | { readonly name: string; readonly variable: CommandVariable; readonly otherwise: string | undefined };

/** A template fit for use. */
export interface CommandTemplate {
  readonly source: string;
  readonly dialect: Dialect;
  readonly parts: readonly TemplatePart[];
  /** The line is left out unless this variable has a value (`present`), or has none. */
  readonly condition: { readonly variable: CommandVariable; readonly present: boolean } | undefined;
  /** It says nothing of a subscriber, so it can stand before and after a batch. */
  readonly isGeneral: boolean;
}

export type CommandTemplateResult =
  { readonly ok: true; readonly template: CommandTemplate } | ({ readonly ok: false } & TemplateProblem);

export type CommandLine =
  | { readonly outcome: 'line'; readonly line: string }
  /** Its condition does not hold. */
  | { readonly outcome: 'left-out' }
  /** A variable has no value, or one that the dialect cannot carry. The text never has the value itself. */
  | { readonly outcome: 'unsayable'; readonly text: string };

const rules: Readonly<Record<Dialect, DialectRules>> = { posix: posixRules, routeros: routerosRules, ios: iosRules };

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\p{Surrogate}]/u;
// What `${name-text}` may have: the allow-list of the strictest dialect.
const otherwiseText = /^[A-Za-z0-9._:@/-]+$/u;
// `$ceil_outk`: systems that templates come from write the unit right behind a rate.
const unitSuffix = /^[kKmMgG]$/u;
const token = /\$(?:\$|\{(?<braced>[^}]*)\}|(?<bare>[A-Za-z_][A-Za-z0-9_]*))|\$|[^$]+/gu;
const braced = /^(?<condition>[?!])?(?<name>[A-Za-z_][A-Za-z0-9_]*)(?:-(?<otherwise>.*))?$/u;

/**
 * Compiles one line of a profile.
 *
 * @param source as written in the profile
 * @returns the template, or what is wrong with it and how to mend it
 */
export function compileCommandTemplate(source: string, dialect: Dialect): CommandTemplateResult {
  if (controlCharacter.test(source)) return wrong('has a control character', 'write one command a line');
  if (source.trim() === '') return wrong('is empty', 'take it away');
  const parts: TemplatePart[] = [];
  let condition: CommandTemplate['condition'];
  let literal = '';
  const flush = (): void => {
    if (literal !== '') parts.push(literal);
    literal = '';
  };
  for (const match of source.matchAll(token)) {
    const inBraces = match.groups?.['braced'];
    const bare = match.groups?.['bare'];
    if (match[0] === '$$') literal += '$';
    else if (match[0] === '$') return wrong('has a $ that begins no variable', 'write $$ for a dollar sign');
    else if (inBraces === undefined && bare === undefined) literal += match[0];
    else {
      const named = readName(inBraces, bare ?? '');
      if ('problem' in named) return { ok: false, ...named };
      if (named.condition !== undefined) {
        if (match.index !== 0) return wrong('has a condition that is not at its beginning', 'put it first');
        condition = { variable: named.variable, present: named.condition === '?' };
        continue;
      }
      flush();
      parts.push({ name: named.name, variable: named.variable, otherwise: named.otherwise });
      literal = named.rest;
    }
  }
  flush();
  if (parts.length === 0) return wrong('is a condition alone', 'write the command behind it');
  if (condition !== undefined && typeof parts[0] === 'string') parts[0] = parts[0].trimStart();
  const pieces = parts.map((part): TemplatePiece =>
    typeof part === 'string' ? part : { name: part.name, kind: part.variable.kind },
  );
  const problem = rules[dialect].check(pieces);
  if (problem !== undefined) return { ok: false, ...problem };
  const used = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.variable]));
  if (condition !== undefined) used.push(condition.variable);
  const isGeneral = used.every((variable) => variable.isGeneral);
  return { ok: true, template: { source, dialect, parts, condition, isGeneral } };
}

/**
 * Puts the values of one enforcement into a template.
 *
 * @returns the line, without its end; or that it is left out; or why it cannot be said
 */
export function renderCommandLine(template: CommandTemplate, context: CommandContext): CommandLine {
  const { condition } = template;
  if (condition !== undefined && (valueText(condition.variable, context) !== undefined) !== condition.present) {
    return { outcome: 'left-out' };
  }
  const pieces: ValuePiece[] = [];
  for (const part of template.parts) {
    if (typeof part === 'string') {
      pieces.push(part);
      continue;
    }
    const value = valueText(part.variable, context);
    if (value === undefined && part.otherwise === undefined) {
      return { outcome: 'unsayable', text: `$${part.name} has no value` };
    }
    // The text that stands in was checked against the strictest allow-list; it need not have the grammar of the variable.
    if (value === undefined) pieces.push(part.otherwise ?? '');
    else pieces.push({ name: part.name, kind: part.variable.kind, value });
  }
  const written = rules[template.dialect].write(pieces);
  if (written.ok) return { outcome: 'line', line: written.line };
  return { outcome: 'unsayable', text: `the value of $${written.variable} ${written.why}` };
}

/** What the text between `${` and `}`, or after a bare `$`, names. */
interface NamedVariable {
  readonly name: string;
  readonly variable: CommandVariable;
  readonly condition: string | undefined;
  readonly otherwise: string | undefined;
  /** Literal text behind the name. */
  readonly rest: string;
}

function readName(inBraces: string | undefined, bare: string): NamedVariable | TemplateProblem {
  if (inBraces === undefined) {
    // The longest name counts, so that $login_name never becomes $login and "_name".
    const whole = commandVariables.get(bare);
    const isWhole = whole !== undefined || !unitSuffix.test(bare.slice(-1)) || !commandVariables.has(bare.slice(0, -1));
    return isWhole
      ? checked(bare, undefined, undefined, '')
      : checked(bare.slice(0, -1), undefined, undefined, bare.slice(-1));
  }
  const match = braced.exec(inBraces);
  if (match === null)
    return { problem: 'has ${…} that is no variable', remedy: 'write ${name}; $${…} for one of the NAS' };
  const { condition, name = '', otherwise } = match.groups ?? {};
  if (otherwise !== undefined && (condition !== undefined || !otherwiseText.test(otherwise))) {
    return {
      problem: 'has ${name-text} with a text that may not stand there',
      remedy: 'use letters, digits and . _ : @ / -',
    };
  }
  return checked(name, condition, otherwise, '');
}

function checked(
  name: string,
  condition: string | undefined,
  otherwise: string | undefined,
  rest: string,
): NamedVariable | TemplateProblem {
  const variable = commandVariables.get(name);
  if (variable !== undefined && variable.withheld === undefined) return { name, variable, condition, otherwise, rest };
  const shown = `$${name.slice(0, 64)}`;
  if (variable?.withheld !== undefined) {
    return { problem: `uses ${shown}, which is not given out`, remedy: variable.withheld };
  }
  const near = nearestKey(name, knownNames());
  return {
    problem: `uses ${shown}, which is not known`,
    remedy: near === undefined ? 'docs/nas-commands.md lists all variables' : `write $${near}`,
  };
}

function knownNames(): readonly string[] {
  return [...commandVariables].flatMap(([name, variable]) => (variable.withheld === undefined ? [name] : []));
}

function wrong(problem: string, remedy: string): CommandTemplateResult {
  return { ok: false, problem, remedy };
}
