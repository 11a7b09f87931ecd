/**
 * Which NASes this instance commands at the moment, with their lanes. Enters: the configuration, the locks. Leaves: lanes that open and close. Invariants: a
 * lane is there for every configured NAS whose lock is held, and for no other; what is under way in a lane that closes still ends, and until then nobody
 * else gets the lock.
 */
import type { Logger } from 'pino';
import { NasOwner } from '../store/nas-owner.js';
import type { CommandedNas } from './commanded-nas.js';
import { NasLane, type ReadyRun } from './nas-lane.js';
import type { RunResults } from './run-outcome.js';

/**
 * How long a NAS is left alone whose owner vanished, ms: longer than that one takes itself for its owner (`OWNERSHIP_MS`), and than a command that
 * it sent just before stays on its way.
 */
const ABANDONED_GRACE_MS = 3_000;

export interface LaneKeeperDeps {
  readonly databaseUrl: string;
  readonly instance: string;
  readonly log: Logger;
  /** Monotonic, ms. */
  readonly nowMs: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly abandonedGraceMs?: number | undefined;
  /** A NAS is commanded from now on, or in another way: all of it is to be compared. */
  readonly onOpen: (nas: CommandedNas) => void;
  readonly onClose: (nasName: string) => void;
  readonly onResult: (lane: NasLane, ready: ReadyRun, results: RunResults) => void;
  readonly onRoom: () => void;
  /** It answers again. @param silentMs for how long it had counted as dead */
  readonly onReturn: (nas: CommandedNas, silentMs: number) => void;
}

export class LaneKeeper {
  readonly owner: NasOwner;
  readonly #deps: LaneKeeperDeps;
  readonly #lanes = new Map<string, NasLane>();
  /** Lanes that were closed and have something under way, with the names of their NASes. */
  readonly #retiring = new Map<Promise<void>, string>();
  #nases: ReadonlyMap<string, CommandedNas> = new Map();

  constructor(deps: LaneKeeperDeps) {
    this.#deps = deps;
    const { databaseUrl, instance, nowMs } = deps;
    this.owner = new NasOwner({ databaseUrl, instance, nowMs, onLost: () => this.#lost() });
  }

  /** The lanes of the NASes that this instance owns. */
  get lanes(): ReadonlyMap<string, NasLane> {
    return this.#lanes;
  }

  /** The lane of a NAS whose lock is held at this moment. */
  laneOf(nasName: string): NasLane | undefined {
    return this.owner.owned.has(nasName) ? this.#lanes.get(nasName) : undefined;
  }

  /** Takes another configuration: NASes that changed are commanded in the new way from the next command on. */
  configure(nases: readonly CommandedNas[]): void {
    this.#nases = new Map(nases.map((nas) => [nas.name, nas]));
    for (const [name, lane] of this.#lanes) {
      const nas = this.#nases.get(name);
      if (nas?.fingerprint === lane.nas.fingerprint) continue;
      this.#lanes.delete(name);
      this.#retire(lane, true);
      if (nas === undefined) this.#deps.onClose(name);
      else this.#open(nas, 0);
    }
  }

  /** Takes NASes that nobody owns, and lets go of those that are not configured any more, once nothing is under way to them. */
  async take(): Promise<void> {
    const unsettled = [...this.#retiring.values()].filter((name) => this.owner.owned.has(name));
    const taken = await this.owner.take([...this.#nases.keys(), ...unsettled]);
    const abandoned = new Set(taken.flatMap((one) => (one.abandoned ? [one.nasName] : [])));
    // Not only those that were just taken: one that left the configuration and came back in between is still held.
    for (const nasName of this.owner.owned) {
      const nas = this.#nases.get(nasName);
      if (nas === undefined || this.#lanes.has(nasName)) continue;
      const graceMs = abandoned.has(nasName) ? (this.#deps.abandonedGraceMs ?? ABANDONED_GRACE_MS) : 0;
      this.#deps.log.info({ nas: nasName, graceMs }, 'this server commands the NAS from now on');
      this.#open(nas, graceMs);
    }
    for (const [name, lane] of this.#lanes) if (!this.owner.owned.has(name)) this.#close(name, lane);
  }

  /** Begins nothing more, and returns when nothing is under way; the locks are still held. */
  async stopLanes(): Promise<void> {
    for (const lane of this.#lanes.values()) this.#retire(lane, true);
    await Promise.all(this.#retiring.keys());
    this.#lanes.clear();
  }

  /** Returns when nothing is under way in lanes that were closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#retiring.keys());
  }

  #open(nas: CommandedNas, graceMs: number): void {
    const { log, nowMs, random, onResult, onRoom, onReturn, onOpen } = this.#deps;
    const readyAtMs = nowMs() + graceMs;
    const lane: NasLane = new NasLane({
      nas,
      isOwner: () => this.owner.isOwner(nas.name) && nowMs() >= readyAtMs,
      log,
      nowMs,
      random,
      onResult: (ready, results) => onResult(lane, ready, results),
      onRoom,
      onReturn: (silentMs) => onReturn(nas, silentMs),
    });
    this.#lanes.set(nas.name, lane);
    onOpen(nas);
  }

  #lost(): void {
    if (this.#lanes.size > 0)
      this.#deps.log.error('the database connection that says which NASes are ours was lost: they are asked for again');
    for (const [name, lane] of this.#lanes) this.#close(name, lane);
  }

  #close(name: string, lane: NasLane): void {
    this.#lanes.delete(name);
    this.#deps.onClose(name);
    this.#retire(lane, false);
  }

  #retire(lane: NasLane, stopsDriver: boolean): void {
    const retiring = lane
      .retire(stopsDriver)
      .catch((error: unknown) => this.#deps.log.error({ err: error, nas: lane.nas.name }, 'a driver did not stop'))
      .finally(() => this.#retiring.delete(retiring));
    this.#retiring.set(retiring, lane.nas.name);
  }
}
