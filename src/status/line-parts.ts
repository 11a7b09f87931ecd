/**
 * Leases, refused lease events and devices, as parts of pages. Enters: rows. Leaves: markup. Invariants: what a client, a switch or a DHCP server said is shown as text
 * and never anything else; octets are shown as characters only where all of them are printable.
 */
import { html } from 'hono/html';
import { NO_NAS } from '../domain/lease.js';
import { octetsText } from '../domain/octets-text.js';
import type { FoundDevice } from '../store/device-search.js';
import type { LeaseCounts, LeaseRow, RefusalRow } from '../store/lease-queries.js';
import type { SubscriberLine } from '../store/page-devices.js';
import { badge, factList, subscriberLink, tableOf, timeOf, type Column, type Markup, type View } from './layout.js';

type BadgeKind = Parameters<typeof badge>[0];

const statusKinds: Readonly<Record<string, BadgeKind>> = { up: 'good', down: 'bad', unreachable: 'warn' };

/** A link to a device. */
export function deviceLink(id: number, label: string): Markup {
  return html`<a href="/devices/${id}">${label}</a>`;
}

/** The status of a device, and since when. */
export function statusBadge(view: View, status: string, since: Date | null): Markup {
  const name = view.language.lines.statusNames[status] ?? status;
  return html`<span class="whole">${badge(statusKinds[status] ?? 'quiet', name)}</span> ${timeOf(view, since)}`;
}

/** `1,000+` where not all were counted. */
export function countText(view: View, count: number, more: boolean): string {
  return `${view.format.number(count)}${more ? '+' : ''}`;
}

/** How many leases are bound. */
export function boundText(view: View, { bound, is_estimate: isEstimate }: LeaseCounts): string {
  return `${isEstimate ? '≈ ' : ''}${view.format.number(bound)}`;
}

/** Leases. @param whose whether the login stands among the columns */
export function leaseTable(view: View, whose: 'everybody' | 'one', rows: readonly LeaseRow[], empty: string): Markup {
  const { text } = view.language;
  const { text: words } = view.language.lines;
  const columns: Column<LeaseRow>[] = [
    { title: text.ip, room: 'fixed', cell: (row) => row.address },
    { title: text.mac, room: 'fixed', cell: (row) => row.mac },
    ...(whose === 'everybody'
      ? [
          {
            title: text.login,
            room: 'word' as const,
            cell: (row: LeaseRow) => subscriberLink(row.subscriber_id, row.login ?? ''),
          },
        ]
      : []),
    { title: text.nas, cell: (row) => nasOf(view, row.nas_name) },
    { title: words.device, cell: (row) => leaseDevice(row) },
    { title: text.port, cell: (row) => row.port },
    { title: words.leasedSince, cell: (row) => timeOf(view, row.began_at) },
    { title: words.leasedUntil, cell: (row) => leaseEnd(view, row) },
    { title: words.source, room: 'word', cell: (row) => row.source },
  ];
  return tableOf(columns, rows, empty);
}

function nasOf(view: View, name: string | null): Markup | string {
  if (name === null) return '';
  return name === NO_NAS
    ? badge('quiet', view.language.lines.text.noNas)
    : html`<a href="/nas/${encodeURIComponent(name)}">${name}</a>`;
}

function leaseDevice(row: LeaseRow): Markup | string {
  return row.device_id === null || row.device === null ? (row.switch_mac ?? '') : deviceLink(row.device_id, row.device);
}

/** Until when it is given, or why it is over. */
function leaseEnd(view: View, row: LeaseRow): Markup {
  const { lines } = view.language;
  if (row.state === 'ended')
    return html`${timeOf(view, row.ended_at)}
    ${row.end_cause === null ? '' : badge('quiet', lines.leaseEnd(row.end_cause))}`;
  const until =
    row.ends_at === null ? html`<span class="note">${lines.text.unlimited}</span>` : timeOf(view, row.ends_at);
  return html`${until} ${row.overdue ? html`<span class="whole">${badge('warn', lines.text.overdue)}</span>` : ''}`;
}

/** Refused events. @param reasonLink whether a reason leads to all events of it */
export function refusalTable(view: View, rows: readonly RefusalRow[], reasonLink: boolean): Markup {
  const { language, format } = view;
  const { text } = language;
  const { text: words, eventKinds, refusal } = language.lines;
  return tableOf<RefusalRow>(
    [
      {
        title: text.when,
        cell: (row) =>
          html`${timeOf(view, row.at)}
          ${
            row.repeats > 1 &&
            html`<span class="note block"
              >${text.times(format.number(row.repeats))}, ${words.since(format.instant(row.first_at))}</span
            >`
          }`,
      },
      { title: words.refusedWhat, room: 'word', cell: (row) => eventKinds[row.kind] ?? row.kind },
      { title: text.ip, room: 'fixed', cell: (row) => row.address },
      { title: text.mac, room: 'fixed', cell: (row) => row.mac },
      {
        title: text.login,
        room: 'word',
        cell: (row) => (row.subscriber_id === null ? '' : subscriberLink(row.subscriber_id, row.login ?? '?')),
      },
      { title: words.refusedNamed, room: 'name', cell: (row) => namedBy(view, row) },
      {
        title: text.why,
        cell: (row) =>
          html`${reasonLink ? html`<a href="/leases/refused?reason=${encodeURIComponent(row.reason)}">${refusal(row.reason)}</a>` : refusal(row.reason)}${row.detail === null ? '' : html`: ${row.detail}`}`,
      },
      { title: words.source, room: 'word', cell: (row) => row.source },
    ],
    rows,
    words.noRefused,
  );
}

/** What an event named: device, port, and option 82 as it came. */
function namedBy(view: View, row: RefusalRow): Markup | string {
  const { text } = view.language;
  const { text: words } = view.language.lines;
  const octets = [
    [words.circuitId, row.circuit_id],
    [words.remoteId, row.remote_id],
    [words.option82SubscriberId, row.option82_subscriber_id],
  ] as const;
  const parts = [
    ...(row.device === null ? [] : [html`<span class="pair">${row.device}</span>`]),
    ...(row.port === null ? [] : [html`<span class="pair">${text.port} ${row.port}</span>`]),
    ...octets.flatMap(([name, hex]) =>
      hex === null || hex === ''
        ? []
        : [
            html`<span class="block"
              ><span class="note">${name}</span> <span class="code">${octetsText(hex)}</span></span
            >`,
          ],
    ),
  ];
  return parts.length === 0 ? '' : html`${parts}`;
}

/** Devices that a search found. */
export function foundDeviceTable(view: View, rows: readonly FoundDevice[]): Markup {
  const { text } = view.language;
  const { text: words } = view.language.lines;
  return tableOf<FoundDevice>(
    [
      { title: words.device, room: 'name', cell: (row) => deviceLink(row.id, row.label) },
      { title: words.kind, room: 'word', cell: (row) => row.kind },
      { title: words.status, room: 'fixed', cell: (row) => statusBadge(view, row.status, row.status_since) },
      { title: text.ip, room: 'fixed', cell: (row) => row.address },
      { title: text.mac, room: 'fixed', cell: (row) => row.mac },
      { title: words.serial, room: 'word', cell: (row) => row.serial },
      { title: words.place, cell: (row) => row.place },
    ],
    rows,
    words.noDevicesFound,
  );
}

/** Where a subscriber is plugged in, how that fares, and how the neighbours do. */
export function lineFacts(view: View, line: SubscriberLine): Markup {
  const { text } = view.language;
  const { text: words, option82Ways, offlineOf } = view.language.lines;
  const { neighbours, neighbours_offline: offline, more, option82_auth: way } = line;
  const share = offlineOf(countText(view, offline, more), countText(view, neighbours, more));
  return factList([
    [words.device, html`${deviceLink(line.device_id, line.device)} (${line.kind})`],
    [text.port, line.port],
    [words.status, statusBadge(view, line.status, line.status_since)],
    [words.neighbours, neighbours === 0 ? text.none : offline > 0 ? html`${badge('warn', share)}` : share],
    [words.knownBy, way === null ? null : (option82Ways[way] ?? way)],
    [words.place, line.place],
  ]);
}
