/**
 * The `users` file of FreeRADIUS (`man 5 users`).
 *
 * Enters: its text. Leaves: entries in their order, files to include, and lines that make no sense. Invariants: a line that
 * cannot be read spoils its own entry only; every value comes out as it was meant, quotes and escapes taken off; pure.
 */
import { readOperator } from './freeradius-item.js';
import type { Item } from './freeradius-item.js';

/** One entry, or a file that stands in its place. */
export type UsersPart =
  | { readonly kind: 'entry'; readonly entry: UsersEntry }
  /** `$INCLUDE path`, relative to the file that says it. */
  | { readonly kind: 'include'; readonly line: number; readonly path: string };

/** A name with its check and reply items. */
export interface UsersEntry {
  readonly line: number;
  /** A login, or DEFAULT (perhaps with a number behind it). */
  readonly name: string;
  readonly checks: readonly Item[];
  readonly replies: readonly Item[];
}

/** What is wrong with a line. */
export interface UsersProblem {
  readonly line: number;
  readonly problem: string;
}

/** A whole file. */
export interface UsersFile {
  readonly parts: readonly UsersPart[];
  readonly problems: readonly UsersProblem[];
}

/** An attribute of RADIUS holds 253 octets; long ones of a check (hashes) a little more, characters. */
const longestValue = 4_096;

interface Logical {
  readonly line: number;
  readonly text: string;
  readonly isIndented: boolean;
}

/** Whether an entry speaks of everybody. */
export function isDefaultEntry(name: string): boolean {
  return /^DEFAULT\d*$/u.test(name);
}

/** Reads a file. */
export function parseUsersFile(text: string): UsersFile {
  const parts: UsersPart[] = [];
  const problems: UsersProblem[] = [];
  let current: { line: number; name: string; checks: Item[]; replies: Item[] } | undefined;
  let spoiled = false;
  let wantsMore = false;
  for (const logical of logicalLines(text)) {
    const { line, isIndented } = logical;
    if (isIndented) {
      if (current === undefined) {
        // The lines below an entry that could not be read have been told with it.
        if (!spoiled) problems.push({ line, problem: 'has reply items, and no entry stands above it' });
        continue;
      }
      const items = parseItems(logical.text, line);
      if ('problem' in items) problems.push(items);
      else {
        current.replies.push(...items.items);
        wantsMore = items.endsInComma;
      }
      continue;
    }
    if (wantsMore && current !== undefined)
      problems.push({ line, problem: 'begins an entry after a line that ends in a comma' });
    wantsMore = false;
    const first = takeWord(logical.text);
    if (first.word === '$INCLUDE') {
      current = undefined;
      parts.push({ kind: 'include', line, path: takeWord(first.rest).word });
      continue;
    }
    const checks = parseItems(first.rest, line);
    spoiled = 'problem' in checks;
    if ('problem' in checks) {
      problems.push(checks);
      current = undefined;
      continue;
    }
    current = { line, name: first.word, checks: checks.items, replies: [] };
    parts.push({ kind: 'entry', entry: current });
  }
  return { parts, problems };
}

/** Comments and empty lines are gone, lines that end in a backslash are joined. */
function* logicalLines(text: string): Generator<Logical> {
  const lines = text.replace(/^\ufeff/u, '').split(/\r?\n/u);
  for (let at = 0; at < lines.length; at += 1) {
    const line = at + 1;
    let joined = lines[at] ?? '';
    while (joined.endsWith('\\') && at + 1 < lines.length) {
      at += 1;
      joined = joined.slice(0, -1) + (lines[at] ?? '');
    }
    const bare = withoutComment(joined);
    if (bare.trim() === '') continue;
    yield { line, text: bare, isIndented: /^\s/u.test(bare) };
  }
}

function withoutComment(line: string): string {
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at]!;
    if (quote !== '') {
      if (character === '\\') at += 1;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'" || character === '`') quote = character;
    else if (character === '#') return line.slice(0, at);
  }
  return line;
}

/** A name at the beginning of a line; one in quotes may hold blanks. */
function takeWord(text: string): { word: string; rest: string } {
  const trimmed = text.trimStart();
  const quoted = takeQuoted(trimmed);
  if (quoted !== undefined) return { word: quoted.value, rest: trimmed.slice(quoted.length) };
  const word = /^\S+/u.exec(trimmed)?.[0] ?? '';
  return { word, rest: trimmed.slice(word.length) };
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function takeQuoted(text: string): { value: string; length: number; computed: boolean } | undefined {
  const quote = text[0];
  if (quote !== '"' && quote !== "'" && quote !== '`') return undefined;
  let value = '';
  for (let at = 1; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === quote)
      return { value, length: at + 1, computed: quote === '`' || (quote === '"' && value.includes('%{')) };
    if (character === '\\' && at + 1 < text.length) {
      at += 1;
      const next = text[at]!;
      const octal = /^[0-3][0-7]{2}/u.exec(text.slice(at))?.[0];
      if (quote !== "'" && octal !== undefined) {
        value += String.fromCharCode(Number.parseInt(octal, 8));
        at += 2;
      } else value += quote === "'" && next !== quote && next !== '\\' ? `\\${next}` : (escapes[next] ?? next);
    } else value += character;
  }
  return undefined;
}

function parseItems(text: string, line: number): { items: Item[]; endsInComma: boolean } | UsersProblem {
  const items: Item[] = [];
  let rest = text.trim();
  let endsInComma = false;
  while (rest !== '') {
    const match = /^([A-Za-z0-9][\w./:-]*?)\s*(:=|\+=|-=|==|!=|>=|<=|=~|!~|=\*|!\*|=|>|<)\s*/u.exec(rest);
    const operator = match === null ? undefined : readOperator(match[2]!);
    if (match === null || operator === undefined)
      return { line, problem: `has no 'Attribute operator value' at: ${opening(rest)}` };
    rest = rest.slice(match[0].length);
    const quoted = takeQuoted(rest);
    if (quoted === undefined && /^["'`]/u.test(rest))
      return { line, problem: `opens a quote that is never closed, after ${match[1]!}` };
    const value = quoted?.value ?? /^[^,\s]*/u.exec(rest)![0];
    if (value.length > longestValue) return { line, problem: `has a value that is too long, after ${match[1]!}` };
    if (value === '' && quoted === undefined) return { line, problem: `has no value after ${match[1]!}` };
    items.push({ attribute: match[1]!, operator, value, computed: quoted?.computed ?? value.includes('%{') });
    rest = rest.slice(quoted?.length ?? value.length).trimStart();
    endsInComma = rest.startsWith(',');
    if (endsInComma) rest = rest.slice(1).trimStart();
    else if (rest !== '') return { line, problem: `has no comma after the value of ${match[1]!}` };
  }
  return { items, endsInComma };
}

/** Where it is, without the value, which may be a password. */
function opening(text: string): string {
  return /^[\w./:-]{0,40}/u.exec(text)![0];
}
