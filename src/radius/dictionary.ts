// The dictionary: names, numbers and types of attributes, values and vendors.
// In: definitions from dictionary files. Out: lookups by name or number.
// Invariant: names are found whatever their case; a later definition of a name or number replaces the earlier one, as in
// every server that reads this format; a loaded dictionary does not change.

import { standardVendorFormat, type VendorFormat } from './vendor-format.js';

/** How the octets of a value are read. */
export type DataType =
  | 'string'
  | 'octets'
  | 'ipaddr'
  | 'ipv6addr'
  | 'ipv4prefix'
  | 'ipv6prefix'
  | 'combo-ip'
  | 'ifid'
  | 'ether'
  | 'byte'
  | 'short'
  | 'integer'
  | 'integer64'
  | 'signed'
  | 'date'
  | 'tlv'
  | 'abinary'
  | 'vsa'
  | 'extended'
  | 'long-extended'
  | 'evs';

/** How a value is hidden on the wire: 1 User-Password, 2 salted (RFC 2868 §3.5), 3 Ascend secret. */
export type Encryption = 0 | 1 | 2 | 3;

/** One attribute. */
export interface DictionaryAttribute {
  readonly name: string;
  /** 0 for standard attributes. */
  readonly vendor: number;
  /** Type numbers from the outermost inwards: one, or more inside a TLV or an extended attribute. */
  readonly path: readonly number[];
  readonly type: DataType;
  /** Fixed length of an `octets[n]`, octets. */
  readonly fixedOctets: number | undefined;
  readonly hasTag: boolean;
  readonly encryption: Encryption;
  /** Several values in one attribute, one after another. */
  readonly isArray: boolean;
  /** A long value is split over several attributes of the same type. */
  readonly isConcatenated: boolean;
  /** Carried inside an extended attribute (RFC 6929); known by name, neither encoded nor taken apart. */
  readonly isExtended: boolean;
  /** Never shown to people. */
  readonly isSecret: boolean;
}

/** One vendor. */
export interface DictionaryVendor {
  readonly name: string;
  readonly number: number;
  readonly format: VendorFormat;
}

interface ValueNames {
  readonly byName: Map<string, number | bigint>;
  readonly byNumber: Map<string, string>;
}

/** Names, numbers and types. Filled by `loadDictionary`, read by everybody else. */
export class Dictionary {
  readonly #byName = new Map<string, DictionaryAttribute>();
  readonly #byNumber = new Map<string, DictionaryAttribute>();
  readonly #vendorsByName = new Map<string, DictionaryVendor>();
  readonly #vendorsByNumber = new Map<number, DictionaryVendor>();
  readonly #values = new Map<string, ValueNames>();

  /** Number of attributes. */
  get size(): number {
    return this.#byName.size;
  }

  /** All attributes in the order of their definition. */
  attributes(): IterableIterator<DictionaryAttribute> {
    return this.#byName.values();
  }

  /** The attribute of a name in any case, or undefined. */
  attribute(name: string): DictionaryAttribute | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  /** The attribute of a vendor (0: standard) and type numbers, or undefined. */
  attributeByNumber(vendor: number, ...path: readonly number[]): DictionaryAttribute | undefined {
    return this.#byNumber.get(pathKey(vendor, path));
  }

  /** The vendor of a name in any case or of a number, or undefined. */
  vendor(nameOrNumber: string | number): DictionaryVendor | undefined {
    return typeof nameOrNumber === 'number'
      ? this.#vendorsByNumber.get(nameOrNumber)
      : this.#vendorsByName.get(nameOrNumber.toLowerCase());
  }

  /** How a vendor writes its attributes; the recommended format for a vendor that is not in the dictionary. */
  vendorFormat(vendor: number): VendorFormat {
    return this.#vendorsByNumber.get(vendor)?.format ?? standardVendorFormat;
  }

  /** The number that a name stands for as a value of this attribute, or undefined. */
  valueNumber(attribute: DictionaryAttribute, name: string): number | bigint | undefined {
    return this.#values.get(attribute.name.toLowerCase())?.byName.get(name.toLowerCase());
  }

  /** The name of a value of this attribute, or undefined. */
  valueName(attribute: DictionaryAttribute, value: number | bigint): string | undefined {
    return this.#values.get(attribute.name.toLowerCase())?.byNumber.get(String(value));
  }

  /** For the loader: adds or replaces an attribute. */
  defineAttribute(attribute: DictionaryAttribute): void {
    this.#byName.set(attribute.name.toLowerCase(), attribute);
    this.#byNumber.set(pathKey(attribute.vendor, attribute.path), attribute);
  }

  /** For the loader: adds or replaces a vendor. */
  defineVendor(vendor: DictionaryVendor): void {
    this.#vendorsByName.set(vendor.name.toLowerCase(), vendor);
    this.#vendorsByNumber.set(vendor.number, vendor);
  }

  /** For the loader: names a value. Of several names for one number the first is shown, all are accepted. */
  defineValue(attributeName: string, name: string, value: number | bigint): void {
    const key = attributeName.toLowerCase();
    let names = this.#values.get(key);
    if (names === undefined) this.#values.set(key, (names = { byName: new Map(), byNumber: new Map() }));
    names.byName.set(name.toLowerCase(), value);
    if (!names.byNumber.has(String(value))) names.byNumber.set(String(value), name);
  }
}

function pathKey(vendor: number, path: readonly number[]): string {
  return `${vendor}/${path.join('.')}`;
}
