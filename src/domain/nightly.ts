/**
 * Jobs that run once a night. Enters: a time of day in a time zone, now, and when the job last ran. Leaves: whether it is due. Invariants: it runs once for
 * each local day at most; a server that was down at the time makes up for it the same day; a database that never had a run waits for
 * the night instead of beginning at whatever hour it was made. Pure.
 */

/** A time of day. */
export interface NightlyTime {
  /** Since midnight, minutes. */
  readonly minute: number;
  /** IANA name. */
  readonly timeZone: string;
}

/** How long after its time the very first run may begin, minutes. */
const FIRST_RUN_MINUTES = 60;

/**
 * Whether a nightly job is due.
 *
 * @param nowMs ms since 1970
 * @param lastRunMs undefined: it never ran
 */
export function isNightlyDue({ minute, timeZone }: NightlyTime, nowMs: number, lastRunMs: number | undefined): boolean {
  const now = localTime(nowMs, timeZone);
  if (now.minute < minute) return false;
  if (lastRunMs === undefined) return now.minute < minute + FIRST_RUN_MINUTES;
  const last = localTime(lastRunMs, timeZone);
  return last.day < now.day || (last.day === now.day && last.minute < minute);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function localTime(atMs: number, timeZone: string): { readonly day: string; readonly minute: number } {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-CA', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    });
    formats.set(timeZone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
  return {
    day: `${parts['year'] ?? ''}-${parts['month'] ?? ''}-${parts['day'] ?? ''}`,
    minute: Number(parts['hour']) * 60 + Number(parts['minute']),
  };
}
