/**
 * The packets of each kind of work, as a RouterOS PPPoE server words them. Enters: the shared secret and a packet's number. Leaves: signed
 * packets, and files of them. Invariant: every side gets the same octets.
 */
import { createHash } from 'node:crypto';
import { Attribute } from '../../src/radius/attribute-number.js';
import type { RequestBuilder } from '../../src/radius/request.js';
import type { SharedSecret } from '../../src/radius/shared-secret.js';
import { accessRequest, accountingRequest, type BuiltRequest } from '../support/radius-client.js';
import { identifierOf } from './packet-file.js';
import { poolPerson, staticPerson, STATIC_SUBSCRIBERS, type Person } from './world.js';

/** RFC 2865 §5.6, §5.7, §5.41: Framed, PPP, Ethernet. */
const FRAMED = 2;
const PPP = 1;
const ETHERNET = 15;
/** RFC 2866 §5.10: User Request. */
const USER_REQUEST = 1;

const NAS = { nasIpAddress: '127.0.0.1', nasIdentifier: 'bras1' };

/** What every packet of a RouterOS has beside its names. */
function addPort(request: RequestBuilder, person: Person): void {
  request.addUint32(Attribute.serviceType, FRAMED);
  request.addUint32(Attribute.framedProtocol, PPP);
  request.addUint32(Attribute.nasPortType, ETHERNET);
  request.addText(Attribute.nasPortId, 'ether1-pppoe');
  request.addText(Attribute.calledStationId, 'pppoe-in');
  request.addText(Attribute.callingStationId, person.mac);
}

function access(secret: SharedSecret, index: number, person: Person): BuiltRequest {
  return accessRequest({
    ...NAS,
    secret,
    identifier: identifierOf(index),
    // Not random, so that whoever checks an answer can make the request again.
    authenticator: createHash('md5')
      .update(`${person.login} ${String(index)}`)
      .digest(),
    userName: person.login,
    password: person.password,
    fill: (request) => addPort(request, person),
  });
}

/** A login by PAP of somebody with a static address; all of them in turn. */
export function papRequest(secret: SharedSecret, index: number): BuiltRequest {
  return access(secret, index, staticPerson((index % STATIC_SUBSCRIBERS) + 1));
}

/** A first login of somebody without an address: nobody twice. */
export function poolRequest(secret: SharedSecret, index: number): BuiltRequest {
  return access(secret, index, poolPerson(index + 1));
}

/** How often sessions are heard of. */
export interface AccountingMix {
  /** Interim-Updates between a session's Start and its Stop. */
  readonly interims: number;
  /** Starts between two updates of one session: with the interims it says how many sessions are live at once. */
  readonly liveSteps: number;
}

/** Sessions of eight hours with an update every ten minutes. A day with five minutes would have 288. */
export const USUAL_INTERIMS = 48;
/** Every subscriber has one session at most. */
const MOST_LIVE_SESSIONS = 9_000;

/** @param interims at least 1 */
export function accountingMix(interims: number): AccountingMix {
  return { interims, liveSteps: Math.floor(MOST_LIVE_SESSIONS / (interims + 1)) };
}

/** Sessions that are live at once. */
export function liveSessions({ interims, liveSteps }: AccountingMix): number {
  return liveSteps * (interims + 1);
}

/** What a session counts from one packet to the next. */
export const INPUT_OCTETS_PER_PACKET = 1_000_000;
export const OUTPUT_OCTETS_PER_PACKET = 9_000_000;

/** What an accounting packet says: which session, and how often it has been heard of before. */
export interface AccountingStep {
  /** From 0. */
  readonly session: number;
  /** 0 is the Start, `interims` + 1 the Stop. */
  readonly step: number;
}

/**
 * The stream of accounting: first the Starts of all that are live at once; then, again and again, a Start, an Interim-Update of each age, and
 * the Stop of the oldest. So each second has the same mix, and the number of live sessions stays the same.
 */
export function accountingStep(mix: AccountingMix, index: number): AccountingStep {
  const live = liveSessions(mix);
  if (index < live) return { session: index, step: 0 };
  const packets = mix.interims + 2;
  const turn = Math.floor((index - live) / packets);
  const step = (index - live) % packets;
  // Sessions of the beginning are taken to be of all ages, so that the first Stop comes at once.
  return { session: live + turn - step * mix.liveSteps, step };
}

/**
 * The packet of a step.
 * @param identifier of the packet
 * @param sessionSeconds how long the session has lasted when the packet is sent; a server may doubt one that says something else
 */
export function accountingPacket(
  mix: AccountingMix,
  secret: SharedSecret,
  { session, step }: AccountingStep,
  identifier: number,
  sessionSeconds: number,
): BuiltRequest {
  const person = staticPerson((session % STATIC_SUBSCRIBERS) + 1);
  const isStop = step === mix.interims + 1;
  return accountingRequest({
    ...NAS,
    secret,
    identifier,
    status: step === 0 ? 'start' : isStop ? 'stop' : 'interimUpdate',
    userName: person.login,
    acctSessionId: `81${session.toString(16).padStart(6, '0')}`,
    framedIpAddress: person.address,
    delaySeconds: 0,
    ...(step === 0
      ? {}
      : {
          sessionSeconds,
          inputOctets: step * INPUT_OCTETS_PER_PACKET,
          outputOctets: step * OUTPUT_OCTETS_PER_PACKET,
          inputPackets: step * 1_000,
          outputPackets: step * 9_000,
        }),
    ...(isStop ? { terminateCause: USER_REQUEST } : {}),
    fill: (request) => addPort(request, person),
  });
}
