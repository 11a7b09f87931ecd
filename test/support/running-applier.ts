/**
 * A real applier over a real spool in a temporary folder. Enters: facts. Leaves: what it applied. Invariant: a fact counts as acknowledged
 * only when the spool says that it is durable.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { pino } from 'pino';
import type { Test } from 'tap';
import type { AccountingFact } from '../../src/domain/accounting-fact.js';
import type { Resolve } from '../../src/domain/session-batch.js';
import { RecordKind } from '../../src/handlers/accounting-record.js';
import type { CorruptRegion } from '../../src/spool/reader.js';
import { Spool } from '../../src/spool/spool.js';
import { Applier, type ApplierDeps } from '../../src/workers/applier.js';
import { accountingPayload, readPlainClass } from './accounting-packet.js';

export interface RunningApplier {
  readonly spool: Spool;
  readonly applier: Applier;
  /** Subscribers that it asked to have settled. */
  readonly settled: Set<number>;
  /** Resolves when all are acknowledged. */
  append(facts: readonly AccountingFact[]): Promise<void>;
  appendRaw(kind: number, payload: Buffer): Promise<void>;
  stop(): Promise<void>;
}

export async function temporaryFolder(t: Pick<Test, 'teardown'>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-test-spool-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

type Overrides = Partial<Pick<ApplierDeps, 'batchRecords' | 'retryMaxMs' | 'resolve' | 'leaseRules' | 'onLeases'>> & {
  instance?: string;
  directory?: string;
  /** False: the caller starts it. */
  start?: boolean;
};

export async function runApplier(
  t: Pick<Test, 'teardown'>,
  pool: Pool,
  resolve: Resolve,
  overrides: Overrides = {},
): Promise<RunningApplier> {
  const { instance = 'sluice-1', directory, start = true, ...rest } = overrides;
  const settled = new Set<number>();
  const early: CorruptRegion[] = [];
  let onCorrupt = (region: CorruptRegion): unknown => early.push(region);
  const spool = await Spool.open({
    directory: directory ?? (await temporaryFolder(t)),
    onCorrupt: (region) => void onCorrupt(region),
    onAlarm: () => undefined,
  });
  const applier = new Applier({
    spool,
    pool,
    instance,
    resolve,
    readClass: readPlainClass,
    lineOf: () => undefined,
    onSettled: (ids) => ids.forEach((id) => settled.add(id)),
    onRestart: () => undefined,
    leaseRules: () => ({ routingDomain: 'default', lineOf: () => undefined, nasOf: () => undefined }),
    onLeases: () => undefined,
    onceReceived: () => undefined,
    log: pino({ level: process.env['SLUICE_TEST_LOG'] ?? 'silent' }),
    batchRecords: 500,
    retryMaxMs: 500,
    ...rest,
  });
  onCorrupt = (region) => applier.noteCorrupt(region);
  for (const region of early) applier.noteCorrupt(region);
  const appendRaw = (kind: number, receivedAtMs: number, payload: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      const accepted = spool.append(kind, receivedAtMs, payload, (result) =>
        result.ok ? resolve() : reject(new Error('not durable')),
      );
      if (!accepted) reject(new Error('not accepted'));
    });
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    await applier.stop();
    await spool.close();
  };
  t.teardown(stop);
  if (start) await applier.start();
  return {
    spool,
    applier,
    settled,
    append: async (facts) => {
      await Promise.all(facts.map((one) => appendRaw(RecordKind.accounting, one.receivedAtMs, accountingPayload(one))));
    },
    appendRaw: (kind, payload) => appendRaw(kind, Date.now(), payload),
    stop,
  };
}
