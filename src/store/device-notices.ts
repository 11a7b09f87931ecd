/**
 * What contacts are to be told, and what became of it. Enters: who sends, with which patience. Leaves: claims of contacts with the news that wait
 * for them, and their ends. Invariants: a contact is in one server's hands at a time, so that its messages keep their order; a claim ends by
 * itself, so that a server that dies leaves nothing untold; what was sent may be sent again after a crash, and is never lost.
 */
import type { Pool } from 'pg';
import type { WaitingChange } from '../domain/device-news.js';
import type { DeviceStatus, MonitoredStatus } from '../domain/device-status.js';
import { withTransaction } from './database.js';
import type { ContactKind } from './device-catalogue.js';

/** A contact that is ours for a while, and what it is to be told. */
export interface ClaimedContact {
  readonly contactId: number;
  readonly kind: ContactKind;
  readonly address: string;
  readonly secret: string | null;
  readonly group: string;
  /** Deliveries in a row that failed. */
  readonly failures: number;
  /** Ids of the notices, ascending; at least one. */
  readonly noticeIds: readonly number[];
  readonly changes: readonly WaitingChange[];
}

/** How contacts are claimed. */
export interface ClaimSettings {
  /** Who claims. */
  readonly instance: string;
  readonly kinds: readonly ContactKind[];
  /** News wait this long for more of it, s. */
  readonly gatherSeconds: number;
  /** Between two messages to one contact at least, s. */
  readonly pauseSeconds: number;
  /** After this the claim ends by itself, s. */
  readonly claimSeconds: number;
  /** Contacts at once. */
  readonly contacts: number;
}

/** Changes in one message: half a megabyte at most. The rest has its turn after the pause. */
const MOST_CHANGES = 500;

const CLAIM = `UPDATE device_contact c SET claimed_by = $1, claimed_until = now() + make_interval(secs => $5)
  FROM device_group g WHERE g.id = c.group_id AND c.id = ANY (ARRAY(
    SELECT o.id FROM device_contact o
    WHERE o.active AND o.kind = ANY ($2::text[]) AND (o.claimed_until IS NULL OR o.claimed_until <= now())
      AND (o.retry_at IS NULL OR o.retry_at <= now()) AND (o.told_at IS NULL OR o.told_at <= now() - make_interval(secs => $4))
      AND EXISTS (SELECT FROM device_notice n WHERE n.contact_id = o.id AND n.sent_at IS NULL AND n.gave_up_at IS NULL
        AND n.created_at <= now() - make_interval(secs => $3))
    ORDER BY o.told_at NULLS FIRST, o.id LIMIT $6 FOR NO KEY UPDATE SKIP LOCKED))
  RETURNING c.id, c.kind, c.address, c.secret, c.failures, g.name AS group`;

const NEWS = `SELECT n.id, n.contact_id, n.device_id, n.status, n.old_status, (extract(epoch FROM n.at) * 1000)::bigint AS at_ms, n.note,
    d.name, d.mac::text AS mac, d.serial, host(d.address) AS address, d.place
  FROM unnest($1::bigint[]) AS c (id)
  CROSS JOIN LATERAL (SELECT * FROM device_notice WHERE contact_id = c.id AND sent_at IS NULL AND gave_up_at IS NULL ORDER BY id LIMIT $2) n
  JOIN device d ON d.id = n.device_id ORDER BY n.id`;

interface ClaimedRow {
  readonly id: number;
  readonly kind: ContactKind;
  readonly address: string;
  readonly secret: string | null;
  readonly failures: number;
  readonly group: string;
}

interface NewsRow {
  readonly id: number;
  readonly contact_id: number;
  readonly device_id: number;
  readonly status: MonitoredStatus;
  readonly old_status: DeviceStatus;
  readonly at_ms: number;
  readonly note: string | null;
  readonly name: string | null;
  readonly mac: string | null;
  readonly serial: string | null;
  readonly address: string | null;
  readonly place: string | null;
}

/** Claims contacts that are to be told something now. */
export async function claimContacts(pool: Pool, settings: ClaimSettings): Promise<ClaimedContact[]> {
  const { instance, kinds, gatherSeconds, pauseSeconds, claimSeconds, contacts } = settings;
  return await withTransaction(pool, async (client) => {
    const claimed = await client.query<ClaimedRow>(CLAIM, [
      instance,
      [...kinds],
      gatherSeconds,
      pauseSeconds,
      claimSeconds,
      contacts,
    ]);
    if (claimed.rows.length === 0) return [];
    const { rows } = await client.query<NewsRow>(NEWS, [claimed.rows.map(({ id }) => id), MOST_CHANGES]);
    return claimed.rows.map((contact) => {
      const news = rows.filter((row) => row.contact_id === contact.id);
      return {
        contactId: contact.id,
        kind: contact.kind,
        address: contact.address,
        secret: contact.secret,
        group: contact.group,
        failures: contact.failures,
        noticeIds: news.map(({ id }) => id),
        changes: news.map((row) => ({
          deviceId: row.device_id,
          name: row.name,
          mac: row.mac,
          serial: row.serial,
          address: row.address,
          place: row.place,
          status: row.status,
          oldStatus: row.old_status,
          atMs: row.at_ms,
          note: row.note,
        })),
      };
    });
  });
}

/** The end of an attempt. */
export type DeliveryEnd =
  | { readonly end: 'sent' }
  /** It may succeed later. */
  | { readonly end: 'failed'; readonly error: string; readonly retryMs: number; readonly giveUpHours: number }
  /** It would never succeed. */
  | { readonly end: 'refused'; readonly error: string };

const WAITING = 'id = ANY ($1::bigint[]) AND sent_at IS NULL AND gave_up_at IS NULL';

/**
 * Writes down what became of an attempt, and lets the contact go.
 *
 * @returns how many notices were given up
 */
export async function endDelivery(
  pool: Pool,
  instance: string,
  contact: Pick<ClaimedContact, 'contactId' | 'noticeIds'>,
  delivery: DeliveryEnd,
): Promise<number> {
  return await withTransaction(pool, async (client) => {
    const ids = [...contact.noticeIds];
    const release = (set: string, values: readonly unknown[] = []) =>
      client.query(
        `UPDATE device_contact SET claimed_by = NULL, claimed_until = NULL, ${set} WHERE id = $1 AND claimed_by = $2`,
        [contact.contactId, instance, ...values],
      );
    if (delivery.end === 'sent') {
      await client.query(`UPDATE device_notice SET sent_at = now() WHERE ${WAITING}`, [ids]);
      await release('told_at = now(), failures = 0, retry_at = NULL, last_error = NULL');
      return 0;
    }
    if (delivery.end === 'refused') {
      const gone = await client.query(`UPDATE device_notice SET gave_up_at = now() WHERE ${WAITING}`, [ids]);
      await release('failures = failures + 1, retry_at = NULL, last_error = $3', [delivery.error]);
      return gone.rowCount ?? 0;
    }
    const gone = await client.query(
      `UPDATE device_notice SET gave_up_at = now() WHERE ${WAITING} AND created_at <= now() - make_interval(hours => $2)`,
      [ids, delivery.giveUpHours],
    );
    await release(
      'failures = failures + 1, retry_at = now() + make_interval(secs => $4::float8 / 1000), last_error = $3',
      [delivery.error, delivery.retryMs],
    );
    return gone.rowCount ?? 0;
  });
}

/** Deletes notices that nobody asks for any more, told or not, in slices. @returns rows deleted; call again while it is `limit` */
export async function pruneNotices(pool: Pool, keepDays: number, limit: number): Promise<number> {
  const result = await pool.query(
    `DELETE FROM device_notice WHERE id = ANY (ARRAY(
       SELECT id FROM device_notice WHERE created_at < now() - make_interval(days => $1) ORDER BY created_at LIMIT $2))`,
    [keepDays, limit],
  );
  return result.rowCount ?? 0;
}
