/**
 * The statements of one batch of an import.
 *
 * Enters: a plan of what to add and change. Leaves: written rows.
 * Invariant: six statements at most, their parameters arrays with one entry a row.
 */
import type { PoolClient } from 'pg';
import type { ImportColumn, ImportValue } from './import-columns.js';
import type { AccountWrite, BatchPlan, SubscriberWrite } from './import-plan.js';

/** Writes a planned batch. The caller is in a transaction. */
export async function writeBatch(client: PoolClient, plan: BatchPlan, columns: readonly ImportColumn[]): Promise<void> {
  const accountColumns = columns.filter((column) => column.table === 'account');
  const subscriberColumns = columns.filter((column) => column.table === 'subscriber');
  const accountIds = new Map(plan.accountIds);
  const newAccounts = plan.accounts.filter((account) => account.id === undefined);
  for (const [contract, id] of await insertAccounts(client, newAccounts, accountColumns)) accountIds.set(contract, id);
  await updateAccounts(
    client,
    plan.accounts.filter((account) => account.id !== undefined),
    accountColumns,
  );
  if (plan.clearAddressOf.length > 0) {
    await client.query(`UPDATE subscriber SET static_address = NULL WHERE id = ANY ($1::bigint[])`, [
      plan.clearAddressOf,
    ]);
  }
  await updateSubscribers(
    client,
    plan.subscribers.filter((subscriber) => subscriber.id !== undefined),
    subscriberColumns,
    accountIds,
  );
  await insertSubscribers(
    client,
    plan.subscribers.filter((subscriber) => subscriber.id === undefined),
    subscriberColumns,
    accountIds,
  );
}

interface Parameters {
  readonly values: unknown[][];
  /** `unnest(…) AS batch (…)` with every parameter in its place. */
  readonly from: string;
}

function parameters(
  lead: readonly { readonly name: string; readonly type: string; readonly values: unknown[] }[],
  columns: readonly ImportColumn[],
  rows: readonly { readonly values: ReadonlyMap<string, ImportValue> }[],
): Parameters {
  const all = [
    ...lead,
    ...columns.map((column) => ({
      name: column.name,
      type: column.type,
      values: rows.map((row) => row.values.get(column.name) ?? null),
    })),
  ];
  const places = all.map((one, index) => `$${String(index + 1)}::${one.type}[]`).join(', ');
  return {
    values: all.map((one) => one.values),
    from: `unnest(${places}) AS batch (${all.map((one) => one.name).join(', ')})`,
  };
}

/** A column of a new row: null means its default, which of those that cannot be null is false. */
function inserted(column: ImportColumn): string {
  return column.type === 'boolean' ? `coalesce(batch.${column.name}, false)` : `batch.${column.name}`;
}

function updated(column: ImportColumn, alias: string): string {
  const value =
    column.null === 'leaves' ? `coalesce(batch.${column.name}, ${alias}.${column.name})` : `batch.${column.name}`;
  return `${column.name} = ${value}`;
}

async function insertAccounts(
  client: PoolClient,
  rows: readonly AccountWrite[],
  columns: readonly ImportColumn[],
): Promise<[string, number][]> {
  if (rows.length === 0) return [];
  const { values, from } = parameters(
    [{ name: 'contract', type: 'text', values: rows.map((row) => row.contract) }],
    columns,
    rows,
  );
  const result = await client.query<{ id: number; contract: string }>(
    `INSERT INTO account (contract${columns.map((column) => `, ${column.name}`).join('')})
     SELECT batch.contract${columns.map((column) => `, ${inserted(column)}`).join('')} FROM ${from}
     RETURNING id, contract`,
    values,
  );
  return result.rows.map((row) => [row.contract, row.id]);
}

async function updateAccounts(
  client: PoolClient,
  rows: readonly AccountWrite[],
  columns: readonly ImportColumn[],
): Promise<void> {
  if (rows.length === 0 || columns.length === 0) return;
  const { values, from } = parameters(
    [{ name: 'id', type: 'bigint', values: rows.map((row) => row.id) }],
    columns,
    rows,
  );
  await client.query(
    `UPDATE account a SET ${columns.map((column) => updated(column, 'a')).join(', ')} FROM ${from} WHERE a.id = batch.id`,
    values,
  );
}

function accountIdsOf(rows: readonly SubscriberWrite[], accountIds: ReadonlyMap<string, number>): (number | null)[] {
  return rows.map((row) => accountIds.get(row.contract) ?? null);
}

async function updateSubscribers(
  client: PoolClient,
  rows: readonly SubscriberWrite[],
  columns: readonly ImportColumn[],
  accountIds: ReadonlyMap<string, number>,
): Promise<void> {
  if (rows.length === 0) return;
  const lead = [
    { name: 'id', type: 'bigint', values: rows.map((row) => row.id) },
    { name: 'account_id', type: 'bigint', values: accountIdsOf(rows, accountIds) },
  ];
  const { values, from } = parameters(lead, columns, rows);
  const assignments = ['account_id = batch.account_id', ...columns.map((column) => updated(column, 's'))].join(', ');
  await client.query(`UPDATE subscriber s SET ${assignments} FROM ${from} WHERE s.id = batch.id`, values);
}

async function insertSubscribers(
  client: PoolClient,
  rows: readonly SubscriberWrite[],
  columns: readonly ImportColumn[],
  accountIds: ReadonlyMap<string, number>,
): Promise<void> {
  if (rows.length === 0) return;
  const lead = [
    { name: 'login', type: 'text', values: rows.map((row) => row.login) },
    { name: 'account_id', type: 'bigint', values: accountIdsOf(rows, accountIds) },
  ];
  const { values, from } = parameters(lead, columns, rows);
  // One that is new and deleted at once never had a session: its address is free from the beginning.
  const end = columns.some((column) => column.name === 'deleted')
    ? 'CASE WHEN batch.deleted THEN now() END'
    : 'NULL::timestamptz';
  await client.query(
    `INSERT INTO subscriber (login, account_id, deleted_at, released_at${columns.map((column) => `, ${column.name}`).join('')})
     SELECT batch.login, batch.account_id, ${end}, ${end}${columns.map((column) => `, ${inserted(column)}`).join('')} FROM ${from}`,
    values,
  );
}
