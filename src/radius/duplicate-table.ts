// Retransmissions (RFC 5080 §2.2.2).
// In: admitted packets with their socket, source address, source port and Identifier. Out: what is known about them.
// Invariant: one live entry per key; the same packet finds its entry while that lives; another packet under the same key
// replaces it. Entries die in the order of their birth, at the next insertion, so there is no timer and no scan; their
// number is bounded, dead ones included. Only packets with a valid signature may come here.
//
// All of it lies in arrays of numbers: an entry lives for seconds, and as an object each would first be copied about by V8 and then be
// garbage among the objects that stay, which makes it mark all of a large heap again and again.

import type { Packet } from './packet.js';
import { ReplyStore } from './reply-store.js';

/** How long entries live by default, ms: longer than three tries at 3 s each, which is what accel-ppp makes. */
export const defaultDuplicateLifetimeMs = 10_000;
/** Default bound: 10 s at 25,000 packets per second. */
export const defaultDuplicateEntries = 250_000;
/** Octets of replies for each entry of the bound: an Accept has some 120 to 200. */
const REPLY_OCTETS_PER_ENTRY = 256;

/** An entry: the number of its birth. */
export type DuplicateHandle = number;

/** Options of a DuplicateTable. */
export interface DuplicateTableOptions {
  /** Monotonic clock, ms. */
  readonly nowMs: () => number;
  readonly lifetimeMs?: number;
  readonly maxEntries?: number;
}

/** What an entry is: found under its key; without an answer so far. */
const LINKED = 1;
const IN_HAND = 2;
const NONE = -1;

/** Remembers requests and their replies for a while. */
export class DuplicateTable {
  readonly #nowMs: () => number;
  readonly #lifetimeMs: number;
  readonly #maxEntries: number;
  readonly #replies: ReplyStore;
  readonly #addresses = new AddressNumbers();

  // An entry stands at its birth modulo the bound. Those of one bucket are a chain.
  readonly #buckets: Int32Array;
  readonly #following: Int32Array;
  readonly #address: Int32Array;
  readonly #slot: Int32Array;
  /** The authenticator as four words, and a checksum of everything after it. */
  readonly #words: Int32Array;
  readonly #flags: Uint8Array;
  readonly #expiresAtMs: Float64Array;
  readonly #replyAt: Float64Array;
  readonly #replyLength: Uint16Array;
  #oldest = 0;
  #born = 0;
  #inHand = 0;
  #evicted = 0;

  constructor(options: DuplicateTableOptions) {
    this.#nowMs = options.nowMs;
    this.#lifetimeMs = options.lifetimeMs ?? defaultDuplicateLifetimeMs;
    const max = (this.#maxEntries = options.maxEntries ?? defaultDuplicateEntries);
    this.#replies = new ReplyStore(this.#lifetimeMs, max * REPLY_OCTETS_PER_ENTRY);
    this.#buckets = new Int32Array(2 ** Math.ceil(Math.log2(max + 1))).fill(NONE);
    this.#following = new Int32Array(max);
    this.#address = new Int32Array(max);
    this.#slot = new Int32Array(max);
    this.#words = new Int32Array(max * WORDS);
    this.#flags = new Uint8Array(max);
    this.#expiresAtMs = new Float64Array(max);
    this.#replyAt = new Float64Array(max);
    this.#replyLength = new Uint16Array(max);
  }

  /** Entries held, dead ones included. */
  get size(): number {
    return this.#born - this.#oldest;
  }

  /** Requests that have neither been settled nor expired. */
  get inHand(): number {
    return this.#inHand;
  }

  /** Entries that went before their time because the table was full. */
  get evicted(): number {
    return this.#evicted;
  }

  /**
   * The live entry of this very packet, or undefined when it is new.
   *
   * RFC 5080 compares the authenticator. The rest is compared too, by checksum: a NAS whose authenticators repeat must not
   * get one subscriber's answer for another.
   * @param socket a small number that tells our sockets apart, below 256
   */
  find(socket: number, address: string, port: number, packet: Packet): DuplicateHandle | undefined {
    const addressNumber = this.#addresses.numberOf(address);
    if (addressNumber === undefined) return undefined;
    const place = this.#placeOf(addressNumber, slotOf(socket, port, packet.identifier));
    if (place === NONE || this.#expiresAtMs[place]! <= this.#nowMs()) return undefined;
    const { bytes } = packet;
    const words = this.#words;
    const at = place * WORDS;
    if (
      words[at] !== bytes.readInt32BE(4) ||
      words[at + 1] !== bytes.readInt32BE(8) ||
      words[at + 2] !== bytes.readInt32BE(12) ||
      words[at + 3] !== bytes.readInt32BE(16) ||
      words[at + 4] !== checksumOf(packet)
    )
      return undefined;
    // An answer that had to make room is as good as none: the packet is handled again.
    if (this.#replyAt[place]! >= 0 && !this.#replies.has(this.#replyAt[place]!)) return undefined;
    return this.#birthAt(place);
  }

  /** A copy of the octets sent, once there are any. */
  replyOf(entry: DuplicateHandle): Buffer | undefined {
    const place = this.#held(entry);
    if (place === NONE || this.#replyAt[place]! < 0) return undefined;
    return this.#replies.read(this.#replyAt[place]!, this.#replyLength[place]!);
  }

  /** Notes a new packet as in hand; whatever its key stood for is forgotten. */
  add(socket: number, address: string, port: number, packet: Packet): DuplicateHandle {
    const nowMs = this.#nowMs();
    while (this.#oldest < this.#born && this.#expiresAtMs[this.#oldest % this.#maxEntries]! <= nowMs)
      this.#dropOldest();
    if (this.size >= this.#maxEntries) {
      this.#evicted++;
      this.#dropOldest();
    }
    const addressNumber = this.#addresses.take(address);
    const slot = slotOf(socket, port, packet.identifier);
    const replaced = this.#placeOf(addressNumber, slot);
    if (replaced !== NONE) this.#unlink(replaced);

    const entry = this.#born++;
    const place = entry % this.#maxEntries;
    const { bytes } = packet;
    const at = place * WORDS;
    this.#words[at] = bytes.readInt32BE(4);
    this.#words[at + 1] = bytes.readInt32BE(8);
    this.#words[at + 2] = bytes.readInt32BE(12);
    this.#words[at + 3] = bytes.readInt32BE(16);
    this.#words[at + 4] = checksumOf(packet);
    this.#address[place] = addressNumber;
    this.#slot[place] = slot;
    this.#flags[place] = LINKED | IN_HAND;
    this.#expiresAtMs[place] = nowMs + this.#lifetimeMs;
    this.#replyAt[place] = NONE;
    const bucket = this.#bucketOf(addressNumber, slot);
    this.#following[place] = this.#buckets[bucket]!;
    this.#buckets[bucket] = place;
    this.#inHand++;
    return entry;
  }

  /** Remembers what was answered, for the retransmissions to come. */
  answer(entry: DuplicateHandle, reply: Buffer): void {
    const place = this.#held(entry);
    if (place === NONE) return;
    this.#settle(place);
    this.#replyAt[place] = this.#replies.write(reply, this.#nowMs());
    this.#replyLength[place] = reply.length;
  }

  /** Forgets an entry, so that a retransmission is handled as new: the request was discarded, not answered. */
  forget(entry: DuplicateHandle): void {
    const place = this.#held(entry);
    if (place === NONE) return;
    this.#settle(place);
    this.#unlink(place);
  }

  /** Where an entry stands, if it still does. */
  #held(entry: DuplicateHandle): number {
    return entry >= this.#oldest && entry < this.#born ? entry % this.#maxEntries : NONE;
  }

  #birthAt(place: number): DuplicateHandle {
    const oldestPlace = this.#oldest % this.#maxEntries;
    return this.#oldest + (place >= oldestPlace ? place - oldestPlace : place + this.#maxEntries - oldestPlace);
  }

  #bucketOf(addressNumber: number, slot: number): number {
    const mixed = Math.imul(slot ^ Math.imul(addressNumber + 1, 0x9e3779b1), 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) & (this.#buckets.length - 1);
  }

  #placeOf(addressNumber: number, slot: number): number {
    let place = this.#buckets[this.#bucketOf(addressNumber, slot)]!;
    while (place !== NONE && (this.#slot[place] !== slot || this.#address[place] !== addressNumber))
      place = this.#following[place]!;
    return place;
  }

  #settle(place: number): void {
    if ((this.#flags[place]! & IN_HAND) === 0) return;
    this.#flags[place]! &= ~IN_HAND;
    this.#inHand--;
  }

  #dropOldest(): void {
    const place = this.#oldest % this.#maxEntries;
    this.#settle(place);
    this.#unlink(place);
    this.#addresses.give(this.#address[place]!);
    this.#oldest++;
  }

  /** Takes an entry out of its chain; a second time does nothing. */
  #unlink(place: number): void {
    if ((this.#flags[place]! & LINKED) === 0) return;
    this.#flags[place]! &= ~LINKED;
    const bucket = this.#bucketOf(this.#address[place]!, this.#slot[place]!);
    const following = this.#following[place]!;
    if (this.#buckets[bucket] === place) {
      this.#buckets[bucket] = following;
      return;
    }
    let before = this.#buckets[bucket]!;
    while (this.#following[before] !== place) before = this.#following[before]!;
    this.#following[before] = following;
  }
}

/** Numbers of the authenticator and the checksum of an entry. */
const WORDS = 5;

/** Small numbers for the addresses that entries have: an address has one for as long as an entry of it is held. */
class AddressNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #addresses: string[] = [];
  readonly #entries: number[] = [];
  readonly #free: number[] = [];

  numberOf(address: string): number | undefined {
    return this.#numbers.get(address);
  }

  /** One more entry of the address. */
  take(address: string): number {
    let number = this.#numbers.get(address);
    if (number === undefined) {
      number = this.#free.pop() ?? this.#addresses.length;
      this.#numbers.set(address, number);
      this.#addresses[number] = address;
      this.#entries[number] = 0;
    }
    this.#entries[number]!++;
    return number;
  }

  /** One entry fewer. */
  give(number: number): void {
    if (--this.#entries[number]! > 0) return;
    this.#numbers.delete(this.#addresses[number]!);
    this.#free.push(number);
  }
}

/** Socket, port and Identifier in one number of 32 bits. */
function slotOf(socket: number, port: number, identifier: number): number {
  return (socket << 24) | (port << 8) | identifier;
}

// FNV-1a over code, length and attributes. It guards against accident; forgery is what signatures are for.
function checksumOf(packet: Packet): number {
  const { bytes, length } = packet;
  let hash = 0x811c9dc5 ^ packet.code ^ (length << 8);
  for (let offset = 20; offset < length; offset++) hash = Math.imul(hash ^ bytes[offset]!, 0x01000193);
  return hash | 0;
}
