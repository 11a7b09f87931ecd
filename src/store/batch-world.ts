/**
 * Everything stored that a batch of facts may touch, read and locked. Enters: a transaction and the facts. Leaves: a `BatchWorld`
 * whose rows nobody else changes until commit. Invariant: boxes are locked first, in one order for everybody; then rows by their ids.
 */
import type { PoolClient, QueryResult } from 'pg';
import { type AccountingFact, boxKey, isRestart, lineKey, type SessionFact } from '../domain/accounting-fact.js';
import { addressesOf, type AssignmentRecord, isWaiting } from '../domain/assignment.js';
import type { AddressKind } from '../domain/pool-address.js';
import { claimedStartMs, continuesCertainly, matchSession, type SessionRecord } from '../domain/session.js';
import type { BatchWorld, Resolve } from '../domain/session-batch.js';
import { Flight } from './flight.js';
import type { KnownSession, KnownSessions, RowVersion } from './known-sessions.js';
import {
  HISTORY_SELECT,
  type HistoryRow,
  readHistory,
  readSession,
  sessionSelect,
  type SessionRow,
} from './session-columns.js';

/**
 * The newest closed sessions of one line that a fact may belong to: a replay is a day late, and a NAS that uses one Acct-Session-Id for
 * everybody must not have its whole past read at every Start.
 */
const CLOSED_PER_LINE = 32;

const LIVE_BY_LINE = {
  name: 'live-by-line',
  text: `SELECT ${sessionSelect('s')} FROM session s
    JOIN unnest($1::text[], $2::text[], $3::text[]) AS l (nas_name, nas_box, acct_session_id)
      ON s.nas_name = l.nas_name AND s.nas_box = l.nas_box AND s.acct_session_id = l.acct_session_id
    ORDER BY s.id FOR UPDATE OF s`,
};
/** `closed_at IS NOT NULL`, in words that no partial index has: of the two ways only the one by line stays short when the table grows. */
const CLOSED_KEYS = {
  name: 'closed-keys',
  text: `SELECT k.session_id AS id, k.closed_at
  FROM unnest($1::text[], $2::text[], $3::text[]) AS l (nas_name, nas_box, acct_session_id)
  CROSS JOIN LATERAL (
    SELECT session_id, closed_at FROM session_key
    WHERE nas_name = l.nas_name AND nas_box = l.nas_box AND acct_session_id = l.acct_session_id
      AND coalesce(closed_at, '-infinity') > '-infinity'
    ORDER BY epoch DESC LIMIT ${CLOSED_PER_LINE} FOR UPDATE) k`,
};
const CLOSED_SESSIONS = {
  name: 'closed-sessions',
  text: `SELECT ${HISTORY_SELECT} FROM unnest($1::bigint[], $2::timestamptz[]) AS k (id, closed_at)
  JOIN session_history h ON h.id = k.id AND h.ended_at = k.closed_at`,
};
const RIVALS = {
  name: 'rivals',
  text: `SELECT ${sessionSelect('s')}, s.xmin::text AS version FROM session s
  WHERE s.id = ANY (ARRAY(SELECT id FROM session WHERE subscriber_id = ANY ($1::bigint[])
      UNION SELECT id FROM session WHERE address = ANY ($2::inet[])
      EXCEPT SELECT * FROM unnest($3::bigint[])))
  ORDER BY s.id FOR UPDATE OF s`,
};
const ASSIGNMENTS = {
  name: 'open-assignments',
  text: `SELECT a.id, a.kind, a.routing_domain, CASE a.kind WHEN 'ipv4' THEN host(a.address) ELSE a.address::text END AS address, a.subscriber_id, a.login, a.slot, a.nas_name, a.mac,
    (extract(epoch FROM a.started_at) * 1000)::bigint AS started_at,
    ARRAY(SELECT h.session_id FROM assignment_holder h WHERE h.assignment_id = a.id) AS holders
  FROM assignment_open a
  WHERE a.ended_at IS NULL AND a.id = ANY (ARRAY(
    SELECT id FROM assignment_open WHERE address = ANY ($1::inet[]) AND ended_at IS NULL
    UNION SELECT id FROM assignment_open WHERE subscriber_id = ANY ($2::bigint[]) AND ended_at IS NULL
    UNION SELECT assignment_id FROM assignment_holder WHERE session_id = ANY ($3::bigint[])))
  ORDER BY a.id FOR UPDATE OF a`,
};
const RESTARTS = `SELECT r.nas_name, r.nas_box, (extract(epoch FROM r.event_at) * 1000)::bigint AS at FROM nas_restart r
  JOIN unnest($1::text[], $2::text[], $3::float8[]) AS b (nas_name, nas_box, since_ms)
    ON r.nas_name = b.nas_name AND r.nas_box = b.nas_box AND r.event_at > to_timestamp(b.since_ms / 1000.0)`;

interface RestartRow {
  readonly nas_name: string;
  readonly nas_box: string;
  readonly at: number;
}

interface AssignmentRow {
  readonly id: number;
  readonly kind: AddressKind;
  readonly routing_domain: string;
  readonly address: string;
  readonly subscriber_id: number | null;
  readonly login: string;
  readonly slot: number;
  readonly nas_name: string;
  readonly mac: string | null;
  readonly started_at: number;
  readonly holders: readonly (number | string)[];
}

/** A server that stands still in the middle of a batch gives way after this, ms: another one waits for its boxes. */
const IDLE_IN_TRANSACTION_MS = 10_000;

/**
 * One batch at a time speaks of a box, so that two servers between which a NAS fails over wait for each other instead of running into
 * deadlocks. In the order of the keys, like every lock.
 */
const LOCK_BOXES = `SELECT pg_advisory_xact_lock(key), set_config('idle_in_transaction_session_timeout', '${IDLE_IN_TRANSACTION_MS}', true)
  FROM (SELECT DISTINCT hashtextextended(box, 0) AS key FROM unnest($1::text[]) AS b (box) ORDER BY 1) AS k`;

function lockBoxes(
  flight: Flight,
  boxes: readonly { readonly nasName: string; readonly nasBox: string }[],
): Promise<unknown> {
  const names = new Set(boxes.map((box) => JSON.stringify([box.nasName, box.nasBox])));
  return flight.send({ name: 'lock-boxes', text: LOCK_BOXES, values: [[...names]] });
}

/** A session that was believed to be stored as this server left it is not: read everything and fold again. */
export class StaleSessionError extends Error {
  override readonly name = 'StaleSessionError';
}

/** A world of which some sessions were not read: they may be written over the version that is given only, and must not end. */
export interface LoadedWorld extends BatchWorld {
  readonly lines: ReadonlySet<string>;
  readonly believed: ReadonlyMap<SessionRecord, RowVersion>;
}

const NONE_KNOWN: Pick<KnownSessions, 'take'> = { take: () => undefined };

/**
 * Reads and locks what the facts may touch. What is most likely asked next is sent along: where the answers say that something else should have
 * been asked, it is asked again.
 * @param known sessions that need not be read, as long as the facts do nothing but count on them
 * @throws StaleSessionError when one of those turned out to be stored otherwise
 */
export async function loadWorld(
  client: PoolClient,
  facts: readonly AccountingFact[],
  resolve: Resolve,
  known: Pick<KnownSessions, 'take'> = NONE_KNOWN,
): Promise<LoadedWorld> {
  const flight = new Flight(client);
  void lockBoxes(flight, facts);
  const sessionFacts = facts.filter((fact): fact is SessionFact => !isRestart(fact));
  const byLine = new Map<string, SessionFact[]>();
  for (const fact of sessionFacts) {
    const key = lineKey(fact);
    const line = byLine.get(key);
    if (line === undefined) byLine.set(key, [fact]);
    else line.push(fact);
  }
  const lines = new Set(byLine.keys());
  const restarted = new Set(facts.filter(isRestart).map(boxKey));
  const { believed, unknown } = believe(byLine, restarted, known);
  const liveByLine = new Map<string, SessionRecord[]>();
  for (const [line, { session }] of believed) liveByLine.set(line, [session]);
  await readLive(flight, unknown, liveByLine);

  const restartRows = sendRestarts(flight, facts, liveByLine);
  const stirringOf = (): SessionFact[] =>
    sessionFacts.filter((fact) => {
      const line = lineKey(fact);
      return !believed.has(line) && (restarted.has(boxKey(fact)) || stirs(fact, liveByLine.get(line) ?? []));
    });
  const surroundings = { flight, resolve, believed, liveByLine };
  let stirred = await readStirred(surroundings, stirringOf());
  const restarts = readRestarts((await restartRows).rows);
  if (restarts.size > 0) {
    for (const box of restarts.keys()) restarted.add(box);
    const doubted: SessionFact[] = [];
    for (const [line, { session }] of believed) {
      if (!restarted.has(boxKey(session))) continue;
      believed.delete(line);
      liveByLine.delete(line);
      doubted.push(byLine.get(line)![0]!);
    }
    await readLive(flight, doubted, liveByLine);
    stirred = await readStirred(surroundings, stirringOf());
  }
  return { ...stirred, restarts, lines };
}

/** What has been found out of a batch before its surroundings are read. */
interface Surroundings {
  readonly flight: Flight;
  readonly resolve: Resolve;
  readonly believed: ReadonlyMap<string, KnownSession>;
  readonly liveByLine: ReadonlyMap<string, readonly SessionRecord[]>;
}

/** Reads what facts that do more than count may touch beside the live sessions of their lines. Also lands what was sent before. */
async function readStirred(
  { flight, resolve, believed, liveByLine }: Surroundings,
  stirring: readonly SessionFact[],
): Promise<Pick<LoadedWorld, 'sessions' | 'assignments' | 'believed'>> {
  const live = [...liveByLine.values()].flat();
  const versions = new Map([...believed.values()].map(({ session, version }) => [session, version]));
  if (stirring.length === 0) {
    await flight.landed();
    return { sessions: live, assignments: [], believed: versions };
  }
  const stirredLines = new Map(stirring.map((fact) => [lineKey(fact), fact]));
  const readIds = live.filter((session) => !versions.has(session)).map((session) => session.id!);
  const touchedIds = live.filter((s) => stirredLines.has(lineKey(s))).map((s) => s.id!);
  const ask = (sessions: readonly SessionRecord[]) => {
    const { subscriberIds, addresses } = reach(stirring, stirredLines, sessions, resolve);
    return {
      rivals: flight.send<SessionRow & { version: string }>({
        ...RIVALS,
        values: [subscriberIds, addresses, readIds],
      }),
      assignments: sendAssignments(flight, addresses, subscriberIds, touchedIds),
    };
  };
  const keys = flight.send<{ id: number; closed_at: Date }>({
    ...CLOSED_KEYS,
    values: lineColumns([...stirredLines.values()]),
  });
  // Nearly always there is no closed session of these lines.
  let answers = ask(live);
  await flight.landed();
  const closed = await loadClosed(flight, (await keys).rows);
  const sessions = [...live, ...closed];
  if (closed.length > 0) {
    answers = ask(sessions);
    await flight.landed();
  }
  const byId = new Map([...versions.keys()].map((session) => [session.id, session]));
  for (const row of (await answers.rivals).rows) {
    const session = byId.get(row.id);
    if (session === undefined) sessions.push(readSession(row));
    else if (versions.get(session) === Number(row.version)) versions.delete(session);
    else throw new StaleSessionError('a session is stored otherwise than this server left it');
  }
  return { sessions, assignments: readAssignments((await answers.assignments).rows, sessions), believed: versions };
}

/** Parts the lines of a batch into those whose facts only count on a session that is known, and one fact of each other line. */
function believe(
  byLine: ReadonlyMap<string, readonly SessionFact[]>,
  restarted: ReadonlySet<string>,
  known: Pick<KnownSessions, 'take'>,
): { believed: Map<string, KnownSession>; unknown: SessionFact[] } {
  const believed = new Map<string, KnownSession>();
  const unknown: SessionFact[] = [];
  for (const [line, facts] of byLine) {
    const one = known.take(line);
    if (one === undefined || restarted.has(boxKey(one.session)) || facts.some((fact) => stirs(fact, [one.session])))
      unknown.push(facts[0]!);
    else believed.set(line, one);
  }
  return { believed, unknown };
}

/** Also lands what was sent before. */
async function readLive(
  flight: Flight,
  lines: readonly SessionFact[],
  into: Map<string, SessionRecord[]>,
): Promise<void> {
  const answer =
    lines.length === 0 ? undefined : flight.send<SessionRow>({ ...LIVE_BY_LINE, values: lineColumns(lines) });
  await flight.landed();
  for (const row of (await answer)?.rows ?? []) {
    const session = readSession(row);
    const key = lineKey(session);
    const present = into.get(key);
    if (present === undefined) into.set(key, [session]);
    else present.push(session);
  }
}

/** Reads and locks sessions by id, with their rivals for the addresses they may let go of. */
export async function loadWorldOfSessions(client: PoolClient, ids: readonly number[]): Promise<BatchWorld> {
  const boxes = await client.query<{ nas_name: string; nas_box: string }>(
    'SELECT DISTINCT nas_name, nas_box FROM session WHERE id = ANY ($1::bigint[])',
    [ids],
  );
  const flight = new Flight(client);
  void lockBoxes(
    flight,
    boxes.rows.map((row) => ({ nasName: row.nas_name, nasBox: row.nas_box })),
  );
  await flight.landed();
  const own = await client.query<SessionRow>(
    `SELECT ${sessionSelect('s')} FROM session s WHERE s.id = ANY ($1::bigint[]) ORDER BY s.id FOR UPDATE OF s SKIP LOCKED`,
    [ids],
  );
  const sessions = own.rows.map(readSession);
  const addresses = [...new Set(sessions.flatMap(addressesOf))];
  const held = sessions.map((s) => s.id!);
  const rivals = await client.query<SessionRow>({ ...RIVALS, values: [[], addresses, held] });
  sessions.push(...rivals.rows.map(readSession));
  const assignments = sendAssignments(flight, addresses, [], held);
  await flight.landed();
  return { sessions, assignments: readAssignments((await assignments).rows, sessions), restarts: new Map() };
}

/** Whether a fact may do more than count: open, close, move, or find a session that is closed. */
function stirs(fact: SessionFact, live: readonly SessionRecord[]): boolean {
  const match = fact.status === 'interim' ? matchSession(live, fact) : undefined;
  if (match === undefined || !continuesCertainly(match, fact)) return true;
  if (match.subscriberId === null || isWaiting(match)) return true;
  return (
    (fact.address !== null && fact.address !== match.address) ||
    (fact.framedPrefix !== null && fact.framedPrefix !== match.framedPrefix) ||
    (fact.delegatedPrefix !== null && fact.delegatedPrefix !== match.delegatedPrefix)
  );
}

function reach(
  stirring: readonly SessionFact[],
  lines: ReadonlyMap<string, SessionFact>,
  sessions: readonly SessionRecord[],
  resolve: Resolve,
): { subscriberIds: number[]; addresses: string[] } {
  const subscriberIds = new Set<number>();
  const addresses = new Set<string>();
  for (const fact of stirring) {
    const whose = resolve(fact);
    if (typeof whose === 'number') subscriberIds.add(whose);
    for (const address of [fact.address, fact.framedPrefix, fact.delegatedPrefix])
      if (address !== null) addresses.add(address);
  }
  for (const session of sessions) {
    if (!lines.has(lineKey(session))) continue;
    if (session.subscriberId !== null) subscriberIds.add(session.subscriberId);
    for (const address of addressesOf(session)) addresses.add(address);
  }
  return { subscriberIds: [...subscriberIds], addresses: [...addresses] };
}

async function loadClosed(
  flight: Flight,
  keys: readonly { readonly id: number; readonly closed_at: Date }[],
): Promise<SessionRecord[]> {
  if (keys.length === 0) return [];
  const answer = flight.send<HistoryRow>({
    ...CLOSED_SESSIONS,
    values: [keys.map((k) => k.id), keys.map((k) => k.closed_at)],
  });
  await flight.landed();
  return (await answer).rows.map(readHistory);
}

function sendAssignments(
  flight: Flight,
  addresses: readonly string[],
  subscriberIds: readonly number[],
  sessionIds: readonly number[],
): Promise<QueryResult<AssignmentRow>> {
  return flight.send<AssignmentRow>({ ...ASSIGNMENTS, values: [addresses, subscriberIds, sessionIds] });
}

function readAssignments(rows: readonly AssignmentRow[], sessions: readonly SessionRecord[]): AssignmentRecord[] {
  const byId = new Map(sessions.filter((s) => s.end === null).map((s) => [s.id, s]));
  return rows.map((row) => {
    const holders = new Set<SessionRecord>();
    const otherHolderIds = new Set<number>();
    for (const holder of row.holders) {
      const session = byId.get(Number(holder));
      if (session === undefined) otherHolderIds.add(Number(holder));
      else holders.add(session);
    }
    return {
      id: row.id,
      kind: row.kind,
      routingDomain: row.routing_domain,
      address: row.address,
      subscriberId: row.subscriber_id,
      login: row.login,
      slot: row.slot,
      nasName: row.nas_name,
      mac: row.mac,
      startedAtMs: row.started_at,
      end: null,
      holders,
      otherHolderIds,
      past: false,
    };
  });
}

/** Restarts of the boxes that speak, as far as they may have ended something that the facts speak of. */
function sendRestarts(
  flight: Flight,
  facts: readonly AccountingFact[],
  liveByLine: ReadonlyMap<string, readonly SessionRecord[]>,
): Promise<QueryResult<RestartRow>> {
  const boxes = new Map<string, { nasName: string; nasBox: string; sinceMs: number }>();
  for (const fact of facts) {
    const sinceMs = earliestConcern(fact, liveByLine);
    const key = boxKey(fact);
    const box = boxes.get(key);
    if (box === undefined) boxes.set(key, { nasName: fact.nasName, nasBox: fact.nasBox, sinceMs });
    else box.sinceMs = Math.min(box.sinceMs, sinceMs);
  }
  const list = [...boxes.values()];
  return flight.send<RestartRow>({
    name: 'restarts',
    text: RESTARTS,
    values: [list.map((b) => b.nasName), list.map((b) => b.nasBox), list.map((b) => b.sinceMs)],
  });
}

function readRestarts(rows: readonly RestartRow[]): Map<string, number[]> {
  const restarts = new Map<string, number[]>();
  for (const row of rows) {
    const key = boxKey({ nasName: row.nas_name, nasBox: row.nas_box });
    const times = restarts.get(key);
    if (times === undefined) restarts.set(key, [row.at]);
    else times.push(row.at);
  }
  return restarts;
}

/** A restart before this instant cannot have ended what the fact speaks of. */
function earliestConcern(fact: AccountingFact, liveByLine: ReadonlyMap<string, readonly SessionRecord[]>): number {
  if (isRestart(fact)) return fact.eventAtMs;
  const live = liveByLine.get(lineKey(fact)) ?? [];
  const heard = live.map((session) => session.lastEventAtMs);
  if (live.some((session) => continuesCertainly(session, fact))) return Math.min(...heard);
  return Math.min(fact.eventAtMs, claimedStartMs(fact) ?? fact.eventAtMs, ...heard);
}

function lineColumns(lines: readonly SessionFact[]): string[][] {
  return [lines.map((l) => l.nasName), lines.map((l) => l.nasBox), lines.map((l) => l.acctSessionId)];
}
