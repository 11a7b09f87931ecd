/**
 * `monitor-event`: what monitoring systems call.
 *
 * Enters: a device, a status word, perhaps when. Leaves: status, history, notices for people, and a sentence. Invariant: a word or device that is not
 * known changes nothing and is an error; news that is none, or comes late, is none.
 */
import { pino } from 'pino';
import { waysToTell } from '../config/monitoring-files.js';
import { labelOf } from '../domain/device-news.js';
import { parseStatusWord, STATUS_WORDS } from '../domain/device-status.js';
import { DeviceEventHandler } from '../handlers/device-event.js';
import type { DeviceEventOutcome } from '../store/device-events.js';
import { parseText } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { noDevice } from './device-pick.js';
import { count } from './display.js';
import { parseInstant } from './instant.js';
import { printable } from './printable.js';

/** The options of `monitor-event`, as typed. */
export interface MonitorEventOptions {
  readonly at?: string;
  readonly note?: string;
}

/** A clock of another host may be ahead by so much, ms; more is a mistake. */
const mostAheadMs = 300_000;
const longestNote = 500;

/** Stores one event. */
export async function monitorEvent(
  context: CommandContext,
  device: string,
  word: string,
  options: MonitorEventOptions,
): Promise<void> {
  const status = parseStatusWord(word);
  if (status === undefined) throw new UsageError(`'${word}' is no status`, `write one of ${STATUS_WORDS.join(', ')}`);
  const receivedAtMs = context.io.nowMs();
  const eventAtMs = options.at === undefined ? receivedAtMs : await instantMs(context, options.at, receivedAtMs);
  const note =
    options.note === undefined || options.note === '' ? null : parseText('--note', options.note, longestNote);
  const { monitoring } = await context.settings();
  const ways = waysToTell({ smtpHost: monitoring.smtp_host, webhooks: monitoring.webhooks });
  const pool = await context.pool();
  const handler = new DeviceEventHandler({ pool, log: pino({ level: 'silent' }), ways: () => ways });
  const outcome = await handler.handle({ device, status, eventAtMs, receivedAtMs, source: context.actor, note });
  if (outcome.outcome === 'unknown-device') throw await noDevice(pool, device);
  if (outcome.outcome === 'several-devices')
    throw new CommandError(
      `several devices are called '${device}'`,
      `say which: ${outcome.ids.map((id) => `id:${String(id)}`).join(', ')}`,
    );
  if (context.json) await context.printJson(json(outcome));
  else await context.print(printable(sentence(outcome)));
}

/** An instant as people write it, or `@` and seconds since 1970, as programs do. */
async function instantMs(context: CommandContext, text: string, nowMs: number): Promise<number> {
  const seconds = /^@(\d{1,12})(?:\.\d+)?$/u.exec(text)?.[1];
  const atMs =
    seconds === undefined ? parseInstant(text, await context.timeZone(), nowMs).getTime() : Number(seconds) * 1000;
  if (atMs > nowMs + mostAheadMs)
    throw new UsageError(`--at is '${text}', which is in the future`, 'say when it was seen');
  return atMs;
}

type Understood = Exclude<DeviceEventOutcome, { outcome: 'unknown-device' | 'several-devices' }>;

function sentence(outcome: Understood): string {
  const who = labelOf({ deviceId: outcome.device.id, ...outcome.device });
  const status = outcome.status.toUpperCase();
  switch (outcome.outcome) {
    case 'unchanged':
      return `${who} is ${status} as before`;
    case 'late':
      return `${who} stays ${status}: something newer is known`;
    case 'changed': {
      const untold = { 'not-noticeable': 'it is not noticeable', 'no-contact': 'its group has nobody to tell' };
      const told =
        outcome.untold === null
          ? `telling ${count(outcome.told, 'contact')}`
          : `nobody is told: ${untold[outcome.untold]}`;
      return `${who} is ${status}, it was ${outcome.oldStatus.toUpperCase()}; ${told}`;
    }
  }
}

function json(outcome: Understood): unknown {
  return {
    outcome: outcome.outcome,
    device: outcome.device,
    status: outcome.status,
    ...(outcome.outcome === 'changed' && { old_status: outcome.oldStatus, told: outcome.told, untold: outcome.untold }),
  };
}
