/**
 * The outcome of a folded batch, written. Enters: a transaction that holds the locks of `batch-world.ts`, and a `BatchOutcome`.
 * Leaves: rows. Invariant: either the whole outcome is written, or `BatchConflictError` says that another server was
 * quicker and the batch has to be read again.
 */
import type { PoolClient } from 'pg';
import type { RestartFact } from '../domain/accounting-fact.js';
import { addressesOf, addressKey, type AssignmentRecord } from '../domain/assignment.js';
import type { SessionRecord } from '../domain/session.js';
import type { AmendedEnd, BatchOutcome, TouchedSession, Usage } from '../domain/session-batch.js';
import { followSessions, spoilEntries } from './enforcement-births.js';
import { insertHistory, insertLive, type Statement, updateCounters, updateLive } from './session-columns.js';

/** Another transaction stored the same key first. Nothing is lost: read again and fold again. */
export class BatchConflictError extends Error {
  override readonly name = 'BatchConflictError';
}

/** @param instance who knows of it already, told in the change feed; null: nobody @returns subscribers whose number of live sessions changed */
export async function saveOutcome(
  client: PoolClient,
  outcome: BatchOutcome,
  instance: string | null,
): Promise<number[]> {
  const stirred = await saveSessions(client, outcome.touched);
  await saveAssignments(client, outcome.assignments);
  if (outcome.amendedEnds.length > 0) await amendAssignments(client, outcome.amendedEnds);
  if (outcome.usage.length > 0) await collectUsage(client, outcome.usage);
  if (outcome.restarts.length > 0) await spoilEntries(client, await saveRestarts(client, outcome.restarts));
  await followSessions(client, outcome.touched);
  if (stirred.length > 0) {
    await client.query({
      name: 'note-sessions',
      text: `INSERT INTO change_feed (kind, ref, instance) SELECT 'session', id, $2 FROM unnest($1::bigint[]) AS s (id)`,
      values: [stirred.map((session) => session.id), instance],
    });
  }
  const subscribers = stirred.flatMap((session) => (session.subscriberId === null ? [] : [session.subscriberId]));
  return [...new Set(subscribers)];
}

/** @returns the sessions that opened, closed or opened again */
async function saveSessions(client: PoolClient, touched: readonly TouchedSession[]): Promise<SessionRecord[]> {
  const fresh = touched.filter((t) => t.storedAs === 'absent').map((t) => t.session);
  if (fresh.length > 0) await claimKeys(client, fresh);
  const become = (from: 'live' | 'closed', to: 'live' | 'closed'): SessionRecord[] =>
    touched
      .filter((t) => t.storedAs === from && (t.session.end === null ? 'live' : 'closed') === to)
      .map((t) => t.session);

  const closing = become('live', 'closed');
  const reopening = become('closed', 'live');
  const amended = become('closed', 'closed');
  if (closing.length > 0)
    await client.query({
      name: 'delete-live',
      text: 'DELETE FROM session WHERE id = ANY ($1::bigint[])',
      values: [ids(closing)],
    });
  if (reopening.length + amended.length > 0) await removeHistory(client, [...reopening, ...amended]);
  const alive = touched.filter((t) => t.storedAs === 'live' && t.session.end === null);
  await run(client, updateCounters, sessionsOf(alive.filter((t) => t.countersOnly)));
  await run(client, updateLive, sessionsOf(alive.filter((t) => !t.countersOnly)));
  await run(client, insertLive, [...fresh.filter((s) => s.end === null), ...reopening]);
  await run(client, insertHistory, [...fresh.filter((s) => s.end !== null), ...closing, ...amended]);
  await setKeys(client, [...closing, ...reopening, ...amended]);
  return [...fresh, ...closing, ...reopening];
}

async function claimKeys(client: PoolClient, fresh: readonly SessionRecord[]): Promise<void> {
  const { rows } = await client.query<{
    session_id: number;
    nas_name: string;
    nas_box: string;
    acct_session_id: string;
    epoch: number;
  }>({
    name: 'claim-keys',
    text: `INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch, closed_at)
     SELECT k.nas_name, k.nas_box, k.acct_session_id, k.epoch, to_timestamp(k.closed_ms / 1000.0)
     FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::float8[])
       AS k (nas_name, nas_box, acct_session_id, epoch, closed_ms)
     ORDER BY 1, 2, 3, 4
     ON CONFLICT DO NOTHING RETURNING session_id, nas_name, nas_box, acct_session_id, epoch`,
    values: [
      fresh.map((s) => s.nasName),
      fresh.map((s) => s.nasBox),
      fresh.map((s) => s.acctSessionId),
      fresh.map((s) => s.epoch),
      fresh.map((s) => s.end?.endedAtMs ?? null),
    ],
  });
  if (rows.length < fresh.length) throw new BatchConflictError('a session key was stored by another server meanwhile');
  const idOf = new Map(
    rows.map((r) => [[r.nas_name, r.nas_box, r.acct_session_id, r.epoch].join('\u0000'), r.session_id]),
  );
  for (const s of fresh) s.id = idOf.get([s.nasName, s.nasBox, s.acctSessionId, s.epoch].join('\u0000'))!;
}

async function removeHistory(client: PoolClient, sessions: readonly SessionRecord[]): Promise<void> {
  await client.query({
    name: 'delete-history',
    text: `DELETE FROM session_history h USING session_key k
     WHERE k.session_id = ANY ($1::bigint[]) AND h.id = k.session_id AND h.ended_at = k.closed_at`,
    values: [ids(sessions)],
  });
}

async function setKeys(client: PoolClient, sessions: readonly SessionRecord[]): Promise<void> {
  if (sessions.length === 0) return;
  await client.query({
    name: 'set-keys',
    text: `UPDATE session_key k SET closed_at = to_timestamp(r.closed_ms / 1000.0)
     FROM unnest($1::bigint[], $2::float8[]) AS r (id, closed_ms) WHERE k.session_id = r.id`,
    values: [ids(sessions), sessions.map((s) => s.end?.endedAtMs ?? null)],
  });
}

async function saveAssignments(client: PoolClient, changed: readonly AssignmentRecord[]): Promise<void> {
  if (changed.length === 0) return;
  const stored = changed.filter((a) => a.id !== null);
  if (stored.length > 0) {
    await client.query({
      name: 'delete-holders',
      text: 'DELETE FROM assignment_holder WHERE assignment_id = ANY ($1::bigint[])',
      values: [stored.map((a) => a.id)],
    });
  }
  const ending = stored.filter((a) => a.end !== null);
  if (ending.length > 0) {
    await client.query({
      name: 'end-assignments',
      text: `UPDATE assignment a SET ended_at = to_timestamp(r.ended_ms / 1000.0), end_cause = r.cause
       FROM unnest($1::bigint[], $2::float8[], $3::text[]) AS r (id, ended_ms, cause)
       WHERE a.id = r.id AND a.ended_at IS NULL`,
      values: [ending.map((a) => a.id), ending.map((a) => a.end!.endedAtMs), ending.map((a) => a.end!.cause)],
    });
  }
  await insertAssignments(
    client,
    changed.filter((a) => a.id === null),
  );
  const open = changed.filter((a) => a.end === null);
  const holds = open.flatMap((a) => [
    ...[...a.holders].map((s) => [a.id, s.id]),
    ...[...a.otherHolderIds].map((id) => [a.id, id]),
  ]);
  if (holds.length > 0) {
    await client.query({
      name: 'insert-holders',
      text: 'INSERT INTO assignment_holder (assignment_id, session_id) SELECT * FROM unnest($1::bigint[], $2::bigint[])',
      values: [holds.map((h) => h[0]), holds.map((h) => h[1])],
    });
  }
  await markPool(client, changed);
}

async function insertAssignments(client: PoolClient, fresh: readonly AssignmentRecord[]): Promise<void> {
  if (fresh.length === 0) return;
  const { rows } = await client.query<{ id: number; routing_domain: string; address: string; open: boolean }>({
    name: 'insert-assignments',
    text: `INSERT INTO assignment (routing_domain, address, subscriber_id, login, slot, nas_name, mac, started_at, ended_at, end_cause, kind, pool_id)
     SELECT r.routing_domain, r.address, r.subscriber_id, r.login, r.slot, r.nas_name, r.mac, to_timestamp(r.started_ms / 1000.0),
       to_timestamp(r.ended_ms / 1000.0), r.cause, r.kind, p.pool_id
     FROM unnest($1::text[], $2::inet[], $3::bigint[], $4::text[], $5::smallint[], $6::text[], $7::macaddr[], $8::float8[],
       $9::float8[], $10::text[], $11::text[]) AS r (routing_domain, address, subscriber_id, login, slot, nas_name, mac, started_ms, ended_ms, cause, kind)
     LEFT JOIN pool_address p ON p.routing_domain = r.routing_domain AND p.address = r.address
     RETURNING id, routing_domain, CASE kind WHEN 'ipv4' THEN host(address) ELSE address::text END AS address, ended_at IS NULL AS open`,
    values: [
      fresh.map((a) => a.routingDomain),
      fresh.map((a) => a.address),
      fresh.map((a) => a.subscriberId),
      fresh.map((a) => a.login),
      fresh.map((a) => a.slot),
      fresh.map((a) => a.nasName),
      fresh.map((a) => a.mac),
      fresh.map((a) => a.startedAtMs),
      fresh.map((a) => a.end?.endedAtMs ?? null),
      fresh.map((a) => a.end?.cause ?? null),
      fresh.map((a) => a.kind),
    ],
  });
  const idOf = new Map(rows.filter((r) => r.open).map((r) => [addressKey(r.routing_domain, r.address), r.id]));
  for (const a of fresh) if (a.end === null) a.id = idOf.get(addressKey(a.routingDomain, a.address))!;
}

/**
 * Brings the pool's view of each address in line with its assignment: in use, or quarantined with its owner remembered. A use that was over
 * before it was heard of takes the address from nobody: not from who holds it, nor from who was promised it, nor from its owner.
 */
async function markPool(client: PoolClient, changed: readonly AssignmentRecord[]): Promise<void> {
  const last = new Map<string, AssignmentRecord>();
  for (const a of changed) {
    const key = addressKey(a.routingDomain, a.address);
    const known = last.get(key);
    if (known === undefined || a.end === null || (known.end !== null && (known.past || !a.past))) last.set(key, a);
  }
  const list = [...last.values()];
  const { rows } = await client.query<{ subscriber_id: number | null }>({
    name: 'mark-pool',
    text: MARK_POOL,
    values: [
      list.map((a) => a.routingDomain),
      list.map((a) => a.address),
      list.map((a) => a.end === null),
      list.map((a) => a.past),
      list.map((a) => a.end?.endedAtMs ?? null),
      list.map((a) => a.subscriberId),
      list.map((a) => a.slot),
    ],
  });
  const owners = [...new Set(rows.flatMap((r) => (r.subscriber_id === null ? [] : [r.subscriber_id])))];
  if (owners.length === 0) return;
  await client.query({
    name: 'note-addresses',
    text: `INSERT INTO change_feed (kind, ref) SELECT 'address', id FROM unnest($1::bigint[]) AS s (id)`,
    values: [owners],
  });
}

const MARK_POOL = `UPDATE pool_address a SET
    state = CASE WHEN r.open THEN 'assigned' ELSE 'quarantined' END,
    subscriber_id = r.subscriber_id, slot = r.slot, instance = NULL, offer_id = NULL, since = now(),
    until_at = CASE WHEN r.open THEN NULL ELSE now() + make_interval(secs => p.quarantine_seconds) END
  FROM unnest($1::text[], $2::inet[], $3::boolean[], $4::boolean[], $5::float8[], $6::bigint[], $7::smallint[])
    AS r (routing_domain, address, open, past, ended_ms, subscriber_id, slot), pool p
  WHERE a.routing_domain = r.routing_domain AND a.address = r.address AND p.id = a.pool_id AND CASE
    WHEN r.open THEN (a.state, a.subscriber_id, a.slot) IS DISTINCT FROM ('assigned', r.subscriber_id, r.slot)
    WHEN a.state = 'assigned' THEN NOT r.past
    WHEN a.state = 'offered' THEN a.subscriber_id = r.subscriber_id
    WHEN a.state = 'free' THEN coalesce(a.subscriber_id, r.subscriber_id) IS NOT DISTINCT FROM r.subscriber_id
      AND to_timestamp(r.ended_ms / 1000.0) + make_interval(secs => p.quarantine_seconds) > now()
    ELSE false END
  RETURNING a.subscriber_id`;

/** A late Stop tells when the use of an address really ended; nobody else's use is touched. */
async function amendAssignments(client: PoolClient, amended: readonly AmendedEnd[]): Promise<void> {
  const list = amended.flatMap(({ session, formerlyMs }) =>
    addressesOf(session).map((address) => ({ session, formerlyMs, address })),
  );
  if (list.length === 0) return;
  await client.query({
    name: 'amend-assignments',
    text: `UPDATE assignment a SET ended_at = greatest(to_timestamp(r.ended_ms / 1000.0), a.started_at)
     FROM unnest($1::text[], $2::inet[], $3::text[], $4::float8[], $5::float8[]) AS r (routing_domain, address, login, formerly_ms, ended_ms)
     WHERE a.routing_domain = r.routing_domain AND a.address = r.address AND a.login = r.login
       AND a.ended_at = to_timestamp(r.formerly_ms / 1000.0)
       AND NOT EXISTS (SELECT FROM assignment o WHERE o.address = a.address AND o.routing_domain = a.routing_domain
         AND o.id <> a.id AND o.started_at < to_timestamp(r.ended_ms / 1000.0) AND (o.ended_at IS NULL OR o.ended_at > a.ended_at))`,
    values: [
      list.map(({ session }) => session.routingDomain),
      list.map(({ address }) => address),
      list.map(({ session }) => session.login),
      list.map(({ formerlyMs }) => formerlyMs),
      list.map(({ session }) => session.end!.endedAtMs),
    ],
  });
}

/** Adds usage to the open periods; what was used before such a period opened is marked late, what has no open period goes to the last. */
async function collectUsage(client: PoolClient, usage: readonly Usage[]): Promise<void> {
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

/** @returns names of the NASes that had not told of it yet */
async function saveRestarts(client: PoolClient, restarts: readonly RestartFact[]): Promise<string[]> {
  const { rows } = await client.query<{ nas_name: string }>({
    name: 'save-restarts',
    text: `INSERT INTO nas_restart (nas_name, nas_box, event_at, kind)
     SELECT r.nas_name, r.nas_box, to_timestamp(r.event_ms / 1000.0), r.kind
     FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[]) AS r (nas_name, nas_box, event_ms, kind) ON CONFLICT DO NOTHING RETURNING nas_name`,
    values: [
      restarts.map((r) => r.nasName),
      restarts.map((r) => r.nasBox),
      restarts.map((r) => r.eventAtMs),
      restarts.map((r) => r.status),
    ],
  });
  return [...new Set(rows.map((row) => row.nas_name))];
}

async function run(
  client: PoolClient,
  statement: (sessions: readonly SessionRecord[]) => Statement,
  sessions: readonly SessionRecord[],
): Promise<void> {
  if (sessions.length === 0) return;
  await client.query({ ...statement(sessions) });
}

function sessionsOf(touched: readonly TouchedSession[]): SessionRecord[] {
  return touched.map(({ session }) => session);
}

function ids(sessions: readonly SessionRecord[]): (number | null)[] {
  return sessions.map((session) => session.id);
}
