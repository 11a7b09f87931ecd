/**
 * Whose address is still somebody else's on a NAS. Enters: entries that are about to be added. Leaves: those that have to wait, each with who is to go first.
 * Invariant: nobody waits for somebody who is to stay there, or whose removal the NAS refuses: that ends by itself, or it is not waited for.
 */
import type { ClientBase } from 'pg';

/** An entry that is about to be added. */
export interface AddedEntry {
  readonly id: number;
  readonly nasName: string;
  /** IPv4, dotted. */
  readonly address: string;
}

const RIVALS = `SELECT w.id, min(s.login) AS login
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS w (id, nas_name, address)
  JOIN enforcement o ON o.nas_name = w.nas_name AND o.entry_address = w.address AND o.kind <> 'session' AND o.id <> w.id
  JOIN subscriber s ON s.id = o.subscriber_id
  WHERE o.may_be_present AND o.state <> 'parked'
    AND (s.deleted OR CASE WHEN o.kind = 'further'
      THEN NOT EXISTS (SELECT FROM session x WHERE x.id = o.session_id AND x.address = w.address::inet)
      ELSE s.static_address IS DISTINCT FROM w.address::inet AND NOT EXISTS (
        SELECT FROM session x WHERE x.subscriber_id = o.subscriber_id AND x.nas_name = o.nas_name AND x.address = w.address::inet
          AND NOT EXISTS (SELECT FROM enforcement f WHERE f.session_id = x.id AND f.kind = 'further')) END)
  GROUP BY w.id`;

/** @returns by id: the login of somebody who may still be at the address, and is to go */
export async function addressRivals(
  client: ClientBase,
  entries: readonly AddedEntry[],
): Promise<ReadonlyMap<number, string>> {
  if (entries.length === 0) return new Map();
  const { rows } = await client.query<{ id: number; login: string }>({
    name: 'address-rivals',
    text: RIVALS,
    values: [entries.map((one) => one.id), entries.map((one) => one.nasName), entries.map((one) => one.address)],
  });
  return new Map(rows.map(({ id, login }) => [id, login]));
}
