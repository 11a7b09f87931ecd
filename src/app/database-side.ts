/**
 * Everything that needs PostgreSQL, in order. Enters: the policy and the parts that answer without it. Leaves: a running feed, applier, reserve and
 * sweeper. Invariants: nothing is granted before everything acknowledged earlier has been applied; the instance's name is ours
 * alone for as long as we run.
 */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import { waysToTell } from '../config/monitoring-files.js';
import type { AccountingFact, SessionFact } from '../domain/accounting-fact.js';
import type { Resolve } from '../domain/session-batch.js';
import type { FactReading } from '../handlers/accounting-record.js';
import type { ClassCookie } from '../handlers/class-cookie.js';
import { DeviceEventHandler } from '../handlers/device-event.js';
import { resolveSubscriber, type IdentityRules } from '../handlers/identity.js';
import type { Dictionary } from '../radius/dictionary.js';
import { SpoolPositionError } from '../spool/position.js';
import type { Spool } from '../spool/spool.js';
import { AccessAttempts, pruneAccessAttempts } from '../store/access-attempts.js';
import { AddressReserve } from '../store/address-reserve.js';
import { ChangeFeed } from '../store/change-feed.js';
import { createPool } from '../store/database.js';
import type { Directory } from '../store/directory.js';
import { DirectoryLoader } from '../store/directory-loader.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../store/embedded-postgres.js';
import { beginInstance, endInstance, lockInstanceName, TwinInstanceError } from '../store/instances.js';
import { migrate } from '../store/migrate.js';
import { openPagePool, PAGE_ROLE, type PageDatabase } from '../store/page-pool.js';
import { readPosition } from '../store/spool-position.js';
import { analyzeGrown } from '../store/table-statistics.js';
import { Applier } from '../workers/applier.js';
import { type BacklogScan, scanBacklog } from '../workers/backlog-scan.js';
import { Heartbeat } from '../workers/heartbeat.js';
import type { LeaseBatch, LeaseRules } from '../workers/lease-batch.js';
import { Notifier } from '../workers/notifier.js';
import { Loop } from '../workers/loop.js';
import { Settler } from '../workers/settler.js';
import { Sweeper } from '../workers/sweeper.js';
import { EnforcementSide } from './enforcement-side.js';
import type { Policy } from './policy.js';

/** Attempts are written once a second: what people look at need not be fresher. */
const ATTEMPTS_INTERVAL_MS = 1000;
const ATTEMPTS_PRUNE_INTERVAL_MS = 60_000;
/** How often fast growing tables are looked for, ms: in a second a new one can grow by some ten thousand rows. */
const STATISTICS_INTERVAL_MS = 1000;
const ATTEMPTS_PRUNE_LIMIT = 5000;
/** Rows kept at most, whatever the number of subjects: some 30 MB. */
const ATTEMPTS_MAX_ROWS = 200_000;
/** How often the lock on our name is looked after, ms. */
const NAME_INTERVAL_MS = 5000;
/** How long the connection of a killed process may go on holding the name, ms, and how often we ask meanwhile. */
const NAME_PATIENCE_MS = 5000;
const NAME_RETRY_MS = 200;
/** How long a stop waits for the applier to come to the end of the spool, ms. */
const LAST_BATCHES_MS = 2000;

export interface DatabaseSideDeps {
  readonly config: Config;
  /** That of the moment. */
  readonly policy: () => Policy;
  readonly dictionary: Dictionary;
  readonly directory: Directory;
  readonly spool: Spool;
  readonly classCookie: ClassCookie;
  /** How the names in a packet of this NAS are read, by the policy of the moment. */
  readonly rulesOf: (nasName: string) => IdentityRules;
  readonly lineOf: FactReading['lineOf'];
  readonly listeningSinceMs: number;
  /** Tells memory of a fact that is durable and not applied yet. */
  readonly onFact: (fact: AccountingFact) => void;
  /** How leases are read, by the policy of the moment. */
  readonly leaseRules: () => LeaseRules;
  /** Told of each batch with leases once it is committed. */
  readonly onLeases: (batch: LeaseBatch) => void;
  /** Waits until no request waits in the kernel, for so many ms at most. */
  readonly onceReceived: (maxMs: number) => Promise<void> | undefined;
  readonly log: Logger;
  /** Something that makes going on wrong: another server has our name. */
  readonly onFatal: (error: Error) => void;
}

/** A slice of the directory waits so long at most for requests that have come to be read, ms: a reload goes on whatever arrives. */
const MAX_GIVING_WAY_MS = 50;
/** Batches come one after the other; the other connection is for start-up and for whatever follows a broken one. */
const APPLIER_CONNECTIONS = 2;

export class DatabaseSide {
  readonly pool: Pool;
  readonly #applierPool: Pool;
  readonly feed: ChangeFeed;
  readonly applier: Applier;
  readonly settler: Settler;
  readonly sweeper: Sweeper;
  readonly heartbeat: Heartbeat;
  readonly reserve: AddressReserve;
  readonly enforcement: EnforcementSide;
  readonly attempts: AccessAttempts;
  readonly devices: DeviceEventHandler;
  readonly notifier: Notifier;
  readonly #deps: DatabaseSideDeps;
  readonly #embedded: EmbeddedPostgres | undefined;
  readonly #loops: readonly Loop[];
  readonly #url: string;
  #name: PoolClient | undefined;
  #page: PageDatabase | undefined;
  /** Said once per outage. */
  #feedBroken = false;
  #feedTurnedAtMs = performance.now();

  /**
   * Reaches the database and starts everything.
   * @throws the database's error (try again when it is unreachable), SchemaError, EmbeddedPostgresError, TwinInstanceError; nothing is
   * left running
   */
  static async start(deps: DatabaseSideDeps): Promise<DatabaseSide> {
    const { config, log } = deps;
    const onProgress = (line: string): void => log.info(line);
    const embedded =
      config.database.url === undefined
        ? await startEmbeddedPostgres({ dataDir: config.dataDir, port: config.database.port, onProgress, log })
        : undefined;
    try {
      const url = embedded?.url ?? config.database.url!.text();
      await migrate(url, { onProgress });
      const side = new DatabaseSide(deps, url, embedded);
      await side.#start().catch(async (error: unknown) => {
        await side.stop();
        throw error;
      });
      return side;
    } catch (error) {
      await embedded?.stop();
      throw error;
    }
  }

  private constructor(deps: DatabaseSideDeps, url: string, embedded: EmbeddedPostgres | undefined) {
    const { config, directory, spool, log } = deps;
    const instance = config.server.instance;
    this.#deps = deps;
    this.#embedded = embedded;
    this.#url = url;
    const connection = {
      instance,
      statementTimeoutMs: config.database.statementTimeoutMs,
      connectTimeoutMs: config.database.connectTimeoutMs,
      onConnectionError: (error: Error) => log.debug({ err: error }, 'a database connection broke'),
    };
    this.pool = createPool(url, { ...connection, maxConnections: config.database.poolSize });
    const { pool } = this;
    const onError = (error: unknown): void => log.debug({ err: error }, 'the database did not answer');
    this.settler = new Settler(pool, log);
    this.#applierPool = createPool(url, { ...connection, maxConnections: APPLIER_CONNECTIONS, isPipelined: true });
    this.applier = new Applier({
      spool,
      pool: this.#applierPool,
      instance,
      resolve: this.#resolver(),
      readClass: (packet) => deps.classCookie.read(packet),
      lineOf: deps.lineOf,
      leaseRules: deps.leaseRules,
      onLeases: (batch) => {
        // Memory knows nothing of a lease before it is applied.
        for (const fact of batch.facts) deps.onFact(fact);
        deps.onLeases(batch);
      },
      onSettled: (ids) => this.settler.note(ids),
      onRestart: () => this.sweeper.noteRestart(),
      onceReceived: deps.onceReceived,
      log,
      batchRecords: config.applier.batchRecords,
      retryMaxMs: config.applier.retryMaxSeconds * 1000,
    });
    const { policy, dictionary } = deps;
    const monitoring = (): Config['monitoring'] => policy().config.monitoring;
    this.devices = new DeviceEventHandler({ pool, log, ways: () => waysToTell(monitoring()) });
    const timeZone = (): string => policy().config.server.timeZone;
    this.notifier = new Notifier({ pool, log, instance, settings: monitoring, timeZone });
    this.enforcement = new EnforcementSide({
      policy,
      dictionary,
      pool,
      databaseUrl: url,
      directory,
      settler: this.settler,
      log,
    });
    this.heartbeat = new Heartbeat({
      pool,
      instance,
      log,
      appendedSequence: () => spool.appendedSequence,
      appliedSequence: () => this.applier.status.appliedSequence,
    });
    const loader = new DirectoryLoader(pool, directory, async () => {
      // However long it gives way, it turns: the watchdog is for what does not.
      this.#feedTurnedAtMs = performance.now();
      await (deps.onceReceived(MAX_GIVING_WAY_MS) ?? nextTurn());
    });
    this.feed = new ChangeFeed({
      databaseUrl: url,
      instance,
      nowMs: Date.now,
      onError: (error) => this.#feedFailed(error),
      pollIntervalMs: config.changeFeed.pollMs,
      retentionMs: config.changeFeed.retentionHours * 3_600_000,
      sink: {
        reload: async (reason) => {
          log.info({ reason }, 'loading all subscribers');
          const tell = loadProgress(log);
          await loader.loadAll((progress) => {
            this.#feedTurnedAtMs = performance.now();
            tell(progress);
          });
          this.enforcement.noteEverything();
          log.info({ subscribers: directory.subscriberCount }, 'all subscribers are loaded');
        },
        apply: async (changes) => {
          this.enforcement.note(changes);
          await loader.apply(changes);
          this.settler.note(changes.subscribers);
          this.settler.noteAccounts(changes.accounts);
        },
        caughtUp: (databaseTimeMs, polledAtMs) => {
          directory.markCaughtUp(databaseTimeMs, polledAtMs);
          this.#feedWorks();
          this.heartbeat.noteFeed(databaseTimeMs);
        },
      },
    });
    this.reserve = new AddressReserve({
      pool,
      directory,
      instance,
      reserveSize: config.addresses.reserveSize,
      offerGraceMs: config.addresses.offerGraceSeconds * 1000,
      outageHorizonMs: config.addresses.outageHorizonHours * 3_600_000,
      nowMs: Date.now,
      onError,
    });
    this.sweeper = new Sweeper({
      pool,
      config,
      settler: this.settler,
      log,
      isCaughtUp: () => this.applier.status.appliedSequence >= spool.syncedSequence - config.applier.batchRecords,
    });
    this.attempts = new AccessAttempts({ pool, onError });
    this.#loops = this.#makeLoops();
  }

  /** When the change feed last had an answer, good or bad, or a slice of subscribers; monotonic ms. */
  get feedTurnedAtMs(): number {
    return this.#feedTurnedAtMs;
  }

  /** The status page's own connections; undefined until everything runs. */
  get page(): PageDatabase | undefined {
    return this.#page;
  }

  /** Whether facts go in and changes come out. The applier alone would not notice an outage while no accounting comes. */
  get available(): boolean {
    return this.applier.status.databaseAvailable && this.feed.status.connected;
  }

  #feedFailed(error: unknown): void {
    this.#feedTurnedAtMs = performance.now();
    this.#deps.log[this.#feedBroken ? 'debug' : 'error'](
      { err: error },
      'PostgreSQL does not answer: logins go on from memory, changes are seen when it is back',
    );
    this.#feedBroken = true;
  }

  #feedWorks(): void {
    this.#feedTurnedAtMs = performance.now();
    if (this.#feedBroken) this.#deps.log.info('PostgreSQL answers again: changes are seen');
    this.#feedBroken = false;
  }

  /** Stops in the reverse order. What was acknowledged and is not applied yet stays in the spool. */
  async stop(): Promise<void> {
    const { log } = this.#deps;
    const quietly = (step: Promise<unknown>): Promise<unknown> =>
      step.catch((error: unknown) => log.debug({ err: error }, 'a step of stopping failed'));
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await quietly(this.#flushAttempts());
    await this.notifier.stop();
    await this.enforcement.stop();
    await this.sweeper.stop();
    // What was acknowledged is safe in the spool; a moment's patience saves the next start the work.
    if (this.applier.status.databaseAvailable)
      await Promise.race([this.applier.caughtUp(), delay(LAST_BATCHES_MS, undefined, { ref: false })]);
    await this.applier.stop();
    await this.settler.stop();
    await quietly(this.feed.stop());
    await this.heartbeat.stop();
    await quietly(this.reserve.stop());
    if (this.#name !== undefined) {
      // With facts left in the spool it counts as away, not as ended: others wait for it before they reuse an address.
      const { spool, config } = this.#deps;
      const finished = this.applier.status.appliedSequence >= spool.syncedSequence;
      if (finished) await quietly(endInstance(this.pool, config.server.instance));
      this.#name.release(true);
      this.#name = undefined;
    }
    if (this.#page !== undefined) await quietly(this.#page.pool.end());
    await quietly(this.#applierPool.end());
    await quietly(this.pool.end());
    await this.#embedded?.stop();
  }

  /** What is held goes to the database at last; what fails stays behind with us. */
  async #flushAttempts(): Promise<void> {
    for (let before = Infinity; this.attempts.size > 0 && this.attempts.size < before;) {
      before = this.attempts.size;
      await this.attempts.flush(Infinity);
    }
  }

  async #start(): Promise<void> {
    const { config, spool } = this.#deps;
    const instance = config.server.instance;
    if (!(await this.#takeName())) throw new TwinInstanceError(instance);
    await beginInstance(this.pool, instance, spool.uuid);
    await this.feed.start();
    const { granted } = await this.#lookAtBacklog();
    // Before the applier: what it applies leaves the reserve, and nobody would tell memory whom it was promised to.
    await this.reserve.start(granted);
    await this.enforcement.prepare();
    await this.applier.start();
    this.settler.start();
    this.sweeper.start();
    this.heartbeat.start();
    this.enforcement.start();
    this.notifier.start();
    for (const loop of this.#loops) loop.start();
    await this.#openPage();
  }

  /** The page is opened last: it is only for looking. */
  async #openPage(): Promise<void> {
    const { config, log } = this.#deps;
    this.#page = await openPagePool(this.pool, {
      instance: config.server.instance,
      url: this.#url,
      pageUrl: this.#embedded?.pageUrl,
      onConnectionError: (error) => log.debug({ err: error }, 'a database connection of the page broke'),
    });
    if (this.#page.protection !== 'role')
      log.info(
        { role: PAGE_ROLE },
        'the page reads as the role of the server, in read-only transactions: see docs/status-page.md',
      );
  }

  /** Sessions and grants that were acknowledged and are not in the database yet: memory must know them before anybody is answered. */
  async #lookAtBacklog(): Promise<BacklogScan> {
    const { spool, classCookie, lineOf, onFact, log } = this.#deps;
    const reading: FactReading = { readClass: (packet) => classCookie.read(packet), lineOf };
    const position = await readPosition(this.pool, spool.uuid);
    const scanFrom = (from: typeof position): Promise<BacklogScan> => scanBacklog(spool, from, reading, onFact);
    const scan = await scanFrom(position).catch((error: unknown) => {
      // An older copy of the spool: the applier says so, and applies all of it.
      if (error instanceof SpoolPositionError) return scanFrom(undefined);
      throw error;
    });
    if (scan.records > 0) log.info({ records: scan.records }, 'facts from before are being applied');
    return scan;
  }

  #makeLoops(): Loop[] {
    const { config, log } = this.#deps;
    const { pool } = this;
    const retention = {
      keepDays: config.accessAttempts.keepDays,
      perSubject: config.accessAttempts.perSubject,
      total: ATTEMPTS_MAX_ROWS,
    };
    const loop = (name: string, intervalMs: number, run: () => Promise<boolean>): Loop =>
      new Loop({ name, intervalMs, run, log });
    return [
      loop('access-attempts', ATTEMPTS_INTERVAL_MS, async () => {
        await this.attempts.flush(Date.now());
        return false;
      }),
      loop('access-attempts-prune', ATTEMPTS_PRUNE_INTERVAL_MS, async () => {
        return (await pruneAccessAttempts(pool, retention, ATTEMPTS_PRUNE_LIMIT)) >= ATTEMPTS_PRUNE_LIMIT;
      }),
      loop('table-statistics', STATISTICS_INTERVAL_MS, async () => {
        await analyzeGrown(pool);
        return false;
      }),
      loop('instance-name', NAME_INTERVAL_MS, async () => {
        if (this.#name !== undefined || (await this.#takeName())) return false;
        this.#deps.onFatal(new TwinInstanceError(config.server.instance));
        return false;
      }),
    ];
  }

  /**
   * Holds the lock on our name for as long as its connection lives; the loop takes it again after an outage. The server notices the end
   * of a killed process within moments, so a name that is taken is asked for again before it counts as a twin's.
   */
  async #takeName(): Promise<boolean> {
    const client = await this.pool.connect();
    const lost = (): void => {
      if (this.#name !== client) return;
      this.#name = undefined;
      // A broken connection that nobody gives back keeps its place in the pool, and the pool from ending.
      client.release(true);
    };
    client.once('end', lost);
    client.once('error', lost);
    try {
      const giveUpAtMs = performance.now() + NAME_PATIENCE_MS;
      while (!(await lockInstanceName(client, this.#deps.config.server.instance))) {
        if (performance.now() > giveUpAtMs) {
          client.release(true);
          return false;
        }
        await delay(NAME_RETRY_MS);
      }
    } catch (error) {
      client.release(true);
      throw error;
    }
    this.#name = client;
    return true;
  }

  #resolver(): Resolve {
    const { directory, rulesOf } = this.#deps;
    return (fact: SessionFact) => resolveSubscriber(directory, rulesOf(fact.nasName), fact) ?? null;
  }
}

/** Says how far a long load is, now and then. */
function loadProgress(log: Logger): (progress: { readonly subscribers: number }) => void {
  let saidAtMs = performance.now();
  return ({ subscribers }) => {
    if (performance.now() - saidAtMs < 2000) return;
    saidAtMs = performance.now();
    log.info({ subscribers }, 'loading subscribers');
  };
}
