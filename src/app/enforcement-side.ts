/**
 * Everything that commands NASes, put together. Enters: the policy of the moment, the database, the change feed. Leaves: a running dispatcher, and what is
 * shown of it. Invariants: a reload touches only the NASes that it changed; a NAS that is observed gets no driver.
 */
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { NasEntry } from '../config/config.js';
import { RateClock } from '../domain/effective-rate.js';
import type { NightlyTime } from '../domain/nightly.js';
import type { FuseThresholds } from '../domain/fuse.js';
import { CoaTransport } from '../nas/coa-transport.js';
import { listingManner } from '../nas/listed-entries.js';
import { HostKeyStore } from '../nas/host-keys.js';
import { systemNasClock } from '../nas/nas-clock.js';
import { execTransportOf, sshTransportOf, type TransportSurroundings } from '../nas/nas-transports.js';
import { readBackManner } from '../nas/read-back.js';
import { ProfileDriver } from '../nas/profile-driver.js';
import type { CompiledProfile } from '../nas/profile.js';
import { canList, wordsOf } from '../nas/profile-words.js';
import { CoaClient } from '../radius/coa-client.js';
import type { Dictionary } from '../radius/dictionary.js';
import type { FeedChanges } from '../store/change-feed.js';
import { withTransaction } from '../store/database.js';
import type { Directory } from '../store/directory.js';
import { spoilEntries } from '../store/enforcement-births.js';
import { pruneTightenings, readFuse } from '../store/fuse-rows.js';
import { countStates, reportOwned } from '../store/nas-owner.js';
import { abandonedNases } from '../store/nas-progress.js';
import { saveNasSettings } from '../store/nas-settings.js';
import { closeSessions } from '../store/sweeps.js';
import type { CommandedNas } from '../workers/commanded-nas.js';
import { Dispatcher } from '../workers/dispatcher.js';
import { Loop } from '../workers/loop.js';
import { type OwnedNas, Reconciler } from '../workers/reconciler.js';
import type { Settler } from '../workers/settler.js';
import type { Policy } from './policy.js';
import { isSame } from './same-settings.js';

/** How often what people see of NASes is written, ms: counting a million enforcements takes some hundred milliseconds. */
const REPORT_INTERVAL_MS = 30_000;
/** How soon settings that could not be written are tried again, ms. */
const SETTINGS_INTERVAL_MS = 5_000;

export interface EnforcementSideDeps {
  readonly policy: () => Policy;
  readonly dictionary: Dictionary;
  readonly pool: Pool;
  readonly databaseUrl: string;
  readonly directory: Directory;
  readonly settler: Settler;
  readonly log: Logger;
}

interface Made {
  readonly entry: NasEntry;
  readonly profile: CompiledProfile;
  readonly nas: CommandedNas;
  /** undefined: it is observed only. */
  readonly driver: ProfileDriver | undefined;
}

/** Enforcements of one NAS by state, as they were last counted. */
export type StateCounts = ReadonlyMap<string, Readonly<Record<string, number>>>;

export class EnforcementSide {
  readonly dispatcher: Dispatcher;
  readonly #deps: EnforcementSideDeps;
  readonly #coa: CoaClient;
  readonly #around: TransportSurroundings;
  readonly #loops: readonly Loop[];
  readonly #reconciler: Reconciler;
  readonly #made = new Map<string, Made>();
  #rates: { readonly timeZone: string; readonly clock: RateClock } | undefined;
  #counts: StateCounts = new Map();
  #isFuseHeld = false;
  #settingsSaved = false;
  #versions = 0;

  constructor(deps: EnforcementSideDeps) {
    this.#deps = deps;
    const { pool, databaseUrl, directory, settler, log } = deps;
    const { config } = deps.policy();
    this.#coa = new CoaClient({ clock: systemNasClock });
    this.#around = {
      hostKeys: new HostKeyStore(config.dataDir),
      onHostKeyRefused: (refused) =>
        log.error(refused, 'the host key of a NAS is not the known one: it is not commanded until "sluice nas trust"'),
      clock: systemNasClock,
    };
    this.dispatcher = new Dispatcher({
      pool,
      databaseUrl,
      instance: config.server.instance,
      log,
      rates: () => this.#rateClock(),
      isOwnPool: (name) => directory.poolByName(name) !== undefined,
      fuse: () => fuseThresholds(deps.policy()),
      totalSubscribers: () => directory.subscriberCount,
      closeGone: async (sessions) => {
        const { subscriberIds } = await closeSessions(pool, sessions, 'gone', 'last-event');
        settler.note(subscriberIds);
      },
      onLeft: (subscriberIds) => settler.note(subscriberIds),
      spoil: (nasNames) => withTransaction(pool, (client) => spoilEntries(client, nasNames)),
    });
    this.#reconciler = new Reconciler({
      pool,
      log,
      owned: () => this.#listingNases(),
      nightly: () => nightlyTime(deps.policy()),
      limit: () => deps.policy().config.enforcement.reconcileLimit,
      nowMs: Date.now,
    });
    const loop = (name: string, intervalMs: number, run: () => Promise<boolean>): Loop =>
      new Loop({ name, intervalMs, run, log });
    this.#loops = [
      loop('nas-report', REPORT_INTERVAL_MS, () => this.report()),
      loop('nas-settings', SETTINGS_INTERVAL_MS, async () => {
        if (!this.#settingsSaved) await this.#saveSettings();
        return false;
      }),
    ];
  }

  /** Enforcements of our NASes by state, as they were last counted. */
  get counts(): StateCounts {
    return this.#counts;
  }

  /** Whether the fuse held anything when it was last looked at. */
  get isFuseHeld(): boolean {
    return this.#isFuseHeld;
  }

  /** Datagrams that were no answer to a command, by reason. */
  coaDrops(): ReadonlyMap<string, number> {
    return this.#coa.drops();
  }

  /** Tells the database which NASes are commanded. To be done before facts are applied, for they make enforcements by it. */
  async prepare(): Promise<void> {
    await this.#saveSettings();
  }

  start(): void {
    this.dispatcher.configure(this.#commandedNases());
    this.dispatcher.start();
    for (const loop of this.#loops) loop.start();
    this.#reconciler.start();
  }

  /** The policy has changed. */
  reconfigure(): void {
    this.#settingsSaved = false;
    this.dispatcher.configure(this.#commandedNases());
    for (const loop of this.#loops) loop.wake();
  }

  async stop(): Promise<void> {
    const reconciled = this.#reconciler.stop();
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.dispatcher.stop();
    await reconciled;
    await this.#coa.stop();
  }

  note(changes: FeedChanges): void {
    this.dispatcher.note(changes);
  }

  noteEverything(): void {
    this.dispatcher.noteEverything();
  }

  /** Counts and writes what people see. @returns false */
  async report(): Promise<boolean> {
    const { pool, policy } = this.#deps;
    const { lanes } = this.dispatcher;
    const counts = await countStates(pool, [...lanes.keys()]);
    this.#counts = counts;
    this.#isFuseHeld = (await readFuse(pool)).heldAt !== null;
    const reports = [...lanes.values()].map(({ nas, view }) => {
      const unsettled = (counts.get(nas.name)?.['pending'] ?? 0) + (counts.get(nas.name)?.['new'] ?? 0);
      return {
        nasName: nas.name,
        breaker: view.breaker,
        breakerReason: view.reason,
        waiting: view.waiting,
        inFlight: view.inFlight,
        convergeSeconds: view.breaker === 'closed' ? Math.ceil(unsettled / nas.commandsPerSecond) : null,
      };
    });
    await reportOwned(pool, policy().config.server.instance, reports, counts);
    await pruneTightenings(pool, fuseThresholds(policy()).windowMs);
    return false;
  }

  async #saveSettings(): Promise<void> {
    const { policy, pool } = this.#deps;
    const { config, profiles } = policy();
    await saveNasSettings(
      pool,
      config.nas.map((nas) => {
        const enforcement = profiles.get(nas.profile)?.profile.enforcement;
        return {
          name: nas.name,
          profile: nas.profile,
          place: enforcement?.place ?? null,
          mode: nas.mode,
          disconnectOnStop: followsStops(nas, enforcement),
        };
      }),
    );
    this.#settingsSaved = true;
    const names = config.nas.map(({ name }) => name);
    for (const { name, enforcements } of await abandonedNases(pool, names, config.server.instance))
      this.#deps.log.warn(
        { nas: name, enforcements },
        'a NAS that is not in the configuration has enforcements: they stay, and nothing is sent, until it is there again',
      );
  }

  /** The NASes of the policy; one that has not changed is the same as before, connections and all. */
  #commandedNases(): CommandedNas[] {
    const { config, profiles } = this.#deps.policy();
    const before = new Map(this.#made);
    this.#made.clear();
    for (const entry of config.nas) {
      const profile = profiles.get(entry.profile);
      if (profile?.profile.enforcement === undefined) continue;
      const known = before.get(entry.name);
      const isUnchanged =
        known !== undefined && isSame(known.entry, entry) && isSame(known.profile.profile, profile.profile);
      this.#made.set(entry.name, isUnchanged ? known : this.#make(entry, profile));
    }
    return [...this.#made.values()].map(({ nas }) => nas);
  }

  #make(entry: NasEntry, profile: CompiledProfile): Made {
    const driver = entry.mode === 'observe' ? undefined : this.#driverOf(entry, profile);
    return { entry, profile, nas: this.#commandedNas(entry, profile, driver), driver };
  }

  /** NASes of ours that can be compared with the database. */
  #listingNases(): OwnedNas[] {
    return [...this.#made.values()].flatMap(({ nas: { name }, profile, driver }) => {
      if (driver === undefined || !canList(profile) || !this.dispatcher.isOwner(name)) return [];
      const { onlyServed } = profile.profile.listing;
      return [{ name, onlyServed, driver, list: () => driver.list(), isOwner: () => this.dispatcher.isOwner(name) }];
    });
  }

  #commandedNas(entry: NasEntry, profile: CompiledProfile, driver: ProfileDriver | undefined): CommandedNas {
    const { answers, words, needsAddress, place } = wordsOf(profile);
    this.#versions += 1;
    return {
      name: entry.name,
      place: place!,
      answers,
      words: { ...words, ends: followsStops(entry, profile.profile.enforcement) },
      needsAddress,
      goneIsCertain: profile.profile.coa.goneIsCertain,
      interimSeconds: entry.interimSeconds,
      // A driver that takes many runs at once has one exchange for each of its connections.
      parallelCalls: driver !== undefined && driver.maxBatchRuns > 1 ? entry.ssh.connections : entry.parallel,
      commandsPerSecond: entry.commandsPerSecond,
      driver,
      fingerprint: String(this.#versions),
    };
  }

  #driverOf(entry: NasEntry, profile: CompiledProfile): ProfileDriver {
    const { dictionary } = this.#deps;
    return new ProfileDriver(
      profile.commands,
      {
        coa: new CoaTransport({ nas: entry, profile, dictionary, client: this.#coa, nowMs: Date.now }),
        ...optional('ssh', sshTransportOf(entry, profile, this.#around)),
        ...optional('exec', execTransportOf(entry, profile, systemNasClock)),
      },
      systemNasClock,
      listingManner(profile.profile.listing),
      readBackManner(profile.profile),
    );
  }

  #rateClock(): RateClock {
    const { timeZone } = this.#deps.policy().config.server;
    if (this.#rates?.timeZone !== timeZone) this.#rates = { timeZone, clock: new RateClock(timeZone) };
    return this.#rates.clock;
  }
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { readonly [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]: Value });
}

/** Whether the end of a session is followed by `user_disconnect`: what the NAS says, else its profile, else at entries alone. */
function followsStops(nas: NasEntry, enforcement: CompiledProfile['profile']['enforcement']): boolean {
  return nas.disconnectOnStop ?? enforcement?.disconnectOnStop ?? enforcement?.place === 'provisioned';
}

function nightlyTime({ config }: Policy): NightlyTime | undefined {
  const { reconcileAt } = config.enforcement;
  const [hour, minute] = reconcileAt.split(':').map(Number);
  if (hour === undefined || minute === undefined) return undefined;
  return { minute: hour * 60 + minute, timeZone: config.server.timeZone };
}

function fuseThresholds({ config }: Policy): FuseThresholds {
  const { fuseWindowMinutes, fuseSubscribers, fusePercent, fuseLeastSubscribers } = config.enforcement;
  return {
    windowMs: fuseWindowMinutes * 60_000,
    maxSubscribers: fuseSubscribers,
    maxPercent: fusePercent,
    leastSubscribers: fuseLeastSubscribers,
  };
}
