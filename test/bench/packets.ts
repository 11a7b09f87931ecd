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

/** Interim-Updates between a session's Start and its Stop. Sessions of a day with an interval of five minutes would have 288. */
export const INTERIMS = 8;
/** Packets of one session. */
export const SESSION_PACKETS = INTERIMS + 2;
/** Sessions that are live at once: every subscriber has one at most. */
const LIVE_STEPS = 1_000;
export const LIVE_SESSIONS = LIVE_STEPS * (INTERIMS + 1);
/** What a session counts from one packet to the next. */
export const INPUT_OCTETS_PER_PACKET = 1_000_000;
export const OUTPUT_OCTETS_PER_PACKET = 9_000_000;

/** What an accounting packet says: which session, and how often it has been heard of before. */
export interface AccountingStep {
  /** From 0. */
  readonly session: number;
  /** 0 is the Start, INTERIMS + 1 the Stop. */
  readonly step: number;
}

/**
 * The stream of accounting: first the Starts of all that are live at once; then, again and again, a Start, an Interim-Update of each age, and
 * the Stop of the oldest. So each second has the same mix, and the number of live sessions stays the same.
 */
export function accountingStep(index: number): AccountingStep {
  if (index < LIVE_SESSIONS) return { session: index, step: 0 };
  const turn = Math.floor((index - LIVE_SESSIONS) / SESSION_PACKETS);
  const step = (index - LIVE_SESSIONS) % SESSION_PACKETS;
  // Sessions of the beginning are taken to be of all ages, so that the first Stop comes at once.
  return { session: LIVE_SESSIONS + turn - step * LIVE_STEPS, step };
}

/**
 * The packet of a step.
 * @param identifier of the packet
 * @param sessionSeconds how long the session has lasted when the packet is sent; a server may doubt one that says something else
 */
export function accountingPacket(
  secret: SharedSecret,
  { session, step }: AccountingStep,
  identifier: number,
  sessionSeconds: number,
): BuiltRequest {
  const person = staticPerson((session % STATIC_SUBSCRIBERS) + 1);
  const isStop = step === INTERIMS + 1;
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
