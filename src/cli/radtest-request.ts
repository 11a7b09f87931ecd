/**
 * The requests of `radtest`: what a NAS would send.
 *
 * Enters: a login, a password, a method, values of a session. Leaves: octets built by the npm package `radius`.
 * Invariant: an Access-Request carries a Message-Authenticator; the password is in it only as its method hides it.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { AcctStatusType, AdslForumAttribute, MicrosoftAttribute, Vendor } from '../radius/attribute-number.js';
import { chapResponse } from '../radius/chap.js';
import { equalSecrets } from '../radius/constant-time.js';
import { authenticatorResponse, challengeHash } from '../radius/mschap.js';
import { challengeResponse, ntPasswordHash } from '../radius/nt-hash.js';
import type { Packet } from '../radius/packet.js';
import { peerAccessRequest, peerAccountingRequest } from './radius-peer.js';
import type { PeerAttribute } from './radius-peer.js';

/** How the password travels. */
export const passwordMethods = ['pap', 'chap', 'mschap', 'mschapv2'] as const;
export type PasswordMethod = (typeof passwordMethods)[number];

/** What an Accounting-Request says of a session. */
export const accountingKinds = ['start', 'interim', 'stop'] as const;
export type AccountingKind = (typeof accountingKinds)[number];

/** What every request says. */
export interface RequestNames {
  readonly login: string;
  readonly nasIdentifier: string;
  readonly nasIpAddress: string | undefined;
  readonly nasPortId: string | undefined;
  readonly callingStation: string | undefined;
  readonly calledStation: string | undefined;
  readonly framedAddress: string | undefined;
  /** Of the access line, as a NAS passes on option 82 (RFC 4679 §3.3.1, §3.3.2). */
  readonly circuitId: Buffer | undefined;
  readonly remoteId: Buffer | undefined;
}

/** Values of a session; counts from the NAS's side: input is from the subscriber (RFC 2866 §5.3). */
export interface SessionValues {
  readonly acctSessionId: string;
  readonly sessionSeconds: number;
  readonly inputOctets: number;
  readonly outputOctets: number;
}

/** A request, and how its Accept proves that the server knows the password. */
export interface TestRequest {
  readonly bytes: Buffer;
  /** MS-CHAPv2 only: whether MS-CHAP2-Success in an Accept is right (RFC 2759 §5). */
  readonly serverProof: ((reply: Packet) => boolean) | undefined;
}

/** Values of Acct-Status-Type and Service-Type, and octets of one Gigaword (RFC 2866 §5.1, RFC 2865 §5.6, RFC 2869 §5.1). */
const statusTypes = {
  start: AcctStatusType.start,
  interim: AcctStatusType.interimUpdate,
  stop: AcctStatusType.stop,
} as const;
const framedService = 2;
const gigaword = 2 ** 32;
/** User-Request (RFC 2866 §5.10). */
const userRequest = 1;

/**
 * An Access-Request.
 *
 * @param password undefined: none, as for a subscriber who is known by MAC
 */
export function accessTestRequest(
  secret: Buffer,
  names: RequestNames,
  method: PasswordMethod,
  password: string | undefined,
): TestRequest {
  const hidden = password === undefined ? { attributes: [], serverProof: undefined } : hide(names, method, password);
  const attributes: PeerAttribute[] = [...nameAttributes(names), ['Service-Type', framedService], ...hidden.attributes];
  return {
    bytes: peerAccessRequest(secret, randomInt(256), randomBytes(16), attributes),
    serverProof: hidden.serverProof,
  };
}

/** An Accounting-Request. */
export function accountingTestRequest(
  secret: Buffer,
  names: RequestNames,
  kind: AccountingKind,
  session: SessionValues,
): TestRequest {
  const counts: PeerAttribute[] = [
    ['Acct-Session-Time', session.sessionSeconds],
    ...octetCount('Input', session.inputOctets),
    ...octetCount('Output', session.outputOctets),
  ];
  const attributes: PeerAttribute[] = [
    ...nameAttributes(names),
    ['Acct-Status-Type', statusTypes[kind]],
    ['Acct-Session-Id', session.acctSessionId],
    ...(kind === 'start' ? [] : counts),
    ...(kind === 'stop' ? ([['Acct-Terminate-Cause', userRequest]] as const) : []),
  ];
  return { bytes: peerAccountingRequest(secret, randomInt(256), attributes), serverProof: undefined };
}

function octetCount(direction: 'Input' | 'Output', octets: number): PeerAttribute[] {
  const gigawords = Math.floor(octets / gigaword);
  return [
    [`Acct-${direction}-Octets`, octets % gigaword],
    ...(gigawords === 0 ? [] : ([[`Acct-${direction}-Gigawords`, gigawords]] as const)),
  ];
}

function nameAttributes(names: RequestNames): PeerAttribute[] {
  const given: readonly (readonly [string, string | undefined])[] = [
    ['User-Name', names.login],
    ['NAS-Identifier', names.nasIdentifier],
    ['NAS-IP-Address', names.nasIpAddress],
    ['NAS-Port-Id', names.nasPortId],
    ['Calling-Station-Id', names.callingStation],
    ['Called-Station-Id', names.calledStation],
    ['Framed-IP-Address', names.framedAddress],
  ];
  const line: readonly (readonly [number, Buffer | undefined])[] = [
    [AdslForumAttribute.agentCircuitId, names.circuitId],
    [AdslForumAttribute.agentRemoteId, names.remoteId],
  ];
  return [
    ...given.flatMap(([name, value]): PeerAttribute[] => (value === undefined ? [] : [[name, value]])),
    ...line.flatMap(([type, value]): PeerAttribute[] =>
      value === undefined ? [] : [['Vendor-Specific', Vendor.adslForum, [[type, value]]]],
    ),
  ];
}

function hide(
  { login }: RequestNames,
  method: PasswordMethod,
  password: string,
): { readonly attributes: PeerAttribute[]; readonly serverProof: TestRequest['serverProof'] } {
  const ident = randomInt(256);
  switch (method) {
    case 'pap':
      return { attributes: [['User-Password', password]], serverProof: undefined };
    case 'chap': {
      const challenge = randomBytes(16);
      const response = chapResponse(ident, Buffer.from(password, 'utf8'), challenge);
      return {
        attributes: [
          ['CHAP-Password', Buffer.concat([Buffer.of(ident), response])],
          ['CHAP-Challenge', challenge],
        ],
        serverProof: undefined,
      };
    }
    case 'mschap': {
      const challenge = randomBytes(8);
      // Flags 1: the NT response is there (RFC 2548 §2.1.3).
      const response = Buffer.alloc(50);
      response.set([ident, 1]);
      challengeResponse(challenge, ntPasswordHash(password)).copy(response, 26);
      return { attributes: microsoft(challenge, MicrosoftAttribute.chapResponse, response), serverProof: undefined };
    }
    case 'mschapv2': {
      const challenge = randomBytes(16);
      const peerChallenge = randomBytes(16);
      const ntHash = ntPasswordHash(password);
      const hash = challengeHash(peerChallenge, challenge, login);
      const ntResponse = challengeResponse(hash, ntHash);
      const response = Buffer.alloc(50);
      response[0] = ident;
      peerChallenge.copy(response, 2);
      ntResponse.copy(response, 26);
      const expected = Buffer.concat([
        Buffer.of(ident),
        Buffer.from(authenticatorResponse(ntHash, ntResponse, hash), 'latin1'),
      ]);
      return {
        attributes: microsoft(challenge, MicrosoftAttribute.chap2Response, response),
        serverProof: (reply) => {
          const offered = reply.vendorFirst(Vendor.microsoft, MicrosoftAttribute.chap2Success);
          return offered !== undefined && equalSecrets(offered, expected);
        },
      };
    }
  }
}

function microsoft(challenge: Buffer, type: number, response: Buffer): PeerAttribute[] {
  return [
    ['Vendor-Specific', Vendor.microsoft, [[MicrosoftAttribute.chapChallenge, challenge]]],
    ['Vendor-Specific', Vendor.microsoft, [[type, response]]],
  ];
}
