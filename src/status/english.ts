/**
 * The pages in English. Enters: nothing. Leaves: every text that a page shows of its own. Invariant: the words are those of the design; a text in
 * another language has the same shape, so none can be missing.
 */
import { describeReason, DISCARD_REASONS, REJECT_REASONS } from '../domain/access-reason.js';
import type { DiscardReason, RejectReason } from '../domain/access-reason.js';
import type { Exception, Standing } from '../domain/standing.js';
import { enforcementEnglish } from './english-enforcement.js';
import { linesEnglish } from './english-lines.js';
import type { Format, UnitWords } from './format.js';

const units: UnitWords = {
  locale: 'en-GB',
  octetUnits: ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'],
  bitRateUnits: ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'],
  day: 'd',
  hour: 'h',
  minute: 'min',
  second: 's',
  millisecond: 'ms',
  now: 'just now',
  ago: (duration) => `${duration} ago`,
};

const text = {
  title: 'Sluice',
  overview: 'Overview',
  subscribers: 'Subscribers',
  sessions: 'Sessions',
  leases: linesEnglish.text.leases,
  devices: linesEnglish.text.devices,
  nases: 'NASes',
  pools: 'Pools',
  setAside: 'Set aside',
  search: 'Search',
  searchHint: 'login, contract, name, phone, street, IP or MAC, switch and port',
  results: 'Found',
  nothingFound: 'Nobody was found.',
  searchHelp:
    'Beginnings of words are enough. A telephone number is found by its last digits, a line by switch and port: sw1 5.',
  more: 'There are more; narrow the search down.',
  moreRows: 'There are more.',
  older: 'Older',
  attempts: 'Last attempts',
  attemptsOfNobody: 'Requests with such a login or MAC address',
  noAttempts: 'None is remembered.',
  login: 'Login',
  contract: 'Contract',
  name: 'Name',
  phone: 'Phone',
  street: 'Address',
  plan: 'Plan',
  state: 'State',
  online: 'online',
  offline: 'offline',
  deleted: 'deleted',
  nas: 'NAS',
  box: 'Box',
  ip: 'IP address',
  mac: 'MAC',
  since: 'Since',
  ended: 'Ended',
  until: 'Until',
  duration: 'Time',
  input: 'Upload',
  output: 'Download',
  cause: 'End',
  remark: 'Remark',
  when: 'When',
  answer: 'Answer',
  why: 'Why',
  port: 'Port',
  times: (count: string) => `${count} times`,
  flags: 'Flags',
  noFlags: 'None was ever set.',
  flag: 'Flag',
  value: 'Value',
  changedBy: 'Changed by',
  changes: 'Changes',
  change: 'Change',
  reason: 'Reason',
  noChanges: 'Nothing was changed.',
  liveSessions: 'Live sessions',
  noSessions: 'No live session.',
  endedLastDay: 'Ended in the last day',
  noEnded: 'None ended.',
  addresses: 'Addresses',
  onDay: 'On the day',
  show: 'Show',
  lastDays: 'of the last 30 days',
  noAddresses: 'None at that time.',
  stillInUse: 'in use',
  periods: 'Periods',
  noPeriods: 'None.',
  open: 'open',
  staticAddress: 'Static address',
  staticPrefixes: 'Static IPv6 prefixes',
  pool: 'Pool',
  boundTo: 'Bound to',
  ownBlock: 'Voluntary block',
  ownBlockEnds: (at: string) => `ends by itself at ${at}`,
  ownBlockFrom: (at: string) => `the next one from ${at} on`,
  created: 'Since',
  inBilling: 'in the billing',
  yes: 'yes',
  no: 'no',
  none: 'none',
  nobody: 'nobody',
  suspect: 'silent for too long',
  startLost: 'the Start was lost',
  ready: 'Ready',
  notReady: 'Not ready',
  problems: 'Problems',
  accepted: 'Accepted',
  rejected: 'Rejected',
  perSecond: (rate: string) => `${rate}/s`,
  lastHour: 'last hour',
  fromStart: 'since the start',
  acceptsChart: 'Access-Accepts per second',
  rejectsChart: 'Access-Rejects per second',
  accountingChart: 'Accounting-Responses per second',
  sessionsChart: 'Live sessions',
  lagChart: 'Spool lag, records',
  chartRange: (low: string, high: string) => `between ${low} and ${high}`,
  chartEmpty: 'The chart begins in a few seconds.',
  rejectsByReason: 'Rejects by reason',
  count: 'Count',
  noRejects: 'None since the start.',
  accounting: 'Accounting',
  accountingStatus: 'Packet',
  subscribersInMemory: 'Subscribers in memory',
  spoolLag: 'Spool lag',
  records: (count: string) => `${count} records`,
  drops: 'Dropped without an answer',
  noDrops: 'None since the start.',
  poolFree: 'Free',
  poolReserved: 'Reserved',
  poolOffered: 'Offered',
  poolAssigned: 'In use',
  poolQuarantined: 'Resting',
  networks: 'Networks',
  routingDomain: 'Routing domain',
  profile: 'Profile',
  lastPacket: 'Last packet',
  lastAccounting: 'Last accounting',
  interim: 'Interim',
  never: 'never',
  noNas: 'No NAS was ever heard.',
  noPools: 'There are no pools.',
  nothingSetAside: 'Nothing waits for a person.',
  detail: 'Detail',
  octets: 'Octets',
  instance: 'Server',
  unresolved: (count: string) => `${count} records set aside`,
  databaseAway:
    'The database is away. Answers go on from memory, and facts wait in the spool; this page needs the database.',
  notFound: 'There is no such page.',
  noSubscriber: 'There is no such subscriber.',
  failed: 'The page could not be made. The log of the server says why.',
  readOnly: 'Read-only. Times are those of',
};

const flagNames: Readonly<Record<string, string>> = {
  deleted: 'deleted',
  admin_blocked: 'blocked by the administration',
  'account.admin_blocked': 'contract blocked by the administration',
  own_disabled: 'voluntary block',
  redirect: 'walled garden: no money',
  'account.plan_id': 'plan of the contract',
};

const stateNames: Readonly<Record<string, string>> = {
  active: 'in service',
  redirect: 'walled garden: no money',
  own_disabled: 'voluntary block',
  admin_blocked: 'blocked by the administration',
  unknown: 'unknown subscriber',
};

const endCauses: Readonly<Record<string, string>> = {
  stop: 'ended by the NAS',
  silence: 'the NAS fell silent about it',
  'nas-restart': 'the NAS was restarted',
  superseded: 'another session has its key',
  'taken-over': 'the same device came back',
  gone: 'the NAS said that it did not know it',
};

const outcomes: Readonly<Record<string, string>> = { accept: 'accepted', reject: 'rejected', discard: 'not answered' };

const known = new Set<string>([...REJECT_REASONS, ...DISCARD_REASONS]);

function reason(code: string): string {
  return known.has(code) ? describeReason(code as RejectReason | DiscardReason) : code;
}

/** The state that an Accept was made in; a word of another release is shown as it is. */
function state(code: string): string {
  return stateNames[code] ?? code;
}

function exception(next: Exception): string {
  return 'refused' in next ? reason(next.refused) : state(next.restricted);
}

/** Why somebody is online or not, in one sentence. @param because what the flag behind it says, if anything */
function sentence(standing: Standing, format: Format, because: string | undefined): string {
  const note = because === undefined ? '' : ` (${because})`;
  switch (standing.kind) {
    case 'online': {
      const { session, sessions, next } = standing;
      const where = `Online since ${format.instant(session.startedAt)} on ${session.nasName}`;
      const address = session.address === null ? '' : ` with ${session.address}`;
      const more = sessions > 1 ? `, ${String(sessions)} sessions` : '';
      const silent = session.suspect ? ', though the NAS has been silent about it for too long' : '';
      const later = next === undefined ? '' : `. The next login meets: ${exception(next)}${note}`;
      return `${where}${address}${more}${silent}${later}.`;
    }
    case 'deleted':
      return `Offline: the subscriber is deleted${note}.`;
    case 'refused': {
      const { reason: code, lastAttempt } = standing;
      const asked =
        lastAttempt === undefined ? '' : ` Last asked ${format.ago(lastAttempt.at)} on ${lastAttempt.nasName}.`;
      return `Offline: ${reason(code)}${note}.${asked}`;
    }
    case 'device-down':
      return linesEnglish.deviceDown(standing.device, format);
    case 'lease-refused':
      return linesEnglish.leaseRefused(standing.refusal, format);
    case 'failed-attempt': {
      const { attempt } = standing;
      const how = outcomes[attempt.outcome] ?? attempt.outcome;
      return `Offline: the last request, ${format.ago(attempt.at)} on ${attempt.nasName}, was ${how}: ${reason(attempt.reason)}.`;
    }
    case 'restricted':
      return `Offline. A login is let in, but only as: ${state(standing.state)}${note}.`;
    case 'accepted-without-session':
      return `Offline: accepted ${format.ago(standing.attempt.at)} on ${standing.attempt.nasName}, but the NAS has reported no session.`;
    case 'ended': {
      const { endedAt, cause, nasName, lease } = standing.end;
      const why = lease === undefined ? `${endCauses[cause] ?? cause} on ${nasName}` : linesEnglish.sessionEnds[lease];
      return `Offline since ${format.instant(endedAt)}: ${why}. Nothing stands in the way; the device does not ask.`;
    }
    case 'never-seen':
      return 'Offline: nothing stands in the way, but no request of this subscriber has ever come.';
    case 'not-known-yet':
      return 'Offline. The server is still loading the subscribers and cannot say more.';
  }
}

export const english = {
  code: 'en',
  units,
  text,
  flagNames,
  stateNames,
  endCauses,
  outcomes,
  reason,
  state,
  sentence,
  enforcement: enforcementEnglish,
  lines: linesEnglish,
};

/** One language of the pages. */
export type Language = typeof english;
