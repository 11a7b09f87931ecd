/**
 * `hold list|release`: what the fuse holds.
 *
 * Enters: how many may pass. Leaves: the fuse as it stands, who waits, a release.
 * Invariant: a release lets go on what is held at that moment, or as many as were named, and nothing beyond.
 */
import type { Command } from 'commander';
import { listHeld, readFuse, RELEASE_MS, releaseHold } from '../store/fuse-rows.js';
import type { FuseView, HeldRow } from '../store/fuse-rows.js';
import { parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { count, showDuration, showTime } from './display.js';

/** Rows of one answer. */
const mostRows = 100_000;
const defaultRows = 50;
/** No database has more subscribers. */
const mostSubscribers = 100_000_000;

/** Adds `hold` with its subcommands. */
export function registerHoldCommands(program: Command, context: CommandContext): void {
  const hold = program
    .command('hold')
    .description('blocks, redirects and slower rates that wait because there are too many');
  hold
    .command('list')
    .description('the fuse, and whom it holds')
    .option('--limit <rows>', `at most so many (default: ${String(defaultRows)})`)
    .action((options: { limit?: string }) => list(context, options));
  hold
    .command('release')
    .description('let what is held go on')
    .option('--for <subscribers>', 'so many subscribers within the next hour, instead of those that are held now')
    .action((options: { for?: string }) => release(context, options));
}

async function list(context: CommandContext, options: { limit?: string }): Promise<void> {
  const limit = options.limit === undefined ? defaultRows : parseWholeNumber('--limit', options.limit, 1, mostRows);
  const pool = await context.pool();
  const fuse = await readFuse(pool);
  const rows = await listHeld(pool, limit);
  if (context.json) {
    await context.printJson({
      held_at: fuse.heldAt,
      reason: fuse.reason,
      released_at: fuse.releasedAt,
      released_by: fuse.releasedBy,
      allowance: fuse.allowance,
      allowance_until: fuse.allowanceUntil,
      held_subscribers: fuse.heldSubscribers,
      held: rows,
    });
    return;
  }
  const zone = await context.timeZone();
  await context.print(sentence(fuse, zone));
  if (rows.length === 0) return;
  const { drawTable } = await import('./table.js');
  await context.print(
    drawTable<HeldRow>(
      [
        { title: 'LOGIN', value: (row) => row.login },
        { title: 'CONTRACT', value: (row) => row.contract },
        { title: 'NAS', value: (row) => row.nas_name },
        { title: 'WOULD BE', value: (row) => stateWords(row.desired) },
        { title: 'IS', value: (row) => stateWords(row.applied) },
      ],
      rows,
      context.columns,
    ),
  );
}

function sentence(fuse: FuseView, zone: string): string {
  if (fuse.heldAt === null) {
    const left = fuse.allowance > 0 ? `; ${count(fuse.allowance, 'subscriber', 'subscribers')} more may pass` : '';
    return `nothing is held${left}`;
  }
  const { reason } = fuse;
  const why = reason === null ? '' : ` (${String(reason.tightened)} of at most ${String(reason.limit)} had passed)`;
  const who = count(fuse.heldSubscribers, 'subscriber', 'subscribers');
  return `held since ${showTime(fuse.heldAt, zone)}${why}: ${who}; let them go on with: sluice hold release`;
}

/** What a stored state means, in the words of flags. */
function stateWords(state: unknown): string {
  if (typeof state !== 'object' || state === null || !('present' in state)) return 'unknown';
  if (state.present !== true) return 'absent';
  const flags: readonly (readonly [key: string, word: string])[] = [
    ['blocked', 'blocked'],
    ['ownDisabled', 'voluntarily blocked'],
    ['redirect', 'redirected'],
  ];
  const words = flags.flatMap(([key, word]) => ((state as Record<string, unknown>)[key] === true ? [word] : []));
  return words.length === 0 ? 'served' : words.join(', ');
}

async function release(context: CommandContext, options: { for?: string }): Promise<void> {
  const subscribers =
    options.for === undefined ? undefined : parseWholeNumber('--for', options.for, 1, mostSubscribers);
  const released = await releaseHold(await context.pool(), context.actor, subscribers);
  if (context.json) await context.printJson({ released_subscribers: released });
  else
    await context.print(
      `released: ${count(released, 'subscriber', 'subscribers')} may pass within ${showDuration(RELEASE_MS / 1000)}`,
    );
}
