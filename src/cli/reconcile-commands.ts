/**
 * `reconcile`: what NASes have beside what they should have.
 *
 * Enters: which NASes, whether it is only tried. Leaves: a report of each, and marks by which the servers mend. Invariant: this command reads NASes and writes
 * to the database; only the server that owns a NAS tells it anything.
 */
import type { Command } from 'commander';
import type { NasEntry } from '../config/config.js';
import { type Finding, findingKinds } from '../domain/reconcile.js';
import type { CompiledProfile } from '../nas/profile.js';
import type { ReconcileReport } from '../store/reconcile-rows.js';
import { parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { count } from './display.js';
import { printable } from './printable.js';
import { unknownName } from './unknown-name.js';

/** Findings of one NAS that are shown without `--limit`. */
const defaultRows = 50;
const mostRows = 1_000_000;

interface ReconcileCommandOptions {
  readonly dryRun?: boolean;
  readonly nas?: string;
  readonly limit?: string;
}

/** Adds `reconcile`. */
export function registerReconcileCommand(program: Command, context: CommandContext): void {
  program
    .command('reconcile')
    .description('compare what NASes have with what they should have, and mend what differs')
    .option('--dry-run', 'only tell what differs')
    .option('--nas <name>', 'only this one')
    .option('--limit <rows>', `show at most so many differences of each (default: ${String(defaultRows)})`)
    .action((options: ReconcileCommandOptions) => reconcile(context, options));
}

async function reconcile(context: CommandContext, options: ReconcileCommandOptions): Promise<void> {
  const rows = options.limit === undefined ? defaultRows : parseWholeNumber('--limit', options.limit, 0, mostRows);
  const config = await context.config();
  const chosen = await chooseNases(context, options.nas);
  const { reconcileNas } = await import('../workers/reconciler.js');
  const { openListing } = await import('./nas-listing.js');
  const pool = await context.pool();
  const reports: ReconcileReport[] = [];
  for (const { entry, profile } of chosen) {
    const listing = openListing(context, entry, profile);
    // What is only observed is compared all the same: that is how somebody finds out what enforcing would change.
    const dryRun = options.dryRun === true || entry.mode === 'observe';
    try {
      const limit = config.enforcement.reconcileLimit;
      reports.push(await reconcileNas(pool, listing, { by: context.actor, dryRun, limit }));
    } finally {
      await listing.stop();
    }
  }
  if (context.json) await context.printJson(reports.map(plainReport));
  else for (const report of reports) await present(context, report, rows);
  const failed = reports.filter(({ error }) => error !== null);
  if (failed.length > 0)
    throw new CommandError(
      `${failed.map(({ nasName }) => nasName).join(', ')} could not be asked`,
      'see: sluice nas test NAME',
    );
}

async function chooseNases(
  context: CommandContext,
  name: string | undefined,
): Promise<readonly { readonly entry: NasEntry; readonly profile: CompiledProfile }[]> {
  const config = await context.config();
  const { compileAllProfiles } = await import('./configuration-check.js');
  const { canList } = await import('../nas/profile-words.js');
  const profiles = compileAllProfiles(config);
  const named = name === undefined ? config.nas : config.nas.filter((entry) => entry.name === name);
  if (name !== undefined && named.length === 0)
    throw unknownName(
      'NAS',
      name,
      config.nas.map((entry) => entry.name),
    );
  const able = named.flatMap((entry) => {
    const profile = profiles.get(entry.profile);
    return profile !== undefined && canList(profile) ? [{ entry, profile }] : [];
  });
  if (able.length === 0)
    throw new CommandError(
      name === undefined ? 'no NAS can list what it has' : `${name} cannot list what it has`,
      'a profile whose place is provisioned says how, in command.users_from_nas',
    );
  return able;
}

function plainReport(report: ReconcileReport): Record<string, unknown> {
  return {
    nas: report.nasName,
    dry_run: report.dryRun,
    error: report.error,
    listed: report.listed,
    wanted: report.wanted,
    counts: report.counts,
    mended: report.mended,
    beyond_limit: report.beyondLimit,
    findings: report.findings.map(({ kind, subscriberId, login, address, text, mend }) => ({
      kind,
      subscriber_id: subscriberId,
      login,
      address,
      text,
      mend: mend.by,
    })),
  };
}

async function present(context: CommandContext, report: ReconcileReport, rows: number): Promise<void> {
  const { nasName, error, listed, wanted, counts, findings } = report;
  if (error !== null) {
    await context.print(printable(`${nasName}: ${error}`));
    return;
  }
  const kinds = findingKinds.flatMap((kind) => (counts[kind] === 0 ? [] : [`${String(counts[kind])} ${kind}`]));
  await context.print(
    printable(
      `${nasName}: lists ${count(listed, 'entry', 'entries')}, should have ${String(wanted)}: ${kinds.join(', ') || 'nothing differs'}${done(report)}`,
    ),
  );
  if (findings.length === 0 || rows === 0) return;
  const { drawTable } = await import('./table.js');
  await context.print(
    drawTable<Finding>(
      [
        { title: 'DIFFERENCE', value: ({ kind }) => kind },
        { title: 'LOGIN', value: ({ login }) => login },
        { title: 'ADDRESS', value: ({ address }) => address },
        { title: 'WHAT', value: ({ text }) => text },
        { title: 'MENDED BY', value: ({ mend }) => mend.by },
      ],
      findings.slice(0, rows),
      context.columns,
    ),
  );
  if (findings.length > rows) await context.print(`(${String(findings.length - rows)} more: --limit)`);
}

function done({ dryRun, mended, beyondLimit }: ReconcileReport): string {
  const rest =
    beyondLimit === 0 ? '' : `, ${String(beyondLimit)} are too many for one run (enforcement.reconcile_limit)`;
  if (dryRun) return `; nothing was changed${rest}`;
  return mended === 0 ? rest : `; ${String(mended)} are being mended${rest}`;
}
