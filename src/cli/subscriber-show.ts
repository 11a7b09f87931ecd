/**
 * `subscriber show`.
 *
 * Enters: a login. Leaves: what is known about one subscriber, for people or as JSON.
 * Invariant: the password is never shown, only the form it is stored in.
 */
import { policyState } from '../domain/subscriber.js';
import type { PolicyState } from '../domain/subscriber.js';
import { addressesOf } from '../store/address-queries.js';
import type { AssignmentRow, PoolAddressRow } from '../store/address-queries.js';
import { listLiveSessions } from '../store/session-queries.js';
import type { SessionRow } from '../store/session-queries.js';
import { findSubscriberById, listPeriods, ownBlockNext } from '../store/subscriber-queries.js';
import type { PeriodRow, SubscriberRow } from '../store/subscriber-queries.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { showDuration, showOctets, showTime } from './display.js';
import { pickSubscriber } from './subscriber-pick.js';

/** No subscriber has more sessions than a plan allows, 64; twice that shows what should not be. */
const mostSessions = 128;

/** Shows the subscriber of a login: the one that is not deleted, else the latest deleted. */
export async function showSubscriber(context: CommandContext, login: string, options: { id?: string }): Promise<void> {
  const row = await pickSubscriber(await context.pool(), login, { among: 'any', id: options.id });
  await present(context, row);
}

/** Shows a subscriber by id. */
export async function showSubscriberById(context: CommandContext, id: number): Promise<void> {
  const row = await findSubscriberById(await context.pool(), id);
  if (row === undefined) throw new CommandError(`there is no subscriber with the id ${String(id)}`);
  await present(context, row);
}

/** The policy state of a row, by the same rule that the server uses. */
export function stateOf(row: SubscriberRow, nowMs: number): PolicyState {
  return policyState(
    {
      deleted: row.deleted,
      redirect: row.redirect,
      ownDisabled: row.own_disabled,
      adminBlocked: row.admin_blocked,
    },
    { adminBlocked: row.account_admin_blocked },
    row.plan_id === null
      ? undefined
      : {
          active: row.plan_active ?? false,
          validFromMs: row.plan_valid_from?.getTime(),
          validUntilMs: row.plan_valid_until?.getTime(),
        },
    nowMs,
  );
}

async function present(context: CommandContext, row: SubscriberRow): Promise<void> {
  const pool = await context.pool();
  const state = stateOf(row, context.io.nowMs());
  const { assignments, poolAddresses } = await addressesOf(pool, row.id);
  const sessions = await listLiveSessions(pool, { subscriberId: row.id }, 0, mostSessions);
  const [period] = await listPeriods(pool, row.id, 1);
  if (context.json) {
    await context.printJson({
      ...row,
      state,
      addresses: assignments.map((assignment) => assignment.address),
      assignments,
      pool_addresses: poolAddresses,
      sessions,
      period: period?.closed_at === null ? period : null,
    });
    return;
  }
  const { drawFields } = await import('./table.js');
  const zone = await context.timeZone();
  await context.print(
    drawFields(
      [
        ...personFields(row, zone),
        ...networkFields(row, state, assignments, poolAddresses, zone),
        ...usageFields(sessions, period, zone),
      ],
      context.columns,
    ),
  );
}

type Field = readonly [string, string | number | null | undefined];

function personFields(row: SubscriberRow, zone: string): Field[] {
  return [
    ['login', row.login],
    ['id', row.id],
    ['contract', row.contract],
    ['name', row.name],
    ['phone', row.phone],
    ['address', row.address],
    ['created', showTime(row.created_at, zone)],
    ['deleted', row.deleted ? `${showTime(row.deleted_at, zone)}${because(row.deleted_reason)}` : null],
    ['released', showTime(row.released_at, zone)],
  ];
}

function because(reason: string | null): string {
  return reason === null || reason === '' ? '' : `: ${reason}`;
}

/** The flags that are set, with their reasons. */
export function flagTexts(row: SubscriberRow): string[] {
  return [
    row.admin_blocked ? `admin_blocked${because(row.admin_blocked_reason)}` : '',
    row.account_admin_blocked ? `account blocked${because(row.account_admin_blocked_reason)}` : '',
    row.own_disabled ? `own_disabled${because(row.own_disabled_reason)}` : '',
    row.redirect ? `redirect${because(row.redirect_reason)}` : '',
  ].filter((text) => text !== '');
}

/** What the limits of voluntary blocks come to; null: nothing to tell. */
function ownBlockText(row: SubscriberRow, zone: string): string | null {
  const next = ownBlockNext(row);
  if (next.kind === 'none') return null;
  const at = showTime(next.at, zone);
  return next.kind === 'ends' ? `ends by itself at ${at}` : `the next one from ${at} on`;
}

function networkFields(
  row: SubscriberRow,
  state: PolicyState,
  assignments: readonly AssignmentRow[],
  poolAddresses: readonly PoolAddressRow[],
  zone: string,
): Field[] {
  const held = new Set(assignments.map((assignment) => assignment.address));
  const others = poolAddresses.filter((address) => !held.has(address.address));
  return [
    ['state', state],
    ['flags', flagTexts(row).join('; ')],
    ['voluntary block', ownBlockText(row, zone)],
    ['online', row.logged ? 'yes' : 'no'],
    ['plan', row.plan],
    ['password', row.password_form ?? 'none'],
    ['mac', row.mac === null ? null : `${row.mac}${row.associate_pppoe_mac ? ' (only this one)' : ''}`],
    ['nas', row.nas_name],
    ['device', row.device],
    ['port', row.port],
    ['known by option 82', row.option82_auth],
    ['static address', row.static_address],
    ['static framed prefix', row.static_framed_prefix],
    ['static delegated prefix', row.static_delegated_prefix],
    ['pool', row.pool],
    ['has now', [...held].join(' ')],
    [
      'remembered',
      others.map((address) => `${address.address} (${address.state === 'free' ? 'sticky' : address.state})`).join(' '),
    ],
  ];
}

function usageFields(sessions: readonly SessionRow[], period: PeriodRow | undefined, zone: string): Field[] {
  return [
    ...sessions.map((session): Field => [
      'session',
      `${session.nas_name} ${session.address ?? ''} since ${showTime(session.started_at, zone)}, ${showDuration(session.session_seconds)}, in ${showOctets(session.input_octets)}, out ${showOctets(session.output_octets)}${session.suspect ? ', suspect' : ''}`,
    ]),
    [
      'period',
      period?.closed_at === null
        ? `since ${showTime(period.opened_at, zone)}${period.plan === null ? '' : ` under ${period.plan}`}, in ${showOctets(period.input_octets)}, out ${showOctets(period.output_octets)}`
        : null,
    ],
  ];
}
