/**
 * `subscriber list`.
 *
 * Enters: filters. Leaves: a table, or a JSON array that is written as it is read.
 * Invariant: memory holds one page, however many subscribers there are.
 */
import { listSubscribers } from '../store/subscriber-queries.js';
import type { SubscriberFilter, SubscriberRow } from '../store/subscriber-queries.js';
import { parseText } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { parseLimit, printPages } from './pages.js';
import { stateOf } from './subscriber-show.js';

/** The options of `subscriber list`, as typed. */
export interface ListOptions {
  readonly search?: string;
  readonly plan?: string;
  readonly nas?: string;
  readonly online?: boolean;
  readonly offline?: boolean;
  readonly redirect?: boolean;
  readonly ownDisabled?: boolean;
  readonly adminBlocked?: boolean;
  readonly deleted?: boolean;
  readonly withDeleted?: boolean;
  readonly limit?: string;
}

/** Lists subscribers by id. */
export async function listAllSubscribers(context: CommandContext, options: ListOptions): Promise<void> {
  const filter = filterOf(options);
  const pool = await context.pool();
  const nowMs = context.io.nowMs();
  await printPages(context, {
    limit: parseLimit(context, options.limit),
    noun: 'subscriber',
    page: (after: SubscriberRow | undefined, rows) => listSubscribers(pool, filter, after?.id ?? 0, rows),
    json: (row) => ({ ...row, state: stateOf(row, nowMs) }),
    columns: [
      { title: 'LOGIN', value: (row) => row.login },
      { title: 'CONTRACT', value: (row) => row.contract },
      { title: 'NAME', value: (row) => row.name },
      { title: 'PLAN', value: (row) => row.plan },
      { title: 'STATE', value: (row) => stateOf(row, nowMs) },
      { title: 'ONLINE', value: (row) => (row.logged ? 'yes' : '') },
      { title: 'ADDRESS', value: (row) => row.static_address },
      { title: 'MAC', value: (row) => row.mac },
      { title: 'NAS', value: (row) => row.nas_name },
    ],
  });
}

function filterOf(options: ListOptions): SubscriberFilter {
  if (options.online === true && options.offline === true)
    throw new UsageError('nobody is online and offline', 'choose one');
  const flags = [
    options.redirect === true ? ('redirect' as const) : undefined,
    options.ownDisabled === true ? ('own_disabled' as const) : undefined,
    options.adminBlocked === true ? ('admin_blocked' as const) : undefined,
  ].filter((flag) => flag !== undefined);
  if (flags.length > 1)
    throw new CommandError('only one of --redirect, --own-disabled, --admin-blocked can be asked for');
  const logged = options.online === true ? true : options.offline === true ? false : undefined;
  return {
    ...(options.deleted === true && { deleted: 'only' as const }),
    ...(options.withDeleted === true && { deleted: 'with' as const }),
    ...(logged !== undefined && { logged }),
    ...(flags[0] !== undefined && { flag: flags[0] }),
    ...(options.plan !== undefined && { plan: parseText('--plan', options.plan) }),
    ...(options.nas !== undefined && { nas: parseText('--nas', options.nas) }),
    ...(options.search !== undefined && { text: parseText('--search', options.search) }),
  };
}
