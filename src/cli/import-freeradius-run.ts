/**
 * One import from FreeRADIUS: users in slices, then open sessions.
 *
 * Enters: options. Leaves: plans, subscribers, live sessions with their addresses, and a report. Invariants: a slice is one
 * transaction; a user who cannot be imported stops nobody else; the same import again changes nothing; with `--dry-run`
 * everything happens in one transaction that is taken back.
 */
import type { Pool, PoolClient } from 'pg';
import { mapUser } from '../domain/freeradius-mapping.js';
import type { MappedPlan, MappedUser, MappingSettings } from '../domain/freeradius-mapping.js';
import { withActor } from '../store/actor.js';
import { BatchConflictError } from '../store/batch-outcome.js';
import { loadCatalogueIds } from '../store/catalogue.js';
import { classifyDatabaseError } from '../store/database.js';
import { FreeradiusDatabase, FreeradiusSchemaError } from '../store/freeradius-database.js';
import { liftBlocks, markAddressesInUse, writePlan } from '../store/freeradius-import.js';
import { importColumns } from '../store/import-columns.js';
import type { ImportColumn, ImportRow, ImportValue } from '../store/import-columns.js';
import { writeWithoutTheBad } from '../store/subscriber-import.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { Progress } from './command-io.js';
import type { FreeradiusImportOptions } from './import-freeradius-options.js';
import { ImportReport } from './import-freeradius-report.js';
import { NasFinder, SessionImport } from './import-freeradius-sessions.js';
import { usersOfDatabase, usersOfFile } from './import-freeradius-source.js';
import type { SourceUser } from './import-freeradius-source.js';
import { SealingPasswords } from './import-passwords.js';
import { parseInstant } from './instant.js';
import { describeFault } from './subscriber-import-command.js';

/** User-Name is one attribute: 253 octets (RFC 2865 §5). */
const longestLoginOctets = 253;

/** Deadlocks and lock timeouts pass; a slice that meets more than so many has met something else. */
const mostAttempts = 5;

/** What FreeRADIUS knows of a subscriber. Where it has no address, pool or binding, there is none; a flag is raised only. */
const columns: readonly ImportColumn[] = importColumns
  .filter((column) =>
    [
      'password',
      'mac',
      'static_address',
      'pool_id',
      'nas_name',
      'associate_pppoe_mac',
      'admin_blocked',
      'admin_blocked_reason',
      'plan_id',
    ].includes(column.name),
  )
  .map((column) =>
    column.name === 'admin_blocked_reason' || column.name === 'nas_name'
      ? { ...column, null: 'leaves' as const }
      : column,
  );

/** Takes a dry run back: what was asked for, not a failure. */
class TakeBack extends Error {
  override readonly name = 'TakeBack';
}

/** Runs work in a transaction: each its own, or all in that of a dry run. */
type InTransaction = <Result>(work: (client: PoolClient) => Promise<Result>) => Promise<Result>;

/** One import. */
export class FreeradiusImport {
  private readonly report = new ImportReport();
  private readonly progress: Progress;
  private readonly addressOwners = new Map<string, string>();
  private readonly plansWritten = new Map<string, { id: number; tuple: string }>();
  private readonly startedMs: number;

  constructor(
    private readonly context: CommandContext,
    private readonly options: FreeradiusImportOptions,
  ) {
    this.progress = new Progress(context.io);
    this.startedMs = context.io.nowMs();
  }

  /** @throws CommandError when something could not be imported, after everything else was */
  async go(): Promise<void> {
    const config = await this.context.config();
    this.refuseUnknownNases(config.nas.map((entry) => entry.name));
    const pool = await this.context.pool();
    const source = await this.openSource();
    try {
      await this.transactions(pool, async (inTransaction) => {
        await this.importUsers(source, inTransaction);
        if (source !== undefined && this.options.withSessions) await this.importSessions(source, inTransaction);
      });
    } finally {
      this.progress.end();
      await source?.close();
    }
    const seconds = Math.max(0.001, (this.context.io.nowMs() - this.startedMs) / 1000);
    await this.report.print(this.context, this.options.dryRun, seconds);
  }

  private refuseUnknownNases(names: readonly string[]): void {
    for (const name of this.options.sessionsOf)
      if (!names.includes(name))
        throw new CommandError(`there is no NAS '${name}'`, `the entries in nas.d are ${names.join(', ')}`);
  }

  private async openSource(): Promise<FreeradiusDatabase | undefined> {
    const { source } = this.options;
    if (source.kind === 'users') return undefined;
    try {
      return await FreeradiusDatabase.open(source.url);
    } catch (error) {
      if (error instanceof FreeradiusSchemaError)
        throw new CommandError(
          `the FreeRADIUS database does not fit: ${error.message}`,
          'name the database that has radcheck',
        );
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
      throw new CommandError(`the FreeRADIUS database cannot be opened (${code})`, 'correct --database');
    }
  }

  private async transactions(pool: Pool, work: (inTransaction: InTransaction) => Promise<void>): Promise<void> {
    const actor = `${this.context.actor} import freeradius`;
    if (!this.options.dryRun) return await work((one) => this.attempt(pool, actor, one));
    try {
      await withActor(pool, actor, async (client) => {
        await work((one) => one(client));
        throw new TakeBack();
      });
    } catch (error) {
      if (!(error instanceof TakeBack)) throw error;
    }
  }

  private async attempt<Result>(
    pool: Pool,
    actor: string,
    work: (client: PoolClient) => Promise<Result>,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await withActor(pool, actor, work);
      } catch (error) {
        const passes = error instanceof BatchConflictError || classifyDatabaseError(error) === 'transient';
        if (!passes || attempt >= mostAttempts) throw error;
      }
    }
  }

  private async importUsers(source: FreeradiusDatabase | undefined, inTransaction: InTransaction): Promise<void> {
    const tell = (where: string, login: string | null, problem: string) => this.report.tellRow(where, login, problem);
    const config = await this.context.config();
    const passwords = new SealingPasswords(config.radius.passwordKey.octets());
    const settings = await this.mappingSettings();
    const { source: from } = this.options;
    const slices =
      source !== undefined ? usersOfDatabase(source, tell) : usersOfFile(from.kind === 'users' ? from.file : '', tell);
    for await (const slice of slices) {
      const mapped = slice.flatMap((user) => this.map(user, settings, passwords));
      await inTransaction((client) => this.writeUsers(client, mapped, passwords)).then((tellAll) => tellAll());
      this.progress.update(this.report.progressText);
    }
  }

  private async mappingSettings(): Promise<MappingSettings> {
    const config = await this.context.config();
    const zone = await this.context.timeZone();
    const nowMs = this.context.io.nowMs();
    const nases = new NasFinder(config, this.options.identifiers);
    return {
      fallThrough: this.options.source.kind === 'database' ? 'own-goes-on' : 'stops',
      defaultSessionLimit: this.options.defaultSessionLimit,
      nowMs,
      instantOf: (local) => {
        try {
          return parseInstant(local, zone, nowMs).getTime();
        } catch (error) {
          if (error instanceof CommandError) return undefined;
          throw error;
        }
      },
      nasNameOf: (name) => nases.nameOf(name),
    };
  }

  private map(user: SourceUser, settings: MappingSettings, passwords: SealingPasswords): MappedUser[] {
    const { report } = this;
    report.users.read += 1;
    const where = user.stanzas[0]?.origin ?? 'users';
    const refuse = (error: string): MappedUser[] => {
      report.refuse('users', where, user.login, error);
      return [];
    };
    const octets = Buffer.byteLength(user.login, 'utf8');
    if (octets > longestLoginOctets)
      return refuse(`has ${String(octets)} octets; a login has 1 to ${String(longestLoginOctets)}`);
    if (/[\0\ufffd]/u.test(user.login)) return refuse('the login is no text in UTF-8');
    const mapped = mapUser(user.login, user.stanzas, settings);
    const unreadable = mapped.password === null ? undefined : passwords.unreadable(mapped.password);
    if (unreadable !== undefined) return refuse(`the password has no usable stored form (${unreadable})`);
    if (mapped.staticAddress !== null) {
      const owner = this.addressOwners.get(mapped.staticAddress);
      if (owner !== undefined) return refuse(`has the address ${mapped.staticAddress}, which '${owner}' has too`);
      this.addressOwners.set(mapped.staticAddress, user.login);
    }
    for (const leftover of mapped.leftovers) report.leave(user.login, leftover);
    return [mapped];
  }

  private async writeUsers(
    client: PoolClient,
    users: readonly MappedUser[],
    passwords: SealingPasswords,
  ): Promise<() => void> {
    const after: (() => void)[] = [];
    const { pools } = await loadCatalogueIds(client);
    const rows: ImportRow[] = [];
    const plans = new Map(this.plansWritten);
    for (const [index, user] of users.entries()) {
      const poolId = this.poolIdOf(user.poolName, pools, after);
      const planPoolId = this.poolIdOf(user.plan.poolName, pools, after);
      const planId =
        poolId === undefined || planPoolId === undefined
          ? undefined
          : await this.planIdOf(client, user.plan, planPoolId, plans, after);
      if (planId === undefined) {
        const missing = poolId === undefined ? user.poolName : user.plan.poolName;
        after.push(() =>
          this.report.refuse(
            'users',
            'pools',
            user.login,
            missingOrClash(poolId === undefined || planPoolId === undefined, missing, user.plan.name),
          ),
        );
        continue;
      }
      rows.push(rowOf(user, index + 1, poolId ?? null, planId));
    }
    const settings = { actor: '', columns, passwords };
    const outcome = await writeWithoutTheBad(client, settings, rows);
    const unblocked = await liftBlocks(
      client,
      users.filter((user) => user.blockedReason === null).map((user) => user.login),
    );
    return () => {
      for (const one of after) one();
      this.report.users.added += outcome.added;
      this.report.users.changed += outcome.changed;
      this.report.users.unchanged += outcome.unchanged;
      this.report.users.unblocked += unblocked;
      for (const fault of outcome.faults) this.report.refuse('users', 'subscriber', null, describeFault(fault));
    };
  }

  /** @returns the pool's id, null without a pool, undefined when there is no such pool and there has to be */
  private poolIdOf(
    name: string | null,
    pools: ReadonlyMap<string, number>,
    after: (() => void)[],
  ): number | null | undefined {
    if (name === null) return null;
    const id = pools.get(name);
    if (id !== undefined) return id;
    after.push(() => this.report.missingPools.set(name, (this.report.missingPools.get(name) ?? 0) + 1));
    return this.options.withoutPools ? null : undefined;
  }

  /** @returns undefined when two different plans would have one name */
  private async planIdOf(
    client: PoolClient,
    plan: MappedPlan,
    poolId: number | null,
    plans: Map<string, { id: number; tuple: string }>,
    after: (() => void)[],
  ): Promise<number | undefined> {
    const tuple = JSON.stringify([plan.rateDownBps, plan.rateUpBps, poolId, plan.sessionLimit]);
    const known = plans.get(plan.name);
    if (known !== undefined) return known.tuple === tuple ? known.id : undefined;
    const { id, written } = await writePlan(client, plan, poolId);
    plans.set(plan.name, { id, tuple });
    // Known beyond this slice when it is committed: a slice that is attempted again writes its plans again.
    after.push(() => {
      this.plansWritten.set(plan.name, { id, tuple });
      this.report.plans[written] += 1;
    });
    return id;
  }

  private async importSessions(source: FreeradiusDatabase, inTransaction: InTransaction): Promise<void> {
    if (!source.hasAccounting) return;
    const config = await this.context.config();
    const nases = new NasFinder(config, this.options.identifiers);
    const sessions = new SessionImport(config, nases, this.options, this.report, this.context.io.nowMs());
    for await (const rows of source.openAccounting()) {
      await inTransaction((client) => sessions.write(client, rows)).then((tellAll) => tellAll());
      this.progress.update(this.report.progressText);
    }
    this.report.addressesMarked = await inTransaction(markAddressesInUse);
  }
}

function missingOrClash(poolMissing: boolean, pool: string | null, plan: string): string {
  return poolMissing
    ? `pool '${pool ?? ''}' does not exist; make it with: sluice pool add ${pool ?? 'NAME'} NETWORK, or import --without-pools`
    : `two different plans would both be called '${plan}'; shorten the names of groups`;
}

function rowOf(user: MappedUser, line: number, poolId: number | null, planId: number): ImportRow {
  return {
    line,
    login: user.login,
    contract: undefined,
    values: new Map<string, ImportValue>([
      ['password', user.password],
      ['mac', user.mac],
      ['static_address', user.staticAddress],
      ['pool_id', poolId],
      ['nas_name', user.nasName],
      ['associate_pppoe_mac', user.mac !== null],
      ['admin_blocked', user.blockedReason === null ? null : true],
      ['admin_blocked_reason', user.blockedReason],
      ['plan_id', planId],
    ]),
  };
}
