/**
 * Voluntary blocks within their limits. Enters: when the last one began and ended, how long one may last and how soon another may follow. Leaves: when it
 * ends by itself, and from when on there may be another. Invariant: days are 24 hours, so that no change of clocks and no time zone makes one longer. Pure.
 */

/** Of an account, or of its plan where the account has none of its own. 0 and null: no limit. */
export interface OwnBlockLimits {
  /** Days. */
  readonly maxDays: number | null;
  /** Days between the end of one and the beginning of the next. */
  readonly pauseDays: number | null;
}

/** What is known of a subscriber's voluntary blocks; instants in ms since 1970. */
export interface OwnBlock {
  readonly isOn: boolean;
  /** When the last one began. */
  readonly sinceMs: number | null;
  /** When the last one that is over ended. */
  readonly endedAtMs: number | null;
}

const DAY_MS = 86_400_000;

/** What counts for a subscriber. */
export function ownBlockLimits(account: OwnBlockLimits, plan: OwnBlockLimits): OwnBlockLimits {
  return { maxDays: account.maxDays ?? plan.maxDays, pauseDays: account.pauseDays ?? plan.pauseDays };
}

/** When a block that is on ends by itself, ms since 1970; null: never, or there is none. */
export function ownBlockEndsAtMs({ isOn, sinceMs }: OwnBlock, { maxDays }: OwnBlockLimits): number | null {
  if (!isOn || sinceMs === null || maxDays === null || maxDays === 0) return null;
  return sinceMs + maxDays * DAY_MS;
}

/** Whether a block has lasted as long as it may. */
export function isOwnBlockOver(block: OwnBlock, limits: OwnBlockLimits, nowMs: number): boolean {
  const endsAtMs = ownBlockEndsAtMs(block, limits);
  return endsAtMs !== null && nowMs >= endsAtMs;
}

/** From when on there may be another one, ms since 1970; null: at any time, or one is on. */
export function ownBlockAllowedFromMs({ isOn, endedAtMs }: OwnBlock, { pauseDays }: OwnBlockLimits): number | null {
  if (isOn || endedAtMs === null || pauseDays === null || pauseDays === 0) return null;
  return endedAtMs + pauseDays * DAY_MS;
}
