/**
 * Subscribers by the hundred. Enters: how many of which kind. Leaves: their rows, by plain SQL as a billing program would write them, and what
 * a NAS needs to log them in. Invariant: logins and MACs are unique over all calls with different prefixes.
 */
import type pg from 'pg';

/** One subscriber as seen from the line: what his router sends. */
export interface Household {
  readonly login: string;
  readonly password: string;
  readonly mac: string;
  /** Undefined: an address of the pool. */
  readonly staticAddress: string | undefined;
}

export interface PopulationOptions {
  readonly prefix: string;
  readonly staticCount: number;
  readonly dynamicCount: number;
  /** Octet 3 of the MACs, so that two populations never share one. */
  readonly macByte?: number;
  readonly planId: number;
  readonly poolId: number;
  /** Without a mask: the first static address; the next ones follow it. */
  readonly firstStaticAddress?: string;
}

/** Adds a plan with the usual rates. @returns its id */
export async function insertPlan(pool: pg.Pool, name = 'home', sessionLimit = 1): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    `INSERT INTO plan (name, rate_down_bps, rate_up_bps, session_limit) VALUES ($1, 50000000, 10000000, $2) RETURNING id`,
    [name, sessionLimit],
  );
  return rows[0]!.id;
}

/** Adds a pool with every host address of a network. @returns its id */
export async function insertPool(
  pool: pg.Pool,
  network: string,
  options: { name?: string; quarantineSeconds?: number } = {},
): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    `WITH made AS (INSERT INTO pool (name, quarantine_seconds) VALUES ($1, $2) RETURNING id, routing_domain),
       networked AS (INSERT INTO pool_network (pool_id, network) SELECT id, $3::cidr FROM made),
       addressed AS (
         INSERT INTO pool_address (routing_domain, address, pool_id)
         SELECT routing_domain, host($3::inet + step)::inet, id
         FROM made, generate_series(1, (2 ^ (32 - masklen($3::inet)))::bigint - 2) AS step)
     SELECT id FROM made`,
    [options.name ?? 'main', options.quarantineSeconds ?? 60, network],
  );
  return rows[0]!.id;
}

/** Adds the subscribers, each with an account of its own. */
export async function insertPopulation(pool: pg.Pool, options: PopulationOptions): Promise<Household[]> {
  const { prefix, staticCount, dynamicCount, planId, poolId, macByte = 0 } = options;
  const households = Array.from({ length: staticCount + dynamicCount }, (_, i): Household => ({
    login: `${prefix}${String(i)}`,
    password: `password-of-${prefix}${String(i)}`,
    mac: `02:00:${hex(macByte)}:${hex(i >> 16)}:${hex(i >> 8)}:${hex(i)}`,
    staticAddress: i < staticCount ? nthAddress(options.firstStaticAddress ?? '10.20.0.1', i) : undefined,
  }));
  const columns = [
    households.map((one) => one.login),
    households.map((one) => one.password),
    households.map((one) => one.mac),
    households.map((one) => one.staticAddress ?? null),
  ];
  await pool.query(
    `WITH wanted AS (
       SELECT * FROM unnest($1::text[], $2::text[], $3::macaddr[], $4::inet[]) AS w (login, password, mac, address)),
     made AS (INSERT INTO account (contract, plan_id) SELECT 'contract-' || login, $5 FROM wanted RETURNING id, contract)
     INSERT INTO subscriber (account_id, login, password, mac, static_address, pool_id)
     SELECT m.id, w.login, w.password, w.mac, w.address, CASE WHEN w.address IS NULL THEN $6::bigint END
     FROM wanted w JOIN made m ON m.contract = 'contract-' || w.login`,
    [...columns, planId, poolId],
  );
  return households;
}

function hex(value: number): string {
  return (value & 255).toString(16).padStart(2, '0');
}

function nthAddress(first: string, n: number): string {
  const number = first.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) + n;
  return [24, 16, 8, 0].map((shift) => String((number >>> shift) & 255)).join('.');
}
