/**
 * Where a subscriber is plugged in and what DHCP told of it: the part of `explain` about access lines.
 *
 * Enters: what is known of the line. Leaves: fields for people, and the same for JSON. Invariant: the words are those of the page.
 */
import { linesEnglish } from '../status/english-lines.js';
import type { LeaseRow } from '../store/lease-queries.js';
import type { SubscriberLine } from '../store/page-devices.js';
import type { LineKnowledge } from '../store/subscriber-line.js';
import { showTime } from './display.js';
import { refusalJson, withoutPosition } from './lease-list.js';
import { refusedLine } from './lease-show.js';

/** What is told of the line; null and empty for whom it has no meaning. */
export interface LineExplanation {
  readonly line: SubscriberLine | null;
  readonly mac_seen: string | null;
  readonly leases: readonly ReturnType<typeof withoutPosition<LeaseRow>>[];
  readonly refused: readonly ReturnType<typeof refusalJson>[];
}

/** What `explain --json` tells. */
export function explainLine({ line, mac_seen, leases, refusals }: LineKnowledge): LineExplanation {
  return { line: line ?? null, mac_seen, leases: leases.map(withoutPosition), refused: refusals.map(refusalJson) };
}

/** Fields for people; none where nothing is known. */
export function lineFields(
  { line, mac_seen: seen, leases, refused }: LineExplanation,
  boundMac: string | null,
  zone: string,
): [string, string | null][] {
  const [last] = refused;
  return [
    ['access line', line === null ? null : lineText(line, zone)],
    [
      'mac seen',
      seen === null || seen === boundMac ? null : `${seen}${boundMac === null ? '' : `, bound to ${boundMac}`}`,
    ],
    ...leases
      .filter(({ state }) => state === 'bound')
      .map((lease): [string, string] => ['lease', leaseText(lease, zone)]),
    ['last lease event not followed', last === undefined ? null : refusedLine(last, zone)],
  ];
}

function lineText(line: SubscriberLine, zone: string): string {
  const plus = line.more ? '+' : '';
  const share = linesEnglish.offlineOf(
    `${String(line.neighbours_offline)}${plus}`,
    `${String(line.neighbours)}${plus} neighbours`,
  );
  const since = line.status_since === null ? '' : ` since ${showTime(line.status_since, zone)}`;
  return [
    `${line.device} (${line.kind})`,
    line.port === null ? '' : `port ${line.port}`,
    `${linesEnglish.statusNames[line.status] ?? line.status}${since}`,
    line.neighbours === 0 ? '' : share,
    line.option82_auth === null
      ? ''
      : `known by ${linesEnglish.option82Ways[line.option82_auth] ?? line.option82_auth}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}

function leaseText(lease: LineExplanation['leases'][number], zone: string): string {
  const until = lease.ends_at === null ? '' : ` until ${showTime(lease.ends_at, zone)}`;
  return `${lease.address}${lease.mac === null ? '' : ` of ${lease.mac}`} since ${showTime(lease.began_at, zone)}${until}${lease.overdue ? ', overdue' : ''}`;
}
