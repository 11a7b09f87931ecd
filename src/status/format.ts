/**
 * Numbers, octets, durations and instants as people read them. Enters: values and a locale. Leaves: short text. Invariant: the same value is shown
 * the same way on every page; JSON never passes through here.
 */
export interface UnitWords {
  readonly locale: string;
  /** From octets up, each 1024 of the one before. */
  readonly octetUnits: readonly string[];
  /** From bit/s up, each 1000 of the one before. */
  readonly bitRateUnits: readonly string[];
  readonly day: string;
  readonly hour: string;
  readonly minute: string;
  readonly second: string;
  readonly millisecond: string;
  readonly now: string;
  /** Puts "ago" around a duration. */
  readonly ago: (duration: string) => string;
}

/** A difference below this is "now", s: clocks and pages are not that exact. */
const NOW_SECONDS = 5;

export class Format {
  readonly #words: UnitWords;
  readonly #nowMs: number;
  readonly #number: Intl.NumberFormat;
  readonly #rate: Intl.NumberFormat;
  readonly #instant: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;

  /** @param nowMs the instant of the page, ms since 1970 */
  constructor(words: UnitWords, timeZone: string, nowMs: number) {
    this.#words = words;
    this.#nowMs = nowMs;
    this.#number = new Intl.NumberFormat(words.locale);
    this.#rate = new Intl.NumberFormat(words.locale, { maximumSignificantDigits: 3 });
    // Swedish writes instants as ISO 8601 does, which sorts and is read the same everywhere.
    this.#instant = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
    this.#day = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' });
  }

  number(value: number | bigint): string {
    return this.#number.format(value);
  }

  /** Three significant digits. */
  rate(value: number): string {
    return this.#rate.format(value);
  }

  octets(octets: number | bigint): string {
    const units = this.#words.octetUnits;
    let value = Number(octets);
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${this.#rate.format(value)} ${units[unit] ?? ''}`;
  }

  /** `50 Mbit/s`. @param bps bit/s */
  bitRate(bps: number): string {
    const units = this.#words.bitRateUnits;
    let value = bps;
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
      value /= 1000;
      unit += 1;
    }
    return `${this.#rate.format(value)} ${units[unit] ?? ''}`;
  }

  /** How long something took that is quick when all is well: `12 ms`, `1.5 s`, from a minute on as any duration. */
  elapsed(milliseconds: number): string {
    const { millisecond, second } = this.#words;
    if (milliseconds < 1) return `< 1 ${millisecond}`;
    if (milliseconds < 1000) return `${this.#rate.format(Math.round(milliseconds))} ${millisecond}`;
    return milliseconds < 60_000
      ? `${this.#rate.format(milliseconds / 1000)} ${second}`
      : this.duration(milliseconds / 1000);
  }

  /** `3 d 4 h`, `12 min`, `8 s`: the two largest units. */
  duration(seconds: number): string {
    const { day, hour, minute, second } = this.#words;
    const total = Math.max(0, Math.floor(seconds));
    const parts = [
      [Math.floor(total / 86_400), day],
      [Math.floor(total / 3600) % 24, hour],
      [Math.floor(total / 60) % 60, minute],
      [total % 60, second],
    ] as const;
    const first = parts.findIndex(([count]) => count > 0);
    if (first === -1) return `0 ${second}`;
    return parts
      .slice(first, first + 2)
      .filter(([count], index) => index === 0 || count > 0)
      .map(([count, unit]) => `${String(count)} ${unit}`)
      .join(' ');
  }

  /** `2026-11-02 03:04:05` in the configured time zone. */
  instant(at: Date): string {
    return this.#instant.format(at);
  }

  /** `03:04:05` of today, with the day before it when it is another one. */
  clock(at: Date): string {
    const instant = this.instant(at);
    const today = this.day(new Date(this.#nowMs));
    return instant.startsWith(`${today} `) ? instant.slice(today.length + 1) : instant;
  }

  /** `2026-11-02` in the configured time zone. */
  day(at: Date): string {
    return this.#day.format(at);
  }

  /** `3 min ago`; an instant to come counts as now. */
  ago(at: Date): string {
    const seconds = (this.#nowMs - at.getTime()) / 1000;
    return seconds < NOW_SECONDS ? this.#words.now : this.#words.ago(this.duration(seconds));
  }
}
