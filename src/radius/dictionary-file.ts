// Reads dictionary files in the usual text format.
// In: the path of a file and the folders it may include from. Out: a Dictionary and warnings, or an error with file and line.
// Invariant: reading ends for any content (no include cycles, bounded depth and size); nothing outside the given folders is
// opened; a line that cannot be understood is an error, an unknown flag only a warning.

import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { Dictionary, type DataType, type DictionaryAttribute, type Encryption } from './dictionary.js';
import { standardVendorFormat, type VendorFormat } from './vendor-format.js';

/** The largest file, octets: the largest one published has about 100 kB. */
const maxFileOctets = 4 * 1024 * 1024;
/** Files that include files. */
const maxIncludeDepth = 16;
/** Files in all; an include may be repeated, so cycles alone are not the bound. */
const maxFiles = 2_000;
/** TLVs inside TLVs. */
const maxTlvDepth = 5;

/** A dictionary that cannot be read. The message begins with `file:line:`. */
export class DictionaryError extends Error {
  override readonly name = 'DictionaryError';
  constructor(
    readonly file: string,
    /** 1-based; 0 when the file itself cannot be read. */
    readonly line: number,
    readonly problem: string,
  ) {
    super(`${file}:${line}: ${problem}`);
  }
}

/** What `loadDictionary` gives. */
export interface LoadedDictionary {
  readonly dictionary: Dictionary;
  /** Lines that were understood in part, as `file:line: …`. */
  readonly warnings: readonly string[];
}

/**
 * Loads dictionary files, one after another, with everything they include.
 * @param files the top file, or several: ours first, then an operator's own
 * @param roots folders that files may come from; default the folders of `files`
 * @throws DictionaryError
 */
export function loadDictionary(files: string | readonly string[], roots?: readonly string[]): LoadedDictionary {
  const list = typeof files === 'string' ? [files] : files;
  const reader = new DictionaryReader(roots ?? list.map((file) => dirname(file)));
  for (const file of list) reader.readFile(file, file, 0);
  return reader.finish();
}

const typeNames = new Map<string, DataType>(
  (
    'string octets ipaddr ipv6addr ipv4prefix ipv6prefix combo-ip ifid ether byte short integer integer64 signed date ' +
    'tlv abinary vsa extended long-extended evs'
  )
    .split(' ')
    .map((name) => [name, name as DataType]),
);
// Names that other writers of the format use for the same types.
for (const [alias, type] of [
  ['text', 'string'],
  ['uint8', 'byte'],
  ['uint16', 'short'],
  ['uint32', 'integer'],
  ['uint64', 'integer64'],
  ['int32', 'signed'],
  ['ipv4addr', 'ipaddr'],
  ['time', 'date'],
] as const)
  typeNames.set(alias, type);

interface Place {
  readonly file: string;
  readonly line: number;
}

interface Scope {
  readonly vendor: number;
  readonly parents: readonly DictionaryAttribute[];
  /** Vendor attributes inside an extended attribute: their numbers begin with these. */
  readonly prefix: readonly number[];
  readonly closedBy: string;
}

class DictionaryReader {
  readonly #dictionary = new Dictionary();
  readonly #warnings: string[] = [];
  readonly #roots: readonly string[];
  readonly #values: { attribute: string; name: string; value: number | bigint; place: Place }[] = [];
  #files = 0;

  constructor(roots: readonly string[]) {
    this.#roots = roots.map((root) => realPath(root) ?? resolve(root));
  }

  finish(): LoadedDictionary {
    // A VALUE may stand before its ATTRIBUTE, in an earlier file.
    for (const { attribute, name, value, place } of this.#values) {
      if (this.#dictionary.attribute(attribute) === undefined)
        // Some published files have such lines; the name cannot be used, and harms nobody.
        this.#warn(place, `VALUE for an unknown attribute ${attribute} is ignored`);
      else this.#dictionary.defineValue(attribute, name, value);
    }
    return { dictionary: this.#dictionary, warnings: this.#warnings };
  }

  readFile(path: string, shown: string, depth: number, open: readonly string[] = [], from?: Place): void {
    const real = realPath(path);
    const place = from ?? { file: shown, line: 0 };
    if (real === undefined) fail(place, `cannot read ${shown}: no such file`);
    if (!this.#roots.some((root) => real === root || real.startsWith(root + sep)))
      fail(place, `${shown} is outside the folders that dictionaries may come from`);
    if (open.includes(real)) fail(place, `${shown} includes itself`);
    if (depth > maxIncludeDepth) fail(place, `more than ${maxIncludeDepth} files include one another`);
    if (++this.#files > maxFiles) fail(place, `more than ${maxFiles} files`);
    const status = statSync(real);
    if (!status.isFile()) fail(place, `${shown} is not a file`);
    if (status.size > maxFileOctets) fail(place, `${shown} is larger than ${maxFileOctets} octets`);
    const scopes: Scope[] = [{ vendor: 0, parents: [], prefix: [], closedBy: '' }];
    readFileSync(real, 'utf8')
      .split(/\r?\n/)
      .forEach((text, index) => {
        const words = text.replace(/#.*$/, '').trim().split(/\s+/);
        if (words[0] === '') return;
        const here = { file: shown, line: index + 1 };
        if (/^\$INCLUDE-?$/i.test(words[0]!)) {
          const target = resolve(dirname(real), word(words, 1, here));
          // `$INCLUDE-` is satisfied with a file that is not there.
          if (words[0]!.endsWith('-') && realPath(target) === undefined) return;
          this.readFile(target, target, depth + 1, [...open, real], here);
        } else {
          this.#readLine(words, scopes, here);
        }
      });
    if (scopes.length > 1) fail({ file: shown, line: 0 }, `the file ends before ${scopes.at(-1)!.closedBy}`);
  }

  #warn({ file, line }: Place, problem: string): void {
    this.#warnings.push(`${file}:${line}: ${problem}`);
  }

  #readLine(words: string[], scopes: Scope[], place: Place): void {
    switch (words[0]!.toUpperCase()) {
      case 'ATTRIBUTE':
        return this.#readAttribute(words, scopes.at(-1)!, place);
      case 'VALUE':
        return this.#readValue(words, place);
      case 'VENDOR':
        return this.#readVendor(words, place);
      case 'BEGIN-VENDOR':
        scopes.push(this.#vendorScope(words, place));
        return;
      case 'BEGIN-TLV':
        scopes.push(this.#tlvScope(words, scopes.at(-1)!, place));
        return;
      case 'END-VENDOR':
      case 'END-TLV': {
        const closing = `${words[0]!.toUpperCase()} ${word(words, 1, place)}`;
        const expected = scopes.at(-1)!.closedBy;
        if (closing.toLowerCase() !== expected.toLowerCase())
          fail(place, expected === '' ? `${closing} without a beginning` : `${closing} where ${expected} is due`);
        scopes.pop();
        return;
      }
      default:
        fail(place, `unknown keyword ${words[0]!}`);
    }
  }

  #readAttribute(words: string[], scope: Scope, place: Place): void {
    const name = word(words, 1, place);
    const { type, fixedOctets } = parseType(word(words, 3, place), place);
    let { vendor } = scope;
    let hasTag = false;
    let encryption: Encryption = 0;
    let isArray = false;
    let isConcatenated = false;
    let isSecret = false;
    for (const flag of words.slice(4).flatMap((text) => text.split(','))) {
      const encrypt = /^encrypt=([123])$/.exec(flag)?.[1];
      // The oldest form of the format names the vendor here.
      const inlineVendor = this.#dictionary.vendor(flag);
      if (flag === '') continue;
      else if (flag === 'has_tag') hasTag = true;
      else if (flag === 'array') isArray = true;
      else if (flag === 'concat') isConcatenated = true;
      else if (flag === 'secret') isSecret = true;
      else if (encrypt !== undefined) encryption = Number(encrypt) as Encryption;
      else if (inlineVendor !== undefined) vendor = inlineVendor.number;
      else if (flag !== 'virtual') this.#warn(place, `flag ${flag} is ignored`);
    }
    const path = [...scope.prefix, ...scope.parents.slice(-1).flatMap((parent) => parent.path)];
    path.push(...parsePath(word(words, 2, place), place));
    if (path.length > maxTlvDepth + 1) fail(place, `more than ${maxTlvDepth} levels of TLV`);
    if (scope.parents.length > 0 && path.at(-1)! > 255) fail(place, 'a number inside a TLV is at most 255');
    this.#dictionary.defineAttribute({
      name,
      vendor,
      path,
      type,
      fixedOctets,
      hasTag,
      encryption,
      isArray,
      isConcatenated,
      // The six types that RFC 6929 §2 sets aside.
      isExtended: scope.prefix.length > 0 || (vendor === 0 && path.length > 1 && path[0]! >= 241 && path[0]! <= 246),
      isSecret,
    });
  }

  #readValue(words: string[], place: Place): void {
    const text = word(words, 3, place);
    const value = parseNumber(text);
    if (value === undefined) fail(place, `${text} is not a number`);
    this.#values.push({ attribute: word(words, 1, place), name: word(words, 2, place), value, place });
  }

  #readVendor(words: string[], place: Place): void {
    const number = Number(parseNumber(word(words, 2, place)) ?? NaN);
    if (!Number.isInteger(number) || number < 1 || number > 0xff_ffff) fail(place, 'a vendor number is 1 to 16777215');
    const flag = words[3];
    const format = flag === undefined ? standardVendorFormat : parseFormat(flag);
    if (format === undefined)
      fail(place, `${flag ?? ''} is not format=t,l or format=t,l,c with t of 1, 2, 4 and l of 0, 1, 2`);
    this.#dictionary.defineVendor({ name: word(words, 1, place), number, format });
  }

  #vendorScope(words: string[], place: Place): Scope {
    const name = word(words, 1, place);
    const vendor = this.#dictionary.vendor(name);
    if (vendor === undefined) fail(place, `BEGIN-VENDOR for ${name}, which no VENDOR line names`);
    const carrierName = /^(?:format|parent)=(.+)$/.exec(words[2] ?? '')?.[1];
    const carrier = carrierName === undefined ? undefined : this.#dictionary.attribute(carrierName);
    if (carrierName !== undefined && carrier?.type !== 'evs')
      fail(place, `${carrierName} carries no vendor attributes`);
    return {
      vendor: vendor.number,
      parents: [],
      prefix: carrier === undefined ? [] : carrier.path,
      closedBy: `END-VENDOR ${name}`,
    };
  }

  #tlvScope(words: string[], outer: Scope, place: Place): Scope {
    const name = word(words, 1, place);
    const parent = this.#dictionary.attribute(name);
    if (parent?.type !== 'tlv') fail(place, `BEGIN-TLV for ${name}, which is not an attribute of type tlv`);
    return { vendor: parent.vendor, parents: [...outer.parents, parent], prefix: [], closedBy: `END-TLV ${name}` };
  }
}

function word(words: readonly string[], index: number, place: Place): string {
  return words[index] ?? fail(place, `${words[0] ?? ''} needs ${index === 1 ? 'a name' : `${index} words after it`}`);
}

function parseType(text: string, place: Place): { type: DataType; fixedOctets: number | undefined } {
  const match = /^([a-z0-9-]+)(?:\[(\d{1,3})\])?$/.exec(text.toLowerCase());
  const type = typeNames.get(match?.[1] ?? '');
  if (type === undefined) fail(place, `unknown type ${text}`);
  return { type, fixedOctets: match?.[2] === undefined ? undefined : Number(match[2]) };
}

// `26`, `0x1a`, `241.1`, or `.3` below the attribute before.
function parsePath(text: string, place: Place): number[] {
  return text.split('.').map((part) => {
    const number = Number(parseNumber(part) ?? NaN);
    if (!Number.isInteger(number) || number < 0 || number > 0xffff_ffff)
      fail(place, `${text} is not an attribute number`);
    return number;
  });
}

// Decimal, `0x` hexadecimal, `0o` octal. A leading zero alone means nothing: published files pad with it.
function parseNumber(text: string): number | bigint | undefined {
  if (!/^-?(?:\d+|0[xX][0-9a-fA-F]+|0[oO][0-7]+)$/.test(text)) return undefined;
  const negative = text.startsWith('-');
  const magnitude = BigInt(/^-?\d+$/.test(text) ? text.replace(/^-?0*(?=\d)/, '') : text.replace('-', ''));
  const value = negative ? -magnitude : magnitude;
  if (value > 0xffff_ffff_ffff_ffffn || value < -0x8000_0000n) return undefined;
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? value : Number(value);
}

function parseFormat(text: string): VendorFormat | undefined {
  const match = /^format=([124]),([012])(,c)?$/.exec(text);
  if (match === null) return undefined;
  return {
    typeOctets: Number(match[1]) as VendorFormat['typeOctets'],
    lengthOctets: Number(match[2]) as VendorFormat['lengthOctets'],
    continuation: match[3] !== undefined,
  };
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function fail(place: Place, problem: string): never {
  throw new DictionaryError(place.file, place.line, problem);
}
