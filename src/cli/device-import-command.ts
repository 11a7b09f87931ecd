/**
 * `device import`.
 *
 * Enters: a CSV file. Leaves: added and changed devices, errors by line, and a summary. Invariant: a wrong line never stops the right ones (unless
 * that is asked for); with `--dry-run` nothing remains.
 */
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { loadDeviceCatalogueIds } from '../store/device-catalogue.js';
import {
  deviceImporter,
  importDevicesAsOne,
  type DeviceImportFault,
  type DeviceImportOutcome,
  type DeviceImportRow,
} from '../store/device-import.js';
import type { DeviceValues } from '../store/devices.js';
import { nearestKey } from '../config/nearest-key.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { csvLines, type CsvLine } from './csv-lines.js';
import { deviceKeys, readDeviceField, type DeviceKey, type DeviceNames } from './device-values.js';
import { count } from './display.js';
import { meaningOfDatabaseError } from './error-report.js';
import { printable } from './printable.js';
import { SeenLines } from './seen-lines.js';

/** The options of `device import`, as typed. */
export interface DeviceImportOptions {
  readonly dryRun?: boolean;
  readonly stopOnError?: boolean;
  readonly delimiter: string;
}

/** Rows of one batch: some 100 ms of work for the database. */
const batchRows = 2_000;
/** Lines of one file: of the names seen some 20 octets each are kept, to find repeated ones. */
const mostLines = 5_000_000;
/** Errors that are printed; the rest is counted. */
const mostErrorsShown = 1_000;

interface LineError {
  readonly line: number;
  readonly error: string;
}

/** Stops reading after the first error, when that is asked for. */
class StopReading extends Error {
  override readonly name = 'StopReading';
}

/** Imports a file. */
export async function importDevices(
  context: CommandContext,
  file: string,
  options: DeviceImportOptions,
): Promise<void> {
  if ([...options.delimiter].length !== 1)
    throw new UsageError(`the delimiter is '${options.delimiter}'`, 'give one character');
  const run = new DeviceImportRun(context, file, options);
  await run.go();
  await run.report();
}

class DeviceImportRun {
  private readonly totals = { added: 0, changed: 0, unchanged: 0, errors: 0, lines: 0 };
  private readonly errors: LineError[] = [];
  private readonly seen = { mac: new SeenLines(), serial: new SeenLines(), name: new SeenLines() };
  private written = true;

  constructor(
    private readonly context: CommandContext,
    private readonly file: string,
    private readonly options: DeviceImportOptions,
  ) {}

  async go(): Promise<void> {
    const { context, file, options, totals } = this;
    // Opened before anything else, so that a misspelt name is told at once.
    const input: Readable = file === '-' ? context.io.stdin : (await open(file)).createReadStream();
    const lines = csvLines(input, options.delimiter);
    const actor = `${context.actor} import`;
    const asOne = options.dryRun === true || options.stopOnError === true;
    try {
      const pool = await context.pool();
      const names = await loadDeviceCatalogueIds(pool);
      if (!asOne) await this.pump(lines, names, deviceImporter(pool, actor));
      else
        await importDevicesAsOne(
          pool,
          actor,
          (write) => this.pump(lines, names, write),
          () => (this.written = options.dryRun !== true && totals.errors === 0),
        );
    } catch (error) {
      if (!(error instanceof StopReading)) throw error;
      this.written = false;
    } finally {
      await lines.return(undefined);
      input.destroy();
    }
  }

  private async pump(
    lines: AsyncIterable<readonly CsvLine[]>,
    names: DeviceNames,
    write: (rows: readonly DeviceImportRow[]) => Promise<DeviceImportOutcome>,
  ): Promise<void> {
    let keys: readonly DeviceKey[] | undefined;
    let rows: DeviceImportRow[] = [];
    for await (const some of lines)
      for (const item of some) {
        if (keys === undefined) {
          if ('problem' in item) throw new CommandError(`line ${String(item.line)} ${item.problem}`);
          keys = readHeader(item.cells);
          continue;
        }
        const row = this.accept(keys, item, names);
        if (row !== undefined) rows.push(row);
        if (rows.length < batchRows) continue;
        this.count(await write(rows));
        rows = [];
      }
    if (keys === undefined) throw new CommandError(`${this.file} is empty`, 'its first line names the columns');
    if (rows.length > 0) this.count(await write(rows));
  }

  private accept(keys: readonly DeviceKey[], item: CsvLine, names: DeviceNames): DeviceImportRow | undefined {
    this.totals.lines += 1;
    if (this.totals.lines > mostLines)
      throw new CommandError(`${this.file} has more than ${String(mostLines)} lines`, 'split it');
    const { line } = item;
    if ('problem' in item) return this.refuse(line, item.problem);
    if (item.cells.length !== keys.length)
      return this.refuse(line, `has ${String(item.cells.length)} cells, and the header has ${String(keys.length)}`);
    let values: DeviceValues = {};
    for (const [index, key] of keys.entries()) {
      const cell = plainCell(key, item.cells[index] ?? '');
      if (cell === undefined) continue;
      const field = readDeviceField(key, cell, names);
      if (!field.ok) return this.refuse(line, `${key} ${field.problem}; ${field.remedy}`);
      values = { ...values, ...field.values };
    }
    for (const key of ['mac', 'serial', 'name'] as const) {
      const text = values[key];
      const earlier = typeof text === 'string' ? this.seen[key].note(text, line) : undefined;
      if (earlier !== undefined)
        return this.refuse(line, `has the ${key} '${text!}', which line ${String(earlier)} has too`);
    }
    return { line, values };
  }

  private refuse(line: number, error: string): undefined {
    this.totals.errors += 1;
    if (this.errors.length < mostErrorsShown) this.errors.push({ line, error });
    if (this.options.stopOnError === true) throw new StopReading();
    return undefined;
  }

  private count(outcome: DeviceImportOutcome): void {
    this.totals.added += outcome.added;
    this.totals.changed += outcome.changed;
    this.totals.unchanged += outcome.unchanged;
    for (const fault of outcome.faults) this.refuse(fault.line, describeFault(fault));
  }

  /** Prints errors and summary; an import with errors ends in exit code 1. */
  async report(): Promise<void> {
    const { totals, context, errors, file, written } = this;
    const dryRun = this.options.dryRun === true;
    errors.sort((one, other) => one.line - other.line);
    if (context.json) await context.printJson({ ...totals, dry_run: dryRun, written, error_lines: errors });
    else {
      for (const { line, error } of errors) context.remark(`${file}:${String(line)}: ${error}`);
      if (totals.errors > errors.length) context.remark(`and ${count(totals.errors - errors.length, 'more error')}`);
      const verb = written ? '' : dryRun ? 'would be: ' : 'nothing is written; would be: ';
      await context.print(
        printable(
          `${verb}${String(totals.added)} added, ${String(totals.changed)} changed, ${String(totals.unchanged)} unchanged, ` +
            `${count(totals.errors, 'error')} in ${count(totals.lines, 'line')}`,
        ),
      );
    }
    if (totals.errors > 0)
      throw new CommandError(
        `${count(totals.errors, 'line')} of ${file} could not be imported`,
        written
          ? 'correct them and import the file again: what is there already stays as it is'
          : 'correct them and import again',
      );
  }
}

/** What a cell says in the words of `device set`; undefined: the column is left as it is. */
function plainCell(key: DeviceKey, cell: string): string | undefined {
  if (key !== 'kind' && key !== 'noticeable') return cell;
  if (cell === '') return undefined;
  if (key === 'kind') return cell;
  // Exporters write booleans in more ways than people type them.
  const flags: Readonly<Record<string, string>> = {
    t: 'true',
    true: 'true',
    1: 'true',
    f: 'false',
    false: 'false',
    0: 'false',
  };
  const text = cell.toLowerCase();
  return Object.hasOwn(flags, text) ? flags[text] : cell;
}

function describeFault(fault: DeviceImportFault): string {
  if ('refused' in fault) {
    const meaning = meaningOfDatabaseError(fault.refused);
    return meaning === undefined
      ? `the database refuses it (SQLSTATE ${fault.refused.code ?? 'unknown'})`
      : `${meaning[0]}; ${meaning[1]}`;
  }
  switch (fault.fault) {
    case 'nameless':
      return 'has nothing to know the device by; give a mac, serial, name or address';
    case 'no-kind':
      return 'is a new device without a kind; see: sluice device kind list';
    case 'several':
      return 'has an address that several devices have; give the mac, serial or name';
    case 'twice':
      return `is about the same device as line ${String(fault.earlier)}`;
  }
}

function readHeader(header: readonly string[]): DeviceKey[] {
  const known = `the columns are ${deviceKeys.join(', ')}`;
  const keys = header.map((written) => {
    const name = written.trim();
    const key = deviceKeys.find((one) => one === name);
    if (key !== undefined) return key;
    if (header.length === 1 && /[;\t|]/u.test(name))
      throw new CommandError(
        'the header has one column with separators in it',
        "say what separates the cells, such as --delimiter ';'",
      );
    const near = nearestKey(name, deviceKeys);
    throw new CommandError(
      `line 1: there is no column '${name}'`,
      near === undefined ? known : `did you mean ${near}? ${known}`,
    );
  });
  const repeated = keys.find((key, index) => keys.indexOf(key) !== index);
  if (repeated !== undefined)
    throw new CommandError(`line 1: the column ${repeated} occurs twice`, 'remove one of them');
  if (!keys.some((key) => key === 'mac' || key === 'serial' || key === 'name' || key === 'address'))
    throw new CommandError('line 1: there is no column to know devices by', 'add mac, serial, name or address');
  return keys;
}
