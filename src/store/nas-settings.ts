/**
 * What the configuration says of NASes, for the triggers and batches that have only the database. Enters: the NASes of the configuration. Leaves: rows of
 * `nas`. Invariant: names and words only; secrets never enter the database.
 */
import type { Pool } from 'pg';

export interface NasSettings {
  readonly name: string;
  readonly profile: string;
  /** null: it is never commanded. */
  readonly place: 'session' | 'provisioned' | null;
  readonly mode: 'enforce' | 'observe';
  /** Whether a Stop is followed by a command. */
  readonly disconnectOnStop: boolean;
}

/** Writes them; NASes of other servers' configurations stay as they are. */
export async function saveNasSettings(pool: Pool, nases: readonly NasSettings[]): Promise<void> {
  if (nases.length === 0) return;
  await pool.query(
    `INSERT INTO nas AS n (name, profile, place, mode, disconnect_on_stop)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[]) ORDER BY 1
     ON CONFLICT (name) DO UPDATE SET profile = excluded.profile, place = excluded.place, mode = excluded.mode,
       disconnect_on_stop = excluded.disconnect_on_stop
     WHERE (n.profile, n.place, n.mode, n.disconnect_on_stop)
       IS DISTINCT FROM (excluded.profile, excluded.place, excluded.mode, excluded.disconnect_on_stop)`,
    [
      nases.map((one) => one.name),
      nases.map((one) => one.profile),
      nases.map((one) => one.place),
      nases.map((one) => one.mode),
      nases.map((one) => one.disconnectOnStop),
    ],
  );
}
