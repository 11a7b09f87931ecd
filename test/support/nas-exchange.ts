/**
 * The sockets of a NAS with many requests under way. Enters: requests still without an Identifier. Leaves: replies that a strict client
 * accepts. Invariants: an Identifier of a socket is used again only after all the others; a reply that belongs to no request, or
 * is not rightly signed, is counted and never taken for an answer.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Packet } from '../../src/radius/packet.js';
import { openReply, type BuiltRequest } from './radius-client.js';

/** Enough Identifiers for some eight seconds of 500 packets/s before one comes again. */
const DEFAULT_SOCKETS = 16;
const RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024;

interface Slot {
  readonly socket: Socket;
  readonly identifier: number;
  waiting: { readonly request: BuiltRequest; readonly settle: (reply: Packet | undefined) => void } | undefined;
}

export class NasExchange {
  /** Replies that came after the patience of their request, or twice. */
  late = 0;
  /** Replies that a strict client throws away: wrong signature, wrong form. */
  readonly refused: string[] = [];
  readonly #sockets: readonly Socket[];
  readonly #free: Slot[] = [];
  #closed = false;

  private constructor(
    sockets: readonly Socket[],
    private readonly onAnswer: ((request: BuiltRequest, reply: Packet) => void) | undefined,
  ) {
    this.#sockets = sockets;
    const slots = sockets.map((socket) =>
      Array.from({ length: 256 }, (_, identifier): Slot => ({ socket, identifier, waiting: undefined })),
    );
    // Over all sockets first, so that one Identifier comes from many ports at once, as from accel-ppp.
    for (let identifier = 0; identifier < 256; identifier++) for (const of of slots) this.#free.push(of[identifier]!);
    sockets.forEach((socket, at) => {
      socket.on('message', (bytes) => this.#receive(slots[at]![bytes[1] ?? 0]!, Buffer.from(bytes)));
      socket.on('error', () => undefined);
    });
  }

  /**
   * @param options.localAddress the NAS's own address on loopback
   * @param options.onAnswer hears of every answer that a strict client takes
   */
  static async open(
    options: {
      sockets?: number;
      localAddress?: string;
      onAnswer?: (request: BuiltRequest, reply: Packet) => void;
    } = {},
  ): Promise<NasExchange> {
    const sockets = Array.from({ length: options.sockets ?? DEFAULT_SOCKETS }, () =>
      createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_OCTETS }),
    );
    for (const socket of sockets) {
      socket.bind(0, options.localAddress ?? '127.0.0.1');
      await once(socket, 'listening');
    }
    return new NasExchange(sockets, options.onAnswer);
  }

  /**
   * Sends a request and waits; the same octets again for each further attempt.
   *
   * @returns the reply, or undefined when none came in `attempts` times `timeoutMs`
   * @throws Error when more requests are under way than there are Identifiers
   */
  async ask(
    port: number,
    build: (identifier: number) => BuiltRequest,
    { timeoutMs, attempts = 1 }: { timeoutMs: number; attempts?: number },
  ): Promise<Packet | undefined> {
    const slot = this.#free.shift();
    if (slot === undefined) throw new Error('the NAS has no Identifier left');
    const request = build(slot.identifier);
    const reply = await new Promise<Packet | undefined>((settle) => {
      let left = attempts;
      const attempt = (): void => {
        if (left-- === 0 || this.#closed) return settle(undefined);
        slot.socket.send(request.bytes, port, '127.0.0.1');
        timer = setTimeout(attempt, timeoutMs);
      };
      let timer: NodeJS.Timeout | undefined;
      slot.waiting = {
        request,
        settle: (answer) => {
          clearTimeout(timer);
          settle(answer);
        },
      };
      attempt();
    });
    slot.waiting = undefined;
    this.#free.push(slot);
    return reply;
  }

  /** Whoever still waits gets nothing. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets) socket.close();
  }

  #receive(slot: Slot, bytes: Buffer): void {
    const { waiting } = slot;
    if (waiting === undefined) {
      this.late += 1;
      return;
    }
    try {
      const reply = openReply(bytes, waiting.request);
      this.onAnswer?.(waiting.request, reply);
      waiting.settle(reply);
    } catch (error) {
      this.refused.push(error instanceof Error ? error.message : String(error));
    }
  }
}
