/**
 * A CSV file (RFC 4180) line by line.
 *
 * Enters: a stream of octets. Leaves: records with the number of their line, in order, and lines that are no CSV.
 * Invariant: memory holds a few records, however long the file is; CRLF, LF and a byte order mark are all understood.
 */
import type { Readable } from 'node:stream';
import { parse } from 'csv-parse';

/** One record, or a line that is none. */
export type CsvLine =
  { readonly line: number; readonly cells: readonly string[] } | { readonly line: number; readonly problem: string };

/** No subscriber takes this much; a missing quote would otherwise swallow the whole file, characters. */
const longestRecord = 65_536;

interface RecordWithInfo {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

function isRecordWithInfo(value: unknown): value is RecordWithInfo {
  return typeof value === 'object' && value !== null && 'record' in value && 'info' in value;
}

/** Records that are handed on together: a turn of the event loop for each one would cost more than the record, rows. */
const recordsAtOnce = 1_024;

/**
 * Reads records, some at a time.
 *
 * @param delimiter one character
 * @throws the stream's error
 */
export async function* csvLines(input: Readable, delimiter: string): AsyncGenerator<readonly CsvLine[]> {
  let found: CsvLine[] = [];
  const parser = parse({
    bom: true,
    delimiter,
    info: true,
    max_record_size: longestRecord,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_skip: (error) => {
      if (error !== undefined) found.push({ line: lineOf(error), problem: meaningOf(error.code) });
    },
  });
  let isFinished = false;
  let failure: Error | undefined;
  let wake = () => {};
  const finish = (error?: Error) => {
    isFinished = true;
    failure ??= error;
    wake();
  };
  parser.on('data', (value: unknown) => {
    if (isRecordWithInfo(value)) found.push({ line: value.info.lines, cells: value.record });
    if (found.length < recordsAtOnce) return;
    parser.pause();
    wake();
  });
  parser.once('end', () => {
    finish();
  });
  parser.once('error', finish);
  input.once('error', finish);
  input.pipe(parser);
  try {
    while (!isFinished || found.length > 0) {
      if (!isFinished && found.length < recordsAtOnce) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const lines = found;
      found = [];
      if (lines.length > 0) yield lines;
      parser.resume();
    }
    if (failure !== undefined) throw failure;
  } finally {
    parser.destroy();
  }
}

function lineOf(error: object): number {
  return 'lines' in error && typeof error.lines === 'number' ? error.lines : 0;
}

const meanings: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'opens a quote that is never closed',
  CSV_MAX_RECORD_SIZE: 'is longer than any subscriber; is a quote missing?',
  CSV_INVALID_CLOSING_QUOTE: 'has text after a closing quote; a quote inside quotes is written twice',
  INVALID_OPENING_QUOTE:
    'has a quote in the middle of a cell; put the whole cell in quotes and write the inner ones twice',
};

function meaningOf(code: string): string {
  return meanings[code] ?? `is no CSV (${code})`;
}
