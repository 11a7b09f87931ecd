/**
 * What a packet of a listed relay means. Enters: a decoded packet, its relay, and when it came. Leaves: a lease event, or why there is none.
 * Invariant: pure; a packet whose option 82 lies about its lengths names no line, for that may be another one's, and carries the lie.
 */
import type { LeaseEvent, LeaseEventKind, LineEvidence } from '../domain/lease-event.js';
import { leaseSecondsOf, type KnownLease } from './lease-query.js';
import { decodeOption82, isCut, lineEvidence } from './option82.js';
import { hostAddress, macOf, uint32Option, type DhcpPacket } from './packet.js';
import { MessageType, Op, Option } from './packet-number.js';
import type { Relay } from './relay-table.js';

/** Messages that tell nothing about a lease that somebody has. */
export type QuietMessage = 'discover' | 'offer' | 'nak' | 'inform' | 'other-message';

/** Why a message that should tell something does not. */
export type PacketRefusal =
  /** A message of a client marked as one of a server, or the other way round. */
  | 'wrong-op'
  /** No address, or one that no client can have. */
  | 'no-address'
  /** A DHCPACK from a relay that may not show any. */
  | 'ack-not-allowed';

export type PacketMeaning =
  | { readonly meaning: 'event'; readonly event: LeaseEvent }
  | { readonly meaning: 'none'; readonly reason: QuietMessage | PacketRefusal };

/** What is kept of an option 82 that lies, octets: all of it, unless it was split. */
const LONGEST_LIE = 255;

const quietMessages = new Map<number, QuietMessage>([
  [MessageType.discover, 'discover'],
  [MessageType.offer, 'offer'],
  [MessageType.nak, 'nak'],
  [MessageType.inform, 'inform'],
]);

/**
 * Reads a packet (RFC 2131 §4.3, §4.4).
 *
 * @param atMs when it was received, ms since 1970
 */
export function meaningOf(packet: DhcpPacket, relay: Relay, atMs: number): PacketMeaning {
  const { messageType } = packet;
  switch (messageType) {
    case MessageType.request:
      return clientMessage(packet, relay, atMs, relay.trusted ? 'commit' : 'request', requestedAddress(packet));
    case MessageType.release:
      return clientMessage(packet, relay, atMs, 'release', packet.ciaddr);
    case MessageType.decline:
      return clientMessage(packet, relay, atMs, 'decline', uint32Option(packet, Option.requestedAddress));
    case MessageType.ack:
      return acknowledgement(packet, relay, atMs);
    default:
      return none(quietMessages.get(messageType) ?? 'other-message');
  }
}

/** The commit that a server's answer to a leasequery proves. */
export function commitOf(
  lease: KnownLease,
  heard: { readonly source: string; readonly atMs: number; readonly line: LineEvidence | null },
): LeaseEvent {
  const { leaseSeconds, lastTransactionSeconds } = lease;
  // What the relay said just now counts before what the server remembers.
  const told = lease.line === null || isCut(lease.line) ? null : lineEvidence(lease.line);
  return {
    kind: 'commit',
    eventAtMs: heard.atMs - (lastTransactionSeconds ?? 0) * 1_000,
    timeDeclared: lastTransactionSeconds !== null,
    receivedAtMs: heard.atMs,
    via: 'leasequery',
    source: heard.source,
    address: lease.address,
    mac: lease.mac,
    leaseEndsAtMs: leaseSeconds === null ? null : heard.atMs + leaseSeconds * 1_000,
    line: heard.line ?? told,
  };
}

/** Option 50 while a lease is asked for or confirmed after a restart, ciaddr while it is renewed (RFC 2131 §4.3.2). */
function requestedAddress(packet: DhcpPacket): number {
  return uint32Option(packet, Option.requestedAddress) ?? packet.ciaddr;
}

function clientMessage(
  packet: DhcpPacket,
  relay: Relay,
  atMs: number,
  kind: LeaseEventKind,
  address: number | undefined,
): PacketMeaning {
  return packet.op === Op.request ? eventOf(packet, relay, atMs, kind, address, null) : none('wrong-op');
}

function acknowledgement(packet: DhcpPacket, relay: Relay, atMs: number): PacketMeaning {
  if (packet.op !== Op.reply) return none('wrong-op');
  // The answer to a DHCPINFORM gives no address (RFC 2131 §4.3.5).
  if (packet.yiaddr === 0) return none('inform');
  if (!relay.acks) return none('ack-not-allowed');
  const leaseSeconds = leaseSecondsOf(packet);
  const endsAtMs = leaseSeconds === null ? null : atMs + leaseSeconds * 1_000;
  return eventOf(packet, relay, atMs, 'commit', packet.yiaddr, endsAtMs);
}

function eventOf(
  packet: DhcpPacket,
  relay: Relay,
  atMs: number,
  kind: LeaseEventKind,
  number: number | undefined,
  leaseEndsAtMs: number | null,
): PacketMeaning {
  const address = hostAddress(number);
  if (address === undefined) return none('no-address');
  const option82 = packet.options.get(Option.relayAgentInformation);
  return {
    meaning: 'event',
    event: {
      kind,
      eventAtMs: atMs,
      timeDeclared: false,
      receivedAtMs: atMs,
      via: 'packet',
      source: relay.name,
      address,
      mac: macOf(packet),
      leaseEndsAtMs,
      line: option82 === undefined ? null : evidenceOf(option82),
    },
  };
}

function evidenceOf(option82: Buffer): LineEvidence | null {
  const information = decodeOption82(option82);
  if (!isCut(information)) return lineEvidence(information);
  const none = { circuitId: null, remoteId: null, subscriberId: null, switchMac: null, switchPort: null };
  return { ...none, lying: option82.toString('hex', 0, LONGEST_LIE) };
}

function none(reason: QuietMessage | PacketRefusal): PacketMeaning {
  return { meaning: 'none', reason };
}
