/**
 * What an import from FreeRADIUS tells at its end.
 *
 * Enters: counts, errors by row, items without counterpart. Leaves: text for people, or one JSON value. Invariants: memory is
 * bounded however much is wrong (what is beyond the bounds is counted); no password is ever part of it.
 */
import type { Leftover } from '../domain/freeradius-mapping.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { count } from './display.js';
import { printable } from './printable.js';

/** Errors that are kept; the rest is counted. */
const mostErrorsShown = 1_000;

/** Kinds of items without counterpart that are kept; a provider has dozens. */
const mostLeftovers = 2_000;

/** An attribute without counterpart: how often, and where for example. */
export interface NoCounterpart {
  readonly attribute: string;
  readonly place: 'check' | 'reply';
  readonly why: string;
  times: number;
  readonly example: string;
  readonly where: string;
}

/** Sessions in figures. */
export interface SessionTotals {
  read: number;
  added: number;
  known: number;
  closed: number;
  stale: number;
  not_asked_for: number;
  without_subscriber: number;
  errors: number;
}

/** Collects while the import goes on. */
export class ImportReport {
  readonly users = { read: 0, added: 0, changed: 0, unchanged: 0, errors: 0, unblocked: 0 };
  readonly plans = { added: 0, changed: 0, unchanged: 0 };
  readonly sessions: SessionTotals = {
    read: 0,
    added: 0,
    known: 0,
    closed: 0,
    stale: 0,
    not_asked_for: 0,
    without_subscriber: 0,
    errors: 0,
  };
  addressesMarked = 0;
  readonly errors: { where: string; login: string | null; error: string }[] = [];
  /** Pools that are asked for and do not exist, and by how many. */
  readonly missingPools = new Map<string, number>();
  /** Addresses of NASes that no entry in conf knows, and their open sessions. */
  readonly unknownNases = new Map<string, number>();
  /** NAS entries whose sessions are kept under the NAS-IP-Address, because nothing tells a NAS-Identifier. */
  readonly guessedBoxes = new Set<string>();
  readonly conflicts: { login: string; address: string; acct_session_id: string }[] = [];
  private readonly leftovers = new Map<string, NoCounterpart>();
  private leftoversBeyond = 0;
  private rowErrors = 0;

  /** A user or row that is not imported. */
  refuse(kind: 'users' | 'sessions', where: string, login: string | null, error: string): void {
    this[kind].errors += 1;
    this.keep(where, login, error);
  }

  /** A row that is left out while its user is imported without it. */
  tellRow(where: string, login: string | null, error: string): void {
    this.rowErrors += 1;
    this.keep(where, login, error);
  }

  private keep(where: string, login: string | null, error: string): void {
    if (this.errors.length < mostErrorsShown) this.errors.push({ where, login, error });
  }

  /** Notes what a user has that is not carried over. */
  leave(login: string, leftover: Leftover): void {
    const { attribute, place, why, example, origin } = leftover;
    const key = `${place} ${attribute.toLowerCase()} ${why}`;
    const known = this.leftovers.get(key);
    if (known !== undefined) known.times += 1;
    else if (this.leftovers.size >= mostLeftovers) this.leftoversBeyond += 1;
    else this.leftovers.set(key, { attribute, place, why, times: 1, example, where: `${login} (${origin})` });
  }

  /** One line about the state now. */
  get progressText(): string {
    const { users, sessions } = this;
    const ofSessions =
      sessions.read === 0 ? '' : `; ${count(sessions.read, 'open session')}: ${String(sessions.added)} added`;
    return `${count(users.read, 'user')}: ${String(users.added)} added, ${String(users.changed)} changed, ${count(this.allErrors, 'error')}${ofSessions}`;
  }

  private get allErrors(): number {
    return this.users.errors + this.sessions.errors + this.rowErrors;
  }

  /**
   * Prints everything.
   *
   * @throws CommandError when there were errors: the exit code is 1
   */
  async print(context: CommandContext, dryRun: boolean, seconds: number): Promise<void> {
    const noCounterpart = [...this.leftovers.values()].sort((one, other) => other.times - one.times);
    if (context.json) {
      await context.printJson({
        dry_run: dryRun,
        seconds,
        users: this.users,
        plans: this.plans,
        sessions: this.sessions,
        addresses_marked_in_use: this.addressesMarked,
        no_counterpart: noCounterpart,
        no_counterpart_beyond: this.leftoversBeyond,
        missing_pools: Object.fromEntries(this.missingPools),
        unknown_nases: Object.fromEntries(this.unknownNases),
        nas_without_identifier: [...this.guessedBoxes],
        address_conflicts: this.conflicts,
        error_rows: this.errors,
      });
    } else await this.printText(context, noCounterpart, dryRun, seconds);
    if (this.allErrors > 0) {
      throw new CommandError(
        `${count(this.allErrors, 'error')} in the import`,
        dryRun
          ? 'nothing is written; correct them first'
          : 'correct them and import again: what is there already stays as it is',
      );
    }
  }

  private async printText(
    context: CommandContext,
    noCounterpart: readonly NoCounterpart[],
    dryRun: boolean,
    seconds: number,
  ): Promise<void> {
    for (const { where, login, error } of this.errors)
      context.remark(`${where}: ${login === null ? '' : `'${login}': `}${error}`);
    if (this.allErrors > this.errors.length)
      context.remark(`and ${count(this.allErrors - this.errors.length, 'more error')}`);
    for (const [pool, times] of this.missingPools)
      context.remark(
        `pool '${pool}' does not exist (${count(times, 'user')}); make it with: sluice pool add ${pool} NETWORK`,
      );
    for (const [nas, times] of this.unknownNases)
      context.remark(`NAS ${nas} has no entry in nas.d (${count(times, 'open session')} left out)`);
    for (const nas of this.guessedBoxes)
      context.remark(
        `NAS ${nas}: its sessions are kept under its address; if it sends NAS-Identifier, import with --nas-identifier ADDRESS=NAME before it sends accounting here`,
      );
    for (const { login, address } of this.conflicts)
      context.remark(`${address} of '${login}' is in use by somebody else`);
    if (noCounterpart.length > 0) {
      const { drawTable } = await import('./table.js');
      await context.print('Without counterpart:');
      await context.print(
        drawTable<NoCounterpart>(
          [
            { title: 'TIMES', align: 'right', value: (item) => item.times },
            { title: 'IN', value: (item) => item.place },
            { title: 'EXAMPLE', value: (item) => item.example },
            { title: 'OF', value: (item) => item.where },
            { title: 'WHY', value: (item) => item.why },
          ],
          noCounterpart,
          context.columns,
        ),
      );
    }
    const { users, plans, sessions } = this;
    const lines = [
      `users: ${String(users.added)} added, ${String(users.changed)} changed, ${String(users.unchanged)} unchanged, ${String(users.unblocked)} unblocked, ${count(users.errors, 'error')}`,
      `plans: ${String(plans.added)} added, ${String(plans.changed)} changed, ${String(plans.unchanged)} unchanged`,
      `open sessions: ${String(sessions.added)} added, ${String(sessions.known)} known, ${String(sessions.closed)} superseded, ${String(sessions.stale)} stale, ${String(sessions.without_subscriber)} of unknown logins, ${count(sessions.errors, 'error')}`,
    ];
    for (const line of lines) await context.print(printable(`${dryRun ? 'would be: ' : ''}${line}`));
    await context.print(printable(`${seconds.toFixed(1)} s`));
  }
}
