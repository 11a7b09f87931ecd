/**
 * What was used in a batch, added to the periods. Enters: the transaction of the batch, and the growth of counters. Leaves: rows of `period`. Invariant: every
 * octet is added once: to the period that is open, marked late when it was used before that opened, or to the last one.
 */
import type { PoolClient, QueryResult } from 'pg';
import type { Usage } from '../domain/session-batch.js';
import { numberArray } from './array-text.js';
import type { Flight } from './flight.js';

/** What one subscriber used in a batch, and when the first of it was. */
interface UsageSum {
  firstAtMs: number;
  inputOctets: number;
  outputOctets: number;
  sessionSeconds: number;
}

function sumsOf(usage: readonly Usage[]): Map<number, UsageSum> {
  const sums = new Map<number, UsageSum>();
  for (const { subscriberId, eventAtMs, inputOctets, outputOctets, sessionSeconds } of usage) {
    const sum = sums.get(subscriberId);
    if (sum === undefined) sums.set(subscriberId, { firstAtMs: eventAtMs, inputOctets, outputOctets, sessionSeconds });
    else {
      sum.firstAtMs = Math.min(sum.firstAtMs, eventAtMs);
      sum.inputOctets += inputOctets;
      sum.outputOctets += outputOctets;
      sum.sessionSeconds += sessionSeconds;
    }
  }
  return sums;
}

/** Nearly always all of it was used while the period was open; the others are looked at one by one. */
const COLLECT_IN_TIME = `UPDATE period p SET
    input_octets = p.input_octets + d.input_octets, output_octets = p.output_octets + d.output_octets,
    session_seconds = p.session_seconds + d.session_seconds
  FROM unnest($1::bigint[], $2::float8[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS d (subscriber_id, first_ms, input_octets, output_octets, session_seconds)
  WHERE p.subscriber_id = d.subscriber_id AND p.closed_at IS NULL AND p.opened_at <= to_timestamp(d.first_ms / 1000.0)
  RETURNING p.subscriber_id`;

export interface CollectedRow {
  readonly subscriber_id: number;
}

/** Adds usage to the open periods. @returns the answer with those whose period was open all the while */
export function sendUsage(flight: Flight, usage: readonly Usage[]): Promise<QueryResult<CollectedRow>> | undefined {
  if (usage.length === 0) return undefined;
  const sums = sumsOf(usage);
  const list = [...sums.values()];
  return flight.send<CollectedRow>({
    name: 'collect-in-time',
    text: COLLECT_IN_TIME,
    values: [
      numberArray([...sums.keys()]),
      numberArray(list.map((sum) => sum.firstAtMs)),
      numberArray(list.map((sum) => sum.inputOctets)),
      numberArray(list.map((sum) => sum.outputOctets)),
      numberArray(list.map((sum) => sum.sessionSeconds)),
    ],
  });
}

/** What was used before a period opened is marked late, what has no open period goes to the last. */
export async function saveLateUsage(
  client: PoolClient,
  usage: readonly Usage[],
  collected: readonly CollectedRow[],
): Promise<void> {
  const inTime = new Set(collected.map((row) => row.subscriber_id));
  const late = usage.filter((one) => !inTime.has(one.subscriberId));
  if (late.length > 0) await collectLateUsage(client, late);
}

async function collectLateUsage(client: PoolClient, usage: readonly Usage[]): Promise<void> {
  const values = [
    usage.map((u) => u.subscriberId),
    usage.map((u) => u.eventAtMs),
    usage.map((u) => u.inputOctets),
    usage.map((u) => u.outputOctets),
    usage.map((u) => u.sessionSeconds),
  ];
  const subscribers = new Set(usage.map((u) => u.subscriberId));
  const { rows } = await client.query<{ subscriber_id: number }>({ name: 'collect-usage', text: COLLECT, values });
  for (const row of rows) subscribers.delete(row.subscriber_id);
  if (subscribers.size === 0) return;
  await client.query(COLLECT_AFTER_CLOSE, [...values, [...subscribers]]);
}

const USED = `unnest($1::bigint[], $2::float8[], $3::bigint[], $4::bigint[], $5::bigint[])
  AS u (subscriber_id, event_ms, input_octets, output_octets, session_seconds)`;

const COLLECT = `UPDATE period p SET
    input_octets = p.input_octets + d.input_octets, output_octets = p.output_octets + d.output_octets,
    late_input_octets = p.late_input_octets + d.late_input_octets,
    late_output_octets = p.late_output_octets + d.late_output_octets,
    session_seconds = p.session_seconds + d.session_seconds
  FROM (SELECT o.id, sum(u.input_octets) AS input_octets, sum(u.output_octets) AS output_octets,
      sum(u.session_seconds) AS session_seconds,
      coalesce(sum(u.input_octets) FILTER (WHERE to_timestamp(u.event_ms / 1000.0) < o.opened_at), 0) AS late_input_octets,
      coalesce(sum(u.output_octets) FILTER (WHERE to_timestamp(u.event_ms / 1000.0) < o.opened_at), 0) AS late_output_octets
    FROM ${USED} JOIN period o ON o.subscriber_id = u.subscriber_id AND o.closed_at IS NULL GROUP BY o.id) AS d
  WHERE p.id = d.id AND p.closed_at IS NULL RETURNING p.subscriber_id`;

const COLLECT_AFTER_CLOSE = `UPDATE period p SET
    input_octets = p.input_octets + d.input_octets, output_octets = p.output_octets + d.output_octets,
    late_input_octets = p.late_input_octets + d.input_octets,
    late_output_octets = p.late_output_octets + d.output_octets,
    session_seconds = p.session_seconds + d.session_seconds
  FROM (SELECT u.subscriber_id, sum(u.input_octets) AS input_octets, sum(u.output_octets) AS output_octets,
      sum(u.session_seconds) AS session_seconds
    FROM ${USED} WHERE u.subscriber_id = ANY ($6::bigint[]) GROUP BY u.subscriber_id) AS d
  WHERE p.id = (SELECT l.id FROM period l WHERE l.subscriber_id = d.subscriber_id ORDER BY l.opened_at DESC, l.id DESC LIMIT 1)`;
