/**
 * Whose a lease is. Enters: an event, what its access line was read as, and everybody who may be meant. Leaves: one subscriber, or why none. Invariants: two
 * matches are never resolved by guessing; an identity that an event does not tell is taken from the lease, and is never overwritten by absence. Pure.
 */
import type { AccessLine } from './access-line.js';
import type { LeaseEvent } from './lease-event.js';
import type { LeaseDevice, LeaseRecord, LeaseRefusal, LeaseSubscriber } from './lease.js';

/** What became of the evidence of a line. */
export type ReadLine =
  /** The event brought none. */
  | { readonly read: 'none' }
  /** No rule knows it. */
  | { readonly read: 'unknown' }
  | { readonly read: 'line'; readonly line: AccessLine };

/** The same of a lease event, whose option 82 may lie about its lengths; hexadecimal. RADIUS attributes have lengths of their own. */
export type LeaseLine = ReadLine | { readonly read: 'lying'; readonly octets: string };

/** Everybody who may be meant by the events in hand. */
export interface LeaseCandidates {
  readonly devices: readonly LeaseDevice[];
  readonly subscribers: readonly LeaseSubscriber[];
}

export type LeaseHolder =
  | {
      readonly found: true;
      readonly subscriber: LeaseSubscriber;
      readonly device: LeaseDevice | null;
      readonly port: string | null;
    }
  | { readonly found: false; readonly reason: LeaseRefusal; readonly detail: string | null };

/** @param lease what is stored of the address, if anything */
export function holderOf(
  event: LeaseEvent,
  read: ReadLine,
  lease: LeaseRecord | undefined,
  candidates: LeaseCandidates,
): LeaseHolder {
  switch (read.read) {
    case 'line':
      return holderOfLine(event, read.line, candidates);
    case 'unknown':
      return byMacAlone(event, candidates) ?? refused('line-unknown');
    case 'none':
      return holderWithoutLine(event, lease, candidates);
  }
}

function holderOfLine(event: LeaseEvent, line: AccessLine, candidates: LeaseCandidates): LeaseHolder {
  if (line.login !== undefined) {
    const named = candidates.subscribers.filter(({ login }) => login === line.login);
    if (named.length === 1) return checked(event, named[0]!, null, line.port ?? null);
  }
  const device = deviceOf(line, candidates.devices);
  if (device === undefined) return byMacAlone(event, candidates) ?? refused('no-device', deviceText(line));
  const port = line.port ?? null;
  if (device.byPort && port === null) return byMacAlone(event, candidates) ?? refused('no-port');
  const there = candidates.subscribers.filter(
    (one) => one.deviceId === device.id && (!device.byPort || one.port === port),
  );
  if (there.length === 1) return checked(event, there[0]!, device, port);
  if (there.length === 0) return byMacAlone(event, candidates) ?? refused('no-subscriber');
  // Several may share a port where the kind of the device allows it; then the MAC tells them apart.
  const same = event.mac === null ? [] : there.filter(({ mac }) => mac === event.mac);
  if (same.length === 1) return { found: true, subscriber: same[0]!, device, port };
  return refused('several', there.map(({ login }) => login).join(', '));
}

function checked(
  event: LeaseEvent,
  subscriber: LeaseSubscriber,
  device: LeaseDevice | null,
  port: string | null,
): LeaseHolder {
  const { option82Auth, mac } = subscriber;
  if ((option82Auth === 'port-mac' || option82Auth === 'mac') && (mac === null || mac !== event.mac))
    return refused('mac-differs', mac);
  return { found: true, subscriber, device, port };
}

function holderWithoutLine(
  event: LeaseEvent,
  lease: LeaseRecord | undefined,
  candidates: LeaseCandidates,
): LeaseHolder {
  if (lease?.subscriberId != null && (event.mac === null || lease.mac === event.mac)) {
    const subscriber = candidates.subscribers.find(({ id }) => id === lease.subscriberId);
    const device = candidates.devices.find(({ id }) => id === lease.deviceId) ?? null;
    if (subscriber !== undefined)
      return checked({ ...event, mac: event.mac ?? lease.mac }, subscriber, device, lease.port);
  }
  return byMacAlone(event, candidates) ?? refused(isKnownByPort(event, candidates) ? 'no-line' : 'no-subscriber');
}

/** Whoever is known by the MAC, wherever it shows up. */
function byMacAlone(event: LeaseEvent, { subscribers }: LeaseCandidates): LeaseHolder | undefined {
  if (event.mac === null) return undefined;
  const same = subscribers.filter(
    ({ mac, option82Auth, deviceId }) =>
      mac === event.mac && (option82Auth === 'mac' || (option82Auth === null && deviceId === null)),
  );
  if (same.length === 0) return undefined;
  if (same.length > 1) return refused('several', same.map(({ login }) => login).join(', '));
  return { found: true, subscriber: same[0]!, device: null, port: null };
}

function isKnownByPort(event: LeaseEvent, { subscribers }: LeaseCandidates): boolean {
  return event.mac !== null && subscribers.some(({ mac }) => mac === event.mac);
}

/** The ONU that the line names where it is registered, else the device. */
export function deviceOf(line: AccessLine, devices: readonly LeaseDevice[]): LeaseDevice | undefined {
  const { device, onuSerial } = line;
  const onu = onuSerial === undefined ? undefined : devices.find(({ serial }) => serial === onuSerial);
  if (onu !== undefined || device === undefined) return onu;
  return devices.find((one) => one[device.by] === device.value);
}

/** What a line names its device by, for people. */
export function deviceText(line: AccessLine): string | null {
  return line.device?.value ?? line.onuSerial ?? null;
}

function refused(reason: LeaseRefusal, detail: string | null = null): LeaseHolder {
  return { found: false, reason, detail };
}
