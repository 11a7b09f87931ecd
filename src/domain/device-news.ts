/**
 * What a contact is told, as text and as JSON. Enters: changes of status that wait to be told, in their order. Leaves: a subject, a text, a body.
 * Invariants: a device is in a message once, with its newest status, however often it changed; names and notes are data: in a text they are one
 * line without anything that a terminal or a mail program obeys. Pure.
 */
import type { DeviceStatus, MonitoredStatus } from './device-status.js';

/** A subject is one line of a list, characters. */
const LONGEST_SUBJECT = 120;
/** Of a name, place or note in a text, characters. */
const LONGEST_LINE = 300;

/** One change that waits to be told. */
export interface WaitingChange {
  readonly deviceId: number;
  readonly name: string | null;
  readonly mac: string | null;
  readonly serial: string | null;
  readonly address: string | null;
  readonly place: string | null;
  readonly status: MonitoredStatus;
  readonly oldStatus: DeviceStatus;
  /** Event time, ms since 1970. */
  readonly atMs: number;
  readonly note: string | null;
}

/** What there is to tell of one device. */
export interface DeviceNews extends WaitingChange {
  /** How often it changed since it was told last. `oldStatus` is that before the first of them, the rest that of the newest. */
  readonly changes: number;
  /** Event time of the first of them. */
  readonly firstAtMs: number;
}

/** What people look for first. */
const RANKS: Readonly<Record<MonitoredStatus, number>> = { down: 0, unreachable: 1, up: 2 };

/** Puts changes of one device together: of several the one with the latest event time is the newest. What is down comes first. */
export function gatherNews(changes: readonly WaitingChange[]): DeviceNews[] {
  const byDevice = new Map<number, DeviceNews>();
  for (const change of changes) {
    const before = byDevice.get(change.deviceId);
    if (before === undefined) {
      byDevice.set(change.deviceId, { ...change, changes: 1, firstAtMs: change.atMs });
      continue;
    }
    const newest = change.atMs >= before.atMs ? change : before;
    byDevice.set(change.deviceId, {
      ...newest,
      oldStatus: before.oldStatus,
      changes: before.changes + 1,
      firstAtMs: Math.min(before.firstAtMs, change.atMs),
    });
  }
  return [...byDevice.values()].sort((one, other) => RANKS[one.status] - RANKS[other.status]);
}

/** A mail without its addresses. */
export interface MailText {
  readonly subject: string;
  readonly text: string;
}

/**
 * Writes news for a person.
 *
 * @param news at least one
 * @param time an instant as the provider's clocks show it
 */
export function mailText(news: readonly DeviceNews[], time: (atMs: number) => string): MailText {
  const parts = news.map((one) => paragraph(one, time));
  return { subject: oneLine(subjectOf(news), LONGEST_SUBJECT), text: `${parts.join('\n\n')}\n` };
}

function subjectOf(news: readonly DeviceNews[]): string {
  const [first] = news;
  if (first !== undefined && news.length === 1) return `${first.status.toUpperCase()}: ${labelOf(first)}`;
  const counts = (['down', 'unreachable', 'up'] as const)
    .map((status) => [news.filter((one) => one.status === status).length, status.toUpperCase()] as const)
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${String(count)} ${word}`);
  return `${String(news.length)} devices: ${counts.join(', ')}`;
}

function paragraph(news: DeviceNews, time: (atMs: number) => string): string {
  const { status, oldStatus, changes } = news;
  const before = status === oldStatus ? 'as before' : `it was ${oldStatus.toUpperCase()}`;
  const lines = [`${labelOf(news)} is ${status.toUpperCase()} since ${time(news.atMs)}, ${before}`];
  if (changes > 1) lines.push(`  it changed ${String(changes)} times since ${time(news.firstAtMs)}`);
  if (news.place !== null) lines.push(`  place: ${oneLine(news.place, LONGEST_LINE)}`);
  if (news.note !== null) lines.push(`  note: ${oneLine(news.note, LONGEST_LINE)}`);
  return lines.join('\n');
}

/** A device by its best name, and by where it is managed. */
export function labelOf(device: Pick<WaitingChange, 'deviceId' | 'name' | 'mac' | 'serial' | 'address'>): string {
  const best = device.name ?? device.mac ?? device.serial ?? device.address ?? `device ${String(device.deviceId)}`;
  const address = device.address === null || device.address === best ? '' : ` (${device.address})`;
  return `${oneLine(best, LONGEST_LINE)}${address}`;
}

// Control and format characters (direction marks, zero widths), line and paragraph separators, lone surrogates.
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu;

/** Text as one line of printable characters, cut where it is too long. */
export function oneLine(text: string, longest: number): string {
  const line = text.replace(unprintable, ' ').trim();
  return line.length <= longest ? line : `${line.slice(0, longest - 1).replace(/\p{Cs}$/u, '')}…`;
}

/** What a webhook is given. Names and notes are there as they are stored: JSON quotes them. */
export interface NewsBody {
  readonly version: 1;
  /** The same for every attempt to deliver the same news. */
  readonly id: string;
  readonly group: string;
  readonly devices: readonly {
    readonly id: number;
    readonly name: string | null;
    readonly mac: string | null;
    readonly serial: string | null;
    readonly address: string | null;
    readonly place: string | null;
    readonly status: MonitoredStatus;
    readonly old_status: DeviceStatus;
    /** ISO 8601 in UTC. */
    readonly since: string;
    readonly changes: number;
    readonly note: string | null;
  }[];
}

/** Writes news for a program. */
export function newsBody(id: string, group: string, news: readonly DeviceNews[]): NewsBody {
  return {
    version: 1,
    id,
    group,
    devices: news.map((one) => ({
      id: one.deviceId,
      name: one.name,
      mac: one.mac,
      serial: one.serial,
      address: one.address,
      place: one.place,
      status: one.status,
      old_status: one.oldStatus,
      since: new Date(one.atMs).toISOString(),
      changes: one.changes,
      note: one.note,
    })),
  };
}
