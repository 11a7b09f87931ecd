/**
 * `explain --if`: what somebody would be answered if his rows said something else.
 *
 * Enters: `own_disabled=true,plan=fast`, the rows as they are. Leaves: rows and a directory that say so.
 * Invariant: nothing is written; only the rows in the memory of this command change, and the server's own functions judge them.
 */
import { Subscriber } from '../domain/subscriber.js';
import type { Directory } from '../store/directory.js';
import type { PlanRow } from '../store/catalogue.js';
import type { SubscriberRow } from '../store/subscriber-queries.js';
import { parseAssignments, parseFlag } from './assignments.js';
import { CommandError } from './command-error.js';
import { unknownName } from './unknown-name.js';

/** What can be assumed: the keys of `subscriber set` that decide an answer by themselves. */
export const assumableKeys = [
  'deleted',
  'redirect',
  'own_disabled',
  'admin_blocked',
  'account_blocked',
  'associate_pppoe_mac',
  'associate_vpn_ip',
  'plan',
] as const;

type AssumableKey = (typeof assumableKeys)[number];

/** Assumptions by key; `plan` is a name, or null for none, everything else a flag. */
export type Assumptions = Readonly<Partial<Record<Exclude<AssumableKey, 'plan'>, boolean>>> & {
  readonly plan?: string | null;
};

/**
 * Reads the values of `--if`, each of which may hold several assumptions with commas between.
 *
 * @throws UsageError for an unknown key, a key given twice, or a flag that is neither true nor false
 */
export function parseAssumptions(texts: readonly string[]): Assumptions {
  const given = parseAssignments(
    texts.flatMap((text) => splitAtKeys(text)),
    assumableKeys,
  );
  return Object.fromEntries(
    [...given].map(([key, value]) =>
      key === 'plan' ? [key, value === '' ? null : value] : [key, parseFlag(key, value)],
    ),
  );
}

// The name of a plan may hold a comma; what follows a comma is an assumption of its own when it reads like one.
function splitAtKeys(text: string): string[] {
  return text.split(/,(?=[a-z_]+=)/u);
}

/** `own_disabled=true, plan=fast`, in the order in which they were given; empty for none. */
export function describeAssumptions(assumptions: Assumptions): string {
  return Object.entries(assumptions)
    .map(([key, value]) => `${key}=${value === null ? '' : String(value)}`)
    .join(', ');
}

/**
 * The row as it would be. A flag that is assumed to be set has no reason of its own, one that is assumed to be cleared none
 * either.
 *
 * @param plans all plans
 * @throws CommandError when the plan does not exist
 */
export function assumeRow(row: SubscriberRow, assumptions: Assumptions, plans: readonly PlanRow[]): SubscriberRow {
  const assumed: SubscriberRow = { ...row };
  for (const key of ['deleted', 'redirect', 'own_disabled', 'admin_blocked'] as const) {
    const value = assumptions[key];
    if (value === undefined || value === row[key]) continue;
    assumed[key] = value;
    assumed[`${key}_reason`] = null;
  }
  assumed.associate_pppoe_mac = assumptions.associate_pppoe_mac ?? row.associate_pppoe_mac;
  assumed.associate_vpn_ip = assumptions.associate_vpn_ip ?? row.associate_vpn_ip;
  const { account_blocked: blocked, plan: planName } = assumptions;
  if (blocked !== undefined && blocked !== row.account_admin_blocked) {
    assumed.account_admin_blocked = blocked;
    assumed.account_admin_blocked_reason = null;
  }
  if (planName === undefined) return assumed;
  const plan = plans.find((one) => one.name === planName);
  if (planName !== null && plan === undefined)
    throw unknownName(
      'plan',
      planName,
      plans.map((one) => one.name),
    );
  return {
    ...assumed,
    plan: plan?.name ?? null,
    plan_id: plan?.id ?? null,
    plan_active: plan?.active ?? null,
    plan_valid_from: plan?.valid_from ?? null,
    plan_valid_until: plan?.valid_until ?? null,
  };
}

/**
 * Makes the directory say what the row says.
 *
 * @param row as `assumeRow` left it
 * @throws CommandError for a deleted subscriber whose names were released: he is no longer in any directory
 */
export function assumeInDirectory(directory: Directory, row: SubscriberRow): void {
  const held = directory.subscriber(row.id);
  const account = directory.account(row.account_id);
  if (held === undefined || account === undefined)
    throw new CommandError(
      `'${row.login}' is deleted and gone from the servers' memory, so nothing can be assumed`,
      'bring the subscriber back with: sluice subscriber restore',
    );
  directory.putSubscriber(
    new Subscriber({
      id: held.id,
      accountId: held.accountId,
      login: held.login,
      password: held.password,
      mac: held.mac,
      staticAddress: held.staticAddress,
      poolId: held.poolId,
      nasName: held.nasName,
      associatePppoeMac: row.associate_pppoe_mac,
      associateVpnIp: row.associate_vpn_ip,
      deleted: row.deleted,
      redirect: row.redirect,
      ownDisabled: row.own_disabled,
      adminBlocked: row.admin_blocked,
      option82Auth: held.option82Auth,
      hasDevice: held.hasDevice,
    }),
  );
  directory.putAccount({ ...account, planId: row.plan_id ?? undefined, adminBlocked: row.account_admin_blocked });
}
