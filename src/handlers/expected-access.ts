// Enters: a subscriber's own device on a NAS, as far as anybody knows it without a packet. Leaves: the decision that the access
// handler would make of its request. Invariant: everything is judged by the handler's own functions over the same directory, so
// `explain` and the page say what the server does.

import type { NasEntry } from '../config/config.js';
import {
  decideAccess,
  type AccessDecision,
  type LiveSession,
  type OutstandingOffer,
  type PasswordOutcome,
  type Requester,
} from '../domain/access.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { ReadLine } from '../domain/lease-holder.js';
import { storedPasswordKeyId } from '../domain/seal-key-id.js';
import type { StaticPrefixes } from '../domain/subscriber.js';
import type { CompiledProfile } from '../nas/profile.js';
import { parseStoredPassword } from '../radius/stored-password.js';
import type { Directory } from '../store/directory.js';
import { findIdentity, readsLine, type FoundIdentity } from './identity.js';

/** The part of a subscriber that says which device would ask. */
export interface OwnDevice {
  /** Canonical. */
  readonly mac: string | undefined;
  /** Dotted; given when the subscriber is bound to calling from it. */
  readonly callingAddress: string | undefined;
  /** Where it was last seen on this NAS. */
  readonly nasBox: string | undefined;
  readonly nasPortId: string | undefined;
}

/** Live sessions, of anybody, that hold a static prefix; undefined where there is none. */
export function prefixHolders(
  directory: Directory,
  routingDomain: string,
  prefixes: StaticPrefixes | undefined,
): readonly LiveSession[] | undefined {
  if (prefixes === undefined) return undefined;
  const { framed, delegated } = prefixes;
  return [framed, delegated].flatMap((prefix) =>
    prefix === undefined ? [] : directory.sessions.prefixHolders(routingDomain, prefix),
  );
}

/** The subscriber's own device, on the line where it is now. */
export function ownRequester(nas: NasEntry, device: OwnDevice): Requester {
  const { mac, callingAddress } = device;
  return {
    nasName: nas.name,
    nasBox: device.nasBox ?? nas.name,
    routingDomain: nas.routingDomain,
    mac,
    nasPortId: device.nasPortId,
    // A client that is bound to its address calls from that address: the binding is judged as kept.
    callingStation: callingAddress ?? mac,
    callingAddress: callingAddress === undefined ? undefined : parseIpv4Address(callingAddress),
  };
}

/**
 * What a request of somebody who knows the password would be answered.
 *
 * @param given.line where it comes from; absent: the request tells no access line
 * @param given.offers outstanding ones; those of a running instance are in its memory only
 * @param given.sealKey opens sealed passwords, 32 octets
 */
export function expectedAccess(given: {
  readonly directory: Directory;
  readonly profile: CompiledProfile;
  readonly login: string;
  readonly requester: Requester;
  readonly line?: ReadLine | undefined;
  readonly offers: (subscriberId: number) => readonly OutstandingOffer[];
  readonly sealKey: Buffer;
  readonly nowMs: number;
}): { readonly identity: FoundIdentity; readonly decision: AccessDecision } {
  const { directory, profile, requester } = given;
  const identity = findIdentity(directory, profile.profile, {
    userName: given.login,
    callingStation: requester.callingStation,
    framedAddress: undefined,
    mac: requester.mac,
    line: readsLine(profile.profile) ? given.line : undefined,
  });
  const subscriber = identity.found === 'one' ? identity.subscriber : undefined;
  const account = subscriber && directory.account(subscriber.accountId);
  const staticAddress = subscriber?.staticAddress;
  const staticPrefixes = subscriber && directory.staticPrefixes(subscriber.id);
  const decision = decideAccess({
    identity: identity.found === 'one' ? { ...identity, account, plan: directory.plan(account?.planId) } : identity,
    password: passwordOutcome(directory, identity, profile, given.sealKey),
    answers: profile.states,
    requester,
    sessions: subscriber ? directory.sessions.ofSubscriber(subscriber.id) : [],
    offers: subscriber ? given.offers(subscriber.id) : [],
    staticHolders:
      staticAddress === undefined ? [] : directory.sessions.holders(requester.routingDomain, staticAddress),
    staticPrefixes,
    prefixHolders: prefixHolders(directory, requester.routingDomain, staticPrefixes),
    poolById: (poolId) => directory.pool(poolId),
    poolByName: (name) => directory.poolByName(name),
    nowMs: given.nowMs,
  });
  return { identity, decision };
}

/** How the check would end for somebody who knows the password. */
function passwordOutcome(
  directory: Directory,
  identity: FoundIdentity,
  profile: CompiledProfile,
  sealKey: Buffer,
): PasswordOutcome {
  if (identity.found !== 'one') return 'no-password';
  const text = directory.subscriber(identity.subscriber.id)?.password;
  if (text === undefined || text === '') {
    const vouched =
      (identity.by === 'mac' || identity.by === 'line') && profile.profile.macAuthorisation.noPassword.length > 0;
    return vouched ? 'not-required' : 'no-stored-password';
  }
  return parseStoredPassword(text, new Map([[storedPasswordKeyId, sealKey]])).ok
    ? 'verified'
    : 'stored-password-unreadable';
}
