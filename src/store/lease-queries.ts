/**
 * Leases and refused lease events, for pages and commands.
 *
 * Enters: filters, positions, bounds. Leaves: rows with the column names of the schema, the newest first.
 * Invariant: every answer is bounded: each way of looking is a scan of an index that ends early, or of the newest rows alone.
 */
import type { Pool } from 'pg';
import type { DeviceReference } from '../domain/device-reference.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { SearchText } from '../domain/search-text.js';
import { deviceIdsSql, deviceLabel } from './device-search.js';
import { beginning } from './like-pattern.js';

/** A lease with the names of what it refers to. */
export interface LeaseRow {
  routing_domain: string;
  address: string;
  state: 'bound' | 'ended';
  mac: string | null;
  subscriber_id: number | null;
  login: string | null;
  nas_name: string | null;
  device_id: number | null;
  /** The best that the device is called by. */
  device: string | null;
  port: string | null;
  circuit_id: string | null;
  remote_id: string | null;
  option82_subscriber_id: string | null;
  switch_mac: string | null;
  switch_port: string | null;
  source: string;
  via: string;
  began_at: Date | null;
  committed_at: Date | null;
  ends_at: Date | null;
  event_at: Date;
  ended_at: Date | null;
  end_cause: string | null;
  /** It should be over, and nobody said that it is: its DHCP server is silent. */
  overdue: boolean;
  /** What goes on after this row. */
  position: string;
}

/** An event that changed nothing, with the login of who was meant. */
export interface RefusalRow {
  id: number;
  first_at: Date;
  at: Date;
  repeats: number;
  routing_domain: string;
  address: string;
  mac: string | null;
  kind: string;
  reason: string;
  detail: string | null;
  subscriber_id: number | null;
  login: string | null;
  /** What the event named the switch or ONU by. */
  device: string | null;
  port: string | null;
  circuit_id: string | null;
  remote_id: string | null;
  option82_subscriber_id: string | null;
  source: string;
  via: string;
  position: string;
}

/** Leases that a filter looks at before they are put into order: more than one device has. */
const MATCHED_LEASES = 20_000;
/** Subscribers whose login begins alike. */
const MATCHED_LOGINS = 200;
/** Refused events that a filter looks through: as many as are kept for long (`REFUSALS_KEPT` of `sweeps.ts`). */
const SEARCHED_REFUSALS = 20_000;

/** Whole µs since 1970: exact as a number until the year 2255. */
const micros = (column: string): string => `(extract(epoch FROM ${column}) * 1000000)::bigint`;
const instant = (parameter: string): string =>
  `(timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond')`;

const leaseColumns = `l.routing_domain, host(l.address) AS address, l.state, l.mac::text AS mac, l.subscriber_id, s.login, l.nas_name, l.device_id,
  ${deviceLabel('d')} AS device, l.port, l.circuit_id, l.remote_id, l.option82_subscriber_id, l.switch_mac::text AS switch_mac, l.switch_port, l.source, l.via,
  l.began_at, l.committed_at, l.ends_at, l.event_at, l.ended_at, l.end_cause, coalesce(l.state = 'bound' AND l.ends_at < now(), false) AS overdue,
  concat_ws('-', ${micros('l.began_at')}, host(l.address), l.routing_domain) AS position`;
const leaseNames = 'LEFT JOIN subscriber s ON s.id = l.subscriber_id LEFT JOIN device d ON d.id = l.device_id';
const NEWEST_LEASES = 'ORDER BY began_at DESC, address DESC, routing_domain DESC';

/** Where a list of leases goes on. */
interface LeasePosition {
  readonly beganUs: number;
  readonly address: string;
  readonly routingDomain: string;
}

/** Reads what `position` of a lease says; undefined for anything else. */
function leasePosition(text: string | undefined): LeasePosition | undefined {
  const [, beganUs, address = '', routingDomain = ''] =
    /^(\d{1,16})-([\d.]{7,15})-([^\0]{1,253})$/su.exec(text ?? '') ?? [];
  if (beganUs === undefined || parseIpv4Address(address) === undefined) return undefined;
  return { beganUs: Number(beganUs), address, routingDomain };
}

/** Which bound leases; absent means any. */
export interface LeaseFilter {
  readonly subscriberId?: number;
  readonly address?: string;
  readonly mac?: string;
  readonly device?: DeviceReference;
  /** Only those that should be over. Looks at the whole table unless something else is named. */
  readonly overdue?: boolean;
}

/** Parameters and conditions of one statement. */
class Parameters {
  readonly values: (string | number | null)[] = [];

  place(value: string | number | null): string {
    return `$${String(this.values.push(value))}`;
  }
}

/** Bound leases, the newest first. @param after `position` of the last row of the page before; undefined, or no position: from the beginning */
export async function listLeases(
  pool: Pool,
  filter: LeaseFilter,
  after: string | undefined,
  limit: number,
): Promise<LeaseRow[]> {
  const parameters = new Parameters();
  const { subscriberId, address, mac, device, overdue } = filter;
  const narrow = [
    ...(subscriberId === undefined ? [] : [`subscriber_id = ${parameters.place(subscriberId)}`]),
    ...(address === undefined ? [] : [`address = ${parameters.place(address)}::inet`]),
    ...(mac === undefined ? [] : [`mac = ${parameters.place(mac)}::macaddr`]),
    ...(device === undefined
      ? []
      : [`device_id = ANY (ARRAY(${deviceIdsSql(device, (value) => parameters.place(value))}))`]),
  ];
  const late = overdue === true ? [`ends_at < now()`] : [];
  const conditions = [`state = 'bound'`, ...narrow, ...late].join(' AND ');
  // Whoever asks for a few must not have all looked through in their order until there are enough of them.
  const source =
    narrow.length === 0 ? undefined : `SELECT * FROM lease WHERE ${conditions} LIMIT ${String(MATCHED_LEASES)}`;
  return await newestOf(pool, parameters, source, conditions, after, limit);
}

/** Bound leases by address, MAC, device with or without a port, and beginning of a login. */
export async function searchLeases(
  pool: Pool,
  search: SearchText,
  after: string | undefined,
  limit: number,
): Promise<LeaseRow[]> {
  const parameters = new Parameters();
  const place = (value: string | number | null): string => parameters.place(value);
  const most = String(MATCHED_LEASES);
  const login = place(beginning(search.text));
  const ways = [
    `subscriber_id = ANY (ARRAY(SELECT id FROM subscriber WHERE lower(login) LIKE lower(${login}) ORDER BY lower(login) USING ~<~
      LIMIT ${String(MATCHED_LOGINS)}))`,
    `device_id = ANY (ARRAY(${deviceIdsSql(search.device, place)}))`,
    ...(search.address === undefined ? [] : [`address = ${place(search.address)}::inet`]),
    ...(search.mac === undefined ? [] : [`mac = ${place(search.mac)}::macaddr`]),
    ...(search.line === undefined
      ? []
      : [`device_id = ANY (ARRAY(${deviceIdsSql(search.line.device, place)})) AND port = ${place(search.line.port)}`]),
  ];
  const source = ways
    .map((way) => `(SELECT * FROM lease WHERE state = 'bound' AND ${way} LIMIT ${most})`)
    .join(' UNION ');
  return await newestOf(pool, parameters, source, 'true', after, limit);
}

async function newestOf(
  pool: Pool,
  parameters: Parameters,
  source: string | undefined,
  conditions: string,
  after: string | undefined,
  limit: number,
): Promise<LeaseRow[]> {
  const from = leasePosition(after);
  const beyond =
    from === undefined
      ? ''
      : `AND (began_at, address, routing_domain) < (${instant(parameters.place(from.beganUs))}, ${parameters.place(from.address)}::inet, ${parameters.place(from.routingDomain)})`;
  const { rows } = await pool.query<LeaseRow>(
    `WITH ${source === undefined ? '' : `found AS MATERIALIZED (${source}), `}page AS (
       SELECT * FROM ${source === undefined ? 'lease' : 'found'} WHERE ${source === undefined ? conditions : 'true'} ${beyond} ${NEWEST_LEASES}
       LIMIT ${parameters.place(limit)})
     SELECT ${leaseColumns} FROM page l ${leaseNames} ORDER BY l.began_at DESC, l.address DESC, l.routing_domain DESC`,
    parameters.values,
  );
  return rows;
}

/** Every lease of an address, bound or over: one for each routing domain. */
export async function leasesOfAddress(pool: Pool, address: string): Promise<LeaseRow[]> {
  return (
    await pool.query<LeaseRow>(
      `SELECT ${leaseColumns} FROM lease l ${leaseNames} WHERE l.address = $1::inet ORDER BY l.routing_domain LIMIT 100`,
      [address],
    )
  ).rows;
}

/** The leases of a subscriber, bound ones first; of those that are over, the ones of its MACs and of its port. */
export async function leasesOfSubscriber(
  pool: Pool,
  subscriber: {
    readonly id: number;
    readonly macs: readonly string[];
    readonly deviceId: number | null;
    readonly port: string | null;
  },
  limit: number,
): Promise<LeaseRow[]> {
  return (
    await pool.query<LeaseRow>(
      `WITH found AS (
         (SELECT * FROM lease WHERE subscriber_id = $1 AND state = 'bound' LIMIT $5)
         UNION (SELECT * FROM lease WHERE mac = ANY ($2::macaddr[]) AND subscriber_id = $1 LIMIT ${String(MATCHED_LEASES)})
         UNION (SELECT * FROM lease WHERE device_id = $3 AND ($4::text IS NULL OR port = $4) AND subscriber_id = $1 LIMIT ${String(MATCHED_LEASES)}))
       SELECT ${leaseColumns} FROM found l ${leaseNames} ORDER BY l.state, coalesce(l.ended_at, l.began_at) DESC, l.address LIMIT $5`,
      [subscriber.id, subscriber.macs, subscriber.deviceId, subscriber.port, limit],
    )
  ).rows;
}

const refusalColumns = `r.id, r.first_at, r.at, r.repeats, r.routing_domain, host(r.address) AS address, r.mac::text AS mac, r.kind, r.reason, r.detail,
  r.subscriber_id, s.login, r.device, r.port, r.circuit_id, r.remote_id, r.option82_subscriber_id, r.source, r.via,
  concat_ws('-', ${micros('r.at')}, r.id) AS position`;

/** Which refused events; absent means any. */
export interface RefusalFilter {
  readonly reason?: string;
  readonly address?: string;
  /** By address, MAC, device, port, or beginning of a login. */
  readonly search?: SearchText;
}

/** Refused events, the last first. @param after `position` of the last row of the page before; undefined, or no position: from the beginning */
export async function listRefusals(
  pool: Pool,
  filter: RefusalFilter,
  after: string | undefined,
  limit: number,
): Promise<RefusalRow[]> {
  const parameters = new Parameters();
  const place = (value: string | number | null): string => parameters.place(value);
  const conditions: string[] = [];
  if (filter.reason !== undefined) conditions.push(`reason = ${place(filter.reason)}`);
  if (filter.address !== undefined) conditions.push(`address = ${place(filter.address)}::inet`);
  if (filter.search !== undefined) conditions.push(`(${refusalWays(filter.search, place).join(' OR ')})`);
  const [, atUs, id] = /^(\d{1,16})-(\d{1,15})$/u.exec(after ?? '') ?? [];
  const beyond =
    atUs === undefined || id === undefined
      ? ''
      : `WHERE (at, id) < (${instant(place(Number(atUs)))}, ${place(Number(id))}::bigint)`;
  const { rows } = await pool.query<RefusalRow>(
    `WITH newest AS MATERIALIZED (
       SELECT * FROM lease_refusal ${beyond} ORDER BY at DESC, id DESC LIMIT ${conditions.length === 0 ? place(limit) : String(SEARCHED_REFUSALS)}),
     page AS (SELECT * FROM newest ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`} ORDER BY at DESC, id DESC LIMIT ${place(limit)})
     SELECT ${refusalColumns} FROM page r LEFT JOIN subscriber s ON s.id = r.subscriber_id ORDER BY r.at DESC, r.id DESC`,
    parameters.values,
  );
  return rows;
}

function refusalWays(search: SearchText, place: (value: string | number | null) => string): string[] {
  const name = place(search.text);
  return [
    `port = ${name}`,
    `lower(device) = lower(${name})`,
    `subscriber_id = ANY (ARRAY(SELECT id FROM subscriber WHERE lower(login) LIKE lower(${place(beginning(search.text))})
       ORDER BY lower(login) USING ~<~ LIMIT ${String(MATCHED_LOGINS)}))`,
    ...(search.address === undefined ? [] : [`address = ${place(search.address)}::inet`]),
    // A switch is told by its MAC as text.
    ...(search.mac === undefined ? [] : [`mac = ${place(search.mac)}::macaddr`, `device = ${place(search.mac)}`]),
    ...(search.line === undefined
      ? []
      : [`(${sameDevice(search.line.device, place)}) AND port = ${place(search.line.port)}`]),
  ];
}

function sameDevice({ mac, serial, name }: DeviceReference, place: (value: string | null) => string): string {
  return `device = ${place(mac)} OR device = ${place(serial)} OR lower(device) = lower(${place(name)})`;
}

/** Refused events around a subscriber: its own, those of its MACs, and those of its port, the last first. */
export async function refusalsAround(
  pool: Pool,
  around: {
    readonly subscriberId: number | null;
    readonly macs: readonly string[];
    /** All that its device is called by. */
    readonly devices: readonly string[];
    /** null: the whole device. */
    readonly port: string | null;
  },
  limit: number,
): Promise<RefusalRow[]> {
  return (
    await pool.query<RefusalRow>(
      `SELECT ${refusalColumns} FROM (SELECT * FROM lease_refusal ORDER BY at DESC, id DESC LIMIT ${String(SEARCHED_REFUSALS)}) r
         LEFT JOIN subscriber s ON s.id = r.subscriber_id
        WHERE r.subscriber_id = $1 OR r.mac = ANY ($2::macaddr[]) OR (r.device = ANY ($3::text[]) AND ($4::text IS NULL OR r.port = $4))
        ORDER BY r.at DESC, r.id DESC LIMIT $5`,
      [around.subscriberId, around.macs, around.devices, around.port, limit],
    )
  ).rows;
}

/** How leases stand. */
export interface LeaseCounts {
  bound: number;
  overdue: number;
  /** Different events, however often each came. */
  refused_last_hour: number;
}

/** Counts leases, and what was refused within the hour. Looks at the whole table. */
export async function countLeases(pool: Pool): Promise<LeaseCounts> {
  const { rows } = await pool.query<LeaseCounts>(
    `SELECT count(*)::int AS bound, (count(*) FILTER (WHERE ends_at < now()))::int AS overdue,
       (SELECT count(*)::int FROM (SELECT FROM lease_refusal WHERE at > now() - interval '1 hour' LIMIT ${String(SEARCHED_REFUSALS)}) r) AS refused_last_hour
     FROM lease WHERE state = 'bound'`,
  );
  return rows[0]!;
}
