/**
 * `subscriber import`.
 *
 * Enters: a CSV file. Leaves: added and changed subscribers, errors by line, and a summary.
 * Invariant: a wrong line never stops the right ones (unless that is asked for); with `--dry-run` nothing remains.
 */
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Pool } from 'pg';
import { loadCatalogueIds } from '../store/catalogue.js';
import type { ImportRow } from '../store/import-columns.js';
import type { ImportPasswords } from '../store/import-plan.js';
import { batchImporter, importAsOne } from '../store/subscriber-import.js';
import type { ImportFault, ImportOutcome, ImportSettings } from '../store/subscriber-import.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { Progress } from './command-io.js';
import { csvLines } from './csv-lines.js';
import type { CsvLine } from './csv-lines.js';
import { count } from './display.js';
import { meaningOfDatabaseError } from './error-report.js';
import { CellReader } from './import-cells.js';
import { ImportLanes } from './import-lanes.js';
import { SealingPasswords, noPasswords } from './import-passwords.js';
import { printable } from './printable.js';
import { SeenLines } from './seen-lines.js';
import { withDevices } from './import-named-devices.js';

/** The options of `subscriber import`, as typed. */
export interface ImportOptions {
  readonly dryRun?: boolean;
  readonly stopOnError?: boolean;
  readonly delimiter: string;
}

/** Rows of one batch: some 200 ms of work for the database, a few megabytes of parameters. */
const batchRows = 5_000;

/** Batches written at once: the database works on one while values of another are compared, sealed and sent. */
const laneCount = 2;

/** Lines of one file: of the logins and addresses seen some 20 octets each are kept, to find repeated ones. */
const mostLines = 10_000_000;

/** Errors that are printed; the rest is counted. */
const mostErrorsShown = 1_000;

/** What is kept of the errors for JSON. */
interface LineError {
  readonly line: number;
  readonly login: string | null;
  readonly error: string;
}

/** Stops reading after the first error, when that is asked for. */
class StopReading extends Error {
  override readonly name = 'StopReading';
}

/** Imports a file. */
export async function importSubscribers(context: CommandContext, file: string, options: ImportOptions): Promise<void> {
  if ([...options.delimiter].length !== 1)
    throw new UsageError(`the delimiter is '${options.delimiter}'`, 'give one character');
  const run = new ImportRun(context, file, options);
  await run.go();
  await run.report();
}

class ImportRun {
  private readonly totals = { added: 0, changed: 0, unchanged: 0, errors: 0, lines: 0 };
  private readonly errors: LineError[] = [];
  private readonly loginLines = new SeenLines();
  private readonly addressLines = new SeenLines();
  /** Rows whose static address or port somebody has who may leave it later in the file; undefined once they have had their turn. */
  private waiting: ImportRow[] | undefined = [];
  private readonly progress: Progress;
  private readonly startedMs: number;
  private taken: 'yes' | 'dry-run' | 'refused' = 'yes';

  constructor(
    private readonly context: CommandContext,
    private readonly file: string,
    private readonly options: ImportOptions,
  ) {
    this.progress = new Progress(context.io);
    this.startedMs = context.io.nowMs();
  }

  async go(): Promise<void> {
    const input = await this.open();
    const lines = csvLines(input, this.options.delimiter);
    try {
      const pool = await this.context.pool();
      const { value: first = [] } = await lines.next();
      const header = first[0];
      if (header === undefined) throw new CommandError(`${this.file} is empty`, 'its first line names the columns');
      if ('problem' in header) throw new CommandError(`line ${String(header.line)} ${header.problem}`);
      const reader = new CellReader(header.cells, await loadCatalogueIds(pool));
      await this.write(pool, reader, withFirst(first.slice(1), lines));
    } finally {
      this.progress.end();
      await lines.return(undefined);
      input.destroy();
    }
  }

  private async open(): Promise<Readable> {
    if (this.file === '-') return this.context.io.stdin;
    // Opened before anything else, so that a misspelt name is told at once.
    return (await open(this.file)).createReadStream();
  }

  private async write(pool: Pool, reader: CellReader, lines: AsyncIterable<readonly CsvLine[]>): Promise<void> {
    const settings: ImportSettings = {
      actor: `${this.context.actor} import`,
      columns: reader.columns,
      passwords: reader.columns.some((column) => column.name === 'password') ? await this.passwords() : noPasswords,
    };
    const asOne = this.options.dryRun === true || this.options.stopOnError === true;
    try {
      if (!asOne) await this.pump(reader, lines, withDevices(pool, settings, batchImporter(pool, settings)), laneCount);
      else {
        await importAsOne(
          pool,
          settings,
          (write) => this.pump(reader, lines, withDevices(pool, settings, write), 1),
          () => this.options.dryRun !== true && this.totals.errors === 0,
        );
      }
    } catch (error) {
      if (!(error instanceof StopReading)) throw error;
    }
    if (this.options.dryRun === true) this.taken = 'dry-run';
    else if (asOne && this.totals.errors > 0) this.taken = 'refused';
  }

  /** Reads on while the database writes. Rows that want an address of somebody who may yet leave it come last, together. */
  private async pump(
    reader: CellReader,
    lines: AsyncIterable<readonly CsvLine[]>,
    write: (rows: readonly ImportRow[]) => Promise<ImportOutcome>,
    laneCount: number,
  ): Promise<void> {
    const lanes = new ImportLanes({
      lanes: laneCount,
      batchRows,
      write,
      onWritten: (outcome, rows) => {
        this.count(outcome, rows);
      },
    });
    try {
      for await (const some of lines) {
        for (const item of some) {
          const row = this.accept(reader, item);
          const sent = row && lanes.add(row);
          if (sent !== undefined) await sent;
        }
      }
      await lanes.end();
    } finally {
      await lanes.settled();
    }
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting === undefined || waiting.length === 0) return;
    this.count(await write(waiting.sort((one, other) => one.line - other.line)), []);
  }

  private accept(reader: CellReader, item: CsvLine): ImportRow | undefined {
    this.totals.lines += 1;
    if (this.totals.lines > mostLines)
      throw new CommandError(`${this.file} has more than ${String(mostLines)} lines`, 'split it');
    if ('problem' in item) return this.refuse(item.line, null, item.problem);
    const result = reader.read(item.cells, item.line);
    if (!result.ok) return this.refuse(item.line, null, result.problem);
    const { row } = result;
    const earlier = this.loginLines.note(row.login, row.line);
    if (earlier !== undefined) {
      return this.refuse(row.line, row.login, `has the login '${row.login}', which line ${String(earlier)} has too`);
    }
    const address = row.values.get('static_address');
    if (typeof address === 'string') {
      const other = this.addressLines.note(address, row.line);
      if (other !== undefined)
        return this.refuse(row.line, row.login, `has the address ${address}, which line ${String(other)} has too`);
    }
    const unreadable = this.unreadablePassword(row);
    return unreadable === undefined ? row : this.refuse(row.line, row.login, unreadable);
  }

  private unreadablePassword(row: ImportRow): string | undefined {
    const text = row.values.get('password');
    const reason = typeof text === 'string' ? this.sealing?.unreadable(text) : undefined;
    if (reason === undefined) return undefined;
    return `password begins like a stored form and is none (${reason}); write {CLEAR} before a cleartext`;
  }

  private refuse(line: number, login: string | null, error: string): undefined {
    this.totals.errors += 1;
    if (this.errors.length < mostErrorsShown) this.errors.push({ line, login, error });
    if (this.options.stopOnError === true) throw new StopReading();
    return undefined;
  }

  private count(outcome: ImportOutcome, rows: readonly ImportRow[]): void {
    this.totals.added += outcome.added;
    this.totals.changed += outcome.changed;
    this.totals.unchanged += outcome.unchanged;
    const { waiting } = this;
    for (const fault of outcome.faults) {
      const mayWait = waiting !== undefined && waiting.length < batchRows && isAboutPlace(fault);
      const row = mayWait ? rows.find((one) => one.line === fault.line) : undefined;
      if (row === undefined) this.refuse(fault.line, fault.login, describeFault(fault));
      else waiting?.push(row);
    }
    const { added, changed, errors, lines } = this.totals;
    const seconds = Math.max(0.001, (this.context.io.nowMs() - this.startedMs) / 1000);
    this.progress.update(
      `${String(lines)} lines: ${String(added)} added, ${String(changed)} changed, ${count(errors, 'error')}, ` +
        `${String(Math.round(lines / seconds))} lines/s`,
    );
  }

  private sealing: SealingPasswords | undefined;

  private async passwords(): Promise<ImportPasswords> {
    const { radius } = await this.context.config();
    this.sealing = new SealingPasswords(radius.passwordKey.octets());
    return this.sealing;
  }

  /** Prints errors and summary; an import with errors ends in exit code 1. */
  async report(): Promise<void> {
    const { totals, context } = this;
    const seconds = Math.max(0.001, (context.io.nowMs() - this.startedMs) / 1000);
    const written = this.taken === 'yes';
    this.errors.sort((one, other) => one.line - other.line);
    if (context.json) {
      await context.printJson({
        ...totals,
        dry_run: this.options.dryRun === true,
        written,
        seconds,
        error_lines: this.errors,
      });
    } else {
      for (const error of this.errors) context.remark(`${this.file}:${String(error.line)}: ${error.error}`);
      if (totals.errors > this.errors.length)
        context.remark(`and ${count(totals.errors - this.errors.length, 'more error')}`);
      const verb = { yes: '', 'dry-run': 'would be: ', refused: 'nothing is written; would be: ' }[this.taken];
      await context.print(
        printable(
          `${verb}${String(totals.added)} added, ${String(totals.changed)} changed, ${String(totals.unchanged)} unchanged, ` +
            `${count(totals.errors, 'error')} in ${count(totals.lines, 'line')} (${seconds.toFixed(1)} s)`,
        ),
      );
    }
    if (totals.errors > 0) {
      throw new CommandError(
        `${count(totals.errors, 'line')} of ${this.file} could not be imported`,
        written
          ? 'correct them and import the file again: what is there already stays as it is'
          : 'correct them and import again',
      );
    }
  }
}

async function* withFirst(
  first: readonly CsvLine[],
  rest: AsyncIterable<readonly CsvLine[]>,
): AsyncGenerator<readonly CsvLine[]> {
  yield first;
  yield* rest;
}

/** Whether a row was refused for a static address or a port that another row had at that moment. */
function isAboutPlace(fault: ImportFault): boolean {
  return 'refused' in fault
    ? fault.refused.constraint === 'subscriber_static_address_unique' ||
        fault.refused.constraint === 'subscriber_port_unique'
    : fault.fault.kind === 'address-taken';
}

/** What is wrong with a row that was not written. */
export function describeFault(fault: ImportFault): string {
  if ('refused' in fault) {
    const meaning = meaningOfDatabaseError(fault.refused);
    return meaning === undefined
      ? `login '${fault.login}': the database refuses it (SQLSTATE ${fault.refused.code ?? 'unknown'})`
      : `login '${fault.login}': ${meaning[0]}; ${meaning[1]}`;
  }
  switch (fault.fault.kind) {
    case 'address-taken':
      return `login '${fault.login}': the address ${fault.fault.address} belongs to '${fault.fault.by}'`;
    case 'no-device':
      return `login '${fault.login}': there is no device '${fault.fault.device}'; make it with: sluice device add, or import devices first`;
    case 'several-devices':
      return `login '${fault.login}': several devices are called '${fault.fault.device}'; name it by its MAC, serial or name`;
    case 'deleted':
      return `login '${fault.login}' is deleted; a column deleted with false brings it back`;
  }
}
