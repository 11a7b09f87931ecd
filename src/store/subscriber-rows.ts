// Enters: a connection and ids or a position in a table. Leaves: subscribers, accounts, plans, pools, devices, turbo rates, sticky addresses
// and live sessions as the directory holds them. Invariants: every read is bounded; values travel as raw text and are converted
// here, because the driver's own conversions are most of the cost of a million rows.

import type { PoolClient, QueryArrayConfig } from 'pg';
import type { RateWindow, Turbo } from '../domain/effective-rate.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { AddressKind, PoolAddress } from '../domain/pool-address.js';
import type { LeaseDevice } from '../domain/lease.js';
import {
  Subscriber,
  type Account,
  type Option82Auth,
  type Plan,
  type Pool,
  type StaticPrefixes,
} from '../domain/subscriber.js';
import { heldPrefixes, type EndedSessionRow, type SessionRow } from './live-sessions.js';
import type { Plug } from './plugged-subscribers.js';

/** What is needed of a pool or a client. */
export interface Queryable {
  query(config: QueryArrayConfig): Promise<{ readonly rows: unknown[][] }>;
}

/** Rows of one read: some 5 ms of work for the event loop, collection of garbage included. */
export const PAGE_ROWS = 1_000;

/** An address or prefix that is kept for one slot of one subscriber. */
export interface StickyAddress {
  readonly subscriberId: number;
  readonly slot: number;
  readonly address: PoolAddress;
  readonly poolId: number;
}

type TextRow = readonly (string | null)[];

const RAW_TEXT = { getTypeParser: () => (text: string) => text } as unknown as NonNullable<QueryArrayConfig['types']>;

async function readRows(queryable: Queryable, text: string, values: unknown[]): Promise<readonly TextRow[]> {
  const { rows } = await queryable.query({ text, values, rowMode: 'array', types: RAW_TEXT });
  return rows as (string | null)[][];
}

/**
 * Pages of a whole table, through a server-side cursor: one pass whatever the planner knows of the table, where pages by key
 * cost a pass each on a table that was filled and not yet analysed. The next page is under way while one is taken in.
 *
 * @param client inside a transaction
 */
async function* pagesOf<Row>(
  client: PoolClient,
  text: string,
  rowOf: (row: TextRow) => Row,
): AsyncGenerator<readonly Row[]> {
  await client.query(`DECLARE directory_page NO SCROLL CURSOR FOR ${text}`);
  const fetchPage = () => readRows(client, `FETCH ${String(PAGE_ROWS)} FROM directory_page`, []);
  let page = await fetchPage();
  while (page.length > 0) {
    const next = page.length === PAGE_ROWS ? fetchPage() : Promise.resolve([]);
    // Heard here, so that it is never an unhandled rejection; it is thrown where it is awaited.
    next.catch(() => undefined);
    yield page.map(rowOf);
    page = await next;
  }
  await client.query('CLOSE directory_page');
}

function optional(text: string | null | undefined): string | undefined {
  return text ?? undefined;
}

function optionalNumber(text: string | null | undefined): number | undefined {
  return text === null || text === undefined ? undefined : Number(text);
}

/** Names of NASes repeat by the hundred thousand: one string each. */
class Names {
  private readonly known = new Map<string, string>();

  share(name: string | undefined): string | undefined {
    if (name === undefined) return undefined;
    const known = this.known.get(name);
    if (known !== undefined) return known;
    // A column that holds anything else must not become a leak.
    if (this.known.size < 10_000) this.known.set(name, name);
    return name;
  }
}

const names = new Names();

const SUBSCRIBER_COLUMNS = `id, account_id, login, password, mac::text, static_address - inet '0.0.0.0', pool_id, nas_name,
  associate_pppoe_mac::int + 2 * associate_vpn_ip::int + 4 * deleted::int + 8 * redirect::int + 16 * own_disabled::int
    + 32 * admin_blocked::int + 64 * (device_id IS NOT NULL)::int, option82_auth`;

function subscriberOf(row: TextRow): Subscriber {
  const flags = Number(row[8]);
  return new Subscriber({
    id: Number(row[0]),
    accountId: Number(row[1]),
    login: row[2]!,
    password: optional(row[3]),
    mac: optional(row[4]),
    staticAddress: optionalNumber(row[5]),
    poolId: optionalNumber(row[6]),
    nasName: names.share(optional(row[7])),
    associatePppoeMac: (flags & 1) !== 0,
    associateVpnIp: (flags & 2) !== 0,
    deleted: (flags & 4) !== 0,
    redirect: (flags & 8) !== 0,
    ownDisabled: (flags & 16) !== 0,
    adminBlocked: (flags & 32) !== 0,
    hasDevice: (flags & 64) !== 0,
    option82Auth: optional(row[9]) as Option82Auth | undefined,
  });
}

/** All subscribers; deleted ones while they still hold something. */
export function allSubscribers(client: PoolClient): AsyncGenerator<readonly Subscriber[]> {
  return pagesOf(client, `SELECT ${SUBSCRIBER_COLUMNS} FROM subscriber WHERE released_at IS NULL`, subscriberOf);
}

/** Subscribers by id; released ones are left out. */
export async function readSubscribers(queryable: Queryable, ids: readonly number[]): Promise<Subscriber[]> {
  const rows = await readRows(
    queryable,
    `SELECT ${SUBSCRIBER_COLUMNS} FROM subscriber WHERE id = ANY($1::bigint[]) AND released_at IS NULL`,
    [ids],
  );
  return rows.map(subscriberOf);
}

/** A turbo rate and whose it is. */
export interface TurboRow {
  readonly subscriberId: number;
  readonly turbo: Turbo;
}

// Those that were over before the read come back with the change that prolongs them.
const TURBO = `SELECT id, turbo_rate_down_bps, turbo_rate_up_bps, round(extract(epoch FROM turbo_until) * 1000)::bigint FROM subscriber
  WHERE (turbo_rate_down_bps IS NOT NULL OR turbo_rate_up_bps IS NOT NULL) AND (turbo_until IS NULL OR turbo_until > now())
    AND released_at IS NULL`;

function turboOf(row: TextRow): TurboRow {
  return {
    subscriberId: Number(row[0]),
    turbo: {
      rateDownBps: optionalNumber(row[1]),
      rateUpBps: optionalNumber(row[2]),
      untilMs: optionalNumber(row[3]),
    },
  };
}

/** All turbo rates that are in force: few subscribers have one. */
export function allTurbos(client: PoolClient): AsyncGenerator<readonly TurboRow[]> {
  return pagesOf(client, TURBO, turboOf);
}

/** The turbo rates of subscribers; those without one are left out. */
export async function readTurbos(queryable: Queryable, ids: readonly number[]): Promise<TurboRow[]> {
  const rows = await readRows(queryable, `${TURBO} AND id = ANY($1::bigint[])`, [ids]);
  return rows.map(turboOf);
}

/** Static prefixes and whose they are. */
export interface StaticPrefixRow {
  readonly subscriberId: number;
  readonly prefixes: StaticPrefixes;
}

const STATIC_PREFIXES = `SELECT id, static_framed_prefix::text, static_delegated_prefix::text FROM subscriber
  WHERE (static_framed_prefix IS NOT NULL OR static_delegated_prefix IS NOT NULL) AND released_at IS NULL`;

function staticPrefixesOf(row: TextRow): StaticPrefixRow {
  return { subscriberId: Number(row[0]), prefixes: { framed: optional(row[1]), delegated: optional(row[2]) } };
}

/** All static prefixes: few subscribers have one. */
export function allStaticPrefixes(client: PoolClient): AsyncGenerator<readonly StaticPrefixRow[]> {
  return pagesOf(client, STATIC_PREFIXES, staticPrefixesOf);
}

/** The static prefixes of subscribers; those without any are left out. */
export async function readStaticPrefixes(queryable: Queryable, ids: readonly number[]): Promise<StaticPrefixRow[]> {
  const rows = await readRows(queryable, `${STATIC_PREFIXES} AND id = ANY($1::bigint[])`, [ids]);
  return rows.map(staticPrefixesOf);
}

/** Where a subscriber is plugged in. */
export interface PlugRow {
  readonly subscriberId: number;
  readonly plug: Plug;
}

const PLUGS = 'SELECT id, device_id, port FROM subscriber WHERE device_id IS NOT NULL AND released_at IS NULL';

function plugOf(row: TextRow): PlugRow {
  return { subscriberId: Number(row[0]), plug: { deviceId: Number(row[1]), port: optional(row[2]) } };
}

/** Everybody who has a device. */
export function allPlugs(client: PoolClient): AsyncGenerator<readonly PlugRow[]> {
  return pagesOf(client, PLUGS, plugOf);
}

/** Where subscribers are plugged in; those who have no device are left out. */
export async function readPlugs(queryable: Queryable, ids: readonly number[]): Promise<PlugRow[]> {
  const rows = await readRows(queryable, `${PLUGS} AND id = ANY($1::bigint[])`, [ids]);
  return rows.map(plugOf);
}

const DEVICES = `SELECT d.id, d.mac::text, d.name, d.serial, k.by_port::int FROM device d JOIN device_kind k ON k.id = d.kind_id
  WHERE NOT d.deleted`;

function deviceOf(row: TextRow): LeaseDevice {
  return {
    id: Number(row[0]),
    mac: row[1] ?? null,
    name: row[2] ?? null,
    serial: row[3] ?? null,
    byPort: row[4] === '1',
  };
}

/** All switches and ONUs, those that nobody is plugged into included. */
export function allDevices(client: PoolClient): AsyncGenerator<readonly LeaseDevice[]> {
  return pagesOf(client, DEVICES, deviceOf);
}

/** Devices by id; deleted ones are left out. */
export async function readDevices(queryable: Queryable, ids: readonly number[]): Promise<LeaseDevice[]> {
  const rows = await readRows(queryable, `${DEVICES} AND d.id = ANY($1::bigint[])`, [ids]);
  return rows.map(deviceOf);
}

function accountOf(row: TextRow): Account {
  return {
    id: Number(row[0]),
    contract: row[1]!,
    planId: optionalNumber(row[2]),
    adminBlocked: row[3] === '1',
  };
}

const ACCOUNT_COLUMNS = 'id, contract, plan_id, admin_blocked::int';

export function allAccounts(client: PoolClient): AsyncGenerator<readonly Account[]> {
  return pagesOf(client, `SELECT ${ACCOUNT_COLUMNS} FROM account`, accountOf);
}

export async function readAccounts(queryable: Queryable, ids: readonly number[]): Promise<Account[]> {
  const rows = await readRows(queryable, `SELECT ${ACCOUNT_COLUMNS} FROM account WHERE id = ANY($1::bigint[])`, [ids]);
  return rows.map(accountOf);
}

function epochMs(column: string): string {
  return `round(extract(epoch FROM ${column}) * 1000)::bigint`;
}

/** All plans: an operator has hundreds at most. */
export async function readPlans(queryable: Queryable): Promise<Plan[]> {
  const rows = await readRows(
    queryable,
    `SELECT id, name, active::int, ${epochMs('valid_from')}, ${epochMs('valid_until')}, rate_down_bps, rate_up_bps, pool_id,
       session_limit, session_limit_action, framed_pool_id, delegated_pool_id FROM plan`,
    [],
  );
  const windows = await readRateWindows(queryable);
  return rows.map((row) => ({
    id: Number(row[0]),
    name: row[1]!,
    active: row[2] === '1',
    validFromMs: optionalNumber(row[3]),
    validUntilMs: optionalNumber(row[4]),
    rateDownBps: optionalNumber(row[5]),
    rateUpBps: optionalNumber(row[6]),
    rateWindows: windows.get(Number(row[0])),
    poolId: optionalNumber(row[7]),
    framedPoolId: optionalNumber(row[10]),
    delegatedPoolId: optionalNumber(row[11]),
    sessionLimit: Number(row[8]),
    sessionLimitAction: row[9] === 'replace' ? 'replace' : 'reject',
  }));
}

/** Rates by hour of day, by plan. */
async function readRateWindows(queryable: Queryable): Promise<Map<number, RateWindow[]>> {
  const rows = await readRows(
    queryable,
    `SELECT plan_id, id, array_to_string(weekdays, ','), from_minute, until_minute, rate_down_bps, rate_up_bps
     FROM plan_rate ORDER BY plan_id, id`,
    [],
  );
  const windows = new Map<number, RateWindow[]>();
  for (const row of rows) {
    const planId = Number(row[0]);
    const window: RateWindow = {
      id: Number(row[1]),
      weekdays: row[2]!.split(',').map(Number),
      fromMinute: Number(row[3]),
      untilMinute: Number(row[4]),
      rateDownBps: optionalNumber(row[5]),
      rateUpBps: optionalNumber(row[6]),
    };
    const ofPlan = windows.get(planId);
    if (ofPlan) ofPlan.push(window);
    else windows.set(planId, [window]);
  }
  return windows;
}

/** All pools: hundreds at most. */
export async function readPools(queryable: Queryable): Promise<Pool[]> {
  const rows = await readRows(queryable, 'SELECT id, name, routing_domain, kind FROM pool', []);
  return rows.map((row) => ({
    id: Number(row[0]),
    name: row[1]!,
    routingDomain: row[2]!,
    kind: row[3]! as AddressKind,
  }));
}

// What a subscriber uses now comes before what is only kept for him.
const STICKY_ORDER = `array_position(ARRAY['assigned', 'offered', 'quarantined', 'free'], state), since DESC`;
const STICKY_COLUMNS = `subscriber_id, coalesce(slot, 0), CASE family(address) WHEN 4 THEN (address - inet '0.0.0.0')::text ELSE address::text END, pool_id`;
const STICKY_CONDITION = `state IN ('free', 'quarantined', 'assigned', 'offered')`;

function stickyOf(row: TextRow): StickyAddress {
  const text = row[2]!;
  const address = text.includes(':') ? text : Number(text);
  return { subscriberId: Number(row[0]), slot: Number(row[1]), address, poolId: Number(row[3]) };
}

/** All addresses of pools that are kept for subscribers, in order of subscriber, the best address of each first. */
export function allSticky(client: PoolClient): AsyncGenerator<readonly StickyAddress[]> {
  return pagesOf(
    client,
    `SELECT ${STICKY_COLUMNS} FROM pool_address WHERE subscriber_id IS NOT NULL AND ${STICKY_CONDITION}
     ORDER BY subscriber_id, ${STICKY_ORDER}`,
    stickyOf,
  );
}

export async function readSticky(queryable: Queryable, subscriberIds: readonly number[]): Promise<StickyAddress[]> {
  const rows = await readRows(
    queryable,
    `SELECT ${STICKY_COLUMNS} FROM pool_address WHERE subscriber_id = ANY($1::bigint[]) AND ${STICKY_CONDITION}
     ORDER BY subscriber_id, ${STICKY_ORDER}`,
    [subscriberIds],
  );
  return rows.map(stickyOf);
}

const SESSION_COLUMNS = `s.id, s.nas_name, s.nas_box, s.acct_session_id, s.subscriber_id, s.mac::text, s.nas_port_id,
  host(s.address), s.routing_domain, ${epochMs('s.started_at')}, s.slot, s.framed_prefix::text, s.delegated_prefix::text`;

/** Of `SESSION_COLUMNS`. */
const SESSION_COLUMN_COUNT = 13;

function sessionOf(row: TextRow): SessionRow {
  const address = optional(row[7]);
  return {
    sessionId: Number(row[0]),
    nasName: row[1]!,
    nasBox: row[2]!,
    acctSessionId: row[3]!,
    subscriberId: optionalNumber(row[4]),
    mac: optional(row[5]),
    nasPortId: optional(row[6]),
    address: address === undefined ? undefined : parseIpv4Address(address),
    routingDomain: row[8]!,
    startedAtMs: Number(row[9]),
    slot: Number(row[10]),
    prefixes: heldPrefixes(row[11], row[12]),
  };
}

export function allSessions(client: PoolClient): AsyncGenerator<readonly SessionRow[]> {
  return pagesOf(client, `SELECT ${SESSION_COLUMNS} FROM session s`, sessionOf);
}

export interface SessionRows {
  readonly live: readonly SessionRow[];
  readonly ended: readonly EndedSessionRow[];
}

/** Sessions by our id: those that live, and the keys of those that do not. */
export async function readSessions(queryable: Queryable, sessionIds: readonly number[]): Promise<SessionRows> {
  const rows = await readRows(
    queryable,
    `SELECT ${SESSION_COLUMNS}, k.session_id, k.nas_name, k.nas_box, k.acct_session_id, ${epochMs('k.closed_at')}
     FROM session_key k LEFT JOIN session s ON s.id = k.session_id WHERE k.session_id = ANY($1::bigint[])`,
    [sessionIds],
  );
  const live: SessionRow[] = [];
  const ended: EndedSessionRow[] = [];
  for (const row of rows) {
    if (row[0] !== null) {
      live.push(sessionOf(row));
    } else {
      ended.push(endedOf(row.slice(SESSION_COLUMN_COUNT)));
    }
  }
  return { live, ended };
}

/** Those of these sessions that are over: for changes of our own, of which nothing else is news. */
export async function readEndedSessions(
  queryable: Queryable,
  sessionIds: readonly number[],
): Promise<readonly EndedSessionRow[]> {
  const rows = await readRows(
    queryable,
    `SELECT session_id, nas_name, nas_box, acct_session_id, ${epochMs('closed_at')}
     FROM session_key WHERE session_id = ANY($1::bigint[]) AND closed_at IS NOT NULL`,
    [sessionIds],
  );
  return rows.map(endedOf);
}

function endedOf(row: TextRow): EndedSessionRow {
  return {
    sessionId: Number(row[0]),
    nasName: row[1]!,
    nasBox: row[2]!,
    acctSessionId: row[3]!,
    closedAtMs: optionalNumber(row[4]),
  };
}

/** A key that one box uses for a session. */
export interface SessionLineKey {
  readonly nasName: string;
  readonly nasBox: string;
  readonly acctSessionId: string;
}

/** Which of these lines have a closed session in the database and no live one: the last one closed of each. */
export async function readEndedLines(
  queryable: Queryable,
  lines: readonly SessionLineKey[],
): Promise<readonly EndedSessionRow[]> {
  const rows = await readRows(
    queryable,
    `SELECT DISTINCT ON (k.nas_name, k.nas_box, k.acct_session_id)
       k.session_id, k.nas_name, k.nas_box, k.acct_session_id, ${epochMs('k.closed_at')}
     FROM unnest($1::text[], $2::text[], $3::text[]) AS line (nas_name, nas_box, acct_session_id)
     JOIN session_key k USING (nas_name, nas_box, acct_session_id)
     WHERE NOT EXISTS (SELECT FROM session s WHERE (s.nas_name, s.nas_box, s.acct_session_id)
       = (k.nas_name, k.nas_box, k.acct_session_id))
     ORDER BY k.nas_name, k.nas_box, k.acct_session_id, k.epoch DESC`,
    [lines.map((line) => line.nasName), lines.map((line) => line.nasBox), lines.map((line) => line.acctSessionId)],
  );
  return rows.map(endedOf);
}
