// The sockets that commands leave from, and the Identifiers of each.
// In: a source address and a destination. Out: a free Identifier on a socket; datagrams that came back.
// Invariant: an Identifier of one socket and destination is in use once at most, and is used again only after all the others
// (a NAS that recognises repetitions by port and Identifier alone takes none for another); sockets are bounded.

import { ListenError, UdpListener } from './listener.js';
import type { Packet } from './packet.js';

/** Identifiers of a socket (RFC 2865 §3: one octet). */
export const identifiersPerPort = 256;
/** Sockets for one source address: 2,048 commands under way to one NAS, eight times what its settings allow. */
const maxPorts = 8;
/** Of one socket's Identifiers this many are used before another socket is opened, so that they come round slowly. */
const easyIdentifiers = 192;
/** Replies are short and come no faster than commands go: octets. */
const receiveBufferOctets = 1024 * 1024;
/** Destinations remembered for one source address; beyond it idle ones are forgotten. */
const maxChannels = 16_384;

/** A request that waits for its reply. */
export interface Waiting {
  /** Called with whatever carries its Identifier and comes from its destination. @returns whether it was the reply */
  readonly onReply: (reply: Packet) => boolean;
  /** Called with a reply from elsewhere. @returns whether it is rightly signed for this request */
  readonly onStray: (reply: Packet, address: string, port: number) => boolean;
}

/** What became of the last request that had an Identifier. */
export type Past = 'answered' | 'abandoned';

/** All requests from one source address to one destination. */
export interface Channel {
  readonly waiting: Map<number, Waiting>;
  readonly past: Map<number, Past>;
  next: number;
}

/** A place for one request. */
export interface Slot {
  readonly listener: UdpListener;
  readonly channel: Channel;
  /** Number of the socket × 256 + Identifier. */
  readonly number: number;
  readonly identifier: number;
}

/** A datagram, with the number of the socket that it came to. */
export type PortDatagramHandler = (
  ports: CoaPorts,
  portIndex: number,
  datagram: Buffer,
  sourceAddress: string,
  sourcePort: number,
) => void;

export type SlotResult =
  | { readonly ok: true; readonly slot: Slot }
  | { readonly ok: false; readonly reason: 'busy' | 'no-socket' | 'stopped' };

/** The sockets of one source address. */
export class CoaPorts {
  readonly #family: 4 | 6;
  readonly #sourceAddress: string;
  readonly #onDatagram: PortDatagramHandler;
  readonly #firstIdentifier: () => number;
  readonly #listeners: UdpListener[] = [];
  readonly #channels = new Map<string, Channel>();
  readonly #byNumber = new Map<number, Set<Waiting>>();
  #opening: Promise<boolean> | undefined;
  #stopped = false;

  /** @param firstIdentifier where a new destination begins to count: random, so that a restart does not repeat the last ones */
  constructor(
    family: 4 | 6,
    sourceAddress: string | undefined,
    onDatagram: PortDatagramHandler,
    firstIdentifier: () => number,
  ) {
    this.#family = family;
    this.#sourceAddress = sourceAddress ?? (family === 4 ? '0.0.0.0' : '::');
    this.#onDatagram = onDatagram;
    this.#firstIdentifier = firstIdentifier;
  }

  /** Sockets that are open. */
  get portCount(): number {
    return this.#listeners.length;
  }

  /** The channel of a destination that has one. */
  channel(address: string, port: number): Channel | undefined {
    return this.#channels.get(`${address} ${port}`);
  }

  /** Requests to any destination that wait under one number. */
  waitingUnder(number: number): Iterable<Waiting> {
    return this.#byNumber.get(number) ?? [];
  }

  /** Takes an Identifier for a request to a destination, until `release`. */
  async take(address: string, port: number, request: Waiting): Promise<SlotResult> {
    const channel = this.#open(address, port);
    const wanted = Math.min(maxPorts, Math.floor(channel.waiting.size / easyIdentifiers) + 1);
    // One after another: whoever waits finds at least one more than before, or learns that there will be none.
    while (!this.#stopped && this.#listeners.length < wanted) if (!(await (this.#opening ??= this.#openPort()))) break;
    if (this.#stopped) return { ok: false, reason: 'stopped' };
    if (this.#listeners.length === 0) return { ok: false, reason: 'no-socket' };
    const all = this.#listeners.length * identifiersPerPort;
    for (let step = 0; step < all; step++) {
      const number = (channel.next + step) % all;
      if (channel.waiting.has(number)) continue;
      channel.next = (number + 1) % all;
      this.#occupy(channel, number, request);
      const listener = this.#listeners[Math.floor(number / identifiersPerPort)]!;
      return { ok: true, slot: { listener, channel, number, identifier: number % identifiersPerPort } };
    }
    return { ok: false, reason: 'busy' };
  }

  /** Gives an Identifier back, and remembers for a while what became of it. */
  release({ channel, number }: Slot, past: Past): void {
    const request = channel.waiting.get(number);
    channel.waiting.delete(number);
    channel.past.set(number, past);
    const others = this.#byNumber.get(number);
    if (request === undefined || others === undefined) return;
    others.delete(request);
    if (others.size === 0) this.#byNumber.delete(number);
  }

  /** Closes the sockets. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#opening;
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
    this.#channels.clear();
  }

  #occupy(channel: Channel, number: number, request: Waiting): void {
    channel.waiting.set(number, request);
    const others = this.#byNumber.get(number);
    if (others === undefined) this.#byNumber.set(number, new Set([request]));
    else others.add(request);
  }

  #open(address: string, port: number): Channel {
    const name = `${address} ${port}`;
    let channel = this.#channels.get(name);
    if (channel !== undefined) return channel;
    if (this.#channels.size >= maxChannels)
      for (const [other, { waiting }] of this.#channels) if (waiting.size === 0) this.#channels.delete(other);
    channel = { waiting: new Map(), past: new Map(), next: this.#firstIdentifier() };
    this.#channels.set(name, channel);
    return channel;
  }

  async #openPort(): Promise<boolean> {
    const index = this.#listeners.length;
    const socketAddress = { family: this.#family, address: this.#sourceAddress, port: 0 };
    try {
      const listener = await UdpListener.open({ socketAddress, receiveBufferOctets }, (datagram, address, port) =>
        this.#onDatagram(this, index, datagram, address, port),
      );
      if (this.#stopped) await listener.close();
      else this.#listeners.push(listener);
      return true;
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      return false;
    } finally {
      this.#opening = undefined;
    }
  }
}
