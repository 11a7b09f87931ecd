/**
 * Lease events as JSON. Enters: the body of a request. Leaves: lease events, or which one is wrong and why. Invariants: all of a body or nothing
 * of it; a key that is not known is a mistake, not a remark; nothing throws for any content.
 *
 * One object, or a list of them: `{"cmd":"commit","client_ip":"100.65.1.10","client_mac":"02:00:00:00:c1:01","circuit_id":"61636331",
 * "lease_seconds":600,"at":1795288861.864}`, keys and values as the hook has them; `lease_seconds` and `at` may be numbers.
 */
import type { LeaseEvent } from '../domain/lease-event.js';
import { leaseFaults, readToldLease } from './told-lease.js';
import type { Heard, LeaseFault, ToldLease } from './told-lease.js';

/** What can be wrong besides an event itself. */
export const bodyFaults = {
  'not-json': 'the body is not JSON',
  'no-events': 'the body is neither an event nor a list of events',
  'too-many-events': 'the list has more than 1000 events',
  'not-an-event': 'it is not an object with texts and numbers in it',
  'unknown-key': 'it has a key that is not known',
} as const;

export type JsonFault = LeaseFault | keyof typeof bodyFaults;

export type JsonReading =
  | { readonly ok: true; readonly events: readonly LeaseEvent[] }
  | { readonly ok: false; readonly fault: JsonFault; readonly text: string; readonly index: number | undefined };

/** Events of one body: a deliverer that comes back after a day sends many bodies. */
export const maxEventsOfBody = 1_000;

const fields: Readonly<Record<string, keyof ToldLease>> = {
  cmd: 'command',
  client_ip: 'clientIp',
  client_mac: 'clientMac',
  switch_mac: 'switchMac',
  switch_port: 'switchPort',
  circuit_id: 'circuitId',
  remote_id: 'remoteId',
  subscriber_id: 'subscriberId',
  lease_seconds: 'leaseSeconds',
  at: 'at',
};

/**
 * Reads a body.
 *
 * @param heard `happenedAtMs` is when the request says that it was signed: an event without a time of its own has this one
 */
export function readJsonLeases(body: Buffer, heard: Heard): JsonReading {
  const parsed = parse(body);
  if (parsed === undefined) return wrong('not-json');
  const list: unknown = Array.isArray(parsed.value) ? parsed.value : [parsed.value];
  if (!Array.isArray(list) || list.length === 0) return wrong('no-events');
  if (list.length > maxEventsOfBody) return wrong('too-many-events');
  const events: LeaseEvent[] = [];
  for (const [index, one] of list.entries()) {
    const told = toldOf(one);
    if (typeof told === 'string') return wrong(told, index);
    const reading = readToldLease(told, heard);
    if (!reading.ok) return wrong(reading.fault, index);
    events.push(reading.event);
  }
  return { ok: true, events };
}

/** An event as a body has it. */
export function jsonOfLease(event: LeaseEvent): Readonly<Record<string, string | number>> {
  const { line } = event;
  const told = {
    cmd: event.kind,
    client_ip: event.address,
    client_mac: event.mac,
    switch_mac: line?.switchMac,
    switch_port: line?.switchPort,
    circuit_id: line?.circuitId,
    remote_id: line?.remoteId,
    subscriber_id: line?.subscriberId,
    lease_seconds:
      event.leaseEndsAtMs === null
        ? null
        : Math.min(Math.max(1, Math.round((event.leaseEndsAtMs - event.eventAtMs) / 1_000)), 0xffff_ffff),
    at: event.timeDeclared ? event.eventAtMs / 1_000 : null,
  };
  return Object.fromEntries(
    Object.entries(told).flatMap(([key, value]) => (value === null || value === undefined ? [] : [[key, value]])),
  );
}

function parse(body: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(body.toString('utf8')) };
  } catch {
    return undefined;
  }
}

function toldOf(one: unknown): ToldLease | 'not-an-event' | 'unknown-key' {
  if (typeof one !== 'object' || one === null || Array.isArray(one)) return 'not-an-event';
  const told: { -readonly [Field in keyof ToldLease]: string } = {};
  for (const [key, value] of Object.entries(one) as [string, unknown][]) {
    if (!Object.hasOwn(fields, key)) return 'unknown-key';
    const text = textOf(key, value);
    if (text === undefined) return 'not-an-event';
    told[fields[key]!] = text;
  }
  return told;
}

/** Numbers are for what is counted; null says that nothing is known, like an empty text. */
function textOf(key: string, value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  if (typeof value !== 'number') return undefined;
  if (key === 'lease_seconds') return String(value);
  // Numbers of this size are written without an exponent; more than microseconds nobody knows.
  if (key === 'at') return value >= 0 && value < 1e12 ? value.toFixed(6) : String(value);
  return undefined;
}

function wrong(fault: JsonFault, index?: number): JsonReading {
  const why = fault in leaseFaults ? leaseFaults[fault as LeaseFault] : bodyFaults[fault as keyof typeof bodyFaults];
  const text = index === undefined ? why : `event ${String(index + 1)}: ${why}`;
  return { ok: false, fault, text, index };
}
