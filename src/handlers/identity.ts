// Enters: the names in a packet and a profile's order of looking. Leaves: which subscriber they mean. Invariant: two matches are
// never resolved by guessing; a deleted subscriber is found only when nobody else is meant; whoever is known by his access line is not found by his MAC.

import type { Profile } from '../config/config.js';
import type { LineStanding, SoughtBy } from '../domain/access.js';
import type { ClassEvidence } from '../domain/accounting-fact.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { ReadLine } from '../domain/lease-holder.js';
import type { Option82Auth, Subscriber } from '../domain/subscriber.js';
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
  /** Of the device, canonical, from wherever the packet says it. Looked at where the profile looks at lines. */
  readonly mac?: string | undefined;
  /** Absent: the packet tells none, or the profile does not look at lines. */
  readonly line?: ReadLine | undefined;
  /** Where the sessions are that may tell the line of a renewal, which comes without one. Absent: none is asked. */
  readonly at?: { readonly nasName: string; readonly routingDomain: string } | undefined;
}

/** The part of a profile that says how names are read. */
export type IdentityRules = Pick<Profile, 'identity' | 'realm' | 'mac' | 'option82Auth'>;

/** Who is meant. */
export type FoundIdentity =
  | {
      readonly found: 'one';
      readonly subscriber: Subscriber;
      readonly by: IdentityKey;
      /** Absent: the profile does not look at lines. */
      readonly line?: LineStanding | undefined;
    }
  | { readonly found: 'several'; readonly by: IdentityKey; readonly subscriberIds: readonly number[] }
  | { readonly found: 'none'; readonly soughtBy: SoughtBy };

/** The lookups that identity needs of the directory. */
export type SubscriberLookup = Pick<
  Directory,
  | 'subscriber'
  | 'subscribersByLogin'
  | 'subscribersByMac'
  | 'subscribersByStaticAddress'
  | 'subscribersAtLine'
  | 'sessions'
>;

/** Whether a profile looks at access lines at all: others spare reading them. */
export function readsLine(rules: Pick<IdentityRules, 'identity'>): boolean {
  return rules.identity.includes('line');
}

/**
 * Looks up a subscriber by each name in the order of the profile; the first name that somebody has decides.
 */
export function findIdentity(directory: SubscriberLookup, rules: IdentityRules, names: PacketNames): FoundIdentity {
  let soughtBy: SoughtBy = 'nothing';
  let deleted: Subscriber | undefined;
  let deletedBy: IdentityKey = 'login';
  for (const key of rules.identity) {
    const candidates = candidatesBy(directory, rules, names, key);
    if (candidates === undefined) continue;
    if (soughtBy === 'nothing') soughtBy = key;
    let only: Subscriber | undefined;
    let count = 0;
    for (const candidate of candidates) {
      if (candidate.deleted) {
        if (deleted === undefined) [deleted, deletedBy] = [candidate, key];
        continue;
      }
      only = candidate;
      count++;
    }
    if (count === 1) return foundOne(directory, rules, names, only!, key);
    if (count > 1)
      return {
        found: 'several',
        by: key,
        subscriberIds: candidates.filter((one) => !one.deleted).map((one) => one.id),
      };
  }
  if (deleted !== undefined) return { found: 'one', subscriber: deleted, by: deletedBy };
  return { found: 'none', soughtBy: readsLine(rules) ? soughtByLine(directory, rules, names, soughtBy) : soughtBy };
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
      if (readsLine(rules)) return candidatesByMac(directory, rules, names);
      const mac = macOf(rules.mac, names.userName, names.callingStation);
      return mac === undefined ? undefined : directory.subscribersByMac(mac);
    }
    case 'line':
      return candidatesByLine(directory, rules, names);
    case 'address': {
      const named = names.userName === undefined ? undefined : parseIpv4Address(names.userName);
      const address = named ?? names.framedAddress;
      return address === undefined ? undefined : directory.subscribersByStaticAddress(address);
    }
  }
}

/** Where lines are looked at, the MAC of somebody who is known by his line alone means nobody: his neighbour may have his old router. */
function candidatesByMac(
  directory: SubscriberLookup,
  rules: IdentityRules,
  names: PacketNames,
): readonly Subscriber[] | undefined {
  const mac = macOf(rules.mac, names.userName, names.callingStation) ?? names.mac;
  if (mac === undefined) return undefined;
  const same = directory.subscribersByMac(mac);
  return same.some((one) => authOf(rules, one) === 'port') ? same.filter((one) => authOf(rules, one) !== 'port') : same;
}

function candidatesByLine(
  directory: SubscriberLookup,
  rules: IdentityRules,
  names: PacketNames,
): readonly Subscriber[] | undefined {
  if (names.line?.read === 'unknown') return [];
  const there = placedAt(directory, names);
  if (there === undefined) return undefined;
  const alive = there.filter((one) => !one.deleted);
  if (alive.length === 0) return there;
  const { mac } = names;
  const isSame = (one: Subscriber) => mac !== undefined && one.mac === mac;
  // Where the MAC decides, the line says nothing of somebody else's device.
  const meant = alive.filter((one) => authOf(rules, one) !== 'mac' || isSame(one));
  if (meant.length < 2) return meant;
  // Several may share a place where the kind of the device allows it; then the MAC tells them apart.
  const same = meant.filter(isSame);
  return same.length === 1 ? same : meant;
}

/** Whoever is plugged in where the packet says; undefined: it does not say, and no session tells. */
function placedAt(directory: SubscriberLookup, names: PacketNames): readonly Subscriber[] | undefined {
  const { line } = names;
  if (line?.read === 'line') {
    const { login } = line.line;
    const named = login === undefined ? [] : directory.subscribersByLogin(login).filter((one) => !one.deleted);
    return named.length === 1 ? named : directory.subscribersAtLine(line.line);
  }
  const held = line?.read === 'unknown' ? undefined : sessionOfRenewal(directory, names);
  const subscriber = held === undefined ? undefined : directory.subscriber(held);
  return subscriber && [subscriber];
}

/** A client renews by unicast, past the relay that tells its line: whoever holds the address with this MAC is who he was. */
function sessionOfRenewal(directory: SubscriberLookup, { at, framedAddress, mac }: PacketNames): number | undefined {
  if (at === undefined || framedAddress === undefined || mac === undefined) return undefined;
  const holders = directory.sessions.holders(at.routingDomain, framedAddress);
  return holders.find((one) => one.mac === mac && one.nasName === at.nasName)?.subscriberId;
}

function foundOne(
  directory: SubscriberLookup,
  rules: IdentityRules,
  names: PacketNames,
  subscriber: Subscriber,
  by: IdentityKey,
): FoundIdentity {
  if (!readsLine(rules)) return { found: 'one', subscriber, by };
  const auth = authOf(rules, subscriber);
  return { found: 'one', subscriber, by, line: { auth, where: whereIs(directory, names, subscriber, by) } };
}

function whereIs(
  directory: SubscriberLookup,
  names: PacketNames,
  subscriber: Subscriber,
  by: IdentityKey,
): LineStanding['where'] {
  if (by === 'line') return 'own';
  if (names.line?.read === 'unknown') return 'other';
  const there = placedAt(directory, names);
  if (there === undefined) return 'untold';
  return there.some(({ id }) => id === subscriber.id) ? 'own' : 'other';
}

/** What somebody is known by where lines are looked at; undefined: by whatever names him. */
function authOf(rules: IdentityRules, { option82Auth, hasDevice }: Subscriber): Option82Auth | undefined {
  return option82Auth ?? (hasDevice ? rules.option82Auth : undefined);
}

/** The line is what an operator looks at first, where there is one; a User-Name that is a MAC is nobody's login. */
function soughtByLine(
  directory: SubscriberLookup,
  rules: IdentityRules,
  names: PacketNames,
  first: SoughtBy,
): SoughtBy {
  if (names.line !== undefined && names.line.read !== 'none') return 'line';
  const mac = macOf(rules.mac, names.userName, names.callingStation) ?? names.mac;
  const isKnownByLine = mac !== undefined && directory.subscribersByMac(mac).some((one) => !one.deleted);
  return isKnownByLine && rules.identity.includes('mac') ? 'untold-line' : first;
}

/** What an accounting packet says about whose session it is; a `SessionFact` has this shape. */
export interface SessionNames {
  readonly login: string;
  readonly callingStation: string | null;
  /** Canonical; absent or null: it is not told. */
  readonly mac?: string | null;
  /** Dotted, as `SessionFact` has it. */
  readonly address: string | null;
  readonly class: ClassEvidence | null;
  readonly whose?: number | undefined;
  readonly line?: ReadLine | undefined;
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
    mac: session.mac ?? undefined,
    line: session.line,
  });
  if (identity.found === 'several') return 'ambiguous';
  return identity.found === 'one' ? identity.subscriber.id : undefined;
}
