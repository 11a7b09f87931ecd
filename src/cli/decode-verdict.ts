/**
 * Packets of a conversation, each with what a secret says about its signatures.
 *
 * Enters: RADIUS octets in order, from whom to whom, a secret. Leaves: for each packet which signatures are right or wrong.
 * Invariant: a reply is judged against the last request before it with its Identifier in the other direction; without one
 * it is `unknown`, never right or wrong.
 */
import { Code, isSignedRequest } from '../radius/code.js';
import { parsePacket } from '../radius/packet.js';
import type { Packet } from '../radius/packet.js';
import type { SharedSecret } from '../radius/shared-secret.js';

/** `unknown`: a reply whose request is not here. `random`: a request whose authenticator is no signature (RFC 2865 §3). */
export type SignatureVerdict = 'right' | 'wrong' | 'unknown' | 'random';

/** What a secret says about one packet. */
export interface PacketVerdict {
  readonly authenticator: SignatureVerdict;
  /** What hides passwords in this packet; undefined when it is not known, or when a signature is wrong. */
  readonly hiddenWith: Buffer | undefined;
  /** Null: the packet carries none. */
  readonly messageAuthenticator: Exclude<SignatureVerdict, 'random'> | null;
}

/** Requests that are remembered for their replies; one place per direction and Identifier, so a capture of many NASes fits. */
const maxRequests = 65_536;

/** Judges the packets of one conversation or capture, in order. */
export class SignatureJudge {
  readonly #secret: SharedSecret;
  readonly #requests = new Map<string, Packet>();

  constructor(secret: SharedSecret) {
    this.#secret = secret;
  }

  /**
   * @param from the sender, as text that is the same in the other direction for `to`
   * @returns undefined for octets that are no packet
   */
  judge(octets: Buffer, from: string, to: string): PacketVerdict | undefined {
    const parsed = parsePacket(octets);
    if (!parsed.ok) return undefined;
    const { packet } = parsed;
    if (isRequest(packet.code)) {
      this.#remember(`${from} ${to} ${String(packet.identifier)}`, packet);
      const signed = isSignedRequest(packet.code);
      const authenticator = signed ? rightOrWrong(this.#secret.requestAuthenticatorMatches(packet)) : 'random';
      const messageAuthenticator = carries(packet)
        ? rightOrWrong(this.#secret.messageAuthenticatorMatches(packet))
        : null;
      const isWrong = authenticator === 'wrong' || messageAuthenticator === 'wrong';
      return { authenticator, messageAuthenticator, hiddenWith: isWrong ? undefined : packet.authenticator };
    }
    const request = this.#requests.get(`${to} ${from} ${String(packet.identifier)}`);
    if (request === undefined)
      return {
        authenticator: 'unknown',
        messageAuthenticator: carries(packet) ? 'unknown' : null,
        hiddenWith: undefined,
      };
    const { authenticator } = request;
    return {
      authenticator: rightOrWrong(this.#secret.responseAuthenticatorMatches(packet, authenticator)),
      messageAuthenticator: carries(packet)
        ? rightOrWrong(this.#secret.messageAuthenticatorMatches(packet, authenticator))
        : null,
      // No reply carries a User-Password.
      hiddenWith: undefined,
    };
  }

  #remember(key: string, packet: Packet): void {
    if (this.#requests.size >= maxRequests) this.#requests.clear();
    this.#requests.set(key, packet);
  }
}

function isRequest(code: number): boolean {
  return code === Code.accessRequest || code === Code.statusServer || isSignedRequest(code);
}

function carries(packet: Packet): boolean {
  return packet.messageAuthenticatorOffset >= 0;
}

function rightOrWrong(matches: boolean): 'right' | 'wrong' {
  return matches ? 'right' : 'wrong';
}
