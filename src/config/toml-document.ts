/**
 * TOML text with the line of every key.
 *
 * Enters: the text of one file.
 * Leaves: its plain value and a way to ask on which line a path was written, or the place of the syntax error.
 * Invariant: keys that would reach an object's prototype are refused, and a document is bounded in size and depth.
 */
import { ParseError, parseTOML } from 'toml-eslint-parser';
import type { AST } from 'toml-eslint-parser';

/** A path into a document: keys and array positions. */
export type TomlPath = readonly (string | number)[];

/** A parsed file. */
export interface TomlDocument {
  readonly value: Readonly<Record<string, unknown>>;
  /**
   * The line, from 1, on which a path or else its nearest written parent stands; 1 for a path of which nothing is written.
   */
  lineOf(path: TomlPath): number;
}

export type TomlResult =
  | { readonly ok: true; readonly document: TomlDocument }
  | { readonly ok: false; readonly line: number; readonly problem: string; readonly remedy: string };

// Deeper nesting than this has no use in any of our files; the limit keeps recursion shallow on hostile text.
const maxDepth = 16;

const refusedKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

class DocumentRefused extends Error {
  override readonly name = 'DocumentRefused';
  constructor(
    readonly line: number,
    readonly problem: string,
    readonly remedy: string,
  ) {
    super(problem);
  }
}

/**
 * Parses TOML 1.0.
 *
 * @param text the whole file, decoded
 * @returns the document, or line, problem and remedy of the first syntax error
 */
export function parseTomlDocument(text: string): TomlResult {
  // A depth check before parsing, because the parser itself recurses into brackets.
  if (deepestBracket(text) > maxDepth * 4) {
    return { ok: false, line: 1, problem: 'nests brackets too deeply', remedy: `nest at most ${maxDepth} levels` };
  }
  try {
    const program = parseTOML(text, { tomlVersion: '1.0' });
    const lines = new Map<string, number>();
    const root: Record<string, unknown> = {};
    for (const node of program.body[0].body) {
      if (node.type === 'TOMLKeyValue') {
        addKeyValue(root, [], node, lines);
      } else {
        const path = node.resolvedKey;
        refuseKeys(path, node.loc.start.line);
        note(lines, path, node.loc.start.line);
        const table = tableAt(root, path, node.loc.start.line);
        for (const entry of node.body) addKeyValue(table, path, entry, lines);
      }
    }
    return { ok: true, document: { value: root, lineOf: (path) => nearestLine(lines, path) } };
  } catch (error) {
    if (error instanceof DocumentRefused) {
      return { ok: false, line: error.line, problem: error.problem, remedy: error.remedy };
    }
    if (error instanceof ParseError) {
      const said = error.message.replace(/[\r\n]+/gu, ' ');
      return {
        ok: false,
        line: lineOfMistake(text, error.lineNumber, error.column),
        problem: `is not TOML: ${said}`,
        remedy: 'correct the syntax of this line',
      };
    }
    throw error;
  }
}

/**
 * The parser stops at what it did not expect; when a value is missing, that is a line later, or beyond the end of the file.
 */
function lineOfMistake(text: string, reportedLine: number, reportedColumn: number): number {
  const lines = text.split('\n');
  const reported = lines[reportedLine - 1] ?? '';
  if (reported.slice(0, reportedColumn).trim() !== '') return reportedLine;
  let line = reportedLine - 1;
  while (line > 1 && (lines[line - 1] ?? '').trim() === '') line -= 1;
  const unfinished = /=\s*(?:#.*)?$/u.test(lines[line - 1] ?? '') || reported.trim() === '';
  return unfinished && line >= 1 ? line : reportedLine;
}

function addKeyValue(
  table: Record<string, unknown>,
  prefix: TomlPath,
  node: AST.TOMLKeyValue,
  lines: Map<string, number>,
): void {
  const names = node.key.keys.map((key) => (key.type === 'TOMLBare' ? key.name : key.value));
  const line = node.key.loc.start.line;
  const path = [...prefix, ...names];
  refuseKeys(path, line);
  note(lines, path, line);
  const parent = tableAt(table, names.slice(0, -1), line);
  const last = names.at(-1);
  if (last !== undefined) parent[last] = valueOf(node.value, path, lines);
}

function valueOf(node: AST.TOMLContentNode, path: TomlPath, lines: Map<string, number>): unknown {
  if (path.length > maxDepth) {
    throw new DocumentRefused(node.loc.start.line, 'nests too deeply', `nest at most ${maxDepth} levels`);
  }
  switch (node.type) {
    case 'TOMLArray':
      return node.elements.map((element, index) => {
        const elementPath = [...path, index];
        note(lines, elementPath, element.loc.start.line);
        return valueOf(element, elementPath, lines);
      });
    case 'TOMLInlineTable': {
      const table: Record<string, unknown> = {};
      for (const entry of node.body) addKeyValue(table, path, entry, lines);
      return table;
    }
    case 'TOMLValue':
      return node.value;
  }
}

function tableAt(root: Record<string, unknown>, path: TomlPath, line: number): Record<string, unknown> {
  let current: Record<string | number, unknown> = root;
  path.forEach((key, index) => {
    const nextIsPosition = typeof path[index + 1] === 'number';
    const existing = current[key];
    if (existing === undefined) current[key] = nextIsPosition ? [] : {};
    else if (typeof existing !== 'object' || existing === null) {
      throw new DocumentRefused(line, `uses ${String(key)} both as a value and as a table`, 'rename one of the two');
    }
    current = current[key] as Record<string | number, unknown>;
  });
  return current;
}

function refuseKeys(path: TomlPath, line: number): void {
  const refused = path.find((key) => typeof key === 'string' && refusedKeys.has(key));
  if (refused !== undefined) throw new DocumentRefused(line, `has the key ${refused}`, 'remove it');
}

const keyOf = (path: TomlPath): string => JSON.stringify(path);

function note(lines: Map<string, number>, path: TomlPath, line: number): void {
  // A dotted key or a table header also writes its parents, unless they have a line of their own already.
  for (let length = 1; length <= path.length; length += 1) {
    const key = keyOf(path.slice(0, length));
    if (!lines.has(key)) lines.set(key, line);
  }
}

function nearestLine(lines: ReadonlyMap<string, number>, path: TomlPath): number {
  for (let length = path.length; length > 0; length -= 1) {
    const line = lines.get(keyOf(path.slice(0, length)));
    if (line !== undefined) return line;
  }
  return 1;
}

function deepestBracket(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if (character === '[' || character === '{') deepest = Math.max(deepest, (depth += 1));
    else if (character === ']' || character === '}') depth = Math.max(0, depth - 1);
  }
  return deepest;
}
