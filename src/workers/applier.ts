/**
 * From the spool to PostgreSQL. Enters: durable records, in order. Leaves: sessions, assignments, periods, and the position, in one
 * transaction per batch. Invariants: a record is applied or set aside, never skipped; nothing is applied twice after a lost answer to
 * COMMIT, because the position is read again under lock; one bad record never blocks the rest.
 */
import type { Pool, PoolClient } from 'pg';
import type { Logger } from 'pino';
import type { AccountingFact } from '../domain/accounting-fact.js';
import type { LeaseEvent } from '../domain/lease-event.js';
import { decodeGrant, type Grant } from '../domain/grant.js';
import { foldBatch, type Resolve } from '../domain/session-batch.js';
import { accountingFact, decodeAccountingRecord, type FactReading, RecordKind } from '../handlers/accounting-record.js';
import { decodeLeaseRecord } from '../handlers/lease-record.js';
import { comparePositions, type Position, SpoolPositionError } from '../spool/position.js';
import type { CorruptRegion, SpoolReader, SpoolRecord } from '../spool/reader.js';
import type { Spool } from '../spool/spool.js';
import { BatchConflictError, saveOutcome } from '../store/batch-outcome.js';
import { loadWorld, StaleSessionError } from '../store/batch-world.js';
import { classifyDatabaseError, withBegunTransaction } from '../store/database.js';
import { applyGrants } from '../store/grants.js';
import { Flight } from '../store/flight.js';
import { quarantineDeclined } from '../store/lease-outcome.js';
import { type Committed, KnownSessions, type RowVersion } from '../store/known-sessions.js';
import { applyLeases, type LeaseBatch, type LeaseRules, NO_LEASES } from './lease-batch.js';
import { insertSetAside, type SetAsideRecord } from '../store/set-aside-insert.js';
import { forgetPosition, lockPosition, readPosition, writePosition } from '../store/spool-position.js';

/** Bytes of one batch at most: 500 records of the largest packet. */
const MAX_BATCH_BYTES = 2 * 1024 * 1024;
/**
 * When that many batches wait, one takes more: what a transaction costs apart from its rows is then shared by more of them. Below five thousand
 * facts at once, so that none of the steps between two queries holds the event loop for long.
 */
const BACKLOG_FACTOR = 3;
/**
 * Not where more than such a share of the sessions of the last batch began, ended or moved: that costs three times what counting does, and whoever logs in
 * would wait for it.
 */
const HEAVY_SHARE = 0.25;
/**
 * Who is answered waits for a disk already: before a batch, requests that have come are read. Not for longer than this, ms, so that some ten thousand facts a
 * second are applied whatever arrives.
 */
const MAX_GIVING_WAY_MS = 50;
/** The same between two steps of a batch, ms: its rows are locked meanwhile. */
const MAX_GIVING_WAY_INSIDE_MS = 20;
/** First pause after the database was not to be reached, ms. */
const FIRST_PAUSE_MS = 100;
/** Conflicts with others before the batch is taken apart: each means that somebody else made progress. */
const MAX_CONFLICTS = 20;
/** Between two tries after a conflict, ms for each conflict so far, and at most. */
const CONFLICT_PAUSE_MS = 10;
const MAX_CONFLICT_PAUSE_MS = 1000;
/** Damaged regions that wait for the next batch; more are counted and stay in the kept segment files. */
const MAX_CORRUPT_WAITING = 1000;

export interface ApplierDeps extends FactReading {
  readonly spool: Spool;
  readonly pool: Pool;
  readonly instance: string;
  readonly resolve: Resolve;
  readonly leaseRules: () => LeaseRules;
  /** A batch with leases was committed. */
  readonly onLeases: (batch: LeaseBatch) => void;
  /** Subscribers whose sessions came or went, after the commit. */
  readonly onSettled: (subscriberIds: readonly number[]) => void;
  /** A restart was applied: its sessions are to be closed. */
  readonly onRestart: () => void;
  /** Waits until no request waits in the kernel, for so many ms at most. */
  readonly onceReceived: (maxMs: number) => Promise<void> | undefined;
  readonly log: Logger;
  readonly batchRecords: number;
  readonly retryMaxMs: number;
}

export interface ApplierStatus {
  readonly appliedRecords: number;
  readonly appliedSequence: number;
  readonly batches: number;
  readonly conflicts: number;
  readonly setAside: number;
  readonly databaseAvailable: boolean;
}

export class Applier {
  readonly #deps: ApplierDeps;
  readonly #stopping = new AbortController();
  readonly #corrupt: SetAsideRecord[] = [];
  readonly #known = new KnownSessions();
  readonly #status = {
    appliedRecords: 0,
    appliedSequence: 0,
    batches: 0,
    conflicts: 0,
    setAside: 0,
    databaseAvailable: true,
  };
  #reader: SpoolReader | undefined;
  #running: Promise<void> | undefined;
  #waiting: (() => void)[] = [];
  #turnedAtMs = performance.now();

  constructor(deps: ApplierDeps) {
    this.#deps = deps;
  }

  get status(): ApplierStatus {
    return this.#status;
  }

  /** Whether the sessions of the last batch mostly did more than count. */
  #isHeavy = false;
  /** When a batch was last begun, tried or waited for, monotonic ms. With nothing to apply it stays as it is. */
  get turnedAtMs(): number {
    return this.#turnedAtMs;
  }

  /** Damaged bytes that the spool came across: they are set aside with the next batch. */
  noteCorrupt(region: CorruptRegion): void {
    if (this.#corrupt.length >= MAX_CORRUPT_WAITING) return;
    this.#corrupt.push({
      segment: region.segment,
      offset: region.offset,
      receivedAtMs: null,
      nasName: null,
      reason: 'spool-damage',
      detail: region.reason,
      payload: Buffer.from(region.bytes),
    });
  }

  /** Begins where the database says. Resolves once running; the database has to be there for this. */
  async start(): Promise<void> {
    const { spool, pool } = this.#deps;
    const stored = await readPosition(pool, spool.uuid);
    this.#reader = (await this.#readerAt(stored)) ?? spool.reader('start');
    this.#running = this.#run(this.#reader);
  }

  async #readerAt(stored: Position | undefined): Promise<SpoolReader | undefined> {
    const { spool, pool, log } = this.#deps;
    if (stored === undefined) return undefined;
    try {
      spool.setApplied(stored);
      return spool.reader(stored);
    } catch (error) {
      if (!(error instanceof SpoolPositionError)) throw error;
      // With that position new records would pass for applied ones. Applying a record again changes nothing.
      log.error({ err: error }, 'the spool is an older copy than the one that was applied: all of it is applied again');
      await forgetPosition(pool, spool.uuid);
      return undefined;
    }
  }

  /** Resolves when everything that was durable at the call has been applied, or the applier stops. */
  async caughtUp(): Promise<void> {
    const { syncedSequence } = this.#deps.spool;
    while (this.#status.appliedSequence < syncedSequence && !this.#stopping.signal.aborted) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Finishes the batch in hand and stops; what is left stays in the spool. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
    await this.#reader?.close();
  }

  async #run(reader: SpoolReader): Promise<void> {
    const { batchRecords, log } = this.#deps;
    const signal = this.#stopping.signal;
    // What the position already covers counts as applied.
    const status = await this.#deps.spool.status();
    this.#status.appliedSequence = status.syncedSequence - status.backlogRecords;
    while (!signal.aborted) {
      this.#turnedAtMs = performance.now();
      try {
        await this.#deps.onceReceived(MAX_GIVING_WAY_MS);
        const waiting = this.#deps.spool.syncedSequence - this.#status.appliedSequence;
        const isBehind = waiting > batchRecords * BACKLOG_FACTOR;
        const maxRecords = isBehind && !this.#isHeavy ? batchRecords * BACKLOG_FACTOR : batchRecords;
        const records = await reader.readBatch({ maxRecords, maxBytes: MAX_BATCH_BYTES });
        const last = records.at(-1);
        if (last !== undefined) await this.#apply({ records, end: last.nextPosition, sequence: last.sequence });
        else if (this.#corrupt.length > 0) await this.#applyDamage(reader.position);
        else await reader.waitForRecords(signal);
      } catch (error) {
        if (signal.aborted) return;
        log.error({ err: error }, 'the spool could not be read; trying again');
        await this.#pause(this.#deps.retryMaxMs);
      }
    }
  }

  /** Damage with nothing behind it: it is set aside at once, and what it took no longer counts as waiting. */
  async #applyDamage(end: Position): Promise<void> {
    const { spool } = this.#deps;
    await this.#apply({ records: [], end, sequence: this.#status.appliedSequence });
    const { syncedSequence, backlogRecords } = await spool.status();
    this.#status.appliedSequence = syncedSequence - backlogRecords;
    this.#wake();
  }

  /** Returns when the records are applied or set aside, however long the database is away; or when stopping. */
  async #apply(batch: Batch): Promise<void> {
    const { records } = batch;
    let pauseMs = FIRST_PAUSE_MS;
    let conflicts = 0;
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#applyOnce(batch, undefined);
        this.#available();
        return;
      } catch (error) {
        if (error instanceof StaleSessionError) this.#known.distrust();
        else this.#known.clear();
        const remedy = remedyOf(error);
        if (remedy === 'wait') {
          this.#unavailable(error);
          await this.#pause(pauseMs);
          pauseMs = Math.min(pauseMs * 2, this.#deps.retryMaxMs);
          continue;
        }
        const stubborn = remedy === 'record' || conflicts >= MAX_CONFLICTS;
        if (stubborn && records.length > 1) return this.#applyHalves(records);
        if (remedy === 'record' || (remedy === 'conflict' && stubborn)) return this.#setAside(batch, error);
        conflicts += 1;
        this.#status.conflicts += 1;
        await this.#pause(Math.random() * Math.min(CONFLICT_PAUSE_MS * conflicts, MAX_CONFLICT_PAUSE_MS));
      }
    }
  }

  async #applyHalves(records: readonly SpoolRecord[]): Promise<void> {
    const middle = records.length >> 1;
    for (const half of [records.slice(0, middle), records.slice(middle)]) {
      const last = half.at(-1)!;
      await this.#apply({ records: half, end: last.nextPosition, sequence: last.sequence });
    }
  }

  async #setAside(batch: Batch, error: unknown): Promise<void> {
    const reason = error instanceof Error && 'code' in error ? `database-${String(error.code)}` : 'apply-failed';
    const position = batch.records[0]?.position;
    this.#deps.log.error({ err: error, position }, 'a record could not be applied and is set aside');
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#stopping.signal.aborted) {
      try {
        return await this.#applyOnce(batch, reason);
      } catch (again) {
        this.#unavailable(again);
        await this.#pause(pauseMs);
        pauseMs = Math.min(pauseMs * 2, this.#deps.retryMaxMs);
      }
    }
  }

  /** @param givenUp why the single record is set aside instead of applied */
  async #applyOnce(batch: Batch, givenUp: string | undefined): Promise<void> {
    const { pool, spool, instance } = this.#deps;
    const { records, end, sequence } = batch;
    const corrupt = this.#corrupt.slice();
    let setAside = 0;
    let restarted = false;
    let folded: Folded = NOTHING_FOLDED;
    let leased = NO_LEASES;
    let version: RowVersion | undefined;
    const settled = await withBegunTransaction(
      pool,
      async (client, begun) => {
        const flight = new Flight(client);
        flight.join(begun);
        const stored = await lockPosition(flight, spool.uuid);
        const fresh = stored === undefined ? records : records.filter((r) => comparePositions(r.position, stored) >= 0);
        const work =
          givenUp === undefined
            ? this.#decode(fresh)
            : { ...NOTHING, setAside: fresh.map((r) => asSetAside(r, givenUp)) };
        setAside = work.setAside.length + corrupt.length;
        restarted = work.facts.some((fact) => fact.status === 'on' || fact.status === 'off');
        if (setAside > 0) await insertSetAside(client, instance, spool.uuid, [...corrupt, ...work.setAside]);
        await applyGrants(client, instance, work.grants);
        const rules = this.#deps.leaseRules();
        leased = await applyLeases(client, work.leases, rules);
        const facts = leased.facts.length === 0 ? work.facts : [...work.facts, ...leased.facts];
        let written: Promise<RowVersion | undefined> | undefined;
        folded = await this.#fold(client, facts, (alongside) => {
          written = writePosition(alongside, spool.uuid, instance, end, sequence);
          // Its failure is told by the flight.
          written.catch(() => undefined);
        });
        version = await written;
        await quarantineDeclined(client, rules.routingDomain, leased.declined);
        return leased.settled.length === 0 ? folded.settled : [...new Set([...folded.settled, ...leased.settled])];
      },
      'by-key',
    );
    this.#known.keep({ ...folded, version });
    const { touched } = folded;
    this.#isHeavy = touched.filter(({ countersOnly }) => !countersOnly).length > touched.length * HEAVY_SHARE;
    this.#corrupt.splice(0, corrupt.length);
    this.#status.setAside += setAside;
    this.#committed(records.length, end, sequence);
    if (leased !== NO_LEASES) this.#deps.onLeases(leased);
    if (settled.length > 0) this.#deps.onSettled(settled);
    if (restarted) this.#deps.onRestart();
  }

  /** @param alongside sends what is written in any case */
  async #fold(
    client: PoolClient,
    facts: readonly AccountingFact[],
    alongside: (flight: Flight) => void,
  ): Promise<Folded> {
    const { resolve, instance } = this.#deps;
    if (facts.length === 0) {
      const flight = new Flight(client);
      alongside(flight);
      await flight.landed();
      return NOTHING_FOLDED;
    }
    const { lines, believed, ...world } = await loadWorld(client, facts, resolve, this.#known);
    await this.#deps.onceReceived(MAX_GIVING_WAY_INSIDE_MS);
    const outcome = foldBatch(world, facts, resolve);
    const settled = await saveOutcome(client, outcome, instance, believed, alongside);
    return { sessions: world.sessions, lines, believed, touched: outcome.touched, settled };
  }

  #decode(records: readonly SpoolRecord[]): Work {
    const work: Work = { facts: [], leases: [], grants: [], setAside: [] };
    for (const record of records) {
      if (record.kind === RecordKind.grant) {
        const grant = decodeGrant(record.payload);
        if (grant === undefined) work.setAside.push(asSetAside(record, 'grant-unreadable'));
        else work.grants.push(grant);
      } else if (record.kind === RecordKind.accounting) {
        const decoded = decodeAccountingRecord(record.payload);
        const fact = 'fault' in decoded ? undefined : accountingFact(decoded, record.receivedAtMs, this.#deps);
        if (fact !== undefined) work.facts.push(fact);
        else work.setAside.push(asSetAside(record, 'fault' in decoded ? decoded.fault : 'accounting-incomplete'));
      } else if (record.kind === RecordKind.leaseEvent) {
        const event = decodeLeaseRecord(record.payload);
        if ('fault' in event) work.setAside.push(asSetAside(record, event.fault));
        else work.leases.push(event);
      } else {
        work.setAside.push(asSetAside(record, 'record-kind'));
      }
    }
    return work;
  }

  #committed(records: number, position: Position, sequence: number): void {
    this.#status.appliedRecords += records;
    this.#status.appliedSequence = sequence;
    this.#status.batches += 1;
    this.#deps.spool.setApplied(position);
    this.#wake();
  }

  #unavailable(error: unknown): void {
    if (this.#status.databaseAvailable) {
      this.#deps.log.error(
        { err: error },
        'PostgreSQL takes no facts at the moment: answers go on, facts wait in the spool',
      );
    }
    this.#status.databaseAvailable = false;
  }

  #available(): void {
    if (!this.#status.databaseAvailable)
      this.#deps.log.info('PostgreSQL takes facts again: applying what waited in the spool');
    this.#status.databaseAvailable = true;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #pause(ms: number): Promise<void> {
    this.#turnedAtMs = performance.now();
    const signal = this.#stopping.signal;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }
}

/** Records of the spool in order, and where it goes on behind them. */
interface Batch {
  readonly records: readonly SpoolRecord[];
  readonly end: Position;
  readonly sequence: number;
}

interface Work {
  readonly facts: AccountingFact[];
  readonly leases: LeaseEvent[];
  readonly grants: Grant[];
  readonly setAside: SetAsideRecord[];
}

const NOTHING = { facts: [], leases: [], grants: [] };

/** What became of the facts of a batch. */
interface Folded extends Omit<Committed, 'version'> {
  /** Subscribers whose sessions came or went. */
  readonly settled: readonly number[];
}

const NOTHING_FOLDED: Folded = { sessions: [], lines: new Set(), believed: new Map(), touched: [], settled: [] };

function asSetAside(record: SpoolRecord, reason: string): SetAsideRecord {
  const decoded = record.kind === RecordKind.accounting ? decodeAccountingRecord(record.payload) : undefined;
  return {
    segment: record.position.segment,
    offset: record.position.offset,
    receivedAtMs: record.receivedAtMs,
    nasName: decoded === undefined || 'fault' in decoded ? null : decoded.nasName,
    reason,
    detail: null,
    payload: Buffer.from(record.payload),
  };
}

/** SQLSTATE classes that speak of the data in hand: cardinality, data, constraints, program limits, triggers, broken pages. */
const RECORD_CLASSES = new Set(['21', '22', '23', '54', 'P0', 'XX']);
const UNIQUE_VIOLATION = '23505';

/**
 * What helps after a failure:
 * - `wait`: nothing is wrong with the records: the database is away, or not as it should be for anybody (schema, rights)
 * - `again`: others were in the way
 * - `conflict`: the same, when another server stored the same address or key between our reading and our writing; if that never ends it is
 *   the record
 * - `record`: these records can never be applied
 */
function remedyOf(error: unknown): 'wait' | 'again' | 'conflict' | 'record' {
  if (error instanceof BatchConflictError || error instanceof StaleSessionError) return 'conflict';
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === UNIQUE_VIOLATION) return 'conflict';
  switch (classifyDatabaseError(error)) {
    case 'unreachable':
    case 'ambiguous-commit':
      return 'wait';
    case 'transient':
      return 'again';
    case 'permanent':
      return code === undefined || RECORD_CLASSES.has(code.slice(0, 2)) ? 'record' : 'wait';
  }
}
