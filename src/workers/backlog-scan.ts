/**
 * What is acknowledged and not applied yet, told to memory at the start. Enters: the spool from the applied position on. Leaves: each fact once, in
 * order, and the addresses that were granted. Invariant: it changes nothing; so that logins need not wait for the applier, which
 * may have an hour of work before it.
 */
import type { AccountingFact } from '../domain/accounting-fact.js';
import { addressKey } from '../domain/assignment.js';
import { decodeGrant } from '../domain/grant.js';
import { formatPoolAddress } from '../domain/pool-address.js';
import { accountingFact, decodeAccountingRecord, type FactReading, RecordKind } from '../handlers/accounting-record.js';
import type { Position } from '../spool/position.js';
import type { SpoolRecord } from '../spool/reader.js';
import type { Spool } from '../spool/spool.js';
import type { StickyAddress } from '../store/subscriber-rows.js';

/** Records looked at before other work gets its turn: some 5 ms. */
const LIMITS = { maxRecords: 1000, maxBytes: 1024 * 1024 };

export interface BacklogScan {
  readonly records: number;
  /** By `addressKey`: every address granted from the reserve, and to whom. */
  readonly granted: ReadonlyMap<string, StickyAddress>;
}

/** @param from the applied position; undefined: the beginning @throws SpoolReadError */
export async function scanBacklog(
  spool: Spool,
  from: Position | undefined,
  reading: FactReading,
  onFact: (fact: AccountingFact) => void,
): Promise<BacklogScan> {
  const reader = spool.reader(from ?? 'start');
  const granted = new Map<string, StickyAddress>();
  let records = 0;
  try {
    for (;;) {
      const batch = await reader.readBatch(LIMITS);
      if (batch.length === 0) return { records, granted };
      records += batch.length;
      for (const record of batch) look(record, reading, onFact, granted);
    }
  } finally {
    await reader.close();
  }
}

function look(
  record: SpoolRecord,
  reading: FactReading,
  onFact: (fact: AccountingFact) => void,
  granted: Map<string, StickyAddress>,
): void {
  if (record.kind === RecordKind.grant) {
    const grant = decodeGrant(record.payload);
    if (grant === undefined) return;
    const { routingDomain, subscriberId, slot } = grant;
    for (const { address, poolId } of grant.granted)
      granted.set(addressKey(routingDomain, formatPoolAddress(address)), { subscriberId, slot, address, poolId });
    return;
  }
  const decoded = record.kind === RecordKind.accounting ? decodeAccountingRecord(record.payload) : undefined;
  if (decoded === undefined || 'fault' in decoded) return;
  const fact = accountingFact(decoded, record.receivedAtMs, reading);
  if (fact !== undefined) onFact(fact);
}
