/**
 * The servers on one database. Enters: what an instance knows of itself. Leaves: the `instance` and `nas` rows, and the lock on a
 * name. Invariant: two living servers never share a name.
 */
import type pg from 'pg';
import type { Pool } from 'pg';

/** First key of our session locks: any fixed number of our own. */
const INSTANCE_LOCK = 0x51_0c_e0_01;
export const SWEEPER_LOCK = 0x51_0c_e0_02;

/** Another living server has this name. */
export class TwinInstanceError extends Error {
  override readonly name = 'TwinInstanceError';

  constructor(instance: string) {
    super(
      `another server named ${JSON.stringify(instance)} is running on this database; give each its own [server] instance in sluice.toml`,
    );
  }
}

/** @returns whether this connection now holds the name, until it ends */
export async function lockInstanceName(client: pg.ClientBase, instance: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, hashtext($2)) AS locked', [
    INSTANCE_LOCK,
    instance,
  ]);
  return rows[0]!.locked;
}

/** @returns whether this connection now is the one that sweeps, until it ends */
export async function lockSweeper(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, 0) AS locked', [
    SWEEPER_LOCK,
  ]);
  return rows[0]!.locked;
}

export async function beginInstance(pool: Pool, instance: string, spoolUuid: string): Promise<void> {
  await pool.query(
    `INSERT INTO instance (name, started_at, heartbeat_at, caught_up_at, spool_uuid) VALUES ($1, now(), now(), now(), $2)
     ON CONFLICT (name) DO UPDATE SET started_at = now(), heartbeat_at = now(), stopped_at = NULL, spool_uuid = $2`,
    [instance, spoolUuid],
  );
}

/** Times of the database itself, so that after its clock was set back the next beat says what is true by the new time. */
export async function beat(pool: Pool, instance: string, caughtUpAtMs: number | undefined): Promise<void> {
  await pool.query(
    `UPDATE instance SET heartbeat_at = now(), stopped_at = NULL,
       caught_up_at = CASE WHEN caught_up_at > now() THEN coalesce(to_timestamp($2::float8 / 1000.0), 'epoch')
         ELSE greatest(caught_up_at, to_timestamp($2::float8 / 1000.0)) END WHERE name = $1`,
    [instance, caughtUpAtMs ?? null],
  );
}

export async function endInstance(pool: Pool, instance: string): Promise<void> {
  await pool.query('UPDATE instance SET stopped_at = now(), heartbeat_at = now() WHERE name = $1', [instance]);
}

export interface NasSighting {
  readonly name: string;
  readonly profile: string;
  readonly lastPacketAtMs: number;
  readonly lastAccountingAtMs: number | null;
}

export async function noteNases(pool: Pool, sightings: readonly NasSighting[]): Promise<void> {
  if (sightings.length === 0) return;
  await pool.query(
    `INSERT INTO nas (name, profile, last_packet_at, last_accounting_at)
     SELECT n.name, n.profile, to_timestamp(n.packet_ms / 1000.0), to_timestamp(n.accounting_ms / 1000.0)
     FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[]) AS n (name, profile, packet_ms, accounting_ms) ORDER BY 1
     ON CONFLICT (name) DO UPDATE SET profile = excluded.profile,
       last_packet_at = greatest(nas.last_packet_at, excluded.last_packet_at),
       last_accounting_at = greatest(nas.last_accounting_at, excluded.last_accounting_at)`,
    [
      sightings.map((s) => s.name),
      sightings.map((s) => s.profile),
      sightings.map((s) => s.lastPacketAtMs),
      sightings.map((s) => s.lastAccountingAtMs),
    ],
  );
}
