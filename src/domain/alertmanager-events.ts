/**
 * The JSON that Prometheus Alertmanager posts, as events of devices. Enters: a parsed body. Leaves: an event for each alert that names a device,
 * and how many name none. Invariants: nothing of the body is believed before it is looked at; a firing alert is news of its beginning, a
 * resolved one of its end, so a notification that is repeated or late changes nothing. Pure.
 *
 * Source: the webhook of Alertmanager, version 4 of its format (alertmanager/docs/configuration, webhook_config).
 */
import { eventTimeMs, parseStatusWord, type DeviceEvent, type MonitoredStatus } from './device-status.js';

/** The label that names the device, in whatever way; without it `instance` does, without its port. */
const DEVICE_LABEL = 'device';
/** The label that says what a firing alert means: `down`, which is the default, or `unreachable`. */
const STATUS_LABEL = 'device_status';

/** Alerts of one notification: Alertmanager groups by label, and a provider has fewer devices in one group. */
const MOST_ALERTS = 10_000;
/** Notes are for people, characters. */
const LONGEST_NOTE = 500;
/** No name, address or label of a device is longer, characters. */
const LONGEST_LABEL = 200;

/** What a body comes to. */
export type AlertmanagerReading =
  | {
      readonly ok: true;
      readonly events: readonly DeviceEvent[];
      /** Alerts that name no device, or mean no status. */
      readonly skipped: number;
    }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads a notification.
 *
 * @param body the parsed JSON
 * @param receivedAtMs our clock, ms since 1970
 */
export function alertmanagerEvents(body: unknown, receivedAtMs: number): AlertmanagerReading {
  if (!isRecord(body) || body['version'] !== '4')
    return { ok: false, problem: 'this is no notification of Alertmanager in version 4 of its format' };
  const alerts = body['alerts'];
  if (!Array.isArray(alerts)) return { ok: false, problem: 'the notification has no list of alerts' };
  if (alerts.length > MOST_ALERTS)
    return { ok: false, problem: `the notification has more than ${String(MOST_ALERTS)} alerts` };
  const events = alerts.flatMap((alert: unknown) => eventOf(alert, receivedAtMs) ?? []);
  return { ok: true, events, skipped: alerts.length - events.length };
}

function eventOf(alert: unknown, receivedAtMs: number): DeviceEvent | undefined {
  if (!isRecord(alert) || !isRecord(alert['labels'])) return undefined;
  const { labels } = alert;
  const device = deviceOf(labels);
  const status = statusOf(alert['status'], labels[STATUS_LABEL]);
  if (device === undefined || status === undefined) return undefined;
  const at = instantMs(status === 'up' ? alert['endsAt'] : alert['startsAt']);
  return {
    device,
    status,
    eventAtMs: eventTimeMs(at, receivedAtMs),
    receivedAtMs,
    source: 'alertmanager',
    note: noteOf(alert['annotations']),
  };
}

function deviceOf(labels: Readonly<Record<string, unknown>>): string | undefined {
  const named = labels[DEVICE_LABEL];
  if (isLabel(named)) return named;
  const instance = labels['instance'];
  if (!isLabel(instance)) return undefined;
  // `10.0.0.5:9116`, `[2001:db8::5]:9116`, `sw1:161`; of an address of IPv6 without brackets no colon is that of a port.
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/u.exec(instance)?.[1];
  return bracketed ?? instance.replace(/^([^:]+):\d+$/u, '$1');
}

function statusOf(status: unknown, meaning: unknown): MonitoredStatus | undefined {
  if (status === 'resolved') return 'up';
  if (status !== 'firing') return undefined;
  if (meaning === undefined) return 'down';
  const word = isLabel(meaning) ? parseStatusWord(meaning) : undefined;
  return word === 'up' ? undefined : word;
}

function noteOf(annotations: unknown): string | null {
  if (!isRecord(annotations)) return null;
  const text = annotations['summary'] ?? annotations['description'];
  return typeof text === 'string' && text !== '' ? text.slice(0, LONGEST_NOTE).replaceAll('\0', ' ') : null;
}

/** RFC 3339, with as many digits after the second as Go writes. The year 1 is Go's word for never. */
function instantMs(text: unknown): number | undefined {
  if (typeof text !== 'string' || text.length > 64) return undefined;
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/u.exec(text);
  if (match === null) return undefined;
  const atMs = Date.parse(`${match[1]!}.${(match[2] ?? '').padEnd(3, '0').slice(0, 3)}${match[3]!}`);
  return atMs > 0 ? atMs : undefined;
}

function isLabel(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_LABEL && !value.includes('\0');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
