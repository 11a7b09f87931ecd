/**
 * A rule of access lines as it is written. Enters: a rule of `conf/lines.toml` or a preset. Leaves: the rule compiled, or everything that is wrong
 * with it. Invariants: a compiled rule can name a line; each field comes from one place; a word that nothing would be done with is refused.
 */
import { compilePattern } from './line-pattern.js';
import type { LinePattern } from './line-pattern.js';
import { MatchableRule, lengthField } from './line-match.js';
import type { RulePart, Template } from './line-match.js';
import type { LineFunction } from './line-functions.js';
import type { PatternForm } from './line-pattern-syntax.js';

/** What is looked at: sub-options 1, 2 and 6 of option 82, and NAS-Port-Id, in the order in which a rule looks at them. */
export const lineAttributeNames = ['circuit_id', 'remote_id', 'subscriber_id', 'nas_port_id'] as const;
export type LineAttribute = (typeof lineAttributeNames)[number];

/** Fields that become parts of a line. */
export const lineFieldNames = ['mac', 'device', 'serial', 'port', 'vlan', 'svlan', 'onu', 'login'] as const;
export type LineField = (typeof lineFieldNames)[number];

/** Fields that `set` makes others of. */
export const ingredientNames = [
  'rack',
  'shelf',
  'frame',
  'slot',
  'subslot',
  'module',
  'unit',
  'pon',
  'ont',
  'part',
] as const;

/** Ways to name a device, of which a rule uses one. */
const deviceFields: readonly string[] = ['mac', 'device', 'serial'];

/** A pattern and what it runs over. */
export interface LinePatternText {
  readonly form: PatternForm;
  readonly pattern: string;
}

/** A rule as data, complete by itself. */
export interface LineRule {
  readonly name: string;
  /** All of these must match; of several patterns for one attribute, the first that does counts. */
  readonly match: Readonly<Partial<Record<LineAttribute, readonly LinePatternText[]>>>;
  /** Those of them that may be missing. */
  readonly optional: readonly LineAttribute[];
  /** None of these may be there. */
  readonly absent: readonly LineAttribute[];
  /** What is done to a field, in order, in place of what is done to it by default. */
  readonly convert: Readonly<Record<string, readonly LineFunction[]>>;
  /** Fields made of others: text with `$name` or `${name}`. */
  readonly set: Readonly<Partial<Record<LineField, string>>>;
}

/** Something wrong with a rule. */
export interface RuleFault {
  /** Where in the rule: an attribute with position and form of the pattern; `optional` or `absent` with a position; `convert` or `set` with a field. */
  readonly path: readonly (string | number)[];
  readonly problem: string;
  readonly remedy: string;
}

export type CompiledRule =
  { readonly ok: true; readonly rule: MatchableRule } | { readonly ok: false; readonly faults: readonly RuleFault[] };

/** The longest text of `set`, characters. */
export const maxTemplateLength = 128;

const knownFields: readonly string[] = [...lineFieldNames, ...ingredientNames, lengthField];
const isLineField = (name: string): boolean => (lineFieldNames as readonly string[]).includes(name);

/** Compiles a rule, and says everything that is wrong with it. */
export function compileLineRule(rule: LineRule): CompiledRule {
  const faults: RuleFault[] = [];
  const fault = (path: readonly (string | number)[], problem: string, remedy: string): void =>
    void faults.push({ path, problem, remedy });
  const parts = lineAttributeNames.flatMap((attribute): RulePart[] => {
    const texts = rule.match[attribute];
    if (texts === undefined || texts.length === 0) return [];
    return [
      {
        attribute,
        optional: rule.optional.includes(attribute),
        patterns: texts.flatMap((text, index) => compiled(text, [attribute, index, text.form], fault)),
      },
    ];
  });
  if (parts.length === 0) fault([], 'looks at nothing', `give it a pattern for ${lineAttributeNames.join(', ')}`);
  if (parts.length > 0 && parts.every(({ optional }) => optional))
    fault(['optional'], 'leaves nothing that must be there', 'remove one of its entries');
  for (const [index, attribute] of rule.optional.entries())
    if (rule.match[attribute] === undefined)
      fault(['optional', index], `names ${attribute}, which the rule does not look at`, 'remove it');
  for (const [index, attribute] of rule.absent.entries())
    if (rule.match[attribute] !== undefined)
      fault(['absent', index], `names ${attribute}, which the rule matches`, 'remove one of the two');
  // Of a pattern that is wrong nobody knows what it would have found.
  if (faults.length > 0) return { ok: false, faults };

  const captured = capturedBy(parts);
  checkFields(parts, captured, fault);
  const templates = new Map<LineField, Template>();
  for (const field of lineFieldNames) {
    const text = rule.set[field];
    if (text === undefined) continue;
    const template = templateOf(text, captured.has.bind(captured), ['set', field], fault);
    if (template !== undefined) templates.set(field, template);
  }
  checkUse(rule, captured, fault);
  if (faults.length > 0) return { ok: false, faults };
  return {
    ok: true,
    rule: new MatchableRule(rule.name, parts, rule.absent, new Map(Object.entries(rule.convert)), templates),
  };
}

type Complain = (path: readonly (string | number)[], problem: string, remedy: string) => void;

function compiled(text: LinePatternText, path: readonly (string | number)[], fault: Complain): LinePattern[] {
  const result = compilePattern(text.pattern, text.form);
  if (result.ok) {
    for (const name of result.pattern.fieldNames)
      if (!knownFields.includes(name))
        fault(
          path,
          `has the field ${name}, which there is not`,
          `use ${knownFields.join(', ')}, or (?:…) where nothing is to be kept`,
        );
    return [result.pattern];
  }
  fault(path, result.problem, result.remedy);
  return [];
}

/** Fields by name, with the attribute that each is found in. */
function capturedBy(parts: readonly RulePart[]): Map<string, string> {
  const captured = new Map<string, string>();
  for (const { attribute, patterns } of parts)
    for (const { fieldNames } of patterns)
      for (const name of fieldNames) if (name !== lengthField) captured.set(name, attribute);
  return captured;
}

function checkFields(parts: readonly RulePart[], captured: ReadonlyMap<string, string>, fault: Complain): void {
  for (const { attribute, patterns } of parts)
    for (const [index, { fieldNames, form }] of patterns.entries()) {
      const path = [attribute, index, form];
      const elsewhere = fieldNames.find((name) => name !== lengthField && captured.get(name) !== attribute);
      if (elsewhere !== undefined)
        fault(path, `finds ${elsewhere}, which another attribute finds too`, 'find it once; (?:…) keeps nothing');
      const devices = fieldNames.filter((name) => deviceFields.includes(name));
      if (devices.length > 1) fault(path, `names the device twice, by ${devices.join(' and ')}`, 'name it once');
    }
  const namers = new Set(
    [...captured].filter(([name]) => deviceFields.includes(name)).map(([, attribute]) => attribute),
  );
  if (namers.size > 1)
    fault([[...namers][1]!], `names the device, which ${[...namers][0]!} names too`, 'name it in one of the two');
}

/** Every word of the rule must lead somewhere. */
function checkUse(rule: LineRule, captured: ReadonlyMap<string, string>, fault: Complain): void {
  const set = Object.keys(rule.set);
  const used = Object.values(rule.set).join(' ');
  for (const [name, attribute] of captured)
    if (!isLineField(name) && !new RegExp(`\\$(?:${name}(?![a-z0-9_])|\\{${name}\\})`, 'u').test(used))
      fault([attribute], `finds ${name}, and nothing is made of it`, `use it: set = { port = "$${name}/$port" }`);
  for (const name of Object.keys(rule.convert))
    if (!captured.has(name) && !set.includes(name))
      fault(['convert', name], 'is for a field that the rule does not find', 'remove it, or find the field');
  const setDevice = set.find((name) => deviceFields.includes(name));
  const foundDevice = [...captured.keys()].find((name) => deviceFields.includes(name) && name !== setDevice);
  if (setDevice !== undefined && foundDevice !== undefined)
    fault(['set', setDevice], `names the device, which ${foundDevice} names too`, 'name it once');
  if (set.filter((name) => deviceFields.includes(name)).length > 1)
    fault(['set'], 'names the device twice', 'keep one of mac, device and serial');
  if (set.length === 0 && ![...captured.keys()].some(isLineField))
    fault([], 'finds nothing', `name what it is to find: (?<port>…), or another of ${lineFieldNames.join(', ')}`);
}

/** Text and names by turns. */
function templateOf(
  text: string,
  isFound: (name: string) => boolean,
  path: readonly (string | number)[],
  fault: Complain,
): Template | undefined {
  if (text === '' || text.length > maxTemplateLength) {
    fault(
      path,
      text === '' ? 'is empty' : `is longer than ${String(maxTemplateLength)} characters`,
      'write a short text',
    );
    return undefined;
  }
  const pieces: { readonly text: string; readonly field: string | undefined }[] = [];
  let at = 0;
  for (const match of text.matchAll(/\$(?:\$|\{(?<braced>[a-z][a-z0-9_]*)\}|(?<bare>[a-z][a-z0-9_]*))?/gu)) {
    const field = match.groups?.['braced'] ?? match.groups?.['bare'];
    if (field === undefined && match[0] !== '$$') {
      fault(path, 'has a "$" that names nothing', 'write $$ for the character');
      return undefined;
    }
    if (field !== undefined && !isFound(field)) {
      fault(path, `uses ${field}, which the rule does not find`, `find it: (?<${field}>…)`);
      return undefined;
    }
    pieces.push({ text: text.slice(at, match.index) + (field === undefined ? '$' : ''), field });
    at = match.index + match[0].length;
  }
  pieces.push({ text: text.slice(at), field: undefined });
  return pieces;
}
