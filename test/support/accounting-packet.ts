/**
 * Facts as the packets that say them. Enters: a fact. Leaves: the spool record of an Accounting-Request. Invariant: decoding the record
 * gives the same fact back, so that tests of facts and of packets speak of one thing.
 */
import type { AccountingFact, ClassEvidence, OctetCount } from '../../src/domain/accounting-fact.js';
import { isRestart } from '../../src/domain/accounting-fact.js';
import { encodeAccountingRecord } from '../../src/handlers/accounting-record.js';
import { AcctStatusType, Attribute } from '../../src/radius/attribute-number.js';
import { type Packet, parsePacket } from '../../src/radius/packet.js';

const ACCOUNTING_REQUEST = 4;
const HEADER_OCTETS = 20;

function text(type: number, value: string | null): Buffer[] {
  if (value === null) return [];
  const bytes = Buffer.from(value);
  return [Buffer.from([type, bytes.length + 2]), bytes];
}

function number(type: number, value: number | null): Buffer[] {
  if (value === null) return [];
  const bytes = Buffer.from([type, 6, 0, 0, 0, 0]);
  bytes.writeUInt32BE(value, 2);
  return [bytes];
}

function octets(lowType: number, highType: number, count: OctetCount | null): Buffer[] {
  if (count === null) return [];
  const high = count.gigawords ? Math.floor(count.octets / 2 ** 32) : null;
  return [...number(lowType, count.octets % 2 ** 32), ...number(highType, high)];
}

const statusOf = {
  start: AcctStatusType.start,
  interim: AcctStatusType.interimUpdate,
  stop: AcctStatusType.stop,
  on: AcctStatusType.accountingOn,
  off: AcctStatusType.accountingOff,
};

function attributesOf(fact: AccountingFact): Buffer[] {
  const status = number(Attribute.acctStatusType, statusOf[fact.status]);
  const box = text(Attribute.nasIdentifier, fact.nasBox);
  const lateSeconds = Math.round((fact.receivedAtMs - fact.eventAtMs) / 1000);
  // A restart counts the second that was cut off its delay.
  if (isRestart(fact)) return [...status, ...box, ...number(Attribute.acctDelayTime, Math.max(0, lateSeconds - 1))];
  const framed = fact.address?.split('.').map(Number);
  return [
    ...status,
    ...box,
    ...text(Attribute.userName, fact.login),
    ...text(Attribute.acctSessionId, fact.acctSessionId),
    ...number(Attribute.acctDelayTime, fact.delayDeclared ? lateSeconds : null),
    ...(framed === undefined ? [] : [Buffer.from([Attribute.framedIpAddress, 6, ...framed])]),
    ...text(Attribute.callingStationId, fact.callingStation ?? fact.mac),
    ...text(Attribute.calledStationId, fact.calledStation),
    ...text(Attribute.nasPortId, fact.nasPortId),
    ...text(Attribute.class, fact.class === null ? null : JSON.stringify(fact.class)),
    ...number(Attribute.acctSessionTime, fact.sessionSeconds),
    ...octets(Attribute.acctInputOctets, Attribute.acctInputGigawords, fact.input),
    ...octets(Attribute.acctOutputOctets, Attribute.acctOutputGigawords, fact.output),
    ...number(Attribute.acctTerminateCause, fact.terminateCause),
  ];
}

/** The payload of a spool record. */
export function accountingPayload(fact: AccountingFact): Buffer {
  const body = Buffer.concat(attributesOf(fact));
  const header = Buffer.alloc(HEADER_OCTETS);
  header[0] = ACCOUNTING_REQUEST;
  header.writeUInt16BE(HEADER_OCTETS + body.length, 2);
  const parsed = parsePacket(Buffer.concat([header, body]));
  if (!parsed.ok) throw new Error(`not a packet: ${parsed.reason}`);
  const routingDomain = isRestart(fact) ? 'default' : fact.routingDomain;
  return encodeAccountingRecord({ nasName: fact.nasName, routingDomain, sourceAddress: '192.0.2.1' }, parsed.packet);
}

/** Class as `accountingPayload` writes it: in the clear. */
export function readPlainClass(packet: Packet): ClassEvidence | null {
  const value = packet.first(Attribute.class);
  return value === undefined ? null : (JSON.parse(value.toString()) as ClassEvidence);
}
