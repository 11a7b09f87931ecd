/**
 * What a NAS passes on of the access line: the octets that rules of access lines look at.
 *
 * Enters: a RADIUS packet.
 * Leaves: circuit-id, remote-id and subscriber-id from whatever attribute carries them, NAS-Port-Id, and the MAC address of the client.
 * Invariants: a packet that carries none of them costs one walk over its attributes and no object; of several carriers, the first in the packet
 * counts, field by field; nothing throws for any content.
 */
import type { LineEvidence } from '../domain/lease-event.js';
import type { LineSource } from '../domain/line-rules.js';
import { ZERO_MAC_ADDRESS, parseMacAddress } from '../domain/mac-address.js';
import {
  AdslForumAttribute,
  Attribute,
  CiscoAttribute,
  ErxAttribute,
  RedbackAttribute,
  Vendor,
} from '../radius/attribute-number.js';
import { readUint32 } from '../radius/packet.js';
import type { Packet } from '../radius/packet.js';
import { standardVendorFormat, walkVendorSubAttributes } from '../radius/vendor-format.js';

/** A line as a NAS tells of it. */
export interface NasLine extends LineSource {
  readonly nasPortId: string | null;
  /** Canonical; null: the NAS says it in Calling-Station-Id or User-Name alone, or not at all. */
  readonly clientMac: string | null;
}

/** How a packet is read. */
export interface LineReading {
  /** Takes the octets of a whole option 82 apart, which ERX-Dhcp-Option-82 carries. */
  readonly decodeOption82: (octets: Buffer) => Pick<LineEvidence, 'circuitId' | 'remoteId' | 'subscriberId'> | null;
  /** Whether NAS-Port-Id is wanted, which nearly every packet has: `LineRules.looksAt('nas_port_id')`. */
  readonly nasPortId: boolean;
}

/** Longer text of a MAC address is none, octets. */
const maxMacOctets = 17;

/**
 * Reads what a packet says of the line: ADSL-Forum (RFC 4679 §3.3.1, §3.3.2), which most NASes use; Redback, which RouterOS and SmartEdge use as
 * well; ERX-Dhcp-Option-82; Cisco-AVPair.
 *
 * @returns undefined when there is nothing
 */
export function lineAttributes(packet: Packet, reading: LineReading): NasLine | undefined {
  let collected: CollectedLine | undefined;
  for (
    let at = packet.indexOf(Attribute.vendorSpecific);
    at >= 0;
    at = packet.indexOf(Attribute.vendorSpecific, packet.next(at))
  ) {
    const vendor = readUint32(packet.bytes, at + 2);
    if (!isCarrier(vendor)) continue;
    collected ??= new CollectedLine(packet.bytes, reading);
    collected.add(vendor, at + 6, packet.next(at));
  }
  const port = reading.nasPortId ? packet.first(Attribute.nasPortId) : undefined;
  if (port !== undefined && port.length > 0) {
    collected ??= new CollectedLine(packet.bytes, reading);
    collected.nasPortId = port.toString('hex');
  }
  return collected?.line();
}

function isCarrier(vendor: number): boolean {
  return vendor === Vendor.adslForum || vendor === Vendor.redback || vendor === Vendor.erx || vendor === Vendor.cisco;
}

class CollectedLine {
  #circuitId: string | null = null;
  #remoteId: string | null = null;
  #subscriberId: string | null = null;
  #clientMac: string | null = null;
  nasPortId: string | null = null;

  constructor(
    private readonly bytes: Buffer,
    private readonly reading: LineReading,
  ) {}

  /** @param start the octet after the vendor number */
  add(vendor: number, start: number, end: number): void {
    walkVendorSubAttributes(this.bytes, start, end, standardVendorFormat, (type, valueStart, valueEnd) => {
      if (valueEnd === valueStart) return true;
      switch (vendor) {
        case Vendor.adslForum:
          if (type === AdslForumAttribute.agentCircuitId) this.#circuitId ??= this.#hex(valueStart, valueEnd);
          else if (type === AdslForumAttribute.agentRemoteId) this.#remoteId ??= this.#hex(valueStart, valueEnd);
          break;
        case Vendor.redback:
          if (type === RedbackAttribute.agentCircuitId) this.#circuitId ??= this.#hex(valueStart, valueEnd);
          else if (type === RedbackAttribute.agentRemoteId) this.#remoteId ??= this.#hex(valueStart, valueEnd);
          break;
        case Vendor.erx:
          if (type === ErxAttribute.dhcpOption82) this.#addOption82(this.bytes.subarray(valueStart, valueEnd));
          else if (type === ErxAttribute.dhcpMacAddr) this.#clientMac ??= this.#mac(valueStart, valueEnd);
          break;
        default:
          if (type === CiscoAttribute.avPair) this.#addAvPair(valueStart, valueEnd);
      }
      return true;
    });
  }

  /** @returns undefined when the attributes of these vendors said nothing of the line */
  line(): NasLine | undefined {
    const { nasPortId } = this;
    const [circuitId, remoteId, subscriberId] = [this.#circuitId, this.#remoteId, this.#subscriberId];
    const clientMac = this.#clientMac;
    if ((circuitId ?? remoteId ?? subscriberId ?? nasPortId ?? clientMac) === null) return undefined;
    return { circuitId, remoteId, subscriberId, switchMac: null, switchPort: null, nasPortId, clientMac };
  }

  #hex(start: number, end: number): string {
    return this.bytes.toString('hex', start, end);
  }

  #mac(start: number, end: number): string | null {
    if (end - start > maxMacOctets) return null;
    const mac = parseMacAddress(this.bytes.toString('latin1', start, end));
    return mac === undefined || mac === ZERO_MAC_ADDRESS ? null : mac;
  }

  #addOption82(octets: Buffer): void {
    const evidence = this.reading.decodeOption82(octets);
    if (evidence === null) return;
    this.#circuitId ??= evidence.circuitId;
    this.#remoteId ??= evidence.remoteId;
    this.#subscriberId ??= evidence.subscriberId;
  }

  #addAvPair(start: number, end: number): void {
    for (const name of avPairNames) {
      const valueStart = start + name.length;
      if (valueStart >= end || this.bytes.compare(name, 0, name.length, start, valueStart) !== 0) continue;
      if (name === circuitIdTag) this.#circuitId ??= this.#taggedOctets(valueStart, end);
      else if (name === remoteIdTag) this.#remoteId ??= this.#taggedOctets(valueStart, end);
      else this.#clientMac ??= this.#mac(valueStart, end);
      return;
    }
  }

  /**
   * IOS writes the octets of option 82 as hexadecimal digits (`circuit-id-tag=000400320001`) and a text as it is, and nothing tells which. Digits
   * are taken for octets when those begin as such octets do, with a type (0 or 1) and the length of the rest.
   */
  #taggedOctets(start: number, end: number): string {
    const text = this.bytes.toString('latin1', start, end);
    if (text.length >= 6 && text.length % 2 === 0 && /^0[01][0-9a-f]+$/iu.test(text)) {
      const stated = parseInt(text.slice(2, 4), 16);
      if (stated === text.length / 2 - 2) return text.toLowerCase();
    }
    return this.#hex(start, end);
  }
}

const circuitIdTag = Buffer.from('circuit-id-tag=');
const remoteIdTag = Buffer.from('remote-id-tag=');
const clientMacAddress = Buffer.from('client-mac-address=');
const avPairNames: readonly Buffer[] = [circuitIdTag, remoteIdTag, clientMacAddress];
