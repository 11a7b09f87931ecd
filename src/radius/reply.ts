// Replies to requests that were admitted.
// In: the request, a secret, attributes. Out: a signed packet.
// Invariant: a reply to Access-Request or Status-Server starts with Message-Authenticator (so that no reply can be forged
// by the prefix that BlastRADIUS needs), every Proxy-State comes back unchanged and in order, and the reply is never
// longer than 4096 octets.

import { AttributeWriter } from './attribute-writer.js';
import { Attribute } from './attribute-number.js';
import { headerOctets, maxPacketOctets, messageAuthenticatorOctets, type Packet } from './packet.js';
import { replyNeedsMessageAuthenticator, type SharedSecret } from './shared-secret.js';

/** Whether a reply with the request's Proxy-State and a Message-Authenticator fits a packet at all. */
export function replyFits(request: Packet): boolean {
  return headerOctets + messageAuthenticatorOctets + request.proxyStateOctets <= maxPacketOctets;
}

/** A reply in the making. */
export class ReplyBuilder extends AttributeWriter {
  readonly #request: Packet;
  readonly #secret: SharedSecret;

  /**
   * @param code of the reply, see `Code`
   * @param secret the one that the request was admitted with
   * @throws PacketBuildError when the request's Proxy-State leaves no room, see `replyFits`
   */
  constructor(request: Packet, code: number, secret: SharedSecret) {
    super(code, request.identifier);
    this.#request = request;
    this.#secret = secret;
    if (replyNeedsMessageAuthenticator(request.code)) this.addMessageAuthenticator();
    // Copied first, so that an attribute that does not fit is the one refused (RFC 2865 §5.33 fixes their order among
    // themselves only).
    if (request.proxyStateOctets > 0) {
      for (let offset = request.indexOf(Attribute.proxyState, headerOctets); offset >= 0;) {
        const next = request.next(offset);
        this.addEncoded(request.bytes.subarray(offset, next));
        offset = request.indexOf(Attribute.proxyState, next);
      }
    }
  }

  /** The Request Authenticator that salt-encrypted attributes of this reply are hidden with. */
  get requestAuthenticator(): Buffer {
    return this.#request.authenticator;
  }

  /** Signs (RFC 2865 §3, RFC 3579 §3.2) and returns the packet; the builder is used up. */
  finish(): Buffer {
    const { bytes, messageAuthenticatorOffset } = this.seal();
    this.#secret.signReply(bytes, bytes.length, messageAuthenticatorOffset, this.#request.authenticator);
    return bytes;
  }
}
