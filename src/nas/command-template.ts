/**
 * Command lines with variables. Enters: a template of a profile and a dialect. Leaves: the line for one subscriber. Invariant: a value arrives as
 * that value and nothing else, or the line is not made at all.
 */

/** How a NAS reads a command line. */
export type Dialect = 'posix' | 'routeros' | 'ios';

/** A template fit for use. */
export interface CommandTemplate {
  readonly source: string;
  readonly dialect: Dialect;
}
