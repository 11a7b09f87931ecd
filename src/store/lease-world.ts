/**
 * What lease events meet. Enters: the transaction of a batch, events and what their access lines were read as. Leaves: the leases, devices, subscribers and sessions
 * that they may mean. Invariants: leases that may change are locked, subscribers never; every question is asked once for all events.
 */
import type { PoolClient } from 'pg';
import type { LeaseEvent, LeaseVia } from '../domain/lease-event.js';
import type { AddressSession, LeaseWorld } from '../domain/lease-fold.js';
import { deviceOf, type LeaseLine } from '../domain/lease-holder.js';
import type { LeaseDevice, LeaseEndCause, LeaseRecord, LeaseSubscriber, StrayEnd } from '../domain/lease.js';

export interface LineOfEvent {
  readonly event: LeaseEvent;
  readonly read: LeaseLine;
}

/** Whole ms, as everywhere. */
const ms = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint`;

const COLUMNS = `host(l.address) AS address, l.state, l.mac::text AS mac, l.subscriber_id, s.login, l.nas_name, l.device_id, l.port, l.circuit_id, l.remote_id,
  l.option82_subscriber_id, l.switch_mac::text AS switch_mac, l.switch_port, l.source, l.via, ${ms('l.began_at')} AS began_at,
  ${ms('l.committed_at')} AS committed_at, ${ms('l.ends_at')} AS ends_at, ${ms('l.event_at')} AS event_at, ${ms('l.ended_at')} AS ended_at, l.end_cause,
  l.stray_mac::text AS stray_mac, ${ms('l.stray_ended_at')} AS stray_ended_at, l.stray_cause`;
const BY_ADDRESS = {
  name: 'leases-of-addresses',
  text: `SELECT ${COLUMNS} FROM lease l LEFT JOIN subscriber s ON s.id = l.subscriber_id
  WHERE l.routing_domain = $1 AND l.address = ANY ($2::inet[]) ORDER BY l.address FOR UPDATE OF l`,
};
/** Nobody takes from another one's batch what this one is about to count. */
const BY_SUBSCRIBER = {
  name: 'leases-of-subscribers',
  text: `SELECT ${COLUMNS} FROM lease l LEFT JOIN subscriber s ON s.id = l.subscriber_id
  WHERE l.routing_domain = $1 AND l.subscriber_id = ANY ($2::bigint[]) AND l.state = 'bound' AND l.address <> ALL ($3::inet[])
  ORDER BY l.address FOR UPDATE OF l`,
};
const DEVICES = {
  name: 'devices-of-lines',
  text: `SELECT d.id, d.mac::text AS mac, d.name, d.serial, k.by_port FROM device d JOIN device_kind k ON k.id = d.kind_id
  WHERE NOT d.deleted AND d.id IN (SELECT id FROM device WHERE mac = ANY ($1::macaddr[])
    UNION SELECT id FROM device WHERE name = ANY ($2::text[]) UNION SELECT id FROM device WHERE serial = ANY ($3::text[])
    UNION SELECT id FROM device WHERE id = ANY ($4::bigint[]))`,
};
const SUBSCRIBERS = {
  name: 'subscribers-of-leases',
  text: `SELECT s.id, s.login, s.mac::text AS mac, host(s.static_address) AS static_address, s.nas_name, s.device_id, s.port, s.option82_auth,
    coalesce(p.max_addresses, 1) AS max_addresses
  FROM subscriber s JOIN account a ON a.id = s.account_id LEFT JOIN plan p ON p.id = a.plan_id
  WHERE NOT s.deleted AND s.id IN (
    SELECT x.id FROM unnest($1::bigint[], $2::text[]) AS l (device_id, port) JOIN subscriber x ON x.device_id = l.device_id AND x.port = l.port
    UNION SELECT id FROM subscriber WHERE device_id = ANY ($3::bigint[])
    UNION SELECT id FROM subscriber WHERE mac = ANY ($4::macaddr[])
    UNION SELECT id FROM subscriber WHERE login = ANY ($5::text[])
    UNION SELECT id FROM subscriber WHERE id = ANY ($6::bigint[]))`,
};
const SESSIONS = {
  name: 'sessions-at-addresses',
  text: `SELECT host(address) AS address, subscriber_id, nas_box, nas_name, acct_session_id FROM session
  WHERE address = ANY ($2::inet[]) AND routing_domain = $1`,
};
const POOLED = {
  name: 'addresses-in-pools',
  text: `SELECT host(a) AS address FROM unnest($2::inet[]) AS a
  WHERE EXISTS (SELECT FROM pool_network n JOIN pool p ON p.id = n.pool_id WHERE p.routing_domain = $1 AND n.network >>= a)`,
};

interface LeaseRow {
  readonly address: string;
  readonly state: 'bound' | 'ended';
  readonly mac: string | null;
  readonly subscriber_id: number | null;
  readonly login: string | null;
  readonly nas_name: string | null;
  readonly device_id: number | null;
  readonly port: string | null;
  readonly circuit_id: string | null;
  readonly remote_id: string | null;
  readonly option82_subscriber_id: string | null;
  readonly switch_mac: string | null;
  readonly switch_port: string | null;
  readonly source: string;
  readonly via: LeaseVia;
  readonly began_at: number | null;
  readonly committed_at: number | null;
  readonly ends_at: number | null;
  readonly event_at: number;
  readonly ended_at: number | null;
  readonly end_cause: LeaseEndCause | null;
  readonly stray_mac: string | null;
  readonly stray_ended_at: number | null;
  readonly stray_cause: StrayEnd['cause'] | null;
}

interface SubscriberRow {
  readonly id: number;
  readonly login: string;
  readonly mac: string | null;
  readonly static_address: string | null;
  readonly nas_name: string | null;
  readonly device_id: number | null;
  readonly port: string | null;
  readonly option82_auth: LeaseSubscriber['option82Auth'];
  readonly max_addresses: number;
}

/** Reads and locks what the events may touch. */
export async function loadLeaseWorld(
  client: PoolClient,
  lines: readonly LineOfEvent[],
  routingDomain: string,
  nasOf: LeaseWorld['nasOf'],
): Promise<LeaseWorld> {
  const addresses = [...new Set(lines.map(({ event }) => event.address))].sort();
  const atAddresses = await client.query<LeaseRow>({ ...BY_ADDRESS, values: [routingDomain, addresses] });
  const devices = await readDevices(client, lines, atAddresses.rows);
  const subscribers = await readSubscribers(client, lines, devices, atAddresses.rows);
  const ids = subscribers.map(({ id }) => id);
  const others = await client.query<LeaseRow>({ ...BY_SUBSCRIBER, values: [routingDomain, ids, addresses] });
  const leases = [...atAddresses.rows, ...others.rows].map((row) => leaseOf(row, routingDomain));
  const reached = leases.map(({ address }) => address);
  const sessions = await client.query<SessionRow>({
    ...SESSIONS,
    values: [routingDomain, [...new Set([...addresses, ...reached])]],
  });
  const pooled = await client.query<{ address: string }>({ ...POOLED, values: [routingDomain, addresses] });
  const inPools = new Set(pooled.rows.map(({ address }) => address));
  return {
    routingDomain,
    leases,
    devices,
    subscribers,
    sessions: sessions.rows.map(sessionOf),
    isInPool: (address) => inPools.has(address),
    nasOf,
  };
}

async function readDevices(
  client: PoolClient,
  lines: readonly LineOfEvent[],
  leases: readonly LeaseRow[],
): Promise<LeaseDevice[]> {
  const named = { mac: new Set<string>(), name: new Set<string>(), serial: new Set<string>() };
  for (const { read } of lines) {
    if (read.read !== 'line') continue;
    if (read.line.device !== undefined) named[read.line.device.by].add(read.line.device.value);
    if (read.line.onuSerial !== undefined) named.serial.add(read.line.onuSerial);
  }
  const remembered = leases.flatMap(({ device_id }) => (device_id === null ? [] : [device_id]));
  const { rows } = await client.query<Omit<LeaseDevice, 'byPort'> & { by_port: boolean }>({
    ...DEVICES,
    values: [[...named.mac], [...named.name], [...named.serial], remembered],
  });
  return rows.map(({ id, mac, name, serial, by_port }) => ({ id, mac, name, serial, byPort: by_port }));
}

async function readSubscribers(
  client: PoolClient,
  lines: readonly LineOfEvent[],
  devices: readonly LeaseDevice[],
  leases: readonly LeaseRow[],
): Promise<LeaseSubscriber[]> {
  const places = new Map<string, readonly [number, string]>();
  const logins = new Set<string>();
  const macs = new Set<string>();
  for (const { event, read } of lines) {
    if (event.mac !== null) macs.add(event.mac);
    if (read.read !== 'line') continue;
    const device = deviceOf(read.line, devices);
    const { port } = read.line;
    if (device?.byPort === true && port !== undefined) places.set(`${String(device.id)} ${port}`, [device.id, port]);
    if (read.line.login !== undefined) logins.add(read.line.login);
  }
  const { rows } = await client.query<SubscriberRow>({
    ...SUBSCRIBERS,
    values: [
      [...places.values()].map(([id]) => id),
      [...places.values()].map(([, port]) => port),
      devices.filter((device) => !device.byPort).map(({ id }) => id),
      [...macs],
      [...logins],
      leases.flatMap(({ subscriber_id }) => (subscriber_id === null ? [] : [subscriber_id])),
    ],
  });
  return rows.map((row) => ({
    id: row.id,
    login: row.login,
    mac: row.mac,
    staticAddress: row.static_address,
    nasName: row.nas_name,
    deviceId: row.device_id,
    port: row.port,
    option82Auth: row.option82_auth,
    maxAddresses: row.max_addresses,
  }));
}

interface SessionRow {
  readonly address: string;
  readonly subscriber_id: number | null;
  readonly nas_box: string;
  readonly nas_name: string;
  readonly acct_session_id: string;
}

function sessionOf(row: SessionRow): AddressSession {
  return {
    address: row.address,
    subscriberId: row.subscriber_id,
    nasBox: row.nas_box,
    nasName: row.nas_name,
    acctSessionId: row.acct_session_id,
  };
}

function leaseOf(row: LeaseRow, routingDomain: string): LeaseRecord {
  const hasLine = [row.circuit_id, row.remote_id, row.option82_subscriber_id, row.switch_mac, row.switch_port].some(
    (value) => value !== null,
  );
  return {
    routingDomain,
    address: row.address,
    isStored: true,
    mac: row.mac,
    subscriberId: row.subscriber_id,
    login: row.login ?? '',
    nasName: row.nas_name,
    deviceId: row.device_id,
    port: row.port,
    line: hasLine
      ? {
          circuitId: row.circuit_id,
          remoteId: row.remote_id,
          subscriberId: row.option82_subscriber_id,
          switchMac: row.switch_mac,
          switchPort: row.switch_port,
        }
      : null,
    source: row.source,
    via: row.via,
    beganAtMs: row.began_at,
    committedAtMs: row.committed_at,
    endsAtMs: row.ends_at,
    eventAtMs: row.event_at,
    end: row.ended_at === null ? null : { endedAtMs: row.ended_at, cause: row.end_cause! },
    strayEnd:
      row.stray_mac === null ? null : { mac: row.stray_mac, endedAtMs: row.stray_ended_at!, cause: row.stray_cause! },
  };
}
