/**
 * `ip who|free|list`.
 *
 * Enters: an address and an instant, or a pool. Leaves: who had it, or how the addresses stand.
 * Invariant: an answer about the past says its instant and time zone; nothing is guessed from the present.
 */
import type { Command } from 'commander';
import {
  holderAfter,
  holderBefore,
  holdersAt,
  listPoolAddresses,
  poolAddressesOf,
  staticOwnerOf,
} from '../store/address-queries.js';
import type { AssignmentRow, PoolAddressRow, StaticOwnerRow } from '../store/address-queries.js';
import { findPool } from '../store/pool-writes.js';
import { parseAddressOrPrefix, parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { UsageError } from './command-error.js';
import { count, showTime } from './display.js';
import { parseInstant } from './instant.js';
import { parseLimit, printPages } from './pages.js';
import { noPool } from './pool-commands.js';
import { printable } from './printable.js';

const addressStates = ['free', 'reserved', 'offered', 'assigned', 'quarantined'] as const;

/** Free addresses that are listed without `--limit`. */
const defaultFreeRows = 20;

/** Adds `ip` with its subcommands. */
export function registerIpCommands(program: Command, context: CommandContext): void {
  const ip = program.command('ip').description('addresses and IPv6 prefixes: who has or had them, which are free');
  ip.command('who <address>')
    .description('who has an address, or had it at a time')
    .option('--at <time>', "such as '2026-11-02 03:04' in the configured time zone, or ISO 8601 with an offset")
    .action((address: string, options: { at?: string }) => who(context, address, options));
  ip.command('free <pool>')
    .description('how many addresses of a pool are free, and which would be given next')
    .option('--limit <rows>', `list so many (default: ${String(defaultFreeRows)})`)
    .action((pool: string, options: { limit?: string }) => free(context, pool, options));
  ip.command('list')
    .description('list addresses of pools that are not free')
    .option('--pool <pool>')
    .option('--state <state>', `one of ${addressStates.join(', ')}`)
    .option('--limit <rows>', 'at most so many; 0 for all')
    .action((options: { pool?: string; state?: string; limit?: string }) => list(context, options));
}

/** The answer of `ip who`. */
interface WhoAnswer {
  readonly address: string;
  readonly at: Date;
  readonly time_zone: string;
  /** Whether the answer is about now. */
  readonly present: boolean;
  /** The one who had it, null for nobody, and null when several routing domains have it. */
  readonly login: string | null;
  readonly subscriber_id: number | null;
  readonly holders: readonly AssignmentRow[];
  /** The last hold before and the first after, when nobody had it. */
  readonly before: AssignmentRow | null;
  readonly after: AssignmentRow | null;
  /** How it stands in its pools; only in an answer about now. */
  readonly pool_addresses: readonly PoolAddressRow[];
  readonly static_owner: StaticOwnerRow | null;
}

async function who(context: CommandContext, text: string, options: { at?: string }): Promise<void> {
  const address = parseAddressOrPrefix('the address', text);
  const zone = await context.timeZone();
  const nowMs = context.io.nowMs();
  const at = options.at === undefined ? new Date(nowMs) : parseInstant(options.at, zone, nowMs);
  if (at.getTime() > nowMs) {
    throw new UsageError(
      `${showTime(at, zone)} (${zone}) is in the future`,
      'ask about the past, or leave --at out for now',
    );
  }
  const pool = await context.pool();
  const holders = await holdersAt(pool, address, at);
  const nobody = holders.length === 0;
  const present = options.at === undefined || options.at === 'now';
  const only = holders.length === 1 ? holders[0] : undefined;
  const answer: WhoAnswer = {
    address,
    at,
    time_zone: zone,
    present,
    login: only?.login ?? null,
    subscriber_id: only?.subscriber_id ?? null,
    holders,
    before: nobody ? ((await holderBefore(pool, address, at)) ?? null) : null,
    after: nobody && !present ? ((await holderAfter(pool, address, at)) ?? null) : null,
    pool_addresses: present ? await poolAddressesOf(pool, address) : [],
    static_owner: present ? ((await staticOwnerOf(pool, address)) ?? null) : null,
  };
  if (context.json) await context.printJson(answer);
  else await context.print(describe(answer).map(printable).join('\n'));
}

function describe(answer: WhoAnswer): string[] {
  const time = (at: Date | null) => showTime(at, answer.time_zone);
  const lines = [`${answer.address} at ${time(answer.at)} (${answer.time_zone})`];
  for (const holder of answer.holders) {
    const domain = holder.routing_domain === 'default' ? '' : ` in ${holder.routing_domain}`;
    const what = holder.kind === 'ipv4' ? 'it' : holder.address;
    const had = answer.present
      ? `has ${what}${domain} since ${time(holder.started_at)}`
      : `had ${what}${domain} from ${time(holder.started_at)} ${holder.ended_at === null ? 'and still has it' : `until ${time(holder.ended_at)}`}`;
    lines.push(`${personOf(holder)} ${had}`);
    lines.push(`  NAS ${holder.nas_name}${holder.mac === null ? '' : `, MAC ${holder.mac}`}${endOf(holder)}`);
  }
  if (answer.holders.length === 0) {
    lines.push(answer.present ? 'nobody has it' : 'nobody had it');
    if (answer.before !== null)
      lines.push(`  before: ${personOf(answer.before)} until ${time(answer.before.ended_at)}`);
    if (answer.after !== null) lines.push(`  after: ${personOf(answer.after)} from ${time(answer.after.started_at)}`);
  }
  for (const row of answer.pool_addresses)
    lines.push(
      `pool ${row.pool}: ${row.address.includes('/') ? `${row.address} ` : ''}${describePoolAddress(row, answer.time_zone)}`,
    );
  if (answer.static_owner !== null) {
    const owner = answer.static_owner;
    lines.push(
      `static ${answer.address.includes(':') ? 'prefix' : 'address'} of ${owner.login} (contract ${owner.contract})${owner.deleted ? ', who is deleted and still online' : ''}`,
    );
  }
  return lines;
}

function personOf(holder: AssignmentRow): string {
  const details = [
    holder.contract === null ? '' : `contract ${holder.contract}`,
    holder.name ?? '',
    holder.phone ?? '',
    holder.subscriber_id === null ? 'unknown to us' : '',
  ].filter((text) => text !== '');
  return details.length === 0 ? holder.login : `${holder.login} (${details.join(', ')})`;
}

function endOf(holder: AssignmentRow): string {
  return holder.end_cause === null ? '' : `, ended by ${holder.end_cause}`;
}

/** How one address of a pool stands, in words. */
export function describePoolAddress(row: PoolAddressRow, zone: string): string {
  const login = row.login ?? (row.subscriber_id === null ? 'nobody' : `subscriber ${String(row.subscriber_id)}`);
  const since = showTime(row.since, zone);
  const until = showTime(row.until_at, zone);
  switch (row.state) {
    case 'free':
      return row.subscriber_id === null
        ? `free since ${since}`
        : `free since ${since}, kept for ${login} as long as others are free`;
    case 'reserved':
      return `reserved by ${row.instance ?? 'an unknown instance'} since ${since}`;
    case 'offered':
      return `offered to ${login} until ${until}`;
    case 'assigned':
      return `assigned to ${login} since ${since}`;
    case 'quarantined':
      return `quarantined until ${until}${row.subscriber_id === null ? '' : `, last used by ${login}`}`;
  }
}

const firstAddress = { routingDomain: '', address: '0.0.0.0' };

async function free(context: CommandContext, name: string, options: { limit?: string }): Promise<void> {
  const database = await context.pool();
  const pool = await findPool(database, name);
  if (pool === undefined) throw await noPool(context, name);
  const limit =
    options.limit === undefined ? defaultFreeRows : parseWholeNumber('--limit', options.limit, 0, 1_048_576);
  const rows = await listPoolAddresses(database, { poolId: pool.id, states: ['free'] }, firstAddress, limit);
  if (context.json) {
    await context.printJson({ ...pool, free_addresses: rows.map((row) => row.address) });
    return;
  }
  const used = pool.addresses - pool.free;
  await context.print(
    printable(
      `${pool.name}: ${String(pool.free)} of ${count(pool.addresses, 'address', 'addresses')} free; ${String(pool.assigned)} assigned, ` +
        `${String(pool.offered)} offered, ${String(pool.reserved)} reserved, ${String(pool.quarantined)} quarantined (${String(used)} in all)`,
    ),
  );
  for (const row of rows)
    await context.print(printable(`${row.address}${row.login === null ? '' : `  last used by ${row.login}`}`));
  if (pool.free > rows.length && rows.length > 0)
    context.remark(`the first ${String(rows.length)} of them; --limit shows more`);
}

async function list(
  context: CommandContext,
  options: { pool?: string; state?: string; limit?: string },
): Promise<void> {
  const states =
    options.state === undefined ? addressStates.filter((state) => state !== 'free') : [parseState(options.state)];
  const database = await context.pool();
  const pool = options.pool === undefined ? undefined : await findPool(database, options.pool);
  if (options.pool !== undefined && pool === undefined) throw await noPool(context, options.pool);
  const zone = await context.timeZone();
  await printPages<PoolAddressRow>(context, {
    limit: parseLimit(context, options.limit),
    noun: 'address',
    page: (after, rows) =>
      listPoolAddresses(
        database,
        { ...(pool !== undefined && { poolId: pool.id }), states },
        after === undefined ? firstAddress : { routingDomain: after.routing_domain, address: after.address },
        rows,
      ),
    columns: [
      { title: 'ADDRESS', value: (row) => row.address },
      { title: 'POOL', value: (row) => row.pool },
      { title: 'STATE', value: (row) => row.state },
      { title: 'LOGIN', value: (row) => row.login },
      { title: 'SINCE', value: (row) => showTime(row.since, zone) },
      { title: 'UNTIL', value: (row) => showTime(row.until_at, zone) },
      { title: 'INSTANCE', value: (row) => row.instance },
    ],
  });
}

function parseState(text: string): (typeof addressStates)[number] {
  const state = addressStates.find((one) => one === text);
  if (state === undefined)
    throw new UsageError(`there is no state '${text}'`, `write one of ${addressStates.join(', ')}`);
  return state;
}
