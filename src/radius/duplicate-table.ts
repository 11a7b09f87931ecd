// Retransmissions (RFC 5080 §2.2.2).
// In: admitted packets with their socket, source address, source port and Identifier. Out: what is known about them.
// Invariant: one live entry per key; the same packet finds its entry while that lives; another packet under the same key
// replaces it. Entries die in the order of their birth, at the next insertion, so there is no timer and no scan; their
// number is bounded, dead ones included. Only packets with a valid signature may come here.

import type { Packet } from './packet.js';

/** How long entries live by default, ms: longer than three tries at 3 s each, which is what accel-ppp makes. */
export const defaultDuplicateLifetimeMs = 10_000;
/** Default bound: 10 s at 25,000 packets per second, about 100 MB with their replies. */
export const defaultDuplicateEntries = 250_000;

/** A request that is in hand or was answered. */
export interface DuplicateEntry {
  /** The octets sent, once there are any. */
  readonly reply: Buffer | undefined;
}

interface Entry extends DuplicateEntry {
  reply: Buffer | undefined;
  readonly address: string;
  readonly slot: number;
  /** The authenticator as four words, and a checksum of everything after it. */
  readonly word0: number;
  readonly word1: number;
  readonly word2: number;
  readonly word3: number;
  readonly checksum: number;
  readonly expiresAtMs: number;
  settled: boolean;
  /** Born after this one. */
  younger: Entry | undefined;
}

/** Options of a DuplicateTable. */
export interface DuplicateTableOptions {
  /** Monotonic clock, ms. */
  readonly nowMs: () => number;
  readonly lifetimeMs?: number;
  readonly maxEntries?: number;
}

/** Remembers requests and their replies for a while. */
export class DuplicateTable {
  readonly #nowMs: () => number;
  readonly #lifetimeMs: number;
  readonly #maxEntries: number;
  // Two levels, so that finding an entry builds no key: source address, then socket, port and Identifier in one number.
  readonly #sources = new Map<string, Map<number, Entry>>();
  #oldest: Entry | undefined;
  #youngest: Entry | undefined;
  #size = 0;
  #inHand = 0;
  #evicted = 0;

  constructor(options: DuplicateTableOptions) {
    this.#nowMs = options.nowMs;
    this.#lifetimeMs = options.lifetimeMs ?? defaultDuplicateLifetimeMs;
    this.#maxEntries = options.maxEntries ?? defaultDuplicateEntries;
  }

  /** Entries held, dead ones included. */
  get size(): number {
    return this.#size;
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
   * @param socket a small number that tells our sockets apart
   */
  find(socket: number, address: string, port: number, packet: Packet): DuplicateEntry | undefined {
    const entry = this.#sources.get(address)?.get(slotOf(socket, port, packet.identifier));
    if (entry === undefined || entry.expiresAtMs <= this.#nowMs()) return undefined;
    const { bytes } = packet;
    const same =
      entry.word0 === bytes.readInt32BE(4) &&
      entry.word1 === bytes.readInt32BE(8) &&
      entry.word2 === bytes.readInt32BE(12) &&
      entry.word3 === bytes.readInt32BE(16) &&
      entry.checksum === checksumOf(packet);
    return same ? entry : undefined;
  }

  /** Notes a new packet as in hand; whatever its key stood for is forgotten. */
  add(socket: number, address: string, port: number, packet: Packet): DuplicateEntry {
    const nowMs = this.#nowMs();
    while (this.#oldest !== undefined && this.#oldest.expiresAtMs <= nowMs) this.#dropOldest();
    if (this.#size >= this.#maxEntries) {
      this.#evicted++;
      this.#dropOldest();
    }
    const { bytes } = packet;
    const entry: Entry = {
      reply: undefined,
      address,
      slot: slotOf(socket, port, packet.identifier),
      word0: bytes.readInt32BE(4),
      word1: bytes.readInt32BE(8),
      word2: bytes.readInt32BE(12),
      word3: bytes.readInt32BE(16),
      checksum: checksumOf(packet),
      expiresAtMs: nowMs + this.#lifetimeMs,
      settled: false,
      younger: undefined,
    };
    let slots = this.#sources.get(address);
    if (slots === undefined) this.#sources.set(address, (slots = new Map<number, Entry>()));
    slots.set(entry.slot, entry);
    if (this.#youngest === undefined) this.#oldest = entry;
    else this.#youngest.younger = entry;
    this.#youngest = entry;
    this.#size++;
    this.#inHand++;
    return entry;
  }

  /** Remembers what was answered, for the retransmissions to come. */
  answer(entry: DuplicateEntry, reply: Buffer): void {
    const own = entry as Entry;
    own.reply = reply;
    this.#settle(own);
  }

  /** Forgets an entry, so that a retransmission is handled as new: the request was discarded, not answered. */
  forget(entry: DuplicateEntry): void {
    this.#settle(entry as Entry);
    this.#unlink(entry as Entry);
  }

  #settle(entry: Entry): void {
    if (entry.settled) return;
    entry.settled = true;
    this.#inHand--;
  }

  #dropOldest(): void {
    const entry = this.#oldest;
    if (entry === undefined) return;
    this.#oldest = entry.younger;
    if (this.#oldest === undefined) this.#youngest = undefined;
    entry.younger = undefined;
    this.#size--;
    this.#settle(entry);
    this.#unlink(entry);
  }

  #unlink(entry: Entry): void {
    const slots = this.#sources.get(entry.address);
    // A newer packet may have taken the key over.
    if (slots?.get(entry.slot) !== entry) return;
    slots.delete(entry.slot);
    if (slots.size === 0) this.#sources.delete(entry.address);
  }
}

function slotOf(socket: number, port: number, identifier: number): number {
  return socket * 0x100_0000 + port * 0x100 + identifier;
}

// FNV-1a over code, length and attributes. It guards against accident; forgery is what signatures are for.
function checksumOf(packet: Packet): number {
  const { bytes, length } = packet;
  let hash = 0x811c9dc5 ^ packet.code ^ (length << 8);
  for (let offset = 20; offset < length; offset++) hash = Math.imul(hash ^ bytes[offset]!, 0x01000193);
  return hash | 0;
}
