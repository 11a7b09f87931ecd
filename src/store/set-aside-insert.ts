/**
 * What cannot be applied is kept. Enters: a record and the reason. Leaves: a row of `set_aside`, once per place in a spool.
 * Invariant: setting aside never fails for the content of the record, because octets are stored as octets.
 */
import type { PoolClient } from 'pg';

export interface SetAsideRecord {
  readonly segment: number;
  readonly offset: number;
  readonly receivedAtMs: number | null;
  readonly nasName: string | null;
  /** From a small fixed set. */
  readonly reason: string;
  readonly detail: string | null;
  readonly payload: Buffer;
}

export async function insertSetAside(
  client: PoolClient,
  instance: string,
  spoolUuid: string,
  records: readonly SetAsideRecord[],
): Promise<void> {
  for (const record of records) {
    await client.query(
      `INSERT INTO set_aside (instance, spool_uuid, segment, byte_offset, received_at, nas_name, reason, detail, payload)
       VALUES ($1, $2, $3, $4, to_timestamp($5::float8 / 1000.0), $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
      [
        instance,
        spoolUuid,
        record.segment,
        record.offset,
        record.receivedAtMs,
        record.nasName,
        record.reason,
        record.detail,
        record.payload,
      ],
    );
  }
}
