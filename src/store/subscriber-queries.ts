/**
 * What commands read about subscribers.
 *
 * Enters: a login, filters. Leaves: rows with the column names of the schema.
 * Invariant: a password never leaves the database here, only the form it is stored in.
 */
import type { Pool, PoolClient } from 'pg';
import { ownBlockAllowedFromMs, ownBlockEndsAtMs } from '../domain/own-block.js';

/** A subscriber with the names of what it refers to. */
export interface SubscriberRow {
  id: number;
  login: string;
  account_id: number;
  contract: string;
  name: string | null;
  phone: string | null;
  address: string | null;
  plan: string | null;
  plan_id: number | null;
  plan_active: boolean | null;
  plan_valid_from: Date | null;
  plan_valid_until: Date | null;
  account_admin_blocked: boolean;
  account_admin_blocked_reason: string | null;
  password_form: string | null;
  mac: string | null;
  static_address: string | null;
  static_framed_prefix: string | null;
  static_delegated_prefix: string | null;
  pool: string | null;
  pool_id: number | null;
  nas_name: string | null;
  device_id: number | null;
  /** The best that the device is called by. */
  device: string | null;
  port: string | null;
  option82_auth: 'port' | 'port-mac' | 'mac' | null;
  associate_pppoe_mac: boolean;
  associate_vpn_ip: boolean;
  deleted: boolean;
  deleted_reason: string | null;
  redirect: boolean;
  redirect_reason: string | null;
  own_disabled: boolean;
  own_disabled_reason: string | null;
  /** When the last voluntary block began. */
  own_disabled_since: Date | null;
  /** When the last one that is over ended. */
  own_disabled_ended_at: Date | null;
  /** Days, of the account, else of its plan; null and 0: no limit. */
  own_block_max_days: number | null;
  own_block_pause_days: number | null;
  admin_blocked: boolean;
  admin_blocked_reason: string | null;
  logged: boolean;
  deleted_at: Date | null;
  released_at: Date | null;
  created_at: Date;
}

/** What the limits of voluntary blocks come to for a subscriber. */
export type OwnBlockNext =
  | { readonly kind: 'none' }
  /** It ends by itself. */
  | { readonly kind: 'ends'; readonly at: Date }
  /** There may be another one from then on. */
  | { readonly kind: 'allowed-from'; readonly at: Date };

/** What the limits of voluntary blocks come to for a row. */
export function ownBlockNext(
  row: Pick<
    SubscriberRow,
    'own_disabled' | 'own_disabled_since' | 'own_disabled_ended_at' | 'own_block_max_days' | 'own_block_pause_days'
  >,
): OwnBlockNext {
  const block = {
    isOn: row.own_disabled,
    sinceMs: row.own_disabled_since?.getTime() ?? null,
    endedAtMs: row.own_disabled_ended_at?.getTime() ?? null,
  };
  const limits = { maxDays: row.own_block_max_days, pauseDays: row.own_block_pause_days };
  const endsAtMs = ownBlockEndsAtMs(block, limits);
  if (endsAtMs !== null) return { kind: 'ends', at: new Date(endsAtMs) };
  const fromMs = ownBlockAllowedFromMs(block, limits);
  return fromMs === null ? { kind: 'none' } : { kind: 'allowed-from', at: new Date(fromMs) };
}

const passwordForm = `
         CASE WHEN s.password IS NULL THEN NULL
              WHEN s.password LIKE '{%}%' THEN lower(substring(s.password FROM 2 FOR position('}' IN s.password) - 2))
              WHEN s.password LIKE '$2_$%' THEN 'bcrypt'
              ELSE 'clear' END AS password_form`;

/** Columns of `SubscriberRow` that the page's role may read: a password is not even looked at. */
export const subscriberColumns = `
         s.id, s.login, s.account_id, a.contract, a.name, a.phone, a.address, p.name AS plan, a.plan_id,
         p.active AS plan_active, p.valid_from AS plan_valid_from, p.valid_until AS plan_valid_until,
         a.admin_blocked AS account_admin_blocked, a.admin_blocked_reason AS account_admin_blocked_reason,
         s.mac::text AS mac, host(s.static_address) AS static_address,
         s.static_framed_prefix::text AS static_framed_prefix, s.static_delegated_prefix::text AS static_delegated_prefix, o.name AS pool, s.pool_id, s.nas_name,
         s.device_id, coalesce(v.name, v.mac::text, v.serial, host(v.address)) AS device, s.port, s.option82_auth,
         s.associate_pppoe_mac, s.associate_vpn_ip, s.deleted, s.deleted_reason, s.redirect, s.redirect_reason,
         s.own_disabled, s.own_disabled_reason, s.own_disabled_since, s.own_disabled_ended_at,
         coalesce(a.own_block_max_days, p.own_block_max_days) AS own_block_max_days,
         coalesce(a.own_block_pause_days, p.own_block_pause_days) AS own_block_pause_days,
         s.admin_blocked, s.admin_blocked_reason, s.logged,
         s.deleted_at, s.released_at, s.created_at`;

/** What `subscriberColumns` stand on. */
export const subscriberTables = `
    subscriber s JOIN account a ON a.id = s.account_id
    LEFT JOIN plan p ON p.id = a.plan_id LEFT JOIN pool o ON o.id = s.pool_id
    LEFT JOIN device v ON v.id = s.device_id`;

const selectSubscribers = `SELECT ${subscriberColumns}, ${passwordForm} FROM ${subscriberTables}`;

/** All subscribers that ever had a login: the one that is not deleted first, then the latest deleted. At most 100. */
export async function findSubscribers(client: Pool | PoolClient, login: string): Promise<SubscriberRow[]> {
  return (
    await client.query<SubscriberRow>(
      `${selectSubscribers} WHERE s.login = $1 ORDER BY s.deleted, s.deleted_at DESC NULLS LAST, s.id DESC LIMIT 100`,
      [login],
    )
  ).rows;
}

/** One subscriber by id, or undefined. */
export async function findSubscriberById(client: Pool | PoolClient, id: number): Promise<SubscriberRow | undefined> {
  return (await client.query<SubscriberRow>(`${selectSubscribers} WHERE s.id = $1`, [id])).rows[0];
}

/** The row for `FOR UPDATE`: nobody else changes the subscriber until the transaction ends. */
export async function lockSubscriber(client: PoolClient, id: number): Promise<void> {
  await client.query(`SELECT FROM subscriber WHERE id = $1 FOR UPDATE`, [id]);
}

/** Logins that begin alike, to help with a misspelt one. At most ten. */
export async function similarLogins(client: Pool | PoolClient, login: string): Promise<string[]> {
  const { rows } = await client.query<{ login: string }>(
    `SELECT login FROM subscriber
      WHERE NOT deleted AND login >= $1 AND login < $2 ORDER BY login LIMIT 10`,
    // The first characters narrow it down by the index; a login that differs there is not found, and need not be.
    [login.slice(0, 2), `${login.slice(0, 2)}\u{10ffff}`],
  );
  return rows.map((row) => row.login);
}

/** Which subscribers `listSubscribers` returns; absent means any. */
export interface SubscriberFilter {
  deleted?: 'only' | 'with';
  logged?: boolean;
  flag?: 'redirect' | 'own_disabled' | 'admin_blocked';
  plan?: string;
  nas?: string;
  /** Part of login, contract, name, phone, address or a whole MAC or address, in any case. */
  text?: string;
}

/**
 * One page of subscribers by id.
 *
 * @param after id of the last row of the page before; 0 for the first
 */
export async function listSubscribers(
  pool: Pool,
  filter: SubscriberFilter,
  after: number,
  limit: number,
): Promise<SubscriberRow[]> {
  const values: (string | number | boolean)[] = [after, limit];
  const place = (value: string | number | boolean) => `$${String(values.push(value))}`;
  const conditions = ['s.id > $1'];
  if (filter.deleted === 'only') conditions.push('s.deleted');
  if (filter.deleted === undefined) conditions.push('NOT s.deleted');
  if (filter.logged !== undefined) conditions.push(filter.logged ? 's.logged' : 'NOT s.logged');
  if (filter.flag === 'admin_blocked') conditions.push('(s.admin_blocked OR a.admin_blocked)');
  else if (filter.flag !== undefined) conditions.push(`s.${filter.flag}`);
  if (filter.plan !== undefined) conditions.push(`p.name = ${place(filter.plan)}`);
  if (filter.nas !== undefined) conditions.push(`s.nas_name = ${place(filter.nas)}`);
  if (filter.text !== undefined) {
    const pattern = place(`%${filter.text.replace(/[\\%_]/gu, '\\$&')}%`);
    const exact = place(filter.text.toLowerCase());
    const fields = ['s.login', 'a.contract', 'a.name', 'a.phone', 'a.address'].map(
      (field) => `${field} ILIKE ${pattern}`,
    );
    conditions.push(`(${[...fields, `s.mac::text = ${exact}`, `host(s.static_address) = ${exact}`].join(' OR ')})`);
  }
  return (
    await pool.query<SubscriberRow>(
      `${selectSubscribers} WHERE ${conditions.join(' AND ')} ORDER BY s.id LIMIT $2`,
      values,
    )
  ).rows;
}

/** A change of a subscriber's or its account's flags and data. */
export interface SubscriberEventRow {
  at: Date;
  field: string;
  old_value: string | null;
  new_value: string | null;
  reason: string | null;
  changed_by: string;
}

/** The last changes of a subscriber and of its account, newest first. */
export async function listEvents(
  pool: Pool,
  subscriberId: number,
  accountId: number,
  limit: number,
): Promise<SubscriberEventRow[]> {
  return (
    await pool.query<SubscriberEventRow>(
      `SELECT at, field, old_value, new_value, reason, changed_by FROM subscriber_event
        WHERE subscriber_id = $1 OR (account_id = $2 AND subscriber_id IS NULL)
        ORDER BY at DESC LIMIT $3`,
      [subscriberId, accountId, limit],
    )
  ).rows;
}

/** An Access-Request of the past, as it was answered. */
export interface AccessAttemptRow {
  at: Date;
  login: string | null;
  mac: string | null;
  nas_name: string;
  nas_port_id: string | null;
  outcome: 'accept' | 'reject' | 'discard';
  reason: string;
  address: string | null;
  repeats: number;
}

/** The last answers for a login or MAC, newest first. */
export async function listAttempts(
  pool: Pool,
  subject: { login: string; mac: string | null },
  limit: number,
): Promise<AccessAttemptRow[]> {
  return (
    await pool.query<AccessAttemptRow>(
      `SELECT at, login, mac::text AS mac, nas_name, nas_port_id, outcome, reason, host(address) AS address, repeats
         FROM access_attempt WHERE login = $1 OR mac = $2::macaddr ORDER BY at DESC LIMIT $3`,
      [subject.login, subject.mac, limit],
    )
  ).rows;
}

/** A usage period. */
export interface PeriodRow {
  id: number;
  subscriber_id: number;
  plan_id: number | null;
  plan: string | null;
  opened_at: Date;
  closed_at: Date | null;
  close_reason: string | null;
  input_octets: number | bigint;
  output_octets: number | bigint;
  late_input_octets: number | bigint;
  late_output_octets: number | bigint;
  session_seconds: number;
}

/** The last periods of a subscriber, newest first; the open one, if any, is the first. */
export async function listPeriods(pool: Pool, subscriberId: number, limit: number): Promise<PeriodRow[]> {
  return (
    await pool.query<PeriodRow>(
      `SELECT d.id, d.subscriber_id, d.plan_id, p.name AS plan, d.opened_at, d.closed_at, d.close_reason, d.input_octets,
              d.output_octets, d.late_input_octets, d.late_output_octets, d.session_seconds
         FROM period d LEFT JOIN plan p ON p.id = d.plan_id
        WHERE d.subscriber_id = $1 ORDER BY d.closed_at IS NOT NULL, d.opened_at DESC, d.id DESC LIMIT $2`,
      [subscriberId, limit],
    )
  ).rows;
}
