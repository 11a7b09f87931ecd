/**
 * Watches the embedded PostgreSQL while this process works with it.
 *
 * Enters: a server that answers, and a way to start it again. Leaves: log lines, a restarted server, and an orderly stop.
 * Invariants: a server that dies is started again with growing pauses, for ever; a server that another process of Sluice
 * works with is not stopped: everybody holds a shared advisory lock on it, and only who gets it exclusively may stop it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { EmbeddedPostgresError } from './postgres-error.js';
import { isPostmasterOf, rotateLog, stopPostmaster } from './postgres-process.js';

/** Key of the advisory lock of all who use the server: `slpgsrv` in ASCII. */
const USERS_LOCK_KEY = 0x736c7067737276n.toString();

/** Pause before a start again, ms: doubles from the first to the last with each failure in a row. */
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 30_000;

/** A server that lived this long ends a row of failures, ms. */
const HEALTHY_AFTER_MS = 60_000;

/** How often the size of the log is looked at, ms; between two looks it grows by a few megabytes at worst. */
const LOG_CHECK_EVERY_MS = 60_000;

/** A clean stop writes a checkpoint; beyond this the server is told to leave that to recovery, ms. */
const FAST_STOP_TIMEOUT_MS = 60_000;

/** How often a server may vanish while we begin to use it; each time somebody else must have stopped it in that moment. */
const FIRST_CONNECT_ATTEMPTS = 5;

/** Answer time of a server that is up, ms. */
const CONNECT_TIMEOUT_MS = 5_000;

/** The part of a logger that is used here; pino has this shape. */
export interface EmbeddedPostgresLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A server that answers. */
export interface AnsweringServer {
  pid: number;
  port: number;
  version: string;
  adopted: boolean;
}

interface SupervisorParts {
  server: AnsweringServer;
  clusterDirectory: string;
  logFile: string;
  logMaxOctets: number;
  adminUrl: (port: number) => string;
  startAgain: () => Promise<AnsweringServer>;
  log: EmbeddedPostgresLog | undefined;
}

/** The connection that holds the shared lock, and the news of its end. */
interface Watch {
  client: pg.Client;
  ended: Promise<void>;
}

export class PostgresSupervisor {
  private server: AnsweringServer;
  private watch: Watch | undefined;
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  private stopped: Promise<'stopped' | 'left-running'> | undefined;
  private logTimer: NodeJS.Timeout | undefined;
  private failures = 0;
  private healthySinceMs = 0;

  constructor(private readonly parts: SupervisorParts) {
    this.server = parts.server;
  }

  get pid(): number {
    return this.server.pid;
  }

  /** Takes the shared lock and begins to watch. */
  async begin(): Promise<void> {
    for (let attempt = 1; this.watch === undefined; attempt++) {
      try {
        this.watch = await this.connect();
      } catch (error) {
        if (attempt === FIRST_CONNECT_ATTEMPTS) throw error;
        // Another process stopped the server between our adopting it and our lock.
        this.server = await this.parts.startAgain();
      }
    }
    this.healthySinceMs = performance.now();
    this.logTimer = setInterval(() => {
      rotateLog(this.parts.logFile, this.parts.logMaxOctets).catch((error: unknown) => {
        this.parts.log?.warn({ err: error }, 'the log of the embedded PostgreSQL could not be rotated');
      });
    }, LOG_CHECK_EVERY_MS);
    this.logTimer.unref();
    this.loop = this.run();
  }

  /** See `EmbeddedPostgres.stop`. */
  stop(): Promise<'stopped' | 'left-running'> {
    this.stopped ??= this.end();
    return this.stopped;
  }

  private get isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private async connect(): Promise<Watch> {
    const client = new pg.Client({
      connectionString: this.parts.adminUrl(this.server.port),
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'sluice/supervisor',
    });
    const ended = new Promise<void>((settle) => {
      client.on('error', () => {
        settle();
      });
      client.on('end', () => {
        settle();
      });
    });
    await client.connect();
    await client.query('SELECT pg_advisory_lock_shared($1)', [USERS_LOCK_KEY]);
    return { client, ended };
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      if (this.watch !== undefined) await Promise.race([this.watch.ended, aborted(this.stopping.signal)]);
      if (this.isStopping) return;
      await this.watch?.client.end().catch(() => undefined);
      this.watch = undefined;
      await this.recover();
    }
  }

  private async recover(): Promise<void> {
    if (performance.now() - this.healthySinceMs > HEALTHY_AFTER_MS) this.failures = 0;
    const pauseMs = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.failures, 16));
    await delay(pauseMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    if (this.isStopping) return;
    this.failures += 1;
    try {
      const before = this.server.pid;
      if (!(await isPostmasterOf(before, this.parts.clusterDirectory))) {
        this.parts.log?.error({ pid: before }, 'the embedded PostgreSQL ended by itself; starting it again');
      }
      this.server = await this.parts.startAgain();
      this.watch = await this.connect();
      this.healthySinceMs = performance.now();
      this.parts.log?.info({ pid: this.server.pid }, 'the embedded PostgreSQL answers again');
    } catch (error) {
      const kind = error instanceof EmbeddedPostgresError ? error.kind : undefined;
      this.parts.log?.error(
        { err: error, kind, failures: this.failures },
        'the embedded PostgreSQL does not come back',
      );
    }
  }

  private async end(): Promise<'stopped' | 'left-running'> {
    clearInterval(this.logTimer);
    this.stopping.abort();
    await this.loop;
    const stillRuns = () => isPostmasterOf(this.server.pid, this.parts.clusterDirectory);
    if (!(await stillRuns())) {
      await this.watch?.client.end().catch(() => undefined);
      return 'stopped';
    }
    const alone = await this.holdsAlone();
    if (alone) await stopPostmaster(this.server.pid, 'fast', FAST_STOP_TIMEOUT_MS, stillRuns);
    await this.watch?.client.end().catch(() => undefined);
    return alone ? 'stopped' : 'left-running';
  }

  /**
   * Whether nobody else uses the server. The exclusive lock is kept until the server is gone, so that one who comes now waits
   * and then starts it again. A server that cannot be asked is taken as ours.
   */
  private async holdsAlone(): Promise<boolean> {
    try {
      this.watch ??= await this.connect();
      const { client } = this.watch;
      await client.query('SELECT pg_advisory_unlock_shared($1)', [USERS_LOCK_KEY]);
      const { rows } = await client.query<{ alone: boolean }>('SELECT pg_try_advisory_lock($1) AS alone', [
        USERS_LOCK_KEY,
      ]);
      return rows[0]?.alone ?? true;
    } catch {
      return true;
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((settle) => {
    signal.addEventListener(
      'abort',
      () => {
        settle();
      },
      { once: true },
    );
  });
}
