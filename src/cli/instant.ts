/**
 * Instants as text and back, in the configured time zone.
 *
 * Enters: what people type (`2026-11-02 03:04`, `yesterday`'s date, ISO 8601 with an offset). Leaves: instants, or why not.
 * Invariant: a local time that the zone skips, or has twice, is refused rather than guessed: the answer may name a person.
 */
import { UsageError } from './command-error.js';

interface LocalTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterFor(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formatters.set(timeZone, formatter);
  }
  return formatter;
}

function partsIn(at: Date, timeZone: string): Record<string, string> {
  return Object.fromEntries(
    formatterFor(timeZone)
      .formatToParts(at)
      .map((part) => [part.type, part.value]),
  );
}

/** `2026-11-02 03:04:05`, as clocks in the zone show it. */
export function formatInstant(at: Date, timeZone: string): string {
  const part = partsIn(at, timeZone);
  return `${(part['year'] ?? '').padStart(4, '0')}-${part['month'] ?? ''}-${part['day'] ?? ''} ${part['hour'] ?? ''}:${part['minute'] ?? ''}:${part['second'] ?? ''}`;
}

/** How far the zone's clocks are ahead of UTC at an instant, milliseconds. */
function offsetMs(atMs: number, timeZone: string): number {
  const part = partsIn(new Date(atMs), timeZone);
  const shown = Date.UTC(
    Number(part['year']),
    Number(part['month']) - 1,
    Number(part['day']),
    Number(part['hour']),
    Number(part['minute']),
    Number(part['second']),
  );
  return shown - Math.floor(atMs / 1000) * 1000;
}

const pattern =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|z|[+-]\d{2}(?::?\d{2})?)?$/u;

const example = "write it like '2026-11-02 03:04' or '2026-11-02T03:04:05+03:00'";

// No zone is, or was in living memory, further from UTC than this, hours.
const farthestZoneHours = 26;

/**
 * Reads an instant.
 *
 * @param text a date, or date and time; with an offset it is that instant, else it is read in the zone; `now` is now
 * @param timeZone IANA name from the configuration
 * @param nowMs what `now` means
 * @throws UsageError for text that is no time, or a local time that does not exist or exists twice there
 */
export function parseInstant(text: string, timeZone: string, nowMs: number): Date {
  if (text === 'now') return new Date(nowMs);
  const match = pattern.exec(text.trim());
  if (match === null) throw new UsageError(`'${text}' is not a time`, example);
  const local: LocalTime = {
    year: Number(match[1]),
    month: Number(match[2]),
    day: Number(match[3]),
    hour: Number(match[4] ?? 0),
    minute: Number(match[5] ?? 0),
    second: Number(match[6] ?? 0),
    millisecond: Number((match[7] ?? '').padEnd(3, '0').slice(0, 3)),
  };
  const asUtc = utcMs(local);
  if (asUtc === undefined) throw new UsageError(`'${text}' is not a time on any calendar`, example);
  const offset = match[8];
  if (offset !== undefined) return new Date(asUtc - statedOffsetMs(offset, text));
  return inZone(asUtc, timeZone, text);
}

function utcMs(local: LocalTime): number | undefined {
  const at = new Date(0);
  at.setUTCFullYear(local.year, local.month - 1, local.day);
  at.setUTCHours(local.hour, local.minute, local.second, local.millisecond);
  const same =
    at.getUTCMonth() === local.month - 1 &&
    at.getUTCDate() === local.day &&
    at.getUTCHours() === local.hour &&
    at.getUTCMinutes() === local.minute &&
    at.getUTCSeconds() === local.second;
  return same ? at.getTime() : undefined;
}

function statedOffsetMs(offset: string, text: string): number {
  if (offset === 'Z' || offset === 'z') return 0;
  const digits = offset.slice(1).replace(':', '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2) || '0');
  if (hours >= farthestZoneHours || minutes > 59) throw new UsageError(`'${text}' has an impossible offset`, example);
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

function inZone(localMs: number, timeZone: string, text: string): Date {
  const dayMs = 86_400_000;
  const offsets = new Set([offsetMs(localMs - dayMs, timeZone), offsetMs(localMs + dayMs, timeZone)]);
  const found = [...offsets].map((offset) => localMs - offset).filter((at) => at + offsetMs(at, timeZone) === localMs);
  if (found.length === 1 && found[0] !== undefined) return new Date(found[0]);
  const [first, second] = found.sort((a, b) => a - b).map((at) => new Date(at).toISOString());
  if (first === undefined) {
    throw new UsageError(`'${text}' does not exist in ${timeZone}: the clocks were put forward over it`, example);
  }
  throw new UsageError(
    `'${text}' happened twice in ${timeZone}, when the clocks were put back`,
    `say which: ${first} or ${second ?? ''}`,
  );
}
