/**
 * One request over UDP, asked again until something true comes back.
 *
 * Enters: octets of a request, where to, a secret. Leaves: the verified reply, or why there is none.
 * Invariant: a reply counts only from the server that was asked, with the request's Identifier, a right Response Authenticator
 * and, where there is one, a right Message-Authenticator; everything else is counted and ignored (RFC 2865 §3).
 */
import { createSocket } from 'node:dgram';
import { parsePacket } from '../radius/packet.js';
import type { Packet } from '../radius/packet.js';
import type { SharedSecret } from '../radius/shared-secret.js';

/** What to ask, and how patiently. */
export interface Exchange {
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
  readonly secret: SharedSecret;
  readonly bytes: Buffer;
  /** Wait for each attempt, ms. */
  readonly timeoutMs: number;
  /** Times that the same octets are sent, at least 1. */
  readonly attempts: number;
}

/** What came back. */
export type ExchangeResult =
  | { readonly ok: true; readonly reply: Packet; readonly elapsedMs: number; readonly attempts: number }
  | {
      readonly ok: false;
      /** Replies that were ignored because no signature held, or because they were no packets. */
      readonly ignored: number;
      /** The host said that nobody listens on the port. */
      readonly refused: boolean;
    };

/**
 * Asks.
 *
 * @throws the system's error when the request cannot be sent at all
 */
export async function exchange(options: Exchange): Promise<ExchangeResult> {
  const { secret, bytes } = options;
  const socket = createSocket(options.family === 6 ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      // Connected, so that the host tells of a port without a listener, and nobody else is heard.
      socket.connect(options.port, options.address, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    return await new Promise<ExchangeResult>((resolve, reject) => {
      const startedAtMs = performance.now();
      let sent = 0;
      let ignored = 0;
      let refused = false;
      let timer: NodeJS.Timeout | undefined;
      const end = (result: ExchangeResult): void => {
        clearTimeout(timer);
        resolve(result);
      };
      const send = (): void => {
        if (sent >= options.attempts) {
          end({ ok: false, ignored, refused });
          return;
        }
        sent += 1;
        socket.send(bytes);
        timer = setTimeout(send, options.timeoutMs);
      };
      socket.on('message', (datagram) => {
        const reply = verified(datagram, bytes, secret);
        if (reply === undefined) ignored += 1;
        else end({ ok: true, reply, elapsedMs: performance.now() - startedAtMs, attempts: sent });
      });
      socket.on('error', (error) => {
        // A port that is closed now may be open at the next attempt: a server that restarts.
        if ('code' in error && error.code === 'ECONNREFUSED') refused = true;
        else {
          clearTimeout(timer);
          reject(error);
        }
      });
      send();
    });
  } finally {
    socket.close();
  }
}

function verified(datagram: Buffer, request: Buffer, secret: SharedSecret): Packet | undefined {
  const parsed = parsePacket(datagram);
  if (!parsed.ok || parsed.packet.identifier !== request[1]) return undefined;
  const { packet } = parsed;
  const requestAuthenticator = request.subarray(4, 20);
  if (!secret.responseAuthenticatorMatches(packet, requestAuthenticator)) return undefined;
  if (packet.messageAuthenticatorOffset >= 0 && !secret.messageAuthenticatorMatches(packet, requestAuthenticator))
    return undefined;
  return packet;
}
