/**
 * The composition root. Enters: the conf and data folders. Leaves: a running server. Invariants: parts start in the order in which they need each
 * other and stop in reverse; accounting is answered as soon as the spool is open, whether or not the database is there; a start
 * that fails leaves nothing running.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pino, { type Logger } from 'pino';
import { DatabaseSide } from './app/database-side.js';
import { firstSteps } from './app/first-steps.js';
import { settleHeap } from './app/heap-growth.js';
import { LeaseSide } from './app/lease-side.js';
import { LiveSessionNotes } from './app/live-session-notes.js';
import { measuresOf } from './app/measures.js';
import {
  loadPolicy,
  loadPolicyOrLastGood,
  logProblems,
  nasOf,
  type Policy,
  type PolicyFolders,
  standardDictionary,
} from './app/policy.js';
import { needRestart } from './app/restart-settings.js';
import { StatusSide } from './app/status-side.js';
import { TraceSide } from './app/trace-side.js';
import { Supervision } from './app/supervision.js';
import { SpoolTurns, turningParts } from './app/turning-parts.js';
import { formatEndpoint, type Endpoint } from './config/endpoint.js';
import { ConfigError } from './config/problem.js';
import { RateClock } from './domain/effective-rate.js';
import { storedPasswordKeyId } from './domain/seal-key-id.js';
import { AccessRequestHandler } from './handlers/access-request.js';
import type { FactReading } from './handlers/accounting-record.js';
import { AccountingHandler } from './handlers/accounting-request.js';
import { DeviceReports } from './handlers/device-report.js';
import { ClassCookie } from './handlers/class-cookie.js';
import { PasswordCheck } from './handlers/password-check.js';
import type { AdmittedRequest } from './radius/admitted-request.js';
import { Attribute } from './radius/attribute-number.js';
import { codeName } from './radius/code.js';
import { HashGate } from './radius/hash-gate.js';
import type { ListenOptions } from './radius/listener.js';
import { PapVerifier } from './radius/pap.js';
import { RadiusServer } from './radius/radius-server.js';
import { Spool } from './spool/spool.js';
import type { SpoolAlarm } from './spool/alarm.js';
import type { Health } from './status/health.js';
import type { Labelled } from './status/metrics.js';
import { believedLeases } from './store/believed-leases.js';
import { classifyDatabaseError } from './store/database.js';
import { Directory } from './store/directory.js';

/** Requests in hand get this long to be answered at a stop, ms: less than systemd's patience, more than any held Reject. */
const DRAIN_MS = 5_000;
/** Pause between attempts to reach the database at the start, ms. */
const DATABASE_RETRY_MS = 1_000;
/** Logins wait so long in an inherited socket for the subscribers to be loaded, ms: three tries of a usual NAS. */
const HELD_BACK_MS = 10_000;

export interface ServerOptions extends PolicyFolders {
  /** Where log lines go; standard output by default. */
  readonly log?: Logger;
  /** Whether the first start prints what a newcomer can try; default true. */
  readonly isNewcomerGreeted?: boolean;
  /** Who started the process; default nobody. */
  readonly supervision?: Supervision;
}

/** Starts everything. @throws ConfigError, ListenError, InheritedSocketError, SpoolLockedError, TwinInstanceError, SchemaError, EmbeddedPostgresError */
export async function startServer(options: ServerOptions): Promise<Server> {
  const log = options.log ?? pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });
  settleHeap();
  const server = new Server(options, log);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

export class Server {
  readonly #folders: ServerOptions;
  readonly #log: Logger;
  readonly #supervision: Supervision;
  readonly #dictionary = standardDictionary();
  readonly #directory = new Directory();
  readonly #notes = new LiveSessionNotes(this.#directory, (nasName) => this.#rulesOf(nasName));
  readonly #startedAtMs = Date.now();
  readonly #stopping = new AbortController();
  readonly #trace: TraceSide;
  readonly #lineOf: FactReading['lineOf'] = (nasName, packet) => this.#policy!.seenLines.of(nasName, packet);
  #policy: Policy | undefined;
  #spool: Spool | undefined;
  #radius: RadiusServer | undefined;
  #accounting: AccountingHandler | undefined;
  #leases: LeaseSide | undefined;
  #access: AccessRequestHandler | undefined;
  #status: StatusSide | undefined;
  #database: DatabaseSide | undefined;
  #reaching: Promise<void> | undefined;
  #fallback = false;
  #fail: (error: Error) => void = () => undefined;

  /** Resolves with what makes going on wrong; the process should stop then. */
  readonly failed = new Promise<Error>((resolve) => (this.#fail = resolve));

  constructor(folders: ServerOptions, log: Logger) {
    this.#folders = folders;
    this.#log = log;
    const [dictionary, directory] = [this.#dictionary, this.#directory];
    this.#trace = new TraceSide({ dictionary, directory, policy: () => this.#policy!, log });
    this.#supervision = folders.supervision ?? Supervision.none();
  }

  async start(): Promise<void> {
    const loaded = await loadPolicyOrLastGood(this.#folders, this.#dictionary);
    const { policy } = loaded;
    const { config } = policy;
    this.#policy = policy;
    this.#log.level = config.log.level;
    if (loaded.fallback !== undefined) {
      this.#fallback = true;
      logProblems(this.#log, loaded.fallback.error, 'the configuration is wrong');
      this.#log.error({ savedAt: loaded.fallback.savedAt }, 'started with the last good configuration instead');
    }
    for (const warning of config.warnings) this.#log.warn({ warning }, 'configuration');

    const classCookie = new ClassCookie(config.radius.classKey.octets());
    const spool = await this.#openSpool(policy);
    this.#accounting = new AccountingHandler({
      spool,
      originOf: (request) => this.#originOf(request),
      readClass: (packet) => classCookie.read(packet),
      lineOf: this.#lineOf,
      onFact: this.#notes.note,
      isKnown: this.#notes.isKnown,
    });
    this.#leases = this.#leaseSide(spool);
    this.#radius = await this.#listen(policy);
    await this.#leases.start();
    await this.#trace.open(this.#folders.dataDir, classCookie);
    this.#status = await this.#serveStatus();
    this.#log.info(
      {
        auth: config.radius.auth.map(formatEndpoint),
        accounting: config.radius.accounting.map(formatEndpoint),
        status: formatEndpoint(config.status.listen),
      },
      'listening; accounting is recorded from now on',
    );
    this.#supervise(spool);
    await this.#reachDatabase(policy, spool, classCookie);
    if (loaded.createdSecrets.length > 0) this.#log.info({ files: loaded.createdSecrets }, 'made secrets');
    if (loaded.createdSecrets.length > 0 && this.#folders.isNewcomerGreeted !== false)
      firstSteps(policy.config, (line) => process.stderr.write(`${line}\n`));
  }

  /** Reads the files again. A wrong configuration is refused and logged; the old one stays. @returns whether it was taken */
  reload(): Promise<boolean> {
    return this.#supervision.reloading(
      () => this.#reload(),
      () => this.#summary(),
    );
  }

  async #reload(): Promise<boolean> {
    const old = this.#policy;
    if (old === undefined) return false;
    try {
      const { policy } = await loadPolicy(this.#folders, this.#dictionary);
      this.#policy = policy;
      this.#fallback = false;
      this.#log.level = policy.config.log.level;
      this.#access?.reconfigure(this.#accessSettings(policy));
      this.#database?.enforcement.reconfigure();
      for (const key of needRestart(old, policy)) {
        this.#log.warn({ key }, 'changed in the configuration, and takes effect at the next restart');
      }
      this.#log.info({ nas: policy.config.nas.length }, 'configuration reloaded');
      return true;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      logProblems(this.#log, error, 'the new configuration is wrong; the old one stays');
      return false;
    }
  }

  /** Drains: requests in hand are answered, what is acknowledged is on disk, then everything ends in order. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#supervision.stopping();
    this.#access?.drain();
    await this.#leases?.stop();
    await this.#radius?.stop(DRAIN_MS);
    await this.#reaching;
    await this.#database?.stop();
    await this.#trace.close();
    await this.#spool?.close();
    await this.#status?.stop();
    await this.#supervision.close();
    this.#log.info('stopped');
  }

  /** Reports that we listen, and lets logins in that wait in inherited sockets, at the latest when they would be given up anyway. */
  #supervise(spool: Spool): void {
    this.#supervision.tellLeftOver(this.#log);
    const spoolTurns = new SpoolTurns(spool);
    this.#supervision.listening(
      this.#log,
      () => this.#summary(),
      () => turningParts(this.#policy!.config, spool, spoolTurns, this.#database),
    );
    delay(HELD_BACK_MS, undefined, { signal: this.#stopping.signal, ref: false })
      .then(() => this.#radius?.openHeldBack())
      .catch((error: unknown) => this.#heldBackFailed(error));
  }

  #heldBackFailed(error: unknown): void {
    if (!this.#stopping.signal.aborted) this.#fail(error instanceof Error ? error : new Error(String(error)));
  }

  /** One line for `systemctl status`. */
  #summary(): string {
    const { ready, problems } = this.#health();
    const state = ready ? 'answering' : 'accounting is recorded, nobody can log in yet';
    const { subscriberCount, sessions } = this.#directory;
    return [`${state}; ${String(subscriberCount)} subscribers, ${String(sessions.size)} sessions`, ...problems].join(
      '; ',
    );
  }

  async #openSpool({ config }: Policy): Promise<Spool> {
    this.#spool = await Spool.open({
      directory: config.spool.directory,
      segmentBytes: config.spool.segmentBytes,
      maxQueuedBytes: config.spool.maxQueuedBytes,
      maxQueuedRecords: config.spool.maxQueuedRecords,
      retentionMs: config.spool.retentionDays * 86_400_000,
      onAlarm: (alarm) => this.#spoolAlarm(alarm),
      onCorrupt: (region) => this.#database?.applier.noteCorrupt(region),
    });
    return this.#spool;
  }

  async #listen({ config }: Policy): Promise<RadiusServer> {
    const { radius } = config;
    const listen = (endpoint: Endpoint): ListenOptions => this.#supervision.listen(endpoint, radius.receiveBufferBytes);
    const server = new RadiusServer({
      auth: radius.auth.map(listen),
      accounting: radius.accounting.map(listen),
      holdBackInheritedAuth: true,
      sources: { lookup: (address) => this.#policy!.sources.lookup(address) },
      handler: (request) => this.#handle(request),
      onDrop: (reason, group, sourceAddress, hint) =>
        this.#log.warn({ reason, nas: group, source: sourceAddress, key: hint }, 'dropped a RADIUS packet'),
      onError: (error, request) =>
        this.#log.error({ err: error, nas: request.group.name }, 'a request could not be handled'),
      duplicateLifetimeMs: radius.duplicateSeconds * 1000,
      maxDuplicateEntries: radius.maxDuplicates,
      rejectDelayMs: radius.rejectDelayMs,
      rejectJitterMs: radius.rejectJitterMs,
      maxHeldRejects: radius.maxDelayedRejects,
      maxInHand: radius.maxPendingRequests,
      watch: this.#trace.watch,
    });
    await server.start();
    return server;
  }

  #leaseSide(spool: Spool): LeaseSide {
    const { dhcp } = this.#policy!.config;
    return new LeaseSide({
      spool,
      policy: () => this.#policy!,
      devices: new DeviceReports({
        handler: () => this.#database?.devices,
        onError: (error) => this.#log.error({ err: error }, 'a monitoring event could not be stored'),
      }),
      listen: (endpoint) => this.#supervision.listen(endpoint, dhcp.receiveBufferBytes),
      intakeDescriptor: (endpoint) => this.#supervision.descriptorOf('tcp', endpoint),
      log: this.#log,
    });
  }

  #handle(request: AdmittedRequest): void {
    const nas = nasOf(this.#policy!, request);
    if (this.#log.isLevelEnabled('debug')) this.#log.debug(requestLine(request, nas?.name), 'RADIUS request');
    if (nas !== undefined) {
      this.#database?.heartbeat.notePacket(nas.name, nas.profile, request.port === 'accounting', request.receivedAtMs);
    }
    if (request.port === 'accounting') this.#accounting!.handle(request);
    else if (this.#access === undefined) request.discard('not-loaded');
    else this.#access.handle(request);
  }

  async #serveStatus(): Promise<StatusSide> {
    return await StatusSide.start({
      policy: () => this.#policy!,
      directory: this.#directory,
      measures: measuresOf({
        server: this.#radius!,
        accounting: this.#accounting!,
        spool: this.#spool!,
        directory: this.#directory,
        database: () => this.#database,
        accessOutcomes: () => accessOutcomes(this.#access),
        leases: this.#leases!,
        ready: () => this.#health().ready,
      }),
      health: () => this.#health(),
      database: () => this.#database?.page,
      descriptor: this.#supervision.descriptorOf('tcp', this.#policy!.config.status.listen),
      log: this.#log,
    });
  }

  /** Tries until the database is reached; gives up only for what another attempt cannot mend. */
  async #reachDatabase(policy: Policy, spool: Spool, classCookie: ClassCookie): Promise<void> {
    const attempt = (): Promise<void> => this.#startDatabaseSide(policy, spool, classCookie);
    try {
      await attempt();
    } catch (error) {
      if (classifyDatabaseError(error) === 'permanent') throw error;
      this.#log.error({ err: error }, 'PostgreSQL is not to be reached: accounting is recorded, nobody can log in yet');
      this.#reaching = this.#keepTrying(attempt);
    }
  }

  async #keepTrying(attempt: () => Promise<void>): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await delay(DATABASE_RETRY_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#stopping.signal.aborted) return;
      try {
        return await attempt();
      } catch (error) {
        if (classifyDatabaseError(error) !== 'permanent') continue;
        this.#fail(error instanceof Error ? error : new Error(String(error)));
        return;
      }
    }
  }

  async #startDatabaseSide(policy: Policy, spool: Spool, classCookie: ClassCookie): Promise<void> {
    const { config } = policy;
    const side = await DatabaseSide.start({
      config,
      policy: () => this.#policy!,
      dictionary: this.#dictionary,
      directory: this.#directory,
      spool,
      classCookie,
      rulesOf: (nasName) => this.#rulesOf(nasName),
      lineOf: this.#lineOf,
      listeningSinceMs: this.#startedAtMs,
      onFact: this.#notes.note,
      leaseRules: () => this.#leases!.rules(),
      onLeases: (batch) => this.#leases!.note(batch),
      onceReceived: (maxMs) => this.#radius?.turns.quiet(maxMs),
      log: this.#log,
      onFatal: (error) => this.#fail(error),
    });
    this.#database = side;
    const gate = new HashGate(config.radius.maxPasswordChecks, config.radius.maxQueuedPasswordChecks);
    this.#access = new AccessRequestHandler(
      {
        directory: this.#directory,
        reserve: side.reserve,
        spool,
        passwords: new PasswordCheck({
          pap: new PapVerifier(gate),
          sealKeys: new Map([[storedPasswordKeyId, config.radius.passwordKey.octets()]]),
        }),
        classCookie,
        attempts: side.attempts,
        watch: this.#trace.watch,
        nowMs: Date.now,
        onError: (error) => this.#log.error({ err: error }, 'an Access-Request could not be handled'),
      },
      this.#accessSettings(this.#policy!),
    );
    void this.#leases?.refresh(believedLeases(side.pool, config.dhcp.routingDomain));
    await this.#radius?.openHeldBack();
    this.#supervision.status(this.#summary());
    // Others wait for this line, so it is written whatever the level is.
    const said = this.#log.child({}, { level: 'info' });
    said.info({ subscribers: this.#directory.subscriberCount, instance: config.server.instance }, 'ready');
  }

  #accessSettings(policy: Policy): ConstructorParameters<typeof AccessRequestHandler>[1] {
    return {
      nasOf: (request) => nasOf(policy, request),
      profiles: policy.profiles,
      lineOf: policy.seenLines.of,
      offerGraceMs: policy.config.addresses.offerGraceSeconds * 1000,
      rates: new RateClock(policy.config.server.timeZone),
    };
  }

  #originOf(request: AdmittedRequest): { nasName: string; routingDomain: string; sourceAddress: string } | undefined {
    const nas = nasOf(this.#policy!, request);
    return nas && { nasName: nas.name, routingDomain: nas.routingDomain, sourceAddress: request.sourceAddress };
  }

  /** A NAS that has left the configuration is read by the rules of any profile there is. */
  #rulesOf(nasName: string): Policy['config']['profiles'][string] {
    const { config, profiles } = this.#policy!;
    const nas = config.nas.find((entry) => entry.name === nasName);
    const profile = nas === undefined ? undefined : profiles.get(nas.profile);
    return (profile ?? profiles.values().next().value!).profile;
  }

  #health(): Health {
    const problems: string[] = [];
    const spool = this.#spool;
    if (spool?.appendable !== true) problems.push('the spool cannot be written: accounting is not acknowledged');
    if (this.#fallback) problems.push('the configuration is wrong: running with the last good one');
    if (this.#database === undefined) problems.push('the database has not been reached yet');
    else if (!this.#database.available) problems.push('the database is away: facts wait in the spool');
    if (!this.#directory.loaded) problems.push('the subscribers are not loaded yet');
    return {
      healthy: spool?.appendable === true,
      ready: this.#access !== undefined && !this.#stopping.signal.aborted,
      problems,
    };
  }

  #spoolAlarm(alarm: SpoolAlarm): void {
    const { type, ...details } = alarm;
    if (type === 'append-recovered') this.#log.info({ spool: type, ...details }, 'the spool can be written again');
    else this.#log.error({ spool: type, ...details }, 'alarm of the spool');
  }
}

function* accessOutcomes(access: AccessRequestHandler | undefined): Generator<Labelled> {
  for (const [outcome, counts] of Object.entries(access?.counters ?? {})) {
    for (const [reason, value] of counts as ReadonlyMap<string, number>) yield { labels: { outcome, reason }, value };
  }
}

/** What a line about a request may show: who and what, and never an attribute that can hold a password. */
function requestLine({ packet, sourceAddress, sourcePort }: AdmittedRequest, nas: string | undefined): object {
  return {
    nas,
    source: sourceAddress,
    port: sourcePort,
    code: codeName(packet.code),
    identifier: packet.identifier,
    login: packet.text(Attribute.userName),
    acctSessionId: packet.text(Attribute.acctSessionId),
    acctStatusType: packet.uint32(Attribute.acctStatusType),
  };
}
