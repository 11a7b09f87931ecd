/**
 * A file of the hook. Enters: the octets that `bin/sluice-lever` wrote, and the time of the file. Leaves: lease events, or the one reason why
 * there are none. Invariants: what stands behind a length is a value, whatever is in it; a file is taken whole or not at all; nothing throws for
 * any content.
 *
 * A line `sluice-lever 1`, then lines `NAME=LENGTH:VALUE` with the length in octets, or `NAME=!` for a value that was too long to be written,
 * then a line `end`. Arguments of the hook are named 1, 2, 3, …; variables of Kea have their own names.
 */
import type { LeaseEvent } from '../domain/lease-event.js';
import { readKeaLeases } from './kea-hook.js';
import type { KeaFault } from './kea-hook.js';
import { readToldLease } from './told-lease.js';
import type { Heard, LeaseFault, ToldLease } from './told-lease.js';

/** Why a file tells nothing. A closed set: the names are labels of metrics and ends of file names. */
export type HookFault =
  | LeaseFault
  | KeaFault
  /** It ends before its `end`: the disk was full, or the host lost power. */
  | 'torn'
  | 'not-of-the-hook'
  /** Of a newer hook than this server. */
  | 'unknown-version'
  /** A value was longer than the hook writes, or the file is longer than any hook writes. */
  | 'too-long'
  /** An argument that is no KEY=VALUE, or none that this server knows. */
  | 'unknown-word'
  | 'repeated-word';

export type HookReading =
  { readonly ok: true; readonly events: readonly LeaseEvent[] } | { readonly ok: false; readonly fault: HookFault };

/** The hook writes no longer file, octets. */
export const maxHookFileOctets = 65_536;
/** Lines of one file: 32 words, or 99 leases of Kea with five variables each. */
const maxLines = 512;

const firstLine = 'sluice-lever 1\n';
const lastLine = 'end\n';
const newline = 0x0a;

/**
 * Reads a file.
 *
 * @param heard `happenedAtMs` is the time of the file
 */
export function readHookFile(content: Buffer, heard: Heard): HookReading {
  if (content.length > maxHookFileOctets) return { ok: false, fault: 'too-long' };
  const values = readValues(content);
  if (typeof values === 'string') return { ok: false, fault: values };
  const word = values.get('1') ?? '';
  if (/^leases?4_/u.test(word)) return readKeaLeases(values, heard);
  const told = readWords(values);
  if (typeof told === 'string') return { ok: false, fault: told };
  const reading = readToldLease(told, heard);
  return reading.ok ? { ok: true, events: [reading.event] } : reading;
}

function readValues(content: Buffer): ReadonlyMap<string, string> | HookFault {
  const begins = content.toString('latin1', 0, firstLine.length);
  if (begins !== firstLine) {
    if (firstLine.startsWith(begins)) return 'torn';
    return /^sluice-lever \d+\n?$/u.test(begins) ? 'unknown-version' : 'not-of-the-hook';
  }
  const values = new Map<string, string>();
  let at = firstLine.length;
  for (let lines = 0; lines < maxLines; lines++) {
    const line = content.toString('latin1', at, at + 64);
    if (line === lastLine) return values;
    const match = /^([A-Z0-9_]{1,40})=(?:(!)\n|(\d{1,5}):)/u.exec(line);
    if (match === null) return isBeginning(line) ? 'torn' : 'not-of-the-hook';
    const [whole, name = '', tooLong, length] = match;
    if (tooLong !== undefined) return 'too-long';
    const begin = at + whole.length;
    const end = begin + Number(length);
    if (end >= content.length) return 'torn';
    if (content[end] !== newline || values.has(name)) return 'not-of-the-hook';
    values.set(name, content.toString('utf8', begin, end));
    at = end + 1;
  }
  return 'too-long';
}

/** Whether the file was going to go on from here. */
function isBeginning(rest: string): boolean {
  return lastLine.startsWith(rest) || /^[A-Z0-9_]{1,40}(?:=(?:!|\d{0,5})?)?$/u.test(rest);
}

const keyFields = {
  circuit_id: 'circuitId',
  remote_id: 'remoteId',
  subscriber_id: 'subscriberId',
  lease_seconds: 'leaseSeconds',
  at: 'at',
} as const satisfies Readonly<Record<string, keyof ToldLease>>;

const isKey = (name: string): name is keyof typeof keyFields => Object.hasOwn(keyFields, name);

/** Places that a command has after its word; the MAC addresses may be left out before KEY=VALUE, since they hold no `=`. */
const placesOf = (command: string | undefined): readonly (keyof ToldLease)[] =>
  command === 'commit' ? ['clientIp', 'clientMac', 'switchMac', 'switchPort'] : ['clientIp', 'clientMac'];

function readWords(values: ReadonlyMap<string, string>): ToldLease | HookFault {
  const words = Array.from({ length: values.size }, (_, index) => values.get(String(index + 1)));
  const told: { -readonly [Field in keyof ToldLease]: string | undefined } = { command: words[0] };
  const places = [...placesOf(words[0])];
  for (const word of words.slice(1)) {
    if (word === undefined) return 'not-of-the-hook';
    const [key = ''] = word.split('=', 1);
    const place = places[0];
    // What a client sent can stand in the place of the port, and must not become another key there.
    if (place !== undefined && (place === 'switchPort' || key === word || !isKey(key))) {
      told[place] = word;
      places.shift();
      continue;
    }
    places.length = 0;
    if (word === '') continue;
    if (key === word || !isKey(key)) return 'unknown-word';
    const field = keyFields[key];
    if (told[field] !== undefined) return 'repeated-word';
    told[field] = word.slice(key.length + 1);
  }
  return told;
}
