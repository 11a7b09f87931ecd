/**
 * The tables held against what NASes noted. Enters: notes of acknowledged sessions, a database. Leaves: every difference in words.
 * Invariant: it reads tables alone, with SQL of its own, so it shares no fault with what wrote them.
 */
import type pg from 'pg';
import type { NotedSession } from './busy-nas.js';

/** Differences shown; one fault makes hundreds of equal ones. */
const MAX_SHOWN = 20;

interface StoredSession {
  readonly acct_session_id: string;
  readonly login: string;
  readonly address: string | null;
  readonly input_octets: string;
  readonly output_octets: string;
  readonly session_seconds: string;
  readonly conflict: string | null;
  readonly live: boolean;
  readonly end_cause: string | null;
}

/**
 * Where sessions and periods differ from the notes; nothing when acknowledged and recorded are the same.
 *
 * @param prefix of the Acct-Session-Ids that count, when others have written too
 */
export async function differences(
  pool: pg.Pool,
  notes: readonly NotedSession[],
  prefix = '',
): Promise<readonly string[]> {
  const found: string[] = [];
  const stored = await storedSessions(pool, prefix);
  const wanted = notes.filter((note) => note.acknowledged);
  for (const note of wanted) {
    const rows = stored.get(note.acctSessionId) ?? [];
    if (rows.length !== 1) {
      found.push(
        `${note.acctSessionId} of ${note.login}: acknowledged, ${String(rows.length)} rows: ${describe(rows)}`,
      );
      continue;
    }
    const [row] = rows;
    const noted = noteText(note);
    const kept = rowText(row!);
    if (noted !== kept) found.push(`${note.acctSessionId}: noted ${noted}, recorded ${kept}`);
  }
  const known = new Set(notes.map((note) => note.acctSessionId));
  for (const id of stored.keys()) if (!known.has(id)) found.push(`${id}: recorded, never sent`);
  found.push(...(await periodDifferences(pool, wanted)), ...(await oddities(pool)));
  return found.length > MAX_SHOWN ? [...found.slice(0, MAX_SHOWN), `… ${String(found.length)} in all`] : found;
}

async function storedSessions(pool: pg.Pool, prefix: string): Promise<Map<string, StoredSession[]>> {
  const columns = `acct_session_id, login, host(address) AS address, input_octets::text, output_octets::text,
                   session_seconds::text, conflict`;
  const { rows } = await pool.query<StoredSession>(
    `SELECT ${columns}, true AS live, NULL AS end_cause FROM session WHERE starts_with(acct_session_id, $1)
     UNION ALL
     SELECT ${columns}, false, end_cause FROM session_history WHERE starts_with(acct_session_id, $1)`,
    [prefix],
  );
  const byId = new Map<string, StoredSession[]>();
  for (const row of rows) {
    const same = byId.get(row.acct_session_id);
    if (same === undefined) byId.set(row.acct_session_id, [row]);
    else same.push(row);
  }
  return byId;
}

function describe(rows: readonly StoredSession[]): string {
  return rows.map(rowText).join('; ');
}

function noteText(note: NotedSession): string {
  const state = note.stopped ? 'ended by stop' : 'live';
  return `${note.login} ${note.address} ${state} ${String(note.inputOctets)}/${String(note.outputOctets)} ${String(note.sessionSeconds)} s`;
}

function rowText(row: StoredSession): string {
  const state = row.live ? 'live' : `ended by ${row.end_cause ?? '?'}`;
  const conflict = row.conflict === null ? '' : ` conflict ${row.conflict}`;
  return `${row.login} ${row.address ?? 'none'} ${state} ${row.input_octets}/${row.output_octets} ${row.session_seconds} s${conflict}`;
}

/** What a subscriber used in all his sessions is what stands in all his periods, no octet more or less. */
async function periodDifferences(pool: pg.Pool, notes: readonly NotedSession[]): Promise<string[]> {
  const noted = new Map<string, [bigint, bigint, bigint]>();
  for (const note of notes) {
    const sum = noted.get(note.login) ?? [0n, 0n, 0n];
    sum[0] += BigInt(note.inputOctets);
    sum[1] += BigInt(note.outputOctets);
    sum[2] += BigInt(note.sessionSeconds);
    noted.set(note.login, sum);
  }
  const { rows } = await pool.query<{ login: string; input: string; output: string; seconds: string }>(
    `SELECT s.login, sum(p.input_octets)::text AS input, sum(p.output_octets)::text AS output, sum(p.session_seconds)::text AS seconds
     FROM period p JOIN subscriber s ON s.id = p.subscriber_id WHERE s.login = ANY ($1) GROUP BY s.login`,
    [[...noted.keys()]],
  );
  const stored = new Map(rows.map((row) => [row.login, [row.input, row.output, row.seconds].join('/')]));
  return [...noted]
    .filter(([login, sum]) => stored.get(login) !== sum.join('/'))
    .map(([login, sum]) => `period of ${login}: noted ${sum.join('/')}, recorded ${stored.get(login) ?? 'none'}`);
}

/** What must not be in the tables whatever was sent. */
async function oddities(pool: pg.Pool): Promise<string[]> {
  const checks: readonly [string, string][] = [
    [
      'two subscribers with one address at a time',
      // Ends are exclusive: handing over at one instant is no overlap.
      `SELECT a.login || ' and ' || b.login || ' had ' || host(a.address) AS what
       FROM assignment a JOIN assignment b
         ON a.routing_domain = b.routing_domain AND a.address = b.address AND a.login < b.login
        AND tstzrange(a.started_at, a.ended_at) && tstzrange(b.started_at, b.ended_at)`,
    ],
    ['set aside', `SELECT reason || ' ' || coalesce(detail, '') AS what FROM set_aside`],
    [
      'a live session without its hold',
      `SELECT s.login || ' ' || s.acct_session_id AS what FROM session s
       WHERE s.address IS NOT NULL AND NOT EXISTS (
         SELECT FROM assignment_holder h JOIN assignment_open a ON a.id = h.assignment_id
         WHERE h.session_id = s.id AND a.address = s.address AND a.ended_at IS NULL)`,
    ],
    [
      'an open assignment that nobody holds',
      `SELECT a.login || ' ' || host(a.address) AS what FROM assignment_open a
       WHERE a.ended_at IS NULL AND NOT EXISTS (
         SELECT FROM assignment_holder h JOIN session s ON s.id = h.session_id WHERE h.assignment_id = a.id)`,
    ],
    [
      'the wrong "logged"',
      `SELECT s.login || ' ' || s.logged::text AS what FROM subscriber s
       WHERE s.logged <> EXISTS (SELECT FROM session l WHERE l.subscriber_id = s.id)`,
    ],
    [
      'an assigned pool address without assignment, or the reverse',
      `SELECT host(p.address) || ' ' || p.state AS what FROM pool_address p
       WHERE (p.state = 'assigned') <> EXISTS (
         SELECT FROM assignment_open a
         WHERE a.address = p.address AND a.routing_domain = p.routing_domain AND a.ended_at IS NULL)`,
    ],
  ];
  const found: string[] = [];
  for (const [title, sql] of checks) {
    const { rows } = await pool.query<{ what: string }>(`${sql} LIMIT ${String(MAX_SHOWN)}`);
    for (const row of rows) found.push(`${title}: ${row.what}`);
  }
  return found;
}
