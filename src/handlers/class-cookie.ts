// Enters: what an Access-Accept says. Leaves: the value of its Class attribute, and back from a later packet. Invariant: only
// what a server with our key wrote is believed; it is evidence of the Accept alone, since many NASes echo the first Class
// for ever, whatever they were told afterwards.

import type { ClassEvidence } from '../domain/accounting-fact.js';
import { Attribute } from '../radius/attribute-number.js';
import { equalOctets } from '../radius/constant-time.js';
import type { Packet } from '../radius/packet.js';
import { hmacOctets, ShortHmac } from '../radius/short-hmac.js';

const VERSION = 1;
const SUBSCRIBER_AT = 1;
const POLICY_AT = 7;
const OFFER_AT = 11;
const TAG_AT = 17;
/** 80 bits: a forger has one try per accounting packet, and all that he gains is octets on another account. */
const TAG_OCTETS = 10;
const CLASS_OCTETS = TAG_AT + TAG_OCTETS;

/** The largest number of six octets. */
const LARGEST_ID = 2 ** 48 - 1;

/** Bound into every tag, so that a tag made for something else under the same key is no Class. */
const PURPOSE = Buffer.from('sluice class', 'latin1');

/** Writes and reads Class under one key, which all servers of one database share. */
export class ClassCookie {
  readonly #hmac: ShortHmac;
  readonly #message = Buffer.alloc(PURPOSE.length + TAG_AT);
  readonly #digest = Buffer.alloc(hmacOctets);

  /** @param key 32 octets */
  constructor(key: Uint8Array) {
    this.#hmac = new ShortHmac(key);
    PURPOSE.copy(this.#message);
  }

  /**
   * The value of a Class attribute (RFC 2865 §5.25), 27 octets.
   *
   * @throws RangeError when a number does not fit its field
   */
  encode(evidence: ClassEvidence): Buffer {
    const { subscriberId, policyHash, offerId } = evidence;
    if (!(subscriberId >= 0 && subscriberId <= LARGEST_ID)) throw new RangeError('the subscriber id has six octets');
    const value = Buffer.allocUnsafe(CLASS_OCTETS);
    value[0] = VERSION;
    value.writeUIntBE(subscriberId, SUBSCRIBER_AT, 6);
    value.writeUInt32BE(policyHash, POLICY_AT);
    value.writeUIntBE(offerId, OFFER_AT, 6);
    this.#tag(value).copy(value, TAG_AT, 0, TAG_OCTETS);
    return value;
  }

  /** @returns what a value says, or undefined when it is not ours, not whole, or not genuine */
  decode(value: Buffer): ClassEvidence | undefined {
    if (value.length !== CLASS_OCTETS || value[0] !== VERSION) return undefined;
    if (!equalOctets(value, TAG_AT, this.#tag(value), 0, TAG_OCTETS)) return undefined;
    return {
      subscriberId: value.readUIntBE(SUBSCRIBER_AT, 6),
      policyHash: value.readUInt32BE(POLICY_AT),
      offerId: value.readUIntBE(OFFER_AT, 6),
    };
  }

  /** The first genuine Class of a packet: proxies and other servers add their own. */
  read(packet: Packet): ClassEvidence | null {
    for (let at = packet.indexOf(Attribute.class); at >= 0; at = packet.indexOf(Attribute.class, packet.next(at))) {
      const evidence = this.decode(packet.bytes.subarray(at + 2, packet.next(at)));
      if (evidence) return evidence;
    }
    return null;
  }

  /** HMAC-SHA256 (RFC 2104) over purpose and value, in buffers made once: it is done for every Accept. Holds until the next call. */
  #tag(value: Buffer): Buffer {
    value.copy(this.#message, PURPOSE.length, 0, TAG_AT);
    this.#hmac.digest(this.#message, this.#digest);
    return this.#digest;
  }
}
