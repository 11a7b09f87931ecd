/**
 * Long lists, page by page.
 *
 * Enters: a way to read the next page. Leaves: one table, or one JSON array with a row a line.
 * Invariant: JSON is written as it is read, so a million rows need the memory of one page.
 */
import { parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { toJson, writeLine } from './command-io.js';
import { count } from './display.js';
import type { Column } from './table.js';

/** Rows per query: tens of milliseconds each. */
const pageRows = 2_000;

/** A table longer than this is not read by people, rows. */
const defaultTableRows = 200;

/** A table has to be held as a whole to be drawn, rows. */
const mostTableRows = 100_000;

/** The number of rows to show: what `--limit` says, else 200 in a table and all in JSON. 0 means all. */
export function parseLimit(context: CommandContext, limit: string | undefined): number {
  const most = context.json ? Number.MAX_SAFE_INTEGER : mostTableRows;
  if (limit === undefined) return context.json ? most : defaultTableRows;
  const asked = parseWholeNumber('--limit', limit, 0, Number.MAX_SAFE_INTEGER);
  return asked === 0 ? most : Math.min(asked, most);
}

/** How a list is read and shown. */
export interface PagedList<Row> {
  readonly limit: number;
  /** What a row is called, for the line that says there are more. */
  readonly noun: string;
  /** Reads the rows after one, at most so many. */
  readonly page: (after: Row | undefined, rows: number) => Promise<Row[]>;
  /** What of a row goes into JSON; all of it by default. */
  readonly json?: (row: Row) => unknown;
  readonly columns: readonly Column<Row>[];
}

/** Shows a list. */
export async function printPages<Row>(context: CommandContext, list: PagedList<Row>): Promise<void> {
  if (context.json) await printJsonPages(context, list);
  else await printTable(context, list);
}

async function printJsonPages<Row>(context: CommandContext, list: PagedList<Row>): Promise<void> {
  let written = 0;
  await writeLine(context.io, '[');
  let held: string | undefined;
  for await (const row of rowsOf(list)) {
    if (held !== undefined) await writeLine(context.io, `${held},`);
    held = toJson(list.json === undefined ? row : list.json(row), 0);
    written += 1;
    if (written >= list.limit) break;
  }
  if (held !== undefined) await writeLine(context.io, held);
  await writeLine(context.io, ']');
}

async function printTable<Row>(context: CommandContext, list: PagedList<Row>): Promise<void> {
  const rows: Row[] = [];
  let more = false;
  for await (const row of rowsOf({ ...list, limit: list.limit + 1 })) {
    if (rows.length === list.limit) {
      more = true;
      break;
    }
    rows.push(row);
  }
  const { drawTable } = await import('./table.js');
  await context.print(drawTable(list.columns, rows, context.columns));
  if (more) context.remark(`the first ${count(rows.length, list.noun)}; --limit 0 shows all`);
}

async function* rowsOf<Row>(list: PagedList<Row>): AsyncGenerator<Row> {
  let after: Row | undefined;
  for (;;) {
    const wanted = Math.min(pageRows, list.limit);
    const rows = await list.page(after, wanted);
    yield* rows;
    after = rows.at(-1);
    if (after === undefined || rows.length < wanted) return;
  }
}
