// Enters: an Accept that was decided on. Leaves: the offer of its address and prefixes, or the pool that has none at hand. Invariants: all that an
// Accept promises is one offer, found whole or not at all; whoever asks again before he has begun gets the same again.

import { requesterKey, type AccessAccept, type Requester } from '../domain/access.js';
import { encodeGrant, type GrantedAddress } from '../domain/grant.js';
import { areDurable, randomOfferId, type AddressReserve } from '../store/address-reserve.js';
import type { Directory } from '../store/directory.js';
import { NO_PREFIXES, type Offer, type OfferedPrefix } from '../store/offer-book.js';

export interface OfferDeps {
  readonly directory: Directory;
  readonly reserve: Pick<AddressReserve, 'repeat' | 'takeSticky' | 'grant' | 'takePrefixes' | 'returnPrefixes'>;
}

/** Who is to get what. */
export interface OfferWanted {
  readonly decision: AccessAccept;
  readonly subscriberId: number;
  readonly requester: Requester;
  /** How long the offer is good for, ms. */
  readonly offerGraceMs: number;
  readonly nowMs: number;
}

/** @returns the offer, in the book; or the id of the pool that has to be waited for, and then nothing was taken */
export function findOffer(deps: OfferDeps, wanted: OfferWanted): Offer | { readonly missing: number } {
  const { reserve, directory } = deps;
  const { decision, subscriberId, requester, nowMs } = wanted;
  const { address, slot, prefixes: sources } = decision;
  const repeated = decision.repeats && directory.offers.get(decision.repeats.offerId);
  if (repeated && isFor(repeated, decision, requester) && repeat(deps, repeated, wanted)) return repeated;

  const taken = sources ? reserve.takePrefixes(subscriberId, slot, sources, nowMs) : { prefixes: NO_PREFIXES };
  if ('missing' in taken) return taken;
  const { prefixes } = taken;
  if (address.from !== 'sticky-or-reserve') {
    if (repeated) directory.offers.remove(repeated);
    return fixedOffer(directory, wanted, prefixes);
  }
  const key = requesterKey(requester);
  const offer =
    reserve.takeSticky(subscriberId, slot, address.poolId, key, nowMs, prefixes) ??
    reserve.grant(subscriberId, slot, address.poolId, key, nowMs, prefixes);
  if (!offer) {
    reserve.returnPrefixes(prefixes);
    return { missing: address.poolId };
  }
  if (repeated) directory.offers.remove(repeated);
  return offer;
}

/** Whether an offer is of what this Accept is to promise. */
function isFor(offer: Offer, { address, prefixes = [] }: AccessAccept, { routingDomain }: Requester): boolean {
  if (offer.routingDomain !== routingDomain || offer.prefixes.length !== prefixes.length) return false;
  const isSameAddress =
    address.from === 'sticky-or-reserve'
      ? offer.poolId === address.poolId
      : offer.poolId === undefined && offer.address === fixedAddress(address);
  return (
    isSameAddress &&
    prefixes.every((wanted, at) => {
      const offered = offer.prefixes[at]!;
      if (offered.kind !== wanted.kind) return false;
      return wanted.from === 'static'
        ? offered.poolId === undefined && offered.prefix === wanted.prefix
        : offered.poolId === wanted.poolId;
    })
  );
}

function repeat({ reserve, directory }: OfferDeps, offer: Offer, { offerGraceMs, nowMs }: OfferWanted): boolean {
  if (offer.poolId !== undefined || offer.prefixes.some(({ poolId }) => poolId !== undefined))
    return reserve.repeat(offer, nowMs);
  directory.offers.prolong(offer, nowMs + offerGraceMs);
  return true;
}

function fixedAddress(address: AccessAccept['address']): number | undefined {
  return address.from === 'static' ? address.address : undefined;
}

/** An offer of an address that is his anyway, or of a place without an address of ours: it only holds the slot. */
function fixedOffer(directory: Directory, wanted: OfferWanted, prefixes: readonly OfferedPrefix[]): Offer {
  const { decision, subscriberId, requester, offerGraceMs, nowMs } = wanted;
  const address = fixedAddress(decision.address);
  const offer: Offer = {
    offerId: randomOfferId(),
    subscriberId,
    slot: decision.slot,
    requesterKey: requesterKey(requester),
    address,
    poolId: undefined,
    prefixes,
    routingDomain: requester.routingDomain,
    source: address === undefined ? 'none' : 'static',
    offeredAtMs: nowMs,
    expiresAtMs: nowMs + offerGraceMs,
    durable: areDurable(prefixes),
  };
  directory.offers.add(offer);
  return offer;
}

/** The spool record of an offer; undefined for one with nothing of a pool. */
export function grantPayload(offer: Offer): Buffer | undefined {
  const { offerId, subscriberId, slot, address, routingDomain, poolId, prefixes, expiresAtMs } = offer;
  const granted: GrantedAddress[] = [];
  if (address !== undefined && poolId !== undefined) granted.push({ address, poolId });
  for (const one of prefixes) if (one.poolId !== undefined) granted.push({ address: one.prefix, poolId: one.poolId });
  if (granted.length === 0) return undefined;
  return encodeGrant({ offerId, subscriberId, slot, routingDomain, granted, expiresAtMs });
}
