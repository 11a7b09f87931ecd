/**
 * What the owner of a NAS writes of its enforcements. Enters: rows as they are to be, each with the generation that it was decided on. Leaves: which of
 * them were written. Invariants: a row that moved on meanwhile is left as it is; rows are locked in the order of their ids; in the
 * transaction of the owner nothing is written once the lock on the NAS is lost.
 */
import type pg from 'pg';
import type { KnownService, ServiceState } from '../domain/service-state.js';
import type { EnforcementState, Parked } from './enforcement-rows.js';

/** A row as it is to be. */
export interface EnforcementWrite {
  readonly id: number;
  /** That of the row it was decided on; any other means that it moved on. */
  readonly generation: number;
  /** Commands are about to be sent: answers to earlier ones no longer count. */
  readonly isAttempt: boolean;
  readonly desired: ServiceState | null;
  readonly known: KnownService;
  readonly mayBePresent: boolean;
  readonly state: EnforcementState;
  readonly attempts: number;
  readonly fusePassed: boolean;
  /** ms since 1970; null: when something changes. */
  readonly dueAtMs: number | null;
  readonly parked: Parked;
  /** ms since 1970 */
  readonly goneAtMs: number | null;
  readonly lastOutcome: string | null;
  readonly lastError: string | null;
  /** How often in a row the NAS had confirmed what was not so. */
  readonly disproved: number;
}

const time = (column: string): string => `to_timestamp(${column} / 1000.0)`;

const WRITE = `WITH locked AS (SELECT id FROM enforcement WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE)
  UPDATE enforcement e SET generation = e.generation + r.is_attempt::int, desired = r.desired,
    applied = r.applied, evidence = r.evidence,
    applied_at = CASE WHEN r.applied IS NULL THEN NULL WHEN e.applied IS NOT DISTINCT FROM r.applied AND NOT r.is_result THEN e.applied_at ELSE now() END,
    attempted = r.attempted, attempted_at = CASE WHEN r.is_attempt THEN now() ELSE e.attempted_at END,
    may_be_present = r.may_be_present, state = r.state, attempts = r.attempts, fuse_passed = r.fuse_passed, due_at = ${time('r.due_ms')},
    parked = r.parked, gone_at = ${time('r.gone_ms')}, last_outcome = r.last_outcome, last_error = r.last_error,
    disproved = r.disproved, disproved_at = CASE WHEN r.disproved > e.disproved THEN now() ELSE e.disproved_at END
  FROM unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::boolean[], $5::jsonb[], $6::jsonb[], $7::text[], $8::jsonb[], $9::boolean[],
      $10::text[], $11::int[], $12::boolean[], $13::float8[], $14::jsonb[], $15::float8[], $16::text[], $17::text[], $18::int[])
    AS r (id, generation, is_attempt, is_result, desired, applied, evidence, attempted, may_be_present, state, attempts, fuse_passed, due_ms,
      parked, gone_ms, last_outcome, last_error, disproved)
  JOIN locked USING (id)
  WHERE e.id = r.id AND e.generation = r.generation RETURNING e.id`;

/**
 * Writes rows that have not moved on.
 *
 * @param isResult whether it is what a NAS answered: evidence is fresh even where it says the same
 * @returns ids of those that were written
 */
export async function writeEnforcements(
  client: pg.ClientBase,
  writes: readonly EnforcementWrite[],
  isResult: boolean,
): Promise<Set<number>> {
  if (writes.length === 0) return new Set();
  const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
  const { rows } = await client.query<{ id: number }>({
    name: 'write-enforcements',
    text: WRITE,
    values: [
      writes.map((w) => w.id),
      writes.map((w) => w.generation),
      writes.map((w) => w.isAttempt),
      writes.map(() => isResult),
      writes.map((w) => json(w.desired)),
      writes.map((w) => json(w.known.applied?.state ?? null)),
      writes.map((w) => w.known.applied?.evidence ?? null),
      writes.map((w) => JSON.stringify(w.known.attempted)),
      writes.map((w) => w.mayBePresent),
      writes.map((w) => w.state),
      writes.map((w) => w.attempts),
      writes.map((w) => w.fusePassed),
      writes.map((w) => w.dueAtMs),
      writes.map((w) => json(w.parked)),
      writes.map((w) => w.goneAtMs),
      writes.map((w) => w.lastOutcome),
      writes.map((w) => w.lastError),
      writes.map((w) => w.disproved),
    ],
  });
  return new Set(rows.map((row) => row.id));
}

/** An enforcement that has nothing left to do, on the generation that this was decided on. */
export interface EnforcementEnd {
  readonly id: number;
  readonly generation: number;
}

/** Forgets enforcements that are done with. @returns ids of those that were still as they had been read */
async function endEnforcements(client: pg.ClientBase, ends: readonly EnforcementEnd[]): Promise<Set<number>> {
  if (ends.length === 0) return new Set();
  const { rows } = await client.query<{ id: number }>({
    name: 'end-enforcements-by-id',
    text: `WITH locked AS (SELECT id FROM enforcement WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE)
      DELETE FROM enforcement e USING unnest($1::bigint[], $2::bigint[]) AS r (id, generation) JOIN locked USING (id)
      WHERE e.id = r.id AND e.generation = r.generation RETURNING e.id`,
    values: [ends.map((one) => one.id), ends.map((one) => one.generation)],
  });
  return new Set(rows.map((row) => row.id));
}

/**
 * Both, in one transaction. Two statements that each lock in the order of ids do not together: whoever locks all of a NAS would meet them crosswise.
 *
 * @returns ids that were written, and ids that were ended
 */
export async function writeAndEndEnforcements(
  client: pg.ClientBase,
  writes: readonly EnforcementWrite[],
  ends: readonly EnforcementEnd[],
  isResult: boolean,
): Promise<{ readonly written: Set<number>; readonly ended: Set<number> }> {
  if (writes.length > 0 && ends.length > 0)
    await client.query({
      name: 'lock-enforcements-by-id',
      text: 'SELECT FROM enforcement WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE',
      values: [[...writes, ...ends].map(({ id }) => id)],
    });
  const written = await writeEnforcements(client, writes, isResult);
  return { written, ended: await endEnforcements(client, ends) };
}
