/**
 * Templates of attribute values: `${rate_up_kbps}k/${rate_down_kbps}k`.
 *
 * Enters: the text of a template; later the values of one request.
 * Leaves: its parsed form; later the value to encode, or that it has none, or that a value must not be put there.
 * Invariant: a text that others chose (a login) never changes the structure of the value around it: beside other text only
 * an allow-list of characters passes, and alone only what has no control characters.
 */
import { nearestKey } from '../config/nearest-key.js';
import { attributeVariables } from './attribute-variables.js';
import type { AttributeContext, AttributeVariable } from './attribute-variables.js';

/** A literal text or a variable. */
export type TemplatePart = string | { readonly name: string; readonly variable: AttributeVariable };

/** A parsed template. */
export interface AttributeTemplate {
  readonly parts: readonly TemplatePart[];
  /** The most that it depends on. */
  readonly dependsOn: 'nothing' | 'rate' | 'context';
  /** It is one variable and nothing else, and that is a whole number: it can be encoded as a number. */
  readonly isNumber: boolean;
}

export type TemplateResult =
  | { readonly ok: true; readonly template: AttributeTemplate }
  | { readonly ok: false; readonly problem: string; readonly remedy: string };

export type Rendered =
  | { readonly outcome: 'value'; readonly value: string }
  /** A variable has no value for this request. */
  | { readonly outcome: 'nothing'; readonly variable: string }
  /** A variable has a value that must not be put there. */
  | { readonly outcome: 'unsafe'; readonly variable: string };

// Neither separators of Cisco's or MikroTik's value formats, nor blanks, quotes or anything that a command line reads.
const safeBesideText = /^[A-Za-z0-9._:@/+-]*$/u;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\p{Surrogate}]/u;

/**
 * Parses `$name` and `${name}`; `$$` is a dollar sign.
 *
 * @returns the template, or what is wrong with it
 */
export function parseTemplate(source: string): TemplateResult {
  const parts: TemplatePart[] = [];
  let literal = '';
  const flush = (): void => {
    if (literal !== '') parts.push(literal);
    literal = '';
  };
  const token = /\$(?:\$|\{(?<braced>[^}]*)\}|(?<bare>[A-Za-z_][A-Za-z0-9_]*))|\$|[^$]+/gu;
  for (const match of source.matchAll(token)) {
    const name = match.groups?.['braced'] ?? match.groups?.['bare'];
    if (match[0] === '$$') literal += '$';
    else if (match[0] === '$')
      return { ok: false, problem: 'has a $ that begins no variable', remedy: 'write $$ for a dollar sign' };
    else if (name === undefined) literal += match[0];
    else {
      const variable = attributeVariables.get(name);
      if (variable === undefined) return unknownVariable(name);
      flush();
      parts.push({ name, variable });
    }
  }
  flush();
  const variables = parts.filter((part) => typeof part !== 'string');
  const first = variables[0];
  return {
    ok: true,
    template: {
      parts,
      dependsOn:
        first === undefined ? 'nothing' : variables.every((one) => one.variable.kind === 'rate') ? 'rate' : 'context',
      isNumber: parts.length === 1 && first !== undefined && first.variable.kind !== 'text',
    },
  };
}

function unknownVariable(name: string): TemplateResult {
  const near = nearestKey(name, [...attributeVariables.keys()]);
  const shown = controlCharacter.test(name) ? 'a variable' : `$${name.slice(0, 64)}`;
  return {
    ok: false,
    problem: `uses ${shown}, which is not known`,
    remedy: near === undefined ? `use one of ${[...attributeVariables.keys()].join(', ')}` : `write \${${near}}`,
  };
}

/**
 * Puts the values of one request into a template.
 *
 * @returns the text, or the first variable that has no value or an unsafe one
 */
export function renderTemplate(template: AttributeTemplate, context: AttributeContext): Rendered {
  let value = '';
  for (const part of template.parts) {
    if (typeof part === 'string') {
      value += part;
      continue;
    }
    const one = part.variable.valueOf(context);
    if (one === undefined) return { outcome: 'nothing', variable: part.name };
    if (typeof one === 'string' && !isSafe(one, template.parts.length === 1)) {
      return { outcome: 'unsafe', variable: part.name };
    }
    value += one;
  }
  return { outcome: 'value', value };
}

/** The text with every variable at its sample value, for checks at compile time. */
export function renderSample(template: AttributeTemplate): string {
  return template.parts.map((part) => (typeof part === 'string' ? part : String(part.variable.sample))).join('');
}

function isSafe(value: string, alone: boolean): boolean {
  return alone ? !controlCharacter.test(value) : safeBesideText.test(value);
}
