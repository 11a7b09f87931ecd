/**
 * `dhcpd.leases` of ISC dhcpd (`dhcpd.leases(5)`). Enters: its lines. Leaves: an entry for each lease that is closed, and what cannot be read. Invariants: what is
 * not about leases is passed over; an entry with anything wrong in what counts is no entry; one that is cut spoils nothing behind it.
 */
import type { LineEvidence } from '../domain/lease-event.js';
import { parseMacAddress, ZERO_MAC_ADDRESS } from '../domain/mac-address.js';
import { leaseTokens, type LeaseToken } from './isc-lease-tokens.js';
import { ENDLESS_SECONDS, type LeaseFileItem, type LeaseFileReader, timeProblem } from './lease-file.js';
import { hostAddress, readOctets } from './told-lease.js';

/** Words of one statement; the longest ones, lists of options, have dozens. */
const MOST_WORDS = 1_024;

/** Whether somebody has the address, by its `binding state`. */
const STATES: ReadonlyMap<string, boolean> = new Map(
  ['active', 'free', 'expired', 'released', 'abandoned', 'backup', 'reset'].map((name) => [name, name === 'active']),
);

/** What the entry in hand has said so far. */
interface OpenLease {
  readonly line: number;
  readonly address: string | null;
  problem: { readonly line: number; readonly text: string } | undefined;
  isGiven: boolean;
  mac: string | null;
  /** What the hook's configuration keeps with the lease. */
  keptMac: string | null;
  startsAtMs: number | null;
  spokenAtMs: number | null;
  endsAtMs: number | 'never' | null;
  circuitId: string | null;
  remoteId: string | null;
  subscriberId: string | null;
}

export class IscLeaseFile implements LeaseFileReader {
  readonly #nowMs: number;
  #lease: OpenLease | undefined;
  /** Open braces of what is passed over. */
  #depth = 0;
  #words: LeaseToken[] = [];
  #lastLine = 0;

  /** @param nowMs nothing can have happened later */
  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  add(text: string, line: number): readonly LeaseFileItem[] {
    const items: LeaseFileItem[] = [];
    // Only a lease begins at the left edge with this word. Where one is open still, its rest was never written.
    if (/^lease[\t ]/u.test(text)) items.push(...this.#cut());
    this.#lastLine = line;
    const tokens = leaseTokens(text);
    if (typeof tokens === 'string') {
      this.#words = [];
      return [...items, ...this.#wrong(line, tokens)];
    }
    for (const token of tokens) items.push(...this.#take(token, line));
    return items;
  }

  skip(line: number, problem: string): readonly LeaseFileItem[] {
    this.#lastLine = line;
    this.#words = [];
    return this.#wrong(line, problem);
  }

  end(): readonly LeaseFileItem[] {
    return this.#cut();
  }

  #cut(): LeaseFileItem[] {
    const lease = this.#lease;
    const isOpen = lease !== undefined || this.#depth > 0 || this.#words.length > 0;
    this.#lease = undefined;
    this.#depth = 0;
    this.#words = [];
    if (!isOpen) return [];
    return [
      { line: lease?.line ?? this.#lastLine, problem: 'begins what is never closed', address: lease?.address ?? null },
    ];
  }

  /** In a lease the lease is told of, at its end; elsewhere the line. */
  #wrong(line: number, text: string): LeaseFileItem[] {
    if (this.#lease === undefined) return [{ line, problem: text, address: null }];
    this.#lease.problem ??= { line, text };
    return [];
  }

  #take(token: LeaseToken, line: number): LeaseFileItem[] {
    if (token.kind !== 'mark') {
      if (this.#depth > 0) return [];
      if (this.#words.length < MOST_WORDS) {
        this.#words.push(token);
        return [];
      }
      this.#words = [];
      return this.#wrong(line, `has a statement of more than ${String(MOST_WORDS)} words`);
    }
    const words = this.#words;
    this.#words = [];
    if (token.text === '{') return this.#open(words, line);
    if (token.text === '}') return this.#close(line);
    if (this.#depth > 0 || this.#lease === undefined) return [];
    const problem = words.length === 0 ? undefined : state(this.#lease, words);
    return problem === undefined ? [] : this.#wrong(line, problem);
  }

  #open(words: readonly LeaseToken[], line: number): LeaseFileItem[] {
    if (this.#lease !== undefined || this.#depth > 0 || words[0]?.text !== 'lease' || words[0].kind !== 'word') {
      this.#depth += 1;
      return [];
    }
    const address = words.length === 2 ? (hostAddress(words[1]!.text) ?? null) : null;
    this.#lease = {
      line,
      address,
      problem: address === null ? { line, text: 'names no IPv4 address that a client can have' } : undefined,
      isGiven: true,
      mac: null,
      keptMac: null,
      startsAtMs: null,
      spokenAtMs: null,
      endsAtMs: null,
      circuitId: null,
      remoteId: null,
      subscriberId: null,
    };
    return [];
  }

  #close(line: number): LeaseFileItem[] {
    if (this.#depth > 0) {
      this.#depth -= 1;
      return [];
    }
    const lease = this.#lease;
    this.#lease = undefined;
    return lease === undefined
      ? [{ line, problem: 'closes what was never opened', address: null }]
      : [this.#item(lease)];
  }

  #item(lease: OpenLease): LeaseFileItem {
    const { address, line, problem, isGiven } = lease;
    if (address === null || problem !== undefined)
      return { line: problem?.line ?? line, problem: problem?.text ?? 'names no address', address };
    const atMs = lease.spokenAtMs ?? lease.startsAtMs;
    const endsAtMs = lease.endsAtMs === 'never' ? (atMs ?? 0) + ENDLESS_SECONDS * 1_000 : lease.endsAtMs;
    const wrong = isGiven ? timeProblem(atMs, endsAtMs, this.#nowMs) : undefined;
    if (wrong !== undefined) return { line, problem: wrong, address };
    return { line, lease: { address, mac: lease.mac ?? lease.keptMac, line: lineOf(lease), atMs, endsAtMs, isGiven } };
  }
}

function lineOf({ circuitId, remoteId, subscriberId }: OpenLease): LineEvidence | null {
  if (circuitId === null && remoteId === null && subscriberId === null) return null;
  return { circuitId, remoteId, subscriberId, switchMac: null, switchPort: null };
}

/** One statement of a lease. @returns what is wrong with it, if it is one that counts */
function state(lease: OpenLease, words: readonly LeaseToken[]): string | undefined {
  const [first, second, third, fourth] = words;
  switch (first!.text) {
    case 'starts':
    case 'ends':
    case 'cltt': {
      const time = readTime(words.slice(1));
      if (time === undefined) return `has no time behind '${first!.text}'`;
      if (first!.text === 'ends') lease.endsAtMs = time;
      else if (time === 'never') return `has '${first!.text} never'`;
      else if (first!.text === 'starts') lease.startsAtMs = time;
      else lease.spokenAtMs = time;
      return undefined;
    }
    case 'binding': {
      const isGiven = second?.text === 'state' && third !== undefined ? STATES.get(third.text) : undefined;
      if (isGiven === undefined) return 'has a binding state that is not known';
      lease.isGiven = isGiven;
      return undefined;
    }
    // As files from before failover say it.
    case 'abandoned':
      lease.isGiven = false;
      return undefined;
    case 'hardware': {
      if (second?.text !== 'ethernet') return undefined;
      const mac = parseMacAddress(third?.text ?? '');
      if (mac === undefined) return 'has no MAC address behind "hardware ethernet"';
      lease.mac = mac === ZERO_MAC_ADDRESS ? null : mac;
      return undefined;
    }
    case 'option':
      return second === undefined ? undefined : stateOption(lease, second.text, words.slice(2));
    case 'set':
      // The configuration of docs/dhcp.md writes it at the commit.
      if (second?.text === 'sluice-mac' && third?.text === '=' && fourth?.kind === 'text')
        lease.keptMac = parseMacAddress(fourth.text) ?? null;
      return undefined;
    default:
      return undefined;
  }
}

/** Sub-options of option 82, by the names that dhcpd has for them, or has none for. */
const SUB_OPTIONS: ReadonlyMap<string, 'circuitId' | 'remoteId' | 'subscriberId'> = new Map([
  ['agent.circuit-id', 'circuitId'],
  ['agent.remote-id', 'remoteId'],
  ['agent.subscriber-id', 'subscriberId'],
  ['agent.unknown-6', 'subscriberId'],
]);
/** RFC 3046 §2.0, octets. */
const LONGEST_SUB_OPTION = 255;

function stateOption(lease: OpenLease, name: string, values: readonly LeaseToken[]): string | undefined {
  const key = SUB_OPTIONS.get(name);
  if (key === undefined) return undefined;
  const [value] = values;
  const octets =
    value === undefined || values.length > 1
      ? undefined
      : value.kind === 'word'
        ? readOctets(value.text)
        : Buffer.from(value.text, 'latin1').toString('hex');
  if (octets === undefined || octets.length > 2 * LONGEST_SUB_OPTION) return `has no octets behind '${name}'`;
  lease[key] = octets === '' ? null : octets;
  return undefined;
}

/** `4 2026/11/19 07:21:01`, always UTC; `epoch 1795288861`; `never`. */
function readTime(words: readonly LeaseToken[]): number | 'never' | undefined {
  const text = words.map((word) => word.text).join(' ');
  if (text === 'never') return 'never';
  const epoch = /^epoch ([0-9]{1,11})$/u.exec(text);
  if (epoch !== null) return Number(epoch[1]) * 1_000;
  const found = /^[0-6] ([0-9]{4})\/([0-9]{1,2})\/([0-9]{1,2}) ([0-9]{1,2}):([0-9]{2}):([0-9]{2})$/u.exec(text);
  if (found === null) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const atMs = Date.UTC(year, month - 1, day, hour, minute, second);
  const day0 = new Date(Date.UTC(year, month - 1, day));
  return day0.getUTCMonth() === month - 1 && day0.getUTCDate() === day ? atMs : undefined;
}
