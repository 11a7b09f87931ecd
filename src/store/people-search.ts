/**
 * Finding people: by login, contract, telephone, MAC, address, what they are plugged into, or beginnings of words of name and street.
 *
 * Enters: a search text that was read. Leaves: subscribers, best first, and what was heard of names that nobody has.
 * Invariant: each way of looking is one index scan that ends after a page of hits, however many there are.
 */
import type { Pool } from 'pg';
import type { SearchText } from '../domain/search-text.js';
import { deviceIdsSql } from './device-search.js';
import { beginning } from './like-pattern.js';
import {
  subscriberColumns,
  subscriberTables,
  type AccessAttemptRow,
  type SubscriberRow,
} from './subscriber-queries.js';

/** A subscriber without the form of its password, which the page does not look at. */
export type PersonRow = Omit<SubscriberRow, 'password_form'>;

/** By what a person was found. */
export type FoundBy = 'login' | 'contract' | 'mac' | 'address' | 'phone' | 'words' | 'line';

export type FoundPerson = PersonRow & { found_by: FoundBy };

/**
 * Accounts that are looked at one by one before the index of words is: what a page of them in so many has, hundreds of thousands have, and
 * the index would list them all. Some 3 ms.
 */
const PROBED_ACCOUNTS = 500;

/** What a serial number begins with is the vendor, which thousands share; the digits of it tell, characters. */
const SHORTEST_SERIAL = 6;

/**
 * Searches subscribers, the deleted ones last.
 *
 * @param limit rows at most; ask for one more than is shown to know whether there are more
 */
export async function searchPeople(pool: Pool, search: SearchText, limit: number): Promise<FoundPerson[]> {
  if (search.text === '') return [];
  const values: (string | number | null)[] = [limit];
  const place = (value: string | number | null) => `$${String(values.push(value))}`;
  const ways: string[] = [];
  const way = (by: FoundBy, from: string): number =>
    ways.push(`(SELECT s.id, ${String(ways.length)} AS rank, '${by}' AS found_by FROM ${from} LIMIT $1)`);
  if (search.address !== undefined) {
    const address = place(search.address);
    // The condition of the index: who was released has no address any more.
    way('address', `subscriber s WHERE s.static_address = ${address}::inet AND s.released_at IS NULL`);
    way('address', `session e JOIN subscriber s ON s.id = e.subscriber_id WHERE e.address = ${address}::inet`);
    way(
      'address',
      `pool_address e JOIN subscriber s ON s.id = e.subscriber_id
       WHERE e.address = ${address}::inet AND e.routing_domain IN (SELECT routing_domain FROM pool)`,
    );
  }
  if (search.prefix !== undefined) {
    const prefix = `${place(search.prefix)}::inet`;
    way('address', `subscriber s WHERE s.static_framed_prefix >>= ${prefix} AND s.released_at IS NULL`);
    way('address', `subscriber s WHERE s.static_delegated_prefix >>= ${prefix} AND s.released_at IS NULL`);
    way(
      'address',
      `assignment e JOIN subscriber s ON s.id = e.subscriber_id
       WHERE e.kind <> 'ipv4' AND e.address >>= ${prefix} AND e.ended_at IS NULL`,
    );
  }
  if (search.mac !== undefined) {
    const mac = place(search.mac);
    way('mac', `subscriber s WHERE s.mac = ${mac}::macaddr`);
    way('mac', `session e JOIN subscriber s ON s.id = e.subscriber_id WHERE e.mac = ${mac}::macaddr`);
  }
  const prefix = place(beginning(search.text.toLowerCase()));
  way('login', `subscriber s WHERE lower(s.login) LIKE ${prefix} ORDER BY lower(s.login) USING ~<~`);
  way(
    'contract',
    `(SELECT id FROM account WHERE lower(contract) LIKE ${prefix} ORDER BY lower(contract) USING ~<~ LIMIT $1) a
       JOIN subscriber s ON s.account_id = a.id`,
  );
  if (search.phoneKey !== undefined) {
    way(
      'phone',
      `(SELECT id FROM account WHERE sluice_phone_key(phone) LIKE ${place(beginning(search.phoneKey))} LIMIT $1) a
         JOIN subscriber s ON s.account_id = a.id`,
    );
  }
  // Looked at only when words are searched.
  let recent = 'SELECT 0::bigint AS id WHERE false';
  if (search.words.length > 0) {
    const words = place(search.words.map((word) => `${word}:*`).join(' & '));
    const match = `sluice_words(name, address) @@ to_tsquery('pg_catalog.simple', ${words})`;
    recent = `SELECT id FROM (SELECT id, name, address FROM account ORDER BY id DESC LIMIT ${String(PROBED_ACCOUNTS)}) newest
       WHERE ${match} LIMIT $1`;
    way(
      'words',
      `(SELECT id FROM recent UNION
        (SELECT id FROM account WHERE (SELECT count(*) FROM recent) < $1 AND ${match} LIMIT $1)) a
         JOIN subscriber s ON s.account_id = a.id`,
    );
  }
  // One device has ten thousand people: those of a page are read, and no more.
  const plugged = (devices: string, condition = ''): string =>
    `(${devices}) d CROSS JOIN LATERAL (SELECT id FROM subscriber WHERE device_id = d.id AND NOT deleted ${condition} LIMIT $1) s`;
  if (search.line !== undefined) {
    const { device, port } = search.line;
    way('line', plugged(deviceIdsSql(device, place), `AND port = ${place(port)}`));
  }
  way('line', plugged(deviceIdsSql(search.device, place)));
  if (search.device.serial !== null && search.device.serial.length >= SHORTEST_SERIAL) {
    const serial = place(beginning(search.device.serial));
    way('line', plugged(`SELECT id FROM device WHERE serial LIKE ${serial} AND NOT deleted LIMIT $1`));
  }
  const { rows } = await pool.query<FoundPerson>(
    `WITH recent AS MATERIALIZED (${recent}), best AS (
       SELECT DISTINCT ON (id) id, rank, found_by FROM (${ways.join(' UNION ALL ')}) hit ORDER BY id, rank
     )
     SELECT ${subscriberColumns}, best.found_by FROM best JOIN (${subscriberTables}) ON s.id = best.id
      ORDER BY s.deleted, best.rank, s.login LIMIT $1`,
    values,
  );
  return rows;
}

/** One person by id, or undefined. */
export async function findPerson(pool: Pool, id: number): Promise<PersonRow | undefined> {
  return (await pool.query<PersonRow>(`SELECT ${subscriberColumns} FROM ${subscriberTables} WHERE s.id = $1`, [id]))
    .rows[0];
}

/** The last answers to requests whose login begins so, or whose MAC is this: mistyped logins and unknown devices too. */
export async function searchAttempts(pool: Pool, search: SearchText, limit: number): Promise<AccessAttemptRow[]> {
  if (search.text === '') return [];
  // The newest of the table are looked at last: a login has at most twenty rows, and beginnings are bounded here.
  return (
    await pool.query<AccessAttemptRow>(
      `SELECT at, login, mac::text AS mac, nas_name, nas_port_id, outcome, reason, host(address) AS address, repeats
         FROM (
           (SELECT * FROM access_attempt WHERE lower(login) LIKE $1 ORDER BY lower(login) USING ~<~ LIMIT 500)
           UNION
           (SELECT * FROM access_attempt WHERE mac = $2::macaddr ORDER BY at DESC LIMIT $3)
         ) one ORDER BY at DESC LIMIT $3`,
      [beginning(search.text.toLowerCase()), search.mac ?? null, limit],
    )
  ).rows;
}
