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
/** Refused events that are kept: more of them are one fault that the newest tell as well, and a filter looks through all of them in some 20 ms. */
export const REFUSALS_KEPT = 20_000;

/** Whole µs since 1970: exact as a number until the year 2255. */
const micros = (column: string): string => `(extract(epoch FROM ${column}) * 1000000)::bigint`;
const instant = (parameter: string): string =>
  `(timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond')`;

const leaseColumns = `l.routing_domain, host(l.address) AS address, l.state, l.mac::text AS mac, l.subscriber_id, s.login, l.nas_name, l.device_id,
  ${deviceLabel('d')} AS device, l.port, l.circuit_id, l.remote_id, l.option82_subscriber_id, l.switch_mac::text AS switch_mac, l.switch_port, l.source, l.via,
  l.began_at, l.committed_at, l.ends_at, l.event_at, l.ended_at, l.end_cause, coalesce(l.state = 'bound' AND l.ends_at < now(), false) AS overdue,
  concat_ws('-', ${micros('l.began_at')}, host(l.address), l.routing_domain) AS position`;
const leaseNames = 'LEFT JOIN subscriber s ON s.id = l.subscriber_id LEFT JOIN device d ON d.id = l.device_id';

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

/** What a page of leases is found by: its position, and no more. */
const KEYS = 'began_at, address, routing_domain';

/** Bound leases, the newest first. @param after `position` of the last row of the page before; undefined, or no position: from the beginning */
export async function listLeases(
  pool: Pool,
  filter: LeaseFilter,
  after: string | undefined,
  limit: number,
): Promise<LeaseRow[]> {
  const parameters = new Parameters();
  const { subscriberId, address, mac, device, overdue } = filter;
  const conditions = [
    ...(subscriberId === undefined ? [] : [`subscriber_id = ${parameters.place(subscriberId)}`]),
    ...(address === undefined ? [] : [`address = ${parameters.place(address)}::inet`]),
    ...(mac === undefined ? [] : [`mac = ${parameters.place(mac)}::macaddr`]),
    ...(device === undefined
      ? []
      : [`device_id = ANY (ARRAY(${deviceIdsSql(device, (value) => parameters.place(value))}))`]),
  ];
  const late = overdue === true ? ` AND ends_at < now()` : '';
  // Whoever asks for a few must not have all looked through in their order until there are enough of them.
  const source =
    conditions.length === 0
      ? undefined
      : `SELECT ${KEYS} FROM lease WHERE state = 'bound' AND ${conditions.join(' AND ')}${late} LIMIT ${String(MATCHED_LEASES)}`;
  return await newestOf(pool, parameters, source, late, after, limit);
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
  const ways = [
    `subscriber_id = ANY (ARRAY(${loginsSql(search, place)}))`,
    `device_id = ANY (ARRAY(${deviceIdsSql(search.device, place)}))`,
    ...(search.address === undefined ? [] : [`address = ${place(search.address)}::inet`]),
    ...(search.mac === undefined ? [] : [`mac = ${place(search.mac)}::macaddr`]),
    ...(search.line === undefined
      ? []
      : [`device_id = ANY (ARRAY(${deviceIdsSql(search.line.device, place)})) AND port = ${place(search.line.port)}`]),
  ];
  const source = ways
    .map((way) => `(SELECT ${KEYS} FROM lease WHERE state = 'bound' AND ${way} LIMIT ${String(MATCHED_LEASES)})`)
    .join(' UNION ');
  return await newestOf(pool, parameters, source, '', after, limit);
}

/** As SQL: the ids of subscribers whose login begins so. */
function loginsSql({ text }: SearchText, place: (value: string) => string): string {
  return `SELECT id FROM subscriber WHERE lower(login) LIKE lower(${place(beginning(text))}) ORDER BY lower(login) USING ~<~ LIMIT ${String(MATCHED_LOGINS)}`;
}

async function newestOf(
  pool: Pool,
  parameters: Parameters,
  source: string | undefined,
  condition: string,
  after: string | undefined,
  limit: number,
): Promise<LeaseRow[]> {
  const from = leasePosition(after);
  const beyond =
    from === undefined
      ? ''
      : ` AND (${KEYS}) < (${instant(parameters.place(from.beganUs))}, ${parameters.place(from.address)}::inet, ${parameters.place(from.routingDomain)})`;
  const order = 'ORDER BY began_at DESC, address DESC, routing_domain DESC';
  const [found, table] =
    source === undefined
      ? ['', `lease WHERE state = 'bound'${condition}`]
      : [`found AS MATERIALIZED (${source}), `, 'found WHERE true'];
  const { rows } = await pool.query<LeaseRow>(
    `WITH ${found}page AS (SELECT ${KEYS} FROM ${table}${beyond} ${order} LIMIT ${parameters.place(limit)})
     SELECT ${leaseColumns} FROM page p JOIN lease l ON l.routing_domain = p.routing_domain AND l.address = p.address ${leaseNames}
      ORDER BY p.began_at DESC, p.address DESC, p.routing_domain DESC`,
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
       SELECT * FROM lease_refusal ${beyond} ORDER BY at DESC, id DESC LIMIT ${conditions.length === 0 ? place(limit) : String(REFUSALS_KEPT)}),
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
    // Hashed, where an array is looked through for each row.
    `subscriber_id IN (${loginsSql(search, place)})`,
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
      `SELECT ${refusalColumns} FROM (SELECT * FROM lease_refusal ORDER BY at DESC, id DESC LIMIT ${String(REFUSALS_KEPT)}) r
         LEFT JOIN subscriber s ON s.id = r.subscriber_id
        WHERE r.subscriber_id = $1 OR r.mac = ANY ($2::macaddr[]) OR (r.device = ANY ($3::text[]) AND ($4::text IS NULL OR r.port = $4))
        ORDER BY r.at DESC, r.id DESC LIMIT $5`,
      [around.subscriberId, around.macs, around.devices, around.port, limit],
    )
  ).rows;
}

/** Up to this size of the table leases are counted: some 250,000, in some 50 ms. Octets. */
const COUNTED_TABLE_OCTETS = 67_108_864;

/** How leases stand. */
export interface LeaseCounts {
  bound: number;
  /** Bound leases are told as PostgreSQL saw them last: there are too many to be counted for a page. */
  is_estimate: boolean;
  /** NULL: there are too many leases to be looked through. */
  overdue: number | null;
  /** Different events, however often each came. */
  refused_last_hour: number;
}

/**
 * Counts leases, and what was refused within the hour.
 *
 * @param countedOctets a table beyond this size is not counted but known from its index
 */
export async function countLeases(pool: Pool, countedOctets = COUNTED_TABLE_OCTETS): Promise<LeaseCounts> {
  const { rows } = await pool.query<{ counted: [number, number] | null; known: number; refused_last_hour: number }>(
    `SELECT CASE WHEN pg_relation_size('lease') <= $1
         THEN (SELECT ARRAY[count(*), count(*) FILTER (WHERE ends_at < now())]::int[] FROM lease WHERE state = 'bound') END AS counted,
       (SELECT greatest(reltuples, 0)::int FROM pg_class WHERE oid = 'lease_began_index'::regclass) AS known,
       (SELECT count(*)::int FROM (SELECT FROM lease_refusal WHERE at > now() - interval '1 hour' LIMIT ${String(REFUSALS_KEPT)}) r) AS refused_last_hour`,
    [countedOctets],
  );
  const { counted, known, refused_last_hour } = rows[0]!;
  return {
    bound: counted?.[0] ?? known,
    is_estimate: counted === null,
    overdue: counted?.[1] ?? null,
    refused_last_hour,
  };
}
