/**
 * The lease file of Kea's memfile backend, `kea-leases4.csv`. Enters: its lines. Leaves: an entry for each row, and rows that cannot be read. Invariants: columns are
 * found by the names in the first line, since releases of Kea differ in them; a row with anything wrong in what counts is no entry.
 */
import type { LineEvidence } from '../domain/lease-event.js';
import { parseMacAddress, ZERO_MAC_ADDRESS } from '../domain/mac-address.js';
import { type LeaseFileItem, type LeaseFileReader, timeProblem } from './lease-file.js';
import { decodeOption82, isCut, lineEvidence } from './option82.js';
import { hostAddress } from './told-lease.js';

/** Kea has 11 to 13; more than this is no lease file. */
const MOST_COLUMNS = 64;
const NEEDED = ['address', 'hwaddr', 'valid_lifetime', 'expire'] as const;
/** States of a lease: 1 is declined, 2 reclaimed after its end, 3 released, 4 registered by a client that has its address from elsewhere. */
const ASSIGNED = '0';
const LONGEST_OPTION = 0xffff;

export class KeaLeaseFile implements LeaseFileReader {
  readonly #nowMs: number;
  #columns: ReadonlyMap<string, number> | undefined;
  /** The first line makes no sense, and so nothing behind it does. */
  #isForeign = false;

  /** @param nowMs nothing can have happened later */
  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  add(text: string, line: number): readonly LeaseFileItem[] {
    if (this.#isForeign || text === '') return [];
    const cells = text.split(',', MOST_COLUMNS + 1);
    if (this.#columns === undefined) {
      const columns = new Map(cells.map((name, i) => [name, i]));
      this.#isForeign = NEEDED.some((name) => !columns.has(name)) || cells.length > MOST_COLUMNS;
      this.#columns = columns;
      return this.#isForeign
        ? [{ line, problem: `does not name the columns ${NEEDED.join(', ')}`, address: null }]
        : [];
    }
    return [this.#row(this.#columns, cells, line)];
  }

  skip(line: number, problem: string): readonly LeaseFileItem[] {
    this.#isForeign ||= this.#columns === undefined;
    return [{ line, problem, address: null }];
  }

  end(): readonly LeaseFileItem[] {
    return [];
  }

  #row(columns: ReadonlyMap<string, number>, cells: readonly string[], line: number): LeaseFileItem {
    const cell = (name: string): string => cells[columns.get(name) ?? -1] ?? '';
    const address = hostAddress(cell('address'));
    if (address === undefined) return { line, problem: 'names no IPv4 address that a client can have', address: null };
    const wrong = (problem: string): LeaseFileItem => ({ line, problem, address });
    if (cells.length !== columns.size)
      return wrong(`has ${String(cells.length)} cells, and the first line has ${String(columns.size)}`);
    const lifetime = wholeNumber(cell('valid_lifetime'));
    const expire = wholeNumber(cell('expire'));
    const state = columns.has('state') ? cell('state') : ASSIGNED;
    if (lifetime === undefined || expire === undefined || !/^[0-9]{1,3}$/u.test(state))
      return wrong('has no whole numbers in valid_lifetime, expire and state');
    const mac = readMac(cell('hwaddr'));
    if (mac === undefined) return wrong('has no hardware address in hwaddr');
    // A row with no lifetime takes the lease away.
    const isGiven = state === ASSIGNED && lifetime > 0;
    const [atMs, endsAtMs] = [(expire - lifetime) * 1_000, expire * 1_000];
    const told = isGiven ? readContext(unescaped(cell('user_context'))) : { line: null };
    const problem = 'problem' in told ? told.problem : isGiven ? timeProblem(atMs, endsAtMs, this.#nowMs) : undefined;
    if (problem !== undefined || 'problem' in told) return wrong(problem!);
    return { line, lease: { address, mac, line: told.line, atMs, endsAtMs, isGiven } };
  }
}

function wholeNumber(text: string): number | undefined {
  return /^[0-9]{1,11}$/u.test(text) ? Number(text) : undefined;
}

/** null: none, or not of Ethernet; undefined: no hardware address at all */
function readMac(text: string): string | null | undefined {
  if (text === '') return null;
  const mac = parseMacAddress(text);
  if (mac !== undefined) return mac === ZERO_MAC_ADDRESS ? null : mac;
  return /^(?:[0-9a-f]{2}:){0,63}[0-9a-f]{2}$/iu.test(text) ? null : undefined;
}

/** Kea writes what its format cannot hold as `&#x2c`, without a semicolon. */
function unescaped(text: string): string {
  return text.replaceAll(/&#x([0-9a-f]{2})/giu, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

type Told = { readonly line: LineEvidence | null } | { readonly problem: string };

/** Option 82 as Kea keeps it with `store-extended-info`: an object since 2.3.2, the octets alone before. */
function readContext(text: string): Told {
  if (text === '') return { line: null };
  let context: unknown;
  try {
    context = JSON.parse(text);
  } catch {
    return { problem: 'has a user_context that is no JSON' };
  }
  const information = member(member(context, 'ISC'), 'relay-agent-info') ?? member(context, 'relay-agent-info');
  const octets = typeof information === 'object' ? member(information, 'sub-options') : information;
  if (octets === undefined || octets === null) return { line: null };
  const hex = typeof octets === 'string' ? /^0x((?:[0-9a-f]{2})*)$/iu.exec(octets)?.[1] : undefined;
  if (hex === undefined || hex.length > 2 * LONGEST_OPTION)
    return { problem: 'has relay-agent-info that is no octets' };
  const option = decodeOption82(Buffer.from(hex, 'hex'));
  return isCut(option) ? { problem: 'has option 82 with a length that lies' } : { line: lineEvidence(option) };
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
