// Enters: how each Access-Request was answered. Leaves: rows of access_attempt, few and bounded, for people who ask why somebody
// is off. Invariants: answering never waits for this; the first answer is one row, equal ones within ten seconds are another with a count; what comes
// faster than it can be kept is dropped and counted.

import type { Pool } from 'pg';
import type { DiscardReason, RejectReason } from '../domain/access-reason.js';
import { formatIpv4Address } from '../domain/ipv4-address.js';

/** One answer. */
export interface AccessAttempt {
  /** Our clock, ms since 1970. */
  readonly atMs: number;
  readonly login: string | undefined;
  /** Canonical. */
  readonly mac: string | undefined;
  readonly nasName: string;
  readonly nasPortId: string | undefined;
  readonly subscriberId: number | undefined;
  readonly outcome: 'accept' | 'reject' | 'discard';
  /** The state of an accept, the reason of the others. */
  readonly reason: string | RejectReason | DiscardReason;
  /** Unsigned 32-bit. */
  readonly address: number | undefined;
}

/** Equal answers within this are one row, ms: a NAS that gets a Reject asks again at once. */
const COALESCE_MS = 10_000;
/** Different answers held for the next flush: 20 s of the greatest rate. */
const MAX_HELD = 10_000;
/** One batch; written once a second, it is also the greatest rate. */
const MAX_BATCH = 500;
/** PostgreSQL refuses an index entry of some 2,700 octets; a User-Name has 253 at most, a port as many. */
const MAX_TEXT = 253;

export interface AccessAttemptsOptions {
  readonly pool: Pool;
  /** A batch could not be written; it is tried again with the next. */
  readonly onError: (error: unknown) => void;
  readonly maxHeld?: number;
}

interface Held {
  readonly attempt: AccessAttempt;
  repeats: number;
  /** When it is written, ms since 1970. */
  readonly dueAtMs: number;
}

/** Whether two answers are told as one. */
function isRepeat(a: AccessAttempt, b: AccessAttempt): boolean {
  return (
    a.outcome === b.outcome &&
    a.reason === b.reason &&
    a.login === b.login &&
    a.mac === b.mac &&
    a.nasName === b.nasName
  );
}

/** Collects attempts and writes them. */
export class AccessAttempts {
  private readonly held = new Map<string, Held>();
  /** The last of a subscriber among them, so that the usual repeat builds no key. */
  private readonly heldOf = new Map<number, Held>();
  /** When the last row of a key was due, ms since 1970: what comes again soon gathers repeats first. */
  private readonly rows = new Map<string, number>();
  private flushing: Promise<void> | undefined;
  private droppedCount = 0;
  private writtenCount = 0;

  constructor(private readonly options: AccessAttemptsOptions) {}

  /** Attempts that nobody will ever see, because there were too many. */
  get dropped(): number {
    return this.droppedCount;
  }

  get written(): number {
    return this.writtenCount;
  }

  get size(): number {
    return this.held.size;
  }

  /** Notes one answer. Never waits, never fails. */
  note(attempt: AccessAttempt): void {
    const last = attempt.subscriberId === undefined ? undefined : this.heldOf.get(attempt.subscriberId);
    if (last !== undefined && isRepeat(last.attempt, attempt)) {
      last.repeats++;
      return;
    }
    const key = `${attempt.outcome}\u0000${attempt.reason}\u0000${attempt.login ?? ''}\u0000${attempt.mac ?? ''}\u0000${attempt.nasName}`;
    const known = this.held.get(key);
    if (known) {
      known.repeats++;
      return;
    }
    // The first is written at once, for somebody may be looking; what follows it waits, to become one row.
    const lastMs = this.rows.get(key);
    const sinceMs = lastMs === undefined ? Infinity : attempt.atMs - lastMs;
    // A row from the future was written before the clock was set back.
    const dueAtMs = sinceMs >= -COALESCE_MS && sinceMs < COALESCE_MS ? lastMs! + COALESCE_MS : attempt.atMs;
    this.hold(key, { attempt, repeats: 1, dueAtMs });
  }

  private hold(key: string, held: Held): void {
    if (this.held.size >= (this.options.maxHeld ?? MAX_HELD)) {
      this.droppedCount += held.repeats;
      return;
    }
    this.held.set(key, held);
    const { subscriberId } = held.attempt;
    if (subscriberId !== undefined) this.heldOf.set(subscriberId, held);
  }

  private letGo(key: string, held: Held): void {
    this.held.delete(key);
    const { subscriberId } = held.attempt;
    if (subscriberId !== undefined && this.heldOf.get(subscriberId) === held) this.heldOf.delete(subscriberId);
  }

  /** After a failed write: what came meanwhile becomes part of it. */
  private putBack(key: string, held: Held): void {
    const newer = this.held.get(key);
    if (newer !== undefined) {
      held.repeats += newer.repeats;
      this.letGo(key, newer);
    }
    this.hold(key, held);
  }

  private remember(key: string, dueAtMs: number): void {
    this.rows.delete(key);
    this.rows.set(key, dueAtMs);
    for (const [old, atMs] of this.rows) {
      if (this.rows.size <= MAX_HELD && dueAtMs - atMs < COALESCE_MS) break;
      this.rows.delete(old);
    }
  }

  /**
   * Writes one batch of what is due. To be called once a second.
   *
   * @param nowMs our clock, ms since 1970; Infinity writes what is held whether due or not, for the end of the process
   */
  async flush(nowMs: number): Promise<void> {
    if (this.flushing) return this.flushing;
    const due: [string, Held][] = [];
    for (const entry of this.held) {
      const waitMs = entry[1].dueAtMs - nowMs;
      if (waitMs > 0 && waitMs <= 2 * COALESCE_MS) continue;
      due.push(entry);
      if (due.length === MAX_BATCH) break;
    }
    if (due.length === 0) return;
    for (const [key, held] of due) {
      this.letGo(key, held);
      this.remember(key, held.dueAtMs);
    }
    this.flushing = this.write(due.map(([, held]) => held))
      .catch((error: unknown) => {
        for (const [key, held] of due) this.putBack(key, held);
        this.options.onError(error);
      })
      .finally(() => {
        this.flushing = undefined;
      });
    return this.flushing;
  }

  private async write(batch: readonly Held[]): Promise<void> {
    const attempts = batch.map((held) => held.attempt);
    await this.options.pool.query(
      `INSERT INTO access_attempt
         (at, login, mac, nas_name, nas_port_id, subscriber_id, outcome, reason, address, repeats)
       SELECT to_timestamp(at_ms / 1000.0), login, mac, nas_name, nas_port_id, subscriber_id, outcome, reason, address, repeats
       FROM unnest($1::float8[], $2::text[], $3::macaddr[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
         $9::inet[], $10::int[])
         AS attempt (at_ms, login, mac, nas_name, nas_port_id, subscriber_id, outcome, reason, address, repeats)`,
      [
        attempts.map((one) => one.atMs),
        attempts.map((one) => textOf(one.login)),
        attempts.map((one) => one.mac ?? null),
        attempts.map((one) => one.nasName),
        attempts.map((one) => textOf(one.nasPortId)),
        attempts.map((one) => one.subscriberId ?? null),
        attempts.map((one) => one.outcome),
        attempts.map((one) => one.reason),
        attempts.map((one) => (one.address === undefined ? null : formatIpv4Address(one.address))),
        batch.map((held) => held.repeats),
      ],
    );
    this.writtenCount += batch.length;
  }
}

/** What a NAS sent is untrusted: no NUL, which text cannot hold, and no more than an attribute can carry. */
function textOf(text: string | undefined): string | null {
  return text === undefined ? null : text.replaceAll('\u0000', '\ufffd').slice(0, MAX_TEXT);
}

export interface AttemptRetention {
  readonly keepDays: number;
  /** Rows kept of one login, and of one MAC without login. */
  readonly perSubject: number;
  /** Rows kept in all. */
  readonly total: number;
}

/**
 * Deletes attempts that are too old or too many, some at a time.
 *
 * @param limit rows deleted by one statement at most
 * @returns rows deleted; call again while it is `limit` or more
 */
export async function pruneAccessAttempts(pool: Pool, retention: AttemptRetention, limit: number): Promise<number> {
  const old = await pool.query(
    `DELETE FROM access_attempt WHERE id IN (SELECT id FROM access_attempt
       WHERE at < now() - make_interval(days => $1::int) ORDER BY at LIMIT $2)`,
    [retention.keepDays, limit],
  );
  const beyondTotal = await pool.query(
    `DELETE FROM access_attempt WHERE id IN (SELECT id FROM access_attempt
       WHERE id <= (SELECT id FROM access_attempt ORDER BY id DESC OFFSET $1 LIMIT 1) ORDER BY id LIMIT $2)`,
    [retention.total, limit],
  );
  const beyondSubject = await pool.query(
    `DELETE FROM access_attempt WHERE id IN (
       SELECT id FROM (
         SELECT id, row_number() OVER (PARTITION BY coalesce(login, ''), CASE WHEN login IS NULL THEN mac END
           ORDER BY at DESC, id DESC) AS place
         FROM access_attempt
       ) AS ranked WHERE place > $1 LIMIT $2)`,
    [retention.perSubject, limit],
  );
  return Math.max(old.rowCount ?? 0, beyondTotal.rowCount ?? 0, beyondSubject.rowCount ?? 0);
}
