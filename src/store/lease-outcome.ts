/**
 * What lease events did, written. Enters: the transaction that `lease-world.ts` read in, and the outcome of the fold. Leaves: rows. Invariants: all of it is written
 * with the sessions that it opens and ends, or none of it; equal refusals are one row.
 */
import type { PoolClient } from 'pg';
import type { LeaseOutcome } from '../domain/lease-fold.js';
import type { LeaseRecord, RefusedLease } from '../domain/lease.js';
import { numberArray } from './array-text.js';
import { BatchConflictError } from './batch-outcome.js';

/** How long nobody gets an address that a client found in use, seconds: what ISC dhcpd does by itself (abandon-lease-time). */
const DECLINED_SECONDS = 86_400;

const COLUMNS: readonly {
  readonly name: string;
  readonly type: string;
  readonly isTime?: true;
  readonly value: (lease: LeaseRecord) => string | number | null;
}[] = [
  { name: 'routing_domain', type: 'text', value: (l) => l.routingDomain },
  { name: 'address', type: 'inet', value: (l) => l.address },
  { name: 'state', type: 'text', value: (l) => (l.end === null ? 'bound' : 'ended') },
  { name: 'mac', type: 'macaddr', value: (l) => l.mac },
  { name: 'subscriber_id', type: 'bigint', value: (l) => l.subscriberId },
  { name: 'nas_name', type: 'text', value: (l) => l.nasName },
  { name: 'device_id', type: 'bigint', value: (l) => l.deviceId },
  { name: 'port', type: 'text', value: (l) => l.port },
  { name: 'circuit_id', type: 'text', value: (l) => l.line?.circuitId ?? null },
  { name: 'remote_id', type: 'text', value: (l) => l.line?.remoteId ?? null },
  { name: 'option82_subscriber_id', type: 'text', value: (l) => l.line?.subscriberId ?? null },
  { name: 'switch_mac', type: 'macaddr', value: (l) => l.line?.switchMac ?? null },
  { name: 'switch_port', type: 'text', value: (l) => l.line?.switchPort ?? null },
  { name: 'source', type: 'text', value: (l) => l.source },
  { name: 'via', type: 'text', value: (l) => l.via },
  { name: 'began_at', type: 'float8', isTime: true, value: (l) => l.beganAtMs },
  { name: 'committed_at', type: 'float8', isTime: true, value: (l) => l.committedAtMs },
  { name: 'ends_at', type: 'float8', isTime: true, value: (l) => l.endsAtMs },
  { name: 'event_at', type: 'float8', isTime: true, value: (l) => l.eventAtMs },
  { name: 'ended_at', type: 'float8', isTime: true, value: (l) => l.end?.endedAtMs ?? null },
  { name: 'end_cause', type: 'text', value: (l) => l.end?.cause ?? null },
  { name: 'stray_mac', type: 'macaddr', value: (l) => l.strayEnd?.mac ?? null },
  { name: 'stray_ended_at', type: 'float8', isTime: true, value: (l) => l.strayEnd?.endedAtMs ?? null },
  { name: 'stray_cause', type: 'text', value: (l) => l.strayEnd?.cause ?? null },
];
const NAMES = COLUMNS.map(({ name }) => name).join(', ');
const ROWS = `SELECT ${COLUMNS.map(({ name, isTime }) => (isTime === true ? `to_timestamp(r.${name} / 1000.0)` : `r.${name}`)).join(', ')}
  FROM unnest(${COLUMNS.map(({ type }, i) => `$${String(i + 1)}::${type}[]`).join(', ')}) AS r (${NAMES}) ORDER BY r.address`;
const INSERT = { name: 'insert-leases', text: `INSERT INTO lease (${NAMES}) ${ROWS} ON CONFLICT DO NOTHING` };
const UPDATE = {
  name: 'update-leases',
  text: `UPDATE lease l SET ${COLUMNS.slice(2)
    .map(({ name, isTime }) => `${name} = ${isTime === true ? `to_timestamp(r.${name} / 1000.0)` : `r.${name}`}`)
    .join(', ')}
  FROM unnest(${COLUMNS.map(({ type }, i) => `$${String(i + 1)}::${type}[]`).join(', ')}) AS r (${NAMES})
  WHERE l.routing_domain = r.routing_domain AND l.address = r.address`,
};

const REFUSE = {
  name: 'refuse-leases',
  text: `INSERT INTO lease_refusal (first_at, at, repeats, routing_domain, address, mac, kind, reason, detail, subscriber_id, device, port, circuit_id, remote_id,
    option82_subscriber_id, source, via)
  SELECT to_timestamp(r.first_ms / 1000.0), to_timestamp(r.last_ms / 1000.0), r.repeats, r.routing_domain, r.address, r.mac, r.kind, r.reason, r.detail,
    r.subscriber_id, r.device, r.port, r.circuit_id, r.remote_id, r.option82_subscriber_id, r.source, r.via
  FROM unnest($1::float8[], $2::float8[], $3::int[], $4::text[], $5::inet[], $6::macaddr[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[],
    $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
    AS r (first_ms, last_ms, repeats, routing_domain, address, mac, kind, reason, detail, subscriber_id, device, port, circuit_id, remote_id,
      option82_subscriber_id, source, via)
  ORDER BY r.routing_domain, r.address, r.mac, r.kind, r.reason
  ON CONFLICT (routing_domain, address, coalesce(mac, '00:00:00:00:00:00'), kind, reason) DO UPDATE SET
    at = greatest(lease_refusal.at, excluded.at), repeats = least(lease_refusal.repeats::bigint + excluded.repeats, 2147483647)::int,
    detail = excluded.detail, subscriber_id = excluded.subscriber_id, device = excluded.device, port = excluded.port, circuit_id = excluded.circuit_id,
    remote_id = excluded.remote_id, option82_subscriber_id = excluded.option82_subscriber_id, source = excluded.source, via = excluded.via`,
};

/** Nobody's any more, the owner who comes again included. */
const QUARANTINE = {
  name: 'quarantine-declined',
  text: `UPDATE pool_address SET state = 'quarantined', subscriber_id = NULL, slot = NULL, instance = NULL, offer_id = NULL, since = now(),
    until_at = now() + make_interval(secs => ${String(DECLINED_SECONDS)})
  WHERE routing_domain = $1 AND address = ANY ($2::inet[]) AND state IN ('free', 'offered', 'quarantined')`,
};

/**
 * @returns subscribers who have one lease fewer: whoever is deleted may be free to go
 * @throws BatchConflictError when another server was quicker: read again
 */
export async function saveLeases(client: PoolClient, outcome: LeaseOutcome): Promise<number[]> {
  const { changed, refused } = outcome;
  const fresh = changed.filter(({ isStored }) => !isStored);
  const stored = changed.filter(({ isStored }) => isStored);
  if (fresh.length > 0) {
    const { rowCount } = await client.query({ ...INSERT, values: valuesOf(fresh) });
    if (rowCount !== fresh.length) throw new BatchConflictError('a lease was stored by another server meanwhile');
  }
  if (stored.length > 0) await client.query({ ...UPDATE, values: valuesOf(stored) });
  if (refused.length > 0) await client.query({ ...REFUSE, values: refusalValues(refused) });
  return changed.flatMap(({ end, subscriberId }) => (end === null || subscriberId === null ? [] : [subscriberId]));
}

/** Nobody gets addresses for a while that a client found in use. To be called when the sessions that had them have ended. */
export async function quarantineDeclined(
  client: PoolClient,
  routingDomain: string,
  addresses: readonly string[],
): Promise<void> {
  if (addresses.length > 0) await client.query({ ...QUARANTINE, values: [routingDomain, addresses] });
}

function valuesOf(leases: readonly LeaseRecord[]): unknown[] {
  return COLUMNS.map(({ type, value }) =>
    type === 'float8' || type === 'bigint'
      ? numberArray(leases.map((lease) => value(lease) as number | null))
      : leases.map(value),
  );
}

interface Gathered {
  readonly last: RefusedLease;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly repeats: number;
}

function refusalValues(refused: readonly RefusedLease[]): unknown[] {
  const rows = new Map<string, Gathered>();
  for (const one of refused) {
    const { event, reason } = one;
    const key = [event.address, event.mac, event.kind, reason].join(' ');
    const known = rows.get(key);
    rows.set(key, {
      last: one,
      firstMs: Math.min(known?.firstMs ?? Infinity, event.eventAtMs),
      lastMs: Math.max(known?.lastMs ?? 0, event.eventAtMs),
      repeats: (known?.repeats ?? 0) + 1,
    });
  }
  const list = [...rows.values()];
  const of = (value: (one: RefusedLease) => unknown): unknown[] => list.map(({ last }) => value(last));
  return [
    list.map(({ firstMs }) => firstMs),
    list.map(({ lastMs }) => lastMs),
    list.map(({ repeats }) => repeats),
    of((one) => one.routingDomain),
    of(({ event }) => event.address),
    of(({ event }) => event.mac),
    of(({ event }) => event.kind),
    of(({ reason }) => reason),
    of(({ detail }) => detail),
    of(({ subscriberId }) => subscriberId),
    of(({ device }) => device),
    of(({ port }) => port),
    of(({ event }) => event.line?.circuitId ?? null),
    of(({ event }) => event.line?.remoteId ?? null),
    of(({ event }) => event.line?.subscriberId ?? null),
    of(({ event }) => event.source),
    of(({ event }) => event.via),
  ];
}
