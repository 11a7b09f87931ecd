/**
 * One PostgreSQL for both sides. Enters: how many subscribers. Leaves: a cluster with two databases that hold the same people, one in Sluice's
 * tables and one in FreeRADIUS'. Invariant: the same settings, indexes and fresh statistics for both; every commit is on disk before it is
 * answered.
 */
import { readFile } from 'node:fs/promises';
import type pg from 'pg';
import { migrate } from '../../src/store/migrate.js';
import { APPLICATION_ROLE, asClient, TestPostgres } from '../support/postgres-server.js';
import {
  INTERIM_SECONDS,
  POOL_ADDRESSES,
  POOL_NAME,
  POOL_NETWORK,
  poolPerson,
  RATE_DOWN_BPS,
  RATE_LIMIT,
  RATE_UP_BPS,
  STATIC_SUBSCRIBERS,
  staticPerson,
  type Person,
} from './world.js';

/** As a provider would run it on a small machine; what is not named is PostgreSQL's default. */
export const POSTGRES_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  shared_buffers: '512MB',
  max_wal_size: '4GB',
  max_connections: '200',
};

/** Where Debian keeps the tables of FreeRADIUS. */
const SCHEMAS = '/etc/freeradius/3.0/mods-config/sql';
/** Rows of one INSERT. */
const SLICE = 10_000;
const SLUICE = 'sluice';
const RADIUS = 'radius';

export interface Databases {
  readonly postgres: TestPostgres;
  readonly sluiceUrl: string;
  /** Undefined without FreeRADIUS. */
  readonly radiusUrl: string | undefined;
  /** Runs statements in Sluice's database, or in the other. */
  readonly inSluice: <T>(use: (client: pg.Client) => Promise<T>) => Promise<T>;
  readonly inRadius: <T>(use: (client: pg.Client) => Promise<T>) => Promise<T>;
  /** Both start a round with an empty WAL cycle, or one would pay for the other's checkpoint. */
  readonly checkpoint: () => Promise<void>;
}

/** The pool has some more addresses than people who ask, so that it never runs dry. */
function poolAddresses(poolSubscribers: number): number {
  return Math.min(POOL_ADDRESSES, Math.ceil(poolSubscribers * 1.1) + 1_000);
}

/** Makes the cluster and fills it. @param poolSubscribers people without an address of their own */
export async function makeDatabases(poolSubscribers: number, withRadius: boolean): Promise<Databases> {
  const postgres = await TestPostgres.create({ ...POSTGRES_SETTINGS });
  try {
    const url = (database: string): string => postgres.urlFor(database);
    for (const database of withRadius ? [SLUICE, RADIUS] : [SLUICE])
      await postgres.asAdmin((client) => client.query(`CREATE DATABASE ${database} OWNER ${APPLICATION_ROLE}`));
    await migrate(url(SLUICE));
    await asClient(url(SLUICE), (client) => fillSluice(client, poolSubscribers));
    if (withRadius) await asClient(url(RADIUS), (client) => fillRadius(client, poolSubscribers));
    return {
      postgres,
      sluiceUrl: url(SLUICE),
      radiusUrl: withRadius ? url(RADIUS) : undefined,
      inSluice: (use) => asClient(url(SLUICE), use),
      inRadius: (use) => asClient(url(RADIUS), use),
      checkpoint: async () => {
        await postgres.asAdmin((client) => client.query('CHECKPOINT'));
      },
    };
  } catch (error) {
    await postgres.remove();
    throw error;
  }
}

interface Row extends Person {
  readonly address: string | null;
}

function* people(poolSubscribers: number): Generator<Row[]> {
  let rows: Row[] = [];
  for (let n = 1; n <= STATIC_SUBSCRIBERS + poolSubscribers; n++) {
    rows.push(n <= STATIC_SUBSCRIBERS ? staticPerson(n) : { ...poolPerson(n - STATIC_SUBSCRIBERS), address: null });
    if (rows.length < SLICE) continue;
    yield rows;
    rows = [];
  }
  if (rows.length > 0) yield rows;
}

const columns = (rows: readonly Row[]): (string | null)[][] => [
  rows.map((row) => row.login),
  rows.map((row) => row.password),
  rows.map((row) => row.address),
];

async function fillSluice(client: pg.Client, poolSubscribers: number): Promise<void> {
  await client.query('INSERT INTO pool (id, name) VALUES (1, $1)', [POOL_NAME]);
  await client.query('INSERT INTO pool_network (pool_id, network) VALUES (1, $1)', [POOL_NETWORK]);
  await client.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id)
     SELECT 'default', host(network($1::cidr) + i)::inet, 1 FROM generate_series(0, $2::int - 1) AS i`,
    [POOL_NETWORK, poolAddresses(poolSubscribers)],
  );
  await client.query('INSERT INTO plan (id, name, rate_down_bps, rate_up_bps, pool_id) VALUES (1, $1, $2, $3, 1)', [
    'home',
    RATE_DOWN_BPS,
    RATE_UP_BPS,
  ]);
  for (const rows of people(poolSubscribers)) {
    await client.query(
      `WITH given AS (SELECT * FROM unnest($1::text[], $2::text[], $3::inet[]) AS g (login, password, address)),
         made AS (INSERT INTO account (contract, plan_id) SELECT login, 1 FROM given RETURNING id, contract)
       INSERT INTO subscriber (account_id, login, password, static_address)
       SELECT made.id, login, password, address FROM given JOIN made ON made.contract = given.login`,
      columns(rows),
    );
  }
  await client.query('VACUUM ANALYZE');
}

async function fillRadius(client: pg.Client, poolSubscribers: number): Promise<void> {
  await client.query(await readFile(`${SCHEMAS}/main/postgresql/schema.sql`, 'utf8'));
  await client.query(await readFile(`${SCHEMAS}/ippool/postgresql/schema.sql`, 'utf8'));
  await client.query(await readFile(`${SCHEMAS}/ippool/postgresql/procedure.sql`, 'utf8'));
  for (const rows of people(poolSubscribers)) {
    const given = 'unnest($1::text[], $2::text[], $3::text[]) AS g (login, password, address)';
    const values = columns(rows);
    await client.query(
      `WITH reply AS (INSERT INTO radreply (username, attribute, op, value)
           SELECT login, attribute, ':=', value FROM ${given},
             LATERAL (VALUES ('Framed-IP-Address', address), ('Framed-IP-Netmask', '255.255.255.255')) AS a (attribute, value)
           WHERE address IS NOT NULL),
         member AS (INSERT INTO radusergroup (username, groupname, priority) SELECT login, 'home', 1 FROM ${given})
       INSERT INTO radcheck (username, attribute, op, value) SELECT login, 'Cleartext-Password', ':=', password FROM ${given}`,
      values,
    );
  }
  await client.query(
    `INSERT INTO radgroupreply (groupname, attribute, op, value) SELECT 'home', attribute, ':=', value
     FROM unnest($1::text[], $2::text[]) AS g (attribute, value)`,
    [
      ['Service-Type', 'Framed-Protocol', 'Mikrotik-Rate-Limit', 'Acct-Interim-Interval'],
      ['Framed-User', 'PPP', RATE_LIMIT, String(INTERIM_SECONDS)],
    ],
  );
  await client.query(
    `INSERT INTO radippool (pool_name, framedipaddress, expiry_time)
     SELECT $1, host(network($2::cidr) + i)::inet, now() - interval '1 day' FROM generate_series(0, $3::int - 1) AS i`,
    [POOL_NAME, POOL_NETWORK, poolAddresses(poolSubscribers)],
  );
  await client.query('VACUUM ANALYZE');
}
