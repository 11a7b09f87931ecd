/**
 * The tables of FreeRADIUS, as its stock schema has them, and rows in them.
 *
 * Enters: a connection. Leaves: tables and rows. Invariant: the columns are those of FreeRADIUS 3 on PostgreSQL, as far as the
 * server and the import use them.
 */
import type pg from 'pg';

type Client = Pick<pg.Client, 'query'>;

/** `[name, attribute, op, value]`. */
export type FreeradiusItem = readonly [string, string, string, string];

/** What the tables hold. */
export interface FreeradiusRows {
  readonly check?: readonly FreeradiusItem[];
  readonly reply?: readonly FreeradiusItem[];
  readonly groupCheck?: readonly FreeradiusItem[];
  readonly groupReply?: readonly FreeradiusItem[];
  /** `[login, group, priority]`. */
  readonly groups?: readonly (readonly [string, string, number])[];
}

const items = (table: string, name: string) => `CREATE TABLE ${table} (
  id serial PRIMARY KEY, ${name} text NOT NULL DEFAULT '', attribute text NOT NULL DEFAULT '',
  op varchar(2) NOT NULL DEFAULT '==', value text NOT NULL DEFAULT '');
  CREATE INDEX ${table}_name ON ${table} (${name}, attribute);`;

/** Makes the tables. */
export async function createFreeradiusTables(client: Client): Promise<void> {
  for (const [table, name] of [
    ['radcheck', 'username'],
    ['radreply', 'username'],
    ['radgroupcheck', 'groupname'],
    ['radgroupreply', 'groupname'],
  ] as const)
    await client.query(items(table, name));
  await client.query(`
    CREATE TABLE radusergroup (id serial PRIMARY KEY, username text NOT NULL DEFAULT '', groupname text NOT NULL DEFAULT '',
      priority integer NOT NULL DEFAULT 0);
    CREATE INDEX radusergroup_name ON radusergroup (username);
    CREATE TABLE radpostauth (id bigserial PRIMARY KEY, username text NOT NULL, pass text, reply text, calledstationid text,
      callingstationid text, authdate timestamptz NOT NULL DEFAULT now(), class text);
    CREATE TABLE nas (id serial PRIMARY KEY, nasname text NOT NULL, shortname text NOT NULL, type text NOT NULL DEFAULT 'other',
      ports integer, secret text NOT NULL, server text, community text, description text);
    CREATE TABLE radacct (radacctid bigserial PRIMARY KEY, acctsessionid text NOT NULL, acctuniqueid text NOT NULL UNIQUE,
      username text, groupname text, realm text, nasipaddress inet NOT NULL, nasportid text, nasporttype text,
      acctstarttime timestamptz, acctupdatetime timestamptz, acctstoptime timestamptz, acctinterval bigint,
      acctsessiontime bigint, acctauthentic text, connectinfo_start text, connectinfo_stop text, acctinputoctets bigint,
      acctoutputoctets bigint, calledstationid text, callingstationid text, acctterminatecause text, servicetype text,
      framedprotocol text, framedipaddress inet, framedipv6address inet, framedipv6prefix inet, framedinterfaceid text,
      delegatedipv6prefix inet, class text);`);
}

/** Fills the tables. */
export async function insertFreeradiusRows(client: Client, rows: FreeradiusRows): Promise<void> {
  for (const [table, name, list] of [
    ['radcheck', 'username', rows.check],
    ['radreply', 'username', rows.reply],
    ['radgroupcheck', 'groupname', rows.groupCheck],
    ['radgroupreply', 'groupname', rows.groupReply],
  ] as const) {
    if (list === undefined) continue;
    await client.query(
      `INSERT INTO ${table} (${name}, attribute, op, value) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])`,
      [0, 1, 2, 3].map((at) => list.map((item) => item[at])),
    );
  }
  if (rows.groups !== undefined)
    await client.query(
      'INSERT INTO radusergroup (username, groupname, priority) SELECT * FROM unnest($1::text[], $2::text[], $3::int[])',
      [0, 1, 2].map((at) => rows.groups!.map((row) => row[at])),
    );
}

/** An open session. */
export interface OpenRow {
  readonly acctSessionId: string;
  readonly login: string;
  readonly nas: string;
  readonly address: string | null;
  readonly callingStation?: string;
  readonly startedAtMs: number;
  readonly updatedAtMs?: number;
  readonly inputOctets?: number;
  readonly outputOctets?: number;
}

/** Adds open sessions. */
export async function insertOpenSessions(client: Client, rows: readonly OpenRow[]): Promise<void> {
  await client.query(
    `INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, framedipaddress, callingstationid, acctstarttime,
       acctupdatetime, acctsessiontime, acctinputoctets, acctoutputoctets)
     SELECT r.id, r.id || r.nas, r.login, r.nas, r.address, r.calling, to_timestamp(r.started / 1000.0), to_timestamp(r.updated / 1000.0),
       ((r.updated - r.started) / 1000)::bigint, r.input, r.output
     FROM unnest($1::text[], $2::text[], $3::inet[], $4::inet[], $5::text[], $6::float8[], $7::float8[], $8::bigint[], $9::bigint[])
       AS r (id, login, nas, address, calling, started, updated, input, output)`,
    [
      rows.map((row) => row.acctSessionId),
      rows.map((row) => row.login),
      rows.map((row) => row.nas),
      rows.map((row) => row.address),
      rows.map((row) => row.callingStation ?? ''),
      rows.map((row) => row.startedAtMs),
      rows.map((row) => row.updatedAtMs ?? row.startedAtMs),
      rows.map((row) => row.inputOctets ?? 0),
      rows.map((row) => row.outputOctets ?? 0),
    ],
  );
}
