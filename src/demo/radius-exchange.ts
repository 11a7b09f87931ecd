/**
 * The asking side of RADIUS, as a NAS has it: requests with retries, replies matched and verified. Enters: requests still without an Identifier. Leaves:
 * verified replies, or undefined for silence. Invariants: an Identifier is used again only after all the others; a reply with a
 * wrong signature is no reply.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isSignedRequest } from '../radius/code.js';
import { headerOctets, parsePacket, type Packet } from '../radius/packet.js';
import type { RequestBuilder } from '../radius/request.js';
import type { SharedSecret } from '../radius/shared-secret.js';

/** Sockets to ask from; each has 256 Identifiers. */
const SOCKETS = 4;
/** How long one attempt waits, ms: longer than a Reject is held back. */
const ATTEMPT_TIMEOUT_MS = 3_000;
/** Attempts in all, as most NASes have it. */
const ATTEMPTS = 3;

interface Slot {
  readonly socket: Socket;
  readonly identifier: number;
  hear: ((reply: Packet) => void) | undefined;
}

export class RadiusExchange {
  readonly #slots: Slot[];
  readonly #sockets: readonly Socket[];
  readonly #secret: SharedSecret;
  readonly #host: string;
  #isClosed = false;

  private constructor(sockets: readonly Socket[], secret: SharedSecret, host: string) {
    this.#sockets = sockets;
    this.#secret = secret;
    this.#host = host;
    const bySocket = sockets.map((socket) =>
      Array.from({ length: 256 }, (_, identifier): Slot => ({ socket, identifier, hear: undefined })),
    );
    this.#slots = bySocket.flat();
    sockets.forEach((socket, at) => {
      socket.on('message', (octets) => {
        const parsed = parsePacket(Buffer.from(octets));
        if (parsed.ok) bySocket[at]?.[parsed.packet.identifier]?.hear?.(parsed.packet);
      });
      // A port that nobody listens on is silence for a NAS.
      socket.on('error', () => undefined);
    });
  }

  /** @param host where the server is, an IPv4 address */
  static async open(secret: SharedSecret, host: string): Promise<RadiusExchange> {
    const sockets = Array.from({ length: SOCKETS }, () => createSocket('udp4'));
    for (const socket of sockets) {
      socket.bind(0, host);
      await once(socket, 'listening');
    }
    return new RadiusExchange(sockets, secret, host);
  }

  /**
   * Asks, and asks again with the same octets.
   *
   * @param build makes the request for an Identifier
   * @returns the verified reply, or undefined when none came or all Identifiers are in use
   */
  async ask(port: number, build: (identifier: number) => RequestBuilder): Promise<Packet | undefined> {
    const slot = this.#slots.shift();
    if (slot === undefined || this.#isClosed) return undefined;
    const octets = build(slot.identifier).finish(this.#secret);
    const authenticator = Buffer.from(octets.subarray(4, headerOctets));
    const needsMessageAuthenticator = !isSignedRequest(octets[0] ?? 0);
    try {
      for (let attempt = 0; attempt < ATTEMPTS && !this.#isClosed; attempt++) {
        const reply = await new Promise<Packet | undefined>((settle) => {
          const timer = setTimeout(() => settle(undefined), ATTEMPT_TIMEOUT_MS);
          slot.hear = (packet) => {
            if (!this.#secret.responseAuthenticatorMatches(packet, authenticator)) return;
            if (needsMessageAuthenticator && !this.#secret.messageAuthenticatorMatches(packet, authenticator)) return;
            clearTimeout(timer);
            settle(packet);
          };
          slot.socket.send(octets, port, this.#host);
        });
        if (reply !== undefined) return reply;
      }
      return undefined;
    } finally {
      slot.hear = undefined;
      this.#slots.push(slot);
    }
  }

  /** Nothing is sent any more; who still waits gets silence. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.close();
  }
}
