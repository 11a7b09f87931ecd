// Enters: rows that triggers append to change_feed. Leaves: which entries changed, each committed change once. Invariant: the
// cursor is the snapshot of the poll before: a row is new when its transaction was not visible in that snapshot, whatever
// order transactions commit in and however long one stays open. NOTIFY only hurries a poll; polling is the truth.

import pg from 'pg';
import type { Changes, SessionChange } from './directory-loader.js';
import { parseSnapshot, snapshotWentBack, type Snapshot } from './snapshot.js';

/** A change is seen this late at most when NOTIFY is lost, ms. */
const POLL_INTERVAL_MS = 200;
/** A database that is away is asked again after this, doubled each time, ms. */
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;
/** More rows than this in one poll cost as much as reading everything, and less memory. */
const MAX_ROWS = 50_000;
/** Rows of the feed are kept this long, ms; an instance that slept longer cannot know what it missed. */
export const FEED_RETENTION_MS = 24 * 3_600_000;
/** No poll takes longer than this unless the database hangs, ms. */
const QUERY_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;

/** Everything that the feed tells. */
export interface FeedChanges extends Changes {
  /** Enforcements to be looked at again. */
  readonly enforcements: readonly number[];
  /** Whether the fuse was released: what it holds may go on. */
  readonly fuseReleased: boolean;
}

/** The directory's side. Each call is awaited before the cursor moves. */
export interface ChangeSink {
  /** Everything may have changed: read it all. */
  reload(reason: ReloadReason): Promise<void>;
  apply(changes: FeedChanges): Promise<void>;
  /**
   * All changes that were committed before a database time have been applied.
   *
   * @param databaseTimeMs ms since 1970
   * @param polledAtMs our clock when the poll was sent
   */
  caughtUp(databaseTimeMs: number, polledAtMs: number): void;
}

/** Why a cursor does not help: */
export type ReloadReason =
  | 'start'
  /** the rows that it would need have been pruned; */
  | 'fell-off'
  /** another database answers now, or an older state of this one; */
  | 'database-replaced'
  /** there are too many rows. */
  | 'many-changes';

export interface ChangeFeedOptions {
  readonly databaseUrl: string;
  /** Name of this instance: its own session changes are marked. */
  readonly instance: string;
  readonly sink: ChangeSink;
  /** Our clock, ms since 1970. */
  readonly nowMs: () => number;
  /** A poll failed; the feed goes on by itself. */
  readonly onError: (error: unknown) => void;
  readonly pollIntervalMs?: number;
  readonly maxRows?: number;
  readonly retentionMs?: number;
  /** Tests turn it off to see that polling alone is enough. */
  readonly listen?: boolean;
}

interface Poll {
  readonly snapshot: Snapshot;
  readonly databaseTimeMs: number;
  /** Undefined: more than fit. */
  readonly changes: FeedChanges | undefined;
  readonly rowCount: number;
}

/** How far the feed is. */
export interface ChangeFeedStatus {
  readonly connected: boolean;
  readonly polls: number;
  readonly rows: number;
  readonly reloads: number;
}

/** Reads the change feed until it is stopped. */
export class ChangeFeed {
  private client: pg.Client | undefined;
  private cursor: Snapshot | undefined;
  private databaseTimeMs = 0;
  private databaseIdentity: string | undefined;
  private stopping = false;
  private running: Promise<void> | undefined;
  private nudged = false;
  private wake: (() => void) | undefined;
  private retryMs = FIRST_RETRY_MS;
  private polls = 0;
  private rows = 0;
  private reloads = 0;

  constructor(private readonly options: ChangeFeedOptions) {}

  get status(): ChangeFeedStatus {
    return { connected: this.client !== undefined, polls: this.polls, rows: this.rows, reloads: this.reloads };
  }

  /**
   * Takes the first snapshot, has everything loaded, and then follows in the background.
   *
   * @throws the database's error when the first load fails; nothing is left running
   */
  async start(): Promise<void> {
    try {
      await this.pollOnce();
    } catch (error) {
      await this.disconnect();
      throw error;
    }
    this.running = this.follow();
  }

  /** Ends the loop after the poll in hand. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.nudge();
    await this.running;
    await this.disconnect();
  }

  /** Asks for a poll now. Several nudges during one poll are one. */
  nudge(): void {
    this.nudged = true;
    this.wake?.();
  }

  private async follow(): Promise<void> {
    while (!this.stopping) {
      await this.pause(this.client ? (this.options.pollIntervalMs ?? POLL_INTERVAL_MS) : this.retryMs);
      if (this.stopping) return;
      try {
        await this.pollOnce();
        this.retryMs = FIRST_RETRY_MS;
      } catch (error) {
        await this.disconnect();
        this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
        this.options.onError(error);
      }
    }
  }

  private async pause(durationMs: number): Promise<void> {
    if (this.nudged) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, durationMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = undefined;
  }

  private async pollOnce(): Promise<void> {
    const { sink, nowMs, retentionMs = FEED_RETENTION_MS } = this.options;
    this.nudged = false;
    const client = (this.client ??= await this.connect());
    const polledAtMs = nowMs();
    const before = this.cursor;
    const poll = await this.poll(client, before);
    this.polls++;
    let reason: ReloadReason | undefined;
    if (!before) reason = this.databaseTimeMs === 0 ? 'start' : 'database-replaced';
    else if (snapshotWentBack(before, poll.snapshot)) reason = 'database-replaced';
    else if (poll.databaseTimeMs - this.databaseTimeMs > retentionMs) reason = 'fell-off';
    else if (!poll.changes) reason = 'many-changes';

    if (reason) {
      this.reloads++;
      await sink.reload(reason);
    } else if (poll.changes && poll.rowCount > 0) {
      this.rows += poll.rowCount;
      await sink.apply(poll.changes);
    }
    // Only now: when applying failed, the same rows are read again.
    this.cursor = poll.snapshot;
    this.databaseTimeMs = poll.databaseTimeMs;
    sink.caughtUp(poll.databaseTimeMs, polledAtMs);
  }

  private async connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.options.databaseUrl,
      application_name: `sluice/${this.options.instance}/change-feed`,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    });
    client.on('error', (error) => {
      if (this.client === client) this.client = undefined;
      this.options.onError(error);
    });
    client.on('notification', () => this.nudge());
    try {
      await client.connect();
      // Listening begins before the next snapshot is taken, so no change falls between the two.
      if (this.options.listen !== false) await client.query('LISTEN sluice_change');
      const { rows } = await client.query<{ identity: string }>(
        `SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid AS identity
         FROM pg_database WHERE datname = current_database()`,
      );
      const identity = rows[0]?.identity;
      if (this.databaseIdentity !== undefined && identity !== this.databaseIdentity) this.cursor = undefined;
      this.databaseIdentity = identity;
      return client;
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
  }

  private async disconnect(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client) await client.end().catch(() => undefined);
  }

  private async poll(client: pg.Client, cursor: Snapshot | undefined): Promise<Poll> {
    const maxRows = this.options.maxRows ?? MAX_ROWS;
    // One statement has one snapshot, so rows and snapshot belong together. LEFT JOIN: the snapshot comes without rows too. Rows
    // beyond the snapshot came with a dump of another cluster, whose ids went further: without the bound they would be news at every poll.
    const { rows } = await client.query<{
      snapshot: string;
      now_ms: string;
      kind: string | null;
      ref: string;
      instance: string | null;
    }>({
      name: 'poll-change-feed',
      text: `SELECT pg_current_snapshot()::text AS snapshot, (extract(epoch FROM now()) * 1000)::bigint::text AS now_ms,
          f.kind, f.ref::text, f.instance
        FROM (VALUES (1)) AS one
        LEFT JOIN LATERAL (
          SELECT kind, ref, instance FROM change_feed
          WHERE (xid >= $1::xid8 AND xid < pg_snapshot_xmax(pg_current_snapshot())) OR xid = ANY ($2::xid8[])
          LIMIT $3
        ) AS f ON true`,
      values: [
        // Nothing is new to a reader without a cursor: it reads everything after this snapshot.
        cursor ? cursor.xmax.toString() : '18446744073709551615',
        cursor ? cursor.inProgress.map(String) : [],
        maxRows + 1,
      ],
    });
    const snapshot = parseSnapshot(rows[0]!.snapshot);
    const databaseTimeMs = Number(rows[0]!.now_ms);
    const rowCount = rows[0]!.kind === null ? 0 : rows.length;
    if (rowCount > maxRows) return { snapshot, databaseTimeMs, changes: undefined, rowCount };
    return { snapshot, databaseTimeMs, changes: collect(rows, this.options.instance), rowCount };
  }
}

function collect(
  rows: readonly { readonly kind: string | null; readonly ref: string; readonly instance: string | null }[],
  instance: string,
): FeedChanges {
  const subscribers = new Set<number>();
  const accounts = new Set<number>();
  const plans = new Set<number>();
  const pools = new Set<number>();
  const devices = new Set<number>();
  const addresses = new Set<number>();
  const enforcements = new Set<number>();
  const sessions = new Map<number, SessionChange>();
  let fuseReleased = false;
  for (const row of rows) {
    const ref = Number(row.ref);
    switch (row.kind) {
      case 'subscriber':
        subscribers.add(ref);
        break;
      case 'account':
        accounts.add(ref);
        break;
      case 'plan':
        plans.add(ref);
        break;
      case 'pool':
        pools.add(ref);
        break;
      case 'device':
        devices.add(ref);
        break;
      case 'address':
        addresses.add(ref);
        break;
      case 'enforcement':
        enforcements.add(ref);
        break;
      case 'fuse':
        fuseReleased = true;
        break;
      case 'session': {
        // Ours and somebody else's change of one session: the other's is news.
        const own = row.instance === instance && (sessions.get(ref)?.own ?? true);
        sessions.set(ref, { sessionId: ref, own });
        break;
      }
      default:
        // A newer release may write kinds that this one does not hold.
        break;
    }
  }
  return {
    subscribers: [...subscribers],
    accounts: [...accounts],
    plans: [...plans],
    pools: [...pools],
    devices: [...devices],
    addresses: [...addresses],
    enforcements: [...enforcements],
    fuseReleased,
    sessions: [...sessions.values()],
  };
}
