/**
 * What is said of leases, access lines and devices, in English. Enters: states, reasons, numbers. Leaves: words and short sentences. Invariants: every reason of
 * the closed sets has its words; a word of another release is shown as it is.
 */
import type { LeaseEndCause, LeaseRefusal } from '../domain/lease.js';
import type { StandingDevice, StandingEnd, StandingRefusal } from '../domain/standing.js';
import type { Format } from './format.js';

const text = {
  leases: 'Leases',
  devices: 'Devices',
  device: 'Device',
  kind: 'Kind',
  group: 'Group',
  serial: 'Serial',
  place: 'Place',
  description: 'Description',
  status: 'Status',
  plugged: 'Plugged in',
  offlineThere: 'Offline',
  leasesOf: 'DHCP leases',
  noLeases: 'No lease is bound.',
  noLeasesFound: 'No bound lease was found.',
  neverLeased: 'No DHCP server has told of a lease yet.',
  noNas: 'no NAS',
  leasedSince: 'Since',
  leasedUntil: 'Until',
  overdue: 'overdue',
  overdueNote: 'Overdue: it should be over, and nobody said that it is. A DHCP server that is silent ends nobody.',
  unlimited: 'no end was told',
  refused: 'Lease events that were not followed',
  allRefused: 'All of them',
  noRefused: 'None.',
  notTaken: 'Events that were not taken, since the start of this server',
  notTakenNote: 'The log says from where.',
  by: 'By',
  why: 'Why',
  times: 'Times',
  refusedWhat: 'Event',
  since: (at: string) => `since ${at}`,
  refusedNamed: 'Named',
  anyReason: 'any reason',
  source: 'From',
  circuitId: 'circuit',
  remoteId: 'remote',
  option82SubscriberId: 'subscriber',
  filter: 'Show',
  leaseHint: 'IP or MAC address, login, device, or device and port',
  deviceHint: 'name, MAC, address or serial',
  noDevices: 'No device is registered.',
  noDevicesFound: 'No device was found.',
  notWorking: 'Down or unreachable',
  allDevices: 'All devices',
  nothingDown: 'Monitoring says of none that it is down.',
  next: 'Next',
  pluggedSubscribers: 'Subscribers that are plugged in',
  onlyOffline: 'only those that are offline',
  everybody: 'all of them',
  nobodyPlugged: 'Nobody is plugged into it.',
  nobodyOffline: 'None of them is offline.',
  events: 'What monitoring said',
  noEvents: 'Nothing yet.',
  effect: 'Effect',
  told: 'Told',
  note: 'Note',
  removed: 'removed',
  replacedBy: 'Replaced by',
  accessLine: 'Access line',
  knownBy: 'Known by',
  neighbours: 'Neighbours at the device',
  macSeen: 'MAC seen',
  macDiffers: 'another one',
  refusedAround: 'Lease events of its MAC or port that were not followed',
  foundDevices: 'Devices',
  summary: 'Leases and devices',
  leasesBound: 'Leases bound',
  leasesOverdue: 'of these overdue',
  refusedLastHour: 'Events not followed, last hour',
  devicesDown: 'Devices down or unreachable',
};

const refusals: Readonly<Record<LeaseRefusal, string>> = {
  'line-unknown': 'no rule of lines.toml knows this option 82',
  'line-lies': 'a length in option 82 says more than there is, so nothing of it is believed',
  'no-device': 'no such device is registered',
  'no-port': 'the device has ports, and the event names none',
  'no-subscriber': 'nobody is plugged in there, and nobody is known by this MAC address',
  several: 'several subscribers match, and nothing says which one is meant',
  'mac-differs': 'the MAC address is not the one that the subscriber is bound to',
  'no-line': 'the event came without option 82, and the subscriber is known by its port',
  'static-address': 'the subscriber has a static address, and this is another one',
  'outside-pools': 'the address is in none of our pools',
  'address-in-session': "somebody else's session has the address",
  declined: 'the client found the address in use',
};

const leaseEnds: Readonly<Record<LeaseEndCause, string>> = {
  release: 'released by the client',
  expiry: 'expired',
  decline: 'declined by the client',
  moved: 'the client has another one',
  replaced: 'the line has a newer one',
  taken: 'somebody else has the address',
};

const sessionEnds: Readonly<Record<NonNullable<StandingEnd['lease']>, string>> = {
  released: 'the DHCP lease was released',
  expired: 'the DHCP lease expired',
  replaced: 'the DHCP lease was ended by another one',
};

const eventKinds: Readonly<Record<string, string>> = {
  commit: 'lease',
  request: 'request',
  expiry: 'expiry',
  release: 'release',
  decline: 'decline',
};

const statusNames: Readonly<Record<string, string>> = {
  up: 'up',
  down: 'down',
  unreachable: 'unreachable',
  unknown: 'not monitored',
};

const effects: Readonly<Record<string, string>> = { changed: 'changed', unchanged: 'no news', late: 'too late' };

const option82Ways: Readonly<Record<string, string>> = {
  port: 'its port',
  'port-mac': 'its port and its MAC address',
  mac: 'its MAC address',
};

function refusal(code: string): string {
  return Object.hasOwn(refusals, code) ? refusals[code as LeaseRefusal] : code;
}

function leaseEnd(code: string): string {
  return Object.hasOwn(leaseEnds, code) ? leaseEnds[code as LeaseEndCause] : code;
}

function offlineOf(offline: string, all: string): string {
  return `${offline} of ${all} offline`;
}

/** Why somebody is offline: the device. */
function deviceDown({ name, status, since }: StandingDevice, format: Format): string {
  const what = status === 'down' ? 'has been down' : 'has been unreachable for monitoring';
  return `Offline: ${name}, which it is plugged into, ${what} since ${format.instant(since)}.`;
}

/** Why somebody is offline: the last lease was refused. */
function leaseRefused({ at, address, reason }: StandingRefusal, format: Format): string {
  return `Offline: the last DHCP lease, ${address} ${format.ago(at)}, was not followed: ${refusal(reason)}.`;
}

export const linesEnglish = {
  text,
  refusals,
  leaseEnds,
  sessionEnds,
  eventKinds,
  statusNames,
  effects,
  option82Ways,
  refusal,
  leaseEnd,
  offlineOf,
  deviceDown,
  leaseRefused,
};
