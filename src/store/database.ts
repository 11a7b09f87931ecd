/**
 * The way to PostgreSQL: a pool that survives its server, transactions, and what an error means.
 *
 * Enters: a URL and limits. Leaves: a `pg.Pool`, results, and errors with a class. Invariants: a dying backend never ends the
 * process; a client in an unknown state never returns to the pool; a COMMIT whose fate is unknown is told apart from every
 * other failure; no decision rests on the text of a message.
 */
import pg from 'pg';

/** Connections per process by default: a few batches, the feed and the command line; PostgreSQL pays some MB for each. */
const DEFAULT_MAX_CONNECTIONS = 10;

/** No statement of ours is meant to take longer than seconds, ms. */
const DEFAULT_STATEMENT_TIMEOUT_MS = 30_000;

/** A database that is up answers within milliseconds; waiting longer only hides an outage, ms. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;

/** By how much the client outwaits the server's own statement timeout before it gives the connection up, ms. */
const READ_TIMEOUT_MARGIN_MS = 5_000;

/** Idle connections are closed after this, ms. */
const IDLE_TIMEOUT_MS = 60_000;

/** First TCP keep-alive probe on a silent connection, ms: firewalls forget flows after a few minutes. */
const KEEP_ALIVE_DELAY_MS = 30_000;

export interface PoolOptions {
  /** Name of this server among several; appears in `pg_stat_activity` as `sluice/<instance>`. */
  instance: string;
  maxConnections?: number;
  statementTimeoutMs?: number;
  connectTimeoutMs?: number;
  /** Settings of every session from its start on, as `default_transaction_read_only`. Names and values without spaces. */
  sessionSettings?: Readonly<Record<string, string>>;
  /** Told of connections that broke, in use or idle. Must not throw. */
  onConnectionError?: (error: Error) => void;
  /** Whether statements may be sent before the ones before them are answered: see `Flight`. */
  readonly isPipelined?: boolean;
}

/**
 * - `unreachable`: no answer: try again when the database is back; nothing happened
 * - `transient`: a conflict with others (serialisation, deadlock, lock or statement timeout): try again now
 * - `ambiguous-commit`: the transaction may or may not be in the database: read before trying again
 * - `permanent`: trying again would fail again
 */
export type DatabaseErrorClass = 'unreachable' | 'transient' | 'ambiguous-commit' | 'permanent';

/** COMMIT was sent and its answer never came. `cause` is the connection's error. */
export class AmbiguousCommitError extends Error {
  override readonly name = 'AmbiguousCommitError';

  constructor(options: { cause: unknown }) {
    super('the connection broke while COMMIT was on its way: the transaction may or may not have happened', options);
  }
}

/** SQLSTATEs after which the same transaction may succeed at once (PostgreSQL appendix A). */
const TRANSIENT_SQLSTATES = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '55006', // object_in_use
  '57014', // query_canceled: statement or lock timeout
  '25P03', // idle_in_transaction_session_timeout
]);

/** SQLSTATEs of a server that is going, coming, or full. Class 08 (connection exceptions) is added by prefix. */
const UNREACHABLE_SQLSTATES = new Set([
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '53300', // too_many_connections
  '25006', // read_only_sql_transaction: a standby that is not promoted yet
]);

/** Error numbers of Node that mean "no connection". */
const UNREACHABLE_SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
  'EACCES',
  'EMFILE',
  'ENFILE',
]);

/** Errors without any code that the driver made because a connection was lost or never came. */
const connectionErrors = new WeakSet<object>();

/** Clients whose connection is gone or cannot be trusted. */
const brokenClients = new WeakSet<object>();

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** An Error without a code from the driver is its own: timeout, lost connection. Subclasses (TypeError …) are mistakes. */
function noteConnectionError(error: unknown): void {
  if (error instanceof Error && Object.getPrototypeOf(error) === Error.prototype && codeOf(error) === undefined) {
    connectionErrors.add(error);
  }
}

/**
 * What an error of `pg` (or of `withTransaction`) means for the caller.
 *
 * Decided by SQLSTATE, by the system's error code, and by where the error came from; never by its text. Several addresses
 * that all refused (AggregateError) count as their first.
 */
export function classifyDatabaseError(error: unknown): DatabaseErrorClass {
  if (error instanceof AmbiguousCommitError) return 'ambiguous-commit';
  if (error instanceof AggregateError && error.errors.length > 0 && codeOf(error) === undefined) {
    return classifyDatabaseError(error.errors[0]);
  }
  if (typeof error === 'object' && error !== null && connectionErrors.has(error)) return 'unreachable';
  const code = codeOf(error);
  if (code === undefined) return 'permanent';
  if (error instanceof pg.DatabaseError) {
    // 40003: statement_completion_unknown; 08007: transaction_resolution_unknown.
    if (code === '40003' || code === '08007') return 'ambiguous-commit';
    if (TRANSIENT_SQLSTATES.has(code)) return 'transient';
    // Class 53: disk full, out of memory: nothing about the statement is wrong, and only time or an operator helps.
    return code.startsWith('08') || code.startsWith('53') || UNREACHABLE_SQLSTATES.has(code)
      ? 'unreachable'
      : 'permanent';
  }
  return UNREACHABLE_SYSTEM_CODES.has(code) ? 'unreachable' : 'permanent';
}

/** SQLSTATE classes that speak of the data in hand: cardinality, data, constraints, program limits, triggers, broken pages. */
const DATA_CLASSES = new Set(['21', '22', '23', '54', 'P0', 'XX']);

/** Whether an error says that something is wrong with the rows in hand, so that other rows may well succeed. */
export function isAboutRows(error: unknown): boolean {
  return error instanceof pg.DatabaseError && DATA_CLASSES.has((error.code ?? '').slice(0, 2));
}

/** Whether a lock was not to be had in the time that was given (`lock_timeout`). */
export function isLockedBySomebody(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '55P03';
}

/** int8 as a number where that is exact, as a bigint beyond 2⁵³. */
function parseInt8(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** `{1,2,NULL}`: numbers need no quotes and no escapes, and ours have one dimension. */
function parseInt8Array(text: string): (number | bigint | null)[] {
  if (text === '{}') return [];
  return text
    .slice(1, -1)
    .split(',')
    .map((entry) => (entry === 'NULL' ? null : parseInt8(entry)));
}

const INT8_OID = 20;
const INT8_ARRAY_OID = 1016;

const textParsers = new Map<number, (text: string) => unknown>([
  [INT8_OID, parseInt8],
  [INT8_ARRAY_OID, parseInt8Array],
]);

/** How values arrive on every connection of ours: int8 as a number where that is exact. */
export const sessionTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    const own = format === 'binary' ? undefined : textParsers.get(oid);
    return own ?? pg.types.getTypeParser(oid, format ?? 'text');
  }) as typeof pg.types.getTypeParser,
};

/**
 * A pool of connections.
 *
 * Errors of idle and of checked-out clients are caught and passed to `onConnectionError` (node-postgres emits both; unheard,
 * either ends the process). `int8` arrives as a number when it is exact, else as a bigint; `numeric` stays text.
 */
export function createPool(url: string, options: PoolOptions): pg.Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? DEFAULT_STATEMENT_TIMEOUT_MS;
  const pool = new pg.Pool({
    connectionString: url,
    application_name: `sluice/${options.instance}`,
    max: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    connectionTimeoutMillis: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    // A server that vanished without a word would otherwise hold the query for as long as TCP tries.
    ...(statementTimeoutMs > 0 && { query_timeout: statementTimeoutMs + READ_TIMEOUT_MARGIN_MS }),
    ...(options.sessionSettings !== undefined && { options: startupOptions(options.sessionSettings) }),
    pipeline: options.isPipelined === true,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    types: sessionTypes,
  });
  const heard = new WeakSet<Error>();
  const report = (error: Error) => {
    if (heard.has(error)) return;
    heard.add(error);
    noteConnectionError(error);
    options.onConnectionError?.(error);
  };
  pool.on('error', report);
  pool.on('connect', (client) => {
    client.on('error', (error) => {
      brokenClients.add(client);
      report(error);
    });
    client.on('end', () => brokenClients.add(client));
    noteErrorsOf(client);
  });
  const connect = pool.connect.bind(pool) as (...args: unknown[]) => unknown;
  pool.connect = ((...args: unknown[]) => noteRejection(connect, args)) as typeof pool.connect;
  return pool;
}

/** The `options` of a start-up packet (libpq's PGOPTIONS). */
function startupOptions(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** Calls through; a rejection, or an error handed to a trailing callback, is noted before the caller sees it. */
function noteRejection(call: (...args: unknown[]) => unknown, args: unknown[]): unknown {
  const callback = args.at(-1);
  if (typeof callback === 'function') {
    const hear = (...answer: unknown[]) => {
      noteConnectionError(answer[0]);
      (callback as (...answer: unknown[]) => void)(...answer);
    };
    return call(...args.slice(0, -1), hear);
  }
  const result = call(...args);
  if (result instanceof Promise) {
    return result.catch((error: unknown) => {
      noteConnectionError(error);
      throw error;
    });
  }
  return result;
}

function noteErrorsOf(client: pg.PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  client.query = ((...args: unknown[]) => noteRejection(query, args)) as typeof client.query;
}

/**
 * How the statements of a transaction are planned. `by-key`: every one of them finds its rows through an index, so plans that read a table whole are
 * never right, whatever statistics say: those of a new table say for minutes that it is empty.
 */
export type Planning = 'as-usual' | 'by-key';

const BEGIN: Readonly<Record<Planning, string>> = {
  'as-usual': 'BEGIN',
  'by-key': 'BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off',
};

/**
 * Runs `work` in one transaction: BEGIN, work, COMMIT; ROLLBACK when it throws.
 *
 * The client goes back to the pool only in a known state; otherwise it is destroyed.
 *
 * @returns what `work` returned, after COMMIT was confirmed
 * @throws AmbiguousCommitError when the answer to COMMIT was lost; else the error of `work` or of the database
 */
export async function withTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
  planning: Planning = 'as-usual',
): Promise<T> {
  return await withBegunTransaction(
    pool,
    async (client, begun) => {
      await begun;
      return await work(client);
    },
    planning,
  );
}

/**
 * The same for `work` that sends its first statements behind BEGIN without waiting for it.
 * @param work must wait for `begun` before it sends anything that writes: without a transaction it would take effect by itself
 */
export async function withBegunTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient, begun: Promise<unknown>) => Promise<T>,
  planning: Planning = 'as-usual',
): Promise<T> {
  const client = await pool.connect();
  let destroy = false;
  try {
    const begun = client.query(BEGIN[planning]);
    begun.catch(() => undefined);
    const result = await work(client, begun);
    await commit(client);
    return result;
  } catch (error) {
    destroy = error instanceof AmbiguousCommitError || !(await rolledBack(client));
    throw error;
  } finally {
    client.release(destroy);
  }
}

/** A transaction in which a statement failed and was swallowed: COMMIT would quietly be a ROLLBACK. */
export class TransactionAbortedError extends Error {
  override readonly name = 'TransactionAbortedError';
  /** SQLSTATE in_failed_sql_transaction. */
  readonly code = '25P02';

  constructor() {
    super('a statement of this transaction had failed, so COMMIT rolled it back');
  }
}

async function commit(client: pg.PoolClient): Promise<void> {
  // Known to be broken before COMMIT is sent: nothing can have been committed.
  const brokenBefore = brokenClients.has(client);
  let answer: pg.QueryResult;
  try {
    answer = await client.query('COMMIT');
  } catch (error) {
    if (brokenBefore || isDefiniteRefusal(error)) throw error;
    throw new AmbiguousCommitError({ cause: error });
  }
  if (answer.command !== 'COMMIT') throw new TransactionAbortedError();
}

/** An answer of the server to COMMIT that means "rolled back"; a server that is going down does not mean that. */
function isDefiniteRefusal(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  const code = error.code ?? '';
  return !code.startsWith('08') && !code.startsWith('57P') && code !== '40003';
}

async function rolledBack(client: pg.PoolClient): Promise<boolean> {
  if (brokenClients.has(client)) return false;
  try {
    await client.query('ROLLBACK');
    return !brokenClients.has(client);
  } catch {
    return false;
  }
}
