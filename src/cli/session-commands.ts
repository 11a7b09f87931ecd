/**
 * `session list`.
 *
 * Enters: filters. Leaves: sessions, live or ended.
 * Invariant: octets are exact in JSON and readable in tables.
 */
import type { Command } from 'commander';
import { listEndedSessions, listLiveSessions } from '../store/session-queries.js';
import type { SessionFilter, SessionRow } from '../store/session-queries.js';
import { parseAddressOrPrefix, parseText, parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { UsageError } from './command-error.js';
import { showDuration, showOctets, showTime } from './display.js';
import { parseInstant } from './instant.js';
import { parseLimit, printPages } from './pages.js';
import type { Column } from './table.js';

/** The options of `session list`, as typed. */
interface SessionOptions {
  readonly login?: string;
  readonly nas?: string;
  readonly address?: string;
  readonly history?: boolean;
  readonly all?: boolean;
  readonly since?: string;
  readonly limit?: string;
}

/** History that is asked for without `--since` goes back this far, ms: a day. */
const defaultHistoryMs = 86_400_000;

/** Rows of history in one answer; more is a question for SQL. */
const mostHistoryRows = 100_000;

/** Rows of history without `--limit`. */
const defaultHistoryRows = 200;

/** Adds `session` with its subcommand. */
export function registerSessionCommands(program: Command, context: CommandContext): void {
  program
    .command('session')
    .description('sessions: who is on the network')
    .command('list')
    .description('list live sessions, or ended ones')
    .option('--login <login>')
    .option('--nas <name>')
    .option('--address <address>')
    .option('--history', 'ended sessions instead of live ones')
    .option('--all', 'live and ended sessions')
    .option('--since <time>', 'ended since then (default: a day ago, or ever for one login or address)')
    .option('--limit <rows>', 'at most so many; 0 for all')
    .action((options: SessionOptions) => listSessions(context, options));
}

async function listSessions(context: CommandContext, options: SessionOptions): Promise<void> {
  const filter: SessionFilter = {
    ...(options.login !== undefined && { login: parseText('--login', options.login) }),
    ...(options.nas !== undefined && { nas: parseText('--nas', options.nas) }),
    ...(options.address !== undefined && { address: parseAddressOrPrefix('--address', options.address) }),
  };
  const withHistory = options.history === true || options.all === true;
  if (options.since !== undefined && !withHistory) {
    throw new UsageError('--since is about ended sessions', 'add --history or --all');
  }
  const zone = await context.timeZone();
  if (!withHistory) {
    const pool = await context.pool();
    await printPages(context, {
      limit: parseLimit(context, options.limit),
      noun: 'session',
      page: (after: SessionRow | undefined, rows) => listLiveSessions(pool, filter, after?.id ?? 0, rows),
      columns: columns(zone, false),
    });
    return;
  }
  await listHistory(context, options, filter, zone);
}

async function listHistory(
  context: CommandContext,
  options: SessionOptions,
  filter: SessionFilter,
  zone: string,
): Promise<void> {
  const nowMs = context.io.nowMs();
  const narrow = filter.login !== undefined || filter.address !== undefined;
  const since =
    options.since === undefined
      ? new Date(narrow ? 0 : nowMs - defaultHistoryMs)
      : parseInstant(options.since, zone, nowMs);
  const asked =
    options.limit === undefined ? defaultHistoryRows : parseWholeNumber('--limit', options.limit, 0, mostHistoryRows);
  const limit = asked === 0 ? mostHistoryRows : asked;
  const pool = await context.pool();
  const live = options.all === true ? await listLiveSessions(pool, filter, 0, limit) : [];
  const ended = await listEndedSessions(pool, filter, since, limit + 1);
  const rows = [...live.reverse(), ...ended];
  const shown = rows.slice(0, limit);
  if (context.json) await context.printJson(shown);
  else {
    const { drawTable } = await import('./table.js');
    await context.print(drawTable(columns(zone, true), shown, context.columns));
  }
  if (rows.length > limit) context.remark(`there are more than ${String(limit)}; narrow it down, or raise --limit`);
}

function columns(zone: string, ended: boolean): Column<SessionRow>[] {
  return [
    { title: 'LOGIN', value: (row) => row.login },
    { title: 'NAS', value: (row) => row.nas_name },
    {
      title: 'ADDRESS',
      value: (row) =>
        [row.address, row.framed_prefix, row.delegated_prefix].filter((address) => address !== null).join(' '),
    },
    { title: 'MAC', value: (row) => row.mac ?? row.calling_station },
    { title: 'SINCE', value: (row) => `${row.started_exactly ? '' : '~'}${showTime(row.started_at, zone)}` },
    ...(ended ? [{ title: 'ENDED', value: (row: SessionRow) => showTime(row.ended_at, zone) }] : []),
    { title: 'TIME', align: 'right', value: (row) => showDuration(row.session_seconds) },
    { title: 'IN', align: 'right', value: (row) => showOctets(row.input_octets) },
    { title: 'OUT', align: 'right', value: (row) => showOctets(row.output_octets) },
    ...(ended ? [{ title: 'CAUSE', value: (row: SessionRow) => causeOf(row) }] : []),
    { title: 'REMARK', value: (row) => remarkOf(row) },
  ];
}

function causeOf(row: SessionRow): string {
  if (row.end_cause === null) return '';
  return `${row.end_cause}${row.synthetic === true ? ' (synthetic)' : ''}${row.amended === true ? ' (amended)' : ''}`;
}

function remarkOf(row: SessionRow): string {
  return [
    row.ended_at === null && row.suspect ? 'suspect' : '',
    row.conflict ?? '',
    row.octets_estimated ? 'octets estimated' : '',
  ]
    .filter((text) => text !== '')
    .join(', ');
}
