/**
 * Open sessions of FreeRADIUS as live ones of ours.
 *
 * Enters: open rows of radacct, the NAS entries of the configuration. Leaves: facts that `store/freeradius-import.ts` folds.
 * Invariants: a session is kept under the names that the packets of its NAS will give; nobody's session is given to somebody
 * else; a row that is dead, or whose NAS is unknown, is counted and left alone.
 */
import type { PoolClient } from 'pg';
import type { Config, NasEntry } from '../config/config.js';
import { buildSourceTable } from '../config/source-table.js';
import type { SourceTable } from '../config/source-table.js';
import type { SessionFact } from '../domain/accounting-fact.js';
import { openAccountingFacts } from '../domain/freeradius-accounting.js';
import type { AccountingNas, OpenAccounting } from '../domain/freeradius-accounting.js';
import { loginOf, macOf } from '../nas/identity.js';
import { knownBoxes, subscribersNamed, writeSessions } from '../store/freeradius-import.js';
import type { FreeradiusImportOptions } from './import-freeradius-options.js';
import type { ImportReport } from './import-freeradius-report.js';

/** Updates this soon after the Start are the Start itself, ms. */
const startItselfMs = 10_000;

const hourMs = 3_600_000;

/** Finds the NAS entry and the box of a NAS-IP-Address. */
export class NasFinder {
  private readonly table: SourceTable<null>;
  private readonly boxes = new Map<string, string | undefined>();

  constructor(
    private readonly config: Config,
    private readonly identifiers: ReadonlyMap<string, string>,
  ) {
    this.table = buildSourceTable(config.nas, () => null);
  }

  /** The entry that packets with this NAS-IP-Address belong to; undefined when there is none, or several. */
  entryOf(address: string): NasEntry | undefined {
    const byName = this.config.nas.filter((entry) => entry.nasIpAddress === address);
    if (byName.length === 1) return byName[0];
    const identifier = this.identifiers.get(address);
    const possible = (this.table.lookup(address)?.entries ?? []).filter(
      (entry) =>
        (entry.nasIpAddress === undefined || entry.nasIpAddress === address) &&
        (identifier === undefined || entry.nasIdentifier === undefined || entry.nasIdentifier === identifier),
    );
    const named = possible.filter((entry) => entry.nasIdentifier !== undefined && entry.nasIdentifier === identifier);
    const candidates = named.length > 0 ? named : possible;
    return candidates.length === 1 ? candidates[0] : undefined;
  }

  /** The name of the entry for an address or NAS-Identifier. */
  nameOf(addressOrIdentifier: string): string | undefined {
    const named = this.config.nas.filter((entry) => entry.nasIdentifier === addressOrIdentifier);
    return named.length === 1 ? named[0]!.name : this.entryOf(addressOrIdentifier)?.name;
  }

  /**
   * The NAS of a row, with the name of its box: what was given, what the entry says, what it is known by already; else its
   * address, and `guessed` is told.
   */
  async nasOf(
    client: PoolClient,
    address: string,
    guessed: (name: string) => void,
  ): Promise<(AccountingNas & { entry: NasEntry }) | undefined> {
    const entry = this.entryOf(address);
    if (entry === undefined) return undefined;
    if (!this.boxes.has(address)) this.boxes.set(address, await this.boxOf(client, entry, address));
    const box = this.boxes.get(address);
    if (box === undefined) guessed(entry.name);
    return { entry, nasName: entry.name, nasBox: box ?? address, routingDomain: entry.routingDomain };
  }

  private async boxOf(client: PoolClient, entry: NasEntry, address: string): Promise<string | undefined> {
    const told = this.identifiers.get(address) ?? entry.nasIdentifier;
    if (told !== undefined) return told;
    // One that is known by a single name other than this address sends that name.
    const known = (await knownBoxes(client, entry.name)).filter((box) => box !== address);
    return known.length === 1 && entry.addresses.length === 1 && !entry.addresses[0]!.includes('/')
      ? known[0]
      : undefined;
  }
}

/** One slice of rows on its way into the database. */
export class SessionImport {
  constructor(
    private readonly config: Config,
    private readonly nases: NasFinder,
    private readonly options: Pick<FreeradiusImportOptions, 'sessionsOf' | 'staleHours'>,
    private readonly report: ImportReport,
    private readonly nowMs: number,
  ) {}

  /** Writes a slice in the caller's transaction. Counts are returned as a function, to be called when it is committed. */
  async write(client: PoolClient, rows: readonly OpenAccounting[]): Promise<() => void> {
    const after: (() => void)[] = [];
    const { report } = this;
    const facts: SessionFact[] = [];
    const names = new Map<SessionFact, { login: string; mac: string | undefined }>();
    for (const row of rows) {
      after.push(() => (report.sessions.read += 1));
      const nas = await this.nases.nasOf(client, row.nasAddress, (name) => report.guessedBoxes.add(name));
      if (nas === undefined) {
        after.push(() => report.unknownNases.set(row.nasAddress, (report.unknownNases.get(row.nasAddress) ?? 0) + 1));
        continue;
      }
      if (this.options.sessionsOf.length > 0 && !this.options.sessionsOf.includes(nas.nasName)) {
        after.push(() => (report.sessions.not_asked_for += 1));
        continue;
      }
      if (this.isStale(row)) {
        after.push(() => (report.sessions.stale += 1));
        continue;
      }
      const { entry, ...place } = nas;
      const made = openAccountingFacts(row, place, this.nowMs);
      if (!made.ok) {
        after.push(() => report.refuse('sessions', `radacct ${row.id}`, row.login, made.problem));
        continue;
      }
      const name = this.namesOf(entry, row);
      for (const fact of made.facts) {
        facts.push(fact);
        names.set(fact, name);
      }
    }
    const logins = new Set([...names.values()].map((name) => name.login));
    const macs = new Set([...names.values()].flatMap((name) => (name.mac === undefined ? [] : [name.mac])));
    const { byLogin, byMac } = await subscribersNamed(client, [...logins], [...macs]);
    const resolve = (fact: SessionFact): number | 'ambiguous' | null => {
      const name = names.get(fact);
      if (name === undefined) return null;
      const owners = name.mac === undefined ? [] : (byMac.get(name.mac) ?? []);
      return byLogin.get(name.login) ?? (owners.length > 1 ? 'ambiguous' : (owners[0] ?? null));
    };
    const unknown = facts.filter((fact) => fact.status === 'start' && resolve(fact) === null).length;
    const written = await writeSessions(client, facts, resolve);
    after.push(() => {
      report.sessions.added += written.added;
      report.sessions.known += written.known;
      report.sessions.closed += written.closed;
      report.sessions.without_subscriber += unknown;
      for (const { login, address, acctSessionId } of written.conflicts)
        report.conflicts.push({ login, address, acct_session_id: acctSessionId });
    });
    return () => {
      for (const one of after) one();
    };
  }

  /** A row without any update may belong to a NAS that sends none: it counts as alive. */
  private isStale(row: OpenAccounting): boolean {
    const { startedAtMs, updatedAtMs } = row;
    if (updatedAtMs === null || (startedAtMs !== null && updatedAtMs - startedAtMs < startItselfMs)) return false;
    return this.nowMs - updatedAtMs > this.options.staleHours * hourMs;
  }

  private namesOf(entry: NasEntry, row: OpenAccounting): { login: string; mac: string | undefined } {
    const profile = Object.hasOwn(this.config.profiles, entry.profile)
      ? this.config.profiles[entry.profile]
      : undefined;
    if (profile === undefined) return { login: row.login, mac: undefined };
    const mac = profile.identity.includes('mac')
      ? macOf(profile.mac, row.login, row.callingStation ?? undefined)
      : undefined;
    return { login: loginOf(profile.realm, row.login).login, mac };
  }
}
