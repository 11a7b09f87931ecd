// Requests that we send: CoA and Disconnect to a NAS, and whatever tools and tests ask of a server.
// In: code, Identifier, attributes, a secret. Out: a signed packet.
// Invariant: Access-Request and Status-Server carry a random authenticator and start with Message-Authenticator; the others
// carry a signature in the authenticator field.

import { randomFillSync } from 'node:crypto';
import { AttributeWriter } from './attribute-writer.js';
import { isSignedRequest } from './code.js';
import { authenticatorOctets } from './packet.js';
import type { SharedSecret } from './shared-secret.js';

/** A request in the making. */
export class RequestBuilder extends AttributeWriter {
  /** The Request Authenticator for Access-Request and Status-Server: what passwords are hidden with. */
  readonly authenticator: Buffer;

  /**
   * @param authenticator 16 octets; random when not given. Signed requests replace it.
   * @param withMessageAuthenticator as first attribute; default true except for signed requests, where some NASes refuse it
   */
  constructor(
    code: number,
    identifier: number,
    authenticator?: Buffer,
    withMessageAuthenticator = !isSignedRequest(code),
  ) {
    super(code, identifier);
    this.authenticator = authenticator ?? randomFillSync(Buffer.alloc(authenticatorOctets));
    if (withMessageAuthenticator) this.addMessageAuthenticator();
  }

  /** Signs (RFC 2866 §3, RFC 5176 §2.3, RFC 3579 §3.2) and returns the packet; the builder is used up. */
  finish(secret: SharedSecret): Buffer {
    const { bytes, messageAuthenticatorOffset } = this.seal();
    this.authenticator.copy(bytes, 4);
    secret.signRequest(bytes, bytes.length, messageAuthenticatorOffset);
    return bytes;
  }

  /** The packet as it is, unsigned: for tests of what a server does with it. */
  finishUnsigned(): Buffer {
    const { bytes } = this.seal();
    this.authenticator.copy(bytes, 4);
    return bytes;
  }
}
