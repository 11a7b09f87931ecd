/**
 * What commands write about one subscriber and its account.
 *
 * Enters: validated values, inside a transaction. Leaves: changed rows; triggers tell the servers and keep the history.
 * Invariant: only column names from the lists here ever become part of a statement.
 */
import type { Pool, PoolClient } from 'pg';

/** Columns of `subscriber` that a command may write. */
export interface SubscriberValues {
  account_id?: number;
  login?: string;
  password?: string | null;
  mac?: string | null;
  static_address?: string | null;
  static_framed_prefix?: string | null;
  static_delegated_prefix?: string | null;
  pool_id?: number | null;
  nas_name?: string | null;
  device_id?: number | null;
  port?: string | null;
  option82_auth?: string | null;
  associate_pppoe_mac?: boolean;
  associate_vpn_ip?: boolean;
  deleted?: boolean;
  deleted_reason?: string | null;
  redirect?: boolean;
  redirect_reason?: string | null;
  own_disabled?: boolean;
  own_disabled_reason?: string | null;
  admin_blocked?: boolean;
  admin_blocked_reason?: string | null;
}

/** Columns of `account` that a command may write. */
export interface AccountValues {
  name?: string | null;
  phone?: string | null;
  address?: string | null;
  plan_id?: number | null;
  admin_blocked?: boolean;
  admin_blocked_reason?: string | null;
}

const subscriberColumns = [
  'account_id',
  'login',
  'password',
  'mac',
  'static_address',
  'static_framed_prefix',
  'static_delegated_prefix',
  'pool_id',
  'nas_name',
  'device_id',
  'port',
  'option82_auth',
  'associate_pppoe_mac',
  'associate_vpn_ip',
  'deleted',
  'deleted_reason',
  'redirect',
  'redirect_reason',
  'own_disabled',
  'own_disabled_reason',
  'admin_blocked',
  'admin_blocked_reason',
] as const satisfies readonly (keyof SubscriberValues)[];

const accountColumns = [
  'name',
  'phone',
  'address',
  'plan_id',
  'admin_blocked',
  'admin_blocked_reason',
] as const satisfies readonly (keyof AccountValues)[];

/** A row of `account`, locked for the rest of the transaction. */
export interface LockedAccount {
  id: number;
  contract: string;
  plan_id: number | null;
  subscribers: number;
}

/** The account of a contract, locked, or undefined. `subscribers` counts those that are not deleted. */
export async function lockAccount(client: PoolClient, contract: string): Promise<LockedAccount | undefined> {
  return (
    await client.query<LockedAccount>(
      `SELECT a.id, a.contract, a.plan_id,
              (SELECT count(*)::int FROM subscriber s WHERE s.account_id = a.id AND NOT s.deleted) AS subscribers
         FROM account a WHERE a.contract = $1 FOR UPDATE OF a`,
      [contract],
    )
  ).rows[0];
}

/** Makes an account and returns its id. Throws DatabaseError with `account_contract_unique`. */
export async function insertAccount(client: PoolClient, contract: string, values: AccountValues): Promise<number> {
  const { rows } = await insertRow<{ id: number }>(client, 'account', { contract, ...values }, [
    'contract',
    ...accountColumns,
  ]);
  return rows[0]!.id;
}

/** Changes an account; nothing given changes nothing. */
export async function updateAccount(client: PoolClient, accountId: number, values: AccountValues): Promise<void> {
  await updateRow(client, 'account', accountId, values, accountColumns);
}

/**
 * Makes a subscriber and returns its id. Its first period opens with it.
 *
 * @throws DatabaseError with `subscriber_login_unique`, `subscriber_static_address_unique` or another constraint
 */
export async function insertSubscriber(
  client: PoolClient,
  values: SubscriberValues & { account_id: number; login: string },
): Promise<number> {
  const { rows } = await insertRow<{ id: number }>(client, 'subscriber', values, subscriberColumns);
  return rows[0]!.id;
}

/** Changes a subscriber; nothing given changes nothing. Throws DatabaseError with the constraint in the way. */
export async function updateSubscriber(
  client: PoolClient,
  subscriberId: number,
  values: SubscriberValues,
): Promise<void> {
  await updateRow(client, 'subscriber', subscriberId, values, subscriberColumns);
}

type Values = Readonly<Record<string, string | number | boolean | null | undefined>>;

async function insertRow<Row extends { id: number }>(
  client: PoolClient,
  table: 'account' | 'subscriber',
  values: object,
  known: readonly string[],
) {
  const given = values as Values;
  const columns = known.filter((column) => given[column] !== undefined);
  const places = columns.map((_, index) => `$${String(index + 1)}`).join(', ');
  return await client.query<Row>(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places}) RETURNING id`,
    columns.map((column) => given[column]),
  );
}

async function updateRow(
  client: PoolClient,
  table: 'account' | 'subscriber',
  id: number,
  values: object,
  known: readonly string[],
): Promise<void> {
  const given = values as Values;
  const columns = known.filter((column) => given[column] !== undefined);
  if (columns.length === 0) return;
  const assignments = columns.map((column, index) => `${column} = $${String(index + 2)}`).join(', ');
  await client.query(`UPDATE ${table} SET ${assignments} WHERE id = $1`, [
    id,
    ...columns.map((column) => given[column]),
  ]);
}

/** Whether a server has ever read a NAS of this name from its configuration. */
export async function nasIsKnown(client: Pool | PoolClient, name: string): Promise<boolean> {
  const { rows } = await client.query<{ known: boolean }>(`SELECT EXISTS (SELECT FROM nas WHERE name = $1) AS known`, [
    name,
  ]);
  return rows[0]?.known ?? false;
}

/** Who else has an address at this moment, in use or promised. */
export async function otherHolderOf(
  client: Pool | PoolClient,
  address: string,
  subscriberId: number,
): Promise<{ login: string; how: 'assigned' | 'offered' } | undefined> {
  return (
    await client.query<{ login: string; how: 'assigned' | 'offered' }>(
      `SELECT login, 'assigned' AS how FROM assignment
        WHERE address = $1 AND ended_at IS NULL AND subscriber_id IS DISTINCT FROM $2
       UNION ALL
       SELECT s.login, 'offered' FROM pool_address p JOIN subscriber s ON s.id = p.subscriber_id
        WHERE p.address = $1 AND p.state = 'offered' AND p.until_at > now() AND p.subscriber_id <> $2
       LIMIT 1`,
      [address, subscriberId],
    )
  ).rows[0];
}
