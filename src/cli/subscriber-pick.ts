/**
 * From what a person calls a subscriber to one row.
 *
 * Enters: a login, perhaps an id. Leaves: one subscriber, or an error that helps to find the right one.
 * Invariant: with several deleted ones of one login nobody is guessed at when something is about to change.
 */
import type { Pool, PoolClient } from 'pg';
import { findSubscribers, similarLogins } from '../store/subscriber-queries.js';
import type { SubscriberRow } from '../store/subscriber-queries.js';
import { nearestKey } from '../config/nearest-key.js';
import { parseWholeNumber } from './assignments.js';
import { CommandError } from './command-error.js';

/** Which of several subscribers with one login is meant. */
export interface PickOptions {
  /** As typed. */
  readonly id?: string | undefined;
  /** `live`: not deleted; `deleted`: the opposite; `any`: the one that is not deleted, else the latest deleted. */
  readonly among: 'live' | 'deleted' | 'any';
}

/**
 * Finds one subscriber.
 *
 * @throws CommandError when there is none, or several deleted ones and no id
 */
export async function pickSubscriber(
  client: Pool | PoolClient,
  login: string,
  options: PickOptions,
): Promise<SubscriberRow> {
  const rows = login.includes('\0') ? [] : await findSubscribers(client, login);
  const id = options.id === undefined ? undefined : parseWholeNumber('--id', options.id, 1, Number.MAX_SAFE_INTEGER);
  const suitable = rows.filter(
    (row) =>
      (id === undefined || row.id === id) && (options.among === 'any' || row.deleted === (options.among === 'deleted')),
  );
  const [first, second] = suitable;
  if (first === undefined) throw await nobody(client, login, rows, options, id);
  if (options.among === 'deleted' && second !== undefined) {
    throw new CommandError(
      `${String(suitable.length)} deleted subscribers have the login '${login}'`,
      `say which with --id: ${suitable.map((row) => `${String(row.id)} (contract ${row.contract})`).join(', ')}`,
    );
  }
  return first;
}

async function nobody(
  client: Pool | PoolClient,
  login: string,
  rows: readonly SubscriberRow[],
  options: PickOptions,
  id: number | undefined,
): Promise<CommandError> {
  if (rows.length > 0 && id !== undefined) {
    return new CommandError(
      `no subscriber '${login}' has the id ${String(id)}`,
      `there are ${rows.map((row) => row.id).join(', ')}`,
    );
  }
  if (rows.length > 0 && options.among === 'live') {
    return new CommandError(
      `the subscriber '${login}' is deleted`,
      `bring it back with: sluice subscriber restore ${login}`,
    );
  }
  if (rows.length > 0 && options.among === 'deleted')
    return new CommandError(`the subscriber '${login}' is not deleted`);
  const near = login.includes('\0') ? undefined : nearestKey(login, await similarLogins(client, login));
  return new CommandError(
    `there is no subscriber '${login}'`,
    near === undefined ? 'look with: sluice subscriber list --search TEXT' : `did you mean ${near}?`,
  );
}
