/**
 * `docs/configuration.md`, made from the schemas, so that it cannot be out of date.
 *
 * Enters: the schemas.
 * Leaves: the text of the document.
 * Invariant: every key of `sluice.toml`, `nas.d`, `profiles` files and `lines.toml` is there with default, bounds and reason.
 */
import type { ProfileCommandName } from './config.js';
import { lineFunctionNames } from '../domain/line-functions.js';
import { ingredientNames, lineFieldNames } from '../domain/line-rule.js';
import { lineRuleSchema } from './lines-schema.js';
import { nasSchema } from './nas-schema.js';
import { profileSchema } from './profile-schema.js';
import { shapeOf } from './schema-problems.js';
import type { SettingShape } from './schema-problems.js';
import { serverSchema } from './server-schema.js';

const introduction = `# Configuration

<!-- Made from the schemas in src/config by describe.ts; a test compares the two. Change the schema, not this file. -->

A conf folder holds:

| file | what it says |
|---|---|
| \`sluice.toml\` | the server itself; every key has a default, and so has the file |
| \`nas.d/*.toml\` | one file per NAS or per group of them; without any there is one NAS, \`localhost\`, on 127.0.0.1 and ::1 |
| \`profiles/*.toml\` | how one kind of NAS wants things said; in place of the bundled one with the same name (docs/profiles.md) |
| \`lines.toml\` | how option 82 and what NASes say of a line is read; without it, the formats of many devices are known (docs/access-lines.md) |

All files are TOML 1.0 in UTF-8. Durations are whole numbers, with the unit at the end of the key. A key that is not known is
an error. \`sluice check-config\` reads everything and names file, line, key and remedy of all that is wrong; a running server
that is told to reload a wrong configuration keeps the one it has, and a start with a wrong one uses the last good one, kept in
\`last-good\` below the data folder, and says so.

Paths are relative to the conf folder, absolute, or begin with \`\${data}/\` (the data folder) or
\`\${CREDENTIALS_DIRECTORY}/\` (systemd credentials, \`LoadCredential=\`). A file below \`\${data}/\` that holds a secret and does
not exist is made at the first start, with mode 0600.
`;

const nasIntroduction = `## conf/nas.d/*.toml

The keys stand at the top of the file; a file for several NASes has one \`[[nas]]\` table for each.

The secret is found by the source address alone, before anything in the packet is believed. So NASes behind one address need
the same secret and the same rules for signatures; \`nas_identifier\` or \`nas_ip_address\` then tells them apart: an entry is
taken when all that it names is equal, an entry that names its NAS-Identifier before one that names its NAS-IP-Address, and
that before one that names neither. Of two networks that overlap, the longer prefix counts.
`;

const profileIntroduction = `## conf/profiles/*.toml

What the bundled profiles say, and the variables of templates: docs/profiles.md.
`;

const linesIntroduction = `## conf/lines.toml

One \`[[rule]]\` table for each rule, in the order in which they are tried; the first that matches wholly counts. How patterns are written, what
each function does, the presets, and how to try a rule: docs/access-lines.md.

Fields of patterns and of \`convert\`: ${backquoted([...lineFieldNames, ...ingredientNames])}. Of these, a line has
${backquoted(lineFieldNames)}, which \`set\` may make; the others are for \`set\` to use. Functions of \`convert\`:
${backquoted(lineFunctionNames)}.
`;

const commandIntroduction = `### [command.NAME]

What is done to the NAS when the state of a subscriber changes. Several commands of one change are carried out in the order of this
table. Which of them a profile must have, and when \`not_applicable\` is refused because somebody would stay as he was:
docs/profiles.md.
`;

const commandMeanings: Readonly<Record<ProfileCommandName, string>> = {
  usluga_deactivated: 'a service ends; once for each',
  user_drop: 'blocked by the administration, or a plan that does not serve',
  own_disabled: 'voluntarily blocked',
  user_redirect: 'into the walled garden: no money, or a limit reached',
  user_disconnect: 'the session is to end; at a provisioned place, the authorisation',
  user_del: 'nothing of the subscriber is to be left: deleted, moved, or under other key data',
  user_add: 'an entry for the subscriber; never at a session, which the NAS makes itself',
  user_accept: 'no longer blocked',
  own_disabled_cancel: 'no longer voluntarily blocked',
  user_redirect_cancel: 'out of the walled garden',
  user_rate_set: 'another rate: plan, turbo, hour of day',
  user_rate_set_cancel: 'no rate any more',
  user_auth: 'authorised by RADIUS or a portal; at a provisioned place',
  usluga_activated: 'a service begins; once for each',
  account_add: 'the first subscriber of an account',
  account_enable: 'an account is served',
  account_disable: 'an account is not served',
  account_del: 'the last subscriber of an account is gone',
  user_info: 'reads what the NAS has of a subscriber; changes nothing',
  user_test: 'asks the NAS for a sign of the subscriber; changes nothing',
  users_from_nas: 'lists what the NAS has; changes nothing',
};

/** The document, ending in a line break. */
export function describeConfiguration(): string {
  const server = Object.entries(shapeOf(serverSchema).properties ?? {}).flatMap(([name, shape]) => [
    section(`[${name}]`, shape),
    ...listsOfTables(name, shape),
  ]);
  const nas = shapeOf(nasSchema);
  const profile = shapeOf(profileSchema);
  const tables = Object.entries(profile.properties ?? {}).filter(([, shape]) => isSection(shape));
  return [
    introduction,
    `## conf/sluice.toml\n`,
    ...server,
    nasIntroduction,
    table(nas),
    ...Object.entries(nas.properties ?? {})
      .filter(([, shape]) => isSection(shape))
      .map(([name, shape]) => section(`[${name}] of a NAS`, shape)),
    profileIntroduction,
    table(profile),
    ...tables.flatMap(([name, shape]) => sectionsOf(name, shape)),
    linesIntroduction,
    `### [[rule]]\n\n${table(shapeOf(lineRuleSchema), 'with tables')}`,
  ].join('\n');
}

function sectionsOf(name: string, shape: SettingShape): string[] {
  if (name === 'state') return states(shape);
  return name === 'command' ? commands(shape) : [section(`[${name}]`, shape)];
}

function section(heading: string, shape: SettingShape): string {
  return `### ${heading}\n\n${shape.description ?? ''}\n\n${table(shape)}`;
}

/** A key whose value is a list of tables: what each of them holds. */
function listsOfTables(name: string, shape: SettingShape): string[] {
  return Object.entries(shape.properties ?? {}).flatMap(([key, { items }]) =>
    items?.properties === undefined ? [] : [`### Each [[${name}.${key}]]\n\n${table(items)}`],
  );
}

/** All states have the same keys, which are told once. */
function states(shape: SettingShape): string[] {
  const entries = Object.entries(shape.properties ?? {});
  const [, one] = entries[0] ?? [];
  const attribute = one?.properties?.['attributes']?.items;
  return [
    `### [state.NAME]\n\n${shape.description ?? ''}\n`,
    [
      '| state | whose |',
      '|---|---|',
      ...entries.map(([name, { description }]) => `| \`${name}\` | ${description} |`),
      '',
    ].join('\n'),
    'A state that is left out rejects. In each:\n',
    one === undefined ? '' : table(one),
    '### Each of attributes and prefix_attributes, and nas_pool\n',
    attribute === undefined ? '' : table(attribute),
  ];
}

/** All commands have the same keys, and all steps of one kind. */
function commands(shape: SettingShape): string[] {
  const [, one] = Object.entries(shape.properties ?? {})[0] ?? [];
  const kinds = one?.properties?.['steps']?.items;
  return [
    commandIntroduction,
    [
      '| command | when |',
      '|---|---|',
      ...Object.entries(commandMeanings).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
      '',
    ].join('\n'),
    'In each:\n',
    one === undefined ? '' : table(one),
    `### Each of steps and fallback\n\n${kinds?.description ?? ''}\n`,
    [
      '| send | other keys |',
      '|---|---|',
      ...(kinds?.anyOf ?? kinds?.oneOf ?? []).map(
        ({ properties = {} }) => `| \`${String(properties['send']?.const)}\` | ${otherKeys(properties)} |`,
      ),
      '',
    ].join('\n'),
  ];
}

function otherKeys(properties: Readonly<Record<string, SettingShape>>): string {
  const keys = Object.entries(properties).filter(([key]) => key !== 'send');
  if (keys.length === 0) return 'none';
  return keys
    .map(([key, setting]) => {
      const byDefault = setting.default === undefined ? '' : `, default ${defaultText(setting)}`;
      return `\`${key}\` (${rangeText(setting)}${byDefault})`;
    })
    .join('; ');
}

function backquoted(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(' ');
}

/** @param tables whether keys that are tables have a row here, because they have no section of their own */
function table(shape: SettingShape, tables: 'with tables' | 'without tables' = 'without tables'): string {
  const rows = Object.entries(shape.properties ?? {})
    .filter(([, setting]) => tables === 'with tables' || !isSection(setting))
    .map(([key, setting]) => {
      const required = (shape.required ?? []).includes(key);
      return `| \`${key}\` | ${required ? '(required)' : defaultText(setting)} | ${rangeText(setting)} | ${cell(setting.description ?? '')} |`;
    });
  return ['| key | default | values | why |', '|---|---|---|---|', ...rows, ''].join('\n');
}

/** A table of keys that has a section of its own in the document. */
function isSection(shape: SettingShape): boolean {
  return shape.properties !== undefined && !('name' in shape.properties);
}

function defaultText(shape: SettingShape): string {
  return shape.default === undefined ? '(none)' : `\`${tomlValue(shape.default)}\``;
}

function tomlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, inner]) => `${key} = ${tomlValue(inner)}`);
  if (pairs.length === 0) return '{}';
  return `{ ${pairs.join(', ')} }`;
}

function rangeText(shape: SettingShape): string {
  if (shape.anyOf !== undefined) return shape.anyOf.map(rangeText).join(', or ');
  if (shape.enum !== undefined) return shape.enum.map((value) => `\`${tomlValue(value)}\``).join(', ');
  switch (shape.type) {
    case 'integer':
      return `${shape.minimum} … ${shape.maximum}`;
    case 'boolean':
      return '`true`, `false`';
    case 'array':
      return `list of ${shape.minItems ?? 0} … ${shape.maxItems}${shape.items?.enum === undefined ? '' : ` of ${rangeText(shape.items)}`}`;
    case 'object':
      return 'table';
    default:
      return 'text';
  }
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
