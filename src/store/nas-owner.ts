/**
 * Which server commands which NAS. Enters: names of NASes. Leaves: session locks on one connection of our own, and a way to commit on that very
 * connection. Invariants: a NAS has one owner at a time; with the connection the locks are gone, and so is every commit that relied on
 * them; an owner that has not heard from the database for a while no longer takes itself for one.
 */
import type { Pool, PoolClient } from 'pg';
import pg from 'pg';
import { sessionTypes } from './database.js';

/** First key of the locks on NASes; `instances.ts` has the others. */
const NAS_LOCK = 0x51_0c_e0_03;
/** How long the word of the database counts, ms: the next owner waits for longer than this before it speaks to a NAS. */
export const OWNERSHIP_MS = 2_000;
/** No statement on this connection takes longer unless the database hangs, ms; then we are no owner any more. */
const QUERY_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** What the server does to find out that we have vanished without a word: within five seconds the locks are free. */
const VANISHED =
  'SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 5000';

export interface NasOwnerOptions {
  readonly databaseUrl: string;
  readonly instance: string;
  /** Monotonic, ms. */
  readonly nowMs: () => number;
  /** All that was owned is lost. */
  readonly onLost: () => void;
}

/** A NAS that was taken. */
export interface TakenNas {
  readonly nasName: string;
  /** Its last owner did not let go of it in order: something that it sent may still be on its way. */
  readonly abandoned: boolean;
}

/** The connection that holds the locks. */
export class NasOwner {
  readonly #options: NasOwnerOptions;
  readonly #owned = new Set<string>();
  #client: pg.Client | undefined;
  #heardAtMs = -Infinity;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: NasOwnerOptions) {
    this.#options = options;
  }

  /** NASes whose lock this instance holds. */
  get owned(): ReadonlySet<string> {
    return this.#owned;
  }

  /** Whether a NAS is ours beyond doubt. */
  isOwner(nasName: string): boolean {
    return this.#owned.has(nasName) && this.#options.nowMs() - this.#heardAtMs < OWNERSHIP_MS;
  }

  /**
   * Takes what nobody holds of these NASes, and lets go of every other one.
   *
   * @throws the database's error; then nothing is owned any more
   */
  async take(nasNames: readonly string[]): Promise<TakenNas[]> {
    const wanted = new Set(nasNames);
    await this.letGo([...this.#owned].filter((name) => !wanted.has(name)));
    return await this.#exclusively(async (client) => {
      const missing = [...wanted].filter((name) => !this.#owned.has(name));
      if (missing.length === 0) {
        await this.#query(client, 'SELECT');
        return [];
      }
      const { rows } = await this.#query<{ nas_name: string; abandoned: boolean }>(
        client,
        `WITH taken AS (
           SELECT n AS nas_name FROM unnest($2::text[]) AS n WHERE pg_try_advisory_lock($1, hashtext(n))),
         before AS (
           SELECT t.nas_name, o.instance IS NOT NULL AND o.released_at IS NULL AND o.instance <> $3 AS abandoned
           FROM taken t LEFT JOIN nas_owner o USING (nas_name)),
         now_ours AS (
           INSERT INTO nas_owner (nas_name, instance, since, seen_at) SELECT nas_name, $3, now(), now() FROM taken ORDER BY 1
           ON CONFLICT (nas_name) DO UPDATE SET instance = $3, since = now(), seen_at = now(), released_at = NULL)
         SELECT nas_name, abandoned FROM before`,
        [NAS_LOCK, missing, this.#options.instance],
      );
      for (const row of rows) this.#owned.add(row.nas_name);
      return rows.map((row) => ({ nasName: row.nas_name, abandoned: row.abandoned }));
    });
  }

  /** Lets go of NASes in order: nothing of ours is on its way to them. */
  async letGo(nasNames: readonly string[]): Promise<void> {
    const held = nasNames.filter((name) => this.#owned.has(name));
    if (held.length === 0) return;
    for (const name of held) this.#owned.delete(name);
    await this.#exclusively(async (client) => {
      await this.#query(
        client,
        'UPDATE nas_owner SET released_at = now() WHERE nas_name = ANY ($1) AND instance = $2',
        [held, this.#options.instance],
      );
      await this.#query(client, 'SELECT pg_advisory_unlock($1, hashtext(n)) FROM unnest($2::text[]) AS n', [
        NAS_LOCK,
        held,
      ]);
    });
  }

  /** Runs one statement on the connection that holds the locks: a transaction by itself, which commits only while they are held. */
  async statement<Result>(work: (client: pg.ClientBase) => Promise<Result>): Promise<Result> {
    return await this.#exclusively(async (client) => {
      const askedAtMs = this.#options.nowMs();
      const result = await work(client);
      if (this.#client === client) this.#heardAtMs = askedAtMs;
      return result;
    });
  }

  /**
   * The same for a transaction of several statements.
   *
   * @throws the database's error; then nothing was committed, or nothing is owned any more
   */
  async transaction<Result>(work: (client: pg.ClientBase) => Promise<Result>): Promise<Result> {
    return await this.#exclusively(async (client) => {
      await this.#query(client, 'BEGIN');
      try {
        const result = await work(client);
        await this.#query(client, 'COMMIT');
        return result;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => this.#lose(client));
        throw error;
      }
    });
  }

  /** Closes the connection, and with it loses everything, as a crash does. */
  drop(): void {
    if (this.#client !== undefined) this.#lose(this.#client);
  }

  /** Lets go of everything and closes the connection. */
  async stop(): Promise<void> {
    await this.letGo([...this.#owned]).catch(() => undefined);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  /** One after the other: a connection has one transaction at a time. A connection that failed is given up with all its locks. */
  async #exclusively<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    const before = this.#queue;
    const mine = (async () => {
      await before.catch(() => undefined);
      const client = this.#client ?? (await this.#connect());
      try {
        return await work(client);
      } catch (error) {
        if (!(error instanceof pg.DatabaseError) || (error.severity ?? 'FATAL') !== 'ERROR') this.#lose(client);
        throw error;
      }
    })();
    this.#queue = mine.catch(() => undefined);
    return await mine;
  }

  async #query<Row extends pg.QueryResultRow>(
    client: pg.Client,
    text: string,
    values: unknown[] = [],
  ): Promise<pg.QueryResult<Row>> {
    const askedAtMs = this.#options.nowMs();
    const result = await client.query<Row>(text, values);
    // What it said was true when it was asked at the earliest.
    if (this.#client === client) this.#heardAtMs = askedAtMs;
    return result;
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl,
      application_name: `sluice/${this.#options.instance}/nas-owner`,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
      types: sessionTypes,
    });
    client.on('error', () => this.#lose(client));
    client.on('end', () => this.#lose(client));
    try {
      await client.connect();
      await client.query(VANISHED);
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
    this.#client = client;
    return client;
  }

  #lose(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#owned.clear();
    this.#heardAtMs = -Infinity;
    client.end().catch(() => undefined);
    this.#options.onLost();
  }
}

/** What the owner of a NAS shows of it. */
export interface OwnerReport {
  readonly nasName: string;
  readonly breaker: string;
  readonly breakerReason: string | null;
  readonly waiting: number;
  readonly inFlight: number;
  readonly convergeSeconds: number | null;
}

/** Enforcements of these NASes by state, as they stand. */
export async function countStates(
  pool: Pool | PoolClient,
  nasNames: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, number>>>> {
  const { rows } = await pool.query<{ nas_name: string; counts: Record<string, number> }>(
    `SELECT nas_name, jsonb_object_agg(state, number) AS counts FROM (
       SELECT nas_name, state, count(*)::int AS number FROM enforcement WHERE nas_name = ANY ($1) GROUP BY nas_name, state) AS counted
     GROUP BY nas_name`,
    [nasNames],
  );
  return new Map(rows.map((row) => [row.nas_name, row.counts]));
}

/** Writes what people see of the NASes that an instance owns. Seldom: it is for looking, nothing is decided by it. */
export async function reportOwned(
  pool: Pool,
  instance: string,
  reports: readonly OwnerReport[],
  counts: ReadonlyMap<string, Readonly<Record<string, number>>>,
): Promise<void> {
  if (reports.length === 0) return;
  await pool.query(
    `UPDATE nas_owner o SET seen_at = now(), breaker = r.breaker, breaker_reason = r.reason, waiting = r.waiting, in_flight = r.in_flight,
       converge_seconds = r.seconds, counts = r.counts, counted_at = now()
     FROM unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::int[], $8::jsonb[])
       AS r (nas_name, breaker, reason, waiting, in_flight, seconds, counts)
     WHERE o.nas_name = r.nas_name AND o.instance = $1`,
    [
      instance,
      reports.map((one) => one.nasName),
      reports.map((one) => one.breaker),
      reports.map((one) => one.breakerReason),
      reports.map((one) => one.waiting),
      reports.map((one) => one.inFlight),
      reports.map((one) => one.convergeSeconds),
      reports.map((one) => JSON.stringify(counts.get(one.nasName) ?? {})),
    ],
  );
}
