/**
 * The files that `[monitoring]` names. Enters: the validated section. Leaves: secrets, certificates, what is wrong with them. Invariants: a password
 * goes nowhere without TLS but on this host; a secret is in memory as a `SecretValue` and nowhere else.
 */
import { camelKeys } from './config.js';
import type { Config } from './config.js';
import type { LoadContext, Place } from './load-context.js';
import type { MonitoringSection } from './monitoring-schema.js';
import { judge, readSecretText } from './secret-files.js';
import type { SecretValue } from './secret-value.js';

type Monitoring = Config['monitoring'];

/**
 * Reads the files of the section.
 *
 * @returns `undefined` after a problem was added
 */
export async function readMonitoring(
  context: LoadContext,
  section: MonitoringSection,
  placeOf: (key: string) => Place,
): Promise<Monitoring | undefined> {
  const before = context.problems.length;
  const { smtp_password_file: passwordFile, smtp_ca_file: caFile, webhook_secrets: secretFiles, ...settings } = section;
  check(context, section, placeOf);
  const read = async (file: string | undefined, key: string, extent: 'first-line' | 'whole') =>
    file === undefined ? undefined : await readSecretText(context, file, placeOf(key), extent);
  const smtpPassword = await read(passwordFile, 'smtp_password_file', 'first-line');
  const ca = await read(caFile, 'smtp_ca_file', 'whole');
  const webhookSecrets: [string, SecretValue][] = [];
  for (const [name, file] of Object.entries(secretFiles)) {
    const secret = await read(file, 'webhook_secrets', 'first-line');
    if (secret !== undefined && judge(context, secret, placeOf('webhook_secrets'))) webhookSecrets.push([name, secret]);
  }
  if (context.problems.length > before) return undefined;
  return {
    ...camelKeys(settings),
    smtpPassword,
    smtpCa: ca?.text(),
    webhookSecrets: Object.fromEntries(webhookSecrets),
  };
}

function check(context: LoadContext, section: MonitoringSection, placeOf: (key: string) => Place): void {
  const wrong = (key: string, problem: string, remedy: string): void =>
    void context.problems.push({ ...placeOf(key), problem, remedy });
  const { smtp_host: host, smtp_user: user, smtp_password_file: passwordFile } = section;
  if (host !== undefined && section.mail_from === undefined)
    wrong('smtp_host', 'has no mail_from beside it', 'write mail_from = "sluice@provider.example"');
  if ((user === undefined) !== (passwordFile === undefined)) {
    const [there, missing] =
      user === undefined ? ['smtp_password_file', 'smtp_user'] : ['smtp_user', 'smtp_password_file'];
    wrong(there!, `has no ${missing!} beside it`, 'write both or neither');
  }
  if (host !== undefined && user !== undefined && section.smtp_tls === 'off' && !isThisHost(host))
    wrong(
      'smtp_tls',
      'would send the password in the clear',
      'write "required" or "implicit"; "off" is for a relay on this host',
    );
}

function isThisHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/u.test(host);
}

/** How people can be told with these settings. */
export function waysToTell(settings: {
  readonly smtpHost?: string | undefined;
  readonly webhooks: boolean;
}): readonly ('mail' | 'webhook')[] {
  return [
    ...(settings.smtpHost === undefined ? [] : (['mail'] as const)),
    ...(settings.webhooks ? (['webhook'] as const) : []),
  ];
}
