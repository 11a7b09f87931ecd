/**
 * The tables of a backup.
 *
 * Enters: nothing. Leaves: names, in the order in which they are filled. Invariants: a table stands behind those that it
 * refers to; every table of the schema is here, copied or not with the reason (a test compares with a fresh schema).
 */

/** One table. */
export interface BackupTable {
  readonly name: string;
  /** Why its rows are not copied; absent for tables that are. */
  readonly leftOut?: string;
  /** Whether a fresh schema has rows in it already. */
  readonly bornWithRows?: true;
}

/** Every table but the migrations' own, which say what level a database has. */
export const backupTables: readonly BackupTable[] = [
  { name: 'pool' },
  { name: 'pool_network' },
  { name: 'plan' },
  { name: 'account' },
  { name: 'device_kind', bornWithRows: true },
  { name: 'device_group' },
  { name: 'device_contact' },
  { name: 'device' },
  { name: 'subscriber' },
  { name: 'subscriber_event' },
  { name: 'session_key' },
  { name: 'session' },
  { name: 'session_history' },
  { name: 'nas_restart' },
  { name: 'nas' },
  { name: 'pool_address' },
  { name: 'assignment' },
  { name: 'assignment_holder' },
  { name: 'period' },
  { name: 'plan_rate' },
  { name: 'service' },
  { name: 'subscriber_service' },
  { name: 'enforcement' },
  { name: 'nas_command' },
  { name: 'nas_entry' },
  { name: 'reconcile_run' },
  { name: 'nas_owner', leftOut: 'a server takes over its NASes at its start' },
  { name: 'fuse', leftOut: 'nothing is held, and counting begins anew', bornWithRows: true },
  { name: 'tightening', leftOut: 'counting begins anew' },
  // Its rows carry transaction ids of the cluster that they were written in. In another cluster, whose ids start anew, they
  // would stand in the future, and be news at every poll until the ids get there.
  { name: 'change_feed', leftOut: 'every server reads everything at its start' },
  { name: 'instance' },
  { name: 'spool_position' },
  { name: 'set_aside' },
  { name: 'access_attempt' },
  { name: 'device_event' },
  { name: 'lease' },
  { name: 'lease_refusal' },
  { name: 'device_notice', leftOut: 'people were told meanwhile, and would be told again what is long over' },
];

/** Those that are copied. */
export const copiedTables: readonly string[] = backupTables
  .filter(({ leftOut }) => leftOut === undefined)
  .map(({ name }) => name);

/** Tables with a partition for each month, and the rest in a DEFAULT one: `session_history_202611`. */
const monthlyTables = ['session_history', 'assignment', 'subscriber_event', 'nas_command', 'device_event'] as const;

/** A partition of one month. */
export interface MonthlyPartition {
  readonly parent: string;
  readonly name: string;
  /** The first instant, and the first one after, ISO 8601 in UTC. */
  readonly from: string;
  readonly to: string;
}

/** What a name says of a partition; undefined for a name that `sluice_make_partitions` does not give. */
export function monthlyPartition(name: string): MonthlyPartition | undefined {
  const match = /^([a-z_]+)_(\d{4})(\d{2})$/u.exec(name);
  const parent = monthlyTables.find((table) => table === match?.[1]);
  const year = Number(match?.[2]);
  const month = Number(match?.[3]);
  if (parent === undefined || !(month >= 1 && month <= 12)) return undefined;
  const first = (index: number): string => new Date(Date.UTC(year, index)).toISOString();
  return { parent, name, from: first(month - 1), to: first(month) };
}
