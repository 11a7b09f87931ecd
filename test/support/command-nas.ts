/**
 * A NAS that hears CoA and Disconnect and misbehaves as told. Enters: a secret and a behaviour. Leaves: replies, and what it heard. Invariant:
 * it does with each request exactly what the behaviour says; what is not rightly signed it counts and leaves unanswered.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Test } from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';

/** One datagram that is sent back, or something that is wrong with it. */
export type CommandReaction =
  | { readonly send: 'ack'; readonly errorCause?: number }
  /** Without `errorCause` it carries none, as some NASes do. */
  | { readonly send: 'nak'; readonly errorCause?: number }
  /** ACK to a Disconnect where CoA was asked, and the other way round. */
  | { readonly send: 'other-code' }
  /** Signed with another secret. */
  | { readonly send: 'forged' }
  /** Rightly signed, but its Message-Authenticator is not. */
  | { readonly send: 'bad-message-authenticator' }
  | { readonly send: 'with-message-authenticator' }
  /** From another port of the NAS. */
  | { readonly send: 'from-elsewhere' }
  | { readonly send: 'garbage' };

export type CommandBehaviour = (request: Packet, count: number) => readonly CommandReaction[];

export const ack: CommandReaction = { send: 'ack' };
export const nak = (errorCause?: number): CommandReaction =>
  errorCause === undefined ? { send: 'nak' } : { send: 'nak', errorCause };

/** A request as it arrived. */
export interface HeardCommand {
  readonly packet: Packet;
  readonly octets: Buffer;
  readonly fromPort: number;
  readonly fromAddress: string;
}

export class CommandNas {
  readonly heard: HeardCommand[] = [];
  /** Requests whose signature was wrong. */
  unsigned = 0;
  readonly #secret: SharedSecret;
  readonly #stranger: Socket;
  #isClosed = false;

  private constructor(
    private readonly socket: Socket,
    stranger: Socket,
    secret: string,
    public behave: CommandBehaviour,
  ) {
    this.#secret = new SharedSecret(secret);
    this.#stranger = stranger;
    socket.on('message', (octets, from) => this.#hear(Buffer.from(octets), from.port, from.address));
  }

  /** Its sockets are closed when the test ends. */
  static async open(
    t: Pick<Test, 'teardown'>,
    secret: string,
    behave: CommandBehaviour = () => [ack],
    host = '127.0.0.1',
  ): Promise<CommandNas> {
    const [socket, stranger] = [createSocket('udp4'), createSocket('udp4')];
    for (const one of [socket, stranger]) {
      one.bind(0, host);
      await once(one, 'listening');
    }
    const nas = new CommandNas(socket, stranger, secret, behave);
    t.teardown(() => nas.close());
    return nas;
  }

  /** Nobody listens any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.socket.close();
    this.#stranger.close();
  }

  get port(): number {
    return this.socket.address().port;
  }

  /** The port that `from-elsewhere` answers from. */
  get strangerPort(): number {
    return this.#stranger.address().port;
  }

  /** Sends datagrams to whoever sent this request, whatever the behaviour says. */
  react(to: HeardCommand, ...reactions: readonly CommandReaction[]): void {
    for (const reaction of reactions) {
      const from = reaction.send === 'from-elsewhere' ? this.#stranger : this.socket;
      from.send(this.#octetsOf(to.packet, reaction), to.fromPort, to.fromAddress);
    }
  }

  #hear(octets: Buffer, fromPort: number, fromAddress: string): void {
    const parsed = parsePacket(octets);
    if (!parsed.ok || !this.#secret.requestAuthenticatorMatches(parsed.packet)) {
      // The question whether the port is open is shorter than a packet.
      if (parsed.ok) this.unsigned += 1;
      return;
    }
    const heard = { packet: parsed.packet, octets, fromPort, fromAddress };
    this.heard.push(heard);
    this.react(heard, ...this.behave(parsed.packet, this.heard.length));
  }

  #octetsOf(request: Packet, reaction: CommandReaction): Buffer {
    if (reaction.send === 'garbage') return Buffer.from('no packet at all');
    const isCoa = request.code === Code.coaRequest;
    const secret = reaction.send === 'forged' ? new SharedSecret('of somebody else') : this.#secret;
    const [positive, negative, other] = isCoa
      ? [Code.coaAck, Code.coaNak, Code.disconnectAck]
      : [Code.disconnectAck, Code.disconnectNak, Code.coaAck];
    const code = reaction.send === 'nak' ? negative : reaction.send === 'other-code' ? other : positive;
    const reply = new ReplyBuilder(request, code, secret);
    if ('errorCause' in reaction && reaction.errorCause !== undefined)
      reply.addUint32(Attribute.errorCause, reaction.errorCause);
    if (reaction.send === 'with-message-authenticator') reply.addMessageAuthenticator();
    if (reaction.send === 'bad-message-authenticator')
      reply.addOctets(Attribute.messageAuthenticator, Buffer.alloc(16, 7));
    return reply.finish();
  }
}
