/**
 * The columns that an import may write, and what an empty cell means for each.
 *
 * Enters: nothing. Leaves: the list, from which statements are made.
 * Invariant: only names written here ever become part of a statement.
 */

/** A column that an import may write. */
export interface ImportColumn {
  readonly name: string;
  readonly table: 'subscriber' | 'account';
  /** Array type of the parameter. */
  readonly type: 'text' | 'bigint' | 'boolean' | 'macaddr' | 'inet' | 'cidr';
  /** What null does: `clears` the column, or `leaves` it as it is (for a new row: the column's default). */
  readonly null: 'clears' | 'leaves';
}

const subscriber = (name: string, type: ImportColumn['type'], nullMeans: ImportColumn['null']): ImportColumn => ({
  name,
  table: 'subscriber',
  type,
  null: nullMeans,
});
const account = (name: string, type: ImportColumn['type'], nullMeans: ImportColumn['null']): ImportColumn => ({
  name,
  table: 'account',
  type,
  null: nullMeans,
});

/** All columns, by name of the schema. `login` and `contract` find the rows and are no values. */
export const importColumns = [
  subscriber('password', 'text', 'leaves'),
  subscriber('mac', 'macaddr', 'clears'),
  subscriber('static_address', 'inet', 'clears'),
  subscriber('static_framed_prefix', 'cidr', 'clears'),
  subscriber('static_delegated_prefix', 'cidr', 'clears'),
  subscriber('pool_id', 'bigint', 'clears'),
  subscriber('nas_name', 'text', 'clears'),
  subscriber('device_id', 'bigint', 'clears'),
  subscriber('port', 'text', 'clears'),
  subscriber('option82_auth', 'text', 'clears'),
  subscriber('associate_pppoe_mac', 'boolean', 'leaves'),
  subscriber('associate_vpn_ip', 'boolean', 'leaves'),
  subscriber('deleted', 'boolean', 'leaves'),
  subscriber('deleted_reason', 'text', 'clears'),
  subscriber('redirect', 'boolean', 'leaves'),
  subscriber('redirect_reason', 'text', 'clears'),
  subscriber('own_disabled', 'boolean', 'leaves'),
  subscriber('own_disabled_reason', 'text', 'clears'),
  subscriber('admin_blocked', 'boolean', 'leaves'),
  subscriber('admin_blocked_reason', 'text', 'clears'),
  account('name', 'text', 'clears'),
  account('phone', 'text', 'clears'),
  account('address', 'text', 'clears'),
  account('plan_id', 'bigint', 'leaves'),
] as const satisfies readonly ImportColumn[];

/** A value of one cell, ready for the database. */
export type ImportValue = string | number | boolean | null;

/** One line of an import, validated. */
export interface ImportRow {
  /** Line in the file, for messages. */
  readonly line: number;
  readonly login: string;
  /** Account to belong to; undefined: the one it has, for a new subscriber that of the login. */
  readonly contract: string | undefined;
  /** Exactly the columns of the file, by name of the schema. */
  readonly values: ReadonlyMap<string, ImportValue>;
}
