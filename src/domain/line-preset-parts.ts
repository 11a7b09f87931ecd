/**
 * What presets of access-line rules are made of. Enters: nothing. Leaves: short ways to write a rule, and patterns that several formats share.
 * Invariant: every pattern keeps the fields that its comment names, and no other.
 */
import type { LineAttribute, LinePatternText, LineRule } from './line-rule.js';

/** Rules under one name. */
export interface LinePreset {
  readonly name: string;
  /** Whose format it is, in one line. */
  readonly about: string;
  /** Whether it is tried where nobody says otherwise. Not so: it would take formats of others for its own. */
  readonly byDefault: boolean;
  readonly rules: readonly LineRule[];
}

export const hex = (pattern: string): LinePatternText => ({ form: 'hex', pattern });
export const text = (pattern: string): LinePatternText => ({ form: 'text', pattern });

type Patterns = LinePatternText | readonly LinePatternText[];
type More = Partial<Pick<LineRule, 'optional' | 'absent' | 'convert' | 'set'>>;

export function rule(
  name: string,
  match: Readonly<Partial<Record<LineAttribute, Patterns>>>,
  more: More = {},
): LineRule {
  const lists = Object.entries(match).map(([attribute, patterns]) => [
    attribute,
    Array.isArray(patterns) ? patterns : [patterns],
  ]);
  return {
    name,
    match: Object.fromEntries(lists) as LineRule['match'],
    optional: [],
    absent: [],
    convert: {},
    set: {},
    ...more,
  };
}

/** Printable characters, those of other alphabets in UTF-8. */
export const name = '(?:[ -~]|[\\xc2-\\xdf][\\x80-\\xbf]|[\\xe0-\\xef][\\x80-\\xbf]{2}|[\\xf0-\\xf4][\\x80-\\xbf]{3})+';
export const mac = [
  '(?:[0-9A-Fa-f]{1,2}[:-]){5}[0-9A-Fa-f]{1,2}',
  '(?:[0-9A-Fa-f]{4}[.-]){2}[0-9A-Fa-f]{4}',
  '[0-9A-Fa-f]{12}',
].join('|');
export const serial = '[A-Za-z]{4}-?[0-9A-Fa-f]{8}|[0-9A-Fa-f]{16}';
export const vlan = '(?<vlan>\\d{1,4})';
export const vlans = `(?:(?<svlan>\\d{1,4})\\.)?${vlan}`;

/**
 * Ways in which a device names itself in its remote-id: type 0 with its MAC address; type 1 with a name; type 1 with a MAC address (older D-Link);
 * a MAC address as text; a name alone; a MAC address alone, when its octets are no text.
 */
export const remoteDevice: readonly LinePatternText[] = [
  hex('0006 (?<mac>.{12})'),
  text(`\\x01(?<length>.)(?<device>${name})`),
  hex('0106 (?<mac>.{12})'),
  text(`(?<mac>${mac})`),
  text(`(?<device>${name})`),
  hex('(?<mac>.{12})'),
];
