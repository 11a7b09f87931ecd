/**
 * What an import of leases tells at its end.
 *
 * Enters: counts, errors by line, refused leases. Leaves: text for people, or one JSON value. Invariant: memory is bounded however much is wrong: what is beyond
 * the bounds is counted.
 */
import type { LeaseIdle, RefusedLease } from '../domain/lease.js';
import type { LeaseBatch } from '../workers/lease-batch.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { count } from './display.js';
import { printable } from './printable.js';

/** Errors and refused leases that are listed; the rest is counted. */
const mostShown = 100;

/** Collects while the import goes on. */
export class LeaseImportReport {
  /** Entries of the files; addresses of them; those whose lease is over, or in a network that is ignored. */
  readonly read = { entries: 0, addresses: 0, ended: 0, ignored: 0 };
  private readonly done = { stored: 0, opened: 0, closed: 0, known: 0, late: 0 };
  private readonly refused = new Map<string, number>();
  private readonly refusedLeases: RefusedLease[] = [];
  private readonly errorLines: { file: string; line: number; address: string | null; error: string }[] = [];
  private errors = 0;

  /** A line that cannot be read. */
  tell(file: string, line: number, address: string | null, error: string): void {
    this.errors += 1;
    if (this.errorLines.length < mostShown) this.errorLines.push({ file, line, address, error });
  }

  /** A batch is written. */
  add(leases: number, { facts, refused, idle }: LeaseBatch): void {
    const { done } = this;
    const idles = (reason: LeaseIdle): number => idle.filter((one) => one === reason).length;
    done.stored += leases - refused.length - idle.length;
    done.known += idles('repeated');
    done.late += idles('late');
    for (const { status } of facts) done[status === 'start' ? 'opened' : 'closed'] += 1;
    for (const one of refused) {
      this.refused.set(one.reason, (this.refused.get(one.reason) ?? 0) + 1);
      if (this.refusedLeases.length < mostShown) this.refusedLeases.push(one);
    }
  }

  /**
   * Prints everything.
   *
   * @throws CommandError when lines could not be read: the exit code is 1
   */
  async print(context: CommandContext, dryRun: boolean): Promise<void> {
    if (context.json)
      await context.printJson({
        dry_run: dryRun,
        ...this.read,
        ...this.done,
        refused: Object.fromEntries(this.refused),
        refused_leases: this.refusedLeases.map(({ event, reason, detail, device, port }) => ({
          address: event.address,
          mac: event.mac,
          reason,
          detail,
          device,
          port,
          circuit_id: event.line?.circuitId ?? null,
          remote_id: event.line?.remoteId ?? null,
        })),
        errors: this.errors,
        error_lines: this.errorLines,
      });
    else await this.printText(context, dryRun);
    if (this.errors > 0)
      throw new CommandError(
        `${count(this.errors, 'entry', 'entries')} could not be read`,
        'the others were; whoever is left out comes with the next renewal',
      );
  }

  private async printText(context: CommandContext, dryRun: boolean): Promise<void> {
    const { read, done } = this;
    for (const { file, line, address, error } of this.errorLines)
      context.remark(`${file}:${String(line)}: ${address === null ? '' : `${address} `}${error}`);
    if (this.errors > this.errorLines.length)
      context.remark(`and ${count(this.errors - this.errorLines.length, 'more error')}`);
    for (const one of this.refusedLeases) context.remark(refusalText(one));
    const refused = [...this.refused.values()].reduce((sum, times) => sum + times, 0);
    if (refused > this.refusedLeases.length)
      context.remark(`and ${count(refused - this.refusedLeases.length, 'more refused lease')}`);
    const reasons = [...this.refused].map(([reason, times]) => `${String(times)} ${reason}`).join(', ');
    const lines = [
      `${count(read.entries, 'entry', 'entries')} of ${count(read.addresses, 'address', 'addresses')}: ${String(read.ended)} over, ${String(read.ignored)} of ignored networks`,
      `leases: ${String(done.stored)} stored, ${String(done.known)} known, ${String(done.late)} older than what is known, ${String(refused)} refused${reasons === '' ? '' : ` (${reasons})`}`,
      `sessions: ${String(done.opened)} opened, ${String(done.closed)} closed`,
    ];
    for (const line of lines) await context.print(printable(`${dryRun ? 'would be: ' : ''}${line}`));
  }
}

function refusalText({ event, reason, detail, device, port }: RefusedLease): string {
  const { circuitId, remoteId } = event.line ?? { circuitId: null, remoteId: null };
  const words = [
    detail,
    event.mac,
    device === null ? null : `device ${device}`,
    port === null ? null : `port ${port}`,
    circuitId === null ? null : `circuit-id ${circuitId}`,
    remoteId === null ? null : `remote-id ${remoteId}`,
  ];
  return `${event.address} refused: ${[reason, ...words.filter((word) => word !== null)].join(', ')}`;
}
