/**
 * The flags of a subscriber and who set them.
 *
 * Enters: the row and its events. Leaves: each flag with its value, since when, by whom, why.
 * Invariant: what the events do not tell is left open, never guessed.
 */
import type { SubscriberEventRow, SubscriberRow } from './subscriber-queries.js';

/** The flags of a subscriber and of its account. */
type FlagColumns = Pick<
  SubscriberRow,
  | 'deleted'
  | 'deleted_reason'
  | 'admin_blocked'
  | 'admin_blocked_reason'
  | 'account_admin_blocked'
  | 'account_admin_blocked_reason'
  | 'own_disabled'
  | 'own_disabled_reason'
  | 'redirect'
  | 'redirect_reason'
>;

/** A flag as it is now. */
export interface ExplainedFlag {
  readonly flag: string;
  readonly value: boolean;
  readonly reason: string | null;
  /** When and by whom it was last changed; null when it never was, or longer ago than events are kept. */
  readonly changed_at: Date | null;
  readonly changed_by: string | null;
}

/**
 * All flags, those of the account as `account.…`.
 *
 * @param actual the row in the database when `row` is an assumption: nobody has set what is only assumed
 */
export function flagsOf(
  row: FlagColumns,
  events: readonly SubscriberEventRow[],
  actual: FlagColumns = row,
): ExplainedFlag[] {
  const flags = [
    ['deleted', 'deleted', row.deleted_reason],
    ['admin_blocked', 'admin_blocked', row.admin_blocked_reason],
    ['account.admin_blocked', 'account_admin_blocked', row.account_admin_blocked_reason],
    ['own_disabled', 'own_disabled', row.own_disabled_reason],
    ['redirect', 'redirect', row.redirect_reason],
  ] as const;
  return flags.map(([flag, column, reason]) => {
    const value = row[column];
    const last = value === actual[column] ? events.find((event) => event.field === flag) : undefined;
    return { flag, value, reason, changed_at: last?.at ?? null, changed_by: last?.changed_by ?? null };
  });
}
