/**
 * What a batch of accounting does to the places where policy is enforced. Enters: the transaction of the batch and the sessions that it touched.
 * Leaves: enforcements born, due, or ended. Invariants: an enforcement is born with its session and ends with it, in one transaction;
 * rows of enforcements are locked in the order of their ids, like everywhere, so that nobody meets a deadlock.
 */
import type { PoolClient } from 'pg';
import { LEASE_BOX } from '../domain/lease.js';
import type { TouchedSession } from '../domain/session-batch.js';
import type { Flight } from './flight.js';

/**
 * What is there may have gone, and is not known any more; every key under which something may be there is kept. The generation moves on, so that
 * an answer to a command from before proves nothing.
 */
export const SPOIL = `attempted = CASE
      WHEN applied->>'present' = 'true' AND NOT attempted @> jsonb_build_array(applied) THEN attempted || jsonb_build_array(applied)
      ELSE attempted END,
    applied = NULL, evidence = NULL, applied_at = NULL, parked = NULL, generation = generation + 1, due_at = now()`;

/** It is looked at again, whatever its owner is about to write: that was decided before. */
const DUE = 'due_at = now(), generation = enforcement.generation + 1';

const LOCK = `SELECT e.id FROM enforcement e WHERE e.id IN (
    SELECT id FROM enforcement WHERE session_id = ANY ($1::bigint[])
    UNION SELECT p.id FROM unnest($2::text[], $3::bigint[]) AS s (nas_name, subscriber_id)
      JOIN enforcement p ON p.kind = 'provisioned' AND p.nas_name = s.nas_name AND p.subscriber_id = s.subscriber_id)
  ORDER BY e.id FOR UPDATE`;

const BEGIN = `WITH live AS (
    SELECT r.id, r.nas_name, r.subscriber_id, n.place
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[]) AS r (id, nas_name, subscriber_id, leased)
    JOIN nas n ON n.name = r.nas_name WHERE n.place = 'provisioned' OR (n.place = 'session' AND NOT r.leased)),
  sessions AS (
    INSERT INTO enforcement (kind, nas_name, subscriber_id, session_id)
    SELECT 'session', nas_name, subscriber_id, id FROM live WHERE place = 'session' ORDER BY id
    ON CONFLICT (session_id) WHERE session_id IS NOT NULL DO UPDATE SET subscriber_id = excluded.subscriber_id, ${DUE})
  INSERT INTO enforcement (kind, nas_name, subscriber_id)
  SELECT DISTINCT 'provisioned', nas_name, subscriber_id FROM live WHERE place = 'provisioned' ORDER BY nas_name, subscriber_id
  ON CONFLICT (nas_name, subscriber_id) WHERE kind = 'provisioned' DO UPDATE SET ${DUE}`;

/**
 * A lease that begins while another one of its line has the entry gets an entry of its own, which goes with it. Of several that begin at once the oldest
 * has the entry; a lease that once has it keeps it.
 */
const BEGIN_FURTHER = `INSERT INTO enforcement (kind, nas_name, subscriber_id, session_id)
  SELECT 'further', r.nas_name, r.subscriber_id, r.id
  FROM session r JOIN nas n ON n.name = r.nas_name AND n.place = 'provisioned'
  CROSS JOIN LATERAL (
    -- By the subscriber: while tables are new, statistics would have all sessions of the NAS looked through.
    SELECT FROM (SELECT * FROM session WHERE subscriber_id = r.subscriber_id OFFSET 0) o
    WHERE o.id <> r.id AND o.nas_name = r.nas_name AND o.nas_box = '${LEASE_BOX}'
      AND (o.id <> ALL ($1::bigint[]) OR (o.started_at, o.id) < (r.started_at, r.id))
      AND NOT EXISTS (SELECT FROM enforcement f WHERE f.session_id = o.id) LIMIT 1) AS other
  WHERE r.id = ANY ($1::bigint[])
  ORDER BY r.id ON CONFLICT (session_id) WHERE session_id IS NOT NULL DO NOTHING`;

const FURTHER_DUE = `UPDATE enforcement SET ${DUE} WHERE session_id = ANY ($1::bigint[]) AND kind = 'further'`;

const OVER = `unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[]) AS r (id, nas_name, subscriber_id, stopped)
    LEFT JOIN nas n ON n.name = r.nas_name`;

/** Whoever has to be told of the end of a session keeps it until that is done; a further entry is taken away by its owner. */
const END = `WITH over AS (SELECT r.id, r.stopped AND coalesce(n.disconnect_on_stop, false) AS follows FROM ${OVER}),
  ended AS (DELETE FROM enforcement e USING over o WHERE e.session_id = o.id AND e.kind = 'session' AND NOT o.follows)
  UPDATE enforcement e SET due_at = now(), generation = e.generation + 1 FROM over o
  WHERE e.session_id = o.id AND (o.follows OR e.kind = 'further')`;

const LEAVE = `UPDATE enforcement e SET due_at = now(), generation = e.generation + 1 FROM ${OVER}
  WHERE e.kind = 'provisioned' AND e.nas_name = r.nas_name AND e.subscriber_id = r.subscriber_id AND n.place = 'provisioned'`;

/** Follows sessions that began, changed or ended in this transaction. */
export function sendFollowers(flight: Flight, touched: readonly TouchedSession[]): void {
  const live: TouchedSession['session'][] = [];
  const freshLeases: (number | null)[] = [];
  const over: TouchedSession['session'][] = [];
  for (const { session, storedAs, countersOnly } of touched) {
    if (session.end !== null && storedAs === 'live') over.push(session);
    else if (session.end === null && session.subscriberId !== null && (storedAs !== 'live' || !countersOnly))
      live.push(session);
    if (session.end === null && session.subscriberId !== null && session.nasBox === LEASE_BOX && storedAs !== 'live')
      freshLeases.push(session.id);
  }
  const all = [...live, ...over];
  if (all.length === 0) return;
  const columns = (sessions: typeof all): unknown[][] => [
    sessions.map((s) => s.id),
    sessions.map((s) => s.nasName),
    sessions.map((s) => s.subscriberId),
  ];
  void flight.send({ name: 'lock-enforcements', text: LOCK, values: columns(all) });
  // A NAS that knows sessions knows none of a lease: nothing of it could be told to it.
  const leased = live.map(({ nasBox }) => nasBox === LEASE_BOX);
  if (live.length > 0)
    void flight.send({ name: 'begin-enforcements', text: BEGIN, values: [...columns(live), leased] });
  const changed = live.filter(({ nasBox }) => nasBox === LEASE_BOX).map(({ id }) => id);
  if (changed.length > 0) void flight.send({ name: 'further-due', text: FURTHER_DUE, values: [changed] });
  if (freshLeases.length > 0) void flight.send({ name: 'begin-further', text: BEGIN_FURTHER, values: [freshLeases] });
  if (over.length === 0) return;
  const values = [...columns(over), over.map((s) => s.end!.cause === 'stop')];
  void flight.send({ name: 'end-enforcements', text: END, values });
  void flight.send({ name: 'leave-entries', text: LEAVE, values });
}

/** A NAS that was restarted may have lost every entry of ours: all are looked at again. */
export async function spoilEntries(client: PoolClient, nasNames: readonly string[]): Promise<void> {
  if (nasNames.length === 0) return;
  await client.query(
    `WITH locked AS (SELECT id FROM enforcement WHERE nas_name = ANY ($1) AND kind <> 'session' ORDER BY id FOR UPDATE)
     UPDATE enforcement e SET ${SPOIL} FROM locked l WHERE e.id = l.id`,
    [nasNames],
  );
}
