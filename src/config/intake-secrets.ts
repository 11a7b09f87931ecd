/**
 * The section `[intake]` with its secrets read.
 *
 * Enters: the validated section, and where its keys stand.
 * Leaves: its settings, folders resolved.
 * Invariant: a way in that is off is `undefined`; a secret is never in a message.
 */
import type { Endpoint } from './endpoint.js';
import type { IpNetwork } from './ip-network.js';
import { resolvePath } from './load-context.js';
import type { LoadContext, Place } from './load-context.js';
import { readSharedSecret } from './secret-files.js';
import type { SecretValue } from './secret-value.js';
import type { ServerFile } from './server-schema.js';
import type { TomlPath } from './toml-document.js';

/** Who proves himself by a secret, from listed addresses. */
export interface IntakeTeller {
  /** Two while one is being changed. */
  readonly secrets: readonly SecretValue[];
  readonly sources: readonly IpNetwork[];
}

/** What other programs tell, and who of them is believed. */
export interface IntakeSettings {
  readonly listen: Endpoint;
  readonly inboxes: readonly { readonly name: string; /** Absolute. */ readonly folder: string }[];
  readonly jsonSources: readonly (IntakeTeller & { readonly name: string })[];
  /** undefined: off */
  readonly lever: IntakeTeller | undefined;
  /** undefined: off */
  readonly alertmanager: IntakeTeller | undefined;
  readonly maxConnections: number;
  readonly maxRequestsInHand: number;
}

type References = string | readonly string[];

/**
 * Reads the secrets of all ways in.
 *
 * @param placeOf where a path below the section stands
 * @returns undefined after a problem was added
 */
export async function readIntake(
  context: LoadContext,
  file: ServerFile['intake'],
  placeOf: (path: TomlPath) => Place,
): Promise<IntakeSettings | undefined> {
  let isWhole = true;
  const secretsOf = async (references: References, path: TomlPath, owner: string): Promise<SecretValue[]> => {
    const secrets: SecretValue[] = [];
    for (const reference of typeof references === 'string' ? [references] : references) {
      const secret = await readSharedSecret(context, reference, placeOf(path), owner);
      if (secret === undefined) isWhole = false;
      else secrets.push(secret);
    }
    return secrets;
  };
  const inboxes: IntakeSettings['inboxes'][number][] = [];
  for (const [index, { name, folder }] of file.inboxes.entries()) {
    const resolved = resolvePath(context, folder, placeOf(['inboxes', index, 'folder']));
    if (resolved === undefined) isWhole = false;
    else inboxes.push({ name, folder: resolved });
  }
  const jsonSources: IntakeSettings['jsonSources'][number][] = [];
  for (const [index, { name, secret_file: references, sources }] of file.json_sources.entries()) {
    const secrets = await secretsOf(references, ['json_sources', index, 'secret_file'], name);
    jsonSources.push({ name, secrets, sources });
  }
  const teller = async (
    key: 'lever_secret_file' | 'alertmanager_token_file',
    sources: readonly IpNetwork[],
  ): Promise<IntakeTeller | undefined> => {
    const references = file[key];
    return references === undefined
      ? undefined
      : { secrets: await secretsOf(references, [key], `intake.${key}`), sources };
  };
  const lever = await teller('lever_secret_file', file.lever_sources);
  const alertmanager = await teller('alertmanager_token_file', file.alertmanager_sources);
  if (!isWhole) return undefined;
  return {
    listen: file.listen,
    inboxes,
    jsonSources,
    lever,
    alertmanager,
    maxConnections: file.max_connections,
    maxRequestsInHand: file.max_requests_in_hand,
  };
}
