/**
 * What is said of commanding NASes, in English. Enters: states, commands, numbers. Leaves: words and short sentences. Invariants: a command that is not
 * confirmed is told as a wish, never as done; a word of another release is shown as it is.
 */
import type { CommandRow } from '../store/command-history.js';
import type { HeldChanges } from '../store/page-enforcement.js';
import type { Format } from './format.js';

const text = {
  onTheNetwork: 'On the network',
  noPlaces: 'No NAS has anything of this subscriber.',
  sessionPlace: (acctSessionId: string) => `session ${acctSessionId}`,
  pastSession: 'a session that is over',
  entryPlace: 'entry',
  what: 'What',
  desired: 'Desired',
  applied: 'Applied',
  tried: 'Tried, not proven',
  unknown: 'unknown',
  notLookedAt: 'not looked at yet',
  absent: 'not there',
  access: 'Access',
  served: 'served',
  blocked: 'blocked by the administration',
  redirect: 'walled garden: no money',
  ownDisabled: 'voluntary block',
  authorised: 'Let in',
  rate: 'Rate',
  rateDown: (rate: string) => `${rate} down`,
  rateUp: (rate: string) => `${rate} up`,
  unlimited: 'unlimited',
  services: 'Services',
  key: 'Known there as',
  evidence: 'Evidence',
  lastError: 'Last error',
  nextLook: 'Next look',
  tries: (count: string) => `${count} tries`,
  gone: 'The NAS said that it does not know the session.',
  disproved: (times: string, at: string) => `The NAS had confirmed what was not so, ${times} ×, last seen ${at}.`,
  parkedRate: (rate: string) => `refused: ${rate}`,
  commands: 'Commands',
  noCommands: 'None was sent.',
  answerAfter: 'After',
  how: 'How',
  sent: 'Sent',
  converging: 'Time to converge',
  convergeUnknown: 'not while it is silent',
  owner: 'Commanded by',
  nobodyCommands: 'nobody',
  ownerSilent: 'not heard lately',
  notCommanded: 'never commanded',
  observed: 'observed: nothing is sent',
  breaker: 'NAS',
  places: 'Places',
  enforcementByState: 'Places on NASes by state',
  noPlacesYet: 'There are none.',
  unsettled: 'Not as desired',
  allSettled: 'Everything is as desired.',
  compared: 'Compared',
  comparedBy: (at: string, by: string) => `${at} by ${by}`,
  comparedAtNight: (at: string) => `${at}, by itself`,
  comparedDry: 'only tried',
  listedOf: (listed: string, wanted: string) => `${listed} listed, ${wanted} wanted`,
  nothingDiffers: 'nothing differs',
  mended: (count: string) => `${count} mended`,
  beyondLimit: (count: string) => `${count} beyond the limit`,
  waiting: 'Waiting',
  inFlight: 'Under way',
};

const stateNames: Readonly<Record<string, string>> = {
  new: 'new',
  converged: 'converged',
  pending: 'pending',
  parked: 'parked',
  held: 'held',
  observed: 'observed',
};

const stateNotes: Readonly<Record<string, string>> = {
  new: 'It has not been looked at yet.',
  converged: 'The NAS does what is desired.',
  pending: 'Commands are on their way, or are tried again.',
  parked: 'The NAS refused it, or it cannot be said to it. It is not asked again until something else is desired.',
  held: 'The fuse holds this change until somebody says: sluice hold release',
  observed: 'This NAS is only observed: nothing is sent to it.',
};

const breakerNames: Readonly<Record<string, string>> = {
  closed: 'answers',
  open: 'silent',
  'half-open': 'being probed',
};

/** What a comparison of a NAS with the database finds. */
const findingNames: Readonly<Record<string, string>> = {
  missing: 'missing',
  'wrong-policy': 'wrong policy',
  moved: 'moved',
  'duplicate-address': 'duplicate address',
  'left-over': 'left over',
  unknown: 'unknown',
};

const evidenceNames: Readonly<Record<string, string>> = {
  class: 'its Accept said so',
  ack: 'the NAS acknowledged',
  output: 'output of the NAS',
  'exit-code': 'exit code of the script',
  'read-back': 'read back from the NAS',
  'session-over': 'the session ended',
  'not-applicable': 'nothing to do there',
};

const outcomeNames: Readonly<Record<string, string>> = {
  applied: 'confirmed',
  'session-gone': 'no such session',
  refused: 'refused',
  unreachable: 'no answer',
  later: 'later',
  unsayable: 'cannot be said',
  disproved: 'confirmed, yet not so',
};

/** What is done, and what is wished. */
const commandNames: Readonly<Record<string, readonly [done: string, wish: string]>> = {
  usluga_deactivated: ['service ended', 'end a service'],
  user_drop: ['blocked', 'block'],
  own_disabled: ['voluntary block set', 'set the voluntary block'],
  user_redirect: ['put into the walled garden', 'put into the walled garden'],
  user_disconnect: ['disconnected', 'disconnect'],
  user_del: ['removed', 'remove'],
  user_add: ['added', 'add'],
  user_accept: ['block lifted', 'lift the block'],
  own_disabled_cancel: ['voluntary block lifted', 'lift the voluntary block'],
  user_redirect_cancel: ['walled garden lifted', 'lift the walled garden'],
  user_rate_set: ['rate set', 'set the rate'],
  user_rate_set_cancel: ['rate cancelled', 'cancel the rate'],
  user_auth: ['let in', 'let in'],
  usluga_activated: ['service begun', 'begin a service'],
};

function command(row: Pick<CommandRow, 'command' | 'service' | 'outcome'>): string {
  const names = commandNames[row.command];
  const name = names === undefined ? row.command : row.outcome === 'applied' ? names[0] : `wanted: ${names[1]}`;
  return row.service === null ? name : `${name}: ${row.service}`;
}

/** What a NAS made of a command. @param after how long it took, as people read it */
function answer(row: Pick<CommandRow, 'nas_name' | 'outcome' | 'detail'>, after: string): string {
  const { nas_name: nas, outcome } = row;
  const detail = row.detail === null || row.detail === '' ? '' : `: ${row.detail}`;
  switch (outcome) {
    case 'applied':
      return `${nas} confirmed after ${after}`;
    case 'session-gone':
      return `${nas} does not know the session`;
    case 'refused':
      return `${nas} refused${detail}`;
    case 'unreachable':
      return `${nas} did not answer within ${after}${detail}`;
    case 'later':
      return `${nas} asks to be called again later${detail}`;
    case 'unsayable':
      return `cannot be said to ${nas}${detail}`;
    case 'disproved':
      return `${nas} had confirmed it, and it is not so${detail}`;
    default:
      return `${nas}: ${outcome}${detail}`;
  }
}

/** What the fuse holds, for everybody who looks. */
function held({ changes, held_at: at, reason }: HeldChanges, format: Format): string {
  const count = changes === 1 ? '1 change is held' : `${format.number(changes)} changes are held`;
  const why =
    reason === null ? '' : ` (${format.number(reason.tightened)} of at most ${format.number(reason.limit)} had passed)`;
  return `${count} since ${format.instant(at)}${why}. Blocks, redirects and slower rates wait for:`;
}

export const enforcementEnglish = {
  text,
  stateNames,
  stateNotes,
  breakerNames,
  findingNames,
  evidenceNames,
  outcomeNames,
  commandNames,
  command,
  answer,
  held,
};
