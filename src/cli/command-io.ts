/**
 * A command's way to the outside: streams, environment, clock.
 *
 * Enters: what the process has (or what a test gives). Leaves: text on standard output and progress on standard error.
 * Invariant: results go to standard output and nothing else does; a reader that went away (EPIPE) ends the output silently.
 */
import type { Readable } from 'node:stream';
import { printable, printableJson } from './printable.js';

/** Input of a command; a terminal can be put into raw mode to hide what is typed. */
export interface CommandInput extends Readable {
  readonly isTTY?: boolean | undefined;
  setRawMode?(raw: boolean): unknown;
}

/** Output of a command. */
export interface CommandOutput {
  write(text: string): boolean;
  once(event: 'drain' | 'close' | 'error', listener: () => void): unknown;
  off(event: 'drain' | 'close' | 'error', listener: () => void): unknown;
  /** Width of the terminal; absent when it is none. */
  readonly columns?: number | undefined;
  readonly isTTY?: boolean | undefined;
  readonly destroyed?: boolean | undefined;
}

/** What a command may touch of the process around it. */
export interface CommandIo {
  readonly stdin: CommandInput;
  readonly stdout: CommandOutput;
  readonly stderr: CommandOutput;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** Who is at the keyboard: recorded as the one who changed something. */
  readonly userName: string;
}

/** Width of a table when the terminal's is not known, columns. */
const defaultColumns = 80;

/** The width to draw tables for: that of the terminal, `COLUMNS`, or 80. */
export function terminalColumns(io: CommandIo): number {
  const stated = Number(io.environment['COLUMNS']);
  return io.stdout.columns ?? (Number.isInteger(stated) && stated > 0 ? stated : defaultColumns);
}

/** Writes a line to standard output and waits while its reader is slow. The caller has made it printable. */
export async function writeLine(io: CommandIo, line: string): Promise<void> {
  const output = io.stdout;
  if (output.destroyed === true || output.write(`${line}\n`)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      for (const event of ['drain', 'close', 'error'] as const) output.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error'] as const) output.once(event, done);
    if (output.destroyed === true) done();
  });
}

/** A remark for people on standard error: a warning, what was done, what to know. */
export function remark(io: CommandIo, text: string): void {
  io.stderr.write(`${text.split('\n').map(printable).join('\n')}\n`);
}

/**
 * JSON for programs: column names as keys, instants in ISO 8601 UTC, octets exact.
 *
 * @param value anything; a bigint becomes a number when that is exact and its digits in a string otherwise
 * @param indent spaces of indentation
 */
export function toJson(value: unknown, indent = 2): string {
  return printableJson(
    JSON.stringify(
      value,
      (_key, entry: unknown) =>
        typeof entry === 'bigint'
          ? entry >= BigInt(Number.MIN_SAFE_INTEGER) && entry <= BigInt(Number.MAX_SAFE_INTEGER)
            ? Number(entry)
            : String(entry)
          : entry,
      indent,
    ),
  );
}

/** How often progress is repainted on a terminal, ms. */
const REPAINT_EVERY_MS = 100;

/** How often a line of progress goes to a file or a journal, ms: short commands say nothing there. */
const LINE_EVERY_MS = 10_000;

/** Progress: one line that is repainted on a terminal, a line now and then elsewhere. */
export class Progress {
  private lastMs: number;
  private shown = false;

  constructor(private readonly io: CommandIo) {
    this.lastMs = io.stderr.isTTY === true ? -Infinity : io.nowMs();
  }

  /** @param text the state now */
  update(text: string): void {
    const { stderr } = this.io;
    const nowMs = this.io.nowMs();
    if (nowMs - this.lastMs < (stderr.isTTY === true ? REPAINT_EVERY_MS : LINE_EVERY_MS)) return;
    this.lastMs = nowMs;
    if (stderr.isTTY !== true) {
      stderr.write(`${printable(text)}\n`);
      return;
    }
    this.shown = true;
    // CR and "erase to the end of the line": the text itself is ours, made of numbers.
    stderr.write(`\r\u001b[K${printable(text)}`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.shown) this.io.stderr.write('\r\u001b[K');
    this.shown = false;
  }
}
