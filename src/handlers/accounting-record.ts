/**
 * An Accounting-Request as a spool record, and back as a fact. Enters: the packet as it came and where it came from. Leaves: bytes
 * for the spool; later, from the same bytes, an `AccountingFact`. Invariant: what was acknowledged can always be read again,
 * whatever the configuration says by then, because the record names its NAS entry and routing domain itself.
 */
import type { AccountingFact, ClassEvidence, OctetCount } from '../domain/accounting-fact.js';
import { parseIpv6Prefix } from '../domain/ipv6-prefix.js';
import { AcctStatusType, Attribute } from '../radius/attribute-number.js';
import type { SeenLine } from '../nas/line-reader.js';
import { type Packet, parsePacket } from '../radius/packet.js';
import { clientMacOf } from './client-mac.js';
import { nasBoxOf } from './nas-box.js';

/** Kinds of spool records: one octet, never used again for anything else. */
export const RecordKind = { accounting: 1, leaseEvent: 2, grant: 3 } as const;

const VERSION = 1;
/** Nokia replays after 25 hours; a delay of more than a week is a broken counter and is not believed, s. */
const LONGEST_DELAY_SECONDS = 7 * 86_400;
/** No session lasts longer than this; more is a broken counter, s. */
const LONGEST_SESSION_SECONDS = 10 * 366 * 86_400;
const WORD = 2 ** 32;

/** Where an accounting packet came from, as the handler found it. */
export interface RecordOrigin {
  readonly nasName: string;
  readonly routingDomain: string;
  readonly sourceAddress: string;
}

export interface AccountingRecord extends RecordOrigin {
  readonly packet: Packet;
}

export function encodeAccountingRecord(origin: RecordOrigin, packet: Packet): Buffer {
  const texts = [origin.nasName, origin.routingDomain, origin.sourceAddress];
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const record = Buffer.allocUnsafe(1 + sizes.reduce((sum, size) => sum + 1 + size, 0) + packet.length);
  let at = 1;
  record[0] = VERSION;
  texts.forEach((text, i) => {
    record[at] = sizes[i]!;
    record.write(text, at + 1);
    at += 1 + sizes[i]!;
  });
  packet.bytes.copy(record, at, 0, packet.length);
  return record;
}

/** @returns the record, or why it cannot be read: then it is set aside, never dropped */
export function decodeAccountingRecord(payload: Buffer): AccountingRecord | { readonly fault: string } {
  if (payload.length < 4 || payload[0] !== VERSION) return { fault: 'record-version' };
  const texts: string[] = [];
  let at = 1;
  for (let i = 0; i < 3; i++) {
    const size = payload[at];
    if (size === undefined || at + 1 + size > payload.length) return { fault: 'record-header' };
    texts.push(payload.toString('utf8', at + 1, at + 1 + size));
    at += 1 + size;
  }
  const parsed = parsePacket(payload.subarray(at));
  if (!parsed.ok) return { fault: parsed.reason };
  return { nasName: texts[0]!, routingDomain: texts[1]!, sourceAddress: texts[2]!, packet: parsed.packet };
}

/** How a packet is read beyond its attributes. */
export interface FactReading {
  /** Finds and verifies our Class. */
  readonly readClass: (packet: Packet) => ClassEvidence | null;
  /** The access line; undefined where the profile of this NAS does not look at lines. */
  readonly lineOf: (nasName: string, packet: Packet) => SeenLine | undefined;
}

/** What a packet's Acct-Status-Type asks for; 'other' is acknowledged and means nothing to us (tunnels, RFC 2867). */
export type AccountingStatus = AccountingFact['status'] | 'other';

export function accountingStatus(packet: Packet): AccountingStatus | undefined {
  switch (packet.uint32(Attribute.acctStatusType)) {
    case undefined:
      return undefined;
    case AcctStatusType.start:
      return 'start';
    case AcctStatusType.interimUpdate:
      return 'interim';
    case AcctStatusType.stop:
      return 'stop';
    case AcctStatusType.accountingOn:
      return 'on';
    case AcctStatusType.accountingOff:
      return 'off';
    default:
      return 'other';
  }
}

/** Whether the packet says enough to be recorded: RFC 2866 §5.5 asks for an Acct-Session-Id. */
export function isWholeAccounting(packet: Packet, status: AccountingStatus): boolean {
  return (
    status === 'on' || status === 'off' || status === 'other' || (packet.text(Attribute.acctSessionId) ?? '') !== ''
  );
}

/** The fact that a record tells. */
export function accountingFact(
  record: AccountingRecord,
  receivedAtMs: number,
  { readClass, lineOf }: FactReading,
): AccountingFact | undefined {
  const { packet, nasName, routingDomain } = record;
  const status = accountingStatus(packet);
  if (status === undefined || status === 'other' || !isWholeAccounting(packet, status)) return undefined;
  const declaredSeconds = packet.uint32(Attribute.acctDelayTime);
  const delayDeclared = declaredSeconds !== undefined && declaredSeconds <= LONGEST_DELAY_SECONDS;
  const delaySeconds = delayDeclared ? declaredSeconds : 0;
  const eventAtMs = receivedAtMs - delaySeconds * 1000;
  const nasBox = nasBoxOf(packet, record.sourceAddress);
  if (status === 'on' || status === 'off') {
    // The delay is cut to whole seconds. A repeated restart must not come to lie after a session that began since.
    const restartAtMs = delaySeconds > 0 ? eventAtMs - 1000 : eventAtMs;
    return { status, receivedAtMs, eventAtMs: restartAtMs, nasName, nasBox };
  }
  const callingStation = packet.text(Attribute.callingStationId);
  const login = packet.text(Attribute.userName);
  const evidence = readClass(packet);
  const seen = evidence === null ? lineOf(nasName, packet) : undefined;
  const seconds = packet.uint32(Attribute.acctSessionTime);
  return {
    status,
    receivedAtMs,
    eventAtMs,
    delayDeclared,
    nasName,
    nasBox,
    // A scoped address means something on this host only, and no column holds it.
    nasAddress: record.sourceAddress.includes('%') ? null : record.sourceAddress,
    routingDomain,
    acctSessionId: packet.text(Attribute.acctSessionId)!,
    login: login ?? '',
    mac: clientMacOf(callingStation, login) ?? seen?.mac ?? null,
    callingStation: callingStation ?? null,
    calledStation: packet.text(Attribute.calledStationId) ?? null,
    nasPortId: packet.text(Attribute.nasPortId) ?? packet.uint32(Attribute.nasPort)?.toString() ?? null,
    address: framedAddress(packet),
    framedPrefix: framedPrefix(packet),
    delegatedPrefix: prefix(packet.ipv6Prefix(Attribute.delegatedIpv6Prefix)),
    interfaceId: interfaceId(packet),
    class: evidence,
    ...(seen && { line: seen.read }),
    sessionSeconds: seconds === undefined || seconds > LONGEST_SESSION_SECONDS ? null : seconds,
    input: octets(packet, Attribute.acctInputOctets, Attribute.acctInputGigawords),
    output: octets(packet, Attribute.acctOutputOctets, Attribute.acctOutputGigawords),
    terminateCause: terminateCause(packet),
  };
}

/** Values of vendors' own are kept; what no column of 32 bits with a sign can hold is none. */
function terminateCause(packet: Packet): number | null {
  const value = packet.uint32(Attribute.acctTerminateCause);
  return value === undefined || value > 0x7fff_ffff ? null : value;
}

/** Framed-IP-Address, unless it is one of the values that mean "choose yourself" (RFC 2865 §5.8) or nothing. */
function framedAddress(packet: Packet): string | null {
  const value = packet.first(Attribute.framedIpAddress);
  if (value?.length !== 4) return null;
  const number = value.readUInt32BE(0);
  return number === 0 || number >= 0xfffffffe ? null : value.join('.');
}

/** Framed-IPv6-Prefix (RFC 3162 §2.3); without one, the single Framed-IPv6-Address (RFC 6911 §3.1) is a prefix of 128 bits. */
function framedPrefix(packet: Packet): string | null {
  return prefix(packet.ipv6Prefix(Attribute.framedIpv6Prefix)) ?? prefix(packet.address(Attribute.framedIpv6Address));
}

/** What nobody can be given is nobody's: a NAS tells link-local addresses too. */
function prefix(text: string | undefined): string | null {
  return text === undefined ? null : (parseIpv6Prefix(text) ?? null);
}

/** Framed-Interface-Id (RFC 3162 §2.2): eight octets, written as four groups. */
function interfaceId(packet: Packet): string | null {
  const value = packet.first(Attribute.framedInterfaceId);
  if (value?.length !== 8) return null;
  return [0, 2, 4, 6].map((at) => value.readUInt16BE(at).toString(16)).join(':');
}

function octets(packet: Packet, octetsType: number, gigawordsType: number): OctetCount | null {
  const low = packet.uint32(octetsType);
  const high = packet.uint32(gigawordsType);
  if (low === undefined) return null;
  const total = (high ?? 0) * WORD + low;
  return total > Number.MAX_SAFE_INTEGER ? null : { octets: total, gigawords: high !== undefined };
}
