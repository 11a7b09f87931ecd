/**
 * The tables of FreeRADIUS' stock schema on PostgreSQL, read.
 *
 * Enters: a connection to that database. Leaves: users with their rows, groups, open accounting. Invariants: nothing is
 * ever written there (the transaction is read only, and one snapshot); memory holds one slice of users, however many there are.
 */
import pg from 'pg';
import type { OpenAccounting } from '../domain/freeradius-accounting.js';

/** A row of radcheck, radreply, radgroupcheck or radgroupreply. */
export interface FreeradiusRow {
  readonly attribute: string;
  readonly op: string | null;
  readonly value: string | null;
}

/** A user and everything that names him. */
export interface FreeradiusUser {
  readonly name: string;
  readonly checks: readonly FreeradiusRow[];
  readonly replies: readonly FreeradiusRow[];
  /** By priority, as FreeRADIUS processes them. */
  readonly groups: readonly string[];
}

/** A group with its rows. */
export interface FreeradiusGroup {
  readonly checks: readonly FreeradiusRow[];
  readonly replies: readonly FreeradiusRow[];
}

/** Users of one slice: some tens of thousands of rows in memory. */
const usersAtOnce = 5_000;

/** Rows of accounting of one slice. */
const sessionsAtOnce = 1_000;

/** Rows of groups in all: groups are held together, and a provider has hundreds. */
const mostGroupRows = 200_000;

/** The first slice sorts all names, ms. */
const statementTimeoutMs = 600_000;

/** A database that is up answers within moments, ms. */
const connectTimeoutMs = 10_000;

/** Tables that must be there; radacct may be elsewhere. */
const neededTables = ['radcheck', 'radreply', 'radusergroup', 'radgroupcheck', 'radgroupreply'] as const;

/** The database is there and is not what was expected. */
export class FreeradiusSchemaError extends Error {
  override readonly name = 'FreeradiusSchemaError';

  constructor(
    readonly reason: 'tables-missing' | 'too-many-group-rows',
    readonly tables: readonly string[],
  ) {
    super(
      reason === 'tables-missing' ? `tables are missing: ${tables.join(', ')}` : 'there are too many rows of groups',
    );
  }
}

/** One reading of the database. Close it, whatever happens. */
export class FreeradiusDatabase {
  private constructor(
    private readonly client: pg.Client,
    /** Whether there is a table radacct. */
    readonly hasAccounting: boolean,
  ) {}

  /**
   * Connects and takes a snapshot.
   *
   * @param url `postgres://…`
   * @throws FreeradiusSchemaError, or the connection's error
   */
  static async open(url: string): Promise<FreeradiusDatabase> {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'sluice/import',
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
    });
    // A connection that breaks is told by the query that was on its way, or by the next one.
    client.on('error', () => undefined);
    await client.connect();
    try {
      await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      const { rows } = await client.query<{ name: string; there: boolean }>(
        `SELECT name, to_regclass(name) IS NOT NULL AS there FROM unnest($1::text[]) AS t (name)`,
        [[...neededTables, 'radacct']],
      );
      const missing = rows.filter((row) => !row.there && row.name !== 'radacct').map((row) => row.name);
      if (missing.length > 0) throw new FreeradiusSchemaError('tables-missing', missing);
      return new FreeradiusDatabase(
        client,
        rows.some((row) => row.name === 'radacct' && row.there),
      );
    } catch (error) {
      await client.end();
      throw error;
    }
  }

  /** Ends the snapshot and the connection. */
  async close(): Promise<void> {
    await this.client.end();
  }

  /** All groups by name. @throws FreeradiusSchemaError when they are more than anybody has */
  async groups(): Promise<Map<string, FreeradiusGroup>> {
    const groups = new Map<string, { checks: FreeradiusRow[]; replies: FreeradiusRow[] }>();
    for (const [table, list] of [
      ['radgroupcheck', 'checks'],
      ['radgroupreply', 'replies'],
    ] as const) {
      const { rows } = await this.client.query<FreeradiusRow & { groupname: string }>(
        `SELECT groupname, attribute, op, value FROM ${table} ORDER BY id LIMIT ${String(mostGroupRows + 1)}`,
      );
      if (rows.length > mostGroupRows) throw new FreeradiusSchemaError('too-many-group-rows', [table]);
      for (const { groupname, ...row } of rows) {
        const group = groups.get(groupname) ?? { checks: [], replies: [] };
        groups.set(groupname, group);
        group[list].push(row);
      }
    }
    return groups;
  }

  /** Every name that occurs, in order, some at a time. */
  async *users(): AsyncGenerator<readonly FreeradiusUser[]> {
    await this.client.query(
      `DECLARE sluice_users NO SCROLL CURSOR FOR
         SELECT username FROM (
           SELECT username FROM radcheck UNION SELECT username FROM radreply UNION SELECT username FROM radusergroup) AS u
          WHERE username <> '' ORDER BY username COLLATE "C"`,
    );
    for (;;) {
      const { rows } = await this.client.query<{ username: string }>(`FETCH ${String(usersAtOnce)} FROM sluice_users`);
      if (rows.length === 0) break;
      yield await this.rowsOf(rows.map((row) => row.username));
    }
    await this.client.query('CLOSE sluice_users');
  }

  private async rowsOf(names: readonly string[]): Promise<FreeradiusUser[]> {
    const users = new Map(
      names.map((name) => [
        name,
        { name, checks: [] as FreeradiusRow[], replies: [] as FreeradiusRow[], groups: [] as string[] },
      ]),
    );
    for (const [table, list] of [
      ['radcheck', 'checks'],
      ['radreply', 'replies'],
    ] as const) {
      const { rows } = await this.client.query<FreeradiusRow & { username: string }>(
        `SELECT username, attribute, op, value FROM ${table} WHERE username = ANY ($1::text[]) ORDER BY id`,
        [names],
      );
      for (const { username, ...row } of rows) users.get(username)?.[list].push(row);
    }
    const { rows } = await this.client.query<{ username: string; groupname: string }>(
      `SELECT username, groupname FROM radusergroup WHERE username = ANY ($1::text[]) ORDER BY username, priority, id`,
      [names],
    );
    for (const row of rows) users.get(row.username)?.groups.push(row.groupname);
    return [...users.values()];
  }

  /** Accounting that has no Stop, the oldest sessions first, some at a time. */
  async *openAccounting(): AsyncGenerator<readonly OpenAccounting[]> {
    // As JSON, because the columns differ from release to release; one that is not there is null.
    await this.client.query(
      `DECLARE sluice_accounting NO SCROLL CURSOR FOR
         SELECT to_jsonb(r) AS row, extract(epoch FROM r.acctstarttime) * 1000 AS started_ms
           FROM radacct r WHERE r.acctstoptime IS NULL ORDER BY r.acctstarttime, r.radacctid`,
    );
    for (;;) {
      const { rows } = await this.client.query<{
        row: Readonly<Record<string, unknown>>;
        started_ms: string | number | null;
      }>(`FETCH ${String(sessionsAtOnce)} FROM sluice_accounting`);
      if (rows.length === 0) break;
      yield rows.map(({ row, started_ms: startedMs }) => readAccounting(row, startedMs));
    }
    await this.client.query('CLOSE sluice_accounting');
  }
}

function readAccounting(row: Readonly<Record<string, unknown>>, startedMs: string | number | null): OpenAccounting {
  const text = (name: string): string | null => {
    const value = row[name];
    if (typeof value === 'number') return String(value);
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const whole = (name: string): number | null => {
    const value = Number(row[name] ?? Number.NaN);
    return Number.isSafeInteger(value) && value >= 0 ? value : null;
  };
  // `inet` columns of single addresses come without a mask, except where somebody wrote one.
  const address = (name: string): string | null => text(name)?.replace(/\/\d+$/u, '') ?? null;
  const updated = text('acctupdatetime');
  const updatedAtMs = updated === null ? Number.NaN : Date.parse(updated);
  return {
    id: text('radacctid') ?? '',
    acctSessionId: text('acctsessionid') ?? '',
    login: text('username') ?? '',
    nasAddress: address('nasipaddress') ?? '',
    nasPortId: text('nasportid'),
    startedAtMs: startedMs === null ? null : Math.round(Number(startedMs)),
    updatedAtMs: Number.isNaN(updatedAtMs) ? null : updatedAtMs,
    sessionSeconds: whole('acctsessiontime'),
    inputOctets: whole('acctinputoctets'),
    outputOctets: whole('acctoutputoctets'),
    calledStation: text('calledstationid'),
    callingStation: text('callingstationid'),
    address: address('framedipaddress'),
  };
}
