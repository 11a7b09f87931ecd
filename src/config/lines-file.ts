/**
 * Reads `conf/lines.toml`: which rules make an access line of option 82 and of RADIUS attributes.
 *
 * Enters: the file, which may be absent.
 * Leaves: rules in order, presets written out.
 * Invariant: every rule compiles, no two have one name, and all together take a bounded number of steps; without the file, or with one that has no
 * rule, the presets count in their default order.
 */
import { join } from 'node:path';
import { defaultLineRules, linePresets } from '../domain/line-presets.js';
import { compileLineRule, lineAttributeNames } from '../domain/line-rule.js';
import type { LinePatternText, LineRule } from '../domain/line-rule.js';
import { maxLineSteps } from '../domain/line-rules.js';
import { everyPreset, linesSchema } from './lines-schema.js';
import type { LineRuleFile } from './lines-schema.js';
import { openDocument } from './load-context.js';
import type { LoadContext } from './load-context.js';
import { keyText, validate } from './schema-problems.js';
import type { TomlDocument, TomlPath } from './toml-document.js';

/** The document that is read, and how a problem in it is told. */
interface Reading {
  readonly file: string;
  readonly document: TomlDocument;
  readonly wrong: (path: TomlPath, problem: string, remedy: string) => void;
}

/** @returns the rules; `undefined` after a problem was added */
export async function readLinesFile(context: LoadContext): Promise<readonly LineRule[] | undefined> {
  const file = join(context.confDir, 'lines.toml');
  const opened = await openDocument(context, file);
  if (opened.outcome === 'wrong') return undefined;
  if (opened.outcome === 'absent') return defaultLineRules;
  const { document } = opened;
  const written = document.value['rule'];
  if (written !== undefined && !Array.isArray(written)) {
    const remedy = 'write [[rule]] above each rule, with two brackets';
    context.problems.push({
      file,
      line: document.lineOf(['rule']),
      key: 'rule',
      problem: 'is no list of tables',
      remedy,
    });
    return undefined;
  }
  const result = validate(linesSchema, document, file);
  if (!result.ok) {
    context.problems.push(...result.problems);
    return undefined;
  }
  if (result.value.rule.length === 0) return defaultLineRules;
  const before = context.problems.length;
  const rules = rulesOf(result.value.rule, {
    file,
    document,
    wrong: (path, problem, remedy) =>
      context.problems.push({ file, line: document.lineOf(path), key: keyText(path), problem, remedy }),
  });
  return context.problems.length > before ? undefined : rules;
}

function rulesOf(entries: readonly LineRuleFile[], reading: Reading): LineRule[] {
  const named = new Set(entries.flatMap(({ preset }) => preset ?? []));
  const places = new Map<string, TomlPath>();
  const rules: LineRule[] = [];
  let steps = 0;
  for (const [index, entry] of entries.entries()) {
    const at: TomlPath = ['rule', index];
    for (const rule of entry.preset === undefined
      ? ownRule(entry, at, reading)
      : presetRules(entry, named, at, reading)) {
      const other = places.get(rule.name);
      if (other !== undefined) {
        const place = [...at, entry.preset === undefined ? 'name' : 'preset'];
        const problem = `makes a second rule ${rule.name}, beside that of line ${String(reading.document.lineOf(other))}`;
        reading.wrong(place, problem, 'give it another name, or remove one of the two');
        break;
      }
      places.set(rule.name, at);
      const compiled = compileLineRule(rule);
      if (!compiled.ok) {
        for (const fault of compiled.faults)
          reading.wrong([...at, ...placeIn(reading.document, at, fault.path)], fault.problem, fault.remedy);
        break;
      }
      steps += compiled.rule.maxSteps;
      rules.push(rule);
      if (steps <= maxLineSteps) continue;
      const problem = 'is too much together with the rules before it: the longest value could take too long';
      reading.wrong(
        at,
        problem,
        'name the presets that you need in place of "default", or write fewer and shorter patterns',
      );
      return rules;
    }
  }
  return rules;
}

/** A preset stands alone in its table: what would be said beside it would be lost. */
function presetRules(
  entry: LineRuleFile,
  named: ReadonlySet<string>,
  at: TomlPath,
  reading: Reading,
): readonly LineRule[] {
  const table = (reading.document.value['rule'] as readonly Readonly<Record<string, unknown>>[])[at[1] as number] ?? {};
  for (const key of Object.keys(table).filter((one) => one !== 'preset'))
    reading.wrong(
      [...at, key],
      'stands beside a preset',
      'write a rule of its own in place of the preset, or remove it',
    );
  return linePresets
    .filter(({ name, byDefault }) =>
      entry.preset === everyPreset ? byDefault && !named.has(name) : name === entry.preset,
    )
    .flatMap(({ rules }) => rules);
}

function ownRule(entry: LineRuleFile, at: TomlPath, reading: Reading): readonly LineRule[] {
  if (entry.name === undefined) {
    reading.wrong(
      [...at, 'name'],
      'is missing',
      'write name = "…", or preset = "…" for rules that come with the program',
    );
    return [];
  }
  const match = lineAttributeNames.flatMap((attribute): [string, LinePatternText[]][] => {
    const written = entry[attribute];
    if (written === undefined) return [];
    const list = Array.isArray(written) ? written : [written];
    return [
      [
        attribute,
        list.map(({ hex, text }) =>
          hex === undefined ? { form: 'text', pattern: text ?? '' } : { form: 'hex', pattern: hex },
        ),
      ],
    ];
  });
  const convert = Object.entries(entry.convert).flatMap(([field, functions]) =>
    functions === undefined ? [] : [[field, Array.isArray(functions) ? functions : [functions]]],
  );
  const set = Object.entries(entry.set).filter(([, template]) => template !== undefined);
  return [
    {
      name: entry.name,
      match: Object.fromEntries(match) as LineRule['match'],
      optional: entry.optional,
      absent: entry.absent,
      convert: Object.fromEntries(convert) as LineRule['convert'],
      set: Object.fromEntries(set) as LineRule['set'],
    },
  ];
}

/** The path of a fault as it is written: one pattern need not stand in a list. */
function placeIn(document: TomlDocument, at: TomlPath, path: TomlPath): TomlPath {
  const [attribute, index, ...rest] = path;
  const table = (document.value['rule'] as readonly Readonly<Record<string, unknown>>[])[at[1] as number];
  if (typeof index !== 'number' || attribute === undefined || Array.isArray(table?.[attribute])) return path;
  return [attribute, ...rest];
}
