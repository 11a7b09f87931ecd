/**
 * What was said to NASes and what came of it. Enters: results of commands. Leaves: rows of `nas_command`, and the last of them for people. Invariants:
 * append-only; every text is bounded and storable whatever a NAS printed.
 */
import type { Pool } from 'pg';
import type pg from 'pg';
import type { Evidence } from '../domain/service-state.js';

/** A command line is some hundred characters, and what a NAS says to it the same; a whole batch is cut, characters. */
const MAX_SENT = 4_000;
const MAX_DETAIL = 1_000;

/** What came of one command, as drivers tell it; times are ms since 1970. */
export interface CommandToldOf {
  readonly command: { readonly name: string; readonly service: string | null };
  readonly driver: string;
  /** Without secrets. */
  readonly sent: string;
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
  readonly attempts: number;
  readonly outcome: {
    readonly outcome: string;
    readonly text: string;
    readonly evidence?: Evidence;
    readonly errorCause?: number | null;
  };
}

/** One result with what it belongs to. */
export interface CommandRecord {
  readonly enforcementId: number;
  readonly nasName: string;
  readonly subscriberId: number;
  readonly login: string;
  readonly generation: number;
  /** ms since 1970 */
  readonly plannedAtMs: number;
  readonly result: CommandToldOf;
}

/** A text that PostgreSQL can store: without NUL and half characters, and not too long. */
export function storableText(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return Buffer.from(cut.replaceAll('\0', '\\0'), 'utf8').toString('utf8');
}

const time = (column: string): string => `to_timestamp(${column} / 1000.0)`;

const INSERT = `INSERT INTO nas_command (at, enforcement_id, nas_name, subscriber_id, login, command, service, driver, sent, attempts, planned_at,
    sent_at, answered_at, outcome, evidence, error_cause, detail, generation, instance)
  SELECT now(), r.enforcement_id, r.nas_name, r.subscriber_id, r.login, r.command, r.service, r.driver, r.sent, r.attempts, ${time('r.planned_ms')},
    ${time('r.sent_ms')}, ${time('r.answered_ms')}, r.outcome, r.evidence, r.error_cause, r.detail, r.generation, $18
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[], $10::float8[],
      $11::float8[], $12::float8[], $13::text[], $14::text[], $15::int[], $16::text[], $17::bigint[])
    AS r (enforcement_id, nas_name, subscriber_id, login, command, service, driver, sent, attempts, planned_ms, sent_ms, answered_ms, outcome,
      evidence, error_cause, detail, generation)`;

/** Appends results, in the transaction that writes what is known by them. */
export async function insertCommands(
  client: pg.ClientBase,
  instance: string,
  records: readonly CommandRecord[],
): Promise<void> {
  if (records.length === 0) return;
  const outcomes = records.map(({ result }) => result.outcome);
  await client.query({
    name: 'insert-nas-commands',
    text: INSERT,
    values: [
      records.map((one) => one.enforcementId),
      records.map((one) => one.nasName),
      records.map((one) => one.subscriberId),
      records.map((one) => one.login),
      records.map((one) => one.result.command.name),
      records.map((one) => one.result.command.service),
      records.map((one) => one.result.driver),
      records.map((one) => storableText(one.result.sent, MAX_SENT)),
      records.map((one) => one.result.attempts),
      records.map((one) => one.plannedAtMs),
      records.map((one) => one.result.sentAtMs),
      records.map((one) => one.result.answeredAtMs),
      outcomes.map((one) => one.outcome),
      outcomes.map((one) => one.evidence ?? null),
      outcomes.map((one) => one.errorCause ?? null),
      outcomes.map((one) => storableText(one.text, MAX_DETAIL)),
      records.map((one) => one.generation),
      instance,
    ],
  });
}

/** A row of the history, as pages and commands show it. */
export interface CommandRow {
  readonly at: Date;
  readonly nas_name: string;
  readonly subscriber_id: number;
  readonly login: string;
  readonly command: string;
  readonly service: string | null;
  readonly driver: string | null;
  readonly sent: string;
  readonly attempts: number;
  readonly planned_at: Date;
  readonly sent_at: Date | null;
  readonly answered_at: Date | null;
  readonly outcome: string;
  readonly evidence: string | null;
  readonly error_cause: number | null;
  readonly detail: string | null;
  readonly instance: string;
}

const COLUMNS = `at, nas_name, subscriber_id, login, command, service, driver, sent, attempts, planned_at, sent_at, answered_at, outcome, evidence,
  error_cause, detail, instance`;

/** The last commands about a subscriber, the newest first. */
export async function commandsOfSubscriber(
  pool: Pick<Pool, 'query'>,
  subscriberId: number,
  limit: number,
): Promise<CommandRow[]> {
  const { rows } = await pool.query<CommandRow>(
    `SELECT ${COLUMNS} FROM nas_command WHERE subscriber_id = $1 ORDER BY at DESC, id DESC LIMIT $2`,
    [subscriberId, limit],
  );
  return rows;
}

/** The last commands to a NAS, the newest first. */
export async function commandsOfNas(pool: Pick<Pool, 'query'>, nasName: string, limit: number): Promise<CommandRow[]> {
  const { rows } = await pool.query<CommandRow>(
    `SELECT ${COLUMNS} FROM nas_command WHERE nas_name = $1 ORDER BY at DESC, id DESC LIMIT $2`,
    [nasName, limit],
  );
  return rows;
}
