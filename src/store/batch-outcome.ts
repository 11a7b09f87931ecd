/**
 * The outcome of a folded batch, written. Enters: a transaction that holds the locks of `batch-world.ts`, and a `BatchOutcome`.
 * Leaves: rows. Invariant: either the whole outcome is written, or `BatchConflictError` says that another server was
 * quicker and the batch has to be read again.
 */
import type { PoolClient, QueryResult } from 'pg';
import type { RestartFact } from '../domain/accounting-fact.js';
import { addressesOf, addressKey, type AssignmentRecord } from '../domain/assignment.js';
import type { SessionRecord } from '../domain/session.js';
import type { AmendedEnd, BatchOutcome, TouchedSession } from '../domain/session-batch.js';
import { sendFollowers, spoilEntries } from './enforcement-births.js';
import { numberArray } from './array-text.js';
import { saveLateUsage, sendUsage } from './batch-usage.js';
import { StaleSessionError } from './batch-world.js';
import { Flight } from './flight.js';
import type { RowVersion } from './known-sessions.js';
import {
  insertHistory,
  insertLive,
  type Statement,
  updateCounters,
  updateCountersOfVersion,
  updateLive,
  updateLiveOfVersion,
} from './session-columns.js';

/** Another transaction stored the same key first. Nothing is lost: read again and fold again. */
export class BatchConflictError extends Error {
  override readonly name = 'BatchConflictError';
}

/**
 * Two flights: what is known, and what needs the numbers that the first one gave out.
 * @param instance who knows of it already, told in the change feed; null: nobody
 * @param believed sessions that were not read, with the version that they are written over
 * @param alongside sends more of the same transaction with the first flight
 * @returns subscribers whose number of live sessions changed
 * @throws BatchConflictError, StaleSessionError when something is stored otherwise than it was read: nothing of it may be committed
 */
export async function saveOutcome(
  client: PoolClient,
  outcome: BatchOutcome,
  instance: string | null,
  believed: ReadonlyMap<SessionRecord, RowVersion> = new Map(),
  alongside: (flight: Flight) => void = () => undefined,
): Promise<number[]> {
  const flight = new Flight(client);
  alongside(flight);
  const changes = changesOf(outcome.touched, believed);
  const keyed = sendKeys(flight, changes.fresh);
  const overwritten = sendSessions(flight, changes, believed);
  const assigned = sendAssignments(flight, outcome.assignments);
  sendAmendedEnds(flight, outcome.amendedEnds);
  const collected = sendUsage(flight, outcome.usage);
  const restarted = sendRestarts(flight, outcome.restarts);
  await flight.landed();
  if (
    (await Promise.all(overwritten)).reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0) !== changes.believed.length
  )
    throw new StaleSessionError('a session is stored otherwise than this server left it');
  numberSessions(changes.fresh, (await keyed)?.rows ?? []);
  numberAssignments(outcome.assignments, (await assigned)?.rows ?? []);

  sendNewSessions(flight, changes);
  sendHolders(flight, outcome.assignments);
  const marked = sendPoolMarks(flight, outcome.assignments);
  sendFollowers(flight, outcome.touched);
  const stirred = [...changes.fresh, ...changes.closing, ...changes.reopening];
  if (stirred.length > 0)
    void flight.send({
      name: 'note-sessions',
      text: `INSERT INTO change_feed (kind, ref, instance) SELECT 'session', id, $2 FROM unnest($1::bigint[]) AS s (id)`,
      values: [numberArray(ids(stirred)), instance],
    });
  await flight.landed();
  await noteOwners(client, (await marked)?.rows ?? []);
  await saveLateUsage(client, outcome.usage, (await collected)?.rows ?? []);
  await spoilEntries(client, [...new Set(((await restarted)?.rows ?? []).map((row) => row.nas_name))]);
  return [...new Set(stirred.flatMap(({ subscriberId }) => (subscriberId === null ? [] : [subscriberId])))];
}

/** The sessions of a batch by what has to be written. */
interface Changes {
  /** Live before and after, and not read. */
  readonly believed: readonly TouchedSession[];
  readonly fresh: readonly SessionRecord[];
  readonly closing: readonly SessionRecord[];
  readonly reopening: readonly SessionRecord[];
  readonly amended: readonly SessionRecord[];
  /** The same, and read. */
  readonly alive: readonly TouchedSession[];
}

function changesOf(touched: readonly TouchedSession[], believed: ReadonlyMap<SessionRecord, RowVersion>): Changes {
  const unread: TouchedSession[] = [];
  const fresh: SessionRecord[] = [];
  const closing: SessionRecord[] = [];
  const reopening: SessionRecord[] = [];
  const amended: SessionRecord[] = [];
  const alive: TouchedSession[] = [];
  for (const one of touched) {
    const { session, storedAs } = one;
    const isLive = session.end === null;
    if (believed.has(session)) {
      if (!isLive) throw new StaleSessionError('a session ended that was not read');
      unread.push(one);
    } else if (storedAs === 'absent') fresh.push(session);
    else if (storedAs === 'closed') (isLive ? reopening : amended).push(session);
    else if (isLive) alive.push(one);
    else closing.push(session);
  }
  return { believed: unread, fresh, closing, reopening, amended, alive };
}

interface KeyRow {
  readonly session_id: number;
  readonly nas_name: string;
  readonly nas_box: string;
  readonly acct_session_id: string;
  readonly epoch: number;
}

function sendKeys(flight: Flight, fresh: readonly SessionRecord[]): Promise<QueryResult<KeyRow>> | undefined {
  if (fresh.length === 0) return undefined;
  return flight.send<KeyRow>({
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
}

function numberSessions(fresh: readonly SessionRecord[], rows: readonly KeyRow[]): void {
  if (rows.length < fresh.length) throw new BatchConflictError('a session key was stored by another server meanwhile');
  const idOf = new Map(
    rows.map((r) => [[r.nas_name, r.nas_box, r.acct_session_id, r.epoch].join('\u0000'), r.session_id]),
  );
  for (const s of fresh) s.id = idOf.get([s.nasName, s.nasBox, s.acctSessionId, s.epoch].join('\u0000'))!;
}

/** Everything about sessions that have a number. @returns the answers that tell how many of those that were not read were as believed */
function sendSessions(
  flight: Flight,
  { believed: unread, closing, reopening, amended, alive }: Changes,
  believed: ReadonlyMap<SessionRecord, RowVersion>,
): Promise<QueryResult>[] {
  if (closing.length > 0)
    void flight.send({
      name: 'delete-live',
      text: 'DELETE FROM session WHERE id = ANY ($1::bigint[])',
      values: [numberArray(ids(closing))],
    });
  if (reopening.length + amended.length > 0)
    void flight.send({
      name: 'delete-history',
      text: `DELETE FROM session_history h USING session_key k
     WHERE k.session_id = ANY ($1::bigint[]) AND h.id = k.session_id AND h.ended_at = k.closed_at`,
      values: [numberArray(ids([...reopening, ...amended]))],
    });
  const answers: Promise<QueryResult>[] = [];
  for (const [statement, countersOnly] of [
    [updateCountersOfVersion, true],
    [updateLiveOfVersion, false],
  ] as const) {
    const sessions = sessionsOf(unread.filter((one) => one.countersOnly === countersOnly));
    const versions = sessions.map((session) => believed.get(session)!);
    if (sessions.length > 0) answers.push(flight.send({ ...statement(sessions, versions) }));
  }
  send(flight, updateCounters, sessionsOf(alive.filter((one) => one.countersOnly)));
  send(flight, updateLive, sessionsOf(alive.filter((one) => !one.countersOnly)));
  send(flight, insertHistory, [...closing, ...amended]);
  const rekeyed = [...closing, ...reopening, ...amended];
  if (rekeyed.length > 0)
    void flight.send({
      name: 'set-keys',
      text: `UPDATE session_key k SET closed_at = to_timestamp(r.closed_ms / 1000.0)
     FROM unnest($1::bigint[], $2::float8[]) AS r (id, closed_ms) WHERE k.session_id = r.id`,
      values: [numberArray(ids(rekeyed)), numberArray(rekeyed.map((s) => s.end?.endedAtMs ?? null))],
    });
  return answers;
}

function sendNewSessions(flight: Flight, { fresh, reopening }: Changes): void {
  send(flight, insertLive, [...fresh.filter((s) => s.end === null), ...reopening]);
  send(
    flight,
    insertHistory,
    fresh.filter((s) => s.end !== null),
  );
}

interface NewAssignmentRow {
  readonly id: number;
  readonly routing_domain: string;
  readonly address: string;
  readonly open: boolean;
}

/** @returns the answer with the numbers of the new ones */
function sendAssignments(
  flight: Flight,
  changed: readonly AssignmentRecord[],
): Promise<QueryResult<NewAssignmentRow>> | undefined {
  const stored = changed.filter((a) => a.id !== null);
  if (stored.length > 0)
    void flight.send({
      name: 'delete-holders',
      text: 'DELETE FROM assignment_holder WHERE assignment_id = ANY ($1::bigint[])',
      values: [numberArray(stored.map((a) => a.id))],
    });
  const ending = stored.filter((a) => a.end !== null);
  if (ending.length > 0)
    void flight.send({
      name: 'end-assignments',
      text: `UPDATE assignment a SET ended_at = to_timestamp(r.ended_ms / 1000.0), end_cause = r.cause
       FROM unnest($1::bigint[], $2::float8[], $3::text[]) AS r (id, ended_ms, cause)
       WHERE a.id = r.id AND a.ended_at IS NULL`,
      values: [ending.map((a) => a.id), ending.map((a) => a.end!.endedAtMs), ending.map((a) => a.end!.cause)],
    });
  const fresh = changed.filter((a) => a.id === null);
  if (fresh.length === 0) return undefined;
  return flight.send<NewAssignmentRow>({
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
}

function numberAssignments(changed: readonly AssignmentRecord[], rows: readonly NewAssignmentRow[]): void {
  const idOf = new Map(rows.filter((r) => r.open).map((r) => [addressKey(r.routing_domain, r.address), r.id]));
  for (const a of changed)
    if (a.id === null && a.end === null) a.id = idOf.get(addressKey(a.routingDomain, a.address))!;
}

function sendHolders(flight: Flight, changed: readonly AssignmentRecord[]): void {
  const holds = changed
    .filter((a) => a.end === null)
    .flatMap((a) => [
      ...[...a.holders].map((s) => [a.id, s.id] as const),
      ...[...a.otherHolderIds].map((id) => [a.id, id] as const),
    ]);
  if (holds.length > 0)
    void flight.send({
      name: 'insert-holders',
      text: 'INSERT INTO assignment_holder (assignment_id, session_id) SELECT * FROM unnest($1::bigint[], $2::bigint[])',
      values: [numberArray(holds.map((h) => h[0])), numberArray(holds.map((h) => h[1]))],
    });
}

interface OwnerRow {
  readonly subscriber_id: number | null;
}

/**
 * Brings the pool's view of each address in line with its assignment: in use, or quarantined with its owner remembered. A use that was over
 * before it was heard of takes the address from nobody: not from who holds it, nor from who was promised it, nor from its owner.
 * @returns the answer with the owners of addresses that changed
 */
function sendPoolMarks(
  flight: Flight,
  changed: readonly AssignmentRecord[],
): Promise<QueryResult<OwnerRow>> | undefined {
  if (changed.length === 0) return undefined;
  const last = new Map<string, AssignmentRecord>();
  for (const a of changed) {
    const key = addressKey(a.routingDomain, a.address);
    const known = last.get(key);
    if (known === undefined || a.end === null || (known.end !== null && (known.past || !a.past))) last.set(key, a);
  }
  const list = [...last.values()];
  return flight.send<OwnerRow>({
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
}

async function noteOwners(client: PoolClient, rows: readonly OwnerRow[]): Promise<void> {
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
function sendAmendedEnds(flight: Flight, amended: readonly AmendedEnd[]): void {
  const list = amended.flatMap(({ session, formerlyMs }) =>
    addressesOf(session).map((address) => ({ session, formerlyMs, address })),
  );
  if (list.length === 0) return;
  void flight.send({
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

/** @returns the answer with the NASes that had not told of it yet */
function sendRestarts(
  flight: Flight,
  restarts: readonly RestartFact[],
): Promise<QueryResult<{ nas_name: string }>> | undefined {
  if (restarts.length === 0) return undefined;
  return flight.send<{ nas_name: string }>({
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
}

function send(
  flight: Flight,
  statement: (sessions: readonly SessionRecord[]) => Statement,
  sessions: readonly SessionRecord[],
): void {
  if (sessions.length > 0) void flight.send({ ...statement(sessions) });
}

function sessionsOf(touched: readonly TouchedSession[]): SessionRecord[] {
  return touched.map(({ session }) => session);
}

function ids(sessions: readonly SessionRecord[]): (number | null)[] {
  return sessions.map((session) => session.id);
}
