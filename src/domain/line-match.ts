/**
 * What one compiled rule makes of one sample. Enters: octets of a line. Leaves: the access line, or nothing; on request, why nothing. Invariants:
 * nothing throws for any octets; a line has at least one field; a value that is not what its field should be makes the rule not match.
 */
import type { AccessLine, LineDevice } from './access-line.js';
import { lineFunctions, textOfOctets, withoutTrailingZeros } from './line-functions.js';
import type { LineFunction } from './line-functions.js';
import type { LinePattern } from './line-pattern.js';

/** Octets of a sub-option or of a RADIUS attribute at most (RFC 3046 §2.0, RFC 2865 §5). */
export const maxSampleOctets = 255;

/** What a rule looks at, as lower-case hexadecimal; null or absent: it was not there. */
export type SampleOctets = Readonly<Partial<Record<string, string | null>>>;

interface SampleValue {
  /** undefined: not there. */
  readonly hex: string | undefined;
  /** Why it cannot be looked at. */
  readonly trouble: string | undefined;
  text: string | undefined;
}

const nothing: SampleValue = Object.freeze({ hex: undefined, trouble: undefined, text: undefined });

/** The octets of one line, checked once, in the forms that patterns run over. */
export class LineSample {
  readonly #values = new Map<string, SampleValue>();

  constructor(octets: SampleOctets) {
    for (const [attribute, hex] of Object.entries(octets)) {
      // A relay sends the sub-option empty where nothing is configured.
      if (hex === null || hex === undefined || hex === '') continue;
      this.#values.set(attribute, { hex, trouble: troubleOf(hex), text: undefined });
    }
  }

  value(attribute: string): SampleValue {
    return this.#values.get(attribute) ?? nothing;
  }

  /** One character for each octet; zeros at the end, which finish a string in C, are not part of the text. */
  text(attribute: string): string {
    const value = this.value(attribute);
    if (value.hex === undefined) return '';
    value.text ??= withoutTrailingZeros(Buffer.from(value.hex, 'hex').toString('latin1'));
    return value.text;
  }
}

function troubleOf(hex: string): string | undefined {
  if (hex.length > maxSampleOctets * 2) return `is longer than ${String(maxSampleOctets)} octets`;
  return hex.length % 2 === 0 && /^[0-9a-f]*$/u.test(hex) ? undefined : 'is not hexadecimal';
}

/** A field that says how many octets follow it in the value; the rule matches only where that is so. */
export const lengthField = 'length';

/** Patterns for one attribute, in order. */
export interface RulePart {
  readonly attribute: string;
  /** Whether the rule matches without it; where it is there, one of the patterns must match. */
  readonly optional: boolean;
  readonly patterns: readonly LinePattern[];
}

/** Text, and then the value of a field, by turns. */
export type Template = readonly { readonly text: string; readonly field: string | undefined }[];

/** Where a rule writes down why it does not match; nobody asks on the way of an event. */
export interface RuleNote {
  reason: string;
}

/** What is done to a value unless the rule says otherwise. */
const defaultFunctions: Readonly<Record<LinePattern['form'], Readonly<Record<string, readonly LineFunction[]>>>> = {
  // A name in hexadecimal is a name; a serial number may be anything, so its digits are kept.
  hex: {
    mac: ['mac'],
    device: ['hex2text'],
    login: ['hex2text'],
    serial: [],
    onu: ['onu_serial'],
  },
  text: { mac: ['mac'], vlan: ['number'], svlan: ['number'], onu: ['onu_serial'] },
};
const numbersInHex: readonly LineFunction[] = ['hex2number'];
const asItIs: readonly LineFunction[] = [];

/** A rule that can be matched; made by `compileLineRule`, which has checked what this class relies on. */
export class MatchableRule {
  readonly #parts: readonly RulePart[];
  readonly #absent: readonly string[];
  readonly #convert: ReadonlyMap<string, readonly LineFunction[]>;
  readonly #templates: ReadonlyMap<string, Template>;
  readonly #found: ReadonlySet<string>;

  constructor(
    readonly name: string,
    parts: readonly RulePart[],
    absent: readonly string[],
    convert: ReadonlyMap<string, readonly LineFunction[]>,
    templates: ReadonlyMap<string, Template>,
  ) {
    this.#parts = parts;
    this.#absent = absent;
    this.#convert = convert;
    this.#templates = templates;
    this.#found = new Set(parts.flatMap(({ patterns }) => patterns.flatMap(({ fieldNames }) => fieldNames)));
    Object.freeze(this);
  }

  /** Attributes that it looks at. */
  get attributes(): readonly string[] {
    return this.#parts.map(({ attribute }) => attribute);
  }

  /** The most steps that matching a sample takes, whatever is in it. */
  get maxSteps(): number {
    const stepsOf = ({ size, form }: LinePattern): number =>
      size * ((form === 'hex' ? maxSampleOctets * 2 : maxSampleOctets) + 1);
    return this.#parts.flatMap(({ patterns }) => patterns).reduce((sum, pattern) => sum + stepsOf(pattern), 0);
  }

  /**
   * @param note where to write why it does not match
   * @returns undefined when it does not match
   */
  match(sample: LineSample, note?: RuleNote): AccessLine | undefined {
    for (const attribute of this.#absent)
      if (sample.value(attribute).hex !== undefined) return refuse(note, () => `there is a ${attribute}`);
    const fields = new Map<string, string>();
    for (const part of this.#parts) if (!this.#matchPart(part, sample, fields, note)) return undefined;
    return this.#setFields(fields, note) ? lineOf(fields, note) : undefined;
  }

  #matchPart(part: RulePart, sample: LineSample, fields: Map<string, string>, note: RuleNote | undefined): boolean {
    const { attribute, patterns } = part;
    const { hex, trouble } = sample.value(attribute);
    if (hex === undefined && part.optional) return true;
    if (hex === undefined || trouble !== undefined) {
      refuse(note, () => (hex === undefined ? `there is no ${attribute}` : `${attribute} ${String(trouble)}`));
      return false;
    }
    let furthest = -1;
    for (const pattern of patterns) {
      const value = pattern.form === 'hex' ? hex : sample.text(attribute);
      const result = pattern.match(value);
      if (!result.matched) {
        const reachOctets = result.reach / digitsOf(pattern);
        if (note === undefined || reachOctets <= furthest) continue;
        furthest = reachOctets;
        note.reason = `${attribute} ${reachText(pattern, value, result.reach)}`;
        continue;
      }
      const found = new Map<string, string>();
      let fits = true;
      for (const [name, { start, end }] of result.fields) {
        const raw = value.slice(start, end);
        const problem =
          name === lengthField
            ? lengthProblem(
                pattern,
                raw,
                (value.length - end) / digitsOf(pattern),
                hex.length / 2 - end / digitsOf(pattern),
              )
            : this.#convertInto(found, name, raw, pattern);
        if (problem === undefined) continue;
        fits = false;
        furthest = Infinity;
        if (note !== undefined) note.reason = `${attribute} matches, but ${problem}`;
        break;
      }
      if (!fits) continue;
      for (const [name, converted] of found) fields.set(name, converted);
      return true;
    }
    return false;
  }

  /** @returns what is wrong with the value */
  #convertInto(found: Map<string, string>, name: string, raw: string, pattern: LinePattern): string | undefined {
    const { form } = pattern;
    const functions =
      this.#convert.get(name) ?? defaultFunctions[form][name] ?? (form === 'hex' ? numbersInHex : asItIs);
    return convert(found, name, form === 'text' ? textOfOctets(raw) : raw, functions);
  }

  #setFields(fields: Map<string, string>, note: RuleNote | undefined): boolean {
    if (this.#templates.size === 0) return true;
    const made = new Map<string, string>();
    for (const [name, template] of this.#templates) {
      let value = '';
      for (const { text, field } of template) {
        const part = field === undefined ? '' : fields.get(field);
        if (part === undefined) {
          refuse(note, () => `set.${name} needs ${String(field)}, which was not found`);
          return false;
        }
        value += text + part;
      }
      const own = this.#found.has(name) ? undefined : this.#convert.get(name);
      const problem = convert(made, name, value, own ?? defaultFunctions.text[name] ?? asItIs);
      if (problem !== undefined) {
        refuse(note, () => `set is not possible: ${problem}`);
        return false;
      }
    }
    for (const [name, value] of made) fields.set(name, value);
    return true;
  }
}

function refuse(note: RuleNote | undefined, reason: () => string): undefined {
  if (note !== undefined) note.reason = reason();
  return undefined;
}

/** @returns what is wrong with the value */
function convert(
  into: Map<string, string>,
  name: string,
  raw: string,
  functions: readonly LineFunction[],
): string | undefined {
  let value: string | undefined = raw;
  for (const one of functions) {
    const before: string = value;
    value = lineFunctions[one].apply(before);
    if (value === undefined) return `${name} is "${before}", which is not ${lineFunctions[one].expects}`;
  }
  into.set(name, value);
  return undefined;
}

const digitsOf = ({ form }: LinePattern): number => (form === 'hex' ? 2 : 1);

/**
 * @param least octets after the field; of text, without the zeros at its end
 * @param most with them: whoever writes zeros may count them or not
 */
function lengthProblem(pattern: LinePattern, raw: string, least: number, most: number): string | undefined {
  const stated = pattern.form === 'hex' ? parseInt(raw, 16) : raw.length === 1 ? raw.charCodeAt(0) : NaN;
  return stated >= least && stated <= most
    ? undefined
    : `its length says ${String(stated)} octets, and ${String(least)} follow`;
}

function reachText(pattern: LinePattern, value: string, reach: number): string {
  if (reach === value.length) return 'fits, but ends too early';
  const digits = digitsOf(pattern);
  return `fits ${String(Math.floor(reach / digits))} of ${String(value.length / digits)} octets`;
}

/** Numbers that say "no VLAN" in a place where one is expected (IEEE 802.1Q §9.6; 4096 of access nodes, TR-101 formats of BRASes). */
const noVlan = new Set([0, 4096]);
const maxVlan = 4094;

/** Longer names are no names, characters. */
const maxFieldLength = 255;

type Draft = { -readonly [Key in keyof AccessLine]: AccessLine[Key] };

function lineOf(fields: ReadonlyMap<string, string>, note: RuleNote | undefined): AccessLine | undefined {
  const draft: Draft = {};
  for (const [name, raw] of fields) {
    const value = raw.trim();
    if (name === 'vlan' || name === 'svlan') {
      const vlan = /^[0-9]{1,5}$/u.test(value) ? Number(value) : NaN;
      if (noVlan.has(vlan)) continue;
      if (!(vlan >= 1 && vlan <= maxVlan)) return refuse(note, () => `${name} is "${value}", which is no VLAN`);
      draft[name] = vlan;
      continue;
    }
    const key = textFields[name];
    if (key === undefined) continue;
    // PostgreSQL text holds no NUL, and a control character is in no name that somebody gave.
    if (value === '' || value.length > maxFieldLength || /\p{Cc}/u.test(value))
      return refuse(note, () => `${name} is ${textTrouble(value)}`);
    if (key === 'port' || key === 'onuSerial' || key === 'login') draft[key] = value;
    else if (key === 'mac' && lineFunctions.mac.apply(value) !== value)
      return refuse(note, () => `mac is "${value}", which is not ${lineFunctions.mac.expects}`);
    else draft.device = { by: key, value };
  }
  if (Object.keys(draft).length === 0) return refuse(note, () => 'it matches, but finds nothing');
  return draft;
}

function textTrouble(value: string): string {
  if (value === '') return 'empty';
  return value.length > maxFieldLength
    ? `longer than ${String(maxFieldLength)} characters`
    : `"${value}", which has control characters`;
}

const textFields: Readonly<Record<string, LineDevice['by'] | 'port' | 'onuSerial' | 'login'>> = {
  mac: 'mac',
  device: 'name',
  serial: 'serial',
  port: 'port',
  onu: 'onuSerial',
  login: 'login',
};
