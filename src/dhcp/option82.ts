/**
 * Option 82, Relay Agent Information. Enters: the value of the option, joined where it was split. Leaves: what the relay said of the line, and
 * what is wrong with it. Invariants: no sub-option is read past the end; what was whole before a length that lies is kept and the lie is told;
 * every sub-option is kept as hexadecimal, known or not; nothing throws for any content.
 */
import type { LineEvidence } from '../domain/lease-event.js';
import { formatIpv4Address } from '../domain/ipv4-address.js';
import { SubOption } from './packet-number.js';

/** What is wrong with a part of option 82. */
export interface Option82Fault {
  /**
   * `cut`: a sub-option says to be longer than what is left, so nothing behind it is known, and what stands before it may lie as well.
   * `value`: a sub-option is not of the form that its standard gives it; it stays known as octets.
   */
  readonly reason: 'cut' | 'value';
  readonly subOption: number;
}

/** Data of one vendor (RFC 4243). */
export interface VendorData {
  readonly enterprise: number;
  /** Hexadecimal. */
  readonly data: string;
}

/** What a relay said. null: it did not say it, or not in the form of the standard. Octets are lower-case hexadecimal. */
export interface RelayAgentInformation {
  readonly circuitId: string | null;
  readonly remoteId: string | null;
  readonly subscriberId: string | null;
  /** Address whose subnet the client is in, dotted (RFC 3527). */
  readonly linkSelection: string | null;
  /** Whole RADIUS attributes (RFC 4014). */
  readonly radiusAttributes: string | null;
  readonly vendorSpecific: readonly VendorData[];
  /** Whether the client sent by unicast, not by broadcast (RFC 5010). */
  readonly unicast: boolean | null;
  /** Address that the relay wants to be taken for the server, dotted (RFC 5107). */
  readonly serverIdentifierOverride: string | null;
  /** `type` 0: a name in ASCII; 1: a VPN-ID of RFC 2685; 255: the global one (RFC 6607). */
  readonly virtualSubnet: { readonly type: number; readonly information: string } | null;
  /** The relay asks whether the server understood the virtual subnet (RFC 6607). */
  readonly virtualSubnetControl: boolean;
  /** Everything, known or not, by number; pieces of one sub-option are joined in their order. */
  readonly subOptions: ReadonlyMap<number, string>;
  readonly faults: readonly Option82Fault[];
}

/** Decodes the value of option 82 (RFC 3046 §2.0). Zeros at its end are padding, which some relays add to even out a length. */
export function decodeOption82(value: Buffer): RelayAgentInformation {
  const faults: Option82Fault[] = [];
  const octets = readSubOptions(value, faults);
  const hex = (subOption: number): string | null => octets.get(subOption)?.toString('hex') ?? null;
  const ofForm = <Form>(subOption: number, read: (octets: Buffer) => Form | null): Form | null => {
    const found = octets.get(subOption);
    if (found === undefined) return null;
    const form = read(found);
    if (form === null) faults.push({ reason: 'value', subOption });
    return form;
  };
  return {
    circuitId: hex(SubOption.circuitId),
    remoteId: hex(SubOption.remoteId),
    subscriberId: hex(SubOption.subscriberId),
    linkSelection: ofForm(SubOption.linkSelection, readAddress),
    radiusAttributes: hex(SubOption.radiusAttributes),
    vendorSpecific: ofForm(SubOption.vendorSpecific, readVendorData) ?? [],
    unicast: ofForm(SubOption.flags, readUnicast),
    serverIdentifierOverride: ofForm(SubOption.serverIdentifierOverride, readAddress),
    virtualSubnet: ofForm(SubOption.virtualSubnet, readVirtualSubnet),
    virtualSubnetControl: octets.has(SubOption.virtualSubnetControl),
    subOptions: new Map([...octets].map(([subOption, one]) => [subOption, one.toString('hex')])),
    faults,
  };
}

/** Whether a length lies: then nothing of the option should be believed of somebody. */
export function isCut({ faults }: RelayAgentInformation): boolean {
  return faults.some(({ reason }) => reason === 'cut');
}

/**
 * What identifies the line; null when nothing does, which is no different from option 82 being absent. An empty identifier is none: relays
 * send the sub-option with nothing in it where nothing is configured.
 */
export function lineEvidence(information: RelayAgentInformation): LineEvidence | null {
  const circuitId = information.circuitId || null;
  const remoteId = information.remoteId || null;
  const subscriberId = information.subscriberId || null;
  if (circuitId === null && remoteId === null && subscriberId === null) return null;
  return { circuitId, remoteId, subscriberId, switchMac: null, switchPort: null };
}

function readSubOptions(value: Buffer, faults: Option82Fault[]): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer[]>();
  // Number 0 is not assigned, so zeros up to the end are no sub-option.
  let end = value.length;
  while (end > 0 && value[end - 1] === 0) end--;
  for (let at = 0; at < end;) {
    const subOption = value[at]!;
    const next = at + 1 < value.length ? at + 2 + value[at + 1]! : Infinity;
    if (next > value.length) {
      faults.push({ reason: 'cut', subOption });
      break;
    }
    const piece = value.subarray(at + 2, next);
    const pieces = found.get(subOption);
    if (pieces === undefined) found.set(subOption, [piece]);
    else pieces.push(piece);
    at = next;
  }
  return new Map(
    [...found].map(([subOption, pieces]) => [subOption, pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)]),
  );
}

function readAddress(octets: Buffer): string | null {
  return octets.length === 4 ? formatIpv4Address(octets.readUInt32BE(0)) : null;
}

/** RFC 5010: one octet, of which the highest bit counts. */
function readUnicast(octets: Buffer): boolean | null {
  return octets.length === 1 ? (octets[0]! & 0x80) !== 0 : null;
}

/** RFC 6607: a type, and what it says. */
function readVirtualSubnet(octets: Buffer): { type: number; information: string } | null {
  return octets.length >= 1 ? { type: octets[0]!, information: octets.toString('hex', 1) } : null;
}

/** RFC 4243: enterprise number, length and data, once for each vendor. */
function readVendorData(octets: Buffer): VendorData[] | null {
  const found: VendorData[] = [];
  let at = 0;
  while (at < octets.length) {
    if (at + 5 > octets.length) return null;
    const next = at + 5 + octets[at + 4]!;
    if (next > octets.length) return null;
    found.push({ enterprise: octets.readUInt32BE(at), data: octets.toString('hex', at + 5, next) });
    at = next;
  }
  return found.length > 0 ? found : null;
}
