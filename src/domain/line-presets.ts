/**
 * What known devices write about a line, as rules. Enters: nothing. Leaves: presets by name, and the rules that count where nobody says otherwise.
 * Invariant: every preset compiles, and the rules of the default order together stay below `maxLineSteps`. Each format with a sample:
 * docs/access-lines.md.
 */
import { nasPortPresets } from './line-presets-nas-port.js';
import { nodePresets } from './line-presets-nodes.js';
import { switchPresets } from './line-presets-switches.js';
import type { LinePreset } from './line-preset-parts.js';
import type { LineRule } from './line-rule.js';

/** Every preset; of two that are tried by default, the one that is tried first comes first. */
export const linePresets: readonly LinePreset[] = [...switchPresets, ...nodePresets, ...nasPortPresets];

/** Rules that count where nobody says otherwise, in their order. */
export const defaultLineRules: readonly LineRule[] = linePresets
  .filter(({ byDefault }) => byDefault)
  .flatMap(({ rules }) => rules);
