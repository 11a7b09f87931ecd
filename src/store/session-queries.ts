/**
 * Sessions, live and ended, for commands.
 *
 * Enters: filters. Leaves: rows with the column names of the schema.
 * Invariant: history is read by whole partitions that can hold an answer, newest first, and is bounded.
 */
import type { Pool } from 'pg';

/** A session. The columns from `ended_at` on belong to ended ones. */
export interface SessionRow {
  id: number;
  subscriber_id: number | null;
  login: string;
  nas_name: string;
  nas_box: string;
  routing_domain: string;
  acct_session_id: string;
  epoch: number;
  mac: string | null;
  calling_station: string | null;
  called_station: string | null;
  nas_port_id: string | null;
  address: string | null;
  framed_prefix: string | null;
  delegated_prefix: string | null;
  interface_id: string | null;
  slot: number;
  started_at: Date;
  started_exactly: boolean;
  last_event_at: Date;
  last_received_at: Date;
  session_seconds: number;
  input_octets: number | bigint;
  output_octets: number | bigint;
  octets_estimated: boolean;
  interim_count: number;
  interim_seconds: number | null;
  suspect: boolean;
  conflict: string | null;
  ended_at: Date | null;
  end_cause: string | null;
  terminate_cause: number | null;
  synthetic: boolean | null;
  amended: boolean | null;
}

const liveColumns = `
  id, subscriber_id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, mac::text AS mac, calling_station,
  called_station, nas_port_id, host(address) AS address,
  framed_prefix::text AS framed_prefix, delegated_prefix::text AS delegated_prefix, interface_id, slot, started_at, started_exactly, last_event_at,
  last_received_at, session_seconds, input_octets, output_octets, octets_estimated, interim_count, interim_seconds,
  suspect, conflict`;

/** Which sessions; absent means any. */
export interface SessionFilter {
  login?: string;
  subscriberId?: number;
  nas?: string;
  address?: string;
}

interface Conditions {
  readonly texts: string[];
  readonly values: (string | number | Date)[];
}

function conditionsOf(filter: SessionFilter, first: readonly (string | number | Date)[]): Conditions {
  const values = [...first];
  const place = (value: string | number) => `$${String(values.push(value))}`;
  const texts: string[] = [];
  if (filter.login !== undefined) texts.push(`login = ${place(filter.login)}`);
  if (filter.subscriberId !== undefined) texts.push(`subscriber_id = ${place(filter.subscriberId)}`);
  if (filter.nas !== undefined) texts.push(`nas_name = ${place(filter.nas)}`);
  if (filter.address !== undefined) {
    const address = `${place(filter.address)}::inet`;
    texts.push(
      filter.address.includes(':')
        ? `(framed_prefix >>= ${address} OR delegated_prefix >>= ${address})`
        : `address = ${address}`,
    );
  }
  return { texts, values };
}

/**
 * One page of live sessions by id.
 *
 * @param after id of the last row of the page before; 0 for the first
 */
export async function listLiveSessions(
  pool: Pool,
  filter: SessionFilter,
  after: number,
  limit: number,
): Promise<SessionRow[]> {
  const { texts, values } = conditionsOf(filter, [after, limit]);
  return (
    await pool.query<SessionRow>(
      `SELECT ${liveColumns}, NULL::timestamptz AS ended_at, NULL AS end_cause, NULL::int AS terminate_cause,
              NULL::boolean AS synthetic, NULL::boolean AS amended
         FROM session WHERE ${['id > $1', ...texts].join(' AND ')} ORDER BY id LIMIT $2`,
      values,
    )
  ).rows;
}

/** Ended sessions, the last ended first. `since` bounds when they ended. */
export async function listEndedSessions(
  pool: Pool,
  filter: SessionFilter,
  since: Date,
  limit: number,
): Promise<SessionRow[]> {
  const { texts, values } = conditionsOf(filter, [since, limit]);
  return (
    await pool.query<SessionRow>(
      `SELECT ${liveColumns}, ended_at, end_cause, terminate_cause, synthetic, amended
         FROM session_history WHERE ${['ended_at >= $1', ...texts].join(' AND ')} ORDER BY ended_at DESC, id DESC LIMIT $2`,
      values,
    )
  ).rows;
}
