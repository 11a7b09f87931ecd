/**
 * Where the users of FreeRADIUS come from: its tables, or a `users` file with what it includes.
 *
 * Enters: an open database, or the name of a file. Leaves: users with their stanzas in the order in which FreeRADIUS reads
 * them, some at a time, and rows that make no sense. Invariant: a row that cannot be read is told and spoils no other.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { readOperator } from '../domain/freeradius-item.js';
import type { Item, Stanza } from '../domain/freeradius-item.js';
import { isDefaultEntry, parseUsersFile } from '../domain/freeradius-users-file.js';
import type { FreeradiusDatabase, FreeradiusGroup, FreeradiusRow } from '../store/freeradius-database.js';
import { CommandError } from './command-error.js';

/** One user, ready to be mapped. */
export interface SourceUser {
  readonly login: string;
  readonly stanzas: readonly Stanza[];
}

/** A row or line that cannot be read. */
export type TellRow = (where: string, login: string | null, problem: string) => void;

/** A file of a million users has some 200 MB; more is no text of people, octets. */
const largestFileOctets = 512 * 1024 * 1024;

/** Files that include each other without end stop here. */
const mostFiles = 1_000;

/** Users of one slice. */
const usersAtOnce = 5_000;

/** Users of the tables. */
export async function* usersOfDatabase(
  database: FreeradiusDatabase,
  tell: TellRow,
): AsyncGenerator<readonly SourceUser[]> {
  const groups = new Map(
    [...(await database.groups())].map(([name, group]) => [name, groupStanza(name, group, tell)] as const),
  );
  for await (const users of database.users()) {
    yield users.map((user) => ({
      login: user.name,
      stanzas: [
        {
          origin: 'radcheck and radreply',
          shared: undefined,
          checks: itemsOf('radcheck', user.name, user.checks, tell),
          replies: itemsOf('radreply', user.name, user.replies, tell),
        },
        ...user.groups.map((name) => groups.get(name) ?? emptyGroup(name)),
      ],
    }));
  }
}

function emptyGroup(name: string): Stanza {
  return { origin: `group ${name}`, shared: name, checks: [], replies: [] };
}

function groupStanza(name: string, group: FreeradiusGroup, tell: TellRow): Stanza {
  return {
    origin: `group ${name}`,
    shared: name,
    checks: itemsOf(`radgroupcheck of ${name}`, null, group.checks, tell),
    replies: itemsOf(`radgroupreply of ${name}`, null, group.replies, tell),
  };
}

function itemsOf(table: string, login: string | null, rows: readonly FreeradiusRow[], tell: TellRow): Item[] {
  const items: Item[] = [];
  for (const row of rows) {
    // Old tables have no operator; FreeRADIUS takes it for a comparison.
    const operator = readOperator((row.op ?? '').trim() === '' ? '==' : row.op!.trim());
    if (operator === undefined) tell(table, login, `the operator '${row.op ?? ''}' of ${row.attribute} is none`);
    else items.push({ attribute: row.attribute, operator, ...valueOf(row.value ?? '') });
  }
  return items;
}

/** Values in tables may stand in quotes, which then say whether they are worked out. */
function valueOf(text: string): Pick<Item, 'value' | 'computed'> {
  const quoted = /^(["'`])([\s\S]*)\1$/u.exec(text);
  const value = quoted?.[2] ?? text;
  return { value, computed: quoted?.[1] === '`' || (quoted?.[1] !== "'" && /%\{/u.test(value)) };
}

/** Users of a file. DEFAULT entries hold for each of them. */
export async function* usersOfFile(file: string, tell: TellRow): AsyncGenerator<readonly SourceUser[]> {
  const entries: { name: string; stanza: Stanza }[] = [];
  await readInto(entries, file, tell, new Set());
  const byName = new Map<string, number[]>();
  const defaults: number[] = [];
  for (const [at, { name }] of entries.entries()) {
    if (isDefaultEntry(name)) defaults.push(at);
    else byName.set(name, [...(byName.get(name) ?? []), at]);
  }
  let slice: SourceUser[] = [];
  for (const [login, own] of byName) {
    const order = [...own, ...defaults].sort((one, other) => one - other);
    slice.push({ login, stanzas: order.map((at) => entries[at]!.stanza) });
    if (slice.length < usersAtOnce) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

async function readInto(
  entries: { name: string; stanza: Stanza }[],
  file: string,
  tell: TellRow,
  seen: Set<string>,
): Promise<void> {
  const path = resolve(file);
  if (seen.has(path)) return tell(file, null, 'is included twice');
  if (seen.size >= mostFiles) throw new CommandError(`more than ${String(mostFiles)} files are included`);
  seen.add(path);
  const { size } = await stat(path);
  if (size > largestFileOctets) throw new CommandError(`${file} is too large`, 'split it');
  const parsed = parseUsersFile(await readFile(path, 'utf8'));
  for (const { line, problem } of parsed.problems) tell(`${file}:${String(line)}`, null, problem);
  for (const part of parsed.parts) {
    if (part.kind === 'include') {
      await readInto(entries, resolve(dirname(path), part.path), tell, seen);
      continue;
    }
    const { name, line, checks, replies } = part.entry;
    const isDefault = isDefaultEntry(name);
    entries.push({
      name,
      stanza: { origin: `${file}:${String(line)}`, shared: isDefault ? 'DEFAULT' : undefined, checks, replies },
    });
  }
}
