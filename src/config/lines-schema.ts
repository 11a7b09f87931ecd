/**
 * What `conf/lines.toml` may say: rules of access lines, and presets by name.
 *
 * Enters: nothing.
 * Leaves: a schema whose descriptions become `docs/configuration.md`.
 * Invariant: whether a pattern is one, and a rule makes sense, is not said here but where rules are compiled.
 */
import { z } from 'zod';
import { lineFunctionNames } from '../domain/line-functions.js';
import { linePresets } from '../domain/line-presets.js';
import { ingredientNames, lineAttributeNames, lineFieldNames } from '../domain/line-rule.js';
import { name } from './setting.js';

/** In place of the name of a preset: all of the default order that the file does not name elsewhere. */
export const everyPreset = 'default';

/** More rules than this are a mistake of a generator: a provider has some dozen formats. */
const maxRules = 200;

/** More patterns for one attribute are better several rules. */
const maxPatterns = 16;

const pattern = z
  .strictObject({
    hex: z
      .string()
      .optional()
      .describe('A pattern over the octets as hexadecimal digits, two for each; blanks are for people.'),
    text: z
      .string()
      .optional()
      .describe('A pattern over the octets as characters; \\xHH is an octet, zeros at the end are cut off.'),
  })
  .superRefine(({ hex, text }, context) => {
    if ((hex === undefined) !== (text === undefined)) return;
    context.addIssue({
      code: 'custom',
      message: hex === undefined ? 'has no pattern' : 'has two patterns',
      params: { remedy: 'write either hex or text; several patterns are a list of tables' },
    });
  });

const patterns = (whose: string) =>
  z
    .union([pattern, z.array(pattern).min(1).max(maxPatterns)])
    .optional()
    .describe(
      `How ${whose} looks: { hex = '…' } or { text = '…' }, or a list of them, of which the first that matches counts.`,
    );

// The list comes first, so that what is wrong inside one is told of its place.
const convert = z.union([z.array(z.enum(lineFunctionNames)).min(1).max(8), z.enum(lineFunctionNames)]).optional();

const fieldNames = [...lineFieldNames, ...ingredientNames];

/** One rule, or one preset. */
export const lineRuleSchema = z.strictObject({
  preset: z
    .enum([everyPreset, ...linePresets.map((preset) => preset.name)])
    .optional()
    .describe(
      'Rules that come with the program, in this place; "default": all of the default order that the file does not name elsewhere. Stands alone.',
    ),
  name: name()
    .optional()
    .describe('What the rule is called on pages and by `sluice line test`. Necessary without preset.'),
  circuit_id: patterns('sub-option 1 of option 82, or what a NAS passes on of it,'),
  remote_id: patterns('sub-option 2 of option 82'),
  subscriber_id: patterns('sub-option 6 of option 82'),
  nas_port_id: patterns('NAS-Port-Id of a RADIUS request'),
  optional: z
    .array(z.enum(lineAttributeNames))
    .max(lineAttributeNames.length)
    .default([])
    .describe('Attributes that may be missing; where they are there, they must match.'),
  absent: z
    .array(z.enum(lineAttributeNames))
    .max(lineAttributeNames.length)
    .default([])
    .describe('Attributes that must not be there.'),
  convert: z
    .strictObject(
      Object.fromEntries(fieldNames.map((field) => [field, convert])) as Record<
        (typeof fieldNames)[number],
        typeof convert
      >,
    )
    .default({})
    .describe(
      'Functions for what a field found, in place of those by default: one, or a list in order (docs/access-lines.md).',
    ),
  set: z
    .strictObject(
      Object.fromEntries(lineFieldNames.map((field) => [field, z.string().optional()])) as Record<
        (typeof lineFieldNames)[number],
        z.ZodOptional<z.ZodString>
      >,
    )
    .default({})
    .describe('Fields made of others, or fixed: { port = "$slot/$port" }.'),
});

/** `conf/lines.toml`. */
export const linesSchema = z.strictObject({
  rule: z.array(lineRuleSchema).max(maxRules).default([]).describe('Rules in order: the first that matches counts.'),
});

export type LineRuleFile = z.output<typeof lineRuleSchema>;
