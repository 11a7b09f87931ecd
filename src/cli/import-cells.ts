/**
 * From the cells of one CSV line to a row for the database.
 *
 * Enters: a header and lines of text. Leaves: validated rows, or what is wrong with a line.
 * Invariant: a cell is never guessed at: what is no MAC, address, flag, plan or pool refuses its line.
 */
import { nearestKey } from '../config/nearest-key.js';
import { readPort } from '../domain/device-reference.js';
import { formatIpv4Address, parseIpv4Address } from '../domain/ipv4-address.js';
import { parseIpv6Prefix } from '../domain/ipv6-prefix.js';
import { parseMacAddress } from '../domain/mac-address.js';
import { importColumns } from '../store/import-columns.js';
import type { ImportColumn, ImportRow, ImportValue } from '../store/import-columns.js';
import { option82Ways } from './assignments.js';
import { CommandError } from './command-error.js';
import { longestPasswordOctets } from './password-input.js';
import { importKeys, longestText } from './subscriber-keys.js';
import type { ImportKey } from './subscriber-keys.js';

/** Names that cells refer to. */
export interface CellNames {
  readonly plans: ReadonlyMap<string, number>;
  readonly pools: ReadonlyMap<string, number>;
}

/** A line that is right, or why it is not. */
export type CellResult =
  { readonly ok: true; readonly row: ImportRow } | { readonly ok: false; readonly problem: string };

/** User-Name is one attribute: 253 octets (RFC 2865 §5). */
const longestLoginOctets = 253;

/** A stored form with its hash and salt: far below the limit of stored passwords, characters. */
const longestStoredPassword = 1024;

/** Names of columns that differ between the file and the schema. */
const schemaNames: Readonly<Partial<Record<ImportKey, string>>> = {
  ip: 'static_address',
  framed_prefix: 'static_framed_prefix',
  delegated_prefix: 'static_delegated_prefix',
  pool: 'pool_id',
  nas: 'nas_name',
  device: 'device_id',
  plan: 'plan_id',
};

/** Reads the lines of one file. */
export class CellReader {
  /** The columns of the file, without login and contract. */
  readonly columns: readonly ImportColumn[];
  private readonly keys: readonly ImportKey[];

  /**
   * @param header the first line
   * @throws CommandError for an unknown, repeated or missing column, with the columns that there are
   */
  constructor(
    header: readonly string[],
    private readonly names: CellNames,
  ) {
    this.keys = readHeader(header);
    const wanted = new Set(this.keys.map((key) => schemaNames[key] ?? key));
    this.columns = importColumns.filter((column) => wanted.has(column.name));
  }

  /** Reads one line. */
  read(cells: readonly string[], line: number): CellResult {
    if (cells.length !== this.keys.length) {
      return wrong(`has ${String(cells.length)} cells, and the header has ${String(this.keys.length)}`);
    }
    const values = new Map<string, ImportValue>();
    let login = '';
    let contract: string | undefined;
    for (const [index, key] of this.keys.entries()) {
      const cell = cells[index] ?? '';
      const unfit = unfitText(key, cell);
      if (unfit !== undefined) return wrong(`${key} ${unfit}`);
      if (key === 'login') login = cell;
      else if (key === 'contract') contract = cell === '' ? undefined : cell;
      else {
        const value = this.valueOf(key, cell);
        if (typeof value === 'object' && value !== null) return wrong(`${key} ${value.problem}`);
        values.set(schemaNames[key] ?? key, value);
      }
    }
    return { ok: true, row: { line, login, contract, values } };
  }

  private valueOf(key: ImportKey, cell: string): ImportValue | { readonly problem: string } {
    if (cell === '') return null;
    switch (key) {
      case 'ip': {
        const address = parseIpv4Address(cell);
        return address === undefined ? { problem: `'${cell}' is no IPv4 address` } : formatIpv4Address(address);
      }
      case 'framed_prefix':
      case 'delegated_prefix':
        return parseIpv6Prefix(cell) ?? { problem: `'${cell}' is no IPv6 prefix` };
      case 'mac':
        return parseMacAddress(cell) ?? { problem: `'${cell}' is no MAC address` };
      case 'port':
        return readPort(cell) ?? { problem: `'${cell}' is no port` };
      case 'option82_auth':
        return (option82Ways as readonly string[]).includes(cell)
          ? cell
          : { problem: `'${cell}' is none of ${option82Ways.join(', ')}` };
      case 'plan':
        return idOf('plan', cell, this.names.plans);
      case 'pool':
        return idOf('pool', cell, this.names.pools);
      case 'deleted':
      case 'redirect':
      case 'own_disabled':
      case 'admin_blocked':
      case 'associate_pppoe_mac':
      case 'associate_vpn_ip':
        return flagOf(cell);
      default:
        return cell;
    }
  }
}

function wrong(problem: string): CellResult {
  return { ok: false, problem };
}

function idOf(kind: string, name: string, known: ReadonlyMap<string, number>): number | { readonly problem: string } {
  const id = known.get(name);
  if (id !== undefined) return id;
  const near = nearestKey(name, [...known.keys()]);
  return {
    problem: `'${name}' does not exist${near === undefined ? '' : ` (did you mean ${near}?)`}; make it with: sluice ${kind} add`,
  };
}

/** Exporters write booleans in more ways than people type them. */
function flagOf(cell: string): boolean | { readonly problem: string } {
  const text = cell.toLowerCase();
  if (text === 'true' || text === 't' || text === '1') return true;
  if (text === 'false' || text === 'f' || text === '0') return false;
  return { problem: `'${cell}' is neither true nor false` };
}

function unfitText(key: ImportKey, cell: string): string | undefined {
  if (cell.includes('\0')) return 'holds a NUL character';
  if (cell.includes('\ufffd')) return 'is not UTF-8; convert the file, for example with: iconv -f cp1251 -t utf-8';
  if (key === 'login') {
    const octets = Buffer.byteLength(cell, 'utf8');
    if (octets < 1 || octets > longestLoginOctets)
      return `has ${String(octets)} octets; a login has 1 to ${String(longestLoginOctets)}`;
    return undefined;
  }
  if (key === 'password') {
    const stored = cell.startsWith('{') || cell.startsWith('$2');
    if (stored ? cell.length > longestStoredPassword : Buffer.byteLength(cell, 'utf8') > longestPasswordOctets)
      return 'is too long';
    return undefined;
  }
  const longest = (longestText as Readonly<Partial<Record<string, number>>>)[key] ?? 1000;
  return cell.length > longest ? `is longer than ${String(longest)} characters` : undefined;
}

function readHeader(header: readonly string[]): ImportKey[] {
  const known = `the columns are ${importKeys.join(', ')}`;
  const keys = header.map((written) => {
    const name = written.trim();
    const key = importKeys.find((one) => one === name);
    if (key !== undefined) return key;
    if (header.length === 1 && /[;\t|]/u.test(name)) {
      throw new CommandError(
        'the header has one column with separators in it',
        "say what separates the cells, such as --delimiter ';'",
      );
    }
    const near = nearestKey(name, importKeys);
    throw new CommandError(
      `line 1: there is no column '${name}'`,
      near === undefined ? known : `did you mean ${near}? ${known}`,
    );
  });
  const repeated = keys.find((key, index) => keys.indexOf(key) !== index);
  if (repeated !== undefined)
    throw new CommandError(`line 1: the column ${repeated} occurs twice`, 'remove one of them');
  if (!keys.includes('login')) throw new CommandError('line 1: there is no column login', known);
  return keys;
}
