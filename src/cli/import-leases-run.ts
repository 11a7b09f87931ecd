/**
 * One import of leases.
 *
 * Enters: options. Leaves: leases, live sessions and their addresses, and a report. Invariants: all files are read before anything is written; leases meet the same
 * decisions as events of a hook; the same import again changes nothing; with `--dry-run` everything happens in one transaction that is taken back.
 */
import type { Pool, PoolClient } from 'pg';
import type { Config } from '../config/config.js';
import { nasNetworks, NetworkTable } from '../config/lease-networks.js';
import type { FiledLease } from '../dhcp/lease-file.js';
import type { LeaseEvent } from '../domain/lease-event.js';
import { compileLineRules } from '../domain/line-rules.js';
import { withActor } from '../store/actor.js';
import { BatchConflictError } from '../store/batch-outcome.js';
import { StaleSessionError } from '../store/batch-world.js';
import { classifyDatabaseError } from '../store/database.js';
import type { LeaseBatch, LeaseRules } from '../workers/lease-batch.js';
import { importLeases, settleImported } from '../workers/lease-import.js';
import type { CommandContext } from './command-context.js';
import { Progress } from './command-io.js';
import { FiledLeases, oldestFirst } from './import-leases-files.js';
import type { LeaseImportOptions } from './import-leases-options.js';
import { LeaseImportReport } from './import-leases-report.js';

/** Leases of one transaction, as many as the applier takes: some 50 ms during which their rows are locked. */
const batchLeases = 500;

/** Deadlocks and lock timeouts pass; a batch that meets more than so many has met something else. */
const mostAttempts = 5;

/** Takes a dry run back: what was asked for, not a failure. */
class TakeBack extends Error {
  override readonly name = 'TakeBack';
}

/** One import. */
export class LeaseImport {
  private readonly report = new LeaseImportReport();
  private readonly progress: Progress;
  private readonly nowMs: number;

  constructor(
    private readonly context: CommandContext,
    private readonly options: LeaseImportOptions,
  ) {
    this.progress = new Progress(context.io);
    this.nowMs = context.io.nowMs();
  }

  /** @throws CommandError when lines could not be read, after everything else was imported */
  async go(): Promise<void> {
    const { context, options, report } = this;
    const filed = new FiledLeases(this.nowMs, (...error) => report.tell(...error));
    for (const file of oldestFirst(options.files)) await filed.read(file, options.format, context.io.stdin);
    report.read.entries = filed.entries;
    report.read.addresses = filed.addresses;
    const config = await context.config();
    const events = this.eventsOf(filed, config);
    try {
      await this.write(await context.pool(), events, rulesOf(config));
    } finally {
      this.progress.end();
    }
    await report.print(context, options.dryRun);
  }

  /** Of those who have an address now, the oldest first. */
  private eventsOf(filed: FiledLeases, { dhcp }: Config): LeaseEvent[] {
    const { read } = this.report;
    const ignored = new NetworkTable([{ networks: dhcp.ignoreNetworks, value: true as const }]);
    const events: LeaseEvent[] = [];
    for (const lease of filed.leases())
      if (ignored.find(lease.address) === true) read.ignored += 1;
      else if (!lease.isGiven || lease.atMs === null || (lease.endsAtMs ?? Infinity) <= this.nowMs) read.ended += 1;
      else events.push(this.eventOf(lease, lease.atMs));
    return events.sort((one, other) => one.eventAtMs - other.eventAtMs);
  }

  private eventOf({ address, mac, line, endsAtMs }: FiledLease, atMs: number): LeaseEvent {
    return {
      kind: 'commit',
      eventAtMs: Math.min(atMs, this.nowMs),
      timeDeclared: true,
      receivedAtMs: this.nowMs,
      via: 'import',
      source: this.options.source,
      address,
      mac,
      leaseEndsAtMs: endsAtMs,
      line,
    };
  }

  private async write(pool: Pool, events: readonly LeaseEvent[], rules: LeaseRules): Promise<void> {
    const actor = `${this.context.actor} import leases`;
    if (!this.options.dryRun) {
      await this.eachBatch(events, async (some) => {
        const batch = await attempt(pool, actor, (client) => importLeases(client, some, rules));
        await settleImported(pool, batch.settled);
        return batch;
      });
      return;
    }
    try {
      await withActor(pool, actor, async (client) => {
        await this.eachBatch(events, (some) => importLeases(client, some, rules));
        throw new TakeBack();
      });
    } catch (error) {
      if (!(error instanceof TakeBack)) throw error;
    }
  }

  private async eachBatch(
    events: readonly LeaseEvent[],
    work: (some: readonly LeaseEvent[]) => Promise<LeaseBatch>,
  ): Promise<void> {
    for (let from = 0; from < events.length; from += batchLeases) {
      const some = events.slice(from, from + batchLeases);
      this.report.add(some.length, await work(some));
      this.progress.update(`${String(from + some.length)} of ${String(events.length)} leases`);
    }
  }
}

async function attempt<Result>(
  pool: Pool,
  actor: string,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  for (let turn = 1; ; turn += 1) {
    try {
      return await withActor(pool, actor, work);
    } catch (error) {
      const passes =
        error instanceof BatchConflictError ||
        error instanceof StaleSessionError ||
        classifyDatabaseError(error) === 'transient';
      if (!passes || turn >= mostAttempts) throw error;
    }
  }
}

/** As a server reads events with this configuration. */
function rulesOf({ dhcp, lines }: Config): LeaseRules {
  const rules = compileLineRules(lines);
  const nases = nasNetworks(dhcp);
  return {
    routingDomain: dhcp.routingDomain,
    lineOf: (evidence) => rules.find(evidence)?.line,
    nasOf: (address) => nases.find(address),
  };
}
