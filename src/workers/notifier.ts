/**
 * Tells people of devices that changed. Enters: notices that were stored with the changes, settings. Leaves: mail and posts. Invariants: what was
 * stored is told, or given up after hours and said so in the log; a contact gets one message at a time, with all that waits for it, each device
 * once; the database is not kept waiting while a message is on its way; several servers share the work and tell nothing twice but after a crash.
 */
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import { waysToTell } from '../config/monitoring-files.js';
import { gatherNews } from '../domain/device-news.js';
import { claimContacts, endDelivery, pruneNotices, type ClaimedContact } from '../store/device-notices.js';
import { pauseAfterMs } from './back-off.js';
import type { DeliveryAttempt } from './delivery-attempt.js';
import { Loop } from './loop.js';
import { sendMail } from './mail-news.js';
import { postNews } from './webhook-news.js';

const INTERVAL_MS = 1_000;
const PRUNE_INTERVAL_MS = 600_000;
/** Messages on their way at once. */
const CONTACTS_AT_ONCE = 8;
/** Longer than any message takes; after it another server may try, s. */
const CLAIM_SECONDS = 600;
/** Rows of one slice of deleting. */
const PRUNE_ROWS = 5_000;

export interface NotifierDeps {
  readonly pool: Pool;
  readonly log: Logger;
  /** Name of this server. */
  readonly instance: string;
  /** `[monitoring]` as it is at this moment. */
  readonly settings: () => Config['monitoring'];
  /** Of the provider. */
  readonly timeZone: () => string;
  /** Our clock, ms since 1970. */
  readonly nowMs?: () => number;
  /** From 0 up to 1. */
  readonly random?: () => number;
}

/** Messages since the start. */
export interface NotifierCounts {
  readonly sent: number;
  readonly failed: number;
  readonly refused: number;
}

export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #telling: Loop;
  readonly #pruning: Loop;
  readonly #counts = { sent: 0, failed: 0, refused: 0 };
  #stopping = new AbortController();

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
    const { log } = deps;
    this.#telling = new Loop({ name: 'notices', intervalMs: INTERVAL_MS, log, run: () => this.tell() });
    this.#pruning = new Loop({ name: 'old-notices', intervalMs: PRUNE_INTERVAL_MS, log, run: () => this.prune() });
  }

  get counts(): NotifierCounts {
    return { ...this.#counts };
  }

  start(): void {
    this.#stopping = new AbortController();
    this.#telling.start();
    this.#pruning.start();
  }

  /** Waits for messages that are on their way: posts are broken off and tried again by whoever comes next. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#telling.stop(), this.#pruning.stop()]);
  }

  /** Tells those whose turn it is. @returns true when there may be more */
  async tell(): Promise<boolean> {
    const { pool, instance } = this.#deps;
    const settings = this.#deps.settings();
    const kinds = waysToTell(settings);
    if (kinds.length === 0) return false;
    const claimed = await claimContacts(pool, {
      instance,
      kinds,
      gatherSeconds: settings.gatherSeconds,
      pauseSeconds: settings.pauseSeconds,
      claimSeconds: CLAIM_SECONDS,
      contacts: CONTACTS_AT_ONCE,
    });
    const ends = await Promise.allSettled(claimed.map((contact) => this.#deliver(contact, settings)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return claimed.length === CONTACTS_AT_ONCE;
  }

  /** Deletes what was told long ago. @returns true when there may be more */
  async prune(): Promise<boolean> {
    const { pool, settings } = this.#deps;
    return (await pruneNotices(pool, settings().keepDays, PRUNE_ROWS)) >= PRUNE_ROWS;
  }

  async #deliver(contact: ClaimedContact, settings: Config['monitoring']): Promise<void> {
    const { pool, instance, log, random = Math.random } = this.#deps;
    // What it was to be told went with it: the contact was taken away meanwhile.
    if (contact.changes.length === 0) return;
    const attempt = await this.#attempt(contact, settings);
    this.#counts[attempt.end] += 1;
    const about = { contact: contact.contactId, kind: contact.kind, group: contact.group };
    if (attempt.end === 'sent') {
      await endDelivery(pool, instance, contact, { end: 'sent' });
      log.info({ ...about, changes: contact.changes.length }, 'people were told of devices');
      return;
    }
    const { end, error } = attempt;
    const isStopping = this.#stopping.signal.aborted;
    const gaveUp = await endDelivery(
      pool,
      instance,
      contact,
      end === 'refused'
        ? { end, error }
        : {
            end,
            error,
            retryMs: isStopping ? 0 : pauseAfterMs(contact.failures + 1, 'refused', random()),
            giveUpHours: settings.giveUpHours,
          },
    );
    if (gaveUp > 0) log.error({ ...about, error, changes: gaveUp }, 'people are not told of devices: given up');
    // The first of a row; that it goes on, `sluice device contact list` tells.
    else if (!isStopping)
      log[contact.failures === 0 ? 'warn' : 'debug']({ ...about, error }, 'people could not be told of devices');
  }

  async #attempt(contact: ClaimedContact, settings: Config['monitoring']): Promise<DeliveryAttempt> {
    const { nowMs = Date.now, timeZone } = this.#deps;
    const news = gatherNews(contact.changes);
    if (contact.kind === 'mail')
      return await sendMail({ settings, contact, news, time: timeIn(timeZone()), nowMs: nowMs() });
    const { secret: name } = contact;
    const secret =
      name !== null && Object.hasOwn(settings.webhookSecrets, name) ? settings.webhookSecrets[name] : undefined;
    // Unsigned, the receiver would refuse it for ever; the secret may yet be configured.
    if (name !== null && secret === undefined)
      return { end: 'failed', error: `monitoring.webhook_secrets has no '${name}'` };
    const { signal } = this.#stopping;
    return await postNews({ contact, secret, news, timeoutMs: settings.webhookTimeoutMs, nowMs: nowMs(), signal });
  }
}

/** `2026-11-02 03:04:05` as clocks in the zone show it, with the zone. */
function timeIn(timeZone: string): (atMs: number) => string {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  return (atMs) => `${format.format(atMs)} ${timeZone}`;
}
