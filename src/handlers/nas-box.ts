// Enters: a packet and its source address. Leaves: the name of the one physical NAS that sent it. Invariant: authentication and
// accounting of one box give one name, or sessions could not be recognised.

import { Attribute } from '../radius/attribute-number.js';
import type { Packet } from '../radius/packet.js';

/** NAS-Identifier, else NAS-IP-Address or NAS-IPv6-Address, else where the packet came from. */
export function nasBoxOf(packet: Packet, sourceAddress: string): string {
  return (
    packet.text(Attribute.nasIdentifier) ??
    packet.address(Attribute.nasIpAddress) ??
    packet.address(Attribute.nasIpv6Address) ??
    sourceAddress
  );
}
