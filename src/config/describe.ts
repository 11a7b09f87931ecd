/**
 * `docs/configuration.md`, made from the schemas, so that it cannot be out of date.
 *
 * Enters: the schemas.
 * Leaves: the text of the document.
 * Invariant: every key of `sluice.toml` and of `nas.d` files is there with default, bounds and reason.
 */
import { nasSchema } from './nas-schema.js';
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

/** The document, ending in a line break. */
export function describeConfiguration(): string {
  const sections = Object.entries(shapeOf(serverSchema).properties ?? {}).map(
    ([name, shape]) => `### [${name}]\n\n${shape.description ?? ''}\n\n${table(shape, false)}`,
  );
  return [introduction, `## conf/sluice.toml\n`, ...sections, nasIntroduction, table(shapeOf(nasSchema), true)].join(
    '\n',
  );
}

function table(shape: SettingShape, hasRequired: boolean): string {
  const rows = Object.entries(shape.properties ?? {}).map(([key, setting]) => {
    const required = hasRequired && (shape.required ?? []).includes(key);
    return `| \`${key}\` | ${required ? '(required)' : defaultText(setting)} | ${rangeText(setting)} | ${cell(setting.description ?? '')} |`;
  });
  return ['| key | default | values | why |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function defaultText(shape: SettingShape): string {
  return shape.default === undefined ? '(none)' : `\`${tomlValue(shape.default)}\``;
}

function tomlValue(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(tomlValue).join(', ')}]` : JSON.stringify(value);
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
      return `list of ${shape.minItems ?? 0} … ${shape.maxItems}`;
    default:
      return 'text';
  }
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
