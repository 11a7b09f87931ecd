/**
 * Every key of `[monitoring]`: how the people of a device group are told. Enters: nothing. Leaves: one strict zod schema. Invariant: an empty
 * section tells nobody.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { onOff, path, wholeNumber } from './setting.js';

/** A name of DNS; an address is told by `isIP`. */
const hostNamePattern = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/u;
/** One mailbox without a display name. What an envelope cannot carry is refused here. */
// eslint-disable-next-line no-control-regex
const mailboxPattern = /^[^\s\u0000-\u001f\u007f@<>(),;:"\\]+@[^\s\u0000-\u001f\u007f@<>(),;:"\\]+$/u;
/** The form that the schema of the database asks of a name of a secret. */
const secretNamePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/u;

/** A section of `conf/sluice.toml`. */
export const monitoringSchema = z
  .strictObject({
    smtp_host: z
      .string()
      .refine((text) => hostNamePattern.test(text) || isIP(text) !== 0, {
        message: 'is not the name of a host',
        params: {
          remedy: 'write the name or address of your mail server, such as "mail.example"; the port is smtp_port',
        },
      })
      .optional()
      .describe('The mail server that takes our mail. Absent: no mail is sent, and none is kept for later.'),
    smtp_port: wholeNumber(
      { min: 1, max: 65_535, default: 25 },
      'Its port: 25 for a relay that knows this host, 587 for one that asks for a password, 465 with smtp_tls = "implicit".',
    ),
    smtp_tls: z
      .enum(['required', 'implicit', 'off'])
      .default('required')
      .describe(
        '`required`: STARTTLS, or nothing is sent. `implicit`: TLS from the first octet. `off`: for a relay on this host; with a password ' +
          'it is refused elsewhere.',
      ),
    smtp_ca_file: path()
      .optional()
      .describe('Certificates in PEM that vouch for the mail server, in place of those that come with Node.'),
    smtp_user: z
      .string()
      .min(1)
      .max(254)
      .optional()
      .describe('Who we are to the mail server. Absent: it knows us by our address.'),
    smtp_password_file: path()
      .optional()
      .describe('File whose first line is the password of smtp_user, or a systemd credential.'),
    smtp_timeout_ms: wholeNumber(
      { min: 1_000, max: 60_000, default: 15_000 },
      'How long the mail server may be silent. A message is tried again later, so patience gains little.',
    ),
    mail_from: z
      .string()
      .max(254)
      .refine((text) => mailboxPattern.test(text), {
        message: 'is not a mail address',
        params: { remedy: 'write it without a name, such as "sluice@provider.example"' },
      })
      .optional()
      .describe('Sender of our mail; replies and bounces go there. Necessary with smtp_host.'),
    webhooks: onOff(false, 'Whether contacts that are webhooks are told. Off: nothing is kept for them either.'),
    webhook_timeout_ms: wholeNumber(
      { min: 500, max: 60_000, default: 10_000 },
      'How long a webhook may take for its whole answer. A message is tried again later.',
    ),
    webhook_secrets: z
      .record(
        z.string().refine((text) => secretNamePattern.test(text), {
          message: 'is not the name of a secret',
          params: { remedy: 'use lower-case letters, digits, hyphens and underscores, at most 63' },
        }),
        path(),
      )
      .default({})
      .describe(
        'Names of secrets, which contacts refer to, and the files whose first line each is: `{ noc = "secrets/noc-webhook" }`. They sign what ' +
          'is posted.',
      ),
    gather_seconds: wholeNumber(
      { min: 0, max: 600, default: 10 },
      'News wait so long for more of it: a switch that goes takes those behind it along, and all of them are one message.',
    ),
    pause_seconds: wholeNumber(
      { min: 0, max: 86_400, default: 60 },
      'Between two messages to one contact at least. What changes meanwhile is told with the next, each device once, however often it changed.',
    ),
    give_up_hours: wholeNumber(
      { min: 1, max: 168, default: 24 },
      'News that could not be told for so long is not told any more. Until then it is tried again every few minutes.',
    ),
    keep_days: wholeNumber(
      { min: 1, max: 400, default: 30 },
      'How long it is kept what was told to whom (device_notice). What monitoring said is kept for history.retention_months.',
    ),
  })
  .prefault({})
  .describe(
    'How people are told of devices whose status changes; by whom that is said, and whom it concerns: docs/monitoring.md. Nobody is told by default.',
  );

/** The validated section, keys as written in the file. */
export type MonitoringSection = z.output<typeof monitoringSchema>;
