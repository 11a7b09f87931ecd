/**
 * `set-aside list|show`.
 *
 * Enters: an id. Leaves: facts that could not be applied, with the reason, and their packet in words.
 * Invariant: secrets inside a packet are hidden, and its octets reach the terminal as hexadecimal only.
 */
import type { Command } from 'commander';
import { findSetAside, listSetAside } from '../store/set-aside.js';
import type { SetAsideRow } from '../store/set-aside.js';
import { parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { showTime } from './display.js';

/** Rows of one answer. */
const mostRows = 10_000;
const defaultRows = 100;

/** Octets per line of a dump. */
const dumpOctets = 32;

/** Adds `set-aside` with its subcommands. */
export function registerSetAsideCommands(program: Command, context: CommandContext): void {
  const setAside = program.command('set-aside').description('acknowledged facts that could not be applied');
  setAside
    .command('list')
    .description('list them, newest first')
    .option('--resolved', 'those that have been dealt with too')
    .option('--limit <rows>', `at most so many (default: ${String(defaultRows)})`)
    .action((options: { resolved?: boolean; limit?: string }) => list(context, options));
  setAside
    .command('show <id>')
    .description('show one of them with its packet')
    .action((id: string) => show(context, id));
}

async function list(context: CommandContext, options: { resolved?: boolean; limit?: string }): Promise<void> {
  const limit = options.limit === undefined ? defaultRows : parseWholeNumber('--limit', options.limit, 1, mostRows);
  const rows = await listSetAside(await context.pool(), { resolved: options.resolved === true, limit });
  if (context.json) {
    await context.printJson(rows);
    return;
  }
  const { drawTable } = await import('./table.js');
  const zone = await context.timeZone();
  await context.print(
    drawTable<SetAsideRow>(
      [
        { title: 'ID', align: 'right', value: (row) => row.id },
        { title: 'AT', value: (row) => showTime(row.at, zone) },
        { title: 'NAS', value: (row) => row.nas_name },
        { title: 'REASON', value: (row) => row.reason },
        { title: 'DETAIL', value: (row) => row.detail },
        { title: 'OCTETS', align: 'right', value: (row) => row.octets },
        { title: 'RESOLVED', value: (row) => showTime(row.resolved_at, zone) },
      ],
      rows,
      context.columns,
    ),
  );
}

async function show(context: CommandContext, text: string): Promise<void> {
  const id = parseWholeNumber('the id', text, 1, Number.MAX_SAFE_INTEGER);
  const row = await findSetAside(await context.pool(), id);
  if (row === undefined)
    throw new CommandError(`nothing with the id ${String(id)} is set aside`, 'look with: sluice set-aside list');
  const { payload, ...columns } = row;
  if (context.json) {
    await context.printJson({ ...columns, payload: payload.toString('hex') });
    return;
  }
  const { drawFields } = await import('./table.js');
  const zone = await context.timeZone();
  await context.print(
    drawFields(
      [
        ['id', row.id],
        ['at', showTime(row.at, zone)],
        ['received', showTime(row.received_at, zone)],
        ['NAS', row.nas_name],
        ['reason', row.reason],
        ['detail', row.detail],
        ['resolved', showTime(row.resolved_at, zone)],
        ['instance', row.instance],
        ['spool', `${row.spool_uuid} segment ${String(row.segment)} offset ${String(row.byte_offset)}`],
        ['octets', row.octets],
      ],
      context.columns,
    ),
  );
  for (let offset = 0; offset < payload.length; offset += dumpOctets) {
    const hex = payload.subarray(offset, offset + dumpOctets).toString('hex');
    await context.print(`  ${offset.toString(16).padStart(4, '0')}  ${hex}`);
  }
}
