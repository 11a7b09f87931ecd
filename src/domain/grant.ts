// Enters: an address granted from the reserve. Leaves: the payload of its spool record, and back. Invariant: whatever is read
// back is whole and in range, since a record may come from a damaged file or another release.

import { formatIpv4Address, parseIpv4Address } from './ipv4-address.js';

/** An address of the reserve that an Accept promises to one slot of one subscriber until an instant. */
export interface Grant {
  /** Unique among all instances; below 2^48. */
  readonly offerId: number;
  readonly subscriberId: number;
  readonly slot: number;
  /** Unsigned 32-bit. */
  readonly address: number;
  readonly routingDomain: string;
  readonly poolId: number;
  /** ms since 1970. */
  readonly expiresAtMs: number;
}

/** JSON, so that a grant in a set-aside record can be read by a person. */
export function encodeGrant(grant: Grant): Buffer {
  return Buffer.from(
    JSON.stringify({
      offerId: grant.offerId,
      subscriberId: grant.subscriberId,
      slot: grant.slot,
      address: formatIpv4Address(grant.address),
      routingDomain: grant.routingDomain,
      poolId: grant.poolId,
      expiresAtMs: grant.expiresAtMs,
    }),
  );
}

/** @returns the grant, or undefined when the payload is not one */
export function decodeGrant(payload: Buffer): Grant | undefined {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { offerId, subscriberId, slot, address, routingDomain, poolId, expiresAtMs } = value as Record<string, unknown>;
  if (!isCount(offerId) || !isCount(subscriberId) || !isCount(slot) || !isCount(poolId) || !isCount(expiresAtMs))
    return undefined;
  if (slot > 32_767 || typeof address !== 'string' || typeof routingDomain !== 'string') return undefined;
  const addressNumber = parseIpv4Address(address);
  if (addressNumber === undefined) return undefined;
  return { offerId, subscriberId, slot, address: addressNumber, routingDomain, poolId, expiresAtMs };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
