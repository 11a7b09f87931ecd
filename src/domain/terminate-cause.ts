// Enters: the number in Acct-Terminate-Cause. Leaves: its name as RFC 2866 §5.10 spells it. Invariant: a number without a name stays
// a number.

const NAMES: readonly string[] = [
  '',
  'User Request',
  'Lost Carrier',
  'Lost Service',
  'Idle Timeout',
  'Session Timeout',
  'Admin Reset',
  'Admin Reboot',
  'Port Error',
  'NAS Error',
  'NAS Request',
  'NAS Reboot',
  'Port Unneeded',
  'Port Preempted',
  'Port Suspended',
  'Service Unavailable',
  'Callback',
  'User Error',
  'Host Request',
];

/** The name of an Acct-Terminate-Cause (RFC 2866 §5.10), or its number. */
export function terminateCauseName(cause: number): string {
  return NAMES[cause] || String(cause);
}
