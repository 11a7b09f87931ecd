// Enters: the names in a packet and a profile's order of looking. Leaves: which subscriber they mean. Invariant: two matches are
// never resolved by guessing; a deleted subscriber is found only when nobody else is meant.

import type { Profile } from '../config/config.js';
import type { ClassEvidence } from '../domain/accounting-fact.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { Subscriber } from '../domain/subscriber.js';
import { loginOf, macOf } from '../nas/identity.js';
import type { Directory } from '../store/directory.js';

/** What a subscriber may be looked up by. */
export type IdentityKey = Profile['identity'][number];

/** The names that a packet gives. */
export interface PacketNames {
  readonly userName: string | undefined;
  readonly callingStation: string | undefined;
  /** Framed-IP-Address, unsigned 32-bit. */
  readonly framedAddress: number | undefined;
}

/** The part of a profile that says how names are read. */
export type IdentityRules = Pick<Profile, 'identity' | 'realm' | 'mac'>;

/** Who is meant. */
export type FoundIdentity =
  | { readonly found: 'one'; readonly subscriber: Subscriber; readonly by: IdentityKey }
  | { readonly found: 'several'; readonly by: IdentityKey; readonly subscriberIds: readonly number[] }
  | { readonly found: 'none'; readonly soughtBy: IdentityKey | 'nothing' };

/** The lookups that identity needs of the directory. */
export type SubscriberLookup = Pick<
  Directory,
  'subscribersByLogin' | 'subscribersByMac' | 'subscribersByStaticAddress'
>;

/**
 * Looks up a subscriber by each name in the order of the profile; the first name that somebody has decides.
 */
export function findIdentity(directory: SubscriberLookup, rules: IdentityRules, names: PacketNames): FoundIdentity {
  let soughtBy: IdentityKey | 'nothing' = 'nothing';
  let deleted: FoundIdentity | undefined;
  for (const key of rules.identity) {
    const candidates = candidatesBy(directory, rules, names, key);
    if (candidates === undefined) continue;
    if (soughtBy === 'nothing') soughtBy = key;
    let only: Subscriber | undefined;
    let count = 0;
    for (const candidate of candidates) {
      if (candidate.deleted) {
        deleted ??= { found: 'one', subscriber: candidate, by: key };
        continue;
      }
      only = candidate;
      count++;
    }
    if (count === 1) return { found: 'one', subscriber: only!, by: key };
    if (count > 1)
      return {
        found: 'several',
        by: key,
        subscriberIds: candidates.filter((one) => !one.deleted).map((one) => one.id),
      };
  }
  return deleted ?? { found: 'none', soughtBy };
}

/** @returns undefined when the packet does not give this name */
function candidatesBy(
  directory: SubscriberLookup,
  rules: IdentityRules,
  names: PacketNames,
  key: IdentityKey,
): readonly Subscriber[] | undefined {
  switch (key) {
    case 'login': {
      if (names.userName === undefined || names.userName === '') return undefined;
      return directory.subscribersByLogin(loginOf(rules.realm, names.userName).login);
    }
    case 'mac': {
      const mac = macOf(rules.mac, names.userName, names.callingStation);
      return mac === undefined ? undefined : directory.subscribersByMac(mac);
    }
    case 'address': {
      const named = names.userName === undefined ? undefined : parseIpv4Address(names.userName);
      const address = named ?? names.framedAddress;
      return address === undefined ? undefined : directory.subscribersByStaticAddress(address);
    }
  }
}

/** What an accounting packet says about whose session it is; a `SessionFact` has this shape. */
export interface SessionNames {
  readonly login: string;
  readonly callingStation: string | null;
  /** Dotted, as `SessionFact` has it. */
  readonly address: string | null;
  readonly class: ClassEvidence | null;
  readonly whose?: number | undefined;
}

/**
 * Whose session this is: what a lease was found to be; what the Accept said, where a genuine Class tells; otherwise the names of the packet.
 *
 * @returns the subscriber's id, 'ambiguous' when several match, or undefined when nobody does
 */
export function resolveSubscriber(
  directory: SubscriberLookup,
  rules: IdentityRules,
  session: SessionNames,
): number | 'ambiguous' | undefined {
  if (session.whose !== undefined) return session.whose;
  if (session.class !== null) return session.class.subscriberId;
  const identity = findIdentity(directory, rules, {
    userName: session.login,
    callingStation: session.callingStation ?? undefined,
    framedAddress: session.address === null ? undefined : parseIpv4Address(session.address),
  });
  if (identity.found === 'several') return 'ambiguous';
  return identity.found === 'one' ? identity.subscriber.id : undefined;
}
