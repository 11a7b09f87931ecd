/**
 * What an instance tells the others: that it lives, how far it is, and which NASes it heard. Enters: the feed's polls, the applier's
 * progress, packets. Leaves: the `instance` and `nas` rows, once a second. Invariant: `caught_up_at` never promises more than was
 * both seen and applied.
 */
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { beat, type NasSighting, noteNases } from '../store/instances.js';
import { Loop } from './loop.js';

const INTERVAL_MS = 1000;

export interface HeartbeatDeps {
  readonly pool: Pool;
  readonly instance: string;
  readonly log: Logger;
  /** What the spool has accepted, be it durable or not: promises of kept addresses are answered before their sync. */
  readonly appendedSequence: () => number;
  readonly appliedSequence: () => number;
}

interface Candidate {
  readonly databaseTimeMs: number;
  readonly sequence: number;
}

interface Sighting {
  readonly profile: string;
  lastPacketAtMs: number;
  lastAccountingAtMs: number | null;
}

export class Heartbeat {
  readonly #deps: HeartbeatDeps;
  readonly #loop: Loop;
  /** What will be true once the applier has come to `sequence`. */
  #pending: Candidate | undefined;
  #caughtUpAtMs: number | undefined;
  /** By NAS entry: as many as conf has. */
  #sightings = new Map<string, Sighting>();

  constructor(deps: HeartbeatDeps) {
    this.#deps = deps;
    this.#loop = new Loop({ name: 'heartbeat', intervalMs: INTERVAL_MS, run: () => this.run(), log: deps.log });
  }

  /** Database time up to which everything was seen and applied, ms since 1970. */
  get caughtUpAtMs(): number | undefined {
    return this.#caughtUpAtMs;
  }

  /** Monotonic ms: see `Loop`. */
  get turnedAtMs(): number {
    return this.#loop.turnedAtMs;
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** All changes committed before this database time have been seen. */
  noteFeed(databaseTimeMs: number): void {
    this.#advance();
    this.#pending ??= { databaseTimeMs, sequence: this.#deps.appendedSequence() };
    this.#advance();
  }

  notePacket(nasName: string, profile: string, accounting: boolean, atMs: number): void {
    const seen = this.#sightings.get(nasName);
    if (seen === undefined) {
      this.#sightings.set(nasName, { profile, lastPacketAtMs: atMs, lastAccountingAtMs: accounting ? atMs : null });
      return;
    }
    seen.lastPacketAtMs = atMs;
    if (accounting) seen.lastAccountingAtMs = atMs;
  }

  async run(): Promise<boolean> {
    this.#advance();
    const { pool, instance } = this.#deps;
    const sightings = this.#sightings;
    this.#sightings = new Map();
    await beat(pool, instance, this.#caughtUpAtMs);
    const rows: NasSighting[] = [...sightings].map(([name, seen]) => ({ name, ...seen }));
    await noteNases(pool, rows);
    return false;
  }

  #advance(): void {
    if (this.#pending === undefined) return;
    const { appliedSequence, appendedSequence } = this.#deps;
    // Records that the disk refused never get a number; once nothing is waiting, nothing is missing.
    if (appliedSequence() < Math.min(this.#pending.sequence, appendedSequence())) return;
    // Not the later of two: a database clock that was set back must be followed, or it would promise the future.
    this.#caughtUpAtMs = this.#pending.databaseTimeMs;
    this.#pending = undefined;
  }
}
