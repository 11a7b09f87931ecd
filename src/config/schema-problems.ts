/**
 * From what the validator found to what the operator reads.
 *
 * Enters: a parsed document, its schema and the validator's issues.
 * Leaves: problems with file, line, key and remedy.
 * Invariant: every issue becomes a problem, each has a remedy, and no value of the document is repeated.
 */
import { z } from 'zod';
import { nearestKey } from './nearest-key.js';
import type { ConfigProblem } from './problem.js';
import type { TomlDocument, TomlPath } from './toml-document.js';

/** The part of a JSON schema that remedies and the documentation are made from. */
export interface SettingShape {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly unknown[];
  readonly items?: SettingShape;
  readonly const?: unknown;
  readonly anyOf?: readonly SettingShape[];
  readonly oneOf?: readonly SettingShape[];
  readonly properties?: Readonly<Record<string, SettingShape>>;
  readonly required?: readonly string[];
}

/** What a schema accepts, as data. */
export function shapeOf(schema: z.ZodType): SettingShape {
  return z.toJSONSchema(schema, { io: 'input' }) as SettingShape;
}

const shapes = new WeakMap<z.ZodType, SettingShape>();

function cachedShapeOf(schema: z.ZodType): SettingShape {
  let shape = shapes.get(schema);
  if (shape === undefined) shapes.set(schema, (shape = shapeOf(schema)));
  return shape;
}

export type ValidationResult<Output> =
  { readonly ok: true; readonly value: Output } | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/**
 * Validates a part of a document.
 *
 * @param schema what is expected
 * @param document the parsed file
 * @param file its name, for the problems
 * @param at path of the part to validate; empty for the whole document
 */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  document: TomlDocument,
  file: string,
  at: TomlPath = [],
): ValidationResult<z.output<Schema>> {
  const part = at.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], document.value);
  const result = schema.safeParse(part);
  if (result.success) return { ok: true, value: result.data };
  const shape = cachedShapeOf(schema);
  const problems = result.error.issues.flatMap((issue) =>
    problemsOf(issue, shape, part).map(({ path, ...text }) => ({
      file,
      line: document.lineOf([...at, ...path]),
      key: keyText([...at, ...path]),
      ...text,
    })),
  );
  // One complaint for a key is enough: the first is the most basic one.
  const first = new Map<string, ConfigProblem>();
  for (const problem of problems) if (!first.has(problem.key)) first.set(problem.key, problem);
  return { ok: false, problems: [...first.values()] };
}

/** A path as people write it: `radius.auth[0]`. */
export function keyText(path: TomlPath): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
    '',
  );
}

interface Finding {
  readonly path: TomlPath;
  readonly problem: string;
  readonly remedy: string;
}

function problemsOf(issue: z.core.$ZodIssue, root: SettingShape, value: unknown): Finding[] {
  const path = issue.path.filter((key) => typeof key !== 'symbol');
  const shape = shapeAt(root, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...path, key],
        problem: 'is not a key that is known here',
        remedy: remedyForUnknownKey(key, path, root),
      }));
    case 'custom': {
      const given: unknown = issue.params?.['remedy'];
      return [{ path, problem: issue.message, remedy: typeof given === 'string' ? given : expectation(shape) }];
    }
    case 'invalid_type': {
      const missing = valueAt(value, path) === undefined;
      const problem = missing ? 'is missing' : `is ${typeName(valueAt(value, path))}`;
      return [{ path, problem, remedy: expectation(shape) }];
    }
    case 'too_small':
    case 'too_big':
      return [{ path, problem: sizeProblem(issue), remedy: expectation(shape) }];
    case 'invalid_union': {
      // The alternative that was meant is the one whose type fits; its own complaints say more than "no alternative fits".
      const meant = issue.errors.find((issues) =>
        issues.every((inner) => inner.code !== 'invalid_type' || inner.path.length > 0),
      );
      if (meant !== undefined) {
        return meant.flatMap((inner) => problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, root, value));
      }
      return [{ path, problem: `is ${typeName(valueAt(value, path))}`, remedy: expectation(shape) }];
    }
    case 'invalid_value':
      return [{ path, problem: 'is not one of the values that are known here', remedy: expectation(shape) }];
    default:
      return [{ path, problem: 'is not valid', remedy: expectation(shape) }];
  }
}

function sizeProblem(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const limit = issue.code === 'too_small' ? issue.minimum : issue.maximum;
  const small = issue.code === 'too_small';
  if (issue.origin === 'array') return small ? `has fewer than ${limit} entries` : `has more than ${limit} entries`;
  if (issue.origin === 'string')
    return small ? `is shorter than ${limit} characters` : `is longer than ${limit} characters`;
  return small ? `is below ${limit}` : `is above ${limit}`;
}

function remedyForUnknownKey(key: string, path: TomlPath, root: SettingShape): string {
  const known = Object.keys(shapeAt(root, path)?.properties ?? {});
  const near = nearestKey(key, known);
  if (near !== undefined) return `write ${near}`;
  for (const [section, shape] of Object.entries(root.properties ?? {})) {
    if (shape.properties !== undefined && Object.hasOwn(shape.properties, key)) return `move it to [${section}]`;
  }
  return known.length === 0 ? 'remove it' : `remove it; known here: ${known.join(', ')}`;
}

/** What a setting accepts, as an instruction: `write a whole number from 5 to 30 (default 15)`. */
export function expectation(shape: SettingShape | undefined): string {
  return `write ${acceptedText(shape)}`;
}

function acceptedText(shape: SettingShape | undefined): string {
  if (shape === undefined) return 'what docs/configuration.md says';
  const usual =
    shape.default === undefined || typeof shape.default === 'object'
      ? ''
      : ` (default ${JSON.stringify(shape.default)})`;
  if (shape.anyOf !== undefined) return `${shape.anyOf.map(acceptedText).join(', or ')}${usual}`;
  if (shape.enum !== undefined) return `one of ${shape.enum.map((value) => JSON.stringify(value)).join(', ')}${usual}`;
  switch (shape.type) {
    case 'integer': {
      const range =
        shape.minimum !== undefined && shape.maximum !== undefined ? ` from ${shape.minimum} to ${shape.maximum}` : '';
      return `a whole number${range}${usual}`;
    }
    case 'boolean':
      return `true or false${usual}`;
    case 'string':
      return `a text in quotes${usual}`;
    case 'array': {
      const few = shape.minItems !== undefined && shape.maxItems !== undefined;
      const item = shape.items?.type === 'string' ? 'texts in quotes' : 'entries';
      return few ? `a list of ${shape.minItems} to ${shape.maxItems} ${item}` : `a list of ${item}`;
    }
    case 'object':
      return 'a table of keys';
    default:
      return 'what docs/configuration.md says';
  }
}

function shapeAt(root: SettingShape, path: TomlPath): SettingShape | undefined {
  let shape: SettingShape | undefined = root;
  for (const key of path) {
    if (typeof key === 'number') {
      const list: SettingShape | undefined =
        shape?.items === undefined ? shape?.anyOf?.find((one) => one.items) : shape;
      shape = list?.items;
    } else {
      const table: SettingShape | undefined =
        shape?.properties === undefined ? shape?.anyOf?.find((one) => one.properties) : shape;
      shape = table?.properties?.[key];
    }
  }
  return shape;
}

function valueAt(value: unknown, path: TomlPath): unknown {
  return path.reduce<unknown>(
    (current, key) =>
      typeof current === 'object' && current !== null ? (current as Record<string | number, unknown>)[key] : undefined,
    value,
  );
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a date';
  switch (typeof value) {
    case 'string':
      return 'a text';
    case 'number':
      return Number.isSafeInteger(value) ? 'a number' : 'not a whole number in range';
    case 'boolean':
      return 'true or false';
    case 'object':
      return 'a table';
    default:
      return 'missing';
  }
}
