/**
 * Leasequery, the messages (RFC 4388). Enters: what is asked of a DHCP server, or a packet that it answered. Leaves: a DHCPLEASEQUERY, or what
 * the server knows. Invariant: an answer that does not say what it has to say is `malformed`, never half an answer.
 */
import { formatIpv4Address } from '../domain/ipv4-address.js';
import { decodeOption82, type RelayAgentInformation } from './option82.js';
import { encodePacket } from './encode-packet.js';
import { hostAddress, macOf, uint32Option, type DhcpPacket } from './packet.js';
import { ethernet, MessageType, Op, Option } from './packet-number.js';

/** Seconds of a lease that never ends (RFC 2131 §3.3). */
export const endlessSeconds = 0xffff_ffff;

/** No lease was last touched ten years ago: a server that says more than that, as all ones, does not know. */
const longestSinceTransactionSeconds = 10 * 366 * 86_400;

/** What a lease is looked for by: exactly one of three (RFC 4388 §6). */
export type LeaseQuestion =
  /** Unsigned 32-bit number. */
  | { readonly by: 'address'; readonly address: number }
  /** Canonical. */
  | { readonly by: 'mac'; readonly mac: string }
  /** The value of option 61. */
  | { readonly by: 'client-id'; readonly clientId: Uint8Array };

/** A lease as a server tells it. */
export interface KnownLease {
  /** Dotted. */
  readonly address: string;
  readonly mac: string | null;
  /** Until it ends; null: not told, or never. */
  readonly leaseSeconds: number | null;
  /** Since the client last spoke to the server; null: not told. */
  readonly lastTransactionSeconds: number | null;
  /** As the relay said it when the client last came through one; null: not told. */
  readonly line: RelayAgentInformation | null;
  /** Option 61, lower-case hexadecimal. */
  readonly clientId: string | null;
  /** Other addresses of the same client, dotted: there are some when it was not asked by address. */
  readonly associated: readonly string[];
}

export type LeaseAnswer =
  | { readonly answer: 'active'; readonly lease: KnownLease }
  /** The server is in charge of the address, and nobody has it. */
  | { readonly answer: 'unassigned' }
  /** The server knows nothing of it. */
  | { readonly answer: 'unknown' };

/** Whether a packet is one of the three answers to a leasequery. */
export function isLeaseAnswer({ messageType }: DhcpPacket): boolean {
  return messageType >= MessageType.leaseUnassigned && messageType <= MessageType.leaseActive;
}

/** Options that are asked for; some servers send no others. */
const wanted = Buffer.of(
  Option.leaseTime,
  Option.clientIdentifier,
  Option.relayAgentInformation,
  Option.clientLastTransactionTime,
  Option.associatedAddress,
);

/**
 * A DHCPLEASEQUERY.
 *
 * @param giaddr where the answer goes, port 67: servers answer the relay, not the sender
 */
export function encodeLeaseQuery(question: LeaseQuestion, xid: number, giaddr: number): Buffer {
  const header = { op: Op.request, xid, giaddr };
  const options: [number, Uint8Array][] = [
    [Option.messageType, Buffer.of(MessageType.leaseQuery)],
    [Option.parameterRequestList, wanted],
  ];
  switch (question.by) {
    case 'address':
      return encodePacket({ ...header, ciaddr: question.address }, options);
    case 'mac':
      return encodePacket(
        { ...header, htype: ethernet, chaddr: Buffer.from(question.mac.replaceAll(':', ''), 'hex') },
        options,
      );
    case 'client-id':
      return encodePacket(header, [...options, [Option.clientIdentifier, question.clientId]]);
  }
}

/** What an answer says, or that it does not say enough. */
export function readLeaseAnswer(packet: DhcpPacket): LeaseAnswer | 'malformed' {
  if (packet.op !== Op.reply) return 'malformed';
  switch (packet.messageType) {
    case MessageType.leaseUnassigned:
      return { answer: 'unassigned' };
    case MessageType.leaseUnknown:
      return { answer: 'unknown' };
    case MessageType.leaseActive: {
      const address = hostAddress(packet.ciaddr);
      const line = packet.options.get(Option.relayAgentInformation);
      if (address === undefined) return 'malformed';
      return {
        answer: 'active',
        lease: {
          address,
          mac: macOf(packet),
          leaseSeconds: leaseSecondsOf(packet),
          lastTransactionSeconds: sinceTransaction(packet),
          line: line === undefined ? null : decodeOption82(line),
          clientId: packet.options.get(Option.clientIdentifier)?.toString('hex') ?? null,
          associated: addressesOf(packet.options.get(Option.associatedAddress)),
        },
      };
    }
    default:
      return 'malformed';
  }
}

/** Option 51; null when it is absent or the lease never ends. */
export function leaseSecondsOf(packet: DhcpPacket): number | null {
  const seconds = uint32Option(packet, Option.leaseTime);
  return seconds === undefined || seconds === endlessSeconds ? null : seconds;
}

/** Whether an answer is about what was asked: servers copy it from the question (RFC 4388 §6.4). */
export function answersQuestion(packet: DhcpPacket, question: LeaseQuestion): boolean {
  switch (question.by) {
    case 'address':
      return packet.ciaddr === question.address;
    case 'mac': {
      const mac = macOf(packet);
      return mac === question.mac || (mac === null && packet.messageType !== MessageType.leaseActive);
    }
    case 'client-id': {
      // Some servers do not send it back.
      const clientId = packet.options.get(Option.clientIdentifier);
      return clientId === undefined || clientId.equals(question.clientId);
    }
  }
}

function sinceTransaction(packet: DhcpPacket): number | null {
  const seconds = uint32Option(packet, Option.clientLastTransactionTime);
  return seconds === undefined || seconds > longestSinceTransactionSeconds ? null : seconds;
}

function addressesOf(value: Buffer | undefined): string[] {
  const addresses: string[] = [];
  for (let at = 0; at + 4 <= (value?.length ?? 0); at += 4) addresses.push(formatIpv4Address(value!.readUInt32BE(at)));
  return addresses;
}
