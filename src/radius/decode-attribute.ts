// Attributes of a packet by name, for people and for tools.
// In: a dictionary and a packet. Out: name, tag, value text and octets of each attribute, in packet order.
// Invariant: never throws for any packet; the number of results is bounded by the octets of the packet; the text of a secret
// is `<hidden>`, whoever asks.

import { Attribute, MicrosoftAttribute, Vendor } from './attribute-number.js';
import type { Dictionary, DictionaryAttribute } from './dictionary.js';
import { headerOctets, readUint32, type Packet } from './packet.js';
import type { SharedSecret } from './shared-secret.js';
import { hexText, valueText } from './value-text.js';
import { walkVendorSubAttributes } from './vendor-format.js';

/** TLVs inside TLVs that are followed; real dictionaries have two. */
const maxDepth = 5;

/** What a secret looks like. */
export const hiddenText = '<hidden>';

/** One attribute as decoded. */
export interface DecodedAttribute {
  /** Dictionary name, or `Attr-N`, `Vendor-V-Attr-N` for what it does not have. */
  readonly name: string;
  /** 0 for standard attributes. */
  readonly vendor: number;
  readonly path: readonly number[];
  readonly tag: number | undefined;
  /** The value without tag, as on the wire, or revealed when `hiding` was given. Secret where `isSecret`. */
  readonly octets: Buffer;
  /** Safe to show. */
  readonly text: string;
  readonly isSecret: boolean;
}

/** What reveals values that travel hidden; without it they stay as on the wire. */
export interface Revealing {
  readonly secret: SharedSecret;
  /** Of the request, also when a reply is decoded. */
  readonly requestAuthenticator: Buffer;
}

/** Decodes all attributes of a packet. */
export function decodeAttributes(dictionary: Dictionary, packet: Packet, revealing?: Revealing): DecodedAttribute[] {
  const decoder = new Decoder(dictionary, revealing);
  for (let offset = headerOctets; offset < packet.length; offset = packet.next(offset)) {
    const type = packet.bytes[offset]!;
    if (type === Attribute.vendorSpecific) decoder.vendorSpecific(packet.bytes, offset + 2, packet.next(offset));
    else decoder.attribute(0, [type], packet.bytes.subarray(offset + 2, packet.next(offset)));
  }
  return decoder.results;
}

// Secrets whatever the dictionary says: passwords, responses that can be searched offline, keys.
const secretStandard = new Set<number>([
  Attribute.userPassword,
  Attribute.chapPassword,
  Attribute.tunnelPassword,
  70,
  84,
]);
const secretMicrosoft = new Set<number>([
  MicrosoftAttribute.chapResponse,
  3, // MS-CHAP-CPW-1
  4, // MS-CHAP-CPW-2
  5, // MS-CHAP-LM-Enc-PW
  6, // MS-CHAP-NT-Enc-PW
  MicrosoftAttribute.chapMppeKeys,
  MicrosoftAttribute.mppeSendKey,
  MicrosoftAttribute.mppeRecvKey,
  MicrosoftAttribute.chap2Response,
  MicrosoftAttribute.chap2Success,
  27, // MS-CHAP2-CPW
]);

class Decoder {
  readonly results: DecodedAttribute[] = [];

  constructor(
    private readonly dictionary: Dictionary,
    private readonly revealing: Revealing | undefined,
  ) {}

  vendorSpecific(bytes: Buffer, start: number, end: number): void {
    const vendor = readUint32(bytes, start);
    const walked: [number, Buffer, number][] = [];
    const stop = walkVendorSubAttributes(
      bytes,
      start + 4,
      end,
      this.dictionary.vendorFormat(vendor),
      (type, valueStart, valueEnd, continuation) => {
        walked.push([type, bytes.subarray(valueStart, valueEnd), continuation]);
        return true;
      },
    );
    // A vendor may write what it likes; what does not follow its format is shown whole.
    if (stop !== end || walked.length === 0) {
      this.raw(this.vendorName(vendor), vendor, [], bytes.subarray(start + 4, end));
      return;
    }
    for (const [type, value, continuation] of walked)
      // A fragment of a longer value (WiMAX) has no meaning alone.
      if ((continuation & 0x80) !== 0) this.raw(`${this.vendorName(vendor)}-Attr-${type}`, vendor, [type], value);
      else this.attribute(vendor, [type], value);
  }

  attribute(vendor: number, path: readonly number[], wire: Buffer): void {
    const attribute = this.dictionary.attributeByNumber(vendor, ...path);
    if (attribute === undefined) {
      const own = `Attr-${path.join('.')}`;
      this.raw(vendor === 0 ? own : `${this.vendorName(vendor)}-${own}`, vendor, path, wire);
      return;
    }
    const { tag, value } = splitTag(attribute, wire);
    if (attribute.type === 'tlv' && path.length <= maxDepth && this.nested(vendor, path, value)) return;
    const isSecret = isSecretAttribute(attribute);
    const revealed = this.reveal(attribute, value);
    if (attribute.isArray && !isSecret && this.array(attribute, tag, value)) return;
    const text = isSecret ? hiddenText : valueText(this.dictionary, attribute, revealed);
    this.results.push({ name: attribute.name, vendor, path, tag, octets: revealed, text, isSecret });
  }

  // The members of a TLV; false when its octets are not a row of whole members.
  private nested(vendor: number, path: readonly number[], value: Buffer): boolean {
    const members: [number, Buffer][] = [];
    for (let offset = 0; offset < value.length;) {
      const octets = value[offset + 1] ?? 0;
      if (octets < 2 || offset + octets > value.length) return false;
      members.push([value[offset]!, value.subarray(offset + 2, offset + octets)]);
      offset += octets;
    }
    for (const [type, member] of members) this.attribute(vendor, [...path, type], member);
    return members.length > 0;
  }

  private array(attribute: DictionaryAttribute, tag: number | undefined, value: Buffer): boolean {
    const width = { ipaddr: 4, ipv6addr: 16, byte: 1, short: 2, integer: 4, integer64: 8, date: 4 }[
      attribute.type as string
    ];
    if (width === undefined || value.length === 0 || value.length % width !== 0) return false;
    for (let offset = 0; offset < value.length; offset += width) {
      const octets = value.subarray(offset, offset + width);
      const text = valueText(this.dictionary, attribute, octets);
      const { name, vendor, path } = attribute;
      this.results.push({ name, vendor, path, tag, octets, text, isSecret: false });
    }
    return true;
  }

  private raw(name: string, vendor: number, path: readonly number[], octets: Buffer): void {
    const isSecret = vendor === 0 ? secretStandard.has(path[0] ?? 0) : vendor === Vendor.microsoft;
    this.results.push({
      name,
      vendor,
      path,
      tag: undefined,
      octets,
      text: isSecret ? hiddenText : hexText(octets),
      isSecret,
    });
  }

  private reveal(attribute: DictionaryAttribute, value: Buffer): Buffer {
    if (this.revealing === undefined) return value;
    const { secret, requestAuthenticator } = this.revealing;
    if (attribute.encryption === 1) return secret.revealPassword(value, requestAuthenticator) ?? value;
    if (attribute.encryption === 2) return secret.saltDecrypt(value, requestAuthenticator) ?? value;
    return attribute.encryption === 3 ? secret.ascendSecret(value, requestAuthenticator) : value;
  }

  private vendorName(vendor: number): string {
    return `Vendor-${vendor}`;
  }
}

// RFC 2868 §3: a first octet of 0 to 31 is a tag; of a number it always is, and the number has three octets.
function splitTag(attribute: DictionaryAttribute, wire: Buffer): { tag: number | undefined; value: Buffer } {
  if (!attribute.hasTag || wire.length === 0) return { tag: undefined, value: wire };
  const tag = wire[0]!;
  if (attribute.type === 'integer' && wire.length === 4) {
    if (tag > 0x1f) return { tag: undefined, value: wire };
    return { tag: tag === 0 ? undefined : tag, value: Buffer.concat([Buffer.of(0), wire.subarray(1)]) };
  }
  if (tag > 0x1f && attribute.encryption === 0) return { tag: undefined, value: wire };
  return { tag: tag === 0 || tag > 0x1f ? undefined : tag, value: wire.subarray(1) };
}

function isSecretAttribute(attribute: DictionaryAttribute): boolean {
  const outer = attribute.path[0]!;
  return (
    attribute.isSecret ||
    attribute.encryption !== 0 ||
    (attribute.vendor === 0 && secretStandard.has(outer)) ||
    (attribute.vendor === Vendor.microsoft && secretMicrosoft.has(outer))
  );
}
