/**
 * News of devices to a web address. Enters: news, an address, a secret. Leaves: an answer of 2xx, or why not. Invariants: nothing of the answer
 * but its status is believed or kept; a redirect is not followed, since whoever answers would choose where our news goes; a signature covers body and time.
 */
import { createHmac } from 'node:crypto';
import type { SecretValue } from '../config/secret-value.js';
import { newsBody, oneLine, type DeviceNews } from '../domain/device-news.js';
import type { ClaimedContact } from '../store/device-notices.js';
import type { DeliveryAttempt } from './delivery-attempt.js';

/** Answers that may be others later (RFC 9110 §15.5.9, RFC 8470 §5.2, RFC 6585 §4). */
const PASSING = new Set([408, 425, 429]);
/** Of what went wrong, characters. */
const LONGEST_ERROR = 300;

/** What one post is made of. */
export interface WebhookOrder {
  readonly contact: Pick<ClaimedContact, 'contactId' | 'address' | 'group' | 'noticeIds'>;
  /** undefined: the contact names none, and nothing is signed. */
  readonly secret: SecretValue | undefined;
  readonly news: readonly DeviceNews[];
  readonly timeoutMs: number;
  readonly nowMs: number;
  /** Ends the post at once. */
  readonly signal: AbortSignal;
}

/** Posts one message. */
export async function postNews(order: WebhookOrder): Promise<DeliveryAttempt> {
  const { contact, secret, news, timeoutMs, nowMs, signal } = order;
  const address = usableAddress(contact.address);
  if (address === undefined) return { end: 'refused', error: 'the address is none that can be posted to' };
  const id = [contact.contactId, contact.noticeIds.at(-1) ?? 0, contact.noticeIds.length].join('.');
  const body = JSON.stringify(newsBody(id, contact.group, news));
  const timestamp = String(Math.floor(nowMs / 1000));
  try {
    const response = await fetch(address, {
      method: 'POST',
      redirect: 'manual',
      body,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'sluice',
        'x-sluice-timestamp': timestamp,
        ...(secret !== undefined && { 'x-sluice-signature': webhookSignature(secret, timestamp, body) }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await response.body?.cancel();
    return attemptOf(response.status);
  } catch (error) {
    return { end: 'failed', error: describe(error, timeoutMs) };
  }
}

/**
 * The signature of a post: HMAC-SHA-256 over the timestamp and the body behind it, as requests with events to us are signed.
 *
 * @param timestamp as in the header, s since 1970
 * @returns hexadecimal digits
 */
export function webhookSignature(secret: SecretValue, timestamp: string, body: string): string {
  return createHmac('sha256', secret.octets()).update(timestamp).update(body).digest('hex');
}

/** An address with a password in it would be one in the database. */
function usableAddress(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isWeb = url.protocol === 'http:' || url.protocol === 'https:';
  return isWeb && url.username === '' && url.password === '' ? url : undefined;
}

function attemptOf(status: number): DeliveryAttempt {
  if (status >= 200 && status < 300) return { end: 'sent' };
  const error = `the answer was ${String(status)}`;
  if (status >= 300 && status < 400) return { end: 'refused', error: `${error}, and redirects are not followed` };
  return { end: status >= 500 || PASSING.has(status) ? 'failed' : 'refused', error };
}

function describe(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return oneLine(String(error), LONGEST_ERROR);
  if (error.name === 'TimeoutError') return `no answer within ${String(timeoutMs)} ms`;
  // fetch says only that it failed; why, its cause says.
  const { cause } = error;
  return oneLine(cause instanceof Error && cause.message !== '' ? cause.message : error.message, LONGEST_ERROR);
}
