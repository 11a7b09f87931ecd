/**
 * The names by which the fields of a subscriber are written on a command line and in a CSV header.
 *
 * Enters: nothing. Leaves: lists of names.
 * Invariant: `set`, `import` and the documentation use these lists, so a name means the same everywhere.
 */

/** Flags with a reason column beside them. */
export const flagKeys = ['deleted', 'redirect', 'own_disabled', 'admin_blocked'] as const;
export type FlagKey = (typeof flagKeys)[number];

/** Keys of `subscriber set`. */
export const assignableKeys = [
  'login',
  'plan',
  'ip',
  'framed_prefix',
  'delegated_prefix',
  'pool',
  'mac',
  'nas',
  'device',
  'port',
  'option82_auth',
  'contract',
  'name',
  'phone',
  'address',
  ...flagKeys,
  'account_blocked',
  'associate_pppoe_mac',
  'associate_vpn_ip',
  'reason',
  'deleted_reason',
  'redirect_reason',
  'own_disabled_reason',
  'admin_blocked_reason',
  'account_blocked_reason',
] as const;
export type AssignableKey = (typeof assignableKeys)[number];

/** Columns of a CSV file for `subscriber import`. */
export const importKeys = [
  'login',
  'password',
  'plan',
  'ip',
  'framed_prefix',
  'delegated_prefix',
  'pool',
  'mac',
  'nas',
  'device',
  'port',
  'option82_auth',
  'contract',
  'name',
  'phone',
  'address',
  ...flagKeys,
  'deleted_reason',
  'redirect_reason',
  'own_disabled_reason',
  'admin_blocked_reason',
  'associate_pppoe_mac',
  'associate_vpn_ip',
] as const;
export type ImportKey = (typeof importKeys)[number];

/** Lengths of the text columns that commands write, characters; far above what anybody needs, far below what hurts. */
export const longestText: Readonly<Partial<Record<AssignableKey, number>>> = {
  contract: 200,
  name: 500,
  phone: 200,
  address: 1000,
  nas: 63,
};
