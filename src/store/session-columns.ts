/**
 * How a session travels between memory and its two tables. Enters: rows and records. Leaves: column lists, parameter arrays and
 * records. Invariant: one list says which columns there are, so that insert, update and select cannot disagree.
 */
import type { SessionEnd, SessionRecord } from '../domain/session.js';
import { numberArray } from './array-text.js';

type Value = string | number | boolean | null;

interface Column<T> {
  readonly name: string;
  /** The array type of the parameter. */
  readonly type: string;
  /** How the parameter becomes the column; times travel as epoch milliseconds. */
  readonly write: (parameter: string) => string;
  readonly value: (record: T) => Value;
  /** Whether it may change while the session lives. */
  readonly mutable: boolean;
}

const as = (parameter: string): string => parameter;
const asTime = (parameter: string): string => `to_timestamp(${parameter} / 1000.0)`;

function column<T>(name: string, type: string, value: (record: T) => Value, mutable = false): Column<T> {
  return { name, type: type === 'time' ? 'float8' : type, write: type === 'time' ? asTime : as, value, mutable };
}

const SESSION: readonly Column<SessionRecord>[] = [
  column('id', 'bigint', (s) => s.id),
  column('subscriber_id', 'bigint', (s) => s.subscriberId, true),
  column('login', 'text', (s) => s.login, true),
  column('nas_name', 'text', (s) => s.nasName),
  column('nas_box', 'text', (s) => s.nasBox),
  column('routing_domain', 'text', (s) => s.routingDomain),
  column('acct_session_id', 'text', (s) => s.acctSessionId),
  column('epoch', 'int', (s) => s.epoch),
  column('mac', 'macaddr', (s) => s.mac, true),
  column('calling_station', 'text', (s) => s.callingStation, true),
  column('called_station', 'text', (s) => s.calledStation, true),
  column('nas_port_id', 'text', (s) => s.nasPortId, true),
  column('address', 'inet', (s) => s.address, true),
  column('framed_prefix', 'cidr', (s) => s.framedPrefix, true),
  column('delegated_prefix', 'cidr', (s) => s.delegatedPrefix, true),
  column('interface_id', 'text', (s) => s.interfaceId, true),
  column('nas_address', 'inet', (s) => s.nasAddress, true),
  column('slot', 'smallint', (s) => s.slot, true),
  column('offer_id', 'bigint', (s) => s.offerId, true),
  column('policy_hash', 'bigint', (s) => s.policyHash, true),
  column('started_at', 'time', (s) => s.startedAtMs, true),
  column('started_exactly', 'boolean', (s) => s.startedExactly, true),
  column('last_event_at', 'time', (s) => s.lastEventAtMs, true),
  column('last_received_at', 'time', (s) => s.lastReceivedAtMs, true),
  column('session_seconds', 'bigint', (s) => s.sessionSeconds, true),
  column('input_octets', 'bigint', (s) => s.inputOctets, true),
  column('output_octets', 'bigint', (s) => s.outputOctets, true),
  column('octets_estimated', 'boolean', (s) => s.octetsEstimated, true),
  column('interim_count', 'int', (s) => s.interimCount, true),
  column('interim_seconds', 'int', (s) => s.interimSeconds, true),
  column('suspect', 'boolean', (s) => s.suspect, true),
  column('conflict', 'text', (s) => s.conflict, true),
];

const HISTORY: readonly Column<SessionRecord>[] = [
  ...SESSION,
  column('ended_at', 'time', (s) => s.end!.endedAtMs),
  column('end_cause', 'text', (s) => s.end!.cause),
  column('terminate_cause', 'int', (s) => s.end!.terminateCause),
  column('synthetic', 'boolean', (s) => s.end!.synthetic),
  column('amended', 'boolean', (s) => s.end!.amended),
];

export interface Statement {
  readonly name: string;
  readonly text: string;
  /** One for each column: an array, or one that is text already. */
  readonly values: (Value[] | string)[];
}

function unnest(columns: readonly Column<SessionRecord>[]): string {
  return `unnest(${columns.map((c, i) => `$${i + 1}::${c.type}[]`).join(', ')}) AS r (${columns.map((c) => c.name).join(', ')})`;
}

const NUMERIC = new Set(['bigint', 'int', 'smallint', 'float8']);

function values(columns: readonly Column<SessionRecord>[], records: readonly SessionRecord[]): (Value[] | string)[] {
  return columns.map((c) => {
    const list = records.map((record) => c.value(record));
    return NUMERIC.has(c.type) ? numberArray(list as (number | null)[]) : list;
  });
}

function insertText(table: string, columns: readonly Column<SessionRecord>[]): string {
  return `INSERT INTO ${table} (${columns.map((c) => c.name).join(', ')})
    SELECT ${columns.map((c) => c.write(`r.${c.name}`)).join(', ')} FROM ${unnest(columns)}`;
}

/** What an Interim-Update changes, nearly always and alone. */
const COUNTERS = new Set([
  'last_event_at',
  'last_received_at',
  'session_seconds',
  'input_octets',
  'output_octets',
  'octets_estimated',
  'interim_count',
  'interim_seconds',
  'suspect',
]);
const ALTERED = SESSION.filter((c) => c.mutable);
const COUNTED = SESSION.filter((c) => COUNTERS.has(c.name));
const ID = SESSION.filter((c) => c.name === 'id');
const INSERT_LIVE = insertText('session', SESSION);
const INSERT_HISTORY = insertText('session_history', HISTORY);
const UPDATE_LIVE = updateText(ALTERED);
const UPDATE_COUNTERS = updateText(COUNTED);

function updateText(columns: readonly Column<SessionRecord>[]): string {
  return `UPDATE session s SET ${columns.map((c) => `${c.name} = ${c.write(`r.${c.name}`)}`).join(', ')}
    FROM ${unnest([...ID, ...columns])} WHERE s.id = r.id`;
}

export function insertLive(records: readonly SessionRecord[]): Statement {
  return { name: 'insert-live', text: INSERT_LIVE, values: values(SESSION, records) };
}

export function insertHistory(records: readonly SessionRecord[]): Statement {
  return { name: 'insert-history', text: INSERT_HISTORY, values: values(HISTORY, records) };
}

export function updateLive(records: readonly SessionRecord[]): Statement {
  return { name: 'update-live', text: UPDATE_LIVE, values: values([...ID, ...ALTERED], records) };
}

/** The same for sessions of which nothing but counters changed. */
export function updateCounters(records: readonly SessionRecord[]): Statement {
  return { name: 'update-counters', text: UPDATE_COUNTERS, values: values([...ID, ...COUNTED], records) };
}

const UPDATE_LIVE_OF_VERSION = updateOfVersionText(ALTERED);
const UPDATE_COUNTERS_OF_VERSION = updateOfVersionText(COUNTED);

function updateOfVersionText(columns: readonly Column<SessionRecord>[]): string {
  const given = [...ID, ...columns];
  return `UPDATE session s SET ${columns.map((c) => `${c.name} = ${c.write(`r.${c.name}`)}`).join(', ')}
    FROM unnest(${given.map((c, i) => `$${i + 1}::${c.type}[]`).join(', ')}, $${given.length + 1}::xid[])
      AS r (${given.map((c) => c.name).join(', ')}, version) WHERE s.id = r.id AND s.xmin = r.version`;
}

/** As `updateLive`, over rows that nobody has written since: whoever finds fewer of them than there are sessions must not commit. */
export function updateLiveOfVersion(records: readonly SessionRecord[], versions: readonly number[]): Statement {
  return {
    name: 'update-live-of-version',
    text: UPDATE_LIVE_OF_VERSION,
    values: [...values([...ID, ...ALTERED], records), numberArray(versions)],
  };
}

/** The same for sessions of which nothing but counters changed. */
export function updateCountersOfVersion(records: readonly SessionRecord[], versions: readonly number[]): Statement {
  return {
    name: 'update-counters-of-version',
    text: UPDATE_COUNTERS_OF_VERSION,
    values: [...values([...ID, ...COUNTED], records), numberArray(versions)],
  };
}

/** The select list of a session, for rows that `readSession` takes. */
export function sessionSelect(alias: string): string {
  const list = SESSION.map((c) => {
    if (c.write === asTime) return `(extract(epoch FROM ${alias}.${c.name}) * 1000)::bigint AS ${c.name}`;
    if (c.type === 'cidr') return `${alias}.${c.name}::text AS ${c.name}`;
    if (c.type === 'inet') return `host(${alias}.${c.name}) AS ${c.name}`;
    return `${alias}.${c.name}`;
  });
  return list.join(', ');
}

export const HISTORY_SELECT = `${sessionSelect('h')}, (extract(epoch FROM h.ended_at) * 1000)::bigint AS ended_at, h.end_cause,
  h.terminate_cause, h.synthetic, h.amended`;

export interface SessionRow {
  readonly id: number;
  readonly subscriber_id: number | null;
  readonly login: string;
  readonly nas_name: string;
  readonly nas_box: string;
  readonly routing_domain: string;
  readonly acct_session_id: string;
  readonly epoch: number;
  readonly mac: string | null;
  readonly calling_station: string | null;
  readonly called_station: string | null;
  readonly nas_port_id: string | null;
  readonly address: string | null;
  readonly framed_prefix: string | null;
  readonly delegated_prefix: string | null;
  readonly interface_id: string | null;
  readonly nas_address: string | null;
  readonly slot: number;
  readonly offer_id: number | null;
  readonly policy_hash: number | null;
  readonly started_at: number;
  readonly started_exactly: boolean;
  readonly last_event_at: number;
  readonly last_received_at: number;
  readonly session_seconds: number;
  readonly input_octets: number;
  readonly output_octets: number;
  readonly octets_estimated: boolean;
  readonly interim_count: number;
  readonly interim_seconds: number | null;
  readonly suspect: boolean;
  readonly conflict: string | null;
}

export interface HistoryRow extends SessionRow {
  readonly ended_at: number;
  readonly end_cause: SessionEnd['cause'];
  readonly terminate_cause: number | null;
  readonly synthetic: boolean;
  readonly amended: boolean;
}

export function readSession(row: SessionRow): SessionRecord {
  return {
    id: row.id,
    epoch: row.epoch,
    nasName: row.nas_name,
    nasBox: row.nas_box,
    acctSessionId: row.acct_session_id,
    subscriberId: row.subscriber_id,
    login: row.login,
    routingDomain: row.routing_domain,
    mac: row.mac,
    callingStation: row.calling_station,
    calledStation: row.called_station,
    nasPortId: row.nas_port_id,
    address: row.address,
    framedPrefix: row.framed_prefix,
    delegatedPrefix: row.delegated_prefix,
    interfaceId: row.interface_id,
    nasAddress: row.nas_address,
    slot: row.slot,
    offerId: row.offer_id,
    policyHash: row.policy_hash,
    startedAtMs: row.started_at,
    startedExactly: row.started_exactly,
    lastEventAtMs: row.last_event_at,
    lastReceivedAtMs: row.last_received_at,
    sessionSeconds: row.session_seconds,
    inputOctets: row.input_octets,
    outputOctets: row.output_octets,
    octetsEstimated: row.octets_estimated,
    interimCount: row.interim_count,
    interimSeconds: row.interim_seconds,
    suspect: row.suspect,
    conflict: row.conflict,
    end: null,
  };
}

export function readHistory(row: HistoryRow): SessionRecord {
  const end: SessionEnd = {
    endedAtMs: row.ended_at,
    cause: row.end_cause,
    terminateCause: row.terminate_cause,
    synthetic: row.synthetic,
    amended: row.amended,
  };
  return { ...readSession(row), end };
}
