// Enters: what one Accept promised out of pools. Leaves: the payload of its spool record, and back. Invariants: address and prefixes of one Accept
// are one record, so they are durable together; whatever is read back is whole and in range, since a record may come from a
// damaged file or another release.

import { formatIpv4Address, parseIpv4Address } from './ipv4-address.js';
import { parseIpv6Prefix } from './ipv6-prefix.js';
import type { PoolAddress } from './pool-address.js';

/** An address or prefix of a pool. */
export interface GrantedAddress {
  readonly address: PoolAddress;
  readonly poolId: number;
}

/** Addresses and prefixes of pools that an Accept promises to one slot of one subscriber until an instant. */
export interface Grant {
  /** Unique among all instances; below 2^48. */
  readonly offerId: number;
  readonly subscriberId: number;
  readonly slot: number;
  readonly routingDomain: string;
  /** At least one and at most `MAX_GRANTED`: the IPv4 address first, where there is one. */
  readonly granted: readonly GrantedAddress[];
  /** ms since 1970. */
  readonly expiresAtMs: number;
}

/** One of each kind. */
const MAX_GRANTED = 3;

/**
 * JSON, so that a grant in a set-aside record can be read by a person. An IPv4 address stands where the release before has it, which knows nothing
 * of prefixes.
 */
export function encodeGrant(grant: Grant): Buffer {
  const { offerId, subscriberId, slot, routingDomain, granted, expiresAtMs } = grant;
  const record: Record<string, unknown> = { offerId, subscriberId, slot };
  const prefixes: { readonly prefix: string; readonly poolId: number }[] = [];
  for (const { address, poolId } of granted) {
    if (typeof address === 'string') prefixes.push({ prefix: address, poolId });
    else Object.assign(record, { address: formatIpv4Address(address), poolId });
  }
  if (prefixes.length > 0) record['prefixes'] = prefixes;
  return Buffer.from(JSON.stringify({ ...record, routingDomain, expiresAtMs }));
}

/** @returns the grant, or undefined when the payload is not one */
export function decodeGrant(payload: Buffer): Grant | undefined {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { offerId, subscriberId, slot, routingDomain, expiresAtMs } = value;
  if (!isCount(offerId) || !isCount(subscriberId) || !isCount(slot) || !isCount(expiresAtMs)) return undefined;
  if (slot > 32_767 || typeof routingDomain !== 'string') return undefined;
  const granted = grantedOf(value);
  return granted && { offerId, subscriberId, slot, routingDomain, granted, expiresAtMs };
}

function grantedOf({ address, poolId, prefixes = [] }: Record<string, unknown>): GrantedAddress[] | undefined {
  const granted: GrantedAddress[] = [];
  if (address !== undefined) {
    const number = typeof address === 'string' ? parseIpv4Address(address) : undefined;
    if (number === undefined || !isCount(poolId)) return undefined;
    granted.push({ address: number, poolId });
  }
  if (!Array.isArray(prefixes)) return undefined;
  for (const one of prefixes as unknown[]) {
    if (!isRecord(one) || typeof one['prefix'] !== 'string' || !isCount(one['poolId'])) return undefined;
    const prefix = parseIpv6Prefix(one['prefix']);
    if (prefix === undefined) return undefined;
    granted.push({ address: prefix, poolId: one['poolId'] });
  }
  return granted.length === 0 || granted.length > MAX_GRANTED ? undefined : granted;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
