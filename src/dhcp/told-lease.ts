/**
 * A lease event as another program tells it. Enters: texts that nothing is known of: arguments of a hook, parameters of a request, values of
 * JSON. Leaves: a lease event in canonical form, or the first thing that is wrong. Invariants: an empty text is one that was not told; an event
 * with anything wrong in it is no event at all; nothing throws for any text.
 */
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { LeaseEvent, LeaseEventKind, LeaseVia, LineEvidence } from '../domain/lease-event.js';
import { parseMacAddress, ZERO_MAC_ADDRESS } from '../domain/mac-address.js';

/** What can be wrong, and how it is said to whoever told it. A closed set: the names are labels of metrics. */
export const leaseFaults = {
  'unknown-command': 'the command is not commit, expiry, release or decline',
  'bad-address': 'client_ip is not an IPv4 address that a client can have',
  'bad-client-mac': 'client_mac is not a MAC address',
  'bad-switch-mac': 'switch_mac is not a MAC address',
  'bad-switch-port': 'switch_port is longer than 128 octets, or not plain text',
  'bad-circuit-id': 'circuit_id is not hexadecimal, or longer than 255 octets',
  'bad-remote-id': 'remote_id is not hexadecimal, or longer than 255 octets',
  'bad-subscriber-id': 'subscriber_id is not hexadecimal, or longer than 255 octets',
  'bad-lease-seconds': 'lease_seconds is not a whole number from 1 to 4294967295',
  'bad-time': 'at is not a time, or one that is still to come',
} as const;

export type LeaseFault = keyof typeof leaseFaults;

/** One event, word by word. undefined and empty mean the same: not told. */
export interface ToldLease {
  readonly command?: string | undefined;
  readonly clientIp?: string | undefined;
  readonly clientMac?: string | undefined;
  readonly switchMac?: string | undefined;
  readonly switchPort?: string | undefined;
  readonly circuitId?: string | undefined;
  readonly remoteId?: string | undefined;
  readonly subscriberId?: string | undefined;
  readonly leaseSeconds?: string | undefined;
  /** Seconds since 1970, or an instant as in RFC 3339. */
  readonly at?: string | undefined;
}

/** How and when it was heard. */
export interface Heard {
  readonly receivedAtMs: number;
  readonly via: LeaseVia;
  readonly source: string;
  /** When it happened as far as the way itself knows: the time of a file, the signed time of a request. undefined: the way knows no time. */
  readonly happenedAtMs: number | undefined;
}

export type LeaseReading =
  { readonly ok: true; readonly event: LeaseEvent } | { readonly ok: false; readonly fault: LeaseFault };

/** The words for a kind of event, as hooks say them. */
const kinds: ReadonlyMap<string, LeaseEventKind> = new Map(
  (['commit', 'expiry', 'release', 'decline'] as const).map((kind) => [kind, kind]),
);

/** A clock of another host may be ahead by this much, ms; what it tells then happened just now. */
export const clockToleranceMs = 5 * 60_000;
/** Before this no event of ours can have happened; a clock that says so was never set. ms: 9 September 2001. */
export const earliestMs = 1_000_000_000_000;

/** Reads one event. The first fault in the order of the words is the one that is told. */
export function readToldLease(told: ToldLease, heard: Heard): LeaseReading {
  const kind = kinds.get(told.command ?? '');
  if (kind === undefined) return { ok: false, fault: 'unknown-command' };
  const address = hostAddress(told.clientIp);
  if (address === undefined) return { ok: false, fault: 'bad-address' };
  const mac = told.clientMac ? parseMacAddress(told.clientMac) : null;
  if (mac === undefined) return { ok: false, fault: 'bad-client-mac' };
  const line = readLine(told);
  if (typeof line === 'string') return { ok: false, fault: line };
  const leaseSeconds = told.leaseSeconds ? readLeaseSeconds(told.leaseSeconds) : null;
  if (leaseSeconds === undefined) return { ok: false, fault: 'bad-lease-seconds' };
  const atMs = told.at ? readInstant(told.at) : null;
  if (atMs === undefined || (atMs !== null && !isPlausible(atMs, heard.receivedAtMs)))
    return { ok: false, fault: 'bad-time' };
  const happenedAtMs =
    atMs ?? (heard.happenedAtMs !== undefined && heard.happenedAtMs >= earliestMs ? heard.happenedAtMs : null);
  const eventAtMs = Math.min(happenedAtMs ?? heard.receivedAtMs, heard.receivedAtMs);
  return {
    ok: true,
    event: {
      kind,
      eventAtMs,
      timeDeclared: happenedAtMs !== null,
      receivedAtMs: heard.receivedAtMs,
      via: heard.via,
      source: heard.source,
      address,
      mac: unlessZero(mac),
      leaseEndsAtMs: kind === 'commit' && leaseSeconds !== null ? eventAtMs + leaseSeconds * 1_000 : null,
      line,
    },
  };
}

/** An address that a client can have, dotted: not of "this network", loopback, multicast or broadcast (RFC 6890). */
export function hostAddress(text: string | undefined): string | undefined {
  const number = parseIpv4Address(text ?? '');
  if (number === undefined || text === undefined) return undefined;
  const first = number >>> 24;
  return first === 0 || first === 127 || first >= 224 ? undefined : text;
}

/** Whether an event can have happened at that time. */
export function isPlausible(atMs: number, receivedAtMs: number): boolean {
  return atMs >= earliestMs && atMs <= receivedAtMs + clockToleranceMs;
}

/** A lease time in seconds; undefined: not one. 4294967295 is a lease without end (RFC 2131 §3.3). */
export function readLeaseSeconds(text: string): number | undefined {
  if (!/^[0-9]{1,10}$/u.test(text)) return undefined;
  const seconds = Number(text);
  return seconds >= 1 && seconds <= 0xffff_ffff ? seconds : undefined;
}

function readLine(told: ToldLease): LineEvidence | null | LeaseFault {
  const switchMac = told.switchMac ? parseMacAddress(told.switchMac) : null;
  if (switchMac === undefined) return 'bad-switch-mac';
  const switchPort = told.switchPort || null;
  if (switchPort !== null && !isPortText(switchPort)) return 'bad-switch-port';
  const circuitId = told.circuitId ? readOctets(told.circuitId) : null;
  if (circuitId === undefined) return 'bad-circuit-id';
  const remoteId = told.remoteId ? readOctets(told.remoteId) : null;
  if (remoteId === undefined) return 'bad-remote-id';
  const subscriberId = told.subscriberId ? readOctets(told.subscriberId) : null;
  if (subscriberId === undefined) return 'bad-subscriber-id';
  const line = {
    circuitId,
    remoteId,
    subscriberId,
    switchMac: unlessZero(switchMac),
    switchPort,
  };
  return Object.values(line).every((one) => one === null) ? null : line;
}

/** What a device that knows no address puts in its place is nobody's. */
function unlessZero(mac: string | null): string | null {
  return mac === ZERO_MAC_ADDRESS ? null : mac;
}

/** The longest sub-option (RFC 3046 §2.0), octets. */
const longestSubOption = 255;
/** `eth-trunk12/0/47:2011.3001` and its like are shorter by far. */
const longestPortOctets = 128;

/**
 * Octets as hooks write them: hexadecimal digits in a row, with `0x` before them or not, or one group for each octet between colons or hyphens,
 * from which ISC dhcpd's `binary-to-ascii` takes leading zeros.
 *
 * @returns lower-case hexadecimal; undefined: neither
 */
export function readOctets(text: string): string | undefined {
  const hex = grouped(text) ?? /^(?:0x)?((?:[0-9a-f]{2})+)$/iu.exec(text)?.[1] ?? undefined;
  return hex === undefined || hex.length > 2 * longestSubOption ? undefined : hex.toLowerCase();
}

function grouped(text: string): string | undefined {
  // One octet alone stands without a colon.
  if (!/^[0-9a-f]{1,2}(?:(:|-)[0-9a-f]{1,2}(?:\1[0-9a-f]{1,2})*)?$/iu.test(text)) return undefined;
  return text
    .split(/[:-]/u)
    .map((group) => group.padStart(2, '0'))
    .join('');
}

/** Whether a port is text that can be looked for and shown. What looks like another word of the hook is a mistake in its call. */
function isPortText(text: string): boolean {
  if (Buffer.byteLength(text) > longestPortOctets) return false;
  if (/^(?:circuit_id|remote_id|subscriber_id|lease_seconds|at)=/u.test(text)) return false;
  // Control and format characters, halves of pairs, and what stands where octets were no UTF-8.
  return !/[\p{C}\u2028\u2029\uFFFD]/u.test(text);
}

/** @returns ms since 1970, rounded; undefined: no time */
function readInstant(text: string): number | undefined {
  if (/^[0-9]{9,11}(?:\.[0-9]{1,9})?$/u.test(text)) return Math.round(Number(text) * 1_000);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/u.test(text)) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.floor(atMs);
}
