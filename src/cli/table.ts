/**
 * Tables for a terminal.
 *
 * Enters: columns, rows of values, the width of the terminal. Leaves: text that fits into it.
 * Invariant: no line is wider than the terminal (down to a few characters a column); every value is made printable here, so
 * no caller can forget it.
 */
import { createRequire } from 'node:module';
import Table from 'cli-table3';
import { printable } from './printable.js';

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  /** Numbers read better flush right. */
  readonly align?: 'left' | 'right';
  /** What stands in the cell; undefined and null are an empty cell. */
  readonly value: (row: Row) => string | number | bigint | null | undefined;
}

// What is cut to fit must be measured by the ruler that pads it, or a wide character moves the columns after it. The package
// keeps its ruler to itself; its version is pinned.
const ruler = createRequire(import.meta.url)('cli-table3/src/utils') as { strlen(text: string): number };

/** How many terminal columns a printable text takes. */
export function displayWidth(text: string): number {
  return ruler.strlen(text);
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Terminals narrower than this are taken for this wide: below it nothing can be read, columns. */
const narrowestTerminal = 20;

/** A column is not squeezed below this many characters while another has more. */
const narrowestColumn = 4;

/** Space between two columns. */
const gap = 2;

// Only spaces between the columns: a table that is piped or pasted should not carry a drawing.
const noBorders = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

/**
 * Draws a table.
 *
 * @param columns at least one
 * @param rows any number; without rows only the titles are drawn
 * @param terminalColumns width to fit into
 * @returns lines joined by `\n`, without one at the end, no trailing spaces
 */
export function drawTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], terminalColumns: number): string {
  const cells = rows.map((row) => columns.map((column) => printable(String(column.value(row) ?? ''))));
  const titles = columns.map((column) => column.title);
  const natural = titles.map((title, index) =>
    Math.max(displayWidth(title), ...maxima(cells.map((row) => displayWidth(row[index] ?? '')))),
  );
  const widths = fitWidths(natural, Math.max(narrowestTerminal, terminalColumns) - gap * (columns.length - 1));
  const table = new Table({
    head: titles.map((title, index) => clip(title, widths[index] ?? 0)),
    chars: noBorders,
    colAligns: columns.map((column) => column.align ?? 'left'),
    // cli-table3 counts the padding into the width of a column.
    colWidths: widths.map((width) => width + gap),
    style: { 'padding-left': 0, 'padding-right': gap, head: [], border: [] },
  });
  table.push(...cells.map((row) => row.map((content, index) => clip(content, widths[index] ?? 0))));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

// Math.max(...everything) would overflow the stack on long lists.
function maxima(values: readonly number[]): number[] {
  let largest = 0;
  for (const value of values) if (value > largest) largest = value;
  return [largest];
}

/**
 * Shrinks the widest columns until all fit.
 *
 * @param natural the widths that the contents want
 * @param available columns of the terminal for all of them together
 * @returns widths, none larger than wanted; their sum is at most `available` unless every column is at its narrowest
 */
export function fitWidths(natural: readonly number[], available: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, width) => sum + width, 0) - available;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= narrowestColumn) break;
    const second = Math.max(narrowestColumn, ...widths.filter((width) => width < widest));
    const sharing = widths.filter((width) => width === widest).length;
    const cut = Math.max(1, Math.min(widest - second, Math.ceil(excess / sharing)));
    for (const [index, width] of widths.entries()) {
      if (width !== widest || excess <= 0) continue;
      const taken = Math.min(cut, excess);
      widths[index] = width - taken;
      excess -= taken;
    }
  }
  return widths;
}

/** The text cut to a width, with `…` in place of what was cut off. */
export function clip(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  for (const { segment } of graphemes.segment(text)) {
    if (displayWidth(kept + segment) > width - 1) break;
    kept += segment;
  }
  return width > 0 ? `${kept}…` : '';
}

/**
 * Draws one thing as `name  value` lines.
 *
 * @param fields in order; a value that is undefined or null is left out
 */
export function drawFields(
  fields: readonly (readonly [string, string | number | bigint | null | undefined])[],
  terminalColumns: number,
): string {
  const shown = fields.filter((field) => field[1] !== undefined && field[1] !== null && field[1] !== '');
  const nameWidth = Math.max(0, ...shown.map(([name]) => displayWidth(name)));
  const valueWidth = Math.max(narrowestTerminal, terminalColumns) - nameWidth - gap;
  return shown
    .map(
      ([name, value]) =>
        `${name.padEnd(nameWidth)}${' '.repeat(gap)}${wrap(printable(String(value)), valueWidth, nameWidth + gap)}`,
    )
    .join('\n');
}

// A field is read, not scanned: it is folded rather than cut off.
function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && displayWidth(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  lines.push(line);
  return lines.join(`\n${' '.repeat(indent)}`);
}
