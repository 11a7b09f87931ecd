/**
 * Numbers and times as people read them.
 *
 * Enters: octets, bit/s, seconds, instants. Leaves: short text for tables.
 * Invariant: JSON output never passes through here: it carries the exact values.
 */
import { formatInstant } from './instant.js';

const octetUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Octets with a binary unit: `1.5 GiB`. */
export function showOctets(octets: number | bigint | null | undefined): string {
  if (octets === null || octets === undefined) return '';
  let value = Number(octets);
  let unit = 0;
  while (value >= 1024 && unit < octetUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? String(value) : value.toFixed(value < 10 ? 2 : 1)} ${octetUnits[unit] ?? ''}`;
}

/** Seconds as `3d 04:05:06` or `04:05:06`. */
export function showDuration(seconds: number | bigint | null | undefined): string {
  if (seconds === null || seconds === undefined) return '';
  const total = Math.max(0, Math.floor(Number(seconds)));
  const days = Math.floor(total / 86_400);
  const clock = [Math.floor(total / 3600) % 24, Math.floor(total / 60) % 60, total % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
  return days > 0 ? `${String(days)}d ${clock}` : clock;
}

/** An instant in a time zone, to the second; empty for none. */
export function showTime(at: Date | null | undefined, timeZone: string): string {
  return at === null || at === undefined ? '' : formatInstant(at, timeZone);
}

/** `1 row`, `2 rows`. */
export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${String(number)} ${number === 1 ? singular : plural}`;
}
