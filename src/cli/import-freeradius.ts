/**
 * `import freeradius`.
 *
 * Enters: options. Leaves: what `import-freeradius-run.ts` does. Invariant: what makes no sense is refused before anything is
 * opened.
 */
import type { Command } from 'commander';
import { largestSessionLimit } from '../domain/freeradius-mapping.js';
import { parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { UsageError } from './command-error.js';
import type { FreeradiusImportOptions } from './import-freeradius-options.js';
import { registerLeaseImport } from './import-leases.js';

interface TypedOptions {
  readonly database?: string;
  readonly databaseFile?: string;
  readonly users?: string;
  readonly dryRun?: boolean;
  readonly sessions: boolean;
  readonly sessionsOf: readonly string[];
  readonly nasIdentifier: readonly string[];
  readonly sessionLimit: string;
  readonly staleHours: string;
  readonly withoutPools?: boolean;
}

/** A year; whoever waits longer wants every row, h. */
const mostStaleHours = 8_784;

/** Adds `import` with its subcommands. */
export function registerImportCommands(program: Command, context: CommandContext): void {
  const collect = (value: string, before: readonly string[]) => [...before, value];
  const parent = program.command('import').description('take over from another server');
  registerLeaseImport(parent, context);
  parent
    .command('freeradius')
    .description('users, groups, and open sessions of FreeRADIUS; see docs/migration.md')
    .option('--database <url>', 'its PostgreSQL database: postgres://user@host/radius (the password: PGPASSWORD)')
    .option('--database-file <file>', 'a file that holds this URL, password and all')
    .option('--users <file>', 'its users file, in place of a database')
    .option('--dry-run', 'do everything, tell what it comes to, and take it back')
    .option('--no-sessions', 'leave open sessions alone')
    .option('--sessions-of <nas>', 'sessions of this NAS alone; may be repeated', collect, [])
    .option(
      '--nas-identifier <address=name>',
      'NAS-Identifier that the NAS at an address sends; may be repeated',
      collect,
      [],
    )
    .option('--session-limit <number>', 'sessions at once without Simultaneous-Use', String(largestSessionLimit))
    .option('--stale-hours <number>', 'open sessions whose updates ended so long ago are dead', '24')
    .option('--without-pools', 'leave out pools that do not exist here: the NAS gives addresses as it is set up to')
    .action(async (typed: TypedOptions) => {
      const options = await readOptions(context, typed);
      const { FreeradiusImport } = await import('./import-freeradius-run.js');
      await new FreeradiusImport(context, options).go();
    });
}

async function readOptions(context: CommandContext, typed: TypedOptions): Promise<FreeradiusImportOptions> {
  const given = [typed.database, typed.databaseFile, typed.users].filter((one) => one !== undefined);
  if (given.length !== 1)
    throw new UsageError('one source is needed', 'give --database URL, or --database-file FILE, or --users FILE');
  const identifiers = new Map<string, string>();
  for (const pair of typed.nasIdentifier) {
    const match = /^([^=\s]+)=(.+)$/u.exec(pair);
    if (match === null) throw new UsageError(`--nas-identifier is '${pair}'`, 'write ADDRESS=NAME');
    identifiers.set(match[1]!, match[2]!);
  }
  return {
    source: typed.users === undefined ? await databaseOf(context, typed) : { kind: 'users', file: typed.users },
    dryRun: typed.dryRun === true,
    withSessions: typed.sessions,
    sessionsOf: typed.sessionsOf,
    identifiers,
    defaultSessionLimit: parseWholeNumber('--session-limit', typed.sessionLimit, 1, largestSessionLimit),
    staleHours: parseWholeNumber('--stale-hours', typed.staleHours, 1, mostStaleHours),
    withoutPools: typed.withoutPools === true,
  };
}

async function databaseOf(context: CommandContext, typed: TypedOptions): Promise<FreeradiusImportOptions['source']> {
  let url = typed.database;
  if (url === undefined) {
    const { readFile } = await import('node:fs/promises');
    url = (await readFile(typed.databaseFile ?? '', 'utf8')).trim();
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^postgres(?:ql)?:$/u.test(parsed.protocol))
    throw new UsageError(
      'the database is no postgres:// URL',
      'write postgres://user@host/radius; only PostgreSQL is read',
    );
  if (typed.database !== undefined && parsed.password !== '')
    context.remark(
      'a password on the command line is seen by everybody on this machine: better --database-file, or PGPASSWORD',
    );
  return { kind: 'database', url };
}
