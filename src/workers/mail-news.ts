/**
 * News of devices by mail. Enters: settings of the mail server, news, an address. Leaves: a message that the server took, or why not. Invariants:
 * names and notes stand in the text and, encoded, in the subject, and never make a header; without the TLS that is asked for nothing is sent; an
 * exchange has an end, whatever the server does.
 */
import net from 'node:net';
import { createTransport } from 'nodemailer';
import type { SentMessageInfo, Options } from 'nodemailer/lib/smtp-transport/index.js';
import type { Config } from '../config/config.js';
import { mailText, oneLine, type DeviceNews } from '../domain/device-news.js';
import type { ClaimedContact } from '../store/device-notices.js';
import type { DeliveryAttempt } from './delivery-attempt.js';

/** The whole exchange may take so many times as long as one silence. */
const PATIENCE = 4;
/** Of what the server said, characters. */
const LONGEST_ERROR = 300;

type MailSettings = Pick<
  Config['monitoring'],
  'smtpHost' | 'smtpPort' | 'smtpTls' | 'smtpCa' | 'smtpUser' | 'smtpPassword' | 'smtpTimeoutMs' | 'mailFrom'
>;

/** What one message is made of. */
export interface MailOrder {
  readonly settings: MailSettings;
  readonly contact: Pick<ClaimedContact, 'contactId' | 'address' | 'noticeIds'>;
  readonly news: readonly DeviceNews[];
  /** An instant as the provider's clocks show it. */
  readonly time: (atMs: number) => string;
  readonly nowMs: number;
}

/** Sends one message to one address. */
export async function sendMail({ settings, contact, news, time, nowMs }: MailOrder): Promise<DeliveryAttempt> {
  const { smtpHost, mailFrom } = settings;
  if (smtpHost === undefined || mailFrom === undefined)
    return { end: 'failed', error: 'no mail server is configured (monitoring.smtp_host)' };
  const deadline = new Deadline(settings.smtpTimeoutMs * PATIENCE);
  const { subject, text } = mailText(news, time);
  try {
    const transport = createTransport(transportOptions({ ...settings, smtpHost }, deadline));
    const answer: SentMessageInfo = await transport.sendMail({
      from: { name: 'Sluice', address: mailFrom },
      to: { name: '', address: contact.address },
      envelope: { from: mailFrom, to: [contact.address] },
      subject,
      text,
      date: new Date(nowMs),
      messageId: messageId(contact, mailFrom),
      headers: { 'Auto-Submitted': 'auto-generated' },
      // Nothing that stands in a message is a reference to a file or an address.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    return answer.accepted.length > 0
      ? { end: 'sent' }
      : { end: 'refused', error: oneLine(answer.response, LONGEST_ERROR) };
  } catch (error) {
    return { end: isRefusal(error) ? 'refused' : 'failed', error: describe(error) };
  } finally {
    deadline.end();
  }
}

/** The same for every attempt to deliver the same news, so that a mail program shows a repeated one once. */
function messageId({ contactId, noticeIds }: MailOrder['contact'], mailFrom: string): string {
  const numbers = [contactId, noticeIds.at(-1) ?? 0, noticeIds.length].join('.');
  return `<sluice.${numbers}@${mailFrom.slice(mailFrom.lastIndexOf('@') + 1)}>`;
}

function transportOptions(settings: MailSettings & { readonly smtpHost: string }, deadline: Deadline): Options {
  const { smtpHost, smtpPort, smtpTls, smtpCa, smtpUser, smtpPassword, smtpTimeoutMs } = settings;
  return {
    host: smtpHost,
    port: smtpPort,
    secure: smtpTls === 'implicit',
    requireTLS: smtpTls === 'required',
    ignoreTLS: smtpTls === 'off',
    tls: {
      minVersion: 'TLSv1.2',
      ...(net.isIP(smtpHost) === 0 && { servername: smtpHost }),
      ...(smtpCa !== undefined && { ca: smtpCa }),
    },
    ...(smtpUser !== undefined &&
      smtpPassword !== undefined && { auth: { user: smtpUser, pass: smtpPassword.text() }, forceAuth: true }),
    connectionTimeout: smtpTimeoutMs,
    greetingTimeout: smtpTimeoutMs,
    socketTimeout: smtpTimeoutMs,
    getSocket: (_options, callback) => {
      deadline.connect(smtpHost, smtpPort, callback);
    },
  };
}

/** A connection that does not outlive its time: a server that says an octet now and then would never be silent. */
class Deadline {
  readonly #timer: NodeJS.Timeout;
  #socket: net.Socket | undefined;
  #isOver = false;

  constructor(ms: number) {
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#socket?.destroy(new Error(`the mail server took longer than ${String(ms)} ms`));
    }, ms);
  }

  connect(
    host: string,
    port: number,
    callback: (error: Error | null, options: { connection: net.Socket }) => void,
  ): void {
    const socket = net.connect({ host, port });
    this.#socket = socket;
    if (this.#isOver) socket.destroy();
    const failed = (error: Error): void => {
      callback(error, { connection: socket });
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      callback(null, { connection: socket });
    });
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }
}

/** A 5xx to the envelope or the message itself stays one (RFC 5321 §4.2.1). One to a password is mended in our configuration. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error) || !('responseCode' in error) || !('code' in error)) return false;
  const isAboutMessage = error.code === 'EENVELOPE' || error.code === 'EMESSAGE';
  return isAboutMessage && typeof error.responseCode === 'number' && error.responseCode >= 500;
}

function describe(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error), LONGEST_ERROR);
}
