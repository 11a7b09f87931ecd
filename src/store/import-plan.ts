/**
 * What one batch of an import would change.
 *
 * Enters: the rows of the file, and what the database holds about the same logins, contracts and addresses. Leaves: accounts
 * and subscribers to add and to change, and rows that cannot be written. Invariant: deciding is pure; only `readBatch` reads.
 */
import type { PoolClient } from 'pg';
import type { ImportColumn, ImportRow, ImportValue } from './import-columns.js';

/** How passwords of the file and of the database are compared and stored; the store itself knows no cryptography. */
export interface ImportPasswords {
  /** Whether a stored text already is this password. */
  readonly matches: (stored: string, given: string) => boolean;
  /** The text to store. */
  readonly store: (given: string) => string;
}

/** What is wrong with a row before the database is asked. */
export type RowFault =
  | { readonly kind: 'address-taken'; readonly address: string; readonly by: string }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'no-device' | 'several-devices'; readonly device: string };

/** What the database holds about a batch. */
export interface BatchWorld {
  readonly subscribers: ReadonlyMap<string, HeldSubscriber>;
  readonly accounts: ReadonlyMap<string, HeldAccount>;
  /** Owners of the static addresses that the batch wants. */
  readonly owners: ReadonlyMap<string, { readonly id: number; readonly login: string }>;
}

interface HeldSubscriber {
  readonly id: number;
  readonly contract: string;
  readonly values: Readonly<Record<string, ImportValue>>;
}

interface HeldAccount {
  readonly id: number;
  readonly values: Readonly<Record<string, ImportValue>>;
}

/** An account to add (`id` undefined) or to change. */
export interface AccountWrite {
  id: number | undefined;
  readonly contract: string;
  readonly values: Map<string, ImportValue>;
}

/** A subscriber to add (`id` undefined) or to change. */
export interface SubscriberWrite {
  readonly id: number | undefined;
  readonly login: string;
  readonly contract: string;
  readonly values: ReadonlyMap<string, ImportValue>;
}

/** Everything that is to be written, and the rows that are not. */
export interface BatchPlan {
  readonly accounts: readonly AccountWrite[];
  readonly subscribers: readonly SubscriberWrite[];
  /** Ids by contract of accounts that exist already. */
  readonly accountIds: Map<string, number>;
  /** Subscribers whose static address goes to another row of the same batch: cleared first. */
  readonly clearAddressOf: readonly number[];
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly faults: readonly { line: number; login: string; fault: RowFault }[];
}

type ColumnsAndPasswords = { readonly columns: readonly ImportColumn[]; readonly passwords: ImportPasswords };

/** Reads what the database holds about the rows: three statements. */
export async function readBatch(
  client: PoolClient,
  rows: readonly ImportRow[],
  settings: ColumnsAndPasswords,
): Promise<BatchWorld> {
  const subscriberColumns = settings.columns.filter((column) => column.table === 'subscriber');
  const accountColumns = settings.columns.filter((column) => column.table === 'account');
  const subscribers = new Map<string, HeldSubscriber>();
  const accounts = new Map<string, HeldAccount>();
  const found = await client.query<
    Record<string, ImportValue> & { id: number; login: string; contract: string; account_id: number }
  >(
    `SELECT DISTINCT ON (s.login) s.id, s.login, a.contract, a.id AS account_id, s.deleted,
            host(s.static_address) AS static_address
            ${subscriberColumns.map((column) => `, ${readText(column, 's')}`).join('')}
            ${accountColumns.map((column) => `, ${readText(column, 'a', 'account_')}`).join('')}
       FROM subscriber s JOIN account a ON a.id = s.account_id
      WHERE s.login = ANY ($1::text[]) ORDER BY s.login, s.deleted, s.id DESC`,
    [rows.map((row) => row.login)],
  );
  for (const row of found.rows) {
    subscribers.set(row.login, { id: row.id, contract: row.contract, values: row });
    accounts.set(row.contract, { id: row.account_id, values: accountValues(accountColumns, row, 'account_') });
  }
  const contracts = new Set(
    rows.map((row) => contractOf(row, subscribers.get(row.login))).filter((contract) => !accounts.has(contract)),
  );
  if (contracts.size > 0) {
    const more = await client.query<Record<string, ImportValue> & { id: number; contract: string }>(
      `SELECT a.id, a.contract ${accountColumns.map((column) => `, ${readText(column, 'a')}`).join('')}
         FROM account a WHERE a.contract = ANY ($1::text[])`,
      [[...contracts]],
    );
    for (const row of more.rows)
      accounts.set(row.contract, { id: row.id, values: accountValues(accountColumns, row, '') });
  }
  return { subscribers, accounts, owners: await readOwners(client, rows) };
}

function readText(column: ImportColumn, alias: string, prefix = ''): string {
  const value =
    column.type === 'inet'
      ? `host(${alias}.${column.name})`
      : column.type === 'macaddr' || column.type === 'cidr'
        ? `${alias}.${column.name}::text`
        : `${alias}.${column.name}`;
  return `${value} AS ${prefix}${column.name}`;
}

function accountValues(
  columns: readonly ImportColumn[],
  row: Readonly<Record<string, ImportValue>>,
  prefix: string,
): Record<string, ImportValue> {
  return Object.fromEntries(columns.map((column) => [column.name, row[`${prefix}${column.name}`] ?? null]));
}

async function readOwners(client: PoolClient, rows: readonly ImportRow[]) {
  const wanted = rows.map((row) => row.values.get('static_address')).filter((address) => typeof address === 'string');
  const owners = new Map<string, { id: number; login: string }>();
  if (wanted.length === 0) return owners;
  const held = await client.query<{ id: number; login: string; address: string }>(
    `SELECT id, login, host(static_address) AS address FROM subscriber
      WHERE static_address = ANY ($1::inet[]) AND released_at IS NULL`,
    [wanted],
  );
  for (const { id, login, address } of held.rows) owners.set(address, { id, login });
  return owners;
}

function contractOf(row: ImportRow, held: HeldSubscriber | undefined): string {
  return row.contract ?? held?.contract ?? row.login;
}

/** Decides what a batch changes. Every login occurs once in it. */
export function planBatch(world: BatchWorld, rows: readonly ImportRow[], settings: ColumnsAndPasswords): BatchPlan {
  const faults: { line: number; login: string; fault: RowFault }[] = [];
  const undeleted = rows.filter((row) => {
    const isFault =
      world.subscribers.get(row.login)?.values['deleted'] === true && (row.values.get('deleted') ?? null) === null;
    if (isFault) faults.push({ line: row.line, login: row.login, fault: { kind: 'deleted' } });
    return !isFault;
  });
  const { kept, clearAddressOf } = settleAddresses(world, undeleted, faults);
  const subscriberColumns = settings.columns.filter((column) => column.table === 'subscriber');
  const accountColumns = settings.columns.filter((column) => column.table === 'account');

  const accountWrites = new Map<string, AccountWrite>();
  const accountIds = new Map<string, number>();
  const subscribers: SubscriberWrite[] = [];
  let added = 0;
  let changed = 0;
  for (const row of kept) {
    const held = world.subscribers.get(row.login);
    const contract = contractOf(row, held);
    const account = world.accounts.get(contract);
    if (account !== undefined) accountIds.set(contract, account.id);
    const accountChanges = noteAccount(accountWrites, accountColumns, row, contract, account);
    const differs =
      held === undefined ||
      contract !== held.contract ||
      subscriberColumns.some((column) => isChange(column, row, held, settings.passwords));
    if (differs)
      subscribers.push({ id: held?.id, login: row.login, contract, values: storable(row, held, settings.passwords) });
    if (held === undefined) added += 1;
    else if (differs || accountChanges) changed += 1;
  }
  return {
    accounts: [...accountWrites.values()],
    subscribers,
    accountIds,
    clearAddressOf,
    added,
    changed,
    unchanged: kept.length - added - changed,
    faults,
  };
}

/** Drops rows that want an address of somebody who keeps it. Dropping one may leave another without what it counted on. */
function settleAddresses(
  world: BatchWorld,
  rows: readonly ImportRow[],
  faults: { line: number; login: string; fault: RowFault }[],
): { kept: readonly ImportRow[]; clearAddressOf: number[] } {
  let kept = rows;
  for (;;) {
    const leaving = new Set(
      kept.filter((row) => leavesItsAddress(world, row)).map((row) => world.subscribers.get(row.login)?.id),
    );
    const clear = new Set<number>();
    const next = kept.filter((row) => {
      const address = row.values.get('static_address');
      const owner = typeof address === 'string' ? world.owners.get(address) : undefined;
      if (owner === undefined || owner.id === world.subscribers.get(row.login)?.id) return true;
      if (leaving.has(owner.id)) {
        clear.add(owner.id);
        return true;
      }
      faults.push({
        line: row.line,
        login: row.login,
        fault: { kind: 'address-taken', address: String(address), by: owner.login },
      });
      return false;
    });
    if (next.length === kept.length) return { kept, clearAddressOf: [...clear] };
    kept = next;
  }
}

function leavesItsAddress(world: BatchWorld, row: ImportRow): boolean {
  const held = world.subscribers.get(row.login)?.values['static_address'] ?? null;
  return held !== null && row.values.has('static_address') && row.values.get('static_address') !== held;
}

function isChange(column: ImportColumn, row: ImportRow, held: HeldSubscriber, passwords: ImportPasswords): boolean {
  const wanted = row.values.get(column.name) ?? null;
  const current = held.values[column.name] ?? null;
  if (wanted === null) return column.null === 'clears' && current !== null;
  if (column.name === 'password' && typeof current === 'string') return !passwords.matches(current, String(wanted));
  return wanted !== current;
}

/** The row with its password in the form to store; one that is right already keeps its stored text. */
function storable(
  row: ImportRow,
  held: HeldSubscriber | undefined,
  passwords: ImportPasswords,
): ReadonlyMap<string, ImportValue> {
  const given = row.values.get('password');
  if (typeof given !== 'string') return row.values;
  const current = held?.values['password'];
  const same = typeof current === 'string' && passwords.matches(current, given);
  return new Map(row.values).set('password', same ? null : passwords.store(given));
}

/** Notes what a row says of its account; of several rows with one account, the last one wins. */
function noteAccount(
  writes: Map<string, AccountWrite>,
  columns: readonly ImportColumn[],
  row: ImportRow,
  contract: string,
  held: HeldAccount | undefined,
): boolean {
  const write = writes.get(contract) ?? { id: held?.id, contract, values: new Map<string, ImportValue>() };
  const changes = columns.filter((column) => {
    const wanted = row.values.get(column.name) ?? null;
    const current = write.values.has(column.name)
      ? (write.values.get(column.name) ?? null)
      : (held?.values[column.name] ?? null);
    return wanted === null ? column.null === 'clears' && current !== null : wanted !== current;
  });
  if (held !== undefined && changes.length === 0) return false;
  // An update writes every column of the file, so the ones that this row leaves alone are carried along.
  for (const column of columns) {
    const wanted = row.values.get(column.name) ?? null;
    if (wanted !== null || column.null === 'clears') write.values.set(column.name, wanted);
  }
  writes.set(contract, write);
  return changes.length > 0;
}
