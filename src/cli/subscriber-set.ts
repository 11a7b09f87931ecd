/**
 * `subscriber set|delete|restore`.
 *
 * Enters: a login and `key=value` pairs. Leaves: changed rows; the servers follow by themselves.
 * Invariant: all of it happens in one transaction; a flag changes only for a plain `true` or `false`.
 */
import type { PoolClient } from 'pg';
import { withActor } from '../store/actor.js';
import { loadCatalogueIds } from '../store/catalogue.js';
import { lockSubscriber } from '../store/subscriber-queries.js';
import type { SubscriberRow } from '../store/subscriber-queries.js';
import { insertAccount, lockAccount, updateAccount, updateSubscriber } from '../store/subscriber-writes.js';
import type { AccountValues, SubscriberValues } from '../store/subscriber-writes.js';
import {
  parseAddress,
  parseAssignments,
  parseFlag,
  parseMac,
  parseOption82Auth,
  parsePort,
  parsePrefix,
  parseText,
} from './assignments.js';
import type { CommandContext } from './command-context.js';
import { UsageError } from './command-error.js';
import { pickDevice } from './device-pick.js';
import { takePassword } from './password-input.js';
import type { PasswordOptions } from './password-input.js';
import { parseLogin, remarkOnReferences } from './subscriber-add.js';
import { assignableKeys, flagKeys, longestText } from './subscriber-keys.js';
import type { AssignableKey, FlagKey } from './subscriber-keys.js';
import { pickSubscriber } from './subscriber-pick.js';
import { showSubscriberById } from './subscriber-show.js';
import { unknownName } from './unknown-name.js';

type Given = ReadonlyMap<AssignableKey, string>;

/** What one `set` comes to. */
export interface Changes {
  readonly subscriber: SubscriberValues;
  readonly account: AccountValues;
  /** Moves the subscriber to the account of this contract. */
  readonly contract: string | undefined;
}

/** Changes a subscriber and shows it. */
export async function setSubscriber(
  context: CommandContext,
  login: string,
  args: readonly string[],
  options: PasswordOptions,
): Promise<void> {
  const passwordKey = args.find((argument) => argument.startsWith('password='));
  if (passwordKey !== undefined) {
    throw new UsageError(
      'a password is not set as key=value, because everybody sees the arguments',
      'use --password-stdin',
    );
  }
  const given = parseAssignments(args, assignableKeys);
  const changes = await readChanges(context, given);
  const password = await takePassword(context, options, false);
  if (given.size === 0 && password === undefined) {
    throw new UsageError('nothing to set', `give key=value; the keys are ${assignableKeys.join(', ')}`);
  }
  // A deleted subscriber can be brought back and changed in one go; anything else about it would go unnoticed.
  const among = given.get('deleted') === 'false' ? 'any' : 'live';
  const id = await change(context, login, { among }, (row, client) =>
    applyChanges(context, client, row, {
      ...changes,
      subscriber: { ...changes.subscriber, ...(password !== undefined && { password }) },
    }),
  );
  await remarkOnReferences(context, id, {
    address: given.get('ip') === '' ? undefined : given.get('ip'),
    nas: given.get('nas'),
  });
  await showSubscriberById(context, id);
}

/** Marks a subscriber deleted. */
export async function deleteSubscriber(
  context: CommandContext,
  login: string,
  options: { reason?: string },
): Promise<void> {
  const reason = options.reason === undefined ? null : parseText('--reason', options.reason);
  const id = await change(context, login, { among: 'live' }, (row, client) =>
    updateSubscriber(client, row.id, { deleted: true, deleted_reason: reason }),
  );
  await showSubscriberById(context, id);
}

/** Takes a deletion back. */
export async function restoreSubscriber(
  context: CommandContext,
  login: string,
  options: { id?: string },
): Promise<void> {
  const id = await change(context, login, { among: 'deleted', id: options.id }, (row, client) =>
    updateSubscriber(client, row.id, { deleted: false }),
  );
  await showSubscriberById(context, id);
}

async function change(
  context: CommandContext,
  login: string,
  which: { among: 'live' | 'deleted' | 'any'; id?: string | undefined },
  work: (row: SubscriberRow, client: PoolClient) => Promise<unknown>,
): Promise<number> {
  return await withActor(await context.pool(), context.actor, async (client) => {
    const row = await pickSubscriber(client, login, which);
    await lockSubscriber(client, row.id);
    await work(row, client);
    return row.id;
  });
}

async function readChanges(context: CommandContext, given: Given): Promise<Changes> {
  const subscriber: SubscriberValues = {};
  const account: AccountValues = {};
  let contract: string | undefined;
  const ids = given.has('plan') || given.has('pool') ? await loadCatalogueIds(await context.pool()) : undefined;
  for (const [key, value] of given) {
    const nullable = value === '' ? null : value;
    if (key === 'login') subscriber.login = parseLogin(value);
    else if (key === 'ip') subscriber.static_address = nullable === null ? null : parseAddress(key, value);
    else if (key === 'framed_prefix' || key === 'delegated_prefix')
      subscriber[`static_${key}`] = nullable === null ? null : parsePrefix(key, value);
    else if (key === 'mac') subscriber.mac = nullable === null ? null : parseMac(key, value);
    else if (key === 'nas') subscriber.nas_name = nullable === null ? null : parseText(key, value, longestText.nas);
    else if (key === 'device') {
      subscriber.device_id = nullable === null ? null : (await pickDevice(await context.pool(), value)).id;
      // A port is one of a device: whoever is unplugged has none.
      if (nullable === null) subscriber.port ??= null;
    } else if (key === 'port') subscriber.port = nullable === null ? null : parsePort(key, value);
    else if (key === 'option82_auth')
      subscriber.option82_auth = nullable === null ? null : parseOption82Auth(key, value);
    else if (key === 'pool') subscriber.pool_id = nullable === null ? null : named('pool', value, ids?.pools);
    else if (key === 'plan') account.plan_id = nullable === null ? null : named('plan', value, ids?.plans);
    else if (key === 'contract') contract = parseText(key, value, longestText.contract);
    else if (key === 'name' || key === 'phone' || key === 'address') {
      account[key] = nullable === null ? null : parseText(key, value, longestText[key]);
    } else if (key === 'associate_pppoe_mac' || key === 'associate_vpn_ip') subscriber[key] = parseFlag(key, value);
    else if (key === 'account_blocked') {
      account.admin_blocked = parseFlag(key, value);
      // A reason belongs to a state: what ends takes its reason along.
      if (!account.admin_blocked) account.admin_blocked_reason ??= null;
    } else if (isFlag(key)) {
      subscriber[key] = parseFlag(key, value);
      if (!subscriber[key] && key !== 'deleted') subscriber[`${key}_reason`] ??= null;
    }
  }
  if (contract === '') throw new UsageError('the contract is empty', 'give the contract to move to');
  readReasons(given, subscriber, account);
  return { subscriber, account, contract };
}

function isFlag(key: AssignableKey): key is FlagKey {
  return (flagKeys as readonly string[]).includes(key);
}

function named(kind: string, name: string, known: ReadonlyMap<string, number> | undefined): number {
  const id = known?.get(name);
  if (id === undefined) throw unknownName(kind, name, known?.keys() ?? []);
  return id;
}

function readReasons(given: Given, subscriber: SubscriberValues, account: AccountValues): void {
  for (const flag of flagKeys) {
    const reason = given.get(`${flag}_reason`);
    if (reason !== undefined) subscriber[`${flag}_reason`] = reason === '' ? null : parseText(`${flag}_reason`, reason);
  }
  const accountReason = given.get('account_blocked_reason');
  if (accountReason !== undefined) {
    account.admin_blocked_reason = accountReason === '' ? null : parseText('account_blocked_reason', accountReason);
  }
  const reason = given.get('reason');
  if (reason === undefined) return;
  const changed = flagKeys.filter((flag) => given.has(flag));
  if (changed.length === 0 && !given.has('account_blocked')) {
    throw new UsageError(
      'reason= says why a flag changes, and none does',
      `give one of ${flagKeys.join(', ')}, account_blocked`,
    );
  }
  const text = reason === '' ? null : parseText('reason', reason);
  for (const flag of changed) subscriber[`${flag}_reason`] = text;
  if (given.has('account_blocked')) account.admin_blocked_reason = text;
}

async function applyChanges(
  context: CommandContext,
  client: PoolClient,
  row: SubscriberRow,
  changes: Changes,
): Promise<void> {
  const contract = changes.contract ?? row.contract;
  const account = await lockAccount(client, contract);
  const accountId =
    account?.id ?? (await insertAccount(client, contract, { plan_id: row.plan_id, ...changes.account }));
  if (account !== undefined) {
    await updateAccount(client, account.id, changes.account);
    const others = account.subscribers - (contract === row.contract && !row.deleted ? 1 : 0);
    if (changes.account.plan_id !== undefined && others > 0) {
      context.remark(
        `note: the plan is that of the contract ${contract}: ${String(others)} other subscriber(s) get it too`,
      );
    }
  }
  await updateSubscriber(client, row.id, {
    ...changes.subscriber,
    ...(accountId !== row.account_id && { account_id: accountId }),
  });
}
